"""Mean, standard deviation and least light of frames, looked over in bands of the sensor.

What the constants do is measured by ``benchmarks/masks.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.frames import Frames, Subset, as_float32, chain_of
from napari_lucky.frames.reading import empty_frames, spread_over
from napari_lucky.frames.sensor_image import rows_in
from napari_lucky.frames.window import Window
from napari_lucky.pieces import pieces

SAMPLE = 24
"""How many frames, spread over the run, the star is looked for in."""
PARTS, PACKED_PARTS, PART = 8, 2, 1 << 18
"""Bands of a sensor that are looked over side by side, each in all frames: so many, or more of so
many pixels. Of packed frames they are few."""
GROUPS, FEWEST = 3, 9
"""Groups of frames whose least values are averaged, and frames that are needed for that."""


class Look(NamedTuple):
    """What is seen of frames that are looked over: mean, standard deviation, least light."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    low: NDArray[np.float32]


def sample_moments(
    frames: Frames, count: int = SAMPLE, *, job: Job = QUIET
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of whole frames spread over the run.

    Returns
    -------
    mean, deviation : ndarray of float32, (y, x)
        Of up to `count` frames, masked pixels and blank frames left out; NaN where all are.
    """
    some = Subset(frames, spread_over(frames.shape[0], count))
    mean, deviation = _look_over(some, ("mean", "deviation"), job)
    return mean, deviation


def look_over(frames: Frames, *, job: Job = QUIET) -> Look:
    """Look over whole frames.

    Parameters
    ----------
    frames : Frames
        (n, y, x) in ADU.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    """
    return Look(*_look_over(frames, Look._fields, job))


def _look_over(frames: Frames, wanted: Sequence[str], job: Job) -> list[NDArray[np.float32]]:
    """Return some of what is seen of whole frames."""
    empty = empty_frames(frames)

    def look(band: slice) -> NDArray[np.float32]:
        seen = look_in(frames, rows_in(frames.shape, band), empty, low="low" in wanted)
        return np.stack([getattr(seen, name) for name in wanted])

    whole = [np.empty(frames.shape[1:], np.float32) for _ in wanted]
    bands = deep_bands(frames)
    done = map_blocks(look, bands, job=job, what="looking over the run")
    for band, parts in zip(bands, done, strict=True):
        for image, rows in zip(whole, parts, strict=True):
            image[band] = rows
    return whole


def deep_bands(frames: Frames) -> list[slice]:
    """Cut a sensor, (n, y, x), into bands of rows in each of which all frames are read.

    Few if frames are unpacked from their first row on every time.
    """
    _, ny, nx = frames.shape
    if is_packed_run(frames):
        return pieces(ny, -(-ny // PACKED_PARTS))
    return pieces(ny, min(-(-ny // PARTS), max(PART // nx, 1)))


def is_packed_run(frames: Frames) -> bool:
    """Return whether a frame is unpacked from its first row on whenever rows of it are read."""
    source = list(chain_of(frames))[-1]
    return any(getattr(image, "packed", False) for image in getattr(source, "images", ())[:1])


def look_in(frames: Frames, window: Window, empty: NDArray[np.bool_], *, low: bool = True) -> Look:
    """Look over frames in a window.

    The least light is the mean of the least values of each third of the frames: of a star that
    moves, or of speckles, little is left, but all of a hot pixel. NaN of very few frames.

    Parameters
    ----------
    frames : Frames
        (n, y, x) in ADU.
    window : Window
    empty : ndarray of bool, (n,)
        Which are blank, and left out; see `empty_frames`.
    low : bool
        Whether the least light is wanted; else it is NaN.
    """
    least = np.full((GROUPS if low else 0, *window.shape), np.inf, np.float32)
    good = np.zeros(window.shape, np.int32)
    total, squares = np.zeros(window.shape), np.zeros(window.shape)
    for number, k in enumerate(np.flatnonzero(~empty)):
        image = as_float32(frames.read(np.array([k]), window))[0]
        if low:
            np.fmin(least[number % GROUPS], image, out=least[number % GROUPS])
        has = np.isfinite(image)
        good += has
        value = image.astype(np.float64)
        if not has.all():
            value[~has] = 0
        total += value
        squares += np.square(value, out=value)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / good
        variance = np.maximum(squares / good - mean**2, 0)
        dark = np.where(good >= FEWEST, least.mean(axis=0), np.nan) if low else mean * np.nan
    return Look(as_float32(mean), as_float32(np.sqrt(variance)), as_float32(dark))
