"""The main job: calibrate, register, rank, stack; the same functions that the docks call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.sampling import measure_sampling
from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.frame_table import FrameTable
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.table_file import read_table
from napari_lucky.frames.frames import Frames
from napari_lucky.frames.history import History, shifts_step
from napari_lucky.frames.window import Window
from napari_lucky.imaging.thumbnail import thumbnail
from napari_lucky.pipeline.build import Chain, Opened, build_chain, job_key
from napari_lucky.pipeline.measure import frame_notes, track_and_rank
from napari_lucky.pipeline.recipe import Recipe, read_recipe
from napari_lucky.pipeline.saved_shifts import shifts_doubts, with_calibration
from napari_lucky.pipeline.step import Accept, ReadShifts
from napari_lucky.ranking.step import Rank
from napari_lucky.registration.step import Register
from napari_lucky.stacking.mean import Stack
from napari_lucky.stacking.methods import Method, stack_method, stack_pair, stack_record
from napari_lucky.stacking.stack_header import moved_header, timed_header
from napari_lucky.stacking.step import StackFrames
from napari_lucky.text import counted, html


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
    frames : Frames, optional
        Calibrated and cleaned, not shifted, read when they are asked for: a row each of the table.
    damaged : int
        Files that were to be frames, but are damaged or of another shape.
    """

    images: dict[str, ImageResult]
    table: FrameTable
    recipe: Recipe
    notes: tuple[str, ...]
    frames: Frames | None = None
    damaged: int = 0

    @property
    def without_star(self) -> int:
        """How many frames have no shift."""
        return int((~self.table.found).sum())

    @property
    def used(self) -> str:
        """What the stacks are of, such as "12 of 120 frames (10 %)"."""
        by = self.recipe[StackFrames]
        used = by.takes(self.table.selected, self.table.found)
        return by.describe(int(used.sum()), len(used))

    @property
    def doubt(self) -> str:
        """Say why the result is doubtful as a whole; empty if it is not. See `Accept`."""
        lost, of = self.damaged + self.without_star, self.damaged + len(self.table.frame)
        return self.recipe[Accept].lost_note(lost, of)

    def __repr__(self) -> str:
        notes = f"; {counted(len(self.notes), 'note')}" if self.notes else ""
        return f"<Result: {', '.join(self.images)}; {self.used} kept{notes}>"

    def _repr_html_(self) -> str:
        pictures = [thumbnail(np.asarray(image.data), name) for name, image in self.images.items()]
        notes = "".join(f"<li>{html(note)}</li>" for note in self.notes)
        return f"<p>{html(repr(self).strip('<>'))}</p>{''.join(pictures)}<ul>{notes}</ul>"


def process(
    recipe: Recipe | str | Path, opened: Opened | None = None, *, job: Job = QUIET
) -> Result:
    """Calibrate, register, rank and stack a run, and the defocused star with it.

    Parameters
    ----------
    recipe : Recipe or path
        What to do with which frames; of a file, see `read_recipe`.
    opened : Opened, optional
        The run, a dark and a flat that are open already, such as layers.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    Result
        The focused and the defocused star's mean over the kept frames with the same shifts,
        the focused star's long exposure, and the table of frames.

    Raises
    ------
    LuckyError
        If something given cannot be used.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> recipe = lucky.Recipe("run", lucky.Select(keep=4), focus=(60, 200, 64))
    >>> result = lucky.process(recipe)
    >>> result.images["focus"].data.shape
    (64, 64)
    """
    given = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    given, taken = with_calibration(given)
    chain = build_chain(given, opened, job=job)
    recipe, chosen, files, steps = chain.recipe, chain.chosen, chain.files, chain.steps
    calibrated, clean = chain.calibrated, chain.frames
    _check_number(chain, len(chosen), "frames")
    focus, defocus = recipe.window("focus"), recipe.window("defocus")
    notes = [*taken, *chain.notes]
    if focus is None or recipe.get(ReadShifts) is not None:
        table, doubts = _shifts_from_file(recipe, chosen, files, steps)
        notes, long_exposure = [*notes, *doubts], None
    else:
        chain, smoothing = _smoothing_chosen(chain, focus)
        recipe, notes = chain.recipe, [*notes, *smoothing]
        if job.checkpoint is not None:
            job.checkpoint.begin(lambda: job_key(chain))
        made = track_and_rank(
            clean, focus, defocus, recipe, chosen, files, steps, sampling=chain.sampling, job=job
        )
        table, long_exposure = made.table, made.long_exposure
        notes += made.notes
        notes += frame_notes(chosen, made.reasons, made.saturated, calibrated.saturation)
        notes += [] if job.checkpoint is None else job.checkpoint.notes
    table = replace(table, time=chain.times, exposure=chain.exposures)
    found = int(table.found.sum())
    _check_number(chain, found, "frames with a star")
    notes += recipe[StackFrames].notes(found, len(chosen))
    images = stack_results(
        clean,
        table,
        focus,
        defocus,
        recipe[StackFrames],
        chain.header,
        long_exposure=long_exposure,
        job=job,
    )
    damaged = sum(left.is_lost for left in chain.run.left_out) + getattr(chain.run, "missing", 0)
    result = Result(images, table, recipe, tuple(notes), clean, damaged)
    return replace(result, notes=(*notes, result.doubt)) if result.doubt else result


