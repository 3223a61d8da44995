"""The brightest speckle of each frame, and how certain its place is.

What the constants do is measured by ``benchmarks/registration.py``.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Block, as_float32, is_empty
from napari_lucky.imaging.binning import binned, bins_of, cut, unbinned
from napari_lucky.imaging.convolution import gaussian, gaussian_weights
from napari_lucky.imaging.fine_detail import fine_detail
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.peak_position import LEAST_WIDTH, Surface
from napari_lucky.imaging.places import places_of
from napari_lucky.imaging.significance import significance
from napari_lucky.imaging.star_image import (
    RIVAL,
    SMOOTH,
    Light,
    background,
    light_of,
    light_over,
    peaks,
    rivalled,
    tops_at,
)

AROUND = 8.0
"""In wide windows, so many times the smoothing around the brightest bin are cut out."""
APART = 2.5
"""Smoothings from the top, at least, to another place that may be the brighter one."""
LOST, STEEP = 0.2, 0.25
"""Part of a top that its brightest pixel misses, at most, and part that a pixel beside it sees, at
least; what falls more steeply is noise."""
GRID = 0.02
"""Part of a top to which it is known between the pixels."""
LIGHT = 16.0
"""Light is summed up to so many times the smoothing, and pixels, from the top on each axis."""
NEAR = 10
"""Pixels from the middle of the brightest bin in which the speckle is looked for again."""


def track_brightest(
    block: Block, smooth: float = SMOOTH, noise: Noise | None = None
) -> NDArray[np.float64]:
    """Find the brightest speckle of each frame of a block.

    The highest top of the smoothed image, to a fraction of a pixel; see
    `napari_lucky.imaging.peak_position`. For its place, the smoothing is a pixel at least. In
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
    ndarray of float64, (k, 9)
        y, x in pixels of the window, the smoothed peak above background in ADU, the 1-sigma
        errors of y and x, the peak's significance in sigmas, its sharpness, the brightest of
        the nine pixels there over the smoothed peak, its `fine_detail`, and the light around it
        in ADU; NaN for a frame whose pixels are all equal or masked.
    """
    if is_wide(block.shape[1:], smooth):
        return _track_wide(block, smooth, noise)
    return brightest_in(light_of(block), smooth, noise)


def is_wide(shape: tuple[int, ...], smooth: float) -> bool:
    """Return whether a window is so wide that it is looked through binned first."""
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
    found[:, 8] = bins**2 * _light_near(rough.pixels, start, LIGHT * smooth / bins)
    found[rough.empty, 8] = np.nan
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
    even = light.smoothed(smooth)  # with the last pixels, their noise is high
    start, top, second = _highest(even, smooth, near)
    width = np.full(len(start), max(smooth, LEAST_WIDTH))
    surface = Surface(light.pixels, start, width)
    points, hessian = surface.top()
    sigma, sigmas = np.full(points.shape, np.nan), np.full(len(points), np.nan)
    if noise is not None:
        if noise.known:
            sigma = surface.sigma(points, hessian, noise, light.excess)
            usual = noise_of_peak(top, smooth, noise)
            unsure = RIVAL * np.sqrt(2) * usual + GRID * top
            sigma[(second > -unsure) | rivalled(even, start, top, _far(smooth), usual)] = np.nan
        sigmas = significance(even, top, smooth, noise)
    sharp, fine = _sharpness(light.pixels, start, top), fine_detail(light.pixels, start)
    light_near = _light_near(light.pixels, start, LIGHT * max(smooth, 1.0))
    out = np.column_stack([points, top, sigma, sigmas, sharp, fine, light_near])
    out[light.empty] = np.nan
    return out


def _far(smooth: float) -> float:
    """Return the pixels from a top to where another begins."""
    return APART * max(smooth, LEAST_WIDTH)


def _highest(
    even: Block, smooth: float, near: NDArray[np.intp] | None
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float64]]:
    """Find the highest top of each smoothed frame.

    That need not be where the brightest pixel is: of a small star a pixel sees up to a tenth less
    where the top is between the pixels. So tops are compared by the Gaussians through their pixels.

    Returns
    -------
    start : ndarray of float64, (k, 2)
        (y, x) to a fraction of a pixel.
    top : ndarray of float32, (k,)
        Its brightest pixel.
    second : ndarray of float64, (k,)
        The highest of other tops, less this one; minus infinity if there is none nearly as high.
    """
    seen = even
    if near is not None:
        far_y, far_x = (
            np.abs(np.arange(side) - at[:, np.newaxis]) > NEAR
            for side, at in zip(even.shape[1:], near.T, strict=True)
        )
        seen = np.where(far_y[:, :, None] | far_x[:, None], even.min(), even)
    flat = seen.reshape(len(seen), -1).argmax(axis=1)
    at_y, at_x = np.divmod(flat, even.shape[2])
    brightest = seen.reshape(len(seen), -1)[np.arange(len(seen)), flat]
    frame, y, x, height = _tops(even, (1 - LOST) * np.where(brightest > 0, brightest, np.inf))
    order = np.lexsort((height, frame))
    if near is not None:
        inside = seen[frame, y, x] == even[frame, y, x]
        order = order[inside[order]]
    best = order[np.flatnonzero(np.diff(frame[order], append=-1))]
    at_y[frame[best]], at_x[frame[best]] = y[best], x[best]
    start, top = tops_at(even, at_y, at_x)
    own = np.full(len(even), np.inf)
    own[frame[best]] = height[best]
    others = np.hypot(y - start[frame, 0], x - start[frame, 1]) > _far(smooth)
    second = np.full(len(even), -np.inf)
    np.maximum.at(second, frame[others], (height - own[frame])[others])
    return start, top, second


def _tops(
    even: Block, least: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return frame, y, x of the tops over so much light (k,), and how high they are."""
    ny, nx = even.shape[1:]
    frame, y, x = places_of(even > as_float32(least)[:, None, None])
    beside = [
        even[frame, np.clip(y + down, 0, ny - 1), np.clip(x + across, 0, nx - 1)]
        for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1))
    ]
    highest = even[frame, y, x] >= np.max(beside, axis=0)
    frame, y, x = frame[highest], y[highest], x[highest]
    own = even[frame, y, x].astype(np.float64)
    falls = -np.log(np.maximum(np.stack(beside)[:, highest] / own, STEEP))
    gain = np.zeros(len(own))
    for before, behind in (falls[:2], falls[2:]):
        gain += (before - behind) ** 2 / (8 * np.maximum(before + behind, 1e-12))
    return frame, y, x, own * np.exp(gain)


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


def _light_near(pixels: Block, points: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """Return the light of each frame up to so many pixels from a point on each axis, (k,)."""
    low = np.maximum(np.rint(points - reach), 0).astype(int).tolist()
    high = (np.rint(points + reach) + 1).astype(int).tolist()
    boxes = (
        image[top:bottom, left:right]
        for image, (top, left), (bottom, right) in zip(pixels, low, high, strict=True)
    )
    return np.array([box.sum() for box in boxes], np.float64)
