"""Finding the star when nobody says where it is."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.bad_pixels import SAMPLE, lone_pixels, sample_moments
from napari_lucky.errors import LuckyError, NoStarError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Frames, Index, as_float32, is_empty
from napari_lucky.frames.sensor_image import BAND, LARGE, is_large
from napari_lucky.frames.window import MIN_SIDE, Window
from napari_lucky.imaging.convolution import gaussian_weights
from napari_lucky.imaging.significance import CLEAR, least_significance, own_sigma
from napari_lucky.imaging.star_image import smoothed

MORE = 120
"""As many if nothing is found in those."""
FEWEST = 4
"""Fewer frames do not tell the noise of a pixel."""
WINDOW_SIDE = 128
"""Side of the window put on the star, in pixels, where the sensor has room for it."""

SCALES = (2.0, 8.0)
"""The star is looked for after smoothing by so many pixels: a spot, or else a cloud of speckles."""


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
    frames: FramesLike, side: int = WINDOW_SIDE, *, scene: bool = False, job: Job = QUIET
) -> Window:
    """Put a window on the brightest star of a run.

    The mean of frames spread over the run, rid of pixels that stand alone and of its
    large-scale background, and smoothed a little, is brightest at the star. If nothing stands out
    there, as in faint light that turbulence spreads, it is smoothed more.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated or raw.
    side : int
        Side of the window in pixels; less where the sensor is smaller. Near the sensor's edge
        the window is moved inside.
    scene : bool
        Whether a scene, such as the Moon, serves too: for registration by correlation.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Raises
    ------
    LuckyError
        If the frames are too small.
    NoStarError
        If all pixels are equal or masked, or no star stands out: of the noise of the mean, and of
        what else is uneven there, a star being much brighter than all but a few pixels.
    """
    frames = as_frames(frames)
    from scipy import ndimage

    ny, nx = frames.shape[1:]
    if not isinstance(side, (int, np.integer)) or side < MIN_SIDE:
        raise LuckyError(
            f"The window's side is {side!r}; give a whole number of pixels, {MIN_SIDE} or more."
        )
    if min(ny, nx) < MIN_SIDE:
        raise LuckyError(
            f"The frames have {ny} x {nx} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed."
        )
    if is_large(frames.shape):  # looked for in frames that are binned to fewer pixels
        bins = int(np.ceil((ny * nx / (LARGE // 4)) ** 0.5))
        found = find_star(Coarse(frames, bins), max(MIN_SIDE, side // bins), scene=scene, job=job)
        middle = [place * bins + bins // 2 for place in found.centre]
        return Window.centred(middle[0], middle[1], min(side, ny, nx)).moved_inside(frames.shape)
    side = min(side, ny, nx)
    for most in (SAMPLE, MORE):
        count = min(most, frames.shape[0])
        mean, deviation = sample_moments(frames, most, job=job)
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
    """Return whether the brightest place of a smoothed mean is a star's.

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
