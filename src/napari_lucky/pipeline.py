"""The main job: calibrate, register, rank, stack; the same functions that the docks call."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Progress, silent
from .calibration import (
    DEAD_BELOW,
    HOT_SIGMA,
    Calibrated,
    Combine,
    check_calibration,
    hot_pixels,
    master,
    master_flat,
    saturated_frames,
    saturation_level,
)
from .errors import LuckyError
from .finding import find_star, lone_pixels, sample_moments
from .fits_output import ImageResult
from .frames import Frames, Subset
from .ranking import rank, select
from .recipe import Recipe
from .registration import register
from .run import Run, open_run, tell_left_out
from .stacking import stack_pair
from .steps import calibrate_step, open_step, range_step, rank_step, register_step, stack_step
from .table import FrameTable


@dataclass(frozen=True, eq=False)
class Result:
    """What the main job makes.

    Parameters
    ----------
    images : dict of str to ImageResult
        "focus" and "long_exposure", and "defocus" if it has a window; mean calibrated ADU a
        frame.
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


def calibrate(
    frames: Frames,
    dark: Frames | None = None,
    flat: Frames | None = None,
    *,
    combine: Combine = "mean",
    clip_sigma: float = 4.0,
    hot_sigma: float = HOT_SIGMA,
    dead_below: float = DEAD_BELOW,
    saturation: float | None = None,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> Calibrated:
    """Make the masters and return the run as a lazily calibrated view.

    Parameters
    ----------
    frames : Frames
        The run, raw.
    dark, flat : Frames, optional
        One frame or many, in ADU. Without a dark, hot pixels are those that stand alone in
        the mean of the run itself.
    combine, clip_sigma
        How many frames become one; see `master`.
    hot_sigma : float
        Threshold for hot pixels; see `hot_pixels`.
    dead_below : float
        Threshold for dead pixels; see `master_flat`.
    saturation : float, optional
        ADU from which raw pixels are masked; see `saturation_level` for None.
    progress, executor
        See `napari_lucky.blocks.map_blocks`.

    Returns
    -------
    Calibrated
        Its `dark`, `flat` and `bad` are the masters.

    Raises
    ------
    LuckyError
        If shapes differ or the flat holds no light.
    """
    check_calibration(combine, clip_sigma, hot_sigma, dead_below, saturation)
    for name, other in (("dark", dark), ("flat", flat)):
        if other is not None and other.shape[1:] != frames.shape[1:]:
            raise LuckyError(
                f"The {name} has {other.shape[1]} x {other.shape[2]} pixels, the run has "
                f"{frames.shape[1]} x {frames.shape[2]}; they must come from the same sensor "
                "and read-out window."
            )
    work: dict[str, Any] = {"progress": progress, "executor": executor}
    level = None if dark is None else master(dark, combine, clip_sigma, what="dark", **work)
    light = None if flat is None else master(flat, combine, clip_sigma, what="flat", **work)
    if saturation is None:
        saturation = saturation_level(getattr(frames, "header", None), frames.dtype)
    if level is not None:
        bad = hot_pixels(level, hot_sigma)
    else:
        bad = lone_pixels(*sample_moments(frames, **work), hot_sigma)
    return Calibrated(
        frames,
        level,
        None if light is None else master_flat(light, level, dead_below),
        bad if bad.any() else None,
        saturation,
    )


def process(
    recipe: Recipe,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> Result:
    """Turn a run into its lucky pair.

    Parameters
    ----------
    recipe : Recipe
        What to do with which frames.
    progress, executor
        See `napari_lucky.blocks.map_blocks`.

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
    run = open_run(recipe.frames)
    notes = tell_left_out(run)
    chosen = _chosen(run.shape[0], recipe)
    frames = Subset(run, chosen)
    for name in ("focus", "defocus"):
        if window := recipe.window(name):
            window.check_on(frames.shape, f"{name} window")
    saturation = recipe.saturation or saturation_level(run.header, run.dtype)
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
        **parameters,  # type: ignore[arg-type]
        **work,
    )
    if calibrated.masked:
        notes.append(f"Masked {calibrated.masked} hot or dead pixels of the sensor.")
    focus = recipe.window("focus")
    if focus is None:
        focus = find_star(calibrated, **work)
        notes.append(f"Found the star: --focus {','.join(map(str, (*focus.centre, focus.width)))}")
    defocus = recipe.window("defocus")
    registration = register(
        calibrated,
        focus,
        recipe.register,  # type: ignore[arg-type]
        recipe.smooth,
        **work,
    )
    quality = rank(calibrated, focus, recipe.rank, recipe.rank_smooth, **work)
    quality[~registration.found] = np.nan
    notes += tell_frames(
        chosen, registration.found, saturated_frames(calibrated, focus, **work), calibrated
    )
    kept = select(quality, recipe.keep)

    history = (
        open_step(run),
        *(
            [range_step(int(chosen[0]), int(chosen[-1]) + 1)]
            if len(chosen) < len(run.files)
            else []
        ),
        calibrate_step(
            calibrated, parameters, {"dark": _name(recipe.dark), "flat": _name(recipe.flat)}
        ),
        register_step(registration, defocus),
        rank_step(recipe.rank, recipe.rank_smooth, recipe.keep, len(kept)),
    )
    images = {
        name: ImageResult(
            stack.image,
            name,
            run.header,
            (*history, stack_step(window, name != "long_exposure", recipe.subpixel, stack.count)),
            (window.y0, window.x0),
            stack.count,
        )
        for name, window, stack in stack_pair(
            calibrated, registration.shifts, kept, focus, defocus, recipe.subpixel, **work
        )
    }
    table = FrameTable(
        chosen,
        [run.files[k] for k in chosen],
        registration.shifts,
        quality,
        np.isin(np.arange(len(chosen)), kept),
        registration.reference,
        history,
    )
    resolved = replace(recipe, focus=(*focus.centre, focus.width))
    return Result(images, table, resolved, tuple(notes))


def tell_frames(
    frame: NDArray[np.intp],
    found: NDArray[np.bool_],
    saturated: NDArray[np.bool_],
    calibrated: Calibrated,
) -> list[str]:
    """Return sentences that tell of the frames without a star, and of saturated ones."""
    notes = []
    if (lost := frame[~found]).size:
        notes.append(
            f"Left out {_tell(lost)} without a star: all pixels there are equal or masked."
        )
    if (bright := frame[saturated]).size:
        notes.append(
            f"Masked the saturated pixels ({calibrated.saturation:g} ADU and more) of the star "
            f"in {_tell(bright)}; the quality found there is not to be trusted."
        )
    return notes


def _tell(frames: NDArray[np.intp], most: int = 5) -> str:
    names = ", ".join(map(str, frames[:most])) + (" …" if len(frames) > most else "")
    return f"{len(frames)} frame{'' if len(frames) == 1 else 's'} ({names})"


def _chosen(n: int, recipe: Recipe) -> NDArray[np.intp]:
    chosen = np.arange(n)[slice(recipe.start, recipe.stop)]
    if len(chosen) == 0:
        start, stop = ("" if v is None else v for v in (recipe.start, recipe.stop))
        raise LuckyError(f"--frames {start}:{stop} chooses none of the run's {n} frames.")
    return chosen


def _open_optional(path: str | None, notes: list[str]) -> Run | None:
    if path is None:
        return None
    run = open_run(path)
    notes += tell_left_out(run)
    return run


def _name(path: str | None) -> str | None:
    return None if path is None else Path(path).name
