"""From where a frame's fit starts, and when it is good enough.

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from napari_lucky.wavefront.frame_fit import Fitted, Floats, Pair, Prior, descend, low_part
from napari_lucky.wavefront.pair_model import PairModel

Errors = tuple[float, float]
"""Error of the model over its signal, in the focused and the defocused image: what the Zernikes
that are not fitted do."""
TIGHT: Errors = (0.05, 0.05)
"""Taken for granted until it is measured."""
LEAST_ERROR, MOST_ERROR = 0.005, 2.0
"""Of the model over its signal, as it is measured."""
MOST_PULL = 5.0
"""A residual over its noise counts no more than this where the noise is measured on it."""
WAYS: tuple[tuple[Errors, int], ...] = (((1.0, 0.3), 36), ((1.0, 0.1), 66))
"""The ways from a start, in turn: errors of the model, and the last Noll index. The donut leads,
whose light depends nearly linearly on the low orders, while focused speckles that are not yet in
their places would lead astray."""
BRIGHT, SIMPLE = 0.1, 0.25
"""The misfit is judged where the star has so much of its greatest light, each bin weighted as for
a model wrong by so much."""
UNSURE_NOISE = 0.25
"""Of the noise's variance: so much more is not taken for a misfit. Where a faint star's noise is
measured, photons and misfit are not separated better."""
SPREAD = 0.3
"""Variance of the further starts about the prior's mean, over the prior's."""


@dataclass(frozen=True, eq=False)
class Observed:
    """A frame's two images on the model's bins, and their noise.

    Attributes
    ----------
    images : pair of ndarray, (bins, bins)
        ADU a pixel, 0 where masked.
    masked : pair of ndarray of bool, (bins, bins)
    variances : pair of ndarray, (bins, bins)
        Of photons and read-out, ADU².
    lights : pair of ndarray, (bins, bins)
        All light, smoothed, over the pixels of a bin, ADU: its photon noise is its root over
        the gain.
    stars : pair of ndarray, (bins, bins)
        The star's own light, smoothed, ADU.
    tilts : ndarray, (4,)
        Tilt x and y of the two images by their centroids, in rad rms.
    """

    images: tuple[Floats, Floats]
    masked: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    variances: tuple[Floats, Floats]
    lights: tuple[Floats, Floats]
    stars: tuple[Floats, Floats]
    tilts: Floats

    def pair(self, errors: Errors) -> Pair:
        """Return the images with weights for given errors of the model over its signal."""
        weights = [
            np.where(masked, 0, 1 / (variance + (error * star) ** 2))
            for masked, variance, star, error in zip(
                self.masked, self.variances, self.stars, errors, strict=True
            )
        ]
        return Pair(self.images, (weights[0], weights[1]))


def search(
    model: PairModel,
    observed: Observed,
    prior: Prior,
    rng: np.random.Generator,
    level: float = 0.0,
    most: int = 6,
    errors: Errors = TIGHT,
    between: Callable[[], None] = lambda: None,
) -> tuple[Fitted, int]:
    """Fit a frame from several starts; return the lowest minimum and how many were tried.

    Each start is first led by the donut, then by both images as they are. A start that ends
    at the noise level ends the search.

    Parameters
    ----------
    model : PairModel
    observed : Observed
    prior : Prior
    rng : numpy.random.Generator
        Draws the starts.
    level : float
        Weighted squares a bin that are taken as noise.
    most : int
        Starts at most.
    errors : (float, float)
        See `Errors`.
    between : callable
        Called before each start; what it raises ends the search.
    """
    tight, thin = observed.pair(errors), replace(model, thin=True)
    best: Fitted | None = None
    tried = 0
    for start in _starts(observed, prior, rng, most):
        between()
        loose, last = WAYS[tried % len(WAYS)]
        tried += 1
        low = low_part(model.size, last)
        coarse = replace(thin, modes=model.modes[: last - 1])
        x = prior.mean.copy()
        x[low] = descend(coarse, observed.pair(loose), prior.of_low(last), start[low], steps=15).x
        made = descend(thin, tight, prior, x, steps=25)
        if best is None or made.cost < best.cost:
            best = made
        if best.chi2 <= level:
            break
    assert best is not None
    return refit(model, observed, prior, best.x, errors), tried


def refit(
    model: PairModel, observed: Observed, prior: Prior, x: Floats, errors: Errors = TIGHT
) -> Fitted:
    """Fit a frame from what is nearly its minimum."""
    return descend(model, observed.pair(errors), prior, x)


def residual_sums(observed: Observed, fitted: Fitted, errors: Errors) -> Floats:
    """Return what the residuals of a fit say about its noise: normal equations, (4, 6).

    The columns are of r² + s v + c² S², v the light of a bin, s one over the gain, S the star's
    light, and c the error of the model in the focused and in the defocused image; then what they
    are to make: the squares of the residuals beyond the noise that is known, and the squares.
    Outliers count no more than `MOST_PULL`.
    """
    sums = np.zeros((4, 6))
    for at in (0, 1):
        weight = observed.pair(errors).weights[at]
        star, variance = observed.stars[at], observed.variances[at]
        pulls = np.minimum(fitted.residuals[at] ** 2, MOST_PULL**2)
        square = np.divide(pulls, weight, out=np.zeros_like(weight), where=weight > 0)
        columns = np.zeros((6, *star.shape))
        columns[0], columns[1], columns[2 + at] = 1, observed.lights[at], star**2
        columns[4], columns[5] = square - variance, square
        weighted = (weight**2 * columns).reshape(6, -1)
        sums += weighted[:4] @ columns.reshape(6, -1).T
    return sums


def errors_of(sums: Floats) -> Errors:
    """Return the error of the model over its signal, in both images, from `residual_sums`."""
    focused, defocused = (
        float(np.clip(np.sqrt(max(sums[k, 4], 0) / sums[k, k]), LEAST_ERROR, MOST_ERROR))
        if sums[k, k] > 0
        else LEAST_ERROR
        for k in (2, 3)
    )
    return focused, defocused


def misfit_of(observed: Observed, fitted: Fitted, errors: Errors) -> Errors:
    """Return what the model is wrong by over the star's light, beyond noise, in both images.

    Beyond noise is over its variance by more than `UNSURE_NOISE`, so a faint star has no misfit.
    Only the bright part of the star counts. In its faint wings the model is wrong by all of the
    light, and how much of them is seen depends on the sky; `errors_of`, which is for weights,
    counts them.
    """
    made = []
    for at in (0, 1):
        weight = observed.pair(errors).weights[at]
        star, variance = observed.stars[at], observed.variances[at]
        own = (weight > 0) & (star > BRIGHT * star.max())
        if not own.any():
            made.append(0.0)
            continue
        star, variance = star[own], variance[own]
        square = np.minimum(fitted.residuals[at][own] ** 2, MOST_PULL**2) / weight[own]
        trust = (star / (variance + (SIMPLE * star) ** 2)) ** 2
        beyond = square - (1 + UNSURE_NOISE) * variance
        share = float(trust @ beyond) / float(trust @ star**2)
        made.append(float(np.sqrt(max(share, 0.0))))
    return made[0], made[1]


def noise_of(sums: Floats) -> tuple[float, float, Errors]:
    """Return noise and errors of the model from `residual_sums` of a few frames, added.

    Returns
    -------
    foot : float
        Variance of a bin without light, ADU².
    slope : float
        How it grows with the light, ADU: one over the gain.
    errors : (float, float)
        See `Errors`.
    """
    scale = 1 / np.sqrt(np.maximum(np.diag(sums[:, :4]), 1e-300))
    matrix, right = sums[:, :4] * np.outer(scale, scale), sums[:, 5] * scale
    foot, slope, *squares = scipy.optimize.nnls(matrix, right)[0] * scale
    focused, defocused = (float(np.clip(np.sqrt(c), LEAST_ERROR, MOST_ERROR)) for c in squares)
    return float(foot), float(slope), (focused, defocused)


def _starts(
    observed: Observed, prior: Prior, rng: np.random.Generator, most: int
) -> Iterator[Floats]:
    """Yield the prior's mean and then draws about it, with the tilts of the centroids."""
    modes = slice(4, len(prior.mean) - 1)
    root = np.linalg.cholesky(SPREAD * prior.covariance[modes, modes])
    for number in range(most):
        x = prior.mean.copy()
        x[:4] = observed.tilts
        if number:
            x[modes] += root @ rng.standard_normal(len(root))
        yield x
