"""One pass over a run that takes from each frame all that tracking, ranking and stacking need.

Reading a frame's window costs about as much as measuring in it, so it is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Progress, blocks_of, silent
from .brightest import brightest_in, is_wide, track_brightest
from .calibration import bright_frames, calibrated_in
from .diffraction import Diffraction
from .frames import Frames, View, as_float32
from .journal import Journal, remembered
from .light import light_of
from .noise import Noise, sample_noise
from .ranking import quality_of
from .recalled import recalling
from .sampling import measure_sampling
from .stacking import MANY, EqualSums, Stack, stack_of
from .windows import Window

Found = tuple[NDArray[np.float64], NDArray[np.float64]]
"""A row for each frame of a block, and their `EqualSums.totals`."""


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass over a run finds in the focused star's window.

    Parameters
    ----------
    noise : Noise
        Of a pixel.
    found : ndarray of float64, (n, 7)
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
    smooth: float | None,
    metric: str,
    rank_smooth: float | None,
    diffraction: Diffraction | None = None,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
    journal: Journal | None = None,
) -> Survey:
    """Track the brightest speckle, rank, look for saturation and average, all in one pass.

    The numbers are those of `register`, `rank`, `saturated_frames` and `stack_mean`, whose
    parameters it takes, to the bit. A smoothing of None goes by the sampling. For a journal, see
    `napari_lucky.journal.remembered`.
    """
    if smooth is None or rank_smooth is None:
        sampling = measure_sampling(frames, focus)
        smooth = sampling.smooth if smooth is None else smooth
        rank_smooth = sampling.rank_smooth if rank_smooth is None else rank_smooth
    n = frames.shape[0]
    noise = sample_noise(frames, focus)
    frames = recalling(frames)
    calibrated = calibrated_in(frames)

    pixels = focus.height * focus.width

    def one(block: slice) -> Found:
        rows, sums = [], EqualSums(np.zeros((3, *focus.shape)))
        for part in blocks_of(block.stop - block.start, pixels):
            some = slice(block.start + part.start, block.start + part.stop)
            read = as_float32(frames.read(some, focus))
            sums.add(read)
            light = light_of(read)
            if is_wide(focus.shape, smooth):
                found = track_brightest(read, smooth, noise)
            else:
                found = brightest_in(light, smooth, noise)
            if isinstance(frames, View):
                found[frames.blank(some, focus)] = np.nan
            quality = quality_of(light, metric, rank_smooth, diffraction)
            saturated = np.zeros(len(read), bool)
            if calibrated is not None:
                saturated = bright_frames(calibrated, some, focus)
            rows.append(np.column_stack([found, quality, saturated]))
        return np.concatenate(rows), sums.totals

    work: dict[str, Any] = {"progress": progress, "executor": executor, "join": _joined}
    blocks = blocks_of(n, pixels, MANY)  # sums are as large as several frames
    done = remembered(one, blocks, journal, what="tracking and ranking", **work)
    rows, sums = [], np.zeros((3, *focus.shape))
    for numbers, some in done:
        rows.append(numbers)
        sums += some
    table = np.concatenate(rows)
    total = EqualSums(sums, n).sums()
    all_lit = bool(np.isfinite(table[:, :2]).all())
    return Survey(
        noise,
        table[:, :-2],
        table[:, -2],
        table[:, -1].astype(bool),
        stack_of(total.mean(), total.weight.astype(np.int32), n, total.variance(), shifted=False)
        if all_lit
        else None,
    )


def _joined(parts: Sequence[Found]) -> Found:
    """Return what is known of frames in a row: their numbers, and the sums added in order."""
    total = parts[0][1].copy()
    for _, sums in parts[1:]:
        total += sums
    return np.concatenate([numbers for numbers, _ in parts]), total
