"""Detail finer than optics pass: a star has none, a cosmic ray has.

What the constants do is measured by ``benchmarks/stray_light.py``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Block, as_float32

FINEST = 2.0
"""Pixels per lambda/D of the finest detail that a star is taken to show."""
REACH = 3
"""Pixels to each side of a place that are looked at."""
SEEN = 0.01
"""Patterns of pixels with more of a star's variance than this are detail that optics pass."""

Floats = NDArray[np.float64]


def star_covariance(finest: float = FINEST) -> Floats:
    """Return how pixels that see an aberration-free star vary together, by their distance.

    Parameters
    ----------
    finest : float
        Pixels per lambda/D.

    Returns
    -------
    ndarray of float64, (64, 64)
        Over the variance of one pixel; distances in y and x are taken modulo 64 px.
    """
    f = np.fft.fftfreq(64)
    r = np.minimum(np.hypot(f[:, None], f) * finest, 1)
    transfer = (np.arccos(r) - r * np.sqrt(1 - r**2)) * np.sinc(f)[:, None] * np.sinc(f)
    covariance = np.fft.ifft2(transfer**2).real
    return np.asarray(covariance / covariance[0, 0])


@cache
def patterns() -> NDArray[np.float32]:
    """Return orthonormal patterns (m, side, side) that a star's light does not have."""
    side = 2 * REACH + 1
    places = np.argwhere(np.ones((side, side), bool))
    together = star_covariance()[tuple((places[:, None] - places).transpose(2, 0, 1))]
    variance, shapes = np.linalg.eigh(together)
    return as_float32(shapes[:, variance < SEEN].T.reshape(-1, side, side))


def fine_detail(pixels: Block, points: Floats) -> NDArray[np.float32]:
    """Return the detail around a point of each frame that is finer than optics pass, in ADU, (k,).

    The root of the summed squares of 7 x 7 px, projected onto what a star of 2 px per lambda/D
    does not show; of a light h in one pixel near the middle it is about h / 2.

    Parameters
    ----------
    pixels : ndarray of float32, (k, y, x)
        Background off, masked pixels filled.
    points : ndarray of float64, (k, 2)
        (y, x); NaN is returned where they are too near to the edge.
    """
    whole = np.rint(points).astype(np.intp)
    last = np.array(pixels.shape[1:]) - 1 - REACH
    inside = ((whole >= REACH) & (whole <= last)).all(axis=1)
    out = np.full(len(pixels), np.nan, np.float32)
    if (last < REACH).any():
        return out
    near = np.arange(-REACH, REACH + 1)
    rows, columns = (np.clip(whole, REACH, last)[:, axis, None] + near for axis in (0, 1))
    patch = pixels[np.arange(len(pixels))[:, None, None], rows[:, :, None], columns[:, None]]
    shapes = patterns()
    parts = patch.reshape(len(patch), 1, -1) * shapes.reshape(len(shapes), -1)
    found = np.sqrt((parts.sum(axis=2) ** 2).sum(axis=1))  # the same whatever is beside a frame
    out[inside] = found[inside]
    return out
