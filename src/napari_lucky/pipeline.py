"""The main job: calibrate, register, rank, stack; the same functions that the docks call."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Progress, silent
from .by_hand import ByHand, kept_frames
from .calibration import calibrated_in, saturated_frames
from .chain import build_chain
from .errors import LuckyError
from .fits_output import ImageResult
from .following import moves_of
from .frames import Frames
from .history import History
from .journal import Journal, job_key
from .ranking import rank, select
from .recipe import Recipe
from .registration import register
from .stack_methods import stack_pair
from .stacking import Stack
from .steps import rank_step, register_step, shifts_step, stack_step
from .survey import survey
from .table import FrameTable, table_from_csv
from .windows import Window


@dataclass(frozen=True, eq=False)
class Result:
    """What the main job makes.

    Parameters
    ----------
    images : dict of str to ImageResult
        "focus" and "long_exposure", and "defocus" if it has a window; mean calibrated ADU a
        frame. With shifts from a file, only of the windows given.
    table : FrameTable
        Shift, quality and choice of every frame.
    recipe : Recipe
        The recipe used, with what was found filled in; it replays to the same bits.
    notes : tuple of str
        What the user should know: files left out, pixels masked, frames without a star.
    """

    images: dict[str, ImageResult]
    table: FrameTable
    recipe: Recipe
    notes: tuple[str, ...]


def process(
    recipe: Recipe,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
    journal: Journal | None = None,
) -> Result:
    """Turn a run into its lucky pair.

    Parameters
    ----------
    recipe : Recipe
        What to do with which frames.
    progress, executor
        See `napari_lucky.blocks.map_blocks`.
    journal : Journal, optional
        What was measured before an interrupt, and is measured now.

    Returns
    -------
    Result
        The focused and the defocused star's mean over the kept frames with the same shifts,
        the focused star's long exposure, and the table of frames.

    Raises
    ------
    LuckyError
        If something given cannot be used.
    """
    work: dict[str, Any] = {"progress": progress, "executor": executor}
    chain = build_chain(recipe, **work)
    recipe, chosen, files, steps = chain.recipe, chain.chosen, chain.files, chain.steps
    calibrated, clean, header = chain.calibrated, chain.frames, chain.header
    focus, defocus = recipe.window("focus"), recipe.window("defocus")
    notes = list(chain.notes)
    if focus is None or recipe.shifts is not None:
        table, long_exposure = _shifts_from_file(recipe, chosen, files, steps), None
    else:
        if journal is not None:
            journal.begin(lambda: job_key(chain))
        kept: dict[str, Any] = {**work, "journal": journal}
        made = track_and_rank(clean, focus, defocus, recipe, chosen, files, steps, **kept)
        table, long_exposure = made.table, made.long_exposure
        notes += tell_frames(chosen, made.reasons, made.saturated, calibrated.saturation)
        notes += [] if journal is None else journal.notes
    images = stack_results(
        clean,
        table,
        focus,
        defocus,
        recipe.subpixel,
        header,
        recipe.stack,
        long_exposure=long_exposure,
        **work,
    )
    return Result(images, table, recipe, tuple(notes))


@dataclass(frozen=True, eq=False)
class Measured:
    """What is known of every frame of a run.

    Parameters
    ----------
    table : FrameTable
    reasons : tuple of str
        Why a frame is not registered; empty if it is.
    saturated : ndarray of bool, (n,)
        Whether the star has saturated pixels.
    long_exposure : Stack or None
        The mean of all frames in the focus window, where it is known already.
    """

    table: FrameTable
    reasons: tuple[str, ...]
    saturated: NDArray[np.bool_]
    long_exposure: Stack | None


def track_and_rank(
    frames: Frames,
    focus: Window,
    defocus: Window | None,
    recipe: Recipe,
    chosen: NDArray[np.intp],
    files: list[str],
    steps: History,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
    journal: Journal | None = None,
) -> Measured:
    """Register and rank frames, and choose among them, as a recipe says.

    Parameters
    ----------
    frames : Frames
        Calibrated and cleaned.
    focus, defocus : Window
        Of the stars.
    recipe : Recipe
        Its parameters of registration and ranking are used.
    chosen : ndarray of int, (n,)
        Numbers of the frames in the run.
    files : list of str
        Their files.
    steps : tuple of Step
        What was done to the frames.
    progress, executor, journal
        See `napari_lucky.journal.remembered`.
    """
    work: dict[str, Any] = {"progress": progress, "executor": executor, "journal": journal}
    seen = survey(
        frames,
        focus,
        recipe.smooth,
        recipe.rank,
        recipe.rank_smooth,
        recipe.diffraction,
        **work,
    )
    registration = register(
        frames,
        focus,
        recipe.register,  # type: ignore[arg-type]
        recipe.smooth,
        _reference_place(recipe, chosen),
        seen=(seen.noise, seen.found),
        **work,
    )
    registration = replace(registration, reference_frame=recipe.reference_frame)
    quality, saturated, long_exposure = seen.quality, seen.saturated, seen.long_exposure
    shifts = registration.shifts
    if moves_of(shifts, focus).any():  # then the survey's window did not hold the star
        quality = rank(
            frames,
            focus,
            recipe.rank,
            recipe.rank_smooth,
            shifts,
            diffraction=recipe.diffraction,
            **work,
        )
        calibrated = calibrated_in(frames)
        if calibrated is not None:
            saturated = saturated_frames(calibrated, focus, shifts, **work)
    quality[~registration.found] = np.nan
    by_hand = ByHand(recipe.add, recipe.drop)
    cut = select(quality, recipe.keep, recipe.keep_above)
    kept = kept_frames(quality, cut, by_hand, chosen)
    history = (
        *steps,
        register_step(registration, defocus),
        rank_step(
            recipe.rank,
            recipe.rank_smooth,
            recipe.keep,
            len(kept),
            recipe.keep_above,
            by_hand,
            recipe.psf,
        ),
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
    return Measured(table, registration.reasons, saturated, long_exposure)


def _reference_place(recipe: Recipe, chosen: NDArray[np.intp]) -> str:
    """Return what to correlate with, a frame's number in the run as its place among those used."""
    if recipe.register != "correlation" or not recipe.reference_frame.isdecimal():
        return recipe.reference_frame
    place = np.flatnonzero(chosen == int(recipe.reference_frame))
    if len(place) == 0:
        raise LuckyError(
            f"Frame {recipe.reference_frame} cannot be the reference: it is not among the frames "
            f"used, frames {chosen[0]} to {chosen[-1]}."
        )
    return str(place[0])


