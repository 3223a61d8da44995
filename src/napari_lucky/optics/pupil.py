"""The pupil of a telescope, sampled: what is open of it, and Zernikes on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.optics.request import Spider
from napari_lucky.optics.zernikes import zernike

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SampledPupil:
    """The pupil on a square grid.

    Attributes
    ----------
    amplitude : ndarray of float, (n, n)
        How much of each sample is open.
    rho, theta : ndarray of float64, (n, n)
        Polar coordinates, rho = 1 on the rim.
    places : ndarray of float64, (n,)
        Of rows and columns, in pupil diameters, 0 in the middle.
    """

    amplitude: NDArray[Any]
    rho: Floats
    theta: Floats
    places: Floats

    def modes(self, nolls: range) -> Singles:
        """Return the Zernike polynomials of some Noll indices, (k, n, n)."""
        return np.stack([zernike(noll, self.rho, self.theta) for noll in nolls])

    @property
    def defocus(self) -> Floats:
        """Phase of one wave peak-to-valley of defocus, in rad."""
        return np.asarray(np.pi * (2 * self.rho**2 - 1))


def sample_pupil(
    diameter: float,
    obstruction: float = 0.0,
    spider: Spider | None = None,
    fine: int = 16,
    dtype: type[np.floating] = np.float64,
) -> SampledPupil:
    """Sample the pupil; a sample on an edge counts by the part of it that is open.

    Parameters
    ----------
    diameter : float
        In samples.
    obstruction : float
        Diameter of the central obstruction over the pupil's.
    spider : Spider, optional
    fine : int
        The open part of a sample is counted on so many points along each axis.
    dtype : type
        Of the amplitude.
    """
    n = math.ceil(diameter) + 2
    places: Floats = np.asarray((np.arange(n) - (n - 1) / 2) / diameter)
    dense = (np.arange(fine * n) - (fine * n - 1) / 2) / (fine * diameter)
    y, x = dense[:, None], dense[None, :]
    radius = np.hypot(y, x)
    is_open = (radius <= 0.5) & (radius >= obstruction / 2)
    if spider is not None:
        for vane in range(spider.vanes):
            angle = math.radians(spider.angle) + 2 * math.pi * vane / spider.vanes
            along = x * math.cos(angle) + y * math.sin(angle)
            across = y * math.cos(angle) - x * math.sin(angle)
            is_open &= ~((along > 0) & (np.abs(across) <= spider.width / 2))
    amplitude = is_open.reshape(n, fine, n, fine).mean(axis=(1, 3), dtype=dtype)
    # A sample is a square: its own transform dims the image far from the star, by
    # sinc(angle / n) along each axis. To second order the Laplacian makes up for it.
    padded = np.pad(amplitude, 1)
    laplacian = padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2]
    amplitude = amplitude - (laplacian - 4 * amplitude) / 24
    rho = 2 * np.hypot(places[:, None], places)
    return SampledPupil(
        amplitude, rho, np.arctan2(places[:, None], places + 0 * places[:, None]), places
    )
