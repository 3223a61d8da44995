"""Hot and dead pixels, and what stands still on the sensor.

What the constants do is measured by ``benchmarks/masks.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from napari_lucky.calibration.hot_in_star import mask_in_star
from napari_lucky.calibration.moments import SAMPLE, Look, look_in, look_over
from napari_lucky.execution.blocks import map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import ImageLike, as_image
from napari_lucky.frames.frames import Frames, Index, Subset, as_float32
from napari_lucky.frames.reading import empty_frames, spread_over
from napari_lucky.frames.sensor_image import (
    BAND,
    BitMask,
    SensorImage,
    bands_of,
    is_large,
    median_of,
    rows_in,
    rows_of,
)
from napari_lucky.frames.window import Window
from napari_lucky.imaging.robust_sigma import robust_sigma
from napari_lucky.pieces import pieces

HOT_SIGMA = 8.0
"""A pixel of the dark this many sigmas above its neighbours' median is hot."""
SIDE = 5
"""Side in pixels of the square of neighbours that a pixel of the dark is compared with."""
BLOCK = 8
"""Side in pixels of blocks, of each of which the least pixel is looked at first."""
SAMPLED = 1 << 15
"""Pixels, at least, whose differences from their neighbours give the usual one."""


def hot_pixels(dark: ImageLike, sigma: float = HOT_SIGMA) -> NDArray[np.bool_]:
    """Find the pixels of a dark that stand out from their neighbours.

    Parameters
    ----------
    dark : array, (y, x), or path
        Combined dark in ADU.
    sigma : float
        Threshold above the median of the 5 x 5 neighbours, in standard deviations of such
        differences (from their median absolute deviation, which outliers do not move), taken
        on a lattice of at least 32,768 pixels of the dark.

    Returns
    -------
    ndarray of bool, (y, x)
        True where hot, or not finite.
    """
    dark = as_image(dark, "dark")
    return np.asarray(hot_in(dark, sigma))


def hot_in(dark: SensorImage, sigma: float = HOT_SIGMA) -> BitMask:
    """Find the hot pixels of a dark as `hot_pixels` does; a large sensor's in bands of rows."""
    usual = None
    if not all(np.isfinite(rows).all() for rows in rows_of(dark)):
        usual = np.nan_to_num(median_of(lambda: rows_of(dark)))
    spread = _spread_of_excess(dark, usual)
    found = BitMask(dark.shape)
    for band, top, filled, bad in _parts_of(dark, usual):
        inside = slice(band.start - top, band.stop - top)
        least = _least_nearby(filled)
        least += sigma * spread
        high = filled > least
        high[: inside.start] = high[inside.stop :] = False
        candidates = np.flatnonzero(high)
        excess = filled.ravel()[candidates] - _local_medians(filled, candidates)
        bad.ravel()[candidates[excess > sigma * spread]] = True
        found.set_rows(band, bad[inside])
    return found


