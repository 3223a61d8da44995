"""Shifts and quality of all frames, measured in as few passes as possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.calibrate import calibrated_in
from napari_lucky.calibration.sampling import Sampling, measure_sampling, noise_if_sampled
from napari_lucky.calibration.saturated_frames import bright_frames, saturated_frames
from napari_lucky.errors import UsageError
from napari_lucky.execution.blocks import blocks_of, end_if_abandoned, map_blocks_checkpointed
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.frame_table import FrameTable
from napari_lucky.frames.cache import cached
from napari_lucky.frames.frames import Frames, as_float32, blank_frames
from napari_lucky.frames.history import History
from napari_lucky.frames.window import Window
from napari_lucky.frames.window_moves import moves_of
from napari_lucky.imaging.brightest_speckle import brightest_in, is_wide, track_brightest
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.star_image import light_of
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.ranking.rank import quality_of, rank
from napari_lucky.ranking.selection import (
    ManualSelection,
    apply_selection,
    few_frames_notes,
    select,
    select_record,
)
from napari_lucky.ranking.step import Rank, Select
from napari_lucky.registration.register import register, registration_record
from napari_lucky.registration.step import Register
from napari_lucky.stacking.mean import EqualSums, Stack, blocks_of_sums, stack_of
from napari_lucky.stacking.step import StackFrames


@dataclass(frozen=True, eq=False)
class Measured:
    """What is known of every frame of a run.

    Parameters
    ----------
    table : FrameTable
    reasons : tuple of str
        Why a frame is not registered or not ranked; empty if it is.
    saturated : ndarray of bool, (n,)
        Whether the star has saturated pixels.
    long_exposure : Stack or None
        The mean of all frames in the focus window, where it is known already.
    notes : tuple of str
        What is doubtful, in whole sentences.
    """

    table: FrameTable
    reasons: tuple[str, ...]
    saturated: NDArray[np.bool_]
    long_exposure: Stack | None
    notes: tuple[str, ...] = ()


def track_and_rank(
    frames: Frames,
    focus: Window,
    defocus: Window | None,
    recipe: Recipe,
    chosen: NDArray[np.intp],
    files: list[str],
    steps: History,
    *,
    sampling: Sampling | None = None,
    job: Job = QUIET,
) -> Measured:
    """Register and rank frames, and choose among them, as a recipe says.

    Parameters
    ----------
    frames : Frames
        Calibrated and cleaned.
    focus, defocus : Window
        Of the stars.
    recipe : Recipe
        Its parameters of registration and ranking are used; the smoothing must be a number.
    chosen : ndarray of int, (n,)
        Numbers of the frames in the run.
    files : list of str
        Their files.
    steps : tuple of Record
        What was done to the frames.
    sampling : Sampling, optional
        If it is known already.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    """
    by, ranking, selection = recipe[Register], recipe[Rank], recipe[Select]
    seen = survey(
        frames,
        focus,
        by.smooth,
        ranking.metric,
        ranking.smooth,
        ranking.diffraction,
        sampling=sampling,
        job=job,
    )
    registration = register(
        frames,
        focus,
        method=_with_reference_place(by, chosen),
        seen=(seen.noise, seen.found, seen.sampling),
        job=job,
    )
    quality, saturated, long_exposure = seen.quality, seen.saturated, seen.long_exposure
    shifts = registration.shifts
    if moves_of(
        shifts, focus, registration.reference, frames.shape
    ).any():  # then the survey's window did not hold the star
        quality = rank(
            frames,
            focus,
            metric=ranking.metric,
            smooth=ranking.smooth,
            shifts=shifts,
            reference=registration.reference,
            diffraction=ranking.diffraction,
            job=job,
        )
        calibrated = calibrated_in(frames)
        if calibrated is not None:
            saturated = saturated_frames(calibrated, focus, shifts, registration.reference, job=job)
    quality[~registration.found] = np.nan
    by_hand = ManualSelection(selection.add, selection.drop)
    cut = select(quality, selection.keep, above=selection.above)
    kept = apply_selection(quality, cut, by_hand, chosen)
    history = (
        *steps,
        registration_record(registration, by, defocus),
        ranking.record(),
        select_record(selection, len(kept), len(chosen)),
    )
    selected = np.isin(np.arange(len(chosen)), kept)
    table = FrameTable(
        chosen,
        files,
        shifts,
        quality,
        selected,
        registration.reference,
        history,
        registration.sigma,
    )
    if not registration.found.all():
        long_exposure = None
    few = []
    if not recipe[StackFrames].of_all:
        few = few_frames_notes(len(kept), len(chosen), selection.keep, selection.above)
    notes = (*registration.notes, *few)
    unranked = reasons_unranked(registration.found, quality, ranking.metric)
    reasons = tuple(why or other for why, other in zip(registration.reasons, unranked, strict=True))
    return Measured(table, reasons, saturated, long_exposure, notes)


def reasons_unranked(
    found: NDArray[np.bool_], quality: NDArray[np.float64], metric: str
) -> tuple[str, ...]:
    """Return why each frame with a star has no quality; empty where it has one, or no star."""
    why = f"no quality could be measured by {metric} (peak gives one to every frame with light)"
    return tuple(why if lost else "" for lost in found & ~np.isfinite(quality))


def _with_reference_place(by: Register, chosen: NDArray[np.intp]) -> Register:
    """Return the step with its reference as a place among the frames used, not a number."""
    which = getattr(by, "reference_frame", "")
    if not which.isdecimal():
        return by
    place = np.flatnonzero(chosen == int(which))
    if len(place) == 0:
        raise UsageError(
            f"Frame {which} cannot be the reference: it is not among the frames used, frames "
            f"{chosen[0]} to {chosen[-1]}."
        )
    return by.changed(reference_frame=str(place[0]))


def frame_notes(
    frame: NDArray[np.intp],
    reasons: Sequence[str],
    saturated: NDArray[np.bool_],
    saturation: float,
) -> list[str]:
    """Return sentences on the frames not registered, and why, and on saturated ones."""
    notes = []
    for why in sorted(set(reasons) - {""}):
        lost = frame[[reason == why for reason in reasons]]
        notes.append(f"Left out {_list(lost)}: {why}.")
    if (bright := frame[saturated]).size:
        notes.append(
            f"Masked the saturated pixels ({saturation:g} ADU and more) of the star "
            f"in {_list(bright)}; do not trust their quality."
        )
    return notes


def _list(frames: NDArray[np.intp], most: int = 5) -> str:
    names = ", ".join(map(str, frames[:most])) + (" …" if len(frames) > most else "")
    return f"{len(frames)} frame{'' if len(frames) == 1 else 's'} ({names})"


Found = tuple[NDArray[np.float64], NDArray[np.float64]]
"""A row for each frame of a block, and their `EqualSums.totals`."""


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass over a run finds in the focused star's window.

    Parameters
    ----------
    sampling : Sampling
        Of the star in its window.
    noise : Noise
        Of a pixel.
    found : ndarray of float64, (n, 9)
        From `track_brightest`; NaN where there is no light.
    quality : ndarray of float64, (n,)
        From `rank_block`.
    saturated : ndarray of bool, (n,)
        From `napari_lucky.calibration.saturated_frames`.
    long_exposure : Stack or None
        The mean of all frames; None if some of them show no light.
    """

    sampling: Sampling
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
    sampling: Sampling | None = None,
    job: Job = QUIET,
) -> Survey:
    """Track the brightest speckle, rank, look for saturation and average, all in one pass.

    The numbers are those of `register`, `rank`, `saturated_frames` and `stack_mean`, whose
    parameters it takes, to the bit. A smoothing of None goes by the sampling, which is measured
    if it is not given.
    """
    if sampling is None:
        sampling = measure_sampling(frames, focus, job=job)
    smooth = sampling.smooth if smooth is None else smooth
    rank_smooth = sampling.smooth if rank_smooth is None else rank_smooth
    n = frames.shape[0]
    noise = noise_if_sampled(frames, focus, sampling, job=job)
    frames = cached(frames)
    calibrated = calibrated_in(frames)

    pixels = focus.height * focus.width

    def one(block: slice) -> Found:
        rows, sums = [], EqualSums(np.zeros((3, *focus.shape)))
        for part in blocks_of(block.stop - block.start, pixels):
            end_if_abandoned()
            some = slice(block.start + part.start, block.start + part.stop)
            read = as_float32(frames.read(some, focus))
            sums.add(read)
            light = light_of(read)
            if is_wide(focus.shape, smooth):
                found = track_brightest(read, smooth, noise)
            else:
                found = brightest_in(light, smooth, noise)
            found[blank_frames(frames, some, focus)] = np.nan
            quality = quality_of(light, metric, rank_smooth, diffraction)
            saturated = np.zeros(len(read), bool)
            if calibrated is not None:
                saturated = bright_frames(calibrated, some, focus)
            rows.append(np.column_stack([found, quality, saturated]))
        return np.concatenate(rows), sums.totals

    what, blocks = "tracking and ranking", blocks_of_sums(n, pixels)
    done = map_blocks_checkpointed(one, blocks, what=what, join=_joined, job=job)
    rows, sums = [], np.zeros((3, *focus.shape))
    for numbers, some in done:
        rows.append(numbers)
        sums += some
    table = np.concatenate(rows)
    total = EqualSums(sums, n).sums()
    all_lit = bool(np.isfinite(table[:, :2]).all())
    return Survey(
        sampling,
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


MeasuredQuality = tuple[NDArray[np.float64], float, Sampling | None]
"""Qualities, the smoothing in pixels, and what it goes by if it was not given."""


def measure_quality(
    frames: Frames, focus: Window, table: FrameTable, by: Rank, *, job: Job = QUIET
) -> MeasuredQuality:
    """Measure the quality of frames that are registered already; NaN of those without a star."""
    sampling, used = None, by.smooth
    if used is None:
        sampling = measure_sampling(frames, focus, job=job)
        used = sampling.smooth
    quality = rank(
        frames,
        focus,
        metric=by.metric,
        smooth=used,
        shifts=table.shifts,
        reference=table.reference,
        diffraction=by.diffraction,
        job=job,
    )
    quality[~table.found] = np.nan
    return quality, used, sampling
