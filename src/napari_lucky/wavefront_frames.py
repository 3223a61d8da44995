"""The fits of many frames, side by side, on any executor."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .blas_threads import one_blas_thread
from .blocks import Progress, map_blocks, silent
from .errors import LuckyError
from .frames import Frames, as_float32
from .pair_model import PairModel
from .wavefront_data import Noise, observe
from .wavefront_fit import Fitted, Floats, Prior
from .wavefront_search import (
    TIGHT,
    Errors,
    Observed,
    errors_of,
    misfit_of,
    refit,
    residual_sums,
    search,
)
from .windows import Window

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
        Of the model over its signal, as measured; see `wavefront_search.Errors`.
    sums : ndarray, (n, 4, 6)
        Of the residuals; see `wavefront_search.residual_sums`.
    misfits : ndarray, (n, 2)
        What the model is wrong by over the star's light; see `wavefront_search.misfit_of`.
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
        """Tell which frames are fitted: chi2 within the limit, the star there in both windows."""
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
    noise: Noise
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
        Each frame has a generator of its own, from the seed and its number.
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


def fit_frames(
    fit: FitBlock, *, progress: Progress = silent, what: str, executor: Executor | None = None
) -> Fits:
    """Fit all frames of a `FitBlock`."""
    n, size = fit.starts.shape
    x, chi2, fluxes = np.full((n, size), np.nan), np.full(n, np.inf), np.full((n, 2), np.nan)
    variance, tried, errors = np.zeros(n), np.zeros(n, np.intp), np.full((n, 2), np.nan)
    sums, misfits = np.zeros((n, 4, 6)), np.full((n, 2), np.nan)
    posteriors = np.zeros((min(n, POSTERIORS), size - 5, size - 5), np.float32)
    blocks = [slice(k, k + 1) for k in range(n)]
    with one_blas_thread():
        made = map_blocks(fit, blocks, progress=progress, what=what, executor=executor)
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
