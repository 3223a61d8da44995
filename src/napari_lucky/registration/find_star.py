"""Finding the star when nobody says where it is.

What the constants do is measured by ``benchmarks/finding.py``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.bad_pixels import lone_pixels
from napari_lucky.calibration.moments import SAMPLE, sample_moments
from napari_lucky.errors import LuckyError, NoStarError, UsageError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Frames, Index, as_float32, is_empty, numbers_in
from napari_lucky.frames.sensor_image import BAND, LARGE, is_large
from napari_lucky.frames.window import MIN_SIDE, Window
from napari_lucky.imaging.connection import connected_to
from napari_lucky.imaging.convolution import gaussian_weights, running_mean
from napari_lucky.imaging.profiles import ring_medians
from napari_lucky.imaging.significance import CLEAR, least_significance, own_sigma
from napari_lucky.imaging.star_image import smoothed, without_slope
from napari_lucky.pieces import pieces

MORE = 120
"""As many if nothing is found in those."""
FEWEST = 4
"""Fewer frames do not give the noise of a pixel."""
SIDES = 128, 192, 256, 384, 512, 768, 1024
"""Sides that a window put on a star may have, in pixels, where the sensor has room for it."""
WINGS, HALF, AROUND, FLAT = 0.05, 0.5, 3.0, 16
"""A star reaches as far as its mean is over this fraction of the peak; a window, so many times
that to both sides together."""

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
        index = numbers_in(frames, self.shape[0])
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


def side_for(radius: float, shape: tuple[int, ...]) -> int:
    """Return the side of a window with room around light of a radius, in pixels."""
    wanted = next((side for side in SIDES if side >= AROUND * radius), SIDES[-1])
    return min(wanted, *shape[-2:])


def coarse_bins(shape: tuple[int, ...]) -> int:
    """Return into how many pixels a side the frames (n, y, x) are binned to look over them."""
    ny, nx = shape[-2:]
    return int(np.ceil((ny * nx / (LARGE // 4)) ** 0.5)) if is_large(shape) else 1


@dataclass(frozen=True, eq=False)
class MeanOfRun:
    """The mean of frames spread over a run, in which stars are looked for.

    Parameters
    ----------
    pixels : ndarray of float32, (y, x)
        In ADU, NaN where masked or hot.
    noise : float
        Standard deviation of a pixel of one frame, in ADU.
    count : int
        How many frames.
    bins : int
        Pixels of the sensor in a pixel, along each axis.
    """

    pixels: NDArray[np.float32]
    noise: float
    count: int
    bins: int


def mean_of_run(frames: Frames, most: int = SAMPLE, *, job: Job = QUIET) -> MeanOfRun:
    """Return the mean of at most so many frames spread over a run; a large sensor's binned."""
    bins = coarse_bins(frames.shape)
    coarse = Coarse(frames, bins) if bins > 1 else frames
    mean, deviation = sample_moments(coarse, most, job=job)
    if not is_empty(mean[np.newaxis])[0]:
        mean[lone_pixels(mean, deviation)] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all masked
        noise = float(np.nanmedian(deviation))
    return MeanOfRun(mean, noise, min(most, frames.shape[0]), bins)


def find_star(
    frames: FramesLike,
    side: int | None = None,
    *,
    scene: bool = False,
    seen: MeanOfRun | None = None,
    job: Job = QUIET,
) -> Window:
    """Put a window on the brightest star of a run.

    The star is the brightest place in the mean of frames spread over the run, slightly
    smoothed, without pixels that stand alone and the large-scale background. If nothing stands out,
    as with faint light that turbulence spreads, the mean is smoothed more.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated or raw.
    side : int, optional
        Side of the window in pixels; less where the sensor is smaller. Near the sensor's edge
        the window is moved inside. If not given, it depends on how far the star's light reaches in
        the mean, its motion included: 128 as a rule, and up to 1024.
    scene : bool
        Whether to accept a scene too, such as the Moon, for registration by correlation.
    seen : MeanOfRun, optional
        Of the same frames, if it is known.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    Window
        A square around the star.

    Raises
    ------
    LuckyError
        If the frames are too small.
    NoStarError
        If all pixels are equal or masked, or no star stands out: of the noise of the mean, and of
        what else is uneven there, a star being much brighter than all but a few pixels.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> run = lucky.simulate_run(12, (128, 256), d_over_r0=2, focus_size=64, defocus_size=96)
    >>> frames = lucky.calibrate(run.frames, run.dark, run.flat)
    >>> window = lucky.find_star(frames, 64)
    >>> window.height, window.width
    (64, 64)
    """
    frames = as_frames(frames)
    ny, nx = frames.shape[1:]
    if side is not None and (not isinstance(side, (int, np.integer)) or side < MIN_SIDE):
        raise UsageError(
            f"The window's side is {side!r}; give a whole number of pixels, {MIN_SIDE} or more."
        )
    if min(ny, nx) < MIN_SIDE:
        raise LuckyError(
            f"The frames have {ny} x {nx} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed."
        )
    y, x, reach = _place(frames, scene, seen or mean_of_run(frames, job=job), job)
    side = side_for(reach, frames.shape) if side is None else min(side, ny, nx)
    return Window.centred(y, x, side).moved_inside(frames.shape)


