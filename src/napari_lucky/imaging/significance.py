"""Whether there is a star: in a frame, and in a run.

What the constants do is measured by ``benchmarks/finding.py``.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import NoStarError
from napari_lucky.execution.blocks import blocks_of
from napari_lucky.frames.frames import Block, Frames, as_float32
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window
from napari_lucky.imaging.binning import COARSEST, binned
from napari_lucky.imaging.convolution import gaussian, gaussian_weights
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.robust_sigma import robust_sigma

CLEAR = 20.0
"""Sigmas; a peak so high is a star's, or a scene's, whatever other noise there is."""
FALSE_ALARMS = 1e-6
"""The part of frames of noise alone in which a peak is taken for a star."""
TAIL, TAIL_SIGMA, ONE_SIGMA = 0.01, 2.326, 0.841
"""A frame's own noise is read from its pixels: of a normal distribution, one part in a hundred is
so many sigmas under the median, and this part is not over one sigma."""
SPARSE = 2
"""One of so many rows and columns of a smoothed frame says as much as all of them."""
FEW = 20
"""One of so many frames, at least, shows a clear star if there is one."""
SAMPLE, SAMPLE_PIXELS = 128, 1 << 22
"""Frames, spread over the run, of the mean in which a faint star is looked for, and their pixels
in all; at least `FEWEST`."""
FEWEST = 4
SCALES = (0.0, 2.0, 4.0)
"""Binned pixels; the mean is smoothed so, for a star alone and for clouds of speckles."""
STARLIKE, ONE_SIDED = 6.0, 1.9
"""The mean's star is over so many sigmas, and so many times as high as the deepest trough."""
STRAY = 4.0
"""Light of a frame over so many sigmas of what is usual there is cut to that."""
LEAST_LIGHT, SURE = 0.4, 3.0
"""A frame without a clear peak has a star if it has this part of the usual light, or less where
that is not known to so many sigmas."""

Floats = NDArray[np.float64]


def significance(even: Block, top: NDArray[np.float32], smooth: float, noise: Noise) -> Floats:
    """Return by how many sigmas of the smoothed noise each peak is over the background, (k,).

    The noise is that of single pixels. Where it does not make a peak clear, it is at least
    that of the frame's darkest pixels after smoothing: these show noise that is alike in
    neighbours, stray light, and a brighter sky. So
    they do the background, which is over the median of the border's pixels if photons are few.

    Parameters
    ----------
    even : ndarray of float32, (k, y, x)
        Smoothed frames, background off, nothing beyond the edge.
    top : ndarray of float32, (k,)
        Their peaks.
    smooth : float
        Standard deviation of the smoothing in pixels.
    noise : Noise
        Of a pixel before the smoothing.
    """
    usual = _dark_sigma(noise) * (float((gaussian_weights(smooth) ** 2).sum()) if smooth else 1)
    sigmas = top.astype(np.float64) / usual
    for k in np.flatnonzero(sigmas < CLEAR):
        dark, middle = np.quantile(even[k, ::SPARSE, ::SPARSE], (TAIL, 0.5))
        sigma = max(usual, own_sigma(even[k]))
        sigmas[k] = (top[k] - max(min(dark + TAIL_SIGMA * sigma, middle), 0)) / sigma
    return sigmas


def own_sigma(even: NDArray[np.float32]) -> float:
    """Return the standard deviation of a smoothed image (y, x), from its darker pixels."""
    dark, middle, light = np.quantile(even[::SPARSE, ::SPARSE], (TAIL, 0.5, ONE_SIGMA))
    return float(max((middle - dark) / TAIL_SIGMA, light - middle))


def least_significance(window: Window, smooth: float) -> float:
    """Return the sigmas over which a peak in a window is not noise."""
    places = window.height * window.width / max(1.0, np.pi * smooth**2)
    return -NormalDist().inv_cdf(FALSE_ALARMS / places)


