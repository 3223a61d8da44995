"""The light of a star's halo that is beyond the aperture, or was taken for background.

What the constants do is measured by ``benchmarks/figures.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
POWER = 11 / 3
"""Intensity of the halo goes with r^(−11/3) beyond the seeing disc: Kolmogorov's spectrum."""
INNER, OUTER = 5 / 6, 1.42
"""Of the aperture's radius: where the halo is fitted."""
FEWEST = 50
"""Pixels there."""


@dataclass(frozen=True)
class Halo:
    """What a halo has of a star's light.

    Parameters
    ----------
    level : float
        ADU a pixel that were taken for background too much.
    light : float
        ADU beyond the aperture.
    sigma : float
        Standard deviation of the whole light because of both, in ADU.
    """

    level: float
    light: float
    sigma: float


def fit_halo(
    star: FloatArray,
    perfect: FloatArray,
    distance: FloatArray,
    aperture: float,
    outer: float,
    level_known: bool,
) -> Halo | None:
    """Fit the wings of a halo around a star.

    A level and c r^(−11/3), the wings that Kolmogorov turbulence makes of a long exposure (Racine
    1996, PASP 108, 699), are fitted to the image without its diffraction-limited part, in a ring
    from 5/6 to 1.42 of the aperture's radius. The halo beyond the aperture is the integral of that.

    Parameters
    ----------
    star : ndarray of float64, (y, x)
        Without its background, in ADU.
    perfect : ndarray of float64, (y, x)
        The diffraction-limited PSF with the star's peak, in ADU.
    distance : ndarray of float64, (y, x)
        Of each pixel from the peak, in pixels.
    aperture, outer : float
        Its radius, and the largest that the image holds, in pixels.
    level_known : bool
        Whether the background was given.

    Returns
    -------
    Halo or None
        None where there are too few pixels, or nothing but noise.
    """
    ring = (distance > INNER * aperture) & (distance <= min(OUTER * aperture, outer))
    if int(ring.sum()) < FEWEST:
        return None
    r = distance[ring] / aperture
    rest = (star - perfect)[ring]
    wings = r**-POWER
    design = wings[:, None] if level_known else np.stack([wings, np.ones_like(r)], axis=1)
    found, *_ = np.linalg.lstsq(design, rest, rcond=None)
    variance = float((rest - design @ found).var()) * np.linalg.inv(design.T @ design)
    beyond = 2 * math.pi * aperture**2 / (POWER - 2)
    gradient = np.array([beyond] if level_known else [beyond, -math.pi * aperture**2])
    if found[0] <= 0:
        return None
    return Halo(
        0.0 if level_known else float(found[1]),
        float(found[0]) * beyond,
        math.sqrt(float(gradient @ variance @ gradient)),
    )
