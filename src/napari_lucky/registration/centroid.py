"""The windowed centroid: the centre of a star's light, with least weight on what is not star.

What the constants do is measured by ``benchmarks/registration.py``.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import blocks_of
from napari_lucky.frames.frames import Block, Frames, as_float32, is_empty
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window
from napari_lucky.imaging.inpainting import fill_by_kriging
from napari_lucky.imaging.noise import SAMPLE, Noise
from napari_lucky.imaging.peak_position import Surface
from napari_lucky.imaging.robust_sigma import robust_sigma
from napari_lucky.imaging.star_image import background, smoothed
from napari_lucky.registration.step import Register, Tracked, Tracking

FRACTION = 0.3
"""Pixels over this fraction of the peak above background say where the window begins."""
WINDOW_SIGMA = 0.5
"""Standard deviation of the Gaussian window, over the rms radius of those pixels."""
LEAST_SIGMA = 1.0
"""Least standard deviation of the window in pixels: a narrower one would see their edges."""
ROUNDS, STEP = 30, 2e-4
"""The window moves this many times at most, and until it moves less than this, in pixels."""
STEADY = 0.03
"""A star is steady if the windows of its frames differ by less than this, as a fraction."""
FILL = 1.0
"""Smoothing in pixels that fills masked pixels where none was asked for."""

Floats = NDArray[np.float64]


def steady_window(
    frames: Frames, focus: Window, smooth: float, lit: NDArray[np.intp]
) -> float | None:
    """Return the standard deviation of the centroid's window for a run of a steady star.

    Each frame's own is noisy, and the centroid of a lopsided star moves with it. So where it is
    the same to 3 % in up to 64 frames spread over the run, their median serves for all. In
    turbulence, where each frame needs its own, this is None. The frames are some of those that
    are lit.
    """
    chosen = lit[spread_over(len(lit), SAMPLE)]
    found = []
    for part in blocks_of(len(chosen), focus.height * focus.width):
        image, _, _ = _image(as_float32(frames.read(chosen[part], focus)), smooth)
        found.append(_window_of(_over_threshold(image)[1]))
    windows = np.concatenate(found)
    seen = np.isfinite(windows)
    if not seen.any():
        return None
    middle = np.median(windows[seen])
    spread = robust_sigma(windows[seen], middle)
    return float(middle) if spread <= STEADY * middle else None


def track_centroid(
    block: Block, smooth: float, noise: Noise | None = None, window: float | None = None
) -> Floats:
    """Find the windowed centroid of each frame of a block.

    The windowed positions of SExtractor (XWIN_IMAGE, YWIN_IMAGE; Bertin & Arnouts 1996 and its
    manual), with the background off: from the centre c of a Gaussian window w of standard
    deviation s,

        c -> c + 2 sum(w I (r - c)) / sum(w I)

    until it stands still. It begins at the centroid of the light over 0.3 of the peak, and s is
    half the rms radius of that light, and at least a pixel. Where it runs away from there by more
    than that radius, in noise, the first centroid is taken.

    Where it stands still, the light smoothed with a Gaussian of variance s² + smooth² is highest;
    so its errors are those of `napari_lucky.imaging.peak_position`. They are NaN where the first
    centroid was taken. What noise does to s, if that is each frame's own, is left out.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        The window's pixels; masked ones (NaN) are filled from their neighbours.
    smooth : float
        Standard deviation of the smoothing in pixels.
    noise : Noise, optional
        Of a pixel; without it there are no errors.
    window : float, optional
        s in pixels, from `steady_window`; by default each frame has its own.

    Returns
    -------
    ndarray of float64, (k, 4)
        y, x in pixels of the window, and their 1-sigma errors; NaN for a frame whose pixels are
        all equal or masked.
    """
    image, light, excess = _image(block, smooth)
    first, radius = _over_threshold(image)
    s = _window_of(radius) if window is None else np.full(len(block), window)
    found = _windowed(image, first, s)
    near = np.hypot(*(found - first).T) <= np.maximum(radius, LEAST_SIGMA)
    sigma = np.full(found.shape, np.nan)
    if noise is not None and noise.known:
        light = light if excess is None else np.nan_to_num(light)
        surface = Surface(light, found, np.hypot(s, smooth))
        sigma = surface.sigma(found, surface.derivatives(found)[1], noise, excess)
        sigma[~near] = np.nan
    found = np.where(near[:, None], found, first)
    out = np.column_stack([found, sigma])
    out[is_empty(block)] = np.nan
    return out


def _image(block: Block, smooth: float) -> tuple[Block, Block, NDArray[np.float32] | None]:
    """Return the smoothed light, the light, and the excess of its variance where it is filled."""
    light, excess = fill_by_kriging(block - background(block)[:, None, None])
    image = smoothed(light, smooth)
    if smooth == 0 and (holes := ~np.isfinite(light)).any():
        image = np.where(holes, smoothed(light, FILL), image)
    return image, light, excess


def _window_of(radius: Floats) -> Floats:
    """Return the standard deviation of the window for a star's rms radius, (k,)."""
    return np.maximum(WINDOW_SIGMA * radius, LEAST_SIGMA)


