"""The fits of many frames, in rounds.

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blas_threads import one_blas_thread
from napari_lucky.execution.blocks import map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.window import Window
from napari_lucky.wavefront.frame_fit import Fitted, Floats, Prior
from napari_lucky.wavefront.observe import SensorNoise, observe
from napari_lucky.wavefront.pair_model import PairModel
from napari_lucky.wavefront.search import (
    TIGHT,
    Errors,
    Observed,
    errors_of,
    misfit_of,
    noise_of,
    refit,
    residual_sums,
    search,
)
from napari_lucky.wavefront.static import Static

POSTERIORS = 256
"""Frames whose posterior covariances are averaged: bounded memory, and they are all alike."""
FAINTEST = 20.0
"""A star's flux over its error, under which there is none to fit."""


@dataclass(frozen=True, eq=False)
class Fits:
    """The fits of n frames; a frame that could not be fitted has x NaN and chi2 infinite.

    Attributes
    ----------
    x : ndarray, (n, size)
        See `PairModel`.
    chi2 : ndarray, (n,)
        Weighted squares of the residuals over their number.
    fluxes : ndarray, (n, 2)
        Of the star in the two windows, ADU.
    defocus_variance : ndarray, (n,)
        Posterior variance of the defocus between the images, in waves²; 0 where it was held.
    posteriors : ndarray of float32, (up to 256, k, k)
        Posterior covariance of the Zernikes of the first frames, rad².
    starts : ndarray of int, (n,)
        How many starts were tried.
    errors : ndarray, (n, 2)
        Of the model over its signal, as measured; see `search.Errors`.
    sums : ndarray, (n, 4, 6)
        Of the residuals; see `search.residual_sums`.
    misfits : ndarray, (n, 2)
        What the model is wrong by over the star's light; see `search.misfit_of`.
    """

    x: Floats
    chi2: Floats
    fluxes: Floats
    defocus_variance: Floats
    posteriors: NDArray[np.float32]
    starts: NDArray[np.intp]
    errors: Floats
    sums: Floats
    misfits: Floats

    def good(self, limit: float) -> NDArray[np.bool_]:
        """Return which frames are fitted: chi2 within the limit, the star there in both windows."""
        seen = self.fluxes[(self.fluxes > 0).all(axis=1)]  # false for NaN
        if len(seen) == 0:
            return np.zeros(len(self.chi2), bool)
        lit = (self.fluxes > 0.2 * np.median(seen, axis=0)).all(axis=1)
        return np.asarray((self.chi2 <= limit) & lit)

    def posterior(self, good: NDArray[np.bool_]) -> Floats:
        """Return the mean posterior covariance of the frames that are good."""
        some = self.posteriors[good[: len(self.posteriors)]]
        return (some if len(some) else self.posteriors).mean(axis=0, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class PairReader:
    """Frames read in two windows, on the model's bins; it can be sent to another machine."""

    frames: Frames
    windows: tuple[Window, Window]
    noise: SensorNoise
    bins: int
    sampling: float

    def observe(self, frame: int) -> Observed:
        """Return a frame's images and their noise.

        Raises
        ------
        LuckyError
            If its pixels are masked.
        """
        index = np.array([frame], np.intp)
        focus, defocus = (as_float32(self.frames.read(index, at))[0] for at in self.windows)
        return observe((focus, defocus), self.noise, self.bins, self.sampling)


@dataclass(frozen=True, eq=False)
class FitBlock:
    """Fits a block of the frames chosen; called on the executor.

    Parameters
    ----------
    reader : PairReader
    model : PairModel
    prior : Prior
    index : ndarray of int, (n,)
        Frames chosen.
    starts : ndarray, (n, size)
        x to start from; NaN where a start is to be searched for.
    level, most
        See `search`.
    seed : int
        Each frame has its own generator, from the seed and its number.
    errors : (float, float)
        Of the model over its signal, for the weights.
    measures_noise : bool
        Whether the noise is measured on the residuals.
    """

    reader: PairReader
    model: PairModel
    prior: Prior
    index: NDArray[np.intp]
    starts: Floats
    level: float
    most: int
    seed: int
    errors: Errors = TIGHT
    measures_noise: bool = False

    def __call__(self, block: slice) -> list[tuple[Fitted, int, Floats, Errors] | None]:
        """Return of each frame fit, number of starts, `residual_sums` and `misfit_of`."""
        return [self._fit(k) for k in range(block.start, block.stop)]

    def _fit(self, k: int) -> tuple[Fitted, int, Floats, Errors] | None:
        frame, start = int(self.index[k]), self.starts[k]
        try:
            observed = self.reader.observe(frame)
            given = (self.model, observed, self.prior)
            if np.isfinite(start).all():
                fitted, tried = refit(*given, start, self.errors), 0
            else:
                rng = np.random.default_rng([self.seed, frame])
                fitted, tried = search(*given, rng, self.level, self.most, self.errors)
        except (LuckyError, np.linalg.LinAlgError):
            return None
        if min(fitted.certainties) < FAINTEST:
            return None
        sums = residual_sums(observed, fitted, self.errors)
        misfit = misfit_of(observed, fitted, self.errors)
        return replace(fitted, residuals=()), tried, sums, misfit


def fit_frames(fit: FitBlock, *, job: Job = QUIET, what: str) -> Fits:
    """Fit all frames of a `FitBlock`."""
    n, size = fit.starts.shape
    x, chi2, fluxes = np.full((n, size), np.nan), np.full(n, np.inf), np.full((n, 2), np.nan)
    variance, tried, errors = np.zeros(n), np.zeros(n, np.intp), np.full((n, 2), np.nan)
    sums, misfits = np.zeros((n, 4, 6)), np.full((n, 2), np.nan)
    posteriors = np.zeros((min(n, POSTERIORS), size - 5, size - 5), np.float32)
    blocks = [slice(k, k + 1) for k in range(n)]
    with one_blas_thread():
        made = map_blocks(fit, blocks, job=job, what=what)
        for k, [done] in enumerate(made):
            if done is None:
                continue
            fitted, tried[k], sums[k], misfits[k] = done
            errors[k] = errors_of(sums[k])
            x[k], chi2[k], fluxes[k] = fitted.x, fitted.chi2, fitted.fluxes
            variance[k] = fitted.covariance[-1, -1]
            if k < len(posteriors):
                posteriors[k] = fitted.covariance[4:-1, 4:-1]
    return Fits(x, chi2, fluxes, variance, posteriors, tried, errors, sums, misfits)


PILOT, PILOT_STARTS = 12, 4
"""Frames, spread over those chosen, that give a first mean; from so many starts each."""
ENDS, FAILED = 1.15, 1.5
"""A search ends at this many times the usual chi2; over that many, a fit has failed."""
APART, LEAST_APART = 1.4, 0.3
"""A fit has failed where its model's error is so many times the usual, and over that."""
MOST_WEIGHT = 0.6
"""The largest error of the model that weights are made with."""
NOTHING = (
    "No frame could be fitted: check that the windows hold the focused and the "
    "defocused star, that their pixels are not masked, and the defocus between them. A star whose "
    "light is under 20 times its error in a window is too faint."
)
STARTS = 6
"""Of a frame in each round in which it has no fit."""
ROUNDS = 3
"""How often all frames are fitted."""


def fit_run(
    fit: FitBlock, static: Static, fit_defocus: bool = False, *, job: Job = QUIET
) -> tuple[FitBlock, Fits, NDArray[np.bool_], Static]:
    """Fit all frames, with the prior that they themselves give.

    Some frames come first, from several starts each. What they give is the prior of all, and so
    on: what did not fit is searched for again, what did is fitted again from where it was.

    Parameters
    ----------
    fit : FitBlock
        Its prior, starts, level and number of starts are replaced.
    static : Static
        First guess.
    fit_defocus : bool
        Whether the defocus between the images is fitted, one for all frames.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    fit : FitBlock
        With the prior and the errors of the model that the run itself gives.
    fits : Fits
    good : ndarray of bool, (n,)
        Which frames are fitted.
    static : Static
        Of the good ones.

    Raises
    ------
    LuckyError
        If no frame can be fitted.
    """
    n, thin = len(fit.index), replace(fit.model, thin=True)
    some = np.unique(np.linspace(0, n - 1, min(n, PILOT)).astype(np.intp))
    pilot = replace(
        fit,
        model=thin,
        index=fit.index[some],
        starts=fit.starts[some] * np.nan,
        level=0.0,
        most=PILOT_STARTS,
    )
    fits = fit_frames(
        replace(pilot, prior=static.prior(fit_defocus)), what="wavefront: first frames", job=job
    )
    good = fits.good(FAILED * _usual(fits.chi2, 25))
    static = _updated(static, fits, good)
    fit = _noise_of(fit, fits, good)
    again = replace(
        pilot,
        reader=fit.reader,
        errors=fit.errors,
        prior=static.prior(fit_defocus),
        starts=fits.x,
    )
    fits = fit_frames(again, what="wavefront: first frames again", job=job)
    fit = _noise_of(fit, fits, good)
    level = ENDS * _usual(fits.chi2[good], 50)

    starts = np.full_like(fit.starts, np.nan)
    for number in range(ROUNDS):
        last = number == ROUNDS - 1
        prior = static.prior(fit_defocus and not last)
        made = replace(
            fit,
            model=fit.model if last else thin,
            prior=prior,
            starts=starts,
            level=level,
            most=STARTS,
            seed=fit.seed + number,
        )
        fits, before = fit_frames(made, what=f"wavefront: round {number + 1}", job=job), fits
        if number:
            fits = replace(fits, starts=before.starts + fits.starts)
        usual = _usual(fits.chi2, 50)
        good = _good(fits, usual)
        level = ENDS * usual
        waves = static.defocus_waves, static.defocus_sigma
        static = _updated(static, fits, good)
        fit = _noise_of(fit, fits, good)
        if last:
            static = replace(static, defocus_waves=waves[0], defocus_sigma=waves[1])
        starts = np.where(good[:, None], fits.x, np.nan)
        if fit_defocus and number == ROUNDS - 2:
            starts[:, -1] = static.defocus_waves
            starts[~good] = np.nan
    return fit, fits, good, static


def _usual(chi2: NDArray[np.float64], percent: float) -> float:
    finite = chi2[np.isfinite(chi2)]
    if len(finite) == 0:
        raise LuckyError(NOTHING)
    return float(np.percentile(finite, percent))


def _noise_of(fit: FitBlock, fits: Fits, good: NDArray[np.bool_]) -> FitBlock:
    """Return the same with the error of the model, and with a gain that is not known, measured."""
    if not good.any():
        raise LuckyError(NOTHING)
    noise = fit.reader.noise
    focused, defocused = np.median(fits.errors[good], axis=0)
    if fit.measures_noise:
        foot, slope, (focused, defocused) = noise_of(fits.sums[good].sum(axis=0))
        read = fit.reader.bins * np.sqrt(max(foot, 0))
        gain = 1 / slope if slope > 0 else np.inf
        noise = SensorNoise(gain, float(read), "measured on the residuals of the fits")
    errors = min(float(focused), MOST_WEIGHT), min(float(defocused), MOST_WEIGHT)
    return replace(fit, reader=replace(fit.reader, noise=noise), errors=errors)


def _good(fits: Fits, usual: float) -> NDArray[np.bool_]:
    """Return which frames are fitted.

    A false minimum makes images that are wrong all over: its error of the model is far above the
    others', while chi2, with that error in the weights, is not.
    """
    good = fits.good(FAILED * usual)
    if not good.any():
        return good
    error = fits.errors.mean(axis=1)
    return good & (error <= max(APART * float(np.median(error[good])), LEAST_APART))


def _updated(static: Static, fits: Fits, good: NDArray[np.bool_]) -> Static:
    if not good.any():
        raise LuckyError(NOTHING)
    return static.updated(fits.x[good], fits.posterior(good), fits.defocus_variance[good])
