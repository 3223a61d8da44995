"""The noise of a pixel: a model of its variance, and how it is measured from the frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import blocks_of
from .frames import Frames, as_float32
from .reading import spread_over
from .spots import Block, background
from .windows import Window

SAMPLE = 64
"""Frames, spread over the run, that the noise is measured in."""
SAMPLE_PIXELS, FEWEST = 1 << 20, 4
"""Pixels of all of them, at most, and frames at least: large windows have enough in a few."""
ORDER = 6
"""Differences of this order along both axes leave noise, and next to nothing of a star."""
STEP = 2
BINOMIAL = np.array([comb(ORDER, k) for k in range(ORDER + 1)], float)
FAINT = 1.2
"""Light under so many sigmas of a pixel, or 4 of the differences' light, is lost in its noise."""
ENOUGH = 20_000
"""About so many residuals tell the noise in places alike in light to a per cent or two."""
CHI2 = 0.455
"""Median of chi-square."""
LEAST = 1e-12
"""ADU²: no noise at all."""
CLIP = 5.0
"""Residuals over so many sigmas are cosmic rays and hot pixels, not noise."""
BINS, ROUNDS = 24, 4
TURBULENT = 0.1
"""Correlation of neighbouring residuals over which it is not noise that rules."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Noise:
    """Variance of a pixel as a polynomial of its signal I: floor + photon I + speckle I².

    Parameters
    ----------
    floor : float
        ADU², of the sky and the reading.
    photon : float
        ADU, the inverse of the gain.
    speckle : float
        What turbulence adds, as a fraction of the signal squared.
    alike : float
        Correlation of what the template leaves in neighbouring pixels of the star: 0 for
        noise, positive for speckles, which are wider than a pixel.
    dark : float
        ADU², as measured where there is no light to be seen; 0 if it was not. Where most light
        is noise itself, the floor of the polynomial may be less.
    """

    floor: float
    photon: float = 0.0
    speckle: float = 0.0
    alike: float = 0.0
    dark: float = 0.0

    def variance(self, signal: NDArray[np.float32]) -> Floats:
        """Return the variance of pixels with a signal (ADU), in ADU²."""
        light = np.maximum(signal, 0).astype(np.float64)
        return self.floor + self.photon * light + self.speckle * light**2

    @property
    def turbulent(self) -> bool:
        """Whether speckles that come and go are more than a part of what the template leaves."""
        return self.alike > TURBULENT


def sample_noise(frames: Frames, window: Window) -> Noise:
    """Measure the noise of a pixel in up to 64 frames spread over a run.

    Within each frame alone: differences of sixth order along y and x, which are noise, for
    optics pass no detail so fine: of a star with lambda F# / pixel over about 2.5 they leave a
    part in a thousand. Their mean square in places alike in light is floor + photon I. Nothing
    is compared from frame to frame, so speckles that come and go are not taken for noise.

    Noise that is alike in neighbouring pixels, as after a low-pass or a noise cut, is
    underestimated; an undersampled star is taken for noise.

    Parameters
    ----------
    frames : Frames
        In ADU, masked pixels NaN.
    window : Window
        Holds the star in some frames.
    """
    pixels = window.height * window.width
    most = int(np.clip(SAMPLE_PIXELS // pixels, FEWEST, SAMPLE))
    sample = spread_over(frames.shape[0], most)
    squares, lights = [], []
    for part in blocks_of(len(sample), pixels):
        block = as_float32(frames.read(sample[part], window))
        block = block - background(block)[:, None, None]
        squares.append(_differences(block).ravel() ** 2)
        lights.append(_light_of_differences(block).ravel())
    square, light = np.concatenate(squares), np.concatenate(lights)
    seen = np.isfinite(square)
    square, light = square[seen], light[seen]
    # light lost in its own noise is one bin: else dark pixels whose noise is high were faint light
    faint = light < FAINT * np.sqrt(np.median(square[::16]) / CHI2 if len(square) else 0)
    light[faint] = light[faint].mean() if faint.any() else 0
    dark = _clipped_mean(square[faint], CLIP) if faint.any() else 0.0
    return replace(fit_noise(square, light, 1, CLIP), dark=dark)


def fit_noise(
    square: NDArray[Any], signal: NDArray[Any], order: int, clip: float = np.inf
) -> Noise:
    """Fit a polynomial of the signal to squares of noise; no coefficient is under 0.

    Parameters
    ----------
    square : ndarray, (p,)
        Squared residuals, ADU²; NaN where there is none.
    signal : ndarray, (p,)
        Light in these places, ADU.
    order : int
        1, or 2 to include the speckles' part.
    clip : float, optional
        Residuals over so many sigmas of those alike in light are left out.
    """
    seen = np.isfinite(square)
    if not square[seen].any():
        return Noise(LEAST)
    square, signal = square[seen], np.maximum(signal[seen], 0)
    steps = float(signal.max()) * np.geomspace(1e-3, 1, BINS)
    bin_of = np.searchsorted(steps.astype(signal.dtype), signal)
    values, lights, counts = [], [], []
    for k in range(BINS + 1):
        some = np.flatnonzero(bin_of == k)
        some = some[:: len(some) // ENOUGH + 1]
        if len(some):
            values.append(_clipped_mean(square[some], clip))
            lights.append(signal[some].mean(dtype=np.float64))
            counts.append(len(some))
    value, light = np.array(values), np.array(lights)
    scale = float(light.max()) or 1.0
    design = np.power.outer(light / scale, np.arange(order + 1))
    least = 1e-6 * float(value.max())
    model = np.maximum(value, least)
    for _ in range(ROUNDS):  # weights from the model: from the values, low ones would win
        certain = np.sqrt(counts) / np.maximum(model, value)  # but outliers shall not
        terms = _not_negative(design * certain[:, None], value * certain)
        model = np.maximum(design @ terms, least)
    terms = np.append(terms, np.zeros(2 - order))
    floor = max(float(terms[0]), least, LEAST)
    return Noise(floor, float(terms[1] / scale), float(terms[2] / scale**2))


def _not_negative(design: Floats, value: Floats) -> Floats:
    """Solve a least-squares problem of a few terms, none under 0."""
    best, least = np.zeros(design.shape[1]), np.inf
    for used in product((False, True), repeat=design.shape[1]):
        terms = np.zeros(design.shape[1])
        terms[list(used)] = np.linalg.lstsq(design[:, used], value)[0]
        rest = float(((design @ terms - value) ** 2).sum())
        if terms.min() >= 0 and rest < least:
            best, least = terms, rest
    return best


def _clipped_mean(square: NDArray[Any], clip: float) -> float:
    usual = float(np.median(square)) / CHI2
    return float(square[square <= clip**2 * usual].mean(dtype=np.float64)) if usual else 0.0


def _differences(block: Block) -> Block:
    """Return differences of the sixth order along y and x, of the same variance as a pixel.

    They overlap so much that every second one tells as much as all of them.
    """
    block = np.diff(block, ORDER, 1)[:, ::STEP]
    block = np.diff(block, ORDER, 2)[:, :, ::STEP]
    return np.asarray(block / np.float32((BINOMIAL**2).sum()))


def _light_of_differences(block: Block) -> Block:
    """Return the light that the noise of the differences is of: its mean by their squares."""
    weights = (BINOMIAL**2 / (BINOMIAL**2).sum()).astype(np.float32)
    ny, nx = (side - ORDER for side in block.shape[1:])
    rows = weights[0] * block[:, :ny:STEP]
    for k, weight in enumerate(weights[1:], 1):
        rows += weight * block[:, k : k + ny : STEP]
    mean = weights[0] * rows[:, :, :nx:STEP]
    for k, weight in enumerate(weights[1:], 1):
        mean += weight * rows[:, :, k : k + nx : STEP]
    return mean