def _over_threshold(image: Block) -> tuple[Floats, Floats]:
    """Return centre (k, 2) and rms radius (k,) of the light over `FRACTION` of the peak.

    The threshold is taken off, so that a pixel that crosses it does so without a jump.
    """
    over = np.maximum(image - FRACTION * image.max(axis=(1, 2), keepdims=True), 0)
    total = over.sum(axis=(1, 2), dtype=np.float64)
    total[total == 0] = np.nan
    centre, square = np.empty((len(image), 2)), np.zeros(len(image))
    for axis in (0, 1):
        profile = over.sum(axis=2 - axis, dtype=np.float64) / total[:, None]
        place = np.arange(profile.shape[1], dtype=np.float64)
        centre[:, axis] = (profile * place).sum(axis=1)  # @ would depend on frames beside it
        square += (profile * (place - centre[:, axis, None]) ** 2).sum(axis=1)
    return centre, np.sqrt(square)


def _windowed(image: Block, centre: Floats, sigma: Floats) -> Floats:
    """Move each frame's Gaussian window until it stands still; return where, (k, 2)."""
    rows, columns = (np.arange(side, dtype=np.float64) for side in image.shape[1:])
    pixels = image.astype(np.float64)
    moving = np.asarray(np.isfinite(centre).all(axis=1))
    for _ in range(ROUNDS):
        if not moving.any():
            break
        y, x = (_weights(at, c, sigma) for at, c in zip((rows, columns), centre.T, strict=True))
        # [[sum w I, sum w I (x - cx)], [sum w I (y - cy), ...]], the window being a product
        moments = y @ pixels @ x.transpose(0, 2, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = 2 * np.stack([moments[:, 1, 0], moments[:, 0, 1]], axis=1)
            step /= moments[:, :1, 0]
        centre = np.where(moving[:, None], centre + step, centre)
        moving &= np.hypot(*step.T) >= STEP  # false for NaN, too
    return centre


def _weights(at: Floats, centre: Floats, sigma: Floats) -> Floats:
    """Return a Gaussian along one axis, and its product with the distance, (k, 2, n)."""
    distance = at - centre[:, None]
    gauss = np.exp(-0.5 * (distance / sigma[:, None]) ** 2)
    return np.stack([gauss, gauss * distance], axis=1)


class RegisterCentroid(Register, kind="centroid"):
    """The windowed centroid; steadier than a speckle in weak turbulence, less sharp in strong."""

    one_speckle: ClassVar[bool] = True

    def track(self, start: Tracking) -> Tracked:
        """Return the centroids; see `track_centroid`."""
        smooth, noise = start.smooth, start.noise
        lit = np.flatnonzero(np.isfinite(start.found[:, 2]))
        window = steady_window(start.moved, start.focus, smooth, lit)
        made = start.over_blocks(
            lambda block: track_centroid(block, smooth, noise, window), "tracking the centroid"
        )
        return Tracked(made[:, :2], made[:, 2:])
