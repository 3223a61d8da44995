"""The flat field: combined, freed of its dark, normalised, and never so twice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky.calibration.masters import DEAD_BELOW, combined, freed_of, normalised
from napari_lucky.calibration.step import Combine
from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, ImageLike, as_frames, as_image
from napari_lucky.fits.card_value import values_in
from napari_lucky.fits.frame_kind import kind_in_header
from napari_lucky.fits.run import Run
from napari_lucky.frames.frames import Frames
from napari_lucky.frames.history import FIRST, History, Record, read_history
from napari_lucky.frames.sensor_image import (
    SensorImage,
    bands_of,
    blank_image,
    median_of,
    rows_of,
)
from napari_lucky.notices import Notice

SUBTRACTED, NORMALISED = "subtract dark", "normalise flat"
"""Names of the steps that say what was done to a flat already."""
TYPES = ("IMAGETYP", "FRAMETYP", "OBSTYPE", "IMGTYPE", "FRAME")
"""Keywords with which headers say what a frame is."""
SAYS = {"dark": re.compile("dark|bias|offset", re.I), "flat": re.compile("flat", re.I)}


@dataclass(frozen=True, eq=False)
class FlatField:
    """A flat before and after its normalisation.

    Parameters
    ----------
    response : ndarray of float32, (y, x), or SensorImage
        Relative response, median 1, NaN where dead.
    light : ndarray of float32, (y, x), or SensorImage, optional
        Combined flat less the dark, ADU; None of a flat that was given normalised.
    """

    response: SensorImage
    light: SensorImage | None = None

    @cached_property
    def level(self) -> float:
        """Median of the light, ADU; NaN without it."""
        light = self.light
        return float("nan") if light is None else median_of(lambda: rows_of(light))

    @cached_property
    def rms(self) -> float:
        """Root mean square of the response − 1 over the pixels that are not dead."""
        total = sum(
            float(np.nansum((rows.astype(np.float64) - 1) ** 2)) for rows in rows_of(self.response)
        )
        return float(np.sqrt(total / (np.prod(self.response.shape) - self.dead)))

    @cached_property
    def dead(self) -> int:
        """Number of dead pixels."""
        return sum(int(np.isnan(rows).sum()) for rows in rows_of(self.response))

    def check_row(self, row: int | None) -> int:
        """Return a row's number from 0, the middle one's for None; raise if there is none."""
        ny = self.response.shape[0]
        if row is not None and not 0 <= row < ny:
            raise UsageError(f"The flat has no row {row}; its rows are 0 to {ny - 1}.")
        return ny // 2 if row is None else row


def flat_field(
    flat: FramesLike,
    dark: ImageLike | None = None,
    *,
    combine: Combine = "mean",
    clip_sigma: float = 4.0,
    dead_below: float = DEAD_BELOW,
    history: History | None = None,
    job: Job = QUIET,
) -> FlatField:
    """Combine a flat's frames, take off the dark, and normalise to median 1.

    What the flat's history says was done is not done again: the dark of a flat that is free of
    it ("subtract dark") stays on, and a master flat ("normalise flat") is taken as it is, but
    for the pixels that are dead.

    Parameters
    ----------
    flat : Frames, path or array
        One frame or many, ADU.
    dark : array, (y, x), or path, optional
        Combined dark of the same exposure, ADU.
    combine : {"mean", "median"}
        How many frames become one; see `master`.
    clip_sigma : float
        Clipping threshold in standard deviations; see `master`.
    dead_below : float
        See `master_flat`.
    history : tuple of Record, optional
        The flat's; that of its file's header if None.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    FlatField
        Relative response (median 1, NaN where dead), and the flat before normalisation.

    Raises
    ------
    LuckyError
        If the shapes differ, the flat is no brighter than the dark, or all of it is dead.
    """
    flat = as_frames(flat, "flat")
    dark = None if dark is None else as_image(dark, "dark")
    response, light = made_flat(
        flat, dark, combine, clip_sigma, dead_below, history=history, job=job
    )
    return FlatField(np.asarray(response), None if light is None else np.asarray(light))


def made_flat(
    flat: Frames,
    dark: SensorImage | None,
    combine: Combine,
    clip_sigma: float,
    dead_below: float,
    *,
    history: History | None = None,
    job: Job = QUIET,
) -> tuple[SensorImage, SensorImage | None]:
    """Make response and light as `flat_field` does; those of a large sensor are not in memory."""
    done = {step.name for step in (header_history(flat) if history is None else history)}
    image = combined(flat, combine, clip_sigma, what="flat", job=job)
    if NORMALISED in done:
        return _alive(image, dead_below), None
    if SUBTRACTED in done:
        dark = None
    response = normalised(image, dark, dead_below)
    return response, freed_of(dark, image)


def _alive(response: SensorImage, dead_below: float) -> SensorImage:
    """Return a response with NaN where it is dead."""
    out = blank_image(response.shape)
    none = True
    for band in bands_of(response.shape):
        pixels = response[band, :]
        alive = pixels >= dead_below
        none &= not alive.any()
        out[band] = np.where(alive, pixels, np.float32(np.nan))
    if none:
        raise LuckyError(
            f"The master flat has no pixel with a response of {dead_below} or more; check "
            "that it is a flat, or lower the threshold for dead pixels."
        )
    return out


def header_history(frames: Any) -> History:
    """Return the history that the header of a file of frames holds; none of other frames."""
    if isinstance(frames, Run):
        header = frames.header_with(FIRST.encode())
    else:
        header = getattr(frames, "header", None)
    return read_history(map(str, header.get("HISTORY", []))) if header else ()


def check_frame_kind(frames: Frames, kind: str, history: History | None = None) -> None:
    """Raise a `LuckyError` if what is given as dark or flat says that it is the other one.

    Parameters
    ----------
    frames : Frames
        With a header, which may say it; see `TYPES`.
    kind : str
        "dark" or "flat": as what it is given.
    history : tuple of Record, optional
        What was done to it; that of its file's header if None.
    """
    other = "flat" if kind == "dark" else "dark"
    done = {step.name for step in (header_history(frames) if history is None else history)}
    name = getattr(frames, "name", kind)
    if f"combine {other}" in done and f"combine {kind}" not in done:
        raise LuckyError(f"{name}: given as the {kind}, but it is a master {other}.")
    for keyword in TYPES:
        value = str(_header_with(frames, keyword).get(keyword, ""))
        if SAYS[other].search(value) and not SAYS[kind].search(value):
            raise LuckyError(
                f"{name}: given as the {kind}, but its header says {keyword} = {value!r}. Check "
                "that dark and flat are not swapped."
            )


def kind_notes(path: str | Path | None, kind: str, frames: Any = None) -> list[str]:
    """Return a sentence if what is given as dark or flat is called as the other one, or a light.

    Parameters
    ----------
    path : path, optional
    kind : str
        "dark" or "flat": as what it is given.
    frames : Run, optional
        What is there; its header may say that it is a light.
    """
    cards = values_in(frames.images[0].header_cards.settings) if isinstance(frames, Run) else {}
    if kind_in_header(cards) == "light":
        text = f"{frames.name} is given as the {kind}, but its header says that it is a light."
        return [Notice(text, file=path or "")]
    other = "flat" if kind == "dark" else "dark"
    name = "" if path is None else Path(path).name
    if not SAYS[other].search(name) or SAYS[kind].search(name):
        return []
    text = f"{name} is given as the {kind}: check that dark and flat are not swapped."
    return [Notice(text, file=path or "")]


def _header_with(frames: Frames, keyword: str) -> Mapping[str, Any]:
    if isinstance(frames, Run):
        return frames.header_with(keyword.encode()) or {}
    return getattr(frames, "header", None) or {}


def flat_steps(
    field: FlatField, parameters: Mapping[str, Any], dark: Mapping[str, Any] | None = None
) -> tuple[Record, ...]:
    """Return the history of a response that was made here; all but the last that of its light.

    Parameters
    ----------
    field : FlatField
        What was made.
    parameters : mapping
        How it was combined.
    dark : mapping, optional
        What identifies the dark that was taken off.
    """
    facts: dict[str, Any] = {"rms": field.rms, "dead_pixels": field.dead}
    if field.light is None:  # it was given so
        return (Record(NORMALISED, facts),)
    facts["median"] = field.level
    combined = Record("combine flat", dict(parameters))
    subtracted = () if dark is None else (Record(SUBTRACTED, inputs=dict(dark)),)
    return (combined, *subtracted, Record(NORMALISED, facts))