def _place(frames: Frames, scene: bool, seen: MeanOfRun, job: Job) -> tuple[int, int, float]:
    """Return where the star is, (y, x), and how far its light reaches, in pixels."""
    if is_empty(seen.pixels[np.newaxis])[0]:
        raise NoStarError(
            "No star was found: in the frames looked at, all pixels are equal or masked."
        )
    level = seen.pixels - np.nanmedian(seen.pixels)
    if not scene:  # at the sensor's edge a slope passes for light
        level = without_slope(level[np.newaxis])[0]
    for scale in SCALES:
        image = smoothed(level[np.newaxis], scale, "constant")[0]
        around = min(101, *image.shape)
        _take_mean_off(image, around)
        if _stands_out(image, scale, seen.noise, seen.count, scene):
            y, x = (int(at) for at in np.unravel_index(int(np.argmax(image)), image.shape))
            reach, bins = _reach(level, image, (y, x)), seen.bins
            return y * bins + bins // 2, x * bins + bins // 2, reach * bins
    if seen.count < min(MORE, frames.shape[0]):
        return _place(frames, scene, mean_of_run(frames, MORE, job=job), job)
    raise NoStarError(
        f"No star was found: nothing stands out of the noise in {seen.count} frames spread over "
        "the run. If there is a faint star, draw or give the focus window around it."
    )


def _take_mean_off(image: NDArray[np.float32], around: int) -> None:
    """Take the mean of the pixels around each one off, (y, x), in a square of such a side."""
    down = running_mean(image, around, 0)
    for rows in pieces(len(down), max(1, BAND // down.shape[1])):
        image[rows] -= running_mean(down[rows], around, 1)


def _reach(level: NDArray[np.float32], image: NDArray[np.float32], at: tuple[int, int]) -> float:
    """Return how far a star's light reaches in a mean (y, x), in pixels.

    As far as its radial profile is over a twentieth of its peak, or half as far as the light at
    half its peak is long, which a star that drifts draws out. `image` is the mean smoothed, with
    the background off, and `at` the star's place.
    """
    box = tuple(slice(max(0, place - SIDES[-1] // 2), place + SIDES[-1] // 2) for place in at)
    y, x = (
        np.arange(part.start, part.start + n) - place
        for part, n, place in zip(box, level[box].shape, at, strict=True)
    )
    radius = np.hypot(y[:, None], x).astype(np.intp)
    seen = np.isfinite(level[box])
    profile = ring_medians(level[box][seen], radius[seen])
    profile = running_mean(profile[np.isfinite(profile)], FLAT // 2, 0)
    top = float(profile[0])
    ahead = np.append(profile[FLAT:], [profile[-1]] * min(FLAT, len(profile)))
    low = profile < top - HALF * (top - float(profile.min()))
    even = low & (profile - ahead < WINGS / 2 * (top - profile))  # the background is reached
    floor = float(ahead[even.argmax()] if even.any() else profile.min())
    wings = int((profile - floor < WINGS * (top - floor)).argmax())
    seed = np.ravel_multi_index(at, image.shape)
    core = connected_to(np.array([seed]), (image > HALF * image[at])[np.newaxis])[0]
    return max(wings, *(np.ptp(places) / 2 + 0.5 for places in np.nonzero(core)))


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
