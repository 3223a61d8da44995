"""The seeing behind a long exposure: D/r0 from the shape of its star."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_lucky.optics.diffraction import Diffraction

FloatArray = NDArray[np.float64]
MOST = 40.0
"""D/r0 up to which long exposures are known."""


def long_exposure_seeing(
    image: NDArray[np.floating], diffraction: Diffraction, centre: tuple[float, float]
) -> float:
    """Return D/r0 at the wavelength of a long exposure; NaN where no seeing fits it.

    A long exposure's transfer function is the telescope's times that of the atmosphere,
    exp(−3.44 (f D/r0)^(5/3)) at f of the cut-off frequency (Fried 1966, JOSA 56, 1372), for
    Kolmogorov turbulence without an outer scale. Its image, and a background that is fitted with
    it, is compared with the mean over circles around the star. Whatever else widens the star,
    drift and aberrations, is taken for seeing. The pupil is taken without its obstruction.

    Parameters
    ----------
    image : ndarray, (y, x)
        ADU; masked pixels NaN.
    diffraction : Diffraction
        Of the image.
    centre : (float, float)
        (y, x) of the star.
    """
    y, x = np.indices(image.shape)
    away = np.hypot(y - centre[0], x - centre[1])
    good = np.isfinite(image) & (away < min(image.shape) / 2)
    ring = np.rint(away[good]).astype(int)
    count = np.bincount(ring)
    light = np.bincount(ring, image[good].astype(float))
    seen = np.flatnonzero(count)
    mean = light[seen] / count[seen]
    weight = np.sqrt(count[seen])
    if len(mean) < 8:
        return math.nan
    strength, radius, images = _long_exposures()
    errors = []
    for model in images:
        shape = np.interp(seen / diffraction.sampling, radius, model)
        columns = np.stack([shape, np.ones_like(shape)], axis=1) * weight[:, None]
        fit, *_ = np.linalg.lstsq(columns, mean * weight, rcond=None)
        left = columns @ fit - mean * weight
        errors.append((left @ left) if fit[0] > 0 else math.inf)
    best = int(np.argmin(errors))
    if not 0 < best < len(strength) - 1 or not np.isfinite(errors[best - 1 : best + 2]).all():
        return math.nan
    # the least of the parabola through the three, over the logarithm of D/r0
    before, least, after = errors[best - 1 : best + 2]
    step = (before - after) / (2 * (before - 2 * least + after))
    ratio = strength[best + 1] / strength[best]
    return float(strength[best] * ratio**step)


@cache
def _long_exposures() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return values of D/r0, distances from the star in lambda/D, and the image at each."""
    from scipy.special import j0

    strength = np.geomspace(0.3, MOST, 80)
    frequency = np.linspace(0, 1, 401)
    telescope = np.arccos(frequency) - frequency * np.sqrt(1 - frequency**2)
    radius = np.concatenate([np.arange(0, 6, 0.1), np.arange(6, 60, 0.5)])
    waves = j0(2 * np.pi * radius[:, None] * frequency) * frequency
    transfer = telescope * np.exp(-3.44 * (frequency * strength[:, None]) ** (5 / 3))
    images = transfer @ waves.T
    return strength, radius, images / images.max(axis=1, keepdims=True)
