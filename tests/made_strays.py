"""Runs of 40 frames with stars that move, made apart from the package."""

import numpy as np

from made_stars import screens

N = 40


def run_of(*objects, shape=(96, 112), noise=5.0, width=2.0):
    """Return frames of Gaussian stars: places (n, 2) and height (n,) of each."""
    rng = np.random.default_rng(1)
    frames = rng.normal(100, noise, (N, *shape))
    rows, columns = np.arange(shape[0]), np.arange(shape[1])
    for places, heights in objects:
        for frame, (y, x), height in zip(frames, places, np.broadcast_to(heights, N), strict=True):
            down, across = (
                np.exp(-((at - c) ** 2) / (2 * width**2)) for at, c in ((rows, y), (columns, x))
            )
            frame += height * np.outer(down, across)
    return frames.astype(np.float32)


def still(y, x, jitter=0.5):
    return np.array([y, x]) + np.random.default_rng(2).normal(0, jitter, (N, 2))


def shaking(sampling, seed, d_over_r0=3, reach=3):
    """Return phases, and places off the middle of 96 px, of a star that shakes."""
    rng = np.random.default_rng(seed)
    return screens(N, d_over_r0, rng), rng.uniform(-reach, reach, (N, 2)), rng
