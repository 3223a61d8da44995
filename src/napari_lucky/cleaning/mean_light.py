"""The mean light of a run: where there is no flat, dust is found on it.

What the constants do is measured by ``benchmarks/masks.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.moments import deep_bands, look_in
from napari_lucky.execution.blocks import map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Frames, Subset, as_float32
from napari_lucky.frames.reading import empty_frames, spread_over
from napari_lucky.frames.sensor_image import SensorImage, bands_of, is_large, put_together, rows_in
from napari_lucky.frames.window import Window

Image = NDArray[np.float32]
SAMPLE = 60
"""How many frames, spread over the run, the mean light is taken of."""
CLIP = 4.0
"""Values this many standard deviations off a pixel's mean are no part of the mean light."""
LOOKS = "mean light of the run"


def clipped_mean(frames: FramesLike, count: int = SAMPLE, *, job: Job = QUIET) -> Image:
    """Return the clipped mean of frames spread over a run, to find dust on without a flat.

    Of each pixel's values, those more than 4 standard deviations off their mean, as a cosmic ray
    is, are left out; blank frames too. Each frame is read twice, and memory is a few frames.

    Parameters
    ----------
    frames : Frames, path or array
        Dark taken off, and the flat if there is one; the background left in, since it is the
        light on which shadows are seen.
    count : int
        How many frames at most.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    ndarray of float32, (y, x)
        In ADU; NaN where no frame has a value.
    """
    frames = as_frames(frames)
    return np.asarray(light_of_run(frames, count, job=job))


def light_of_run(frames: Frames, count: int = SAMPLE, *, job: Job = QUIET) -> SensorImage:
    """Return the mean light as `clipped_mean` does; that of a large sensor is not in memory."""
    some = Subset(frames, spread_over(frames.shape[0], max(count, 1)))
    empty = empty_frames(some)
    bands = bands_of(frames.shape) if is_large(frames.shape) else deep_bands(some)

    def mean_in(band: slice) -> Image:
        return _clipped_mean(some, rows_in(some.shape, band), empty)

    return put_together(frames.shape, bands, map_blocks(mean_in, bands, what=LOOKS, job=job))


def _clipped_mean(frames: Frames, window: Window, empty: NDArray[np.bool_]) -> Image:
    mean, deviation, _ = look_in(frames, window, empty, low=False)
    reach = CLIP * deviation + np.abs(mean) * 1e-6  # what equal values differ by, rounded
    total, number = np.zeros(mean.shape), np.zeros(mean.shape, np.int32)
    for k in np.flatnonzero(~empty):
        image = as_float32(frames.read(np.array([k]), window))[0]
        good = np.abs(image - mean) <= reach
        exact = image.astype(np.float64)
        exact[~good] = 0
        total += exact
        number += good
    with np.errstate(invalid="ignore"):
        return as_float32(total / number)
