"""The top of a smoothed image to a fraction of a pixel, and the error that noise gives it.

All methods but the template find their point as the top p of a surface: the image under a
Gaussian of width W,

    S(p) = sum over r of G(r - p) I(r),   G(d) = exp(-|d|² / 2 W²) / (2 pi W²),

computed exactly at any p, not interpolated. Noise of variance var(r) moves its top by

    cov = H^-1 C H^-1,   C = sum of (grad G)(grad G)^T var,   H the second derivatives of S

(propagation of errors to first order; e.g. Thompson, Larson & Webb 2002 for the least-squares
case). In the sampled sum nothing depends on where p is between the pixels if W is a pixel or more.

What the constants do is measured by ``benchmarks/pulls.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Block
from napari_lucky.imaging.noise import Noise

LEAST_WIDTH = 1.0
"""Pixels; under a narrower Gaussian, the top would depend on where the pixels are."""
REACH = 4.5
"""The Gaussian is cut at so many widths, where it is 4e-5."""
STEPS, SETTLED = 6, 1e-3
"""Newton's steps at most, and until one is shorter than this, in pixels: the next would be 1e-6."""
MOST_FILLED = 0.75
"""Of the variance; if filled pixels make more of it, the filling decides where the top is."""
FARTHEST = 1.0
"""The top is so near to where it is looked for, on each axis, in pixels."""

Floats = NDArray[np.float64]


class Surface:
    """Each frame under its Gaussian, around a point.

    Parameters
    ----------
    image : ndarray of float32, (k, y, x)
        Background off, no NaN; what is beyond the edge counts as 0.
    start : ndarray of float64, (k, 2)
        (y, x) near the top.
    width : ndarray of float64, (k,)
        Of the Gaussian, in pixels.
    """

    def __init__(self, image: Block, start: Floats, width: Floats) -> None:
        self.start, self.width = start, width[:, None]
        sides = image.shape[1:]
        reach = int(np.ceil(min(REACH * float(np.nanmax(width, initial=LEAST_WIDTH)), max(sides))))
        middle = np.rint(np.nan_to_num(start)).astype(np.intp)
        self._at = [middle[:, axis, None] + np.arange(-reach, reach + 1) for axis in (0, 1)]
        self._inside = [(at >= 0) & (at < side) for at, side in zip(self._at, sides, strict=True)]
        rows, columns = (np.clip(at, 0, n - 1) for at, n in zip(self._at, sides, strict=True))
        self._where = rows[:, :, None], columns[:, None, :]
        self._frame = np.arange(len(image))[:, None, None]
        self._pixels = self._cut(image).astype(np.float64)

    def top(self) -> tuple[Floats, Floats]:
        """Find the top by Newton's method.

        Returns
        -------
        points : ndarray of float64, (k, 2)
            (y, x); where it started if the surface has no top there.
        hessian : ndarray of float64, (k, 2, 2)
            Second derivatives of the surface at the point, ADU/px²; NaN without a top.
        """
        point, moving = self.start, np.ones((len(self.start), 1), bool)
        hessian = np.full((len(point), 2, 2), np.nan)
        for _ in range(STEPS):
            gradient, second = self.derivatives(point)
            hessian = np.where(moving[:, :, None], second, hessian)  # not as others go on
            step = -(_inverse(hessian) @ gradient[:, :, None])[:, :, 0]
            stepped = np.clip(point + step, self.start - FARTHEST, self.start + FARTHEST)
            point = np.where(moving, stepped, point)
            moving = moving & (np.abs(step).max(axis=1, keepdims=True) > SETTLED)
            if not moving.any():  # then the derivatives are as good as at the point
                break
        lost = np.asarray(~(np.abs(point - self.start) < FARTHEST).all(axis=1))
        hessian[lost] = np.nan
        return np.where(lost[:, None], self.start, point), hessian

    def derivatives(self, points: Floats) -> tuple[Floats, Floats]:
        """Return the gradient (k, 2) and the second derivatives (k, 2, 2) at points."""
        m = self._moments(self._pixels, points, 1)
        square = self.width**2
        gradient = np.stack([m[:, 1, 0], m[:, 0, 1]], axis=1) / square
        second = _square(m) / square[:, :, None]
        second[:, [0, 1], [0, 1]] -= m[:, :1, 0]
        return gradient, second / square[:, :, None]

    def sigma(
        self,
        points: Floats,
        hessian: Floats,
        noise: Noise,
        excess: NDArray[np.float32] | None = None,
    ) -> Floats:
        """Return the 1-sigma errors of tops, (k, 2), in pixels; NaN where a top is mostly filled.

        Parameters
        ----------
        points, hessian
            From `top`.
        noise : Noise
            Of a pixel.
        excess : ndarray of float32, (1 or k, y, x), optional
            By how much the variance is larger, as a factor less 1; see
            `napari_lucky.imaging.inpainting.fill_by_kriging`.
        """
        # the light is not cut at 0, so that its noise cancels in the sum
        variance = noise.floor + noise.photon * self._pixels
        if excess is None:
            return sigma_of(hessian, self._spread(variance, points))
        filled = self._cut(excess)
        variance *= 1 + filled
        spread = self._spread(variance, points)
        of_filled = self._spread(np.where(filled > 0, variance, 0), points)
        size, part = (np.trace(of, axis1=1, axis2=2) for of in (spread, of_filled))
        return np.where((part > MOST_FILLED * size)[:, None], np.nan, sigma_of(hessian, spread))

    def _spread(self, variance: Floats, points: Floats) -> Floats:
        """Return the covariance of the surface's gradient by the pixels' variance, (k, 2, 2)."""
        return _square(self._moments(variance, points, 2)) / self.width[:, :, None] ** 4

    def _cut(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the pixels around the points, of one image for all frames or of one for each."""
        return np.asarray(image[self._frame if len(image) > 1 else 0, *self._where])

    def _moments(self, pixels: Floats, points: Floats, power: int) -> Floats:
        """Return sum of G^power y^i x^j pixels for i, j to 2, (k, 3, 3), y and x from the point."""
        factors = []
        for axis in (0, 1):
            distance = self._at[axis] - points[:, axis, None]
            gauss = np.exp(-0.5 * power * (distance / self.width) ** 2) * self._inside[axis]
            gauss /= (np.sqrt(2 * np.pi) * self.width) ** power
            factors.append(np.stack([gauss, gauss * distance, gauss * distance**2], axis=1))
        return factors[0] @ pixels @ factors[1].transpose(0, 2, 1)


def sigma_of(hessian: Floats, covariance: Floats) -> Floats:
    """Return the errors of tops, (k, 2), from H and C, (k, 2, 2); NaN where there is no top."""
    inverse = _inverse(hessian)
    spread = np.diagonal(inverse @ covariance @ inverse, axis1=1, axis2=2)
    return np.sqrt(np.where(spread > 0, spread, np.nan))


def _square(m: Floats) -> Floats:
    """Return the second moments, (k, 2, 2)."""
    return m[:, [[2, 1], [1, 0]], [[0, 1], [1, 2]]]


def _inverse(hessian: Floats) -> Floats:
    """Return the inverses of (k, 2, 2) matrices that are negative definite; NaN of others."""
    a, b, d = hessian[:, 0, 0], hessian[:, 0, 1], hessian[:, 1, 1]
    det = a * d - b * b
    det = np.where((a < 0) & (det > 1e-6 * a * a), det, np.nan)
    out = np.empty_like(hessian)
    out[:, 0, 0], out[:, 0, 1], out[:, 1, 0], out[:, 1, 1] = d, -b, -b, a
    return np.asarray(out / det[:, None, None])
