"""The chain of a job: a run opened, its frames chosen, calibrated and cleaned, all lazily."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Progress, silent
from .calibrating import calibrate
from .calibration import Calibrated, check_shape, saturation_level
from .cleaning import clean
from .errors import LuckyError
from .finding import find_star
from .flats import flat_field, header_history, tell_kind
from .frames import Subset, View, frames_in
from .history import History
from .recipe import Recipe
from .run import Run, open_run, tell_left_out
from .sampling import Sampling, measure_sampling
from .saturation import clipping_level, tell_clipping
from .steps import calibrate_step, frame_numbers, open_step, range_step


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
    sampling = None
    if recipe.focus is None and recipe.shifts is None:
        found = find_star(calibrated, scene=recipe.register == "correlation", **work)
        recipe = replace(recipe, focus=(*found.centre, found.width))
        sampling = measure_sampling(calibrated, found)
        what = "Found the star" if sampling.star else "Put the window on the brightest light"
        notes.append(f"{what}: --focus {','.join(map(str, (*found.centre, found.width)))}")
    if recipe.saturation is None and (focus := recipe.window("focus")) is not None:
        level = clipping_level(calibrated, focus)
        if level is not None and level < calibrated.saturation:
            calibrated = replace(calibrated, saturation=level)
            recipe, sampling = replace(recipe, saturation=level), None  # seen in clipped frames
            notes.append(tell_clipping(level, masked=True))
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


def _light(
    recipe: Recipe, calibrated: Calibrated, work: dict[str, Any]
) -> NDArray[np.float32] | None:
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
    return flat_field(flat, calibrated.dark, recipe.combine, recipe.clip_sigma, **work).response  # type: ignore[arg-type]


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
