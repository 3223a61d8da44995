"""Finding the star when nobody says where it is."""

from __future__ import annotations

import warnings
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bad_pixels import HOT_SIGMA
from .blocks import Progress, map_blocks, silent
from .errors import LuckyError, NoStarError
from .frames import Frames, Index, as_float32, is_empty
from .reading import spread_over
from .sensor_images import BAND, LARGE, BitMask, bands_of, is_large
from .separable import gaussian_weights
from .significance import CLEAR, least_significance, own_sigma
from .spots import smoothed
from .windows import MIN_SIDE, Window

SAMPLE = 24
"""How many frames, spread over the run, the star is looked for in."""
MORE = 120
"""As many if nothing is found in those."""
FEWEST = 4
"""Fewer frames do not tell the noise of a pixel."""
AROUND = 3
"""Rows around a band that tell of its first and last."""
LEAST_BESIDE = 0.05
"""A pixel is not alone if the mean of the four beside it rises to this part of its own rise: even
a star of a pixel per lambda/D has more there."""
BESIDE = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]])
WINDOW_SIDE = 128
"""Side of the window put on the star, in pixels, where the sensor has room for it."""

SCALES = (2.0, 8.0)
"""The star is looked for after smoothing by so many pixels: a spot, or else a cloud of speckles."""


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
    return _moments(frames, chosen, progress, executor)


