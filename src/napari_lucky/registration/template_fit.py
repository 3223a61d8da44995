"""Each frame's shift from a template, by least squares weighted with the noise.

What the constants do is measured by ``benchmarks/registration.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Block, as_float32
from napari_lucky.imaging.noise import Noise, fit_noise
from napari_lucky.imaging.star_image import background
from napari_lucky.pieces import pieces
from napari_lucky.registration.correlation import correlated
from napari_lucky.registration.template import POWERS, Floats, Template, expansion

STEPS = 6
"""Gauss-Newton steps; three or four are enough as a rule."""
CLIP = 2.0
"""Before the correlation a frame is cut at so many times the template's peak: cosmic rays."""
COSMIC, ALONE = 8.0, 3.3
"""A cosmic ray is over so many sigmas, and so many times the mean of its neighbours."""
TOGETHER = 1 << 17
"""Pixels of the frames that are correlated at once: their spectra stay in the processor's cache."""
LARGEST_REST = 0.6
"""Pixels of shift beside the whole ones for which a fit holds."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The fit of each frame of a block.

    Parameters
    ----------
    place : ndarray of float64, (k, 2)
        s: where the star is, less where it is in the template (y, x), in pixels.
    flux : ndarray of float64, (k,)
        f, in units of the template.
    sigma : ndarray of float64, (k, 2)
        1-sigma errors of s from the Fisher matrix of s, f and b, for the noise as modelled.
    flux_sigma : ndarray of float64, (k,)
        1-sigma error of f from the noise of floor and photons alone. That of the speckles is
        part of the star's light, and does not make it less significant.
    chi2 : ndarray of float64, (k,)
        Reduced chi-square.
    level : ndarray of float64, (k,)
        b, in ADU.
    """

    place: Floats
    flux: Floats
    sigma: Floats
    flux_sigma: Floats
    chi2: Floats
    level: Floats

    def part(self, frames: NDArray[Any]) -> Fit:
        """Return the fits of some of the frames."""
        return Fit(*(getattr(self, field.name)[frames] for field in fields(self)))

    def take_over(self, frames: NDArray[Any], fits: Fit) -> None:
        """Put other fits of some of the frames in their place."""
        for field in fields(self):
            getattr(self, field.name)[frames] = getattr(fits, field.name)


