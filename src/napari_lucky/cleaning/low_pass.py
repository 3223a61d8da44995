"""A Gaussian low-pass: noise finer than the star's own detail, smoothed away."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, isfinite, log, pi, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from napari_lucky.cleaning.step import Applied, CleaningStep, Scene
from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import Index, View, as_float32
from napari_lucky.frames.window import Window
from napari_lucky.steps.declaration import param

MIN_CUTOFF, MAX_CUTOFF = 0.01, 1.0
"""Cycles/px: a kernel of 75 px to each side, and one that hardly does anything."""
MIN_REACH = 12
"""Pixels to each side that a kernel keeps at least: a high cut-off has faint, wide tails."""


@dataclass(frozen=True, eq=False)
class LowPass(View):
    """Frames smoothed with a Gaussian that is given by its cut-off.

    A wave of frequency f, in cycles/px, keeps the amplitude G(f) = 2^(−(f / cutoff)²): half of it
    at the cut-off. That is a Gaussian of standard deviation sqrt(ln 2 / 2) / (pi cutoff) pixels.
    The kernel is made from G itself, because samples of a Gaussian narrower than a pixel do not
    have its spectrum; up to 0.4 cycles/px it follows G to 0.002 of the amplitude at any cut-off.

    Masked pixels have no weight and stay masked. At the sensor's edge the image is mirrored, so
    that flux is kept.

    It is linear, and so harmless to a sum or a mean, but it makes the noise of neighbouring pixels
    alike and the star wider. Do not take it before a wavefront or phase diversity, whose models
    know of no such blur, nor to make a stack look better: more frames do that at no loss.

    Parameters
    ----------
    frames : Frames
        Calibrated or raw, masked pixels NaN.
    cutoff : float
        Where half the amplitude is left, in cycles/px, 0.01 to 1; see `cutoff_in_pixels`.

    Raises
    ------
    LuckyError
        If the cut-off makes no sense.
    """

    cutoff: float

    def __post_init__(self) -> None:
        check_low_pass(self.cutoff)

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the smoothed frames asked for, (k, y, x), cut to the window."""
        window = window or Window.whole(self.shape)
        half = _half_kernel(self.cutoff)
        reach = len(half) - 1
        around = window.grown(reach).clipped(self.shape)
        block = as_float32(self.frames.read(frames, around))
        inner = (slice(None), *window.within(around).slices)
        smooth = weighted_mean(block, np.concatenate([half[:0:-1], half]))[inner]
        smooth[~np.isfinite(block[inner])] = np.nan
        return smooth


def weighted_mean(block: NDArray[np.float32], kernel: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the mean around each pixel, masked pixels left out of it.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        Masked pixels are not finite. Beyond its edge it is mirrored.
    kernel : ndarray of float, (2 r + 1,)
        Weights along an axis, symmetric, with a sum of 1; they are used along both.

    Returns
    -------
    ndarray of float32, (k, y, x)
        NaN where all that the kernel reaches is masked.
    """
    holes = ~np.isfinite(block)
    if not holes.any():
        return _convolved(block, kernel)
    if (holes == holes[:1]).all():  # the same pixels in every frame
        weight = _convolved(as_float32(~holes[:1]), kernel)
    else:
        weight = _convolved(as_float32(~holes), kernel)
    total = _convolved(np.where(holes, np.float32(0), block), kernel)
    some = weight > 0
    return np.where(some, total / np.where(some, weight, 1), np.float32(np.nan))


def _convolved(block: NDArray[np.float32], kernel: NDArray[np.float64]) -> NDArray[np.float32]:
    from scipy import ndimage

    for axis in (1, 2):
        block = ndimage.correlate1d(block, kernel, axis, mode="reflect")
    return block


@lru_cache(maxsize=16)
def _half_kernel(cutoff: float) -> NDArray[np.float64]:
    """Return the kernel's weights at 0, 1, ... px: the inverse Fourier transform of G."""
    samples = 4096  # so many that the kernel's copies one period away are nothing
    response = 2.0 ** -((np.fft.rfftfreq(samples) / cutoff) ** 2)
    sigma = sqrt(log(2) / 2) / (pi * cutoff)
    half = np.fft.irfft(response, samples)[: max(ceil(4 * sigma), MIN_REACH) + 1]
    return np.asarray(half / (2 * half.sum() - half[0]))


def cutoff_in_pixels(cutoff: float, sampling: float) -> float:
    """Return a cut-off in cycles/px that is given in units of the diffraction limit.

    A telescope passes nothing beyond D / lambda cycles a radian, which on the sensor is
    1 / sampling cycles/px.

    Parameters
    ----------
    cutoff : float
        1 is the diffraction limit.
    sampling : float
        Pixels per λ/D on the sensor.

    Returns
    -------
    float
        The frequency cutoff / sampling, in cycles/px.

    Raises
    ------
    LuckyError
        If either is not a number over 0.
    """
    if not (cutoff > 0 and isfinite(cutoff)):
        raise LuckyError(
            f"The low-pass cut-off is {cutoff} of the diffraction limit; it must be over 0."
        )
    if not (sampling > 0 and isfinite(sampling)):
        raise LuckyError(
            f"The sampling is {sampling} pixels across λ/D; it must be over 0. It is the "
            "wavelength times the focal ratio over the pixel."
        )
    return cutoff / sampling


def check_low_pass(cutoff: float) -> None:
    """Raise a `LuckyError` unless a cut-off in cycles/px makes sense."""
    if not MIN_CUTOFF <= cutoff <= MAX_CUTOFF:
        raise LuckyError(
            f"The low-pass cut-off is {cutoff:g} cycles/px; it must be {MIN_CUTOFF:g} to "
            f"{MAX_CUTOFF:g}. A sensor records waves of up to 0.5 cycles/px along an axis."
        )


class LowPassFilter(CleaningStep, table="low-pass", place=60, optional=True):
    """Smooth with a Gaussian: G(f) = 2^-(f / cut-off)^2, half amplitude at the cut-off.

    See `LowPass`. Do not use it before measuring a wavefront or a Strehl ratio: their models do not
    include this blur.
    """

    cutoff: float = param(
        0.15,
        "Spatial frequency of half amplitude, in cycles/px, or in units of the diffraction "
        "limit if the sampling is given.",
        "",
        "cut-off",
        step=0.05,
        gt=0,
        le=100,
    )
    sampling: float | None = param(
        None, "Pixels per λ/D on the sensor.", "px", step=0.5, ge=0.1, le=1000
    )

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        check_low_pass(self.cycles)
        return self

    @property
    def cycles(self) -> float:
        """The cut-off in cycles/px."""
        return cutoff_in_pixels(self.cutoff, self.sampling) if self.sampling else self.cutoff

    def apply(self, frames: Any, scene: Scene) -> Applied:
        """Return the frames smoothed."""
        return Applied(LowPass(frames, self.cycles), self, {"cycles_per_pixel": self.cycles})
