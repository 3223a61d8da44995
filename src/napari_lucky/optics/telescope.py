"""A telescope and its camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_lucky.errors import UsageError
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.optics.telescope_sense import SENSE, impossible
from napari_lucky.steps.plain_number import plain_number


@dataclass(frozen=True)
class Telescope:
    """Telescope and pixel, which together set the scale of the image.

    Parameters
    ----------
    diameter_m : float
        Of the pupil, in metres. This and the others may be an `astropy.units.Quantity`.
    obstruction : float
        Diameter of the central obstruction over the pupil's, 0 to under 0.95.
    wavelength_nm : float
        In nanometres.
    focal_ratio : float
        Focal length over diameter, at the camera.
    pixel_um : float
        Side of a pixel, in micrometres.

    Raises
    ------
    LuckyError
        If there is no such telescope; the sentence names the unit. What is only unusual is said
        by `napari_lucky.optics.telescope_sense.unusual`.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> telescope = lucky.Telescope(
    ...     diameter_m=0.45, obstruction=0.3, wavelength_nm=633, focal_ratio=58.6, pixel_um=5.3
    ... )
    >>> round(telescope.px_per_lambda_over_d, 2)  # px per lambda/D
    7.0
    """

    diameter_m: float
    obstruction: float
    wavelength_nm: float
    focal_ratio: float
    pixel_um: float

    def __post_init__(self) -> None:
        units = {name: sense.unit for name, sense in SENSE.items()} | {"obstruction": ""}
        for name, unit in units.items():
            what = SENSE[name].name if name in SENSE else name
            object.__setattr__(self, name, plain_number(getattr(self, name), unit, what))
        if why := impossible(vars(self)):
            raise UsageError(why)

    @property
    def px_per_lambda_over_d(self) -> float:
        """Pixels across one lambda/D in the focal plane."""
        return self.wavelength_nm * 1e-3 * self.focal_ratio / self.pixel_um

    @property
    def focal_length_m(self) -> float:
        """Focal length at the camera, in metres."""
        return self.focal_ratio * self.diameter_m

    @property
    def arcsec_per_px(self) -> float:
        """Angle on the sky that a pixel spans, in seconds of arc."""
        return math.degrees(self.pixel_um * 1e-6 / self.focal_length_m) * 3600

    @property
    def diffraction(self) -> Diffraction:
        """What decides its diffraction-limited PSF on the sensor."""
        return Diffraction(self.px_per_lambda_over_d, self.obstruction)