def _parts_of(
    dark: SensorImage, usual: float | None
) -> Iterator[tuple[slice, int, NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield the bands of a dark, each with the rows that its first and last are compared with.

    Each comes as its rows, the first row of its pixels, the pixels with `usual` where they are not
    finite, and where that is.
    """
    for band in bands_of(dark.shape):
        top = max(band.start - SIDE // 2, 0)
        rows = slice(top, min(band.stop + SIDE // 2, dark.shape[0]))
        pixels = np.asarray(dark[rows, :], np.float64)
        bad = ~np.isfinite(pixels)
        yield band, top, pixels if usual is None else np.where(bad, usual, pixels), bad


def _spread_of_excess(dark: SensorImage, usual: float | None) -> float:
    """Return the usual difference of a pixel from its neighbours' median, from a lattice."""
    step = _lattice_step(dark.shape)
    parts = []
    for band, top, filled, bad in _parts_of(dark, usual):
        lattice = np.zeros(filled.shape, bool)
        first = band.start + -band.start % step
        lattice[first - top : band.stop - top : step, ::step] = True
        places = np.flatnonzero(lattice & ~bad)
        parts.append(filled.ravel()[places] - _local_medians(filled, places))
    excess = np.concatenate(parts)
    if len(excess) == 0:
        return 1.0
    spread = float(robust_sigma(excess))
    if spread > 0:
        return spread
    # a dark of whole numbers, nearly all of them equal to their neighbours
    small = excess[np.abs(excess) <= 1]
    return (float(np.std(small)) if len(small) else 0.0) or 1.0


def _lattice_step(shape: tuple[int, ...]) -> int:
    """Return the step in pixels of a lattice of at least `SAMPLED`."""
    step = max(int(np.sqrt(shape[0] * shape[1] / SAMPLED)), 1)
    return step - (step > 1 and step % 2 == 0)  # an odd one sees odd and even columns alike


def _local_medians(
    image: NDArray[np.floating[Any]], places: NDArray[np.intp], chunk: int = 1 << 16
) -> NDArray[np.floating[Any]]:
    """Return the median of the 5 x 5 pixels around each place of the flattened image.

    Of all places this takes a quarter of the time of `scipy.ndimage.median_filter`.
    """
    out = np.empty(len(places), image.dtype)
    if len(places) == 0:
        return out
    near = np.arange(SIDE) - SIDE // 2
    for start in range(0, len(places), chunk):
        y, x = np.divmod(places[start : start + chunk], image.shape[1])
        rows, columns = _mirrored((y, x), near, image.shape)
        around = image[rows[:, :, None], columns[:, None, :]].reshape(len(y), -1)
        out[start : start + chunk] = np.partition(around, SIDE**2 // 2, axis=1)[:, SIDE**2 // 2]
    return out


def _candidates(
    image: NDArray[np.float32], deviation: NDArray[np.float32], floor: float
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the places of a flattened image that may be hot, and by how much each must stand out.

    That is a floor, or three times what it varies. In bands of rows, in little memory.
    """
    ny, nx = image.shape
    found = []
    for rows in pieces(ny, max(BAND // nx // BLOCK, 1) * BLOCK):
        first = max(rows.start - BLOCK, 0)
        nearby = _least_nearby(image[first : rows.stop + BLOCK])
        least = np.maximum(floor, np.nan_to_num(3 * deviation[rows], nan=np.inf))
        some = np.flatnonzero(image[rows] > nearby[rows.start - first :][: len(least)] + least)
        found.append((some + rows.start * nx, least.ravel()[some]))
    places, least = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return places, least


def _least_nearby(image: NDArray[Any], block: int = BLOCK) -> NDArray[Any]:
    """Return for each pixel a value that no pixel of the 5 x 5 around it is under.

    The least of the blocks that touch its own: where a pixel is not over that by a threshold, it
    is not over the median either, which then need not be sought.
    """
    ny, nx = image.shape
    if ny % block or nx % block:
        image = np.pad(image, ((0, -ny % block), (0, -nx % block)), mode="edge")
    least = image.reshape(-(-ny // block), block, -(-nx // block), block).min(axis=(1, 3))
    for axis in (0, 1):
        first, last = ([slice(None)] * 2 for _ in range(2))
        first[axis], last[axis] = slice(1, None), slice(None, -1)
        before = least.copy()
        lower, upper = least[tuple(first)], least[tuple(last)]
        np.minimum(lower, before[tuple(last)], out=lower)
        np.minimum(upper, before[tuple(first)], out=upper)
    return least.repeat(block, axis=0).repeat(block, axis=1)[:ny, :nx]


AROUND = 3
"""Rows around a band that decide on its first and last."""
GROUP = 3
"""Hot pixels that touch each other, at most: four in a square may be a small star."""
FALL = 0.7
"""Beyond a group the light falls by this part of the rise; along a ring of a star's it does not."""
VARIES = 0.3
"""Light that varies by less than this part of a pixel's rise may be a small star that stands."""
FAINT = 0.2
"""What rises to less than this part of the star's mean does not draw the tracking off."""
LEAST_BESIDE = 0.05
"""A pixel is not alone if the mean of the four beside it rises to this part of its own rise: even
a star of a pixel per lambda/D has more there."""


def lone_pixels(
    mean: NDArray[np.float32], deviation: NDArray[np.float32], sigma: float = HOT_SIGMA
) -> NDArray[np.bool_]:
    """Find hot pixels in the run itself: bright, up to three together, and steady, as no star is.

    A pixel counts if it is many sigmas above the median of its 5 x 5 neighbours, the brightest
    of the eight around it rises to less than a quarter as much, and the rise is over three
    times what it varies from frame to frame, where speckles come and go. Two or three that touch
    count if this holds for each of them but for the others, as long as light falls all around.

    Parameters
    ----------
    mean, deviation : ndarray, (y, x)
        From `sample_moments`.
    sigma : float
        Threshold in standard deviations of such differences, taken on a lattice as by
        `hot_pixels`.
    """
    if not np.isfinite(mean).any():
        return np.zeros(mean.shape, bool)
    good = np.isfinite(mean)
    filled = mean if good.all() else np.where(good, mean, np.nanmedian(mean))
    spread = float(robust_sigma(_excess_on_lattice(filled)))
    candidates, least = _candidates(filled, deviation, sigma * spread)
    own = filled.ravel()[candidates] - _local_medians(filled, candidates)
    bright = candidates[(own > 0) & (own > least)]
    y, x = np.divmod(bright, mean.shape[1])
    around = _excess_around(filled, y, x)
    own = around[:, 4]
    rises = np.delete(around, 4, axis=1) >= 0.25 * own[:, None]
    light = np.delete(_squares(filled)[y, x].reshape(-1, 9), 4, axis=1)
    rises |= light >= (filled[y, x] - FALL * own)[:, None]
    beside = np.sort(around[:, 1::2], axis=1).cumsum(axis=1) / np.arange(1, 5)
    dark = beside < (LEAST_BESIDE * own + spread)[:, None]
    found = np.zeros(mean.shape, bool)
    for size in range(1, GROUP + 1):
        members = np.zeros(mean.shape, bool)
        members[y, x] = (rises.sum(axis=1) < size) & dark[:, 4 - size]
        others = np.delete(_squares(members)[y, x].reshape(-1, 9), 4, axis=1)
        members[y, x] &= ~(rises & ~others).any(axis=1)
        found[members] |= _touching(members) == size
    return found


def steady_pixels(
    look: Look, lone: NDArray[np.bool_], sigma: float = HOT_SIGMA
) -> NDArray[np.bool_]:
    """Find hot pixels in light that varies, as `lone_pixels` does, but in the least light.

    So they are found close to a star too, where they stand out of its mean by less than it varies.
    Where light does not vary the mean decides, and what is faint beside the star does not matter.

    Parameters
    ----------
    look : Look
        From the frames.
    lone : ndarray of bool, (y, x)
        What `lone_pixels` finds in the mean.
    sigma : float
        As for that.
    """
    found = lone_pixels(look.low, as_float32(look.deviation / 3), sigma)
    y, x = np.nonzero(found)
    if len(y) == 0:
        return found
    rise = look.low[y, x] - np.nanmedian(look.low)
    varies = _squares(look.deviation)[y, x].max(axis=(1, 2)) > VARIES * rise
    star = np.nanmax(np.where(lone | found, np.nan, look.mean)) - np.nanmedian(look.mean)
    found[y, x] = varies & (rise > FAINT * star)
    return found


def _excess_on_lattice(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far some pixels, spread over an image, are over their neighbours' median."""
    step, (ny, nx) = _lattice_step(image.shape), image.shape
    lattice = np.add.outer(np.arange(0, ny, step) * nx, np.arange(0, nx, step)).ravel()
    return np.asarray(image.ravel()[lattice] - _local_medians(image, lattice))


def _excess_around(
    image: NDArray[np.float32], y: NDArray[np.intp], x: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return how far the 3 x 3 pixels around each place are over their neighbours' median, (k, 9).

    Beyond the edge they are mirrored there, as by `_squares`.
    """
    rows, columns = _mirrored((y, x), np.array([-1, 0, 1]), image.shape)
    places = (rows[:, :, None] * image.shape[1] + columns[:, None, :]).reshape(-1, 9)
    some, which = np.unique(places, return_inverse=True)
    excess = image.ravel()[some] - _local_medians(image, some)
    return np.asarray(excess[which].reshape(places.shape))


def _mirrored(
    places: tuple[NDArray[np.intp], NDArray[np.intp]],
    near: NDArray[np.intp],
    shape: tuple[int, ...],
) -> list[NDArray[np.intp]]:
    """Return the rows and the columns near places (y, x), mirrored at the edges, (k, n) each."""
    made = []
    for at, side in zip(places, shape, strict=True):
        twice = max(2 * side - 2, 1)
        index = (at[:, None] + near) % twice
        made.append(np.minimum(index, twice - index))
    return made


def _touching(members: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return how many members, (y, x), the group of each member has, corners counted as touch."""
    y, x = np.nonzero(members)
    wide = members.shape[1] + 2  # nothing touches around the edge
    places, own = y * wide + x, np.arange(len(y))
    near = places[:, None] + np.add.outer([-wide, 0, wide], [-1, 0, 1]).ravel()
    at = np.searchsorted(places, near).clip(max=len(y) - 1)
    at = np.where(places[at] == near, at, own[:, None])
    group = own
    while ((highest := group[at].max(axis=1)) > group).any():
        group = highest
    return np.bincount(group)[group]


def _squares(image: NDArray[Any]) -> NDArray[Any]:
    """Return the 3 x 3 pixels around each pixel, (y, x, 3, 3)."""
    return sliding_window_view(np.pad(image, 1, mode="reflect"), (3, 3))


def standing_pixels(frames: Frames, sigma: float = HOT_SIGMA, *, job: Job = QUIET) -> BitMask:
    """Find the hot pixels of a run without a dark, (y, x).

    See `lone_pixels` and `steady_pixels`, and for those beside a star's middle
    `napari_lucky.calibration.hot_in_star`. Sensors of over 8 million pixels are looked over in
    bands of rows, each with the spread of its own pixels, and without the last of these: memory
    then does not grow with them.
    """
    n, ny, _ = frames.shape
    some = Subset(frames, spread_over(n, SAMPLE))

    def hot(look: Look) -> NDArray[np.bool_]:
        lone = lone_pixels(look.mean, look.deviation, sigma)
        return lone | steady_pixels(look, lone, sigma)

    if not is_large(frames.shape):
        seen = look_over(some, job=job)
        found = hot(seen)
        mask_in_star(some, seen.mean, found)
        return BitMask.of(found)
    bands = bands_of(frames.shape)
    empty = empty_frames(some)

    def look(band: slice) -> NDArray[np.bool_]:
        first, last = max(band.start - AROUND, 0), min(band.stop + AROUND, ny)
        bad = hot(look_in(some, rows_in(some.shape, slice(first, last)), empty))
        return bad[band.start - first : band.stop - first]

    what = "looking for hot pixels"
    done = map_blocks(look, bands, job=job, what=what)
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
