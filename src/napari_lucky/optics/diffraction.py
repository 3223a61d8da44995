"""The diffraction-limited PSF: what the telescope would show without turbulence and aberrations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import UsageError
from napari_lucky.steps.plain_number import plain_number

MIN_SAMPLING, MAX_SAMPLING = 1.0, 1000.0
_SAMPLES = 4  # a pixel and axis, in the integral over a pixel: exact to 1e-4 of the peak


@dataclass(frozen=True)
class Diffraction:
    """What decides the diffraction-limited PSF on the sensor.

    Parameters
    ----------
    sampling : float
        Pixels per λ/D: λ F / p, with the focal ratio F and the pixel size p; 1 or more.
    obstruction : float
        Diameter of the central obstruction over the pupil's, 0 to under 1.

    Raises
    ------
    LuckyError
        If either makes no sense.
    """

    sampling: float
    obstruction: float = 0.0

    def __post_init__(self) -> None:
        for name, unit in (("sampling", "pix"), ("obstruction", "")):
            object.__setattr__(self, name, plain_number(getattr(self, name), unit, name))
        if not MIN_SAMPLING <= self.sampling <= MAX_SAMPLING:
            raise UsageError(
                f"The sampling is {self.sampling} pixels across λ/D; it must be "
                f"{MIN_SAMPLING:g} to {MAX_SAMPLING:g}. It is the wavelength times the focal "
                "ratio over the pixel."
            )
        if not 0 <= self.obstruction < 1:
            raise UsageError(
                f"The central obstruction is {self.obstruction}; give its diameter over the "
                "pupil's, 0 to under 1."
            )

    @property
    def first_minimum(self) -> float:
        """Radius of the first dark ring of an open pupil, 1.22 lambda/D, in pixels."""
        return 1.2197 * self.sampling


DiffractionLike = Any
"""A `Diffraction`, what has one, as a `Telescope` has, or the name of a saved telescope."""


def as_diffraction(given: DiffractionLike | None) -> Diffraction | None:
    """Return the diffraction-limited PSF of a telescope; None stays None.

    Raises
    ------
    LuckyError
        If it is neither.
    """
    if isinstance(given, str):
        from napari_lucky.optics.telescope_store import named_telescope

        given = named_telescope(given)
    found = getattr(given, "diffraction", given)
    if found is None or isinstance(found, Diffraction):
        return found
    raise UsageError(
        f"{given!r} is not a telescope. Give a Telescope, the name of a saved one, a "
        "Diffraction(sampling, obstruction), or None where the optics are not known."
    )


@lru_cache(maxsize=8)
def diffraction_psf(diffraction: Diffraction, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the diffraction-limited PSF on the pixels of a window.

    With v = pi r / sampling, r in pixels, and e the obstruction, the PSF of an annular pupil is ::

        P(r) = pi (1 - e²) / (4 sampling²) ((2 J1(v) / v - e² 2 J1(e v) / (e v)) / (1 - e²))²

    per pixel, integrated over each pixel's square. Its sum over the whole plane is 1; what falls
    outside the window is lost (some per cent in 9 lambda/D to each side).

    Parameters
    ----------
    diffraction : Diffraction
        Sampling and obstruction.
    shape : (int, int)
        Rows and columns; the peak is on the pixel [rows // 2, columns // 2].

    Returns
    -------
    ndarray of float32, (y, x)
        Read-only.
    """
    psf = psf_at(diffraction, shape, (shape[0] // 2, shape[1] // 2)).astype(np.float32)
    psf.setflags(write=False)
    return psf


def psf_at(
    diffraction: Diffraction,
    shape: tuple[int, int],
    centre: tuple[float, float],
    pixel: float = 1.0,
) -> NDArray[np.float64]:
    """Return the diffraction-limited PSF around any place of a window, per pixel.

    Parameters
    ----------
    diffraction : Diffraction
        Sampling and obstruction.
    shape : (int, int)
        Rows and columns.
    centre : (float, float)
        (y, x) of the peak, in pixels.
    pixel : float
        Side of the square that each value is the mean over, in pixels; 0 for the value at the
        pixel's centre.

    Returns
    -------
    ndarray of float64, (y, x)
    """
    points, weights = np.polynomial.legendre.leggauss(_SAMPLES if pixel else 1)
    y, x = (
        (np.arange(side)[:, None] - at + points * pixel / 2).ravel()  # some for each pixel
        for side, at in zip(shape, centre, strict=True)
    )
    value = _annular(np.hypot(y[:, None], x), diffraction)
    weights = weights / 2
    fine = value.reshape(shape[0], len(points), shape[1], len(points))
    return np.asarray(np.einsum("yaxb,a,b->yx", fine, weights, weights))


def _annular(r: NDArray[np.float64], diffraction: Diffraction) -> NDArray[np.float64]:
    """Return the PSF at a distance from its peak, of unit volume."""
    scale, hole = diffraction.sampling, diffraction.obstruction
    v = np.pi * r / scale
    amplitude = _jinc(v) - (hole**2 * _jinc(hole * v) if hole else 0)
    return np.asarray(np.pi * amplitude**2 / (4 * scale**2 * (1 - hole**2)))


def _jinc(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 2 J1(v) / v, which is 1 at 0."""
    from scipy.special import j1

    some = np.where(v == 0, 1, v)
    return np.where(v == 0, 1.0, 2 * j1(some) / some)
