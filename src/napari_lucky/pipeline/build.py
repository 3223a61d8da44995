"""The chain of a job: a run opened, its frames chosen, calibrated and cleaned, all lazily."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky._version import __version__
from napari_lucky.calibration.calibrate import (
    Calibrated,
    calibrate,
    calibration_record,
    saturation_level,
    with_saturation,
)
from napari_lucky.calibration.flat import header_history, made_flat
from napari_lucky.calibration.masters import DEAD_BELOW, check_shape
from napari_lucky.calibration.sampling import Sampling, measure_sampling
from napari_lucky.calibration.saturation import clipping_level, clipping_note, plateau_notes
from napari_lucky.calibration.step import Calibrate
from napari_lucky.cleaning.clean import clean
from napari_lucky.cleaning.dust import RemoveDust
from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.file_names import names_of
from napari_lucky.fits.plain_files import paths_of, stamps_of
from napari_lucky.fits.run import Run
from napari_lucky.fits.run_files import open_like, open_run
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.fits.time_table import read_times
from napari_lucky.fits.times import UNKNOWN
from napari_lucky.frames.frames import Frames, Subset, View, chain_of, frames_in
from napari_lucky.frames.history import History, frame_numbers, open_step, range_step, times_step
from napari_lucky.frames.sensor_image import LazyImage, SensorImage, rows_of
from napari_lucky.frames.times import frame_exposures, frame_times
from napari_lucky.frames.window import Window, window_text
from napari_lucky.notices import Level, Notice, info
from napari_lucky.pipeline.open_masters import open_masters
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.pipeline.step import FIND, Input, ReadShifts, ReadTimes
from napari_lucky.registration.find_defocused import find_defocused
from napari_lucky.registration.find_star import find_star, mean_of_run
from napari_lucky.registration.step import Register
from napari_lucky.steps.declaration import Request, params
from napari_lucky.text import ShortRepr, counted


@dataclass(frozen=True, eq=False)
class Opened(ShortRepr):
    """What a job works on, where it is open already: the recipe's paths are then not opened.

    Parameters
    ----------
    run : Run or HeldFrames
        The raw frames.
    dark, flat : Frames, optional
        In place of those that the recipe names.
    history : tuple of Record, optional
        What was done to the frames; what their header says if not given.
    flat_history : tuple of Record, optional
        What was done to the flat; likewise.
    """

    run: Any
    dark: Frames | None = None
    flat: Frames | None = None
    history: History | None = None
    flat_history: History | None = None

    @property
    def known(self) -> History:
        """What was done to the frames."""
        return header_history(self.run) if self.history is None else self.history


@dataclass(frozen=True, eq=False)
class Chain:
    """Frames ready to be tracked, and what is known of them.

    Parameters
    ----------
    frames : View
        Calibrated and cleaned.
    calibrated : Calibrated
        The same, calibrated alone.
    run : Run or HeldFrames
        The raw frames.
    chosen : ndarray of int, (n,)
        Numbers of the frames in the run.
    files : list of str
        Their files.
    steps : tuple of Record
        What was done to the pixels.
    recipe : Recipe
        With what was found filled in.
    notes : tuple of str
        What the user should know.
    sampling : Sampling or None
        Measured in the focus window, if frames are to be tracked there.
    """

    frames: View
    calibrated: Calibrated
    run: Any
    chosen: NDArray[np.intp]
    files: list[str]
    steps: History
    recipe: Recipe
    notes: tuple[str, ...]
    sampling: Sampling | None = None
    times: NDArray[np.datetime64] | None = None
    exposures: NDArray[np.float64] | None = None

    @property
    def header(self) -> Any:
        """The run's `astropy.io.fits.Header`."""
        return self.run.header


