"""The brightest speckle of each frame, and how certain its place is."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from .binning import binned, bins_of, cut, unbinned
from .light import Light, light_of, light_over
from .noise import Noise
from .separable import gaussian
from .spots import SMOOTH, Block, background, peaks
from .subpixel import LEAST_WIDTH, Surface

AROUND = 8.0
"""In wide windows, so many times the smoothing around the brightest bin are looked at again."""


def track_brightest(
    block: Block, smooth: float = SMOOTH, noise: Noise | None = None
) -> NDArray[np.float64]:
    """Find the brightest speckle of each frame of a block.

    The brightest pixel after smoothing, and from there the top of the smoothed image; see
    `napari_lucky.subpixel`. For the top, the smoothing is a pixel at least. In windows of over
    256 px, it is looked for in the frame binned by no more than it is smoothed, and then around
    there in the frame as it is.

    The errors are those that noise gives to the place of this speckle. Where two speckles are
    nearly alike and noise decides between them, or where there is only noise, the point hops,
    and the errors, which are to first order, do not know of it. In turbulence they do not say
    how far the speckle is from the star's mean place.

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
    ndarray of float64, (k, 5)
        y, x in pixels of the window, the smoothed peak above background in ADU, and the 1-sigma
        errors of y and x; NaN for a frame whose pixels are all equal or masked.
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
    start, _ = peaks(gaussian(rough.pixels, sqrt(rest) / bins))
    half = int(np.ceil(AROUND * smooth)) + bins
    corners = np.rint(unbinned(start, bins)).astype(np.intp) - half
    side = 2 * half + 1
    corners = np.clip(corners, 0, np.array(block.shape[1:]) - side)  # no edge but the window's
    piece = light_over(cut(block, corners, (side, side)), background(block), rough.empty)
    found = brightest_in(piece, smooth, noise)
    found[:, :2] += corners
    return found


def brightest_in(
    light: Light, smooth: float = SMOOTH, noise: Noise | None = None
) -> NDArray[np.float64]:
    """Find the brightest speckle in the light of each frame; see `track_brightest`."""
    start, top = peaks(gaussian(light.pixels, smooth))
    width = np.full(len(start), max(smooth, LEAST_WIDTH))
    surface = Surface(light.pixels, start, width)
    points, hessian = surface.top()
    sigma = np.full(points.shape, np.nan)
    if noise is not None:
        sigma = surface.sigma(points, hessian, noise, light.excess)
    out = np.column_stack([points, top, sigma])
    out[light.empty] = np.nan
    return out
