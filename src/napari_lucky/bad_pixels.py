"""Hot pixels: those of a dark that stand out from their neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sensor_images import BitMask, SensorImage, bands_of, median_of, rows_of

HOT_SIGMA = 8.0
"""A pixel of the dark this many sigmas above its neighbours' median is hot."""
SIDE = 5
"""Side in pixels of the square of neighbours that a pixel of the dark is compared with."""
SAMPLED = 1 << 15
"""Pixels, at least, whose differences from their neighbours give the usual one."""


def hot_pixels(dark: NDArray[Any], sigma: float = HOT_SIGMA) -> NDArray[np.bool_]:
    """Find the pixels of a dark that stand out from their neighbours.

    Parameters
    ----------
    dark : ndarray, (y, x)
        Combined dark in ADU.
    sigma : float
        Threshold above the median of the 5 x 5 neighbours, in standard deviations of such
        differences (from their median absolute deviation, which outliers do not move), taken
        on a lattice of at least 32,768 pixels of the dark.

    Returns
    -------
    ndarray of bool, (y, x)
        True where hot, or not finite.
    """
    return np.asarray(hot_in(np.asarray(dark), sigma))


def hot_in(dark: SensorImage, sigma: float = HOT_SIGMA) -> BitMask:
    """Find the hot pixels of a dark as `hot_pixels` does; a large sensor's in bands of rows."""
    usual = None
    if not all(np.isfinite(rows).all() for rows in rows_of(dark)):
        usual = np.nan_to_num(median_of(lambda: rows_of(dark)))
    spread = _spread_of_excess(dark, usual)
    found = BitMask(dark.shape)
    for band, top, filled, bad in _parts_of(dark, usual):
        inside = slice(band.start - top, band.stop - top)
        high = filled > _least_nearby(filled) + sigma * spread
        high[: inside.start] = high[inside.stop :] = False
        candidates = np.flatnonzero(high)
        excess = filled.ravel()[candidates] - _local_medians(filled, candidates)
        bad.ravel()[candidates[excess > sigma * spread]] = True
        found.set_rows(band, bad[inside])
    return found


def _parts_of(
    dark: SensorImage, usual: float | None
) -> Iterator[tuple[slice, int, NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield the bands of a dark, each with the rows that its first and last are compared with.

    Each comes as its rows, the first row of its pixels, the pixels with `usual` where they are not
    finite, and where that is.
    """
    for band in bands_of(dark.shape):
        top = max(band.start - SIDE // 2, 0)
        rows = slice(top, min(band.stop + SIDE // 2, dark.shape[0]))
        pixels = np.asarray(dark[rows, :], np.float64)
        bad = ~np.isfinite(pixels)
        yield band, top, pixels if usual is None else np.where(bad, usual, pixels), bad


def _spread_of_excess(dark: SensorImage, usual: float | None) -> float:
    """Return the usual difference of a pixel from its neighbours' median, from a lattice."""
    step = max(int(np.sqrt(dark.shape[0] * dark.shape[1] / SAMPLED)), 1)
    step -= step > 1 and step % 2 == 0  # an odd one sees odd and even columns alike
    parts = []
    for band, top, filled, bad in _parts_of(dark, usual):
        lattice = np.zeros(filled.shape, bool)
        first = band.start + -band.start % step
        lattice[first - top : band.stop - top : step, ::step] = True
        places = np.flatnonzero(lattice & ~bad)
        parts.append(filled.ravel()[places] - _local_medians(filled, places))
    excess = np.concatenate(parts)
    if len(excess) == 0:
        return 1.0
    spread = float(np.median(np.abs(excess))) / 0.6745
    if spread > 0:
        return spread
    # a dark of whole numbers, nearly all of them equal to their neighbours
    small = excess[np.abs(excess) <= 1]
    return (float(np.std(small)) if len(small) else 0.0) or 1.0


def _local_medians(
    image: NDArray[np.float64], places: NDArray[np.intp], chunk: int = 1 << 16
) -> NDArray[np.float64]:
    """Return the median of the 5 x 5 pixels around each place of the flattened image."""
    if len(places) == 0:
        return np.empty(0)
    padded = np.pad(image, SIDE // 2, mode="reflect")
    squares = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE))
    out = np.empty(len(places))
    for start in range(0, len(places), chunk):
        y, x = np.divmod(places[start : start + chunk], image.shape[1])
        around = squares[y, x].reshape(len(y), -1)
        out[start : start + chunk] = np.partition(around, SIDE**2 // 2, axis=1)[:, SIDE**2 // 2]
    return out


def _least_nearby(image: NDArray[np.float64], block: int = 8) -> NDArray[np.float64]:
    """Return for each pixel a value that no pixel of the 5 x 5 around it is under.

    The least of the blocks that touch its own: where a pixel is not over that by a threshold, it
    is not over the median either, which then need not be sought.
    """
    ny, nx = image.shape
    padded = np.pad(image, ((0, -ny % block), (0, -nx % block)), mode="edge")
    least = padded.reshape(-(-ny // block), block, -(-nx // block), block).min(axis=(1, 3))
    for axis in (0, 1):
        first, last = ([slice(None)] * 2 for _ in range(2))
        first[axis], last[axis] = slice(1, None), slice(None, -1)
        before = least.copy()
        lower, upper = least[tuple(first)], least[tuple(last)]
        np.minimum(lower, before[tuple(last)], out=lower)
        np.minimum(upper, before[tuple(first)], out=upper)
    return least.repeat(block, axis=0).repeat(block, axis=1)[:ny, :nx]