def build_chain(recipe: Recipe, opened: Opened | None = None, *, job: Job = QUIET) -> Chain:
    """Open a run and build the chain of views that a recipe asks for.

    Masters are made, hot pixels, the stars and dust are looked for; no frame is computed.

    Parameters
    ----------
    recipe : Recipe
    opened : Opened, optional
        What is open already.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Raises
    ------
    LuckyError
        If something given cannot be used.
    """
    if opened is None:
        given = recipe.input
        opened = Opened(open_run(given.frames, given.colour, where=given.where, job=job))
    run, saved = opened.run, opened.known
    notes = run_notes(run) if isinstance(run, Run) else []
    held = {"dark": opened.dark, "flat": opened.flat}
    masters, recipe, master_notes = open_masters(recipe, run, held, saved)
    given, wanted = recipe.input, recipe[Calibrate]
    chosen = frames_in(run.shape[0], slice(given.start, given.stop, given.step))
    frames = Subset(run, chosen)
    times, exposures, read = _taken(recipe, run, chosen)
    for name in ("focus", "defocus"):
        if window := recipe.window(name):
            window.check_on(frames.shape, f"{name} window")
    saturation = wanted.saturation or saturation_level(run.header_with(b"SATURATE"), run)
    notes += master_notes
    calibrated = calibrate(
        frames,
        masters["dark"],
        masters["flat"],
        combine=wanted.combine,
        clip_sigma=wanted.clip_sigma,
        hot_sigma=wanted.hot_sigma,
        dead_below=wanted.dead_below,
        saturation=saturation,
        history=saved,
        flat_history=opened.flat_history,
        job=job,
    )
    if calibrated.masked:
        notes.append(
            info(f"Masked {counted(calibrated.masked, 'hot or dead pixel')} of the sensor.")
        )
    found, seen = None, None
    if given.focus is None and recipe.get(ReadShifts) is None:
        seen = mean_of_run(calibrated, job=job)
        found = find_star(calibrated, scene=recipe[Register].takes_scenes, seen=seen, job=job)
        recipe = recipe.changed(Input, focus=(*found.centre, found.width))
    focus, clipped, clipping = recipe.window("focus"), None, list[str]()
    if wanted.saturation is None and focus is not None:
        level = clipping_level(calibrated, focus, job=job)
        clipped = np.inf  # what is clipped is masked now
        if level is not None and level < calibrated.saturation:
            calibrated, seen = with_saturation(calibrated, level), None
            recipe = recipe.changed(Calibrate, saturation=float(level))
            clipping.append(clipping_note(level, masked=True))
        elif level is None:
            clipping += plateau_notes(calibrated, focus, job=job)
    sampling = None
    if focus is not None and recipe.get(ReadShifts) is None:
        sampling = measure_sampling(calibrated, focus, clipped=clipped, job=job)
        if found is not None:
            what = "Found the star" if sampling.star else "Put the window on the brightest area"
            how: Level = "info" if sampling.star else "warning"
            notes.append(Notice(f"{what}: --focus {window_text(found)}", how))
    notes += clipping
    if recipe.input.defocus == FIND:
        disk = None if focus is None else find_defocused(calibrated, focus, seen=seen, job=job)
        recipe = recipe.changed(Input, defocus=disk)
        notes.append(
            "No defocused star was found; if there is one, give --defocus Y,X,SIZE."
            if disk is None
            else info(f"Found the defocused star: --defocus {window_text(disk)}")
        )
    steps = (
        *(saved or (open_step(run),)),
        *([range_step(chosen)] if len(chosen) < run.shape[0] else []),
        *read,
        calibration_record(calibrated, recipe[Calibrate]),
    )
    windows = (recipe.window("focus"), recipe.window("defocus"))
    light = _light(recipe, calibrated, run, job)
    cleaned = clean(calibrated, recipe.steps, windows=windows, light=light, job=job)
    return Chain(
        cleaned.frames,
        calibrated,
        run,
        frame_numbers(chosen, saved),
        [run.files[k] for k in chosen],
        (*steps, *cleaned.history),
        recipe.with_steps(*cleaned.steps),
        (*notes, *cleaned.notes),
        sampling,
        times,
        exposures,
    )


def _taken(
    recipe: Recipe, run: Run, chosen: NDArray[np.intp]
) -> tuple[NDArray[np.datetime64] | None, NDArray[np.float64] | None, History]:
    """Return when the frames chosen were taken and for how long, and which table was read."""
    frames, given = Subset(run, chosen), recipe.get(ReadTimes)
    times, exposures = frame_times(frames), frame_exposures(frames)
    if given is None and times is None and exposures is None:
        return None, None, ()
    times = np.full(len(chosen), UNKNOWN) if times is None else times
    exposures = np.full(len(chosen), np.nan) if exposures is None else exposures
    if given is None:
        return times, exposures, ()
    path = Path(given.times_file)
    table = read_times(path, run.files)
    listed = table.exposure[chosen]
    exposures = np.where(np.isnan(listed), exposures, listed)
    return table.time[chosen], exposures, (times_step(path),)


