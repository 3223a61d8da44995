"""Median and sigma-clipped mean: what outliers in a few frames do not move.

What the constants do is measured by ``benchmarks/stacking.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import blocks_of, map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.window import Window, WindowLike, as_window
from napari_lucky.imaging.robust_sigma import SIGMA_OF_MAD
from napari_lucky.imaging.shifts import is_shifted
from napari_lucky.stacking.mean import Stack, checked, stack_of
from napari_lucky.stacking.step import StackFrames, ToStack
from napari_lucky.steps.declaration import param

CLIP = 3.0
TILE = 1 << 23
"""Values held at a time, 32 MB of float32: the window is cut into tiles of so many."""
MEDIAN_LOSS = np.pi / 2
"""Variance of a median over that of a mean, of many normally distributed values."""

Reduced = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]
"""Image, variance and coverage of a tile."""


def stack_median(
    frames: FramesLike,
    index: NDArray[np.intp],
    window: WindowLike,
    *,
    job: Job = QUIET,
    what: str = "stacking",
) -> Stack:
    """Take each pixel's median over some frames.

    The variance is pi/2 times that of a mean, with the standard deviation taken as 1.4826 times
    the median absolute deviation, so that outliers do not move it either; both are those of many
    normally distributed values.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated, and shifted where the stack shall be sharp.
    index : ndarray of int or bool
        Frames to stack, in any order, or a mask of the run.
    window : Window or (y, x, size)
        What of them.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    what : str
        What is done, as the progress shows it.

    Returns
    -------
    Stack
        In ADU a frame, with variance (ADU²) and coverage, (y, x).

    Raises
    ------
    LuckyError
        If there is nothing to stack, or the window is not on the sensor.
    """
    frames, window = as_frames(frames), as_window(window)
    return _by_tiles(frames, index, window, _median, what=what, job=job)


def stack_clipped(
    frames: FramesLike,
    index: NDArray[np.intp],
    window: WindowLike,
    *,
    sigma: float = CLIP,
    job: Job = QUIET,
    what: str = "stacking",
) -> Stack:
    """Average each pixel's values that are not over so many sigmas off their median.

    Sigma is 1.4826 times the median absolute deviation, which an outlier does not move as it
    does a standard deviation: of ten values none can be over 2.85 standard deviations off their
    mean. Where more than half of the values are equal, it is the standard deviation. The variance
    counts that the bounds move with the median (`clipping_loss`), and that of few values they
    are uncertain (`few_loss`).

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated, and shifted where the stack shall be sharp.
    index : ndarray of int or bool
        Frames to stack, in any order, or a mask of the run.
    window : Window or (y, x, size)
        What of them.
    sigma : float
        At least 2.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    what : str
        What is done, as the progress shows it.

    Returns
    -------
    Stack
        In ADU a frame, with variance (ADU²) and coverage, (y, x).

    Raises
    ------
    LuckyError
        If sigma is under 2, there is nothing to stack, or the window is not on the sensor.
    """
    frames, window = as_frames(frames), as_window(window)
    StackClipped(sigma=sigma)  # raises if it makes no sense
    return _by_tiles(
        frames, index, window, lambda values: _clipped(values, sigma), what=what, job=job
    )


def _by_tiles(
    frames: Frames,
    index: NDArray[np.intp],
    window: Window,
    reduce: Callable[[NDArray[np.float32]], Reduced],
    *,
    job: Job,
    what: str,
) -> Stack:
    """Reduce the values (y, x, n) of a window tile by tile, each read from all frames."""
    index = checked(frames, index, window)
    image, variance = np.empty(window.shape), np.empty(window.shape)
    coverage = np.empty(window.shape, np.int32)
    tiles = tiles_of(window, len(index))
    for number, tile in enumerate(tiles, start=1):
        stage = what if len(tiles) == 1 else f"{what}, tile {number} of {len(tiles)}"
        made = _reduced_tile(frames, index, tile, reduce, stage, job)
        at = tile.within(window).slices
        image[at], variance[at], coverage[at] = made
    return stack_of(image, coverage, len(index), variance, shifted=is_shifted(frames))


def _reduced_tile(
    frames: Frames,
    index: NDArray[np.intp],
    tile: Window,
    reduce: Callable[[NDArray[np.float32]], Reduced],
    what: str,
    job: Job,
) -> Reduced:
    values = np.empty((*tile.shape, len(index)), np.float32)

    def read(block: slice) -> NDArray[np.float32]:
        return as_float32(frames.read(index[block], tile))

    blocks = blocks_of(len(index), tile.height * tile.width)
    for block, pixels in zip(blocks, map_blocks(read, blocks, what=what, job=job), strict=True):
        values[..., block] = np.moveaxis(pixels, 0, -1)
    rows = blocks_of(tile.height, tile.width * len(index))
    made = map_blocks(lambda row: reduce(values[row]), rows)  # where the values are
    image, variance, coverage = (np.concatenate(parts) for parts in zip(*made, strict=True))
    return image, variance, coverage


def tiles_of(window: Window, n: int, most: int = TILE) -> list[Window]:
    """Cut a window into tiles of at most `most` values over n frames, whole rows if they fit."""
    width = max(1, min(window.width, most // n))
    height = max(1, min(window.height, most // (n * width)))
    return [
        Window(y, x, min(height, window.y1 - y), min(width, window.x1 - x))
        for y in range(window.y0, window.y1, height)
        for x in range(window.x0, window.x1, width)
    ]


def _median(values: NDArray[np.float32]) -> Reduced:
    middle, sigma, seen = _middle_and_sigma(values)
    variance = MEDIAN_LOSS * sigma**2 / np.maximum(seen, 1)
    return middle, np.where(seen > 1, variance, np.nan), seen


def _clipped(values: NDArray[np.float32], clip: float) -> Reduced:
    middle, sigma, seen = _middle_and_sigma(values)
    off = np.abs(values - middle[..., np.newaxis])
    with np.errstate(invalid="ignore"):
        kept = off <= clip * sigma[..., np.newaxis]
    count = kept.sum(axis=-1, dtype=np.int32)
    some = np.maximum(count, 1)
    # sums of what is off the median: small numbers, whose squares do not cancel
    off = np.where(kept, values - middle[..., np.newaxis], 0)
    mean = off.sum(axis=-1) / some
    scatter = np.maximum((off**2).sum(axis=-1) / some - mean**2, 0)
    variance = clipping_loss(clip) * scatter / np.maximum(count - 1, 1)
    variance *= np.where(seen > 2, 1 + few_loss(clip) / np.maximum(seen, 1), 1)
    variance = np.where(count > 1, variance, np.nan)
    return np.where(count > 0, middle + mean, np.nan), variance, count


def clipping_loss(clip: float) -> float:
    """Return the variance of a clipped mean over the scatter of what is kept, by their number.

    Of many normally distributed values, x in sigmas. The bounds are `clip` either side of the
    median; a median that is off by d draws the mean with it by a d, where
    a = 2 clip phi(clip) / p, and p is the part of the values kept. Put together from the
    influence functions of both, it is 1.6 at 2 sigmas, 1.06 at 3 and 1 without clipping.
    """
    from scipy.special import erf

    density = np.exp(-(clip**2) / 2) / np.sqrt(2 * np.pi)
    kept = erf(clip / np.sqrt(2))
    drawn = 2 * clip * density / kept
    size = 2 * (1 / np.sqrt(2 * np.pi) - density)  # mean of |x| over what is kept
    scatter = (kept - 2 * clip * density) / kept**2
    more = drawn**2 * np.pi / 2 + 2 * drawn * np.sqrt(np.pi / 2) * size / kept
    return float(1 + more / scatter)


def few_loss(clip: float) -> float:
    """Return a in 1 + a/n: how much greater the variance of a clipped mean is of n values.

    Of few values the deviation that sets the bounds is itself uncertain. Fitted to simulations
    of normally distributed values with clips of 2 to 5 sigmas: with it the error bar is right to
    5 % from 5 values on, to 13 % of 3.
    """
    return float(2.2 * np.exp(-0.75 * max(clip - 3, 0)))


def _middle_and_sigma(values: NDArray[np.float32]) -> Reduced:
    """Return the median, the robust standard deviation, and the number of finite values."""
    ordered = np.sort(values, axis=-1)  # masked values come last
    seen = np.isfinite(ordered).sum(axis=-1, dtype=np.int32)
    middle = _middle(ordered, seen)
    off = np.abs(ordered - middle[..., np.newaxis])
    sigma = SIGMA_OF_MAD * _middle(np.sort(off, axis=-1), seen)
    even = (sigma == 0) & (seen > 0)
    if even.any():
        sigma[even] = np.nanstd(ordered[even].astype(np.float64), axis=-1)
    return middle, sigma, seen


def _middle(ordered: NDArray[np.floating[Any]], seen: NDArray[np.int32]) -> NDArray[np.float64]:
    low, high = np.maximum(seen - 1, 0) // 2, seen // 2
    high = np.minimum(high, ordered.shape[-1] - 1)
    pair = [np.take_along_axis(ordered, k[..., np.newaxis], axis=-1)[..., 0] for k in (low, high)]
    return (pair[0].astype(np.float64) + pair[1]) / 2


class StackMedian(StackFrames, kind="median"):
    """The median: outliers do not move it, but it has 1.25 times the noise of the mean."""

    def stack(self, given: ToStack) -> Stack:
        """Return the median; see `stack_median`."""
        return stack_median(given.shifted, given.index, given.window, **given.how)


class StackClipped(StackFrames, kind="clipped"):
    """The mean of the values within sigma of the median; not for a star that varies itself."""

    sigma: float = param(
        CLIP, "Values further from the median than this are left out.", "σ", step=0.5, ge=2, le=1000
    )

    def stack(self, given: ToStack) -> Stack:
        """Return the clipped mean; see `stack_clipped`."""
        where = given.shifted, given.index, given.window
        return stack_clipped(*where, sigma=self.sigma, **given.how)