def whole_shifts(block: Block, template: Template, reach: int) -> NDArray[np.intp]:
    """Return by how many whole pixels the star in each frame is off the template's, (k, 2).

    The maximum of the cross-correlation, padded so that nothing wraps around; frames are
    cut at twice the template's peak, so that no cosmic ray wins.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        Background off, masked pixels NaN.
    template : Template
        Of the same window.
    reach : int
        The largest shift looked for, in pixels.
    """
    from scipy import fft

    image = template.image
    reach = min(reach, min(image.shape) // 2)
    size = [fft.next_fast_len(side + reach, real=True) for side in image.shape]
    spectrum = fft.rfft2(image, size)
    top, wide = CLIP * float(image.max()), 2 * reach + 1
    out = np.empty((len(block), 2), np.intp)
    for part in pieces(len(block), max(1, TOGETHER // image.size)):
        cut = np.minimum(np.nan_to_num(block[part]), top)
        near = correlated(cut, spectrum, (size[0], size[1]), (-reach, -reach), (reach, reach))
        best = near.reshape(len(near), -1).argmax(axis=1)
        out[part] = reach - np.stack(np.divmod(best, wide), axis=1)
    return out


def fit(block: Block, template: Template, *, errors: bool = True) -> Fit:
    """Fit the template to each frame of a block, brought onto it by whole pixels.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        Background off, ADU, masked pixels NaN: they have no weight.
    template : Template
        Of the same window.
    errors : bool
        Whether the errors of the places are wanted; they are NaN if not.
    """
    products, squares = np.empty((len(block), len(template.basis))), np.empty(len(block))
    used, weight = template.weight > 0, template.weight.astype(np.float64)
    count = np.full(len(block), np.count_nonzero(used))
    gram = np.repeat(template.gram[np.newaxis], len(block), axis=0)
    holes: dict[int, NDArray[np.intp]] = {}
    # one by one, so that no bit of a frame's shift depends on the frames beside it
    for frame, pixels in enumerate(block.reshape(len(block), -1)):
        bad = ~np.isfinite(pixels)
        if bad.any():
            holes[frame] = hole = np.flatnonzero(bad)
            pixels = np.where(bad, np.float32(0), pixels)
            count[frame] -= np.count_nonzero(used[hole])
            gram[frame] -= template.weighted[:, hole].astype(np.float64) @ template.basis[:, hole].T
        products[frame] = template.weighted @ pixels
        squares[frame] = np.square(pixels).astype(np.float64) @ weight
    s, f, level = np.zeros((len(block), 2)), np.ones(len(block)), np.zeros(len(block))
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            theta, jacobian = _model(s, f, level)
            across = jacobian.transpose(0, 2, 1)
            residual = products[:, :, None] - gram @ theta[:, :, None]
            step = (_inverse(across @ gram @ jacobian) @ (across @ residual))[:, :, 0]
            s = np.clip(s + step[:, :2], -1, 1)
            f, level = f + step[:, 2], level + step[:, 3]
        theta, jacobian = _model(s, f, level)
        across = jacobian.transpose(0, 2, 1)
        inverse = _inverse(across @ gram @ jacobian)
        calm = np.repeat(template.calm[np.newaxis], len(block), axis=0)
        for frame, hole in holes.items():
            calm[frame] -= template.hidden_calm(hole)
        flux_sigma = _errors(inverse, jacobian, calm)[:, 2]
        sigma = np.full((len(block), 2), np.nan)
        if errors:
            spread = template.spread(s)
            for frame, hole in holes.items():
                spread[frame] -= template.hidden_spread(hole, s[frame])
            sigma = _errors(inverse, jacobian, spread)[:, :2]
        fitted = (gram @ theta[:, :, None])[:, :, 0]
        chi2 = squares + (theta * (fitted - 2 * products)).sum(axis=1)
        chi2 /= np.maximum(count - 4, 1) * np.mean((template.weight * template.variance)[used])
    return Fit(s, f, sigma, flux_sigma, chi2, level)


def _errors(inverse: Floats, jacobian: Floats, covariance: Floats) -> Floats:
    """Return the errors of s, f and b, (k, 4), from the covariance of the products."""
    spread = jacobian.transpose(0, 2, 1) @ covariance @ jacobian
    return np.sqrt(np.diagonal(inverse @ spread @ inverse, axis1=1, axis2=2))


def _model(s: Floats, f: Floats, level: Floats) -> tuple[Floats, Floats]:
    """Return the coefficients of the basis, (k, 16), and their derivatives by s, f, b."""
    theta = np.empty((len(s), len(POWERS) + 1))
    jacobian = np.zeros((*theta.shape, 4))
    jacobian[:, :-1, 2] = expansion(s)
    theta[:, :-1] = f[:, None] * jacobian[:, :-1, 2]
    for at, (j, k) in enumerate(POWERS):
        # the derivative of a power is the next lower one
        if j:
            jacobian[:, at, 0] = -theta[:, POWERS.index((j - 1, k))]
        if k:
            jacobian[:, at, 1] = -theta[:, POWERS.index((j, k - 1))]
    theta[:, -1], jacobian[:, -1, 3] = level, 1
    return theta, jacobian


def _inverse(matrix: Floats) -> Floats:
    """Return the inverses of (k, 4, 4) matrices; NaN of those that have none."""
    scale = np.sqrt(np.diagonal(matrix, axis1=1, axis2=2))
    scaled = matrix / scale[:, :, None] / scale[:, None, :]
    good = np.asarray(np.isfinite(scaled).all(axis=(1, 2)))
    good[good] &= np.abs(np.linalg.det(scaled[good])) > 1e-12
    out = np.full_like(matrix, np.nan)
    out[good] = np.linalg.inv(scaled[good])
    return out / scale[:, :, None] / scale[:, None, :]


def noise_of_residuals(block: Block, template: Template, made: Fit, least: float = 0.0) -> Noise:
    """Return the noise that a fit leaves, over the star's signal.

    Mean squared residuals of pixels of the same signal, to which a + b I + c I² is fitted with
    a, b, c >= 0.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        As it was fitted.
    template : Template
        What was fitted to it.
    made : Fit
        Of this block.
    least : float, optional
        ADU²; no pixel has less, see `napari_lucky.imaging.quantisation.quantisation`.
    """
    square, count = np.zeros(template.weight.shape), np.zeros(template.weight.shape, np.intp)
    top = float(template.image.max())
    bright = template.image >= min(0.1 * top, top)
    box = tuple(slice(at.min(), at.max() + 1) for at in np.nonzero(bright))
    pairs = power = 0.0
    for residual in _residuals(block, template, made):
        seen = np.isfinite(residual)
        residual = np.where(seen, residual, np.float32(0))
        square += np.square(residual)
        count += seen
        left = np.where(bright[box], residual.reshape(bright.shape)[box], 0).astype(np.float64)
        pairs += (left[1:] * left[:-1]).sum() + (left[:, 1:] * left[:, :-1]).sum()
        power += (left**2).sum()
    known = (template.weight > 0) & (count > 0)
    noise = fit_noise(square[known] / count[known], template.image.ravel()[known], 2, least)
    return replace(noise, alike=float(pairs / 2 / max(power, 1e-300)))


def _residuals(block: Block, template: Template, made: Fit) -> Iterator[NDArray[np.float32]]:
    """Give what a fit leaves of each frame, (y x), ADU: one by one, in the processor's cache."""
    theta, _ = _model(made.place, made.flux, made.level)
    for frame, row in zip(block.reshape(len(block), -1), as_float32(theta), strict=True):
        yield frame - row @ template.basis


def without_cosmics(block: Block, template: Template, made: Fit) -> Block:
    """Mask pixels that stand out from a fit, alone: cosmic rays.

    Those over 8 sigma and over 3.3 times the mean of their four neighbours, as in
    `napari_lucky.cleaning.outliers`.
    """
    out = block.copy()
    scale = 1 / np.sqrt(template.variance)
    for frame, residual in zip(out, _residuals(block, template, made), strict=True):
        sigmas = (residual * scale).reshape(frame.shape)
        y, x = np.nonzero(sigmas > COSMIC)
        if len(y):
            wide = np.pad(np.nan_to_num(sigmas), 1)
            around = (wide[y, x + 1] + wide[y + 2, x + 1] + wide[y + 1, x] + wide[y + 1, x + 2]) / 4
            alone = sigmas[y, x] > ALONE * around
            frame[y[alone], x[alone]] = np.nan
    return out


def without_background(block: Block) -> Block:
    """Return the frames less their background, the median of the window's border."""
    return np.asarray(block - background(block)[:, None, None])