def stack_results(
    frames: Frames,
    table: FrameTable,
    focus: Window | None,
    defocus: Window | None,
    subpixel: bool,
    header: Any = None,
    method: str = "mean",
    *,
    long_exposure: Stack | None = None,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> dict[str, ImageResult]:
    """Stack the frames that a table selects, and the long exposure, with all that is known.

    Parameters
    ----------
    frames : Frames
        Calibrated and cleaned, not shifted.
    table : FrameTable
        A row for each frame.
    focus, defocus : Window
        What has no window is not stacked.
    subpixel : bool
        Whether frames are shifted by fractions of a pixel.
    header : astropy.io.fits.Header, optional
        The run's.
    method : str
        See `napari_lucky.stack`.
    long_exposure : Stack, optional
        Made if it is not known already.
    progress, executor
        See `napari_lucky.blocks.map_blocks`.
    """
    kept = np.flatnonzero(table.selected)
    work: dict[str, Any] = {"progress": progress, "executor": executor}
    images = {}
    for name, window, stack in stack_pair(
        frames,
        table.shifts,
        kept,
        focus,
        defocus,
        subpixel,
        method,
        table.quality,
        long_exposure=long_exposure,
        **work,
    ):
        step = stack_step(window, name != "long_exposure", subpixel, stack.count, method)
        images[name] = ImageResult(
            stack.image,
            name,
            header,
            (*table.history, step),
            (window.y0, window.x0),
            stack.count,
            stack.variance,
            stack.coverage,
            stack.scale,
        )
    return images


def _shifts_from_file(
    recipe: Recipe, chosen: NDArray[np.intp], files: list[str], steps: History
) -> FrameTable:
    """Return the table of frames that an earlier job saved, for the frames chosen now."""
    path = Path(recipe.shifts or "")
    saved = table_from_csv(path)
    if recipe.focus is None and recipe.defocus is None:
        raise LuckyError(
            f"{path} tells shifts, not where the star is: give a window, --focus or --defocus."
        )
    row = {int(frame): k for k, frame in enumerate(saved.frame)}
    missing = [int(frame) for frame in chosen if int(frame) not in row]
    if missing:
        raise LuckyError(
            f"{path}: frame {missing[0]} is not in this table ({len(missing)} frames are not). "
            "It is of another run, or of fewer frames: choose them with --frames."
        )
    at = np.array([row[int(frame)] for frame in chosen], np.intp)
    for frame, k, file in zip(chosen, at, files, strict=True):
        if saved.file[k] and saved.file[k] != file:
            raise LuckyError(
                f"{path}: frame {frame} is {saved.file[k]} in this table, but {file} in the run. "
                "Give the shifts of this run."
            )
    selected = saved.selected[at] & np.isfinite(saved.shifts[at]).all(axis=1)
    if not selected.any():
        raise LuckyError(f"{path}: none of the frames is selected in this table.")
    history = (*steps, shifts_step(path, int(selected.sum())))
    return FrameTable(
        chosen,
        files,
        saved.shifts[at],
        saved.quality[at],
        selected,
        saved.reference,
        history,
        None if saved.sigma is None else saved.sigma[at],
    )


def tell_frames(
    frame: NDArray[np.intp],
    reasons: Sequence[str],
    saturated: NDArray[np.bool_],
    saturation: float,
) -> list[str]:
    """Return sentences that tell of the frames not registered, and why, and of saturated ones."""
    notes = []
    for why in sorted(set(reasons) - {""}):
        lost = frame[[reason == why for reason in reasons]]
        notes.append(f"Left out {_tell(lost)} {why}.")
    if (bright := frame[saturated]).size:
        notes.append(
            f"Masked the saturated pixels ({saturation:g} ADU and more) of the star "
            f"in {_tell(bright)}; the quality found there is not to be trusted."
        )
    return notes


def _tell(frames: NDArray[np.intp], most: int = 5) -> str:
    names = ", ".join(map(str, frames[:most])) + (" …" if len(frames) > most else "")
    return f"{len(frames)} frame{'' if len(frames) == 1 else 's'} ({names})"