def _check_number(chain: Chain, found: int, what: str) -> None:
    least = chain.recipe[Accept].min_frames
    if found < least:
        raise LuckyError(
            f"The run {chain.run.name} has {found} {what}; at least {least} are required "
            "(--min-frames)."
        )


def _smoothing_chosen(chain: Chain, focus: Window) -> tuple[Chain, tuple[str, ...]]:
    """Return the chain with the smoothing that its recipe leaves open, and what is said of it."""
    recipe = chain.recipe
    sampling = chain.sampling or measure_sampling(chain.calibrated, focus)
    uses = []
    if recipe[Register].smooth is None:
        recipe = recipe.changed(Register, smooth=sampling.smooth)
        uses.append("tracking")
    if recipe[Rank].smooth is None:
        recipe = recipe.changed(Rank, smooth=sampling.smooth)
        uses.append("ranking")
    return replace(chain, recipe=recipe, sampling=sampling), sampling.notes(
        recipe[Register].kind, *uses
    )


def stack_results(
    frames: Frames,
    table: FrameTable,
    focus: Window | None,
    defocus: Window | None,
    method: Method = "mean",
    header: Any = None,
    *,
    long_exposure: Stack | None = None,
    job: Job = QUIET,
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
    method : str or StackFrames
        See `napari_lucky.stack`.
    header : astropy.io.fits.Header, optional
        The run's first file's; see `napari_lucky.stacking.stack_header.moved_header`.
    long_exposure : Stack, optional
        Made if it is not known already.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    """
    kept = np.flatnonzero(table.selected)
    found = np.flatnonzero(table.found)
    by = stack_method(method)
    of_these = table.time is not None and len(table.time) == frames.shape[0]
    times, exposures = (table.time, table.exposure) if of_these else (None, None)
    images = {}
    for name, window, stack in stack_pair(
        frames,
        table.shifts,
        kept,
        focus,
        defocus,
        method=by,
        quality=table.quality,
        long_exposure=long_exposure,
        job=job,
    ):
        shifted = name != "long_exposure"
        of = by.takes(kept, found) if shifted else found
        step = stack_record(by, window, shifted, stack.count, table.frame[of])
        own = moved_header(header, frames, table.shifts, by.subpixel, of) if shifted else header
        images[name] = ImageResult(
            stack.image,
            name,
            timed_header(own, header, frames, of, times, exposures),
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
) -> tuple[FrameTable, list[str]]:
    """Return the table of frames that an earlier job saved, for the frames chosen now.

    And what is doubtful of it.
    """
    path = Path(recipe[ReadShifts].table_file)
    saved = read_table(path)
    if recipe.input.focus is None and recipe.input.defocus is None:
        raise UsageError(
            f"{path} holds shifts, but not where the star is: give a window, --focus or --defocus."
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
    table = FrameTable(
        chosen,
        files,
        saved.shifts[at],
        saved.quality[at],
        selected,
        saved.reference,
        history,
        None if saved.sigma is None else saved.sigma[at],
    )
    return table, shifts_doubts(path, saved.history, steps)