def starless(
    frames: Frames,
    focus: Window,
    sigmas: Floats,
    smooth: float,
    noise: Noise,
    *,
    scene: bool = False,
) -> NDArray[np.bool_]:
    """Return which frames show noise alone, (n,).

    A frame has a star if its brightest speckle is significant. In faint light no single speckle
    may be, but all together: so where it is not, the frame is compared with the mean of frames
    spread over the run, curved background off: it has a star if it has over two fifths of the
    usual light there. Where even that is lost in noise, the frame is taken to be like the others,
    unless those are bright.

    Parameters
    ----------
    frames : Frames
        In ADU, moved with the star.
    focus : Window
        Holds the star.
    sigmas : ndarray of float64, (n,)
        From `significance`; NaN for frames that have no light at all.
    smooth : float
        Of the speckles, in pixels.
    noise : Noise
        Of a pixel.
    scene : bool
        Whether any light that is alike in all frames serves, as for a correlation, or only a
        star's.

    Raises
    ------
    NoStarError
        If there is no star in the run: hardly any clear speckle, and none in the mean.
    """
    lit = np.isfinite(sigmas)
    with np.errstate(invalid="ignore"):
        doubtful = np.flatnonzero(sigmas < least_significance(focus, smooth))
        bright = np.flatnonzero(sigmas >= CLEAR)
    if not lit.any():
        return np.zeros(len(sigmas), bool)
    clear = len(bright) * FEW >= np.count_nonzero(lit) and _is_uneven(frames, focus, bright, noise)
    if clear and len(doubtful) == 0:
        return np.zeros(len(sigmas), bool)
    seen = np.flatnonzero(lit)
    most = int(np.clip(SAMPLE_PIXELS // (focus.height * focus.width), FEWEST, SAMPLE))
    sample = seen[spread_over(len(seen), most)]
    pixels, sigma = _pixels(frames, focus, sample), _sigma(focus, noise)
    total = pixels.sum(axis=0)
    apart = _wide(total - pixels) / max(len(sample) - 1, 1)  # none is compared with itself
    shares = (pixels * apart).sum(axis=(1, 2))
    sure = sigmas[sample] >= least_significance(focus, smooth)
    usual = float(np.median(shares[sure] if sure.any() else shares))
    error = sigma * float(np.sqrt((_wide(total[np.newaxis] / len(sample)) ** 2).sum()))
    alike = scene and usual > SURE * error
    if not clear and not alike and not _is_star(_steady_mean(pixels, sigma), sigma, len(sample)):
        raise NoStarError(
            f"No star in rows {focus.y0} to {focus.y1 - 1}, columns {focus.x0} to "
            f"{focus.x1 - 1}: nothing there stands out of the noise. Move the focus window onto "
            "the star; for the Sun or the Moon, register by correlation."
        )
    out = np.zeros(len(sigmas), bool)
    if clear and usual <= SURE * error:  # a bright star, in few frames or never in one place
        out[doubtful] = True
        return out
    least = min(LEAST_LIGHT * usual, usual - SURE * error)
    known = dict(zip(sample.tolist(), shares.tolist(), strict=True))
    mean = _wide(total[np.newaxis] / len(sample))[0]
    for part in blocks_of(len(doubtful), focus.height * focus.width):
        some = doubtful[part]
        share = (_pixels(frames, focus, some) * mean).sum(axis=(1, 2))
        share = np.array([known.get(int(k), s) for k, s in zip(some, share, strict=True)])
        out[some] = share < least
    return out


def is_star(frames: Frames, focus: Window, sigmas: Floats, least: float) -> bool:
    """Return whether frames show one bright place in a window, as a star's.

    Those with a clear speckle, of `least` sigmas (n,), are looked at, unless they are hardly any:
    a star that drifts is not in the window in the others.
    """
    lit = np.flatnonzero(np.isfinite(sigmas))
    if len(lit) == 0:
        return False
    clear = lit[sigmas[lit] >= least]
    shown = clear if len(clear) * FEW >= len(lit) else lit
    sample = shown[spread_over(len(shown), FEW)]
    pixels = _pixels(frames, focus, sample)
    bright = [(image.max() - np.median(image)) / max(own_sigma(image), 1e-6) for image in pixels]
    return float(np.median(bright)) > STARLIKE


def _is_uneven(frames: Frames, focus: Window, bright: NDArray[np.intp], noise: Noise) -> bool:
    """Return whether frames show more in a window than noise and what slopes or curves over it."""
    pixels = _pixels(frames, focus, bright[spread_over(len(bright), FEW)])
    top = pixels.max(axis=(1, 2)) - np.median(pixels, axis=(1, 2))
    return float(np.median(top)) > STARLIKE * _sigma(focus, noise)


def _steady_mean(pixels: Block, sigma: float) -> NDArray[np.float32]:
    """Return the mean of frames (y, x) in which no cosmic ray counts for more than noise."""
    middle = np.median(pixels, axis=0)
    spread = np.maximum(robust_sigma(pixels, middle, axis=0), sigma) * STRAY
    return as_float32(np.clip(pixels, middle - spread, middle + spread).mean(axis=0))


def _is_star(mean: NDArray[np.float32], sigma: float, count: int) -> bool:
    """Return whether there is a star in the mean (y, x) of so many frames whose noise is known."""
    sigma = sigma / count**0.5
    for scale in SCALES:
        even = gaussian(mean[np.newaxis], scale, "constant")
        even = even - np.median(even)
        usual = sigma * (float((gaussian_weights(scale) ** 2).sum()) if scale else 1)
        if float(even.max()) > max(STARLIKE * usual, -ONE_SIDED * float(even.min())):
            return True
    return False


def _wide(images: NDArray[np.floating[Any]]) -> Block:
    """Smooth binned images, so that the noise of a mean does not count for light."""
    return gaussian(as_float32(images), SCALES[1], "constant")


def _dark_sigma(noise: Noise) -> float:
    return float(np.sqrt(max(noise.floor, noise.dark)))


def _bins(focus: Window) -> int:
    return max(1, min(COARSEST, min(focus.shape) // 32))


def _sigma(focus: Window, noise: Noise) -> float:
    return _dark_sigma(noise) / _bins(focus)


def _pixels(frames: Frames, focus: Window, index: NDArray[np.intp]) -> Block:
    """Return frames binned, (k, y, x), without what is even, slopes or curves over the window."""
    out = []
    for part in blocks_of(len(index), focus.height * focus.width):
        block = binned(as_float32(frames.read(index[part], focus)), _bins(focus))
        block = np.where(np.isfinite(block), block, np.nanmedian(block, axis=(1, 2), keepdims=True))
        flat = np.nan_to_num(block).reshape(len(block), -1)
        curves = _curves(block.shape[1:])
        out.append((flat - (flat @ curves) @ curves.T).reshape(block.shape))
    return as_float32(np.concatenate(out))


@lru_cache(maxsize=8)
def _curves(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return orthonormal polynomials to the second order over an image, (y x, 6)."""
    y, x = (
        part.ravel() for part in np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    )
    made, _ = np.linalg.qr(np.stack([np.ones_like(x), y, x, y * y, x * y, x * x], axis=1))
    return as_float32(made)
