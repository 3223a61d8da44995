"""The figures of a PSF: Strehl ratio with its recipe, FWHM, encircled energy, radial profile.

What the constants do is measured by ``benchmarks/figures.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.fits.arrays import ImageLike, as_image
from napari_lucky.frames.frames import is_empty
from napari_lucky.frames.window import Window, WindowLike, as_window
from napari_lucky.imaging.fine_image import FINER, FineImage, fine_image
from napari_lucky.imaging.inpainting import fill_deep
from napari_lucky.imaging.profiles import circle, cutout
from napari_lucky.optics.diffraction import Diffraction, DiffractionLike, as_diffraction, psf_at
from napari_lucky.psf.cautions import (
    of_alone,
    of_aperture,
    of_core,
    of_halo,
    of_outliers,
    of_second_star,
    of_top,
    of_value,
    of_width,
)
from napari_lucky.psf.halo import OUTER, fit_halo
from napari_lucky.psf.noise import ImageNoise, image_noise
from napari_lucky.psf.place import star_place, width_at
from napari_lucky.psf.recipe import APERTURES, PsfRecipe
from napari_lucky.psf.result import FloatArray, PsfErrors, PsfFigures
from napari_lucky.psf.width import ellipse, rays_from, widths_at

MOST_MASKED = 0.1
LEAST_LIGHT = 3.0
"""Sigmas of the flux; less is no star."""
MOST_UNCERTAIN = 0.1
"""Of the flux; a halo that is more uncertain is not given."""
MOST_STREHL = 2.0
"""Over it there is no star, or something is grossly wrong."""
FINEST = 2.0
"""Where the optics are not known, what is finer than the star's FWHM over this is noise."""


