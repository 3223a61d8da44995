"""The brightest speckle of each frame, and how certain its place is."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Block, is_empty
from napari_lucky.imaging.binning import binned, bins_of, cut, unbinned
from napari_lucky.imaging.convolution import gaussian, gaussian_weights
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.peak_position import LEAST_WIDTH, Surface
from napari_lucky.imaging.significance import significance
from napari_lucky.imaging.star_image import (
    SMOOTH,
    Light,
    background,
    light_of,
    light_over,
    peaks,
    rivalled,
)

AROUND = 8.0
"""In wide windows, so many times the smoothing around the brightest bin are cut out."""
APART = 2.5
"""Smoothings from the top, at least, to another place that may be the brighter one."""
NEAR = 10
"""Pixels from the middle of the brightest bin in which the speckle is looked for again."""


def track_brightest(
    block: Block, smooth: float = SMOOTH, noise: Noise | None = None
) -> NDArray[np.float64]:
    """Find the brightest speckle of each frame of a block.

    The brightest pixel after smoothing, and from there the top of the smoothed image; see
    `napari_lucky.imaging.peak_position`. For the top, the smoothing is a pixel at least. In
    windows of over 256 px, it is looked for in the frame binned by no more than it is smoothed,
    and then around there in the frame as it is.

    The errors are those that noise gives to the place of this speckle. They are NaN where noise may
    decide which of two places is the brighter, as of two speckles that are nearly alike, or of
    noise alone. In turbulence they do not say how far the speckle is from the star's mean place.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        The window's pixels; masked ones (NaN) are filled from their neighbours.
    smooth : float
        Standard deviation of the smoothing in pixels.
    noise : Noise, optional
        Of a pixel; without it there are no errors.

    Returns
    -------
    ndarray of float64, (k, 7)
        y, x in pixels of the window, the smoothed peak above background in ADU, the 1-sigma
        errors of y and x, the peak's significance in sigmas, and its sharpness, the brightest of
        the nine pixels there over the smoothed peak; NaN for a frame whose pixels are all
        equal or masked.
    """
    if is_wide(block.shape[1:], smooth):
        return _track_wide(block, smooth, noise)
    return brightest_in(light_of(block), smooth, noise)


def is_wide(shape: tuple[int, ...], smooth: float) -> bool:
    """Tell whether a window is so wide that it is looked through binned first."""
    return bins_of(shape, smooth) > 1


def _track_wide(block: Block, smooth: float, noise: Noise | None) -> NDArray[np.float64]:
    bins = bins_of(block.shape[1:], smooth)
    rough = light_of(binned(block, bins))
    rest = smooth**2 - (bins**2 - 1) / 12  # what the binning has not smoothed
    even = gaussian(rough.pixels, sqrt(rest) / bins, "constant")
    start, top = peaks(even)
    half = int(np.ceil(AROUND * smooth)) + bins
    middle = np.rint(unbinned(start, bins)).astype(np.intp)
    ny, nx = (min(2 * half + 1, side) for side in block.shape[1:])
    last = block.shape[1] - ny, block.shape[2] - nx
    corners = np.clip(middle - half, 0, last)
    piece = light_over(cut(block, corners, (ny, nx)), background(block), is_empty(block))
    found = brightest_in(piece, smooth, noise, middle - corners)
    found[:, :2] += corners
    if noise is not None:
        usual = noise_of_peak(top, smooth, noise)
        found[rivalled(even, start, top, APART * smooth / bins, usual), 3:5] = np.nan
    return found


def brightest_in(
    light: Light,
    smooth: float = SMOOTH,
    noise: Noise | None = None,
    near: NDArray[np.intp] | None = None,
) -> NDArray[np.float64]:
    """Find the brightest speckle in the light of each frame; see `track_brightest`.

    With points (k, 2), only within `NEAR` pixels of them on each axis.
    """
    even = gaussian(light.pixels, smooth, "constant")  # with the last pixels, their noise is high
    whole = even
    if near is not None:
        far_y, far_x = (
            np.abs(np.arange(side) - at[:, np.newaxis]) > NEAR
            for side, at in zip(even.shape[1:], near.T, strict=True)
        )
        even = np.where(far_y[:, :, None] | far_x[:, None], even.min(), even)
    start, top = peaks(even)
    width = np.full(len(start), max(smooth, LEAST_WIDTH))
    surface = Surface(light.pixels, start, width)
    points, hessian = surface.top()
    sigma, sigmas = np.full(points.shape, np.nan), np.full(len(points), np.nan)
    if noise is not None:
        if noise.known:
            sigma = surface.sigma(points, hessian, noise, light.excess)
            usual = noise_of_peak(top, smooth, noise)
            between = np.nan_to_num(-hessian[:, [0, 1], [0, 1]].sum(axis=1) / 8)  # half a pixel
            far = APART * max(smooth, LEAST_WIDTH)
            sigma[rivalled(whole, start, top, far, usual, between)] = np.nan
        sigmas = significance(whole, top, smooth, noise)
    out = np.column_stack([points, top, sigma, sigmas, _sharpness(light.pixels, start, top)])
    out[light.empty] = np.nan
    return out


def noise_of_peak(top: NDArray[np.float32], smooth: float, noise: Noise) -> NDArray[np.float64]:
    """Return the standard deviation of smoothed peaks (k,) by the noise of their pixels, ADU."""
    part = float((gaussian_weights(smooth) ** 2).sum()) if smooth else 1.0
    return np.asarray(np.sqrt(noise.variance(top)) * part)


def _sharpness(
    pixels: Block, points: NDArray[np.float64], top: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the brightest of the nine pixels around each point over its smoothed peak, (k,)."""
    near = np.arange(-1, 2)
    rows, columns = (
        np.clip(np.rint(at)[:, None].astype(np.intp) + near, 0, side - 1)
        for at, side in zip(points.T, pixels.shape[1:], strict=True)
    )
    frame = np.arange(len(pixels))[:, None, None]
    highest = pixels[frame, rows[:, :, None], columns[:, None]].max(axis=(1, 2))
    return np.asarray(highest / np.where(top > 0, top, np.nan))
