"""Dark, flat and bad pixels: masters made from frames, and the lazily calibrated view."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.step import Calibrate, Combine
from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import blocks_of, end_if_abandoned, map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.sensor_image import (
    READ,
    SensorImage,
    bands_of,
    blank_image,
    median_of,
    window_at,
)
from napari_lucky.frames.window import Window
from napari_lucky.imaging.robust_sigma import MAD_OF_SIGMA, median_and_sigma, median_of_frames
from napari_lucky.pieces import pieces

DEAD_BELOW = 0.2
"""A pixel of the flat with less than this fraction of the median response is dead."""


def master(
    frames: FramesLike,
    method: Combine = "mean",
    *,
    clip_sigma: float = 4.0,
    job: Job = QUIET,
    what: str = "master",
) -> NDArray[np.float32]:
    """Combine dark frames, or flat frames, into one.

    Values of a pixel more than `clip_sigma` standard deviations off their median over the
    frames are left out. The standard deviation is the pixel's own, from its median absolute
    deviation, or the usual one of its rows where that is more: a few frames' own deviation is
    unsure, and 0 for whole numbers. It works down the sensor in bands of rows, so that memory
    does not grow with the number of frames.

    Parameters
    ----------
    frames : Frames, path or array
        (n, y, x) in ADU.
    method : {"mean", "median"}
        What is taken of the pixels left over.
    clip_sigma : float
        Clipping threshold in standard deviations; 0 for none.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    what : str
        What is done, as the progress shows it.

    Returns
    -------
    ndarray of float32, (y, x)
        In ADU; NaN where no frame has a value.

    Raises
    ------
    LuckyError
        If `method` is neither, or `clip_sigma` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_lucky as lucky
    >>> darks = np.full((5, 32, 32), 100.0)
    >>> darks[2, 4, 4] = 4000  # a cosmic ray
    >>> float(lucky.master(darks)[4, 4])
    100.0
    """
    frames = as_frames(frames)
    return np.asarray(combined(frames, method, clip_sigma, what=what, job=job))


def combined(
    frames: Frames,
    method: Combine = "mean",
    clip_sigma: float = 4.0,
    *,
    job: Job = QUIET,
    what: str = "master",
) -> SensorImage:
    """Combine frames as `master` does; the result of a large sensor is not in memory."""
    Calibrate(combine=method, clip_sigma=clip_sigma)  # raises if they make no sense
    n, _, nx = frames.shape
    bands = bands_of(frames.shape, n)
    narrow = pieces(nx, max(READ // n, 1))  # a row of very many frames is cut

    def combine(band: slice) -> NDArray[np.float32]:
        windows = [window_at((band, columns), frames.shape) for columns in narrow]
        made = [_combine(_all_frames(frames, part), method, clip_sigma) for part in windows]
        return made[0] if len(made) == 1 else np.concatenate(made, axis=1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a pixel without a value stays NaN
        done = map_blocks(combine, bands, job=job, what=what)
        made = blank_image(frames.shape)
        for band, pixels in zip(bands, done, strict=True):
            made[band] = pixels
        return made


def _all_frames(frames: Frames, window: Window) -> NDArray[np.float32]:
    """Read all frames in a window; the work of a job that was cancelled ends between two reads."""
    n = frames.shape[0]
    block = np.empty((n, *window.shape), np.float32)
    for part in blocks_of(n, window.height * window.width, READ):
        end_if_abandoned()
        block[part] = as_float32(frames.read(part, window))
    return block


def _combine(block: NDArray[np.float32], method: Combine, clip_sigma: float) -> Any:
    if len(block) == 1:
        return block[0]
    if clip_sigma and len(block) > 2:
        middle, own = median_and_sigma(block)
        off = np.abs(block - middle)
        usual = np.nanmedian(np.nanstd(block, axis=0))
        block = np.where(off <= clip_sigma * np.fmax(own, usual), block, np.nan)
    if method == "median":
        return as_float32(median_of_frames(block))
    return as_float32(np.asarray(np.nanmean(block, axis=0, dtype=np.float64)))


def master_flat(
    flat: NDArray[Any], dark: NDArray[Any] | None = None, *, dead_below: float = DEAD_BELOW
) -> NDArray[np.float32]:
    """Normalise a flat to median 1, with dead pixels masked.

    flat_master = (flat − dark) / median(flat − dark)

    Parameters
    ----------
    flat : ndarray, (y, x)
        Combined flat in ADU.
    dark : ndarray, (y, x), optional
        Combined dark of the same exposure in ADU.
    dead_below : float
        Pixels with a response under this are dead: dividing by it would make noise, or infinity.

    Returns
    -------
    ndarray of float32, (y, x)
        Relative response, NaN at dead pixels.

    Raises
    ------
    LuckyError
        If the shapes differ, or the flat is no brighter than the dark, or by less than its
        pixels scatter.
    """
    return np.asarray(normalised(np.asarray(flat), dark, dead_below))


def normalised(flat: SensorImage, dark: SensorImage | None, dead_below: float) -> SensorImage:
    """Normalise a flat as `master_flat` does; the result of a large sensor is not in memory."""
    if dark is not None:
        check_shape(dark.shape, flat.shape, "dark", "flat")

    def light_in(band: slice) -> NDArray[np.float64]:
        if dark is None:
            return np.array(flat[band, :], np.float64)
        return np.asarray(np.subtract(flat[band, :], dark[band, :], dtype=np.float64))

    def off_level(band: slice) -> NDArray[np.float64]:
        off = light_in(band)
        off -= level
        return np.abs(off, out=off)

    bands = bands_of(flat.shape)
    level = median_of(lambda: map(light_in, bands))
    if not level > 0:
        raise LuckyError(
            f"The flat has no light in it: the median of flat − dark is {level:g} ADU. "
            "Check that dark and flat are not swapped, and that the flat is in ADU, not normalised "
            "by another program."
        )
    spread = median_of(lambda: map(off_level, bands)) / MAD_OF_SIGMA
    if dark is not None and level < spread:
        raise LuckyError(
            f"The flat is hardly brighter than the dark: the median of flat − dark is {level:.3g} "
            f"ADU, and its pixels scatter by {spread:.3g} ADU. Check that it is not a dark."
        )
    made = blank_image(flat.shape)
    for band in bands:
        response = light_in(band)
        response /= level
        response[~(response >= dead_below)] = np.nan
        made[band] = response
    return made


def freed_of(dark: SensorImage | None, image: SensorImage) -> SensorImage:
    """Return an image less the dark, if there is one."""
    if dark is None:
        return image
    made = blank_image(image.shape)
    for band in bands_of(image.shape):
        made[band] = as_float32(image[band, :] - dark[band, :])
    return made


def check_shape(given: tuple[int, ...], shape: tuple[int, ...], name: str, of: str) -> None:
    """Raise a `LuckyError` unless an image of a given shape has the (y, x) of something else."""
    if given != shape[-2:]:
        raise LuckyError(
            f"The {name} has {' x '.join(map(str, given))} pixels, the {of} has "
            f"{shape[-2]} x {shape[-1]}; they must come from the same sensor and read-out window."
        )