def psf_figures(
    image: ImageLike,
    diffraction: DiffractionLike | None = None,
    *,
    recipe: PsfRecipe = PsfRecipe(),
    window: WindowLike | None = None,
) -> PsfFigures:
    """Measure Strehl ratio, FWHM, encircled energy and profile of a star's image.

    Without a diffraction-limited PSF there is no Strehl ratio; FWHM, encircled energy and flux are
    measured all the same, with apertures in units of the star's FWHM instead of lambda/D.

    As Roberts et al. (2004, "Is that really your Strehl ratio?", Proc. SPIE 5490, 504) ask for,
    the recipe is stated, and both PSFs go through it alike: the diffraction-limited one is
    computed with its obstruction at the image's own sub-pixel place, integrated over the same
    pixels, with the same ring subtracted and the same aperture. With b the
    background and F = sum of (I − b) over the aperture::

        Strehl ratio = ((max I − b) / F) / ((max P − b_P) / F_P)

    max I is the maximum between the pixels, of the Fourier series up to the frequency 1 / sampling
    over which optics pass nothing (`fine_image`). Pixels that the aperture cuts count with the
    part inside it. The profile is the mean of 180 rays from the peak through the same series.

    FWHM: the distance between the first points to both sides of the peak where the interpolated
    image is under half of it is measured in 90 directions, and an ellipse fitted,
    4 / width² = a cos² + 2 b cos sin + c sin².

    Light beyond the aperture, or taken for background, is not in F: the Strehl ratio of an image
    with a wide halo comes out too high. So does that of a faint frame: noise raises a maximum.
    Compare only Strehl ratios of one aperture in lambda/D. The errors are those of the noise in
    this image; `cautions` says what else makes the ratio doubtful. It does not see all:

    - A plateau that a flat has made uneven, where it is small or speckles fill the core. Of stars
      clipped at 80 % of their peak, under a flat that varies by 2 % from pixel to pixel, all
      diffraction-limited ones were named at 3 to 7 pixels across lambda/D, a quarter to all of the
      stacks at D/r0 = 3, none at D/r0 = 6. A plateau of equal values is named anywhere.
    - A weak hot pixel in the core: under 10 % of the peak, in stacks at D/r0 = 3 under 20 to 40 %.
    - Either with 2 pixels across lambda/D. Mask what is saturated before (`calibrate`).

    Parameters
    ----------
    image : array, (y, x), or path
        Linear, in ADU; masked pixels are NaN, and have the mean of their neighbours. The star is
        what is brightest.
    diffraction : Telescope or Diffraction, optional
        `Telescope.diffraction`, or sampling and obstruction; of a drizzled image with the
        sampling on its own pixels. None if the optics are not known.
    recipe : PsfRecipe
        Aperture, ring, pixel.
    window : Window or (y, x, size), optional
        Where on the image the star's peak is. Circles may reach beyond it; a default aperture and
        its ring are no larger than half of it, so that it is the same wherever in it the star is.

    Returns
    -------
    PsfFigures
        Strehl ratio, FWHM in px, flux in ADU, curves, errors and cautions.

    Raises
    ------
    LuckyError
        If there is no star to measure, its light is lost in the noise, the Strehl ratio is over
        2, or the aperture does not fit on the image.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_lucky as lucky
    >>> y, x = np.mgrid[:128, :128] - 63.5
    >>> star = 1000 * np.exp(-(y**2 + x**2) / (2 * 4.0**2)) + 10  # a Gaussian: FWHM 2.355 sigma
    >>> figures = lucky.psf_figures(star)
    >>> round(figures.fwhm_major, 1)
    9.4
    """
    pixels = as_image(image)
    window = None if window is None else as_window(window)
    return Measure(pixels, as_diffraction(diffraction), recipe, window).judged()


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
        diffraction: Diffraction | None,
        recipe: PsfRecipe,
        window: Window | None = None,
    ) -> None:
        if image.ndim != 2 or min(image.shape) < 8:
            raise LuckyError(
                f"The image has the shape {image.shape}; expected (y, x), 8 pixels or more a side."
            )
        if diffraction is not None and max(1.0, recipe.integration) > 2 * diffraction.sampling:
            raise LuckyError(
                "A pixel is over two λ/D wide, so the PSF cannot be seen. Check wavelength, focal "
                "ratio and pixel size."
            )
        self.diffraction = diffraction
        window = window or Window.whole(image.shape)
        window.check_on(image.shape)
        if is_empty(image[np.newaxis, *window.slices])[0] and np.isfinite(image).any():
            raise LuckyError("All pixels of this image are equal: there is no star to measure.")
        place, self._alone = star_place(image, window, diffraction)
        if diffraction is not None:
            self._unit = self._cutoff = diffraction.sampling
        else:
            self._unit = width_at(image, place, window)
            self._cutoff = max(self._unit / FINEST, 1.0)
        self._corner, self.recipe, self._usual = self._place(image, recipe, window, place)
        self._first = self._opened(image)
        cut, half = self._first.pixels, self._side // 2
        centre, _ = self._first.fine.peak((half, half), self._unit)
        y, x = (np.arange(self._side, dtype=np.float64) - at for at in centre)
        self._distance = np.hypot(y[:, None], x)
        ring, far = self.recipe.ring, self._distance
        self._ring = None if ring is None else (far > ring[0]) & (far <= ring[1])
        if recipe.aperture is None:
            self.recipe = self.recipe.changed(aperture=self._acceptable(cut, y, x))
        aperture = self.recipe.aperture or 0.0
        step = max(self._unit / FINER, 0.5)
        self.radius = np.append(np.arange(0, aperture - step / 2, step), aperture)
        self._aperture = circle(y, x, aperture)
        self._ideal: FloatArray | None = None
        self._perfect: _Measured | None = None
        if diffraction is not None:
            self._ideal = psf_at(diffraction, cut.shape, centre, recipe.integration)
            perfect = _Cut.of(self._ideal, self._cutoff)
            self._perfect = self._measure(perfect, None if recipe.background is None else 0.0)

    def judged(self) -> PsfFigures:
        """Return the first image's figures, with the noise's errors and what is doubtful."""
        figures, of = self._figures(self._first)
        star, holes = self._first.pixels - of.background, self._first.holes
        q = self._unit
        noise = self._noise(star, self._aperture, figures.peak)
        if figures.flux < LEAST_LIGHT * noise.flux:
            raise LuckyError(
                f"The light in the aperture is {figures.flux:.4g} ± {noise.flux:.2g} ADU: there is "
                "no star to measure, or it is too faint."
            )
        if figures.strehl > MOST_STREHL:
            raise LuckyError(
                f"The Strehl ratio would be {figures.strehl:.4g}, but it cannot be over 1: this is "
                "not a star, or the telescope's figures, the background or the aperture are wrong."
            )
        error = figures.strehl * math.hypot(noise.flux / figures.flux, noise.peak / figures.peak)
        fwhm = q if math.isnan(figures.fwhm_major) else figures.fwhm_major
        seen = of_core(star, holes, self._distance, q, fwhm)
        odd = of_outliers(noise, self._distance, self._cutoff, figures.peak, figures.flux)
        sigma = math.sqrt(noise.sky**2 * min(math.pi / self._cutoff**2, 1))
        whole, missing = self._with_halo(star, figures, noise.flux)
        cautions = (
            *(() if self.diffraction is None else of_aperture(self.recipe, self._usual, q)),
            *of_width(figures.fwhm_major, self.recipe.aperture or 0.0, self.diffraction),
            *of_alone(self._alone),
            *(seen or of_top(of.rays, of.peak) or odd),
            *of_second_star(of.fine, of.centre, (of.rays, of.step), q, figures.peak, sigma),
            *of_halo(missing, whole),
            *of_value(figures.strehl, error),
        )
        nan, none = math.nan, np.full(len(self.radius), math.nan)
        errors = PsfErrors(0, error, nan, nan, nan, noise.flux, noise.background, none, none)
        return replace(figures, errors=errors, strehl_with_halo=whole, cautions=cautions)

    def _with_halo(
        self, star: FloatArray, figures: PsfFigures, noise: float
    ) -> tuple[float, float]:
        """Return the Strehl ratio of all light, and which part of it surely is not counted."""
        if self._perfect is None or self._ideal is None:
            return math.nan, math.nan
        top = self._perfect.peak + self._perfect.background
        aperture, room = self.recipe.aperture or 0.0, self._side // 2 + 0.5
        known = self.recipe.background is not None
        perfect = self._ideal * (figures.peak / top)
        halo = fit_halo(star, perfect, self._distance, aperture, room, known)
        if halo is None or math.hypot(halo.sigma, noise) > MOST_UNCERTAIN * figures.flux:
            return math.nan, math.nan
        peak = figures.peak - halo.level
        lost = 1 - float((self._ideal * self._aperture).sum())  # beyond it, of the perfect PSF
        flux = figures.flux - halo.level * float(self._aperture.sum()) + halo.light
        flux += peak / top * lost
        whole = peak / flux / top
        missing = 1 - whole / figures.strehl
        return whole, missing if missing > 2 * halo.sigma / figures.flux else 0.0

    def _acceptable(self, cut: FloatArray, y: FloatArray, x: FloatArray) -> float:
        """Return the largest default aperture in whose light the noise is acceptable."""
        q, largest = self._unit, self.recipe.aperture or 0.0
        background = self.recipe.background
        level = float(cut[self._ring].mean()) if background is None else background
        star = cut - level
        radius, top = largest, float(star[self._distance <= q].max())
        for rung, most in APERTURES.items():
            if rung * q > largest:
                continue
            radius, aperture = rung * q, circle(y, x, rung * q)
            if self._noise(star, aperture, top).flux <= most * (star * aperture).sum():
                break
        return radius

    def _noise(self, star: FloatArray, aperture: FloatArray, peak: float) -> ImageNoise:
        core = self._distance <= self._unit
        return image_noise(star, aperture, self._ring, core, self._cutoff, peak)

    def of(self, image: NDArray[Any]) -> PsfFigures:
        """Return the figures of an image of the same shape, its peak at nearly the same place."""
        return self._figures(self._opened(image))[0]

    def _figures(self, cut: _Cut) -> tuple[PsfFigures, _Measured]:
        """Return the figures, and what they are made of."""
        inside = self._aperture > 0
        masked, pixels = int((cut.holes & inside).sum()), int(inside.sum())
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
        ideal = of.peak / of.flux if perfect is None else perfect.peak / perfect.flux
        none = np.full(len(self.radius), math.nan)
        major, minor, angle = ellipse(of.widths)
        figures = PsfFigures(
            math.nan if perfect is None else of.peak / of.flux / ideal,
            major,
            minor,
            angle,
            (of.centre[0] + self._corner[0], of.centre[1] + self._corner[1]),
            of.peak,
            of.flux,
            of.background,
            self.radius,
            of.encircled,
            none if perfect is None else perfect.encircled,
            of.profile / of.flux / ideal,
            none if perfect is None else perfect.profile / perfect.flux / ideal,
            self.diffraction,
            self.recipe,
            masked,
        )
        return figures, of

    def _place(
        self, image: NDArray[Any], recipe: PsfRecipe, window: Window, place: tuple[int, int]
    ) -> tuple[tuple[int, int], PsfRecipe, PsfRecipe | None]:
        """Return the first pixel of the square that is looked at, and the recipe's radii.

        And those that a star in the window's middle would have, where they are the default's.
        """
        y, x = place
        room = min(y, x, image.shape[0] - 1 - y, image.shape[1] - 1 - x) + 0.5
        half, usual = min(window.shape) / 2 - 1, None
        if recipe.aperture is None and half > 3 * self._unit:
            usual = recipe.resolved(half, self._unit, half)
        recipe = recipe.resolved(room - 1, self._unit, half)
        aperture = recipe.aperture or 0
        outer = max(OUTER * aperture, recipe.ring[1] if recipe.ring else 0)
        reach = min(math.ceil(outer) + 2, int(room))
        self._side = 2 * reach + 1
        return (y - reach, x - reach), recipe, usual

    def _opened(self, image: NDArray[Any]) -> _Cut:
        """Return the square with its holes filled."""
        half = self._side // 2
        centre = (self._corner[0] + half, self._corner[1] + half)
        cut = cutout(image, centre, self._side).astype(np.float64)
        for y, x in self._alone:
            row, column = y - self._corner[0], x - self._corner[1]
            if 0 <= row < self._side and 0 <= column < self._side:
                cut[row, column] = np.nan
        return _Cut.of(cut, self._cutoff)

    def _measure(self, cut: _Cut, background: float | None) -> _Measured:
        half = self._side // 2
        if background is None:
            background = float(cut.pixels[self._ring].mean())
        star, fine = cut.pixels - background, cut.fine.less(background)
        centre, peak = fine.peak((half, half), self._unit)
        flux = float((star * self._aperture).sum())
        rays, step = rays_from(fine, centre, self._side, self._unit)
        r, mean = np.arange(rays.shape[1]) * step, rays.mean(axis=0)
        around = 2 * np.pi * r * mean
        light = np.append(0, np.cumsum(np.diff(r) * (around[1:] + around[:-1]) / 2))
        profile, encircled = (np.interp(self.radius, r, curve) for curve in (mean, light))
        encircled /= encircled[-1]
        widths = widths_at(rays, step, peak / 2)
        return _Measured(
            centre, peak, flux, background, encircled, profile, widths, rays, step, fine
        )


@dataclass(frozen=True, eq=False)
class _Cut:
    """The square around a star, its holes filled, and its image between the pixels."""

    pixels: FloatArray
    holes: NDArray[np.bool_]
    fine: FineImage

    @classmethod
    def of(cls, pixels: FloatArray, cutoff: float) -> _Cut:
        """Fill the holes of a square, and find what is between its pixels."""
        holes = ~np.isfinite(pixels)
        whole = fill_deep(np.where(holes, np.nan, pixels)) if holes.any() else pixels
        return cls(whole, holes, fine_image(whole, cutoff))


@dataclass(frozen=True, eq=False)
class _Measured:
    """Figures before they are compared: `profile` is in ADU, `widths` (DIRECTIONS,) in pixels.

    `rays` (2 DIRECTIONS, k) are what `rays_from` gives, `step` pixels from point to point.
    """

    centre: tuple[float, float]
    peak: float
    flux: float
    background: float
    encircled: FloatArray
    profile: FloatArray
    widths: FloatArray
    rays: FloatArray
    step: float
    fine: FineImage
