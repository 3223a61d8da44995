"""What `psf_figures` returns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.psf.recipe import PsfRecipe
from napari_lucky.text import ShortRepr, counted, html, html_table

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PsfErrors(ShortRepr):
    """Standard deviations of the figures of the same names.

    Parameters
    ----------
    resamples : int
        How many stacks of frames drawn with replacement were measured. 0: the errors are those of
        the noise in a single image (`image_noise`), and NaN where that gives none.
    alike : float
        Over how many frames neighbours are alike; blocks of them were drawn. 0: single frames.
    short : bool
        Whether the run is too short for that, and the errors are unsure.
    """

    resamples: int
    strehl: float
    fwhm_major: float
    fwhm_minor: float
    angle: float
    flux: float
    background: float
    encircled: FloatArray
    profile: FloatArray
    alike: float = 0.0
    short: bool = False


@dataclass(frozen=True, eq=False)
class PsfFigures:
    """What `psf_figures` measures.

    Parameters
    ----------
    strehl : float
        (peak / flux) over that of the diffraction-limited PSF, both measured alike; NaN where that
        is not known.
    fwhm_major, fwhm_minor : float
        Full width at half the peak along the axes of an ellipse, in pixels; NaN where no ellipse
        fits.
    angle : float
        Of the major axis, in degrees from +x (right) towards +y (down), over −90 to 90.
    centre : (float, float)
        (y, x) of the peak, in pixels of the image.
    peak, flux, background : float
        Height over the background in ADU, light in the aperture in ADU, background in ADU a pixel.
    radius : ndarray of float64, (k,)
        Distances from the peak in pixels, from 0 to the aperture's radius.
    encircled, perfect_encircled : ndarray of float64, (k,)
        Light within the radius over that within the aperture, of the image and of the
        diffraction-limited PSF: the integral of the profile. The latter is NaN where it is not
        known.
    profile, perfect_profile : ndarray of float64, (k,)
        Mean intensity at the radius, over flux, in units of the diffraction-limited PSF's peak:
        they begin with the Strehl ratio, and with 1. Where that is not known, in units of the
        image's own peak.
    diffraction : Diffraction or None
        The diffraction-limited PSF; None where it is not known.
    recipe : PsfRecipe
        With the radii used.
    masked : int
        Pixels of the aperture that were masked and have their neighbours' mean.
    errors : PsfErrors, optional
        From the image's noise, or from a bootstrap over frames.
    strehl_with_halo : float
        Of all the star's light: that of a halo beyond the aperture, or taken for background, is
        estimated from the halo's wings (`napari_lucky.psf_halo.fit_halo`); NaN where it is lost in
        the noise.
    cautions : tuple of str
        Why the Strehl ratio may be wrong, as far as the image shows it; empty where nothing does.
    """

    strehl: float
    fwhm_major: float
    fwhm_minor: float
    angle: float
    centre: tuple[float, float]
    peak: float
    flux: float
    background: float
    radius: FloatArray
    encircled: FloatArray
    perfect_encircled: FloatArray
    profile: FloatArray
    perfect_profile: FloatArray
    diffraction: Diffraction | None
    recipe: PsfRecipe
    masked: int = 0
    errors: PsfErrors | None = None
    strehl_with_halo: float = math.nan
    cautions: tuple[str, ...] = ()

    def __repr__(self) -> str:
        ratio = "" if math.isnan(self.strehl) else f"Strehl ratio {self.text_of('strehl')}, "
        cautions = f"; {counted(len(self.cautions), 'caution')}" if self.cautions else ""
        return (
            f"<PsfFigures: {ratio}FWHM {self.fwhm_major:.3g} x {self.fwhm_minor:.3g} px, "
            f"flux {self.text_of('flux')} ADU{cautions}>"
        )

    def error_of(self, name: str) -> float:
        """Return the standard deviation of a figure; NaN where it is not known."""
        return math.nan if self.errors is None else float(getattr(self.errors, name))

    def text_of(self, name: str, places: str = ".4g") -> str:
        """Return a figure and its error as a text."""
        value, error = f"{getattr(self, name):{places}}", self.error_of(name)
        return value if math.isnan(error) else f"{value} ± {error:.2g}"

    def _repr_html_(self) -> str:
        rows = [
            ("Strehl ratio", self.text_of("strehl"), ""),
            ("FWHM, major axis", self.text_of("fwhm_major"), "px"),
            ("FWHM, minor axis", self.text_of("fwhm_minor"), "px"),
            ("angle", self.text_of("angle"), "°"),
            ("flux", self.text_of("flux"), "ADU"),
            ("background", self.text_of("background"), "ADU a pixel"),
            ("radius of half the light", f"{self.radius_of(0.5):.4g}", "px"),
            ("aperture's radius", f"{self.radius[-1]:.4g}", "px"),
        ]
        cautions = "".join(f"<li>{html(caution)}</li>" for caution in self.cautions)
        return f"{html_table(rows)}<ul>{cautions}</ul>"

    @property
    def fwhm(self) -> float:
        """Geometric mean of the FWHM along both axes, in pixels."""
        return math.sqrt(self.fwhm_major * self.fwhm_minor)

    @property
    def aperture(self) -> float:
        """Radius of the aperture in lambda/D; NaN where that is not known."""
        if self.diffraction is None:
            return math.nan
        return (self.recipe.aperture or math.nan) / self.diffraction.sampling

    def radius_of(self, fraction: float, perfect: bool = False) -> float:
        """Return the radius in pixels that holds a fraction of the light in the aperture."""
        curve = self.perfect_encircled if perfect else self.encircled
        return float(np.interp(fraction, np.maximum.accumulate(curve), self.radius))
