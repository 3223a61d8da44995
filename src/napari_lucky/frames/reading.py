"""Ways to read frames: some of a run, with a margin, and beyond the sensor's edge.

What the constants do is measured by ``benchmarks/speed.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import Frames, Index, as_float32, numbers_in
from napari_lucky.frames.sensor_image import bands_of, rows_in
from napari_lucky.frames.window import Window

FEW_ROWS = 8
"""Rows that show of most frames that they are not empty."""

LEAST_VALUE, MOST_VALUE = 1e-18, 1e16
"""Between these, float32 holds the squares of a frame's values and their sums."""


def spread_over(n: int, most: int) -> NDArray[np.intp]:
    """Return the numbers of at most so many of n frames, spread evenly over them."""
    return np.unique(np.linspace(0, n - 1, min(most, n)).round().astype(np.intp))


def empty_frames(frames: Frames) -> NDArray[np.bool_]:
    """Return which frames have all pixels equal or masked, (n,); read in bands until one varies.

    The first band is a few rows in the middle, which vary in most frames.
    """
    ny = frames.shape[1]
    empty = np.zeros(frames.shape[0], bool)
    bands = [slice(ny // 2, min(ny // 2 + FEW_ROWS, ny)), *bands_of(frames.shape)]
    for k in range(len(empty)):
        low, high = np.inf, -np.inf
        for band in bands:
            window = rows_in(frames.shape, band)
            pixels = frames.read(np.array([k]), window)
            low = min(low, float(np.fmin.reduce(pixels, axis=None)))
            high = max(high, float(np.fmax.reduce(pixels, axis=None)))
            if high > low:
                break
        empty[k] = not high > low
    return empty


def check_values(frames: Frames) -> None:
    """Raise a `LuckyError` if all numbers of the first frame are too large or small to be squared.

    It is read in bands of rows, those in the middle first, until one has a fair number.
    """
    if frames.dtype.kind != "f" or frames.shape[0] == 0:
        return
    ny, top = frames.shape[1], 0.0
    for band in [slice(ny // 2, min(ny // 2 + FEW_ROWS, ny)), *bands_of(frames.shape)]:
        pixels = np.abs(frames.read(np.array([0]), rows_in(frames.shape, band)))
        top = float(pixels.max(initial=0, where=np.isfinite(pixels))) or top
        if LEAST_VALUE < top < MOST_VALUE:
            return
    if top:
        raise LuckyError(
            f"The values in the first frame reach {top:.2g}, which is too "
            f"{'large' if top > 1 else 'small'} for ADU. Scale the frames so that the star "
            "has up to 65,535, and check BSCALE in the header."
        )


def read_beyond(frames: Frames, index: Index, window: Window) -> NDArray[np.float32]:
    """Read frames in a window that may leave the sensor; what is beyond its edge is NaN.

    Returns
    -------
    ndarray of float32, (k, height, width)
    """
    inside = window.clipped(frames.shape)
    if inside == window:
        return as_float32(frames.read(index, window))
    count = len(numbers_in(index, frames.shape[0]))
    out = np.full((count, *window.shape), np.nan, np.float32)
    if 0 not in inside.shape:
        out[:, *inside.within(window).slices] = frames.read(index, inside)
    return out


def read_around(frames: Frames, index: Index, window: Window, margin: int) -> NDArray[np.float32]:
    """Read frames in a window with a margin around it; beyond the sensor's edge it is mirrored.

    Returns
    -------
    ndarray of float32, (k, height + 2 margin, width + 2 margin)
    """
    grown = window.grown(margin)
    on = grown.clipped(frames.shape)
    block = as_float32(frames.read(index, on))
    if on == grown:
        return block
    beyond = ((on.y0 - grown.y0, grown.y1 - on.y1), (on.x0 - grown.x0, grown.x1 - on.x1))
    return np.pad(block, ((0, 0), *beyond), mode="reflect")
