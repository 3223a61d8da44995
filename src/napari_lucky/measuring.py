"""What a job measures of every frame: where the star is, how lucky it was, which are kept."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Progress, silent
from .by_hand import ByHand, kept_frames
from .calibration import calibrated_in, saturated_frames
from .errors import LuckyError
from .following import moves_of
from .frames import Frames
from .history import History
from .journal import Journal
from .ranking import rank, select, tell_few
from .recipe import Recipe
from .registration import register
from .stacking import Stack
from .steps import rank_step, register_step
from .survey import survey
from .table import FrameTable
from .windows import Window


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
        Its parameters of registration and ranking are used; the smoothing must be a number.
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
    if moves_of(
        shifts, focus, registration.reference, frames.shape
    ).any():  # then the survey's window did not hold the star
        quality = rank(
            frames,
            focus,
            recipe.rank,
            recipe.rank_smooth,
            shifts,
            registration.reference,
            diffraction=recipe.diffraction,
            **work,
        )
        calibrated = calibrated_in(frames)
        if calibrated is not None:
            saturated = saturated_frames(calibrated, focus, shifts, registration.reference, **work)
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
            len(chosen),
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
    few = tell_few(len(kept), len(chosen), recipe.keep, recipe.keep_above)
    notes = (*registration.notes, *few)
    unranked = reasons_unranked(registration.found, quality, recipe.rank)
    reasons = tuple(why or other for why, other in zip(registration.reasons, unranked, strict=True))
    return Measured(table, reasons, saturated, long_exposure, notes)


def reasons_unranked(
    found: NDArray[np.bool_], quality: NDArray[np.float64], metric: str
) -> tuple[str, ...]:
    """Return why each frame with a star has no quality; empty where it has one, or no star."""
    why = f"no quality could be measured by {metric} (peak gives one to every frame with light)"
    return tuple(why if lost else "" for lost in found & ~np.isfinite(quality))


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
        notes.append(f"Left out {_tell(lost)}: {why}.")
    if (bright := frame[saturated]).size:
        notes.append(
            f"Masked the saturated pixels ({saturation:g} ADU and more) of the star "
            f"in {_tell(bright)}; the quality found there is not to be trusted."
        )
    return notes


def _tell(frames: NDArray[np.intp], most: int = 5) -> str:
    names = ", ".join(map(str, frames[:most])) + (" …" if len(frames) > most else "")
    return f"{len(frames)} frame{'' if len(frames) == 1 else 's'} ({names})"
