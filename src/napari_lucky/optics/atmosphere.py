"""A telescope's pupil, the turbulence before it, and the images it makes of a star."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.optics.pupil import SampledPupil, sample_pupil
from napari_lucky.optics.telescope import Telescope

FloatArray = NDArray[np.float32]

MIN_SAMPLES, MAX_SAMPLES = 48, 80
"""Samples across the pupil: fewer make the speckles coarse, more take long."""


@dataclass(frozen=True, eq=False)
class FieldPupil(SampledPupil):
    """The annular pupil, sampled so that the images have a whole number of pixels.

    Attributes
    ----------
    diameter : float
        In samples.
    field : int
        Side of the images in pixels.
    """

    diameter: float
    field: int


def pupil_samples(d_over_r0: float, defocus_waves: float) -> int:
    """Return the samples across the pupil: N of them make a field of N lambda/D, then light wraps.

    The half field must hold the donut's radius (4 W), four sigma of the Kolmogorov shake and
    the seeing disc (D/r0), all in lambda/D.
    """
    shake: float = 4 * 0.43 * d_over_r0 ** (5 / 6)
    samples = 2 * math.ceil(4 * abs(defocus_waves) + shake + d_over_r0)
    if samples > MAX_SAMPLES:
        raise LuckyError(
            f"D/r0 = {d_over_r0:g} with {defocus_waves:g} waves of defocus spreads the star over "
            f"{samples} λ/D, but the simulation holds {MAX_SAMPLES}. Lower one of them."
        )
    return max(samples, MIN_SAMPLES)


def make_pupil(telescope: Telescope, samples: int) -> FieldPupil:
    """Sample the pupil; the field is a whole number of px and the pupil's diameter follows."""
    scale = telescope.px_per_lambda_over_d
    if scale < 2:
        raise LuckyError(f"{scale:.2f} pixels per λ/D undersample the speckles; give 2 or more.")
    field = round(samples * scale)
    diameter = field / scale
    sampled = sample_pupil(diameter, telescope.obstruction, fine=8, dtype=np.float32)
    return FieldPupil(
        sampled.amplitude, sampled.rho, sampled.theta, sampled.places, diameter, field
    )


def disk_samples(pupil: FieldPupil) -> tuple[NDArray[np.intp], int]:
    """Return the samples (flat) of the whole disk, the open ones first, and how many are open.

    What the obstruction hides makes no light, but a Zernike coefficient is of the full disk.
    """
    is_open = pupil.amplitude != 0
    shown = np.flatnonzero(is_open)
    return np.append(shown, np.flatnonzero((pupil.rho <= 1) & ~is_open)), len(shown)


def screen_factor(pupil: FieldPupil, outer_scale: float) -> NDArray[np.float64]:
    """Return the Cholesky factor of the phase covariance of the disk's samples, at D/r0 = 1.

    von Karman covariance as in Assemat & Wilson (2006, Opt. Express 14, 988), `outer_scale` in
    pupil diameters. Unlike an FFT screen it has no period and needs no sub-harmonics (Lane,
    Glindemann & Dainty 1992): every low frequency, and so the tip-tilt, is exact. Samples are in
    the order of `disk_samples`.
    """
    y, x = np.divmod(disk_samples(pupil)[0], len(pupil.amplitude))
    lag = np.arange(len(pupil.amplitude)) / pupil.diameter
    u = 2 * np.pi * np.hypot(lag[:, None], lag) / outer_scale
    u[0, 0] = 1e-9  # K(0) is infinite, u**(5/6) K(u) is not
    scale = (24 / 5 * math.gamma(6 / 5)) ** (5 / 6) * outer_scale ** (5 / 3)
    scale *= math.gamma(11 / 6) / (2 ** (5 / 6) * np.pi ** (8 / 3))
    by_lag = scale * u ** (5 / 6) * scipy.special.kv(5 / 6, u)
    covariance = by_lag[np.abs(y[:, None] - y), np.abs(x[:, None] - x)]
    return np.asarray(scipy.linalg.cholesky(covariance, lower=True, overwrite_a=True))


def phase_screens(
    rng: np.random.Generator,
    n: int,
    pupil: FieldPupil,
    factor: NDArray[np.float64],
    hidden: np.random.Generator | None = None,
) -> FloatArray:
    """Draw n independent phases (n, y, x) in rad, tip-tilt included, 0 outside the disk.

    What is behind the obstruction has its own generator, so that the light does not depend
    on it; without one it is what the open samples let expect.
    """
    where, shown = disk_samples(pupil)
    draws = np.zeros((n, len(where)))
    draws[:, :shown] = rng.standard_normal((n, shown))
    if hidden is not None:
        draws[:, shown:] = hidden.standard_normal((n, len(where) - shown))
    screens = np.zeros((n, pupil.amplitude.size), np.float32)
    screens[:, where] = draws @ factor.T
    return screens.reshape(n, *pupil.amplitude.shape)


def psfs(phases: FloatArray, pupil: FieldPupil) -> FloatArray:
    """Turn phases (n, y, x) into PSFs (n, field, field) of unit total flux, pixel-integrated.

    The intensity is computed at 2 px per lambda/D, which holds all of its frequencies. Padding
    its spectrum (the OTF) interpolates it to the sensor's pixels, whose own transfer function is
    applied on the way. A star without tilt is centred on px ``field // 2``.
    """
    n, field = phases.shape[-1], pupil.field
    wave = pupil.amplitude * (np.cos(phases) + np.complex64(1j) * np.sin(phases))
    focal = scipy.fft.fft2(wave, s=(2 * n, 2 * n))
    otf = scipy.fft.rfft2(focal.real**2 + focal.imag**2)
    padded = np.zeros((len(phases), field, n), np.complex64)
    padded[:, :n], padded[:, -n:] = otf[:, :n, :n], otf[:, -n:, :n]
    # The flux through the pupil is its area; the sum of amplitude**2 is without what a sharp edge
    # throws out of the field.
    flux = (2 * n) ** 2 * pupil.amplitude.sum(dtype=np.float64)
    frequency = np.fft.fftfreq(field)  # cycles per px
    padded *= (np.sinc(frequency)[:, None] * np.sinc(frequency[:n]) / flux).astype(np.float32)
    images = scipy.fft.irfft(scipy.fft.ifft(padded, axis=1, overwrite_x=True), n=field, axis=2)
    return np.asarray(np.fft.fftshift(images, axes=(1, 2)), np.float32)
