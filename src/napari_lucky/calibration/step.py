"""The calibration as a step of the job."""

from __future__ import annotations

from typing import Literal

from napari_lucky.fits.frame_kind import Kind
from napari_lucky.steps.declaration import Step, param

MASTERS: tuple[Kind, ...] = ("dark", "flat")
"""What a run is calibrated by; parameters of `Calibrate`."""
Combine = Literal["mean", "median"]


class Calibrate(Step, table="calibrate", place=10):
    """Subtract the dark, divide by the flat, mask hot, dead and saturated pixels.

    calibrated = (raw − dark) / flat, the flat less its dark and divided by its median; see
    `napari_lucky.calibrate`. Without a dark, hot pixels are those that stand still on the sensor.
    auto takes a dark or a flat beside the run with the same size, exposure, gain and filter. off
    uses none, without a notice about one that is there.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> lucky.Calibrate(dark="dark.fits", flat="flat.fits").combine
    'mean'
    """

    dark: str | None = param(
        None, "A file or a folder of dark frames, auto, or off.", option="--dark", path=True
    )
    flat: str | None = param(
        None, "A file or a folder of flat frames, auto, or off.", option="--flat", path=True
    )
    combine: Combine = param("mean", "How frames are combined into a master.")
    clip_sigma: float = param(
        4.0,
        "Values further from the median than this are left out of a master; 0 keeps all.",
        "σ",
        "clip",
        step=0.5,
        ge=0,
    )
    hot_sigma: float = param(
        8.0, "Pixels that stand out by more than this are hot.", "σ", "hot over", step=0.5, gt=0
    )
    dead_below: float = param(
        0.2,
        "Pixels below this fraction of the flat's median are dead.",
        label="dead below",
        step=0.05,
        ge=0,
        lt=1,
    )
    saturation: float | None = param(
        None,
        "Raw pixels at or above this value are masked, such as 4095 for 12 bits; by default from "
        "the header's SATURATE, the file's integers or the run itself.",
        "ADU",
        empty="auto",
        option="--saturation",
        gt=0,
    )
