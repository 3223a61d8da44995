"""The wavefront of one frame: the maximum a posteriori fit of its pair of images.

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from napari_lucky.wavefront.pair_model import THIN, PairModel

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

KEPT = 0.7
"""A matrix is kept while its steps gain this much of what it predicts."""
LEAST_BEND = 0.1
"""A step along which the cost bends by so little of what was predicted teaches nothing."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A frame's two images on the model's bins.

    Attributes
    ----------
    images : pair of ndarray, (bins, bins)
        ADU a pixel, 0 where masked.
    weights : pair of ndarray, (bins, bins)
        One over the variance; 0 where masked.
    """

    images: tuple[Floats, Floats]
    weights: tuple[Floats, Floats]

    @property
    def count(self) -> int:
        """How many bins are compared."""
        return sum(int((weight > 0).sum()) for weight in self.weights)

    @cached_property
    def levelled(self) -> list[tuple[Floats, Floats, Floats]]:
        """Of each image over its noise what it is of, (bins, bins), a plane, and what is beyond it.

        The first is one over the noise; the plane is three orthonormal columns, (bins², 3).
        """
        made = []
        for image, weight in zip(self.images, self.weights, strict=True):
            root = np.sqrt(weight)
            y, u = (np.linspace(-1, 1, side) for side in image.shape)
            plane = np.stack([root, root * y[:, None], root * u]).reshape(3, -1)
            q = np.linalg.qr(plane.T)[0]
            data = (image * root).ravel()
            made.append((root, q, data - q @ (q.T @ data)))
        return made


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known of x (see `PairModel`) before the frame is looked at.

    Attributes
    ----------
    mean : ndarray, (size,)
    covariance : ndarray, (size, size)
        0 for what is held fixed.
    """

    mean: Floats
    covariance: Floats

    @property
    def free(self) -> NDArray[np.intp]:
        """Which parameters are fitted."""
        return np.flatnonzero(np.diag(self.covariance) > 0)

    def of_low(self, last_noll: int) -> Prior:
        """Return the prior of the Zernikes up to a Noll index alone."""
        some = low_part(len(self.mean), last_noll)
        return Prior(self.mean[some], self.covariance[np.ix_(some, some)])


def low_part(size: int, last_noll: int) -> NDArray[np.intp]:
    """Return which of the parameters x are left with Zernikes up to a Noll index."""
    return np.append(np.arange(min(last_noll + 1, size - 1)), size - 1)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A minimum.

    Attributes
    ----------
    x : ndarray, (size,)
    covariance : ndarray, (size, size)
        Posterior, with the model taken as linear; 0 for what was held fixed.
    cost : float
        Twice the negative log posterior, up to a constant.
    chi2 : float
        Weighted squares of the residuals over their number.
    fluxes : (float, float)
        Of the star in each window.
    certainties : (float, float)
        The fluxes over their errors.
    residuals : pair of ndarray, (bins, bins)
        Image less model over the noise; 0 where masked.
    """

    x: Floats
    covariance: Floats
    cost: float
    chi2: float
    fluxes: tuple[float, ...]
    certainties: tuple[float, ...]
    residuals: tuple[Floats, ...]


class _Point:
    """The residuals at one x, flux and background plane solved for (variable projection)."""

    def __init__(self, model: PairModel, pair: Pair, prior: Prior, x: Floats) -> None:
        self.x, self.lights = x, model.light(x)
        self.residuals, self.stars, self.fluxes, self.certainties = [], [], [], []
        for (root, plane, data), light in zip(pair.levelled, self.lights, strict=True):
            own = (light.image * root).ravel()
            own -= plane @ (plane.T @ own)
            length = float(np.linalg.norm(own))
            own /= length
            certainty = float(own @ data)
            self.fluxes.append(certainty / length)
            self.certainties.append(certainty)
            self.residuals.append(data - certainty * own)
            self.stars.append(own)
        free = prior.free
        self.off = x[free] - prior.mean[free]
        self.squares = sum(float(residual @ residual) for residual in self.residuals)


def fitted_images(model: PairModel, pair: Pair, x: Floats) -> list[Floats]:
    """Return the model's images with the flux and the background plane that fit best, ADU."""
    out = []
    for image, weight, star in zip(pair.images, pair.weights, model.images(x), strict=True):
        y, u = (np.linspace(-1, 1, side) for side in image.shape)
        ones = np.ones_like(image)
        basis = np.stack([star / star.max(), ones, ones * y[:, None], ones * u]).reshape(4, -1).T
        root = np.sqrt(weight).reshape(-1, 1)
        found = np.linalg.lstsq(basis * root, image.ravel() * root[:, 0], rcond=None)[0]
        out.append((basis @ found).reshape(image.shape))
    return out


def normal_matrix(model: PairModel, pair: Pair, point: _Point) -> Floats:
    """Return Gauss-Newton's matrix of the squares by all of x (Kaufman's variable projection)."""
    normal = np.zeros((model.size, model.size))
    for at, slope in enumerate(model.derivatives(point.lights)):
        jacobian = _jacobian(pair, point, at, slope, THIN if model.thin else 1)
        own = model.own(at)
        normal[np.ix_(own, own)] += jacobian @ jacobian.T
    return normal


