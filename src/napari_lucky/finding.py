"""Finding the star when nobody says where it is."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from .bad_pixels import HOT_SIGMA
from .blocks import Progress, map_blocks, silent
from .errors import LuckyError
from .frames import Frames, as_float32, is_empty
from .reading import spread_over
from .spots import smoothed
from .windows import MIN_SIDE, Window

SAMPLE = 24
"""How many frames, spread over the run, the star is looked for in."""
WINDOW_SIDE = 128
"""Side of the window put on the star, in pixels, where the sensor has room for it."""


def sample_moments(
    frames: Frames,
    count: int = SAMPLE,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of whole frames spread over the run.

    Returns
    -------
    mean, deviation : ndarray of float32, (y, x)
        Of up to `count` frames, masked pixels and blank frames left out; NaN where all are.
    """
    chosen = spread_over(frames.shape[0], count)

    def read(block: slice) -> NDArray[np.float32]:
        return as_float32(frames.read(chosen[block]))[0]

    good = np.zeros(frames.shape[1:], np.int32)
    total, squares = np.zeros(frames.shape[1:]), np.zeros(frames.shape[1:])
    ones = [slice(k, k + 1) for k in range(len(chosen))]
    done = map_blocks(read, ones, progress=progress, what="looking over the run", executor=executor)
    for image in done:
        has = np.isfinite(image) & ~is_empty(image[np.newaxis])
        value = np.where(has, image, 0).astype(np.float64)
        good += has
        total += value
        squares += value**2
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / good
        variance = np.maximum(squares / good - mean**2, 0)
    return as_float32(mean), as_float32(np.sqrt(variance))


def lone_pixels(
    mean: NDArray[np.float32], deviation: NDArray[np.float32], sigma: float = HOT_SIGMA
) -> NDArray[np.bool_]:
    """Find hot pixels in the run itself: bright, alone and steady, as no star is.

    A pixel counts if it is many sigmas above the median of its 5 x 5 neighbours, the brightest
    of the eight around it rises to less than a quarter as much, and the rise is over three
    times what it varies from frame to frame, where speckles come and go.

    Parameters
    ----------
    mean, deviation : ndarray, (y, x)
        From `sample_moments`.
    sigma : float
        Threshold in standard deviations of such differences over the sensor.
    """
    from scipy import ndimage

    if not np.isfinite(mean).any():
        return np.zeros(mean.shape, bool)
    filled = np.where(np.isfinite(mean), mean, np.nanmedian(mean))
    excess = filled - ndimage.median_filter(filled, size=5, mode="mirror")
    spread = float(np.median(np.abs(excess))) / 0.6745
    around = np.ones((3, 3), bool)
    around[1, 1] = False
    neighbours = ndimage.maximum_filter(excess, footprint=around, mode="mirror")
    bright = (excess > 0) & (excess > sigma * spread)
    return np.asarray(bright & (neighbours < 0.25 * excess) & (excess > 3 * deviation))


def find_star(
    frames: Frames,
    side: int = WINDOW_SIDE,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> Window:
    """Put a window on the brightest star of a run.

    The mean of frames spread over the run, rid of pixels that stand alone and of its
    large-scale background, and smoothed a little, is brightest at the star.

    Parameters
    ----------
    frames : Frames
        Calibrated or raw.
    side : int
        Side of the window in pixels; less where the sensor is smaller. Near the sensor's edge
        the window is moved inside.
    progress, executor
        See `napari_lucky.blocks.map_blocks`.

    Raises
    ------
    LuckyError
        If the frames are too small, or all their pixels are equal or masked.
    """
    from scipy import ndimage

    ny, nx = frames.shape[1:]
    if min(ny, nx) < MIN_SIDE:
        raise LuckyError(
            f"The frames have {ny} x {nx} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed."
        )
    mean, deviation = sample_moments(frames, progress=progress, executor=executor)
    if is_empty(mean[np.newaxis])[0]:
        raise LuckyError(
            "No star was found: in the frames looked at, all pixels are equal or masked."
        )
    mean[lone_pixels(mean, deviation)] = np.nan
    level = mean - np.nanmedian(mean)
    image = smoothed(level[np.newaxis], 2.0)[0]
    wide = ndimage.uniform_filter(image, size=min(101, ny, nx), mode="nearest")
    y, x = np.unravel_index(int(np.argmax(image - wide)), image.shape)
    side = min(side, ny, nx)
    return Window.centred(int(y), int(x), side).moved_inside(frames.shape)
