"""What is given of a telescope, declared as steps are: in recipes, options and docks alike."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Self

from pydantic import model_validator

from napari_lucky.errors import UsageError
from napari_lucky.optics.telescope_sense import LARGEST_OBSTRUCTION, SENSE, impossible
from napari_lucky.optics.telescope_store import named_telescope
from napari_lucky.steps.declaration import Request, param


def _figure(name: str, text: str, label: str, option: str, *, step: float) -> Any:
    """Declare a figure whose limits `SENSE` knows."""
    sense = SENSE[name]
    return param(
        None,
        text,
        sense.unit,
        label,
        empty="not known",
        step=step,
        option=option,
        ge=sense.least,
        le=sense.most,
    )


class TelescopeRequest(Request, table="telescope", place=210, optional=True):
    """What is known of telescope and camera; the frames' FITS header fills in the rest.

    Wavelength λ, focal ratio F and pixel size p give the sampling, λ F / p pixels per λ/D. With the
    obstruction they give the diffraction-limited PSF (Born & Wolf, Principles of Optics, 8.5). What
    is given here wins over a saved telescope, and a saved telescope over the header. Impossible
    figures are refused. For saved telescopes see `napari-lucky telescope`.
    """

    name: str | None = param(
        None,
        "Name of a saved telescope; see `napari-lucky telescope`.",
        option="--telescope",
        hand_made=True,
    )
    wavelength_nm: float | None = _figure(
        "wavelength_nm", "Wavelength of the light.", "wavelength", "--wavelength", step=1
    )
    focal_ratio: float | None = _figure(
        "focal_ratio",
        "Focal length over diameter, at the camera.",
        "focal ratio",
        "--focal-ratio",
        step=1,
    )
    pixel_um: float | None = _figure(
        "pixel_um", "Side of a pixel.", "pixel size", "--pixel-size", step=0.1
    )
    diameter_m: float | None = _figure(
        "diameter_m", "Diameter of the pupil.", "diameter", "--diameter", step=0.05
    )
    focal_length_m: float | None = param(
        None,
        "Focal length at the camera, instead of the focal ratio; it needs the diameter too.",
        "m",
        "focal length",
        option="--focal-length",
        gt=0,
        hand_made=True,
    )
    obstruction: float | None = param(
        None,
        "Diameter of the central obstruction over the pupil's; 0 if nothing gives it, with a "
        "notice.",
        empty="not known",
        step=0.05,
        option="--obstruction",
        ge=0,
        lt=LARGEST_OBSTRUCTION,
    )

    @model_validator(mode="before")
    @classmethod
    def _makes_sense(cls, values: Any) -> Any:
        """Say what was perhaps meant before the limits refuse it."""
        numbers = {name: v for name, v in dict(values).items() if type(v) in (int, float)}
        if why := impossible({name: v for name, v in numbers.items() if name in FIGURES}):
            raise UsageError(why)
        return values

    @model_validator(mode="after")
    def _one_focal_length(self) -> Self:
        if self.focal_ratio is not None and self.focal_length_m is not None:
            raise UsageError(
                "The focal ratio and the focal length are both given: each follows from the other; "
                "give one."
            )
        return self

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values; focal ratio and focal length replace each other."""
        if values.get("focal_length_m") is not None:
            values = {"focal_ratio": None} | values
        if values.get("focal_ratio") is not None:
            values = {"focal_length_m": None} | values
        return super().changed(**values)

    @property
    def known(self) -> dict[str, float]:
        """The figures of the saved telescope, and over them those given; see `telescope_of`.

        Raises
        ------
        LuckyError
            If no telescope of this name is saved.
        """
        given = {name: getattr(self, name) for name in FIGURES}
        given = {name: value for name, value in given.items() if value is not None}
        saved = {} if self.name is None else asdict(named_telescope(self.name))
        if self.focal_length_m is not None:
            saved.pop("focal_ratio", None)
        return saved | given


def known_telescope(request: TelescopeRequest | None) -> dict[str, float]:
    """Return what a request gives of the telescope; nothing if there is none."""
    return {} if request is None else request.known


FIGURES = tuple(name for name in TelescopeRequest.model_fields if name != "name")
"""Parameters that are numbers."""


class Spider(Request, table="spider", place=220, optional=True):
    """Vanes across the pupil that hold the secondary mirror, evenly spaced.

    Each goes from the middle of the pupil to its rim, and blocks a strip of light. The model of the
    wavefront uses these figures as they are: leave the spider out if you do not know them.
    """

    vanes: int = param(4, "Number of vanes.", ge=1, le=12)
    width: float = param(
        0.01,
        "Width of a vane over the pupil's diameter.",
        "",
        "vane width",
        step=0.001,
        gt=0,
        lt=0.3,
    )
    angle: float = param(
        0.0,
        "Angle of the first vane, from +x (right) towards +y (down).",
        "°",
        "vane angle",
        ge=-360,
        le=360,
    )
