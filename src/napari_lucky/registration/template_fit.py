"""Each frame's shift from a template, by least squares weighted with the noise.

What the constants do is measured by ``benchmarks/registration.py``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields, replace
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Block, as_float32
from napari_lucky.imaging.noise import Noise, fit_noise
from napari_lucky.imaging.star_image import background
from napari_lucky.registration.template import ORDER, POWERS, Floats, Template

STEPS = 6
"""Gauss-Newton steps; three or four are enough as a rule."""
CLIP = 2.0
"""Before the correlation a frame is cut at so many times the template's peak: cosmic rays."""
COSMIC, ALONE = 8.0, 3.3
"""A cosmic ray is over so many sigmas, and so many times the mean of its neighbours."""
CROSS = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]])
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
    cut = np.clip(np.nan_to_num(block), None, CLIP * float(image.max()))
    spectrum = fft.rfft2(cut, size) * np.conj(fft.rfft2(image, size))
    correlation = fft.irfft2(spectrum, size)
    wide = 2 * reach + 1
    near = np.roll(correlation, (reach, reach), (1, 2))[:, :wide, :wide]
    best = near.reshape(len(near), -1).argmax(axis=1)
    return np.stack(np.divmod(best, wide), axis=1) - reach


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
    pixels = block.reshape(len(block), -1)
    bad = ~np.isfinite(pixels)
    pixels = np.where(bad, np.float32(0), pixels)
    # one by one, so that no bit of a frame's shift depends on the frames beside it
    products = np.stack([template.weighted @ frame for frame in pixels]).astype(np.float64)
    squares = np.einsum("kp,kp,p->k", pixels, pixels, template.weight, dtype=np.float64)
    used = template.weight > 0
    count = (used & ~bad).sum(axis=1)
    gram = np.repeat(template.gram[np.newaxis], len(block), axis=0)
    masked = np.flatnonzero(bad.any(axis=1))
    for frame in masked:
        hole = bad[frame]
        gram[frame] -= template.weighted[:, hole].astype(np.float64) @ template.basis[:, hole].T
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
        for frame in masked:
            calm[frame] -= template.hidden_calm(bad[frame])
        flux_sigma = _errors(inverse, jacobian, calm)[:, 2]
        sigma = np.full((len(block), 2), np.nan)
        if errors:
            spread = template.spread(s)
            for frame in masked:
                spread[frame] -= template.hidden_spread(bad[frame], s[frame])
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
    powers = (-s[:, :, None]) ** np.arange(ORDER + 1)  # (k, axis, power)
    for at, (j, k) in enumerate(POWERS):
        scale = 1 / (factorial(j) * factorial(k))
        y, x = powers[:, 0, j], powers[:, 1, k]
        theta[:, at] = f * scale * y * x
        jacobian[:, at, 2] = scale * y * x
        if j:
            jacobian[:, at, 0] = -j * f * scale * powers[:, 0, j - 1] * x
        if k:
            jacobian[:, at, 1] = -k * f * scale * y * powers[:, 1, k - 1]
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
    residual = _residual(block, template, made)
    alike = _alike(residual.reshape(block.shape), template)
    residual = residual[:, template.weight > 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a pixel that is masked in all
        square = np.asarray(np.nanmean(residual**2, axis=0, dtype=np.float64))
    signal = template.image.ravel()[template.weight > 0]
    return replace(fit_noise(square, signal, 2, least), alike=alike)


def _alike(residual: Block, template: Template) -> float:
    """Return the correlation of residuals in neighbouring pixels where the star is bright."""
    bright = template.image > 0.1 * template.image.max()
    left = np.where(bright, np.nan_to_num(residual), 0).astype(np.float64)
    pairs = (left[:, 1:] * left[:, :-1]).sum() + (left[:, :, 1:] * left[:, :, :-1]).sum()
    return float(pairs / 2 / max(float((left**2).sum()), 1e-300))


def _residual(block: Block, template: Template, made: Fit) -> NDArray[np.float32]:
    """Return what a fit leaves of each frame, (k, y x), ADU."""
    theta, _ = _model(made.place, made.flux, made.level)
    model = np.stack([row @ template.basis for row in as_float32(theta)])
    return np.asarray(block.reshape(len(block), -1) - model)


def without_cosmics(block: Block, template: Template, made: Fit) -> Block:
    """Mask pixels that stand out from a fit, alone: cosmic rays.

    Those over 8 sigma and over 3.3 times the mean of their four neighbours, as in
    `napari_lucky.cleaning.outliers`.
    """
    from scipy import ndimage

    sigmas = _residual(block, template, made) / np.sqrt(template.variance)
    sigmas = np.nan_to_num(sigmas).reshape(block.shape)
    around = ndimage.convolve(sigmas, CROSS[np.newaxis], mode="constant")
    alone = np.asarray((sigmas > COSMIC) & (sigmas > ALONE * around))
    return np.where(alone, np.float32(np.nan), block)


def without_background(block: Block) -> Block:
    """Return the frames less their background, the median of the window's border."""
    return np.asarray(block - background(block)[:, None, None])
