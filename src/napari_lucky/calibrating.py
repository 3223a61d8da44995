"""A run, its dark and its flat made into the calibrated run."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import numpy as np

from .bad_pixels import HOT_SIGMA, hot_in
from .blocks import Progress, Threads, silent
from .calibration import (
    DEAD_BELOW,
    Calibrated,
    Combine,
    calibrated_in,
    check_calibration,
    combined,
    saturation_level,
)
from .errors import LuckyError
from .finding import WindowOf, standing_pixels
from .flats import check_kind, made_flat
from .frames import Frames
from .history import History
from .sensor_images import BitMask
from .windows import Window

FEWEST = 8
"""Fewer frames do not tell what stands still from a star."""


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
    history: History = (),
    flat_history: History | None = None,
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
        the mean of the run itself. A master flat is taken as it is; see `flat_field`.
    combine, clip_sigma
        How many frames become one; see `master`.
    hot_sigma : float
        Threshold for hot pixels; see `hot_pixels`.
    dead_below : float
        Threshold for dead pixels; see `master_flat`.
    saturation : float, optional
        ADU from which raw pixels are masked; see `saturation_level` for None.
    history : tuple of Step
        What was done to the frames: dark and flat are not taken out twice.
    flat_history : tuple of Step, optional
        What was done to the flat; what its file's header says if None.
    progress, executor
        See `napari_lucky.blocks.map_blocks`.

    Returns
    -------
    Calibrated
        Its `dark`, `flat` and `bad` are the masters, `light` the flat before normalisation. Of
        sensors of over 8 million pixels they are in temporary files: `numpy.asarray` reads them.

    Raises
    ------
    LuckyError
        If shapes differ, the flat holds no light, or the frames are calibrated already.
    """
    check_calibration(combine, clip_sigma, hot_sigma, dead_below, saturation)
    for name, other in (("dark", dark), ("flat", flat)):
        if other is not None and any(
            step.name == "calibrate" and name in step.inputs for step in history
        ):
            raise LuckyError(
                f"These frames are calibrated already, with a {name}: leave the {name} out, or "
                "take the raw frames."
            )
        if other is not None and other.shape[1:] != frames.shape[1:]:
            raise LuckyError(
                f"The {name} has {other.shape[1]} x {other.shape[2]} pixels, the run has "
                f"{frames.shape[1]} x {frames.shape[2]}; they must come from the same sensor "
                "and read-out window."
            )
        if other is not None:
            check_kind(other, name, flat_history if name == "flat" else None)
    work: dict[str, Any] = {"progress": progress, "executor": executor}
    level = None if dark is None else combined(dark, combine, clip_sigma, what="dark", **work)
    response, light = None, None
    with Threads(1) as pool:  # two medians of a whole sensor, side by side
        hot = None if level is None else pool.submit(hot_in, level, hot_sigma)
        if flat is not None:
            response, light = made_flat(
                flat, level, combine, clip_sigma, dead_below, history=flat_history, **work
            )
    bad = standing_pixels(frames, hot_sigma, **work) if hot is None else hot.result()
    if saturation is None:
        saturation = saturation_level(getattr(frames, "header", None), frames.dtype)
    return Calibrated(
        frames,
        level,
        response,
        bad if bad.any() else None,
        saturation,
        light,
    )


def without_standing(frames: Frames, window: Window) -> Frames:
    """Return frames with the hot pixels in and around a window masked, if nobody looked for them.

    Frames that are calibrated already come back as they are. Those around it, to as far as it is
    wide, are masked because a window moves with its star.
    """
    if calibrated_in(frames) is not None or frames.shape[0] < FEWEST:
        return frames
    wide = Window(
        window.y0 - window.height,
        window.x0 - window.width,
        3 * window.height,
        3 * window.width,
    ).clipped(frames.shape)
    found = standing_pixels(WindowOf(frames, wide))
    if not found.any():
        return frames
    rows, columns = wide.slices
    around = np.zeros((wide.height, frames.shape[2]), bool)
    around[:, columns] = found
    bad = BitMask(frames.shape)
    bad.set_rows(rows, around)
    return Calibrated(frames, bad=bad)
