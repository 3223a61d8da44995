"""Whether a telescope's figures make sense: what is refused, what is only unusual."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Sense:
    """What a figure of a telescope may be.

    Parameters
    ----------
    name : str
        What it is called in a sentence.
    unit : str
        Its unit; empty for a ratio.
    least, most : float
        Outside of them there is no such telescope.
    usual : (float, float)
        Outside of them there is, but seldom.
    slips : tuple of (str, float)
        What it is often given in by mistake, and the factor from there.
    """

    name: str
    unit: str
    least: float
    most: float
    usual: tuple[float, float]
    slips: tuple[tuple[str, float], ...] = ()


SENSE = {
    "wavelength_nm": Sense(
        "wavelength",
        "nm",
        100,
        100_000,
        (300, 2600),
        (("micrometres", 1e3), ("metres", 1e9), ("angstrom", 0.1)),
    ),
    "focal_ratio": Sense("focal ratio", "", 0.5, 1000, (2, 250)),
    "pixel_um": Sense(
        "pixel", "µm", 0.3, 300, (1, 50), (("metres", 1e6), ("mm", 1e3), ("nm", 1e-3))
    ),
    "diameter_m": Sense(
        "diameter", "m", 0.01, 50, (0.03, 5), (("mm", 1e-3), ("cm", 1e-2), ("inches", 0.0254))
    ),
}
LARGEST_OBSTRUCTION, USUAL_OBSTRUCTION = 0.95, 0.6
MOST_SAMPLING, USUAL_SAMPLING = 100.0, (1.5, 20.0)
"""Pixels across lambda/D."""


def impossible(values: Mapping[str, float]) -> str:
    """Return a sentence for the first figure that no telescope has, or an empty text.

    Parameters
    ----------
    values : mapping of str to float
        Some of the parameters of `Telescope`.
    """
    for key, sense in SENSE.items():
        if key not in values:
            continue
        value = values[key]
        if not 0 < value < math.inf:
            return f"The telescope's {_figure(sense, value)}; it must be above 0."
        if not sense.least <= value <= sense.most:
            return (
                f"The telescope's {_figure(sense, value)}; it must be from {sense.least:g} to "
                f"{sense.most:g}{_space(sense.unit)}.{_slip(key, value)}"
            )
    if "obstruction" in values and not 0 <= values["obstruction"] < LARGEST_OBSTRUCTION:
        value = values["obstruction"]
        slip = f" If that is in per cent, give {value / 100:g}." if 1 < value < 95 else ""
        return (
            f"The telescope's central obstruction is {value:g}; give its diameter over the "
            f"pupil's, 0 to under {LARGEST_OBSTRUCTION:g}.{slip}"
        )
    scale = sampling(values)
    if scale is not None and scale > MOST_SAMPLING:
        return (
            f"{_optics(values)} make {scale:.4g} pixels across λ/D; no camera has over "
            f"{MOST_SAMPLING:g}. Check the three and their units."
        )
    return ""


def unusual(values: Mapping[str, float]) -> tuple[str, ...]:
    """Return sentences on figures that few telescopes have, and that may be slips."""
    said = []
    for key, sense in SENSE.items():
        if key in values and not sense.usual[0] <= values[key] <= sense.usual[1]:
            said.append(
                f"The telescope's {_figure(sense, values[key])}, which is unusual."
                f"{_slip(key, values[key])}"
            )
    if values.get("obstruction", 0) > USUAL_OBSTRUCTION:
        said.append(
            f"The telescope's central obstruction is {values['obstruction']:g}, which is unusual. "
            "It is a ratio of diameters, not of areas."
        )
    scale = sampling(values)
    if scale is not None and not USUAL_SAMPLING[0] <= scale <= USUAL_SAMPLING[1]:
        said.append(
            f"{_optics(values)} make {scale:.3g} pixels across λ/D, which is unusual. Check "
            "the three and their units."
        )
    return tuple(said)


def sampling(values: Mapping[str, float]) -> float | None:
    """Return the pixels across lambda/D, or None if not all that they depend on is known."""
    try:
        return values["wavelength_nm"] * 1e-3 * values["focal_ratio"] / values["pixel_um"]
    except (KeyError, ZeroDivisionError):
        return None


def _optics(values: Mapping[str, float]) -> str:
    return (
        f"A wavelength of {values['wavelength_nm']:g} nm, a focal ratio of "
        f"{values['focal_ratio']:g} and a pixel of {values['pixel_um']:g} µm"
    )


def _figure(sense: Sense, value: float) -> str:
    return f"{sense.name} is {value:.6g}{_space(sense.unit)}"


def _space(unit: str) -> str:
    return f" {unit}" if unit else ""


def _slip(key: str, value: float) -> str:
    """Return what was perhaps meant: units in which the figure is usual."""
    if key == "focal_ratio":
        return " It is the focal length over the diameter, at the camera; not the focal length."
    sense = SENSE[key]
    meant = [
        (unit, f"{value * factor:.4g}{_space(sense.unit)}")
        for unit, factor in sense.slips
        if sense.usual[0] <= value * factor <= sense.usual[1]
    ]
    if not meant:
        return ""
    (unit, first), *more = meant
    others = "".join(f"; in {other}, {figure}" for other, figure in more)
    return f" If that is in {unit}, give {first}{others}."