def _moments(
    frames: Frames,
    chosen: NDArray[np.intp],
    progress: Progress = silent,
    executor: Executor | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of the chosen frames; see `sample_moments`."""

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
    beside = ndimage.correlate(excess, BESIDE, mode="mirror")
    bright = (excess > 0) & (excess > sigma * spread)
    alone = (neighbours < 0.25 * excess) & (beside < LEAST_BESIDE * excess + spread)
    return np.asarray(bright & alone & (excess > 3 * deviation))


def standing_pixels(
    frames: Frames,
    sigma: float = HOT_SIGMA,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> BitMask:
    """Find the hot pixels of a run without a dark, (y, x); see `lone_pixels`.

    Sensors of over 8 million pixels are looked over in bands of rows, each with the spread of its
    own pixels: memory then does not grow with them.
    """
    n, ny, nx = frames.shape
    if not is_large(frames.shape):
        mean, deviation = sample_moments(frames, progress=progress, executor=executor)
        return BitMask.of(lone_pixels(mean, deviation, sigma))
    bands = bands_of(frames.shape)

    def look(band: slice) -> NDArray[np.bool_]:
        first, last = max(band.start - AROUND, 0), min(band.stop + AROUND, ny)
        part = WindowOf(frames, Window(first, 0, last - first, nx))
        bad = lone_pixels(*_moments(part, spread_over(n, SAMPLE)), sigma)
        return bad[band.start - first : band.stop - first]

    what = "looking for hot pixels"
    done = map_blocks(look, bands, progress=progress, what=what, executor=executor)
    bad = BitMask(frames.shape)
    for band, found in zip(bands, done, strict=True):
        bad.set_rows(band, found)
    return bad


@dataclass(frozen=True, eq=False)
class WindowOf:
    """A window of frames, as frames.

    Parameters
    ----------
    frames : Frames
    window : Window
        On the sensor.
    """

    frames: Frames
    window: Window

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows, columns."""
        return (self.frames.shape[0], *self.window.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the frames."""
        return self.frames.dtype

    def read(self, frames: Index, window: Window | None = None) -> NDArray[Any]:
        """Return the frames asked for, (k, y, x), cut to the window."""
        inner = window or Window.whole(self.shape)
        y, x = self.window.y0 + inner.y0, self.window.x0 + inner.x0
        return self.frames.read(frames, Window(y, x, *inner.shape))


@dataclass(frozen=True, eq=False)
class Coarse:
    """Whole frames binned to the mean of `bins` x `bins` pixels, read in bands of rows.

    Parameters
    ----------
    frames : Frames
    bins : int
    """

    frames: Frames
    bins: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows, columns; what is left over at the end is not seen."""
        n, ny, nx = self.frames.shape
        return n, ny // self.bins, nx // self.bins

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32."""
        return np.dtype(np.float32)

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the frames asked for, (k, y, x), binned, cut to the window."""
        inner = window or Window.whole(self.shape)
        index = np.arange(self.shape[0])[frames]
        out = np.empty((len(index), *inner.shape), np.float32)
        rows = max(1, BAND // (inner.width * self.bins**2))
        for k, frame in enumerate(index):
            for y in range(0, inner.height, rows):
                count = min(rows, inner.height - y)
                part = Window(
                    (inner.y0 + y) * self.bins,
                    inner.x0 * self.bins,
                    count * self.bins,
                    inner.width * self.bins,
                )
                pixels = as_float32(self.frames.read(np.array([frame]), part))[0]
                shape = count, self.bins, inner.width, self.bins
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)  # all masked
                    out[k, y : y + count] = np.nanmean(pixels.reshape(shape), axis=(1, 3))
        return out


def find_star(
    frames: Frames,
    side: int = WINDOW_SIDE,
    *,
    scene: bool = False,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> Window:
    """Put a window on the brightest star of a run.

    The mean of frames spread over the run, rid of pixels that stand alone and of its
    large-scale background, and smoothed a little, is brightest at the star. If nothing stands out
    there, as in faint light that turbulence spreads, it is smoothed more.

    Parameters
    ----------
    frames : Frames
        Calibrated or raw.
    side : int
        Side of the window in pixels; less where the sensor is smaller. Near the sensor's edge
        the window is moved inside.
    scene : bool
        Whether a scene, such as the Moon, serves too: for registration by correlation.
    progress, executor
        See `napari_lucky.blocks.map_blocks`.

    Raises
    ------
    LuckyError
        If the frames are too small.
    NoStarError
        If all pixels are equal or masked, or no star stands out: of the noise of the mean, and of
        what else is uneven there, a star being much brighter than all but a few pixels.
    """
    from scipy import ndimage

    ny, nx = frames.shape[1:]
    if min(ny, nx) < MIN_SIDE:
        raise LuckyError(
            f"The frames have {ny} x {nx} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed."
        )
    if is_large(frames.shape):  # looked for in frames that are binned to fewer pixels
        bins = int(np.ceil((ny * nx / (LARGE // 4)) ** 0.5))
        work: dict[str, Any] = {"progress": progress, "executor": executor}
        found = find_star(Coarse(frames, bins), max(MIN_SIDE, side // bins), scene=scene, **work)
        middle = [place * bins + bins // 2 for place in found.centre]
        return Window.centred(middle[0], middle[1], min(side, ny, nx)).moved_inside(frames.shape)
    side = min(side, ny, nx)
    for most in (SAMPLE, MORE):
        count = min(most, frames.shape[0])
        mean, deviation = sample_moments(frames, most, progress=progress, executor=executor)
        if is_empty(mean[np.newaxis])[0]:
            raise NoStarError(
                "No star was found: in the frames looked at, all pixels are equal or masked."
            )
        mean[lone_pixels(mean, deviation)] = np.nan
        level = mean - np.nanmedian(mean)
        noise = float(np.nanmedian(deviation))
        for scale in SCALES:
            image = smoothed(level[np.newaxis], scale, "constant")[0]
            image -= ndimage.uniform_filter(image, size=min(101, ny, nx), mode="nearest")
            if _stands_out(image, scale, noise, count, scene):
                y, x = np.unravel_index(int(np.argmax(image)), image.shape)
                return Window.centred(int(y), int(x), side).moved_inside(frames.shape)
        if count == frames.shape[0]:
            break
    raise NoStarError(
        f"No star was found: nothing stands out of the noise in {count} frames spread over "
        "the run. If there is a faint star, draw or give the focus window around it."
    )


def _stands_out(
    image: NDArray[np.float32], scale: float, noise: float, count: int, scene: bool
) -> bool:
    """Tell whether the brightest place of a smoothed mean is a star's.

    Parameters
    ----------
    image : ndarray of float32, (y, x)
        Background off.
    scale : float
        Standard deviation of its smoothing in pixels.
    noise : float
        Standard deviation of a pixel of one frame, in ADU.
    count : int
        Frames in the mean.
    scene : bool
        Whether the rest of the image is a scene and not noise.
    """
    single = noise * float((gaussian_weights(scale) ** 2).sum())
    least = least_significance(Window.whole(image.shape), scale)
    top = float(image.max() - np.median(image))
    if top <= least * single / np.sqrt(count):
        return False
    clear = count >= FEWEST and scale == SCALES[0] and top > CLEAR * single
    return clear or scene or top > least * own_sigma(image)