def _jacobian(
    pair: Pair, point: _Point, at: int, slope: NDArray[np.float32], every: int = 1
) -> Singles:
    """Return how an image's residuals go with what slopes are by, (k, bins).

    If only every so many rows are there, each counts for the others.
    """
    root, plane, _ = pair.levelled[at]
    q = np.column_stack([plane, point.stars[at]]).reshape(*root.shape, 4)[::every].reshape(-1, 4)
    q = (q * np.sqrt(every)).astype(np.float32)
    scale = (root[::every] * (point.fluxes[at] * np.sqrt(every))).astype(np.float32)
    jacobian = (slope * scale).reshape(len(slope), -1)
    return np.asarray(jacobian - (jacobian @ q) @ q.T)


def with_further(
    model: PairModel, pair: Pair, prior: Prior, x: Floats, further: tuple[Singles, Singles]
) -> tuple[Floats, Floats]:
    """Return Gauss-Newton's matrix and half the negative gradient at x, with further parameters.

    Parameters
    ----------
    model, pair, prior
    x : ndarray, (size,)
    further : pair of ndarray of float32, (k, bins, bins)
        Derivatives of the two images, of unit flux, by k parameters that are not in x.

    Returns
    -------
    matrix : ndarray, (size + k, size + k)
        Of the squares; without the prior.
    right : ndarray, (size + k,)
    """
    point = _Point(model, pair, prior, x)
    size, k = model.size, len(further[0])
    matrix, right = np.zeros((size + k, size + k)), np.zeros(size + k)
    for at, slope in enumerate(model.derivatives(point.lights)):
        jacobian = _jacobian(pair, point, at, np.concatenate([slope, further[at]]))
        own = np.concatenate([model.own(at), np.arange(size, size + k)])
        matrix[np.ix_(own, own)] += jacobian @ jacobian.T
        right[own] += jacobian @ point.residuals[at]
    return matrix, right


def downhill(model: PairModel, pair: Pair, point: _Point) -> Floats:
    """Return half the negative gradient of the squares by all of x; exact."""
    pulls = [
        flux * root * residual.reshape(root.shape)
        for flux, (root, _, _), residual in zip(
            point.fluxes, pair.levelled, point.residuals, strict=True
        )
    ]
    return model.gradient(point.lights, pulls)


def _learned(matrix: Floats, step: Floats, change: Floats) -> Floats:
    """Return a matrix that takes a step to the change of the gradient along it (BFGS)."""
    expected = matrix @ step
    if change @ step < LEAST_BEND * (expected @ step):
        return matrix
    off = np.outer(expected, expected) / (expected @ step)
    return np.asarray(matrix - off + np.outer(change, change) / (change @ step))


def descend(
    model: PairModel,
    pair: Pair,
    prior: Prior,
    start: Floats,
    steps: int = 60,
    tolerance: float = 0.05,
) -> Fitted:
    """Go down to a minimum of the cost from a start.

    Levenberg-Marquardt, with one saving: the gradient is cheap and is always new; the matrix is
    expensive, and is kept for as long as its steps gain what it predicts. A thin model's matrix
    learns from the gradients meanwhile.

    Parameters
    ----------
    model, pair, prior
    start : ndarray, (size,)
    steps : int
        At most.
    tolerance : float
        The end is where a step lowers the cost by less.
    """
    free = prior.free
    stiffness = np.linalg.inv(prior.covariance[np.ix_(free, free)])

    def cost_of(point: _Point) -> float:
        return point.squares + float(point.off @ stiffness @ point.off)

    def matrix_at(point: _Point) -> Floats:
        return normal_matrix(model, pair, point)[np.ix_(free, free)] + stiffness

    point = _Point(model, pair, prior, start)
    cost, damping = cost_of(point), 1e-2
    matrix, new = matrix_at(point), True
    right = downhill(model, pair, point)[free] - stiffness @ point.off
    for _ in range(steps):
        step = scipy.linalg.solve(
            matrix + damping * np.diag(np.diag(matrix)), right, assume_a="pos"
        )
        expected = float(step @ (2 * right - matrix @ step))
        x = point.x.copy()
        x[free] += step
        trial = _Point(model, pair, prior, x)
        gained = cost - cost_of(trial)
        if gained > 0:
            point, cost = trial, cost - gained
            before, right = right, downhill(model, pair, point)[free] - stiffness @ point.off
            if model.thin:
                matrix = _learned(matrix, step, before - right)
            damping = max(damping / 5, 1e-6)
            if gained < tolerance and expected < 10 * tolerance:
                break
        elif new:
            damping *= 5
            if damping > 1e6 or expected < tolerance:
                break
        if gained < KEPT * expected and (gained > 0 or not new):
            matrix, new = matrix_at(point), True
        elif gained > 0:
            new = False
    covariance = np.zeros((model.size, model.size))
    covariance[np.ix_(free, free)] = np.linalg.inv(matrix)
    residuals = (
        residual.reshape(image.shape)
        for residual, image in zip(point.residuals, pair.images, strict=True)
    )
    chi2 = point.squares / max(pair.count, 1)
    return Fitted(
        point.x,
        covariance,
        cost,
        chi2,
        tuple(point.fluxes),
        tuple(point.certainties),
        tuple(residuals),
    )
