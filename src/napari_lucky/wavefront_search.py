"""From where a frame's fit starts, and when it is good enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .pair_model import PairModel
from .wavefront_fit import Fitted, Floats, Pair, Prior, descend, low_part

Errors = tuple[float, float]
"""Error of the model over its signal, in the focused and the defocused image: what the Zernikes
that are not fitted do."""
TIGHT: Errors = (0.05, 0.05)
"""Taken for granted until it is measured."""
LEAST_ERROR, MOST_ERROR = 0.005, 0.1
WAYS: tuple[tuple[Errors, int], ...] = (((1.0, 0.3), 36), ((1.0, 0.1), 66))
"""The ways from a start, in turn: errors of the model, and the last Noll index. The donut leads,
whose light tells of the low orders nearly linearly, while focused speckles that are not yet in
their places would lead astray."""
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
    stars : pair of ndarray, (bins, bins)
        The star's own light, smoothed, ADU.
    tilts : ndarray, (4,)
        Tilt x and y of the two images by their centroids, in rad rms.
    """

    images: tuple[Floats, Floats]
    masked: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    variances: tuple[Floats, Floats]
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
        Weighted squares a bin that are told to be noise.
    most : int
        Starts at most.
    errors : (float, float)
        See `Errors`.
    between : callable
        Called before each start; what it raises ends the search.
    """
    tight = observed.pair(errors)
    best: Fitted | None = None
    tried = 0
    for start in _starts(observed, prior, rng, most):
        between()
        loose, last = WAYS[tried % len(WAYS)]
        tried += 1
        low = low_part(model.size, last)
        coarse = replace(model, modes=model.modes[: last - 1])
        x = prior.mean.copy()
        x[low] = descend(coarse, observed.pair(loose), prior.of_low(last), start[low], steps=15).x
        made = descend(model, tight, prior, x, steps=25)
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


def errors_of(observed: Observed, fitted: Fitted, errors: Errors) -> Errors:
    """Return the error of the model over its signal, from what a fit with some errors left.

    The residuals' squares beyond photons and read-out are fitted with c² S², S the star's light.
    """
    out = []
    for at in (0, 1):
        weight = observed.pair(errors).weights[at]
        star, variance = observed.stars[at], observed.variances[at]
        square = np.divide(
            fitted.residuals[at] ** 2, weight, out=np.zeros_like(weight), where=weight > 0
        )
        top = float((weight**2 * star**2 * (square - variance)).sum())
        bottom = float((weight**2 * star**4).sum())
        found = np.sqrt(max(top, 0) / bottom) if bottom > 0 else 0.0
        out.append(float(np.clip(found, LEAST_ERROR, MOST_ERROR)))
    return out[0], out[1]


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
