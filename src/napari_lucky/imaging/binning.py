"""Wide windows looked through coarsely first: frames binned, and small pieces cut from them.

What the constants do is measured by ``benchmarks/registration.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Block
from napari_lucky.imaging.places import places_of

WIDE = 256
"""Pixels; windows with a longer side are looked through binned first."""
COARSEST = 4
"""Pixels that are binned on each axis, at most."""


def bins_of(shape: tuple[int, ...], smooth: float) -> int:
    """Return how many pixels are binned on each axis of a window: 1, or no more than smoothed."""
    return max(1, min(COARSEST, int(smooth))) if max(shape) > WIDE else 1


def binned(block: Block, bins: int) -> Block:
    """Return the means of bins x bins pixels, (k, y // bins, x // bins).

    Masked pixels are left out; where more than half are, so is the bin (NaN).
    """
    if bins == 1:
        return block
    ny, nx = (side // bins * bins for side in block.shape[1:])
    rows = block[:, 0:ny:bins, :nx] + block[:, 1:ny:bins, :nx]
    for k in range(2, bins):
        rows += block[:, k:ny:bins, :nx]
    out = rows[:, :, 0::bins] + rows[:, :, 1::bins]
    for k in range(2, bins):
        out += rows[:, :, k::bins]
    out *= np.float32(1 / bins**2)
    frame, y, x = places_of(~np.isfinite(out))
    if len(frame):
        within = np.arange(bins)
        rows_of, columns_of = (at[:, None] * bins + within for at in (y, x))
        pixels = block[frame[:, None, None], rows_of[:, :, None], columns_of[:, None, :]]
        good = np.isfinite(pixels)
        count = good.sum(axis=(1, 2))
        total = np.where(good, pixels, 0).sum(axis=(1, 2))
        enough = 2 * count >= bins**2
        out[frame, y, x] = np.where(enough, total / np.where(enough, count, 1), np.nan)
    return out


def unbinned(points: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Return where points of a binned image, (k, 2) in its pixels, are in the image."""
    return (points + 0.5) * bins - 0.5


def cut(block: Block, corners: NDArray[np.intp], shape: tuple[int, int]) -> Block:
    """Return a piece of each frame, (k, *shape), from its corner (y, x) on; NaN beyond the edge."""
    out = np.full((len(block), *shape), np.nan, np.float32)
    for piece, frame, corner in zip(out, block, corners.tolist(), strict=True):
        here, there = zip(
            *(
                (slice(max(c, 0), max(c + n, 0)), slice(max(-c, 0), max(min(n, side - c), 0)))
                for c, n, side in zip(corner, shape, frame.shape, strict=True)
            ),
            strict=True,
        )
        piece[there] = frame[here]
    return out
