"""The outer loop: frames fitted with what all of them tell, and told again."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Progress, silent
from .errors import LuckyError
from .wavefront_data import Noise
from .wavefront_frames import FitBlock, Fits, fit_frames
from .wavefront_search import noise_of
from .wavefront_static import Static

PILOT, PILOT_STARTS = 12, 4
"""Frames, spread over those chosen, that tell a first mean; from so many starts each."""
ENDS, FAILED = 1.15, 1.5
"""A search ends at this many times the usual chi2; over that many, a fit has failed."""
APART, LEAST_APART = 1.4, 0.3
"""A fit has failed where its model's error is so many times the usual, and over that."""
MOST_WEIGHT = 0.6
"""The largest error of the model that weights are made with."""
NOTHING = (
    "The wavefront of no frame could be fitted: check that the windows hold the focused and the "
    "defocused star, that their pixels are not masked, and the defocus between them. A star whose "
    "light is under 20 times its error in a window is too faint."
)
STARTS = 6
"""Of a frame in each round in which it has no fit."""


def fit_run(
    fit: FitBlock,
    static: Static,
    fit_defocus: bool = False,
    rounds: int = 2,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> tuple[FitBlock, Fits, NDArray[np.bool_], Static]:
    """Fit all frames, with the prior that they themselves tell.

    Some frames come first, from several starts each. What they tell is the prior of all, and so
    on: what did not fit is searched for again, what did is fitted again from where it was.

    Parameters
    ----------
    fit : FitBlock
        Its prior, starts, level and number of starts are replaced.
    static : Static
        First guess.
    fit_defocus : bool
        Whether the defocus between the images is fitted, one for all frames.
    rounds : int
        How often all are fitted after the first time.
    progress, executor
        See `napari_lucky.blocks.map_blocks`.

    Returns
    -------
    fit : FitBlock
        With the prior and the errors of the model that the run itself tells.
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
    work: dict[str, Any] = {"progress": progress, "executor": executor}
    n = len(fit.index)
    some = np.unique(np.linspace(0, n - 1, min(n, PILOT)).astype(np.intp))
    pilot = replace(
        fit, index=fit.index[some], starts=fit.starts[some] * np.nan, level=0.0, most=PILOT_STARTS
    )
    fits = fit_frames(
        replace(pilot, prior=static.prior(fit_defocus)), what="wavefront: first frames", **work
    )
    good = fits.good(FAILED * _usual(fits.chi2, 25))
    static = _told(static, fits, good)
    fit = _noise_of(fit, fits, good)
    again = replace(
        pilot,
        reader=fit.reader,
        errors=fit.errors,
        prior=static.prior(fit_defocus),
        starts=fits.x,
    )
    fits = fit_frames(again, what="wavefront: first frames again", **work)
    fit = _noise_of(fit, fits, good)
    level = ENDS * _usual(fits.chi2[good], 50)

    starts = np.full_like(fit.starts, np.nan)
    for number in range(rounds + 1):
        last = number == rounds
        prior = static.prior(fit_defocus and not last)
        made = replace(
            fit, prior=prior, starts=starts, level=level, most=STARTS, seed=fit.seed + number
        )
        fits, before = fit_frames(made, what=f"wavefront: round {number + 1}", **work), fits
        if number:
            fits = replace(fits, starts=before.starts + fits.starts)
        usual = _usual(fits.chi2, 50)
        good = _good(fits, usual)
        level = ENDS * usual
        waves = static.defocus_waves, static.defocus_sigma
        static = _told(static, fits, good)
        fit = _noise_of(fit, fits, good)
        if last:
            static = replace(static, defocus_waves=waves[0], defocus_sigma=waves[1])
        starts = np.where(good[:, None], fits.x, np.nan)
        if fit_defocus and number == rounds - 1:
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
        noise = Noise(gain, float(read), "measured on the residuals of the fits")
    errors = min(float(focused), MOST_WEIGHT), min(float(defocused), MOST_WEIGHT)
    return replace(fit, reader=replace(fit.reader, noise=noise), errors=errors)


def _good(fits: Fits, usual: float) -> NDArray[np.bool_]:
    """Tell which frames are fitted.

    A false minimum makes images that are wrong all over: its error of the model is far above the
    others', while chi2, with that error in the weights, is not.
    """
    good = fits.good(FAILED * usual)
    if not good.any():
        return good
    error = fits.errors.mean(axis=1)
    return good & (error <= max(APART * float(np.median(error[good])), LEAST_APART))


def _told(static: Static, fits: Fits, good: NDArray[np.bool_]) -> Static:
    if not good.any():
        raise LuckyError(NOTHING)
    return static.updated(fits.x[good], fits.posterior(good), fits.defocus_variance[good])
