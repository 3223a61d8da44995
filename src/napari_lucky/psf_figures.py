"""The figures of a PSF: Strehl ratio with its recipe, FWHM, encircled energy, radial profile."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid

from .band_limited import FINER, FineImage, filled, fine_image
from .diffraction import Diffraction, psf_at
from .errors import LuckyError
from .profiles import cut_around, peak_pixel

FloatArray = NDArray[np.float64]
MOST_APERTURE = 20.0
"""lambda/D; a default aperture is no larger, lest it hold another star."""
MOST_MASKED = 0.1
DIRECTIONS = 90
"""Diameters in which the width is measured, and rays, twice as many, of the profile."""
PARTS = 5
"""A pixel is cut into 5 x 5 to tell how much of it lies in a circle."""


@dataclass(frozen=True)
class FigureRecipe:
    """How the figures of a PSF are measured; without it a Strehl ratio says little.

    Parameters
    ----------
    aperture : float, optional
        Radius of the circle whose light is the flux, in pixels. If None, as large as the image
        allows with a ring around it, an eighth of its radius wide; 20 lambda/D at most.
    ring : (float, float), optional
        Inner and outer radius of the ring whose mean is the background, in pixels. If None, from
        the aperture on, as wide as said.
    background : float, optional
        ADU a pixel, where it is known; then there is no ring.
    pixel : float
        Side of the square that a pixel integrates over, in pixels of the image; 0 for none.

    Raises
    ------
    LuckyError
        If one of them makes no sense.
    """

    aperture: float | None = None
    ring: tuple[float, float] | None = None
    background: float | None = None
    pixel: float = 1.0

    def __post_init__(self) -> None:
        if self.aperture is not None and not 1 <= self.aperture < math.inf:
            raise LuckyError(f"The aperture's radius is {self.aperture} pixels; it must be over 1.")
        if self.ring is not None:
            inner, outer = self.ring
            if not 0 < inner < inner + 1 <= outer < math.inf:
                raise LuckyError(
                    f"The background ring is from {inner:g} to {outer:g} pixels; the outer radius "
                    "must be at least 1 px over the inner one."
                )
            if self.background is not None:
                raise LuckyError("A background that is known needs no ring; give one of the two.")
        if self.background is not None and not math.isfinite(self.background):
            raise LuckyError(f"The background is {self.background} ADU; give a number.")
        if not 0 <= self.pixel <= 10:
            raise LuckyError(
                f"The pixel that integrates is {self.pixel} pixels wide; it must be 0 to 10."
            )

    def resolved(self, room: float, diffraction: Diffraction) -> FigureRecipe:
        """Return the recipe with its radii filled in.

        Parameters
        ----------
        room : float
            Distance from the peak to the image's nearest edge, in pixels.
        diffraction : Diffraction
            The diffraction-limited PSF.

        Raises
        ------
        LuckyError
            If the circles do not fit.
        """
        aperture, ring = self.aperture, self.ring
        if aperture is None:
            aperture = min(room / 1.125, MOST_APERTURE * diffraction.sampling)
            if self.background is not None:
                aperture = min(room, MOST_APERTURE * diffraction.sampling)
            if ring is not None:
                aperture = min(aperture, ring[0])
            aperture = math.floor(aperture)
        if ring is None and self.background is None:
            ring = (aperture, min(aperture + max(2.0, aperture / 8), max(room, aperture + 1)))
        reach = max(aperture, ring[1] if ring else 0)
        if reach > room or aperture < diffraction.sampling:
            raise LuckyError(
                f"The peak is {room:.4g} pixels from the image's edge, but the aperture and the "
                f"background ring need {max(reach, diffraction.sampling + 2):.4g}. Make them "
                "smaller, or take a larger window."
            )
        return replace(self, aperture=float(aperture), ring=ring)


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
    image: NDArray[Any], diffraction: Diffraction, recipe: FigureRecipe = FigureRecipe()
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

    Raises
    ------
    LuckyError
        If there is no star to measure, or the aperture does not fit on the image.
    """
    return Measure(image, diffraction, recipe).of(image)