def _light(recipe: Recipe, calibrated: Calibrated, run: Run, job: Job) -> SensorImage | None:
    """Return the flat that dust is looked for on, or None for the mean of the frames."""
    dust, by = recipe.get(RemoveDust), recipe[Calibrate]
    if dust is None or dust.on == "mean":
        return None
    if by.flat and dust.action == "divide" and _same(by.flat, dust.on):
        raise UsageError(
            f"{dust.on} calibrates the frames, which divides its shadows out already. Leave "
            "--flat out, mask the shadows, or look for dust on the mean of the frames."
        )
    flat = open_like(dust.on, run)
    check_shape(flat.shape[1:], calibrated.shape, "flat with the dust", "run")
    return made_flat(flat, calibrated.dark, by.combine, by.clip_sigma, DEAD_BELOW, job=job)[0]


def _same(path: str, other: str) -> bool:
    return Path(path).resolve() == Path(other).resolve()


INDIFFERENT = ("times", "shifts", "select", "stack", "accept", "output")
"""Tables of a recipe that no measurement depends on; nor on what is measured on the results."""


def job_key(chain: Chain) -> str:
    """Return a checksum of all that measurements of a job depend on.

    The files' names, sizes and times, which of their frames are used, every number in the views
    of them (masters, masks), the recipe's parameters, and the versions of the programs. What a
    view has computed so far, to have it at hand, is not part of it.
    """
    import scipy

    made = hashlib.blake2b(digest_size=16)
    recipe = chain.recipe
    _feed(made, (__version__, np.__version__, scipy.__version__))
    for step in recipe.steps:
        if step.table not in INDIFFERENT and not isinstance(step, Request):
            _feed(made, (step.table, step.kind))
            for name, one in params(type(step)).items():
                if not one.path and name not in ("start", "stop", "step"):
                    _feed(made, (name, getattr(step, name)))  # what is in the files counts
    _feed(made, chain.chosen)
    *views, run = chain_of(chain.frames)
    for view in views:
        if isinstance(view, View):
            _feed(made, type(view).__name__)
            for field in fields(view):
                if field.name != "frames" and field.init:
                    _feed(made, getattr(view, field.name))
    files = zip(names_of(paths_of(run.images)), stamps_of(run.images), strict=True)
    _feed(made, "".join(f"{name!r}{stamp!r}" for name, stamp in dict.fromkeys(files)))
    return made.hexdigest()


def _feed(made: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        made.update(f"{value.dtype}{value.shape}".encode())
        made.update(np.ascontiguousarray(value).data)
    elif isinstance(value, LazyImage):
        _feed(made, value.shape)
        for rows in rows_of(value):
            _feed(made, rows)
    elif isinstance(value, (tuple, list)):
        made.update(f"{len(value)}:".encode())
        for item in value:
            _feed(made, item)
    elif isinstance(value, dict):
        _feed(made, list(value.items()))
    elif is_dataclass(value):
        _feed(made, type(value).__name__)
        _feed(made, [getattr(value, field.name) for field in fields(value) if field.init])
    elif value is None or isinstance(value, (bool, int, float, str, np.generic)):
        made.update(f"{value!r};".encode("utf-8", "surrogateescape"))
    else:
        raise TypeError(f"{type(value).__name__}: the key of a job is made of plain values only")


@dataclass(frozen=True)
class Placed:
    """The windows that were found in a run."""

    focus: Window | None = None
    defocus: Window | None = None
    note: str = ""


def place_stars(recipe: Recipe, opened: Opened, *, job: Job = QUIET) -> Placed:
    """Find the stars of a run as `napari-lucky process --defocus find` does."""
    try:
        chain = build_chain(recipe, opened, job=job)
    except LuckyError as error:
        return Placed(note=str(error))
    focus, defocus = (chain.recipe.window(name) for name in ("focus", "defocus"))
    return Placed(focus, defocus)
