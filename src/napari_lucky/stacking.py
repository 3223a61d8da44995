"""Frames averaged into an image."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .blocks import Progress, blocks_of, map_blocks, silent
from .errors import LuckyError
from .frames import Frames, as_float32
from .shifting import Shifted
from .windows import Window


@dataclass(frozen=True, eq=False)
class Stack:
    """A mean image.

    Parameters
    ----------
    image : ndarray of float32, (y, x)
        Mean calibrated ADU a frame; NaN where no frame has a value.
    coverage : ndarray of int32, (y, x)
        How many frames each pixel is the mean of.
    count : int
        How many frames were stacked.
    """

    image: NDArray[np.float32]
    coverage: NDArray[np.int32]
    count: int


def stack_mean(
    frames: Frames,
    index: NDArray[np.intp],
    window: Window,
    *,
    progress: Progress = silent,
    what: str = "stacking",
    executor: Executor | None = None,
) -> Stack:
    """Average some frames in a window.

    Every pixel is divided by the number of frames that have a value there, so a stack is in
    ADU a frame whatever was kept, and masked pixels are filled by the frames in which the
    shift brought good ones there.

    Parameters
    ----------
    frames : Frames
        Calibrated, and shifted where the stack shall be sharp.
    index : ndarray of int
        Frames to stack; their order does not matter.
    window : Window
        What of them.
    progress, what, executor
        See `napari_lucky.blocks.map_blocks`.

    Raises
    ------
    LuckyError
        If there is nothing to stack, or the window is not on the sensor.
    """
    window.check_on(frames.shape)
    index = np.sort(np.asarray(index, np.intp))
    if len(index) == 0:
        raise LuckyError("No frame was chosen; there is nothing to stack.")

    def add(block: slice) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        pixels = as_float32(frames.read(index[block], window))
        good = np.isfinite(pixels)
        total = np.where(good, pixels, np.float32(0)).sum(axis=0, dtype=np.float64)
        return total, good.sum(axis=0, dtype=np.int32)

    blocks = blocks_of(len(index), window.height * window.width)
    total = np.zeros(window.shape)
    coverage = np.zeros(window.shape, np.int32)
    for some, good in map_blocks(add, blocks, progress=progress, what=what, executor=executor):
        total += some
        coverage += good
    image = np.where(coverage > 0, total / np.maximum(coverage, 1), np.nan)
    return Stack(image.astype(np.float32), coverage, len(index))


def stack_pair(
    calibrated: Frames,
    shifts: NDArray[np.float64],
    kept: NDArray[np.intp],
    focus: Window | None,
    defocus: Window | None,
    subpixel: bool,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> Iterator[tuple[str, Window, Stack]]:
    """Stack both stars from the same frames with the same shifts, and the long exposure.

    Parameters
    ----------
    calibrated : Frames
        Not shifted.
    shifts : ndarray, (n, 2)
        (dy, dx) in pixels, of the focused star.
    kept : ndarray of int
        Frames that are stacked.
    focus, defocus : Window
        Where the stars are; what has no window is not stacked.
    subpixel : bool
        Whether frames are shifted by fractions of a pixel.
    progress, executor
        See `napari_lucky.blocks.map_blocks`.

    Yields
    ------
    name, window, stack
        "focus", "defocus" and "long_exposure": all frames with a star, in the focus window,
        unshifted.
    """
    shifted = Shifted(calibrated, shifts, subpixel)
    everything = np.flatnonzero(np.isfinite(shifts).all(axis=1))
    jobs: list[tuple[str, Frames, NDArray[np.intp], Window | None]] = [
        ("focus", shifted, kept, focus),
        ("defocus", shifted, kept, defocus),
        ("long_exposure", calibrated, everything, focus),
    ]
    for name, frames, index, window in jobs:
        if window is not None:
            what = f"stacking {name.replace('_', ' ')}"
            yield (
                name,
                window,
                stack_mean(frames, index, window, progress=progress, what=what, executor=executor),
            )