class Measure:
    """A recipe made ready for images whose peaks are at nearly one place, such as resamples.

    Parameters
    ----------
    image : ndarray, (y, x)
        The first of them, which says where the circles are.
    diffraction, recipe
        See `psf_figures`.
    """

    def __init__(self, image: NDArray[Any], diffraction: Diffraction, recipe: FigureRecipe) -> None:
        if image.ndim != 2 or min(image.shape) < 8:
            raise LuckyError(
                f"The image has the shape {image.shape}; expected (y, x), 8 pixels or more a side."
            )
        if max(1.0, recipe.pixel) > 2 * diffraction.sampling:
            raise LuckyError("The pixel is over two lambda/D wide: there is no PSF to be seen.")
        self.diffraction = diffraction
        self._corner, self.recipe = self._place(image, recipe)
        cut, _ = self._cut(image)
        half = self._side // 2
        edge = np.median(np.concatenate([cut[0], cut[-1], cut[:, 0], cut[:, -1]]))
        fine = fine_image(cut - edge, diffraction.sampling)
        centre, _ = fine.peak((half, half), diffraction.sampling)
        y, x = (np.arange(self._side) - at for at in centre)
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
        masked = int((holes & (self._aperture > 0)).sum())
        if masked > MOST_MASKED * (self._aperture > 0).sum():
            raise LuckyError(
                f"{masked} of the {(self._aperture > 0).sum()} pixels of the aperture are masked; at most "
                "a tenth may be. Choose a smaller aperture or another frame."
            )
        of, perfect = self._measure(cut, self.recipe.background), self._perfect
        if not (of.flux > 0 and of.peak > 0):
            raise LuckyError(
                f"The light in the aperture is {of.flux:.4g} ADU over the background: there is no "
                "star to measure."
            )
        ideal = perfect.peak / perfect.flux
        major, minor, angle = _ellipse(of.widths)
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
        self, image: NDArray[Any], recipe: FigureRecipe
    ) -> tuple[tuple[int, int], FigureRecipe]:
        """Return the first pixel of the square that is looked at, and the recipe's radii."""
        y, x = peak_pixel(image, self.diffraction.sampling / 4)
        room = min(y, x, image.shape[0] - 1 - y, image.shape[1] - 1 - x) + 0.5
        recipe = recipe.resolved(room - 1, self.diffraction)  # the peak may be a pixel off
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
        rays, step = _rays(fine, centre, self._side, self.diffraction.sampling)
        r, mean = np.arange(rays.shape[1]) * step, rays.mean(axis=0)
        light = cumulative_trapezoid(2 * np.pi * r * mean, r, initial=0)
        profile, encircled = (np.interp(self.radius, r, curve) for curve in (mean, light))
        encircled /= encircled[-1]
        widths = _widths(rays, step, peak / 2)
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


def _rays(
    fine: FineImage, centre: tuple[float, float], side: int, sampling: float
) -> tuple[FloatArray, float]:
    """Return the image along rays from the peak, (2 DIRECTIONS, k), and the step in pixels."""
    step = min(sampling / 20, 0.25)
    room = min(*centre, side - 1 - centre[0], side - 1 - centre[1])
    r = np.arange(int(room / step) + 1) * step
    angle = np.arange(2 * DIRECTIONS) * np.pi / DIRECTIONS
    y = centre[0] + np.sin(angle)[:, None] * r
    x = centre[1] + np.cos(angle)[:, None] * r
    return fine.at(y, x), step


def _widths(rays: FloatArray, step: float, half: float) -> FloatArray:
    """Return the width at a height in each direction, in pixels; NaN where it is never under it."""
    under = rays < half
    first = under.argmax(axis=1)
    ray = np.arange(len(rays))
    before, after = rays[ray, np.maximum(first - 1, 0)], rays[ray, first]
    fall = np.where(before > after, before - after, 1.0)
    place = (first - 1 + (before - half) / fall) * step
    place[~under.any(axis=1) | (first == 0)] = np.nan
    return np.asarray(place[:DIRECTIONS] + place[DIRECTIONS:])


def _ellipse(widths: FloatArray) -> tuple[float, float, float]:
    """Return major and minor width and the major one's angle (degrees) of the ellipse that fits."""
    angle = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    good = np.isfinite(widths)
    if not good.all():  # not within the image
        return math.nan, math.nan, math.nan
    cos, sin = np.cos(angle), np.sin(angle)
    weight = widths**3  # a width's own error is the same everywhere
    terms = np.stack([cos**2, 2 * cos * sin, sin**2], axis=1) * weight[:, None]
    a, b, c = np.linalg.lstsq(terms, 4 / widths**2 * weight, rcond=None)[0]
    (least, greatest), axes = np.linalg.eigh([[a, b], [b, c]])
    if not least > 0:
        return math.nan, math.nan, math.nan
    degrees = math.degrees(math.atan2(axes[1, 0], axes[0, 0]))
    degrees = (degrees + 90) % 180 - 90
    return 2 / math.sqrt(least), 2 / math.sqrt(greatest), 90.0 if degrees == -90 else degrees
