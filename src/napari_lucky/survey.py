"""One pass over a run that takes from each frame all that tracking, ranking and stacking need.

Reading a frame's window costs about as much as measuring in it, so it is read once.
"""

from __future__ import annotations

import threading
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Progress, blocks_of, map_blocks, silent
from .brightest import brightest_in
from .calibration import bright_frames, calibrated_in
from .diffraction import Diffraction
from .frames import Frames, Index, View, as_float32
from .light import light_of
from .noise import Noise, sample_noise
from .ranking import quality_of
from .stacking import Stack, Sums, stack_of
from .windows import Window


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass over a run finds in the focused star's window.

    Parameters
    ----------
    noise : Noise
        Of a pixel.
    found : ndarray of float64, (n, 5)
        From `track_brightest`; NaN where there is no light.
    quality : ndarray of float64, (n,)
        From `rank_block`.
    saturated : ndarray of bool, (n,)
        From `napari_lucky.calibration.saturated_frames`.
    long_exposure : Stack or None
        The mean of all frames; None if some of them show no light.
    """

    noise: Noise
    found: NDArray[np.float64]
    quality: NDArray[np.float64]
    saturated: NDArray[np.bool_]
    long_exposure: Stack | None


def survey(
    frames: Frames,
    focus: Window,
    smooth: float,
    metric: str,
    rank_smooth: float,
    diffraction: Diffraction | None = None,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> Survey:
    """Track the brightest speckle, rank, look for saturation and average, all in one pass.

    The numbers are those of `register`, `rank`, `saturated_frames` and `stack_mean`, whose
    parameters it takes, to the bit.
    """
    n = frames.shape[0]
    noise = sample_noise(frames, focus)
    frames = recalling(frames)
    calibrated = calibrated_in(frames)

    def one(block: slice) -> tuple[NDArray[np.float64], Sums]:
        pixels = as_float32(frames.read(block, focus))
        light = light_of(pixels)
        found = brightest_in(light, smooth, noise)
        if isinstance(frames, View):
            found[frames.blank(block, focus)] = np.nan
        quality = quality_of(light, metric, rank_smooth, diffraction)
        saturated = np.zeros(len(pixels), bool)
        if calibrated is not None:
            saturated = bright_frames(calibrated, block, focus)
        sums = Sums(focus.shape)
        sums.add_frames(pixels)
        return np.column_stack([found, quality, saturated]), sums

    rows, total = [], Sums(focus.shape)
    blocks = blocks_of(n, focus.height * focus.width)
    what = "tracking and ranking"
    for numbers, sums in map_blocks(one, blocks, progress=progress, what=what, executor=executor):
        rows.append(numbers)
        total.merge(sums)
    table = np.concatenate(rows)
    all_lit = bool(np.isfinite(table[:, :2]).all())
    return Survey(
        noise,
        table[:, :5],
        table[:, 5],
        table[:, 6].astype(bool),
        stack_of(total.mean(), total.weight.astype(np.int32), n, total.variance())
        if all_lit
        else None,
    )


def recalling(frames: Any) -> Any:
    """Return the same views of a source that recalls what each thread read last."""
    if isinstance(frames, View):
        return replace(frames, frames=recalling(frames.frames))
    return Recalled(frames)


class Recalled:
    """Frames that recall what each thread read last: several steps may ask for the same.

    Parameters
    ----------
    frames : Frames
        The source.
    """

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self._last = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return Recalled, (self.frames,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows, columns."""
        return self.frames.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the source."""
        return self.frames.dtype

    def read(self, frames: Index, window: Window | None = None) -> NDArray[Any]:
        """Return the frames asked for, (k, y, x), cut to the window; not to be changed."""
        if not isinstance(frames, slice):
            return self.frames.read(frames, window)
        if getattr(self._last, "key", None) != (frames, window):
            self._last.block = self.frames.read(frames, window)
            self._last.key = frames, window
        block: NDArray[Any] = self._last.block
        return block
