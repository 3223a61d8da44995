"""The noise in a single image of a star, and what stands out of it that no optics make.

Of one image, not of a run: its ring and what is beyond the optics' cut-off, whatever lambda/D is in
pixels. `napari_lucky.imaging.noise` needs frames, and differences of their pixels.

What the constants do is measured by ``benchmarks/figures.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lucky.imaging.fine_image import beyond_optics

FloatArray = NDArray[np.float64]
LEAST_BEYOND = 0.05
"""Of all frequencies; with fewer beyond the optics' cut-off they say nothing."""
BRIGHT = 0.05
"""Of the peak: pixels over it give the photon noise."""
CHI2 = 0.455
"""Median of chi-square."""
ENOUGH = 10
"""Bright pixels outside the core, with which the core is left out."""
ENOUGH_BEYOND, ROUGH = 0.3, 4.0
"""Of all frequencies, and sigmas, over which the top of a star is uneven."""
OUTLIER, UNSURE = 6.0, 3.0
"""Sigmas: of a pixel, and of the photon noise that is allowed for."""


@dataclass(frozen=True, eq=False)
class ImageNoise:
    """Noise of an image that is a star's, in ADU.

    Parameters
    ----------
    sky : float
        Standard deviation of a pixel in the ring.
    flux, peak, background : float
        Standard deviations of these figures.
    outliers : ndarray of float64, (y, x)
        How far pixels of the aperture stand from what the optics can show, in ADU; 0 where that
        is within the noise.
    roughness : float
        Root mean square of what stands over half the peak at frequencies that no optics pass, over
        the peak and beyond the noise; 0 where it is not significant.
    """

    sky: float
    flux: float
    peak: float
    background: float
    outliers: FloatArray
    roughness: float = 0.0


def image_noise(
    star: FloatArray,
    aperture: FloatArray,
    ring: NDArray[np.bool_] | None,
    core: NDArray[np.bool_],
    sampling: float,
    peak: float,
) -> ImageNoise:
    """Measure the noise of a star's image.

    The sky's is the scatter of the ring (of what is outside the aperture where there is none).
    Photon noise shows at the spatial frequencies that the optics do not pass: a pixel's variance
    there, over the sky's there, is that of the whole pixel over the sky's whole. Of the light in
    the aperture, with n pixels and the ring's m::

        sigma² = n s² + n² s² / m + photon noise

    Noise is taken as independent from pixel to pixel. In stacks of frames moved by parts of a pixel
    it is not, but the errors are as true: within 5 % at 1e4 photons a frame, 3 and 5 pixels across
    lambda/D (benchmarks/figures.py, 60 stacks of 20 frames). Of bright stars the diffraction rings
    in the background's ring count as noise: at 1e6 photons the errors are 2 to 8 times too large.

    Parameters
    ----------
    star : ndarray of float64, (y, x)
        Without its background.
    aperture : ndarray of float64, (y, x)
        Which part of each pixel is inside.
    ring : ndarray of bool, (y, x), optional
        None where the background is known.
    core : ndarray of bool, (y, x)
        Pixels around the peak, which may be clipped.
    sampling : float
        Pixels per λ/D.
    peak : float
        Of the star, in ADU.
    """
    outside = aperture == 0 if ring is None else ring
    variance = float(star[outside].var())
    n, m = float(aperture.sum()), int(outside.sum())
    beyond, share = beyond_optics(star, sampling)
    photon, outliers, rough = 0.0, np.zeros_like(star), 0.0
    if share > LEAST_BEYOND:
        base = float((beyond[outside] ** 2).mean())
        scale = variance / base if base > 0 else 0.0  # of a pixel's variance over what is beyond
        photon, far = _photon_noise(star, beyond, (aperture > 0, core), base, peak)
        if share > ENOUGH_BEYOND:
            rough = _roughness(star, beyond, aperture > 0, base, peak, share)
        photon *= scale
        outliers = np.where(far, beyond / share, 0.0)
    light = max(float((star * aperture).sum()), 0.0)
    passed = 1 - share
    background = 0.0 if ring is None else variance / m
    return ImageNoise(
        math.sqrt(variance),
        math.sqrt(n * variance + n**2 * background + photon * light),
        math.sqrt(passed * (variance + photon * max(peak, 0.0))),
        math.sqrt(background),
        outliers,
        rough,
    )


def _roughness(
    star: FloatArray,
    beyond: FloatArray,
    inside: NDArray[np.bool_],
    base: float,
    peak: float,
    share: float,
) -> float:
    """Return how uneven the top of a star is; see `ImageNoise`.

    The photon noise is that of the pixels between a twentieth of the peak and half of it.
    """
    top = inside & (star > peak / 2)
    wing = inside & (star > BRIGHT * peak) & ~top
    if not top.any() or int(wing.sum()) < ENOUGH:
        return 0.0
    slope = max(float(np.median((beyond[wing] ** 2 / CHI2 - base) / star[wing])), 0.0)
    noise = base + slope * float(star[top].mean())
    found = float((beyond[top] ** 2).mean())
    sigma = noise * math.sqrt(2 / max(share * int(top.sum()), 1.0))
    if found < noise + ROUGH * sigma:
        return 0.0
    return math.sqrt((found - noise) / share) / peak


def _photon_noise(
    star: FloatArray,
    beyond: FloatArray,
    where: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    base: float,
    peak: float,
) -> tuple[float, NDArray[np.bool_]]:
    """Return the variance a unit of light among what is beyond the optics, and the outliers.

    `where` are the aperture and the core, which is left out if enough bright pixels remain.
    """
    inside, core = where
    light, power = np.maximum(star, 0.0), beyond**2
    light_part = inside & ~core
    if int((light_part & (star > BRIGHT * peak)).sum()) < ENOUGH:
        light_part = inside
    bright = light_part & (star > BRIGHT * peak)
    if not bright.any():
        return 0.0, np.zeros_like(inside)
    slope = max(float(np.median((power[bright] / CHI2 - base) / light[bright])), 0.0)
    good = light_part & (power <= OUTLIER**2 * (base + slope * light))
    whole = max(float(light[good].sum()), 1e-300)
    slope = max(float((power[good] - base).sum() / whole), 0.0)
    sigma = float(np.sqrt(2 * ((base + slope * light[good]) ** 2).sum())) / whole
    most = slope + UNSURE * sigma  # few bright pixels give it badly
    return slope, inside & (power > OUTLIER**2 * (base + most * light))
