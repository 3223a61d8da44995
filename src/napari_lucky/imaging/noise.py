"""The noise of a pixel: a model of its variance, and how it is measured from the frames.

What the constants do is measured by ``benchmarks/pulls.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import blocks_of, one_by_one
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.frames import Block, Frames, as_float32
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window
from napari_lucky.imaging.inpainting import fill_by_kriging
from napari_lucky.imaging.quantisation import quantisation
from napari_lucky.imaging.star_image import background, border, without_slope

SAMPLE = 64
"""Frames, spread over the run, that the noise is measured in."""
SAMPLE_PIXELS, FEWEST = 1 << 20, 4
"""Pixels of all of them, at most, and frames at least: large windows have enough in a few."""
ORDERS = (6, 24, 36)
"""Differences of these orders along both axes leave noise, and next to nothing of a star: the
higher, the less of a star of few pixels, but the more pixels around each masked one are lost."""
UNSURE = 1e100
"""ADU⁴: a variance's own, where nothing is known of it."""
UNLIKE, SURE = 0.25, 4.0
"""Two orders disagree if their variances differ by over this part, and so many sigmas."""
SEEN, FEWEST_SEEN = 0.1, 12
"""Differences of a high order count if so many have this part of the brightest pixel's light."""
LEAST_SIDES = 1.5
"""A window has so many times as many rows and columns as the order of its differences."""
STEP = 2
"""Pixels from one difference of the sixth order to the next."""
SPECTRA, FINEST = 32, 0.66
"""Frames whose power spectra are looked at, and from where on, in cycles/px."""
EDGE, EDGE_NOISE = 0.05, 2.0
"""A scene fills the window if its border varies by so much of the brightest pixel, and so many
sigmas of a pixel."""
CROSSED, CROSSING, CROSSING_NOISE = 0.3, 0.98, 6.0
"""A slit goes on beyond the window: on two opposite sides this quantile of the border has so much
of the brightest pixel, and so many sigmas of a pixel, in most frames."""
FAINT = 1.2
"""Light under so many sigmas of a pixel, or 4 of the differences' light, is lost in its noise."""
ENOUGH = 20_000
"""About so many residuals give the noise in places of the same light to a per cent or two."""
CHI2 = 0.455
"""Median of chi-square."""
LEAST = 1e-12
"""ADU²: no noise at all."""
CLIP = 5.0
"""Residuals over so many sigmas are cosmic rays and hot pixels, not noise."""
BINS, ROUNDS = 24, 4
DARK, DARKEST = 0.1, 0.01
"""If more of the pixels are darker than the window's border, as on a scene that fills it, light is
counted from this quantile of them."""
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
    separate : bool
        Whether it could be distinguished from the light: not where fine detail passes for noise.
    fills : bool
        Whether a scene goes on beyond the window.
    """

    floor: float
    photon: float = 0.0
    speckle: float = 0.0
    alike: float = 0.0
    dark: float = 0.0
    separate: bool = True
    fills: bool = False

    def variance(self, signal: NDArray[np.float32]) -> Floats:
        """Return the variance of pixels with a signal (ADU), in ADU²."""
        light = np.maximum(signal, 0).astype(np.float64)
        return self.floor + self.photon * light + self.speckle * light**2

    @property
    def known(self) -> bool:
        """Whether errors follow from it; those of a template do if a scene goes on, too."""
        return self.separate and not self.fills

    @property
    def turbulent(self) -> bool:
        """Whether speckles that come and go are more than a part of what the template leaves."""
        return self.alike > TURBULENT


def sample_noise(frames: Frames, window: Window, *, job: Job = QUIET) -> Noise:
    """Measure the noise of a pixel in up to 64 frames spread over a run.

    Within each frame alone: differences of sixth order along y and x, which are noise, for
    optics pass no detail so fine: of a star with over about 2.5 px per λ/D they leave a
    part in a thousand. Their mean square in places of the same light is floor + photon I. Nothing
    is compared from frame to frame, so speckles that come and go are not taken for noise.

    Of smaller stars they leave more. So differences of order 24 must give the same, or those of
    order 36 the same as these; else the noise is not known. No pixel has less noise than rounding
    gives it; see `quantisation`. Nor is it known, as far as errors of places go, of a scene that
    fills the window.

    Noise that is alike in neighbouring pixels, as after a low-pass or a noise cut, is
    underestimated.

    Parameters
    ----------
    frames : Frames
        In ADU, masked pixels NaN.
    window : Window
        Holds the star in some frames.
    job : Job
        Its progress is reported, and may cancel.
    """
    pixels = window.height * window.width
    most = int(np.clip(SAMPLE_PIXELS // pixels, FEWEST, SAMPLE))
    sample = spread_over(frames.shape[0], most)
    blocks = []
    for part in one_by_one(blocks_of(len(sample), pixels), "measuring the noise", job):
        block = as_float32(frames.read(sample[part], window))
        blocks.append(block - background(block)[:, None, None])
    least = quantisation(frames, window)
    top = max(float(np.nanmax(block, initial=0)) for block in blocks)
    noise, variance, unsure = _noise_of(blocks, ORDERS[0], least, top)
    for order in ORDERS[1:]:
        finer, other, doubt = _noise_of(blocks, order, least, top)
        apart = np.abs(variance - other)
        unlike = apart > UNLIKE * np.minimum(variance, other)
        # the star is taken to be well sampled, until the contrary is certain
        certain = apart > SURE * np.hypot(unsure, doubt) if order == ORDERS[1] else True
        if not (unlike & certain).any():
            separate = not _aliased(blocks, noise, least)
            return replace(noise, separate=separate, fills=_fills(blocks, noise, top))
        if not np.isfinite(doubt).all():
            break
        noise, variance, unsure = finer, other, doubt
    return replace(noise, separate=False)


def _fills(blocks: list[Block], noise: Noise, top: float) -> bool:
    """Return whether a scene goes on beyond the window: its border varies by more than its noise.

    Or light crosses it in a few places, as a slit's does. What leaves the window and what comes in
    then moves a frame's point more than its noise does.
    """
    edge = border(blocks[0].shape[1:])
    frames = np.concatenate([without_slope(block) for block in blocks])
    sides = frames[:, :2], frames[:, -2:], frames[:, :, :2], frames[:, :, -2:]
    first, last, left, right = (
        np.median(np.quantile(np.nan_to_num(side), CROSSING, axis=(1, 2))) for side in sides
    )
    crossing = max(min(first, last), min(left, right))
    if crossing > max(CROSSING_NOISE * noise.floor**0.5, CROSSED * top):
        return True
    levels = frames[:, edge].ravel()
    low, high = np.nanquantile(levels, [0.16, 0.84]) if np.isfinite(levels).any() else (0, 0)
    return bool((high - low) / 2 > max(EDGE_NOISE * noise.floor**0.5, EDGE * top))


def _aliased(blocks: list[Block], noise: Noise, least: float) -> bool:
    """Return whether the noise is too much for the finest details, which hold nothing else.

    No star of over 1.5 px per lambda/D has light beyond 0.66 cycles/px, along the diagonals. Of
    an even sky, rounding (the least noise) leaves nothing.
    """
    block = np.concatenate(blocks)
    block = np.nan_to_num(fill_by_kriging(block[:: max(1, len(block) // SPECTRA)])[0])
    down, across = (np.hanning(side + 2)[1:-1].astype(np.float32) for side in block.shape[1:])
    taper = down[:, None] * across
    detail = np.hypot(np.fft.fftfreq(len(down))[:, None], np.fft.rfftfreq(len(across)))
    if not (detail > FINEST).any():
        return False  # so small a window does not show it
    finest = np.fft.rfft2(block * taper)[:, detail > FINEST]
    power = (np.abs(finest) ** 2).mean(axis=1, dtype=np.float64)
    modelled = ((noise.variance(block) - least) * taper**2).sum(axis=(1, 2)).mean()
    unsure = power.std() / np.sqrt(len(power))
    return bool(modelled > (1 + UNLIKE) * power.mean() + SURE * unsure)


def _noise_of(
    blocks: list[Block], order: int, least: float, top: float
) -> tuple[Noise, Floats, Floats]:
    """Fit the noise to the differences of an order in frames, background off.

    Returns
    -------
    noise : Noise
    variance, unsure : ndarray of float64, (2,)
        Of a pixel without light and of the brightest, and 1-sigma errors of these; infinite
        where the order is too high for the window, or for its masked pixels to show the star.
    """
    fine = order > ORDERS[0]
    none = Noise(LEAST), np.zeros(2), np.full(2, np.inf)
    if fine and min(blocks[0].shape[1:]) < LEAST_SIDES * order:
        return none
    square = np.concatenate([_differences(block, order).ravel() ** 2 for block in blocks])
    light = np.concatenate([_light_of_differences(block, order).ravel() for block in blocks])
    seen = np.isfinite(square)
    square, light = square[seen], light[seen]
    if len(square) == 0 or (fine and (light > SEEN * top).sum() < FEWEST_SEEN * _overlap(order)):
        return none
    # light lost in its own noise is one bin: else dark pixels whose noise is high were faint light
    usual = np.sqrt(max(np.median(square[::16]) / CHI2, least))
    dim = light < -FAINT * usual
    zero = float(np.quantile(light, DARKEST)) if dim.mean() > DARK else 0.0
    light -= np.float32(zero)
    faint = light < FAINT * usual
    light[faint] = light[faint].mean() if faint.any() else 0
    terms, covariance = fit_terms(square, light, 1, CLIP, least)
    design = np.array([[1, 0], [1, top - zero]])
    unsure = np.sqrt(_overlap(order) * np.einsum("li,ij,lj->l", design, covariance, design))
    dark = max(_clipped_mean(square[faint], CLIP), least) if faint.any() else 0.0
    noise = Noise(float(terms[0] - terms[1] * zero), float(terms[1]), dark=dark)
    return noise, design @ terms, unsure


def _overlap(order: int) -> float:
    """Return how many differences say as much as one that overlaps with no other.

    Those k pixels apart have the correlation C(2n, n - k) / C(2n, n), and their squares its
    square.
    """
    step = _step(order)
    lags = range(-(order // step) * step, order + 1, step)
    along = sum((comb(2 * order, order + lag) / comb(2 * order, order)) ** 2 for lag in lags)
    return along**2


def _step(order: int) -> int:
    """Return how far apart differences are taken: they overlap so much that these are enough."""
    return int(STEP * (order / ORDERS[0]) ** 0.5 + 0.5)


def fit_noise(square: NDArray[Any], signal: NDArray[Any], order: int, least: float = 0.0) -> Noise:
    """Fit a polynomial of the signal to squares of noise, as a `Noise`; see `fit_terms`."""
    terms, _ = fit_terms(square, signal, order, least=least)
    floor, photon, speckle = np.append(terms, np.zeros(2 - order))
    return Noise(float(floor), float(photon), float(speckle))


def fit_terms(
    square: NDArray[Any],
    signal: NDArray[Any],
    order: int,
    clip: float = np.inf,
    least: float = 0.0,
) -> tuple[Floats, Floats]:
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
        Residuals over so many sigmas of those of the same light are left out.
    least : float, optional
        ADU²; no pixel has less, see `quantisation`.

    Returns
    -------
    terms : ndarray of float64, (order + 1,)
        Of 1, I and I².
    covariance : ndarray of float64, (order + 1, order + 1)
        Theirs, if each square is independent of the others.
    """
    seen = np.isfinite(square)
    if not square[seen].any():
        nothing = np.zeros(order + 1)
        nothing[0] = max(least, LEAST)
        return nothing, np.zeros((order + 1, order + 1))
    square, signal = square[seen], np.maximum(signal[seen], 0)
    steps = float(signal.max()) * np.geomspace(1e-3, 1, BINS)
    bin_of = np.searchsorted(steps.astype(signal.dtype), signal)
    values, lights, counts = [], [], []
    for k in range(BINS + 1):
        some = np.flatnonzero(bin_of == k)
        some = some[:: len(some) // ENOUGH + 1]
        if len(some):
            values.append(max(_clipped_mean(square[some], clip), least))
            lights.append(signal[some].mean(dtype=np.float64))
            counts.append(len(some))
    value, light = np.array(values), np.array(lights)
    scale = float(light.max()) or 1.0
    design = np.power.outer(light / scale, np.arange(order + 1))
    lowest = max(1e-6 * float(value.max()), least)
    model = np.maximum(value, lowest)
    for _ in range(ROUNDS):  # weights from the model: from the values, low ones would win
        certain = np.sqrt(counts) / np.maximum(model, value)  # but outliers shall not
        terms = _not_negative(design * certain[:, None], value * certain)
        model = np.maximum(design @ terms, lowest)
    weighted = design * (np.sqrt(counts) / model)[:, None]
    if np.linalg.matrix_rank(weighted) <= order:  # all have the same light
        covariance = np.diag(np.full(order + 1, UNSURE))
    else:
        covariance = 2 * np.linalg.inv(weighted.T @ weighted)
    unit = scale ** np.arange(order + 1.0)
    terms[0] = max(float(terms[0]), lowest, LEAST)
    return terms / unit, covariance / np.outer(unit, unit)


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


def _binomial(order: int) -> Floats:
    return np.array([comb(order, k) for k in range(order + 1)], float)


def _differences(block: Block, order: int) -> Block:
    """Return differences of an order along y and x, of the same variance as a pixel."""
    step = _step(order)
    block = np.diff(block, order, 1)[:, ::step]
    block = np.diff(block, order, 2)[:, :, ::step]
    return np.asarray(block / np.float32((_binomial(order) ** 2).sum()))


def _light_of_differences(block: Block, order: int) -> Block:
    """Return the light that the noise of the differences is of: its mean by their squares."""
    squares = _binomial(order) ** 2
    weights = (squares / squares.sum()).astype(np.float32)
    step = _step(order)
    ny, nx = (side - order for side in block.shape[1:])
    rows = weights[0] * block[:, :ny:step]
    for k, weight in enumerate(weights[1:], 1):
        rows += weight * block[:, k : k + ny : step]
    mean = weights[0] * rows[:, :, :nx:step]
    for k, weight in enumerate(weights[1:], 1):
        mean += weight * rows[:, :, k : k + nx : step]
    return mean
