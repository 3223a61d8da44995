"""The brightest speckle of each frame, and how certain its place is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .frames import is_empty
from .holes import fill
from .noise import Noise
from .spots import SMOOTH, Block, background, peaks, smoothed
from .subpixel import LEAST_WIDTH, Surface

SEARCH = 2.5
"""Where the Gaussian ends, in standard deviations, while the brightest pixel is looked for."""


def track_brightest(
    block: Block, smooth: float = SMOOTH, noise: Noise | None = None
) -> NDArray[np.float64]:
    """Find the brightest speckle of each frame of a block.

    The brightest pixel after smoothing, and from there the top of the smoothed image; see
    `napari_lucky.subpixel`. For the top, the smoothing is a pixel at least.

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
    light, excess = fill(block - background(block)[:, None, None])
    image = smoothed(light, smooth, truncate=SEARCH)
    start, top = peaks(image)
    light = light if excess is None else np.nan_to_num(light)
    width = np.full(len(block), max(smooth, LEAST_WIDTH))
    surface = Surface(light, start, width)
    points, hessian = surface.top()
    sigma = np.full(points.shape, np.nan)
    if noise is not None:
        sigma = surface.sigma(points, hessian, noise, excess)
    out = np.column_stack([points, top, sigma])
    out[is_empty(block)] = np.nan
    return out
