"""The figures of a PSF: Strehl ratio with its recipe, FWHM, encircled energy, radial profile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid

from .band_limited import FINER, filled, fine_image
from .diffraction import Diffraction, psf_at
from .errors import LuckyError
from .figure_recipe import FigureRecipe
from .frames import is_empty
from .profiles import cut_around, peak_pixel
from .psf_width import ellipse, rays_from, widths_at
from .windows import Window

FloatArray = NDArray[np.float64]
MOST_MASKED = 0.1
PARTS = 5
"""A pixel is cut into 5 x 5 to tell how much of it lies in a circle."""


@dataclass(frozen=True, eq=False)
class PsfErrors:
    """Standard deviations of the figures of the same names, over resamples of the frames.

    Parameters
    ----------
    resamples : int
        How many stacks of frames drawn with replacement were measured.
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


@dataclass(frozen=True, eq=False)
class PsfFigures:
    """What `psf_figures` measures.

    Parameters
    ----------
    strehl : float
        (peak / flux) over that of the diffraction-limited PSF, both measured alike.
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
        diffraction-limited PSF: the integral of the profile.
    profile, perfect_profile : ndarray of float64, (k,)
        Mean intensity at the radius, over flux, in units of the diffraction-limited PSF's peak:
        they begin with the Strehl ratio, and with 1.
    diffraction : Diffraction
        The diffraction-limited PSF.
    recipe : FigureRecipe
        With the radii used.
    masked : int
        Pixels of the aperture that were masked and have their neighbours' mean.
    errors : PsfErrors, optional
        From a bootstrap over frames.
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
    diffraction: Diffraction
    recipe: FigureRecipe
    masked: int = 0
    errors: PsfErrors | None = None

    def radius_of(self, fraction: float, perfect: bool = False) -> float:
        """Return the radius in pixels that holds a fraction of the light in the aperture."""
        curve = self.perfect_encircled if perfect else self.encircled
        return float(np.interp(fraction, np.maximum.accumulate(curve), self.radius))


def psf_figures(
    image: NDArray[Any],
    diffraction: Diffraction,
    recipe: FigureRecipe = FigureRecipe(),
    window: Window | None = None,
) -> PsfFigures:
    """Measure the figures of a star's image, beside those of the diffraction-limited PSF.

    As Roberts et al. (2004, "Is that really your Strehl ratio?", Proc. SPIE 5490, 504) ask for,
    the recipe is stated, and both PSFs go through it alike: the diffraction-limited one is
    computed with its obstruction at the image's own sub-pixel place, integrated over the same
    pixels, and loses the same ring's mean and what is outside the same aperture. With b the
    background and F = sum of (I − b) over the aperture::

        Strehl ratio = ((max I − b) / F) / ((max P − b_P) / F_P)

    max I is the maximum between the pixels, of the Fourier series up to the frequency 1 / sampling
    over which optics pass nothing (`fine_image`). Pixels that the aperture cuts count with the
    part inside it. The profile is the mean of 180 rays from the peak through the same series.

    FWHM: the distance between the first points to both sides of the peak where the interpolated
    image is under half of it is measured in 90 directions, and an ellipse fitted,
    4 / width² = a cos² + 2 b cos sin + c sin².

    Light beyond the aperture, or taken for background, is not in F: the Strehl ratio of an image
    with a wide halo comes out too great. Noise adds to a maximum: that of a faint frame, too.

    Parameters
    ----------
    image : ndarray, (y, x)
        Linear, in ADU; masked pixels are NaN, and have the mean of their neighbours. The star is
        what is brightest.
    diffraction : Diffraction
        `Telescope.diffraction`, or sampling and obstruction; of a drizzled image with the
        sampling on its own pixels.
    recipe : FigureRecipe
        Aperture, ring, pixel.
    window : Window, optional
        Where on the image the star's peak is. Circles may reach beyond it; a default aperture and
        its ring are no larger than half of it, so that it is the same wherever in it the star is.

    Raises
    ------
    LuckyError
        If there is no star to measure, or the aperture does not fit on the image.
    """
    return Measure(image, diffraction, recipe, window).of(image)


class Measure:
    """A recipe made ready for images whose peaks are at nearly one place, such as resamples.

    Parameters
    ----------
    image : ndarray, (y, x)
        The first of them, which says where the circles are.
    diffraction, recipe, window
        See `psf_figures`.
    """

    def __init__(
        self,
        image: NDArray[Any],
        diffraction: Diffraction,
        recipe: FigureRecipe,
        window: Window | None = None,
    ) -> None:
        if image.ndim != 2 or min(image.shape) < 8:
            raise LuckyError(
                f"The image has the shape {image.shape}; expected (y, x), 8 pixels or more a side."
            )
        if max(1.0, recipe.pixel) > 2 * diffraction.sampling:
            raise LuckyError("The pixel is over two lambda/D wide: there is no PSF to be seen.")
        self.diffraction = diffraction
        self._corner, self.recipe = self._place(image, recipe, window)
        cut, _ = self._cut(image)
        half = self._side // 2
        edge = np.median(np.concatenate([cut[0], cut[-1], cut[:, 0], cut[:, -1]]))
        fine = fine_image(cut - edge, diffraction.sampling)
        centre, _ = fine.peak((half, half), diffraction.sampling)
        y, x = (np.arange(self._side, dtype=np.float64) - at for at in centre)
        distance = np.hypot(y[:, None], x)
        ring = self.recipe.ring
        self._ring = None if ring is None else (distance > ring[0]) & (distance <= ring[1])
        aperture = self.recipe.aperture or 0.0
        step = max(diffraction.sampling / FINER, 0.5)
        self.radius = np.append(np.arange(0, aperture - step / 2, step), aperture)
        self._aperture = _circle(y, x, aperture)
        perfect = psf_at(diffraction, cut.shape, centre, recipe.pixel)
        self._perfect = self._measure(perfect, None if recipe.background is None else 0.0)

    def of(self, image: NDArray[Any]) -> PsfFigures:
        """Return the figures of an image of the same shape, its peak at nearly the same place."""
        cut, holes = self._cut(image)
        masked, pixels = int(holes[self._aperture > 0].sum()), int((self._aperture > 0).sum())
        if masked > MOST_MASKED * pixels:
            raise LuckyError(
                f"{masked} of the {pixels} pixels of the aperture are masked; at most a tenth may "
                "be. Choose a smaller aperture or another frame."
            )
        of, perfect = self._measure(cut, self.recipe.background), self._perfect
        if not (of.flux > 0 and of.peak > 0):
            raise LuckyError(
                f"The light in the aperture is {of.flux:.4g} ADU over the background: there is no "
                "star to measure."
            )
        ideal = perfect.peak / perfect.flux
        major, minor, angle = ellipse(of.widths)
        return PsfFigures(
            of.peak / of.flux / ideal,
            major,
            minor,
            angle,
            (of.centre[0] + self._corner[0], of.centre[1] + self._corner[1]),
            of.peak,
            of.flux,
            of.background,
            self.radius,
            of.encircled,
            perfect.encircled,
            of.profile / of.flux / ideal,
            perfect.profile / perfect.flux / ideal,
            self.diffraction,
            self.recipe,
            masked,
        )

    def _place(
        self, image: NDArray[Any], recipe: FigureRecipe, window: Window | None
    ) -> tuple[tuple[int, int], FigureRecipe]:
        """Return the first pixel of the square that is looked at, and the recipe's radii."""
        window = window or Window.whole(image.shape)
        window.check_on(image.shape)
        if is_empty(image[np.newaxis, *window.slices])[0] and np.isfinite(image).any():
            raise LuckyError("All pixels of this image are equal: there is no star to measure.")
        y, x = peak_pixel(image[window.slices], self.diffraction.sampling / 4)
        y, x = y + window.y0, x + window.x0
        room = min(y, x, image.shape[0] - 1 - y, image.shape[1] - 1 - x) + 0.5
        recipe = recipe.resolved(room - 1, self.diffraction, min(window.shape) / 2 - 1)
        outer = max(recipe.aperture or 0, recipe.ring[1] if recipe.ring else 0)
        reach = min(math.ceil(outer) + 2, int(room))
        self._side = 2 * reach + 1
        return (y - reach, x - reach), recipe

    def _cut(self, image: NDArray[Any]) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the square with its holes filled, and where they were."""
        half = self._side // 2
        centre = (self._corner[0] + half, self._corner[1] + half)
        cut = cut_around(image, centre, self._side).astype(np.float64)
        holes = ~np.isfinite(cut)
        return (filled(np.where(holes, np.nan, cut)) if holes.any() else cut), holes

    def _measure(self, cut: FloatArray, background: float | None) -> _Measured:
        half = self._side // 2
        if background is None:
            background = float(cut[self._ring].mean())
        star = cut - background
        fine = fine_image(star, self.diffraction.sampling)
        centre, peak = fine.peak((half, half), self.diffraction.sampling)
        flux = float((star * self._aperture).sum())
        rays, step = rays_from(fine, centre, self._side, self.diffraction.sampling)
        r, mean = np.arange(rays.shape[1]) * step, rays.mean(axis=0)
        light = cumulative_trapezoid(2 * np.pi * r * mean, r, initial=0)
        profile, encircled = (np.interp(self.radius, r, curve) for curve in (mean, light))
        encircled /= encircled[-1]
        widths = widths_at(rays, step, peak / 2)
        return _Measured(centre, peak, flux, background, encircled, profile, widths)


@dataclass(frozen=True, eq=False)
class _Measured:
    """Figures before they are compared: `profile` is in ADU, `widths` (DIRECTIONS,) in pixels."""

    centre: tuple[float, float]
    peak: float
    flux: float
    background: float
    encircled: FloatArray
    profile: FloatArray
    widths: FloatArray


def _circle(y: FloatArray, x: FloatArray, radius: float) -> FloatArray:
    """Return which part of each pixel lies within a radius, (y, x)."""
    parts = (np.arange(PARTS) + 0.5) / PARTS - 0.5
    fine = [(side[:, None] + parts).ravel() for side in (y, x)]
    inside = np.hypot(fine[0][:, None], fine[1]) <= radius
    return inside.reshape(len(y), PARTS, len(x), PARTS).mean(axis=(1, 3))
