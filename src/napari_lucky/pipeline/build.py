"""The chain of a job: a run opened, its frames chosen, calibrated and cleaned, all lazily."""

from __future__ import annotations

import hashlib
from concurrent.futures import Executor
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky._version import __version__
from napari_lucky.calibration.calibrate import (
    Calibrated,
    calibrate,
    calibrate_step,
    saturation_level,
)
from napari_lucky.calibration.flat_field import header_history, made_flat, tell_kind
from napari_lucky.calibration.masters import DEAD_BELOW, check_shape
from napari_lucky.calibration.sampling import Sampling, measure_sampling
from napari_lucky.calibration.saturation import clipping_level, tell_clipping
from napari_lucky.cleaning.clean import clean
from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import Progress, silent
from napari_lucky.fits.run import Run, open_run, tell_left_out
from napari_lucky.frames.frames import Subset, View, frames_in, whole_run
from napari_lucky.frames.history import History, frame_numbers, open_step, range_step
from napari_lucky.frames.sensor_image import BitMask, SensorImage, StoredImage, rows_of
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.registration.find_star import find_star


@dataclass(frozen=True, eq=False)
class Chain:
    """Frames ready to be tracked, and what is known of them.

    Parameters
    ----------
    frames : View
        Calibrated and cleaned.
    calibrated : Calibrated
        The same, calibrated alone.
    run : Run
        The files.
    chosen : ndarray of int, (n,)
        Numbers of the frames in the run.
    files : list of str
        Their files.
    steps : tuple of Step
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
    run: Run
    chosen: NDArray[np.intp]
    files: list[str]
    steps: History
    recipe: Recipe
    notes: tuple[str, ...]
    sampling: Sampling | None = None

    @property
    def header(self) -> Any:
        """The run's `astropy.io.fits.Header`."""
        return self.run.header


def build_chain(
    recipe: Recipe, *, progress: Progress = silent, executor: Executor | None = None
) -> Chain:
    """Open a run and build the chain of views that a recipe asks for.

    Masters are made, hot pixels, the star and dust are looked for; no frame is computed.

    Raises
    ------
    LuckyError
        If something given cannot be used.
    """
    work: dict[str, Any] = {"progress": progress, "executor": executor}
    run = open_run(recipe.frames)
    notes = tell_left_out(run)
    saved = header_history(run)
    chosen = frames_in(run.shape[0], slice(recipe.start, recipe.stop, recipe.step))
    frames = Subset(run, chosen)
    for name in ("focus", "defocus"):
        if window := recipe.window(name):
            window.check_on(frames.shape, f"{name} window")
    saturation = recipe.saturation or saturation_level(run.header_with(b"SATURATE"), run.dtype)
    notes += [*tell_kind(recipe.dark, "dark"), *tell_kind(recipe.flat, "flat")]
    parameters = {
        "combine": recipe.combine,
        "clip_sigma": recipe.clip_sigma,
        "hot_sigma": recipe.hot_sigma,
        "dead_below": recipe.dead_below,
    }
    calibrated = calibrate(
        frames,
        _open_optional(recipe.dark, notes),
        _open_optional(recipe.flat, notes),
        saturation=saturation,
        history=saved,
        **parameters,  # type: ignore[arg-type]
        **work,
    )
    if calibrated.masked:
        notes.append(f"Masked {calibrated.masked} hot or dead pixels of the sensor.")
    found = None
    if recipe.focus is None and recipe.shifts is None:
        found = find_star(calibrated, scene=recipe.register == "correlation", **work)
        recipe = replace(recipe, focus=(*found.centre, found.width))
    focus, clipped, told = recipe.window("focus"), None, list[str]()
    if recipe.saturation is None and focus is not None:
        level = clipping_level(calibrated, focus)
        clipped = np.inf  # what is clipped is masked now
        if level is not None and level < calibrated.saturation:
            calibrated = replace(calibrated, saturation=level)
            recipe = replace(recipe, saturation=level)
            told.append(tell_clipping(level, masked=True))
    sampling = None
    if focus is not None and recipe.shifts is None:
        sampling = measure_sampling(calibrated, focus, clipped=clipped)
        if found is not None:
            what = "Found the star" if sampling.star else "Put the window on the brightest light"
            notes.append(f"{what}: --focus {','.join(map(str, (*found.centre, found.width)))}")
    notes += told
    steps = (
        *(saved or (open_step(run),)),
        *([range_step(chosen)] if len(chosen) < len(run.files) else []),
        calibrate_step(
            calibrated, parameters, {"dark": _name(recipe.dark), "flat": _name(recipe.flat)}
        ),
    )
    windows = (recipe.window("focus"), recipe.window("defocus"))
    cleaned = clean(calibrated, recipe, windows, light=_light(recipe, calibrated, work), **work)
    spots = tuple((float(y), float(x), float(r)) for y, x, r in cleaned.spots)
    return Chain(
        cleaned.frames,
        calibrated,
        run,
        frame_numbers(chosen, saved),
        [run.files[k] for k in chosen],
        (*steps, *cleaned.steps),
        replace(recipe, dust_spots=spots),
        (*notes, *cleaned.notes),
        sampling,
    )


def _light(recipe: Recipe, calibrated: Calibrated, work: dict[str, Any]) -> SensorImage | None:
    """Return the flat that dust is looked for on, or None for the mean of the frames."""
    if recipe.dust_on == "mean" or not recipe.seeks_dust:
        return None
    if recipe.flat and recipe.dust_as == "divide" and _same(recipe.flat, recipe.dust_on):
        raise LuckyError(
            f"{recipe.dust_on} calibrates the frames, which divides its shadows out already. Leave "
            "--flat out, mask the shadows, or look for dust on the mean of the frames."
        )
    flat = open_run(recipe.dust_on)
    check_shape(np.broadcast_to(0, flat.shape[1:]), calibrated.shape, "flat with the dust", "run")
    combine, clip = recipe.combine, recipe.clip_sigma
    return made_flat(flat, calibrated.dark, combine, clip, DEAD_BELOW, **work)[0]  # type: ignore[arg-type]


def _same(path: str, other: str) -> bool:
    return Path(path).resolve() == Path(other).resolve()


def _open_optional(path: str | None, notes: list[str]) -> Run | None:
    if path is None:
        return None
    run = open_run(path)
    notes += tell_left_out(run)
    return run


def _name(path: str | None) -> str | None:
    return None if path is None else Path(path).name


INDIFFERENT = (
    *("keep", "keep_above", "add", "drop", "stack", "subpixel", "integers"),
    *("frames", "dark", "flat", "dust_on", "shifts", "start", "stop", "step"),
)
"""Parameters of a recipe that no measurement depends on.

Of paths and ranges, what is in the files and which frames are chosen counts.
"""


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
    for parameter in fields(recipe):
        if parameter.name not in INDIFFERENT:
            _feed(made, (parameter.name, getattr(recipe, parameter.name)))
    _feed(made, chain.chosen)
    frames: Any = chain.frames
    while isinstance(frames, View):
        _feed(made, type(frames).__name__)
        for field in fields(frames):
            if field.name != "frames" and field.init:
                _feed(made, getattr(frames, field.name))
        frames = frames.frames
    run: Any = whole_run(frames)
    for path, stamp in dict.fromkeys((image.path, image.stamp) for image in run.images):
        _feed(made, (path.name, stamp))
    return made.hexdigest()


def _feed(made: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        made.update(f"{value.dtype}{value.shape}".encode())
        made.update(np.ascontiguousarray(value).data)
    elif isinstance(value, (BitMask, StoredImage)):
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
