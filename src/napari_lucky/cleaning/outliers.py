"""Outlier pixels: those that stand alone in a frame, or that flicker over the run.

What the constants do is measured by ``benchmarks/masks.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.moments import is_packed_run
from napari_lucky.cleaning.step import Applied, CleaningStep, Scene
from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import blocks_of, map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.frames import Block, Frames, Index, View, as_float32
from napari_lucky.frames.reading import read_around, spread_over
from napari_lucky.frames.sensor_image import SensorImage, bands_of, blank_image, rows_in
from napari_lucky.frames.window import Window
from napari_lucky.imaging.robust_sigma import median_and_sigma
from napari_lucky.pieces import pieces
from napari_lucky.steps.declaration import param
from napari_lucky.text import percent

MARGIN = 11
"""Pixels around a window that its outliers depend on."""
ROUGH, REST = 0.2437, 1.511
"""Standard deviation of white noise over the means of the measures in `_noise`, measured."""
LONE = 3.3
"""An outlier is so many times as far off as the mean of its four neighbours. The peak of a star
is 2.6 times at most at 2 px per λ/D, and less where it is more."""
LOOK, LOOK_NEAR = 20, 64
"""Frames, spread over the run, whose outliers are counted: whole frames, or windows of them."""
SAMPLE = 64
"""Frames, spread over the run, that show how each pixel usually varies."""
BAND = 1 << 21
"""Pixels of all those frames that are looked at together."""
PACKED_BANDS = 4
"""Bands of them that are read at once from packed files, each of which is unpacked anew for it."""


class Usual(NamedTuple):
    """How each pixel usually stands off its local median: middle and standard deviation, ADU."""

    middle: SensorImage
    deviation: SensorImage


@dataclass(frozen=True, eq=False)
class OutliersRemoved(View):
    """Frames without outlier pixels.

    r = I − M, where M is the median, of rows and then of columns, over 5 x 5 pixels. A pixel is
    an outlier if |r| > sigma N, where N is the noise measured around it (so photon noise
    counts), or if |r − u| > flicker max(N, s), where u is what r usually is in that pixel, and s
    its standard deviation over time. In both cases it must stand alone: |r| > 3.3 |mean r of its
    four neighbours|, which no star does that is sampled as it must be (px per λ/D of 2 or
    more). So lucky frames, which are rare over time, keep their peaks.

    Parameters
    ----------
    frames : Frames
        Calibrated or raw, masked pixels NaN.
    sigma : float, optional
        Threshold in a frame, in standard deviations; None for none.
    flicker : float, optional
        Threshold over time, in standard deviations; None for none.
    usual : Usual, optional
        Of the same frames, from `pixel_statistics`; `flicker` needs it.
    replace : bool
        Whether outliers get the local median M; else they are masked (NaN).
    """

    sigma: float | None = None
    flicker: float | None = None
    usual: Usual | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        for kind, sigma in ((RemoveOutliers, self.sigma), (RemoveFlicker, self.flicker)):
            if sigma is not None:
                kind(sigma=sigma)  # raises if it makes no sense

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the frames asked for, (k, y, x), cut to the window, without outliers."""
        window = window or Window.whole(self.shape)
        block, middle, found = self._look(frames, window)
        return np.where(found, middle if self.replace else np.float32(np.nan), block)

    def found(self, frames: Index, window: Window | None = None) -> NDArray[np.bool_]:
        """Return which pixels of the frames asked for are outliers, (k, y, x)."""
        return self._look(frames, window or Window.whole(self.shape))[2]

    def _look(self, frames: Index, window: Window) -> tuple[Block, Block, NDArray[np.bool_]]:
        around = read_around(self.frames, frames, window, MARGIN)
        # frame by frame, which stay in the processor's cache
        looked = [self._look_at(around[k : k + 1], window) for k in range(len(around))]
        block, middle, found = map(np.concatenate, zip(*looked, strict=True))
        return block, middle, found

    def _look_at(self, around: Block, window: Window) -> tuple[Block, Block, NDArray[np.bool_]]:
        medians = local_median(around)
        rest = around[:, 2:-2, 2:-2] - medians
        noise = _noise(around, rest)
        near, middle, rest = around[:, 10:-10, 10:-10], medians[:, 8:-8, 8:-8], rest[:, 8:-8, 8:-8]
        inside = rest[:, 1:-1, 1:-1]  # the window; the others are a pixel wider
        found = np.zeros(inside.shape, bool)
        if self.sigma is not None:
            found |= np.abs(inside) > self.sigma * noise
        if self.flicker is not None and self.usual is not None:
            usual, deviation = (image[window.slices] for image in self.usual)
            found |= np.abs(inside - usual) > self.flicker * np.maximum(noise, deviation)
        found &= np.abs(inside) > LONE * np.abs(_beside(rest))
        return near[:, 1:-1, 1:-1], middle[:, 1:-1, 1:-1], found


def pixel_statistics(frames: Frames, *, job: Job = QUIET) -> Usual:
    """Measure how each pixel usually stands off its local median.

    It works down the sensor in bands of rows, on up to 64 frames spread over the run.

    Parameters
    ----------
    frames : Frames
        Calibrated or raw, ADU.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    Usual
        Median over the frames and standard deviation (from the median absolute deviation, or
        the usual one of its band where that is more), (y, x) float32 in ADU. Of sensors of over
        8 million pixels they are in temporary files: `numpy.asarray` reads them.

    Raises
    ------
    LuckyError
        If there are fewer than 8 frames.
    """
    n, ny, nx = frames.shape
    if n < 8:
        raise LuckyError(f"Flicker is measured over time: {n} frames are too few, give 8 or more.")
    chosen = spread_over(n, SAMPLE)
    rows = max(1, min(ny, BAND // (len(chosen) * nx)))
    parts = pieces(ny, rows * PACKED_BANDS if is_packed_run(frames) else rows)

    def one(part: slice) -> NDArray[np.float32]:
        around = read_around(frames, chosen, rows_in(frames.shape, part), 2)
        bands = pieces(part.stop - part.start, rows)
        return np.concatenate(
            [_vary(around[:, band.start : band.stop + 4]) for band in bands], axis=1
        )

    what = "how pixels vary"
    done = map_blocks(one, parts, job=job, what=what)
    middle, deviation = blank_image(frames.shape), blank_image(frames.shape)
    for part, made in zip(parts, done, strict=True):
        middle[part], deviation[part] = made
    return Usual(middle, deviation)


def _vary(block: Block) -> NDArray[np.float32]:
    """Return middle and deviation of a band's pixels, (2, y, x); the block is 2 px wider around."""
    rest = block[:, 2:-2, 2:-2].copy()
    for off, image in zip(rest, block, strict=True):
        off -= local_median(image[None])[0]
    rest[np.isnan(rest)] = 0  # masked pixels are no outliers
    middle, deviation = median_and_sigma(rest)
    return as_float32(np.stack([middle, np.maximum(deviation, np.median(deviation))]))


def count_outliers(
    removed: OutliersRemoved,
    windows: list[Window],
    index: NDArray[np.intp] | None = None,
    *,
    job: Job = QUIET,
) -> NDArray[np.intp]:
    """Count the outliers of each frame, or of some, in windows, (n,).

    Parameters
    ----------
    removed : OutliersRemoved
        The view that removes them.
    windows : list of Window
        Where they are counted.
    index : ndarray of int, optional
        Which frames; all if not given.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    ndarray of int, (n,)
        Outliers in each frame.
    """
    index = np.arange(removed.shape[0]) if index is None else index
    total = np.zeros(len(index), np.intp)
    for window in windows:

        def one(block: slice, window: Window = window) -> NDArray[np.intp]:
            return np.asarray(removed.found(index[block], window).sum(axis=(1, 2)))

        blocks = blocks_of(len(index), window.height * window.width)
        what = "counting outliers"
        done = map_blocks(one, blocks, job=job, what=what)
        total += np.concatenate(list(done))
    return total


def local_median(block: Block) -> Block:
    """Return the median over 5 x 5 pixels, of rows and then of columns, (k, y − 4, x − 4).

    Of such medians of medians one or two outliers among the 25 pixels move nothing, and
    they cost a hundredth of a true median. Masked pixels do not count.
    """
    return _median_of_five(_median_of_five(block, 1), 2)


def _median_of_five(image: Block, axis: int, step: int = 1) -> Block:
    """Return the median of each pixel and the four that follow it along an axis, `step` apart.

    All rows are one long array, for which numpy is twice as fast; what runs over the end of a row
    or of a frame is cut off.
    """
    flat = image.ravel()
    hop = step * (image.shape[2] if axis == 1 else 1)
    size = flat.size - 4 * hop
    # no more new arrays than these: fetching memory takes longer than comparing
    low, high = np.fmin(flat[:-hop], flat[hop:]), np.fmax(flat[:-hop], flat[hop:])
    made: Block = np.empty_like(flat)
    least = np.fmax(low[:size], low[2 * hop :][:size], out=made[:size])
    most = np.fmin(high[:size], high[2 * hop :][:size])
    rest = np.fmax(least, most, out=low[:size])
    np.fmin(least, most, out=least)
    np.fmin(rest, flat[4 * hop :], out=rest)
    np.fmax(least, rest, out=least)
    made = made.reshape(image.shape)
    return made[:, : -4 * step] if axis == 1 else made[:, :, : -4 * step]


def _noise(block: Block, rest: Block) -> Block:
    """Return the noise around each pixel, (k, y − 22, x − 22), given what is off its local median.

    The greater of two measures, each a median that an outlier does not move, averaged over
    9 x 9 pixels: of second differences along both axes (Immerkær 1996), into which slopes do not
    enter, and of what is left of the local median, which fine structure makes larger.
    """
    from scipy import ndimage

    across = block[:, :, :-2] - 2 * block[:, :, 1:-1] + block[:, :, 2:]
    rough = np.abs(across[:, :-2] - 2 * across[:, 1:-1] + across[:, 2:])
    rough = _median_of_five(_median_of_five(rough, 1, 3), 2, 3)  # an outlier is in one of five
    fine = local_median(np.abs(rest))[:, 3:-3, 3:-3]
    size = np.nan_to_num(np.fmax(ROUGH * rough, REST * fine))
    mean = np.asarray(ndimage.uniform_filter(size, size=(1, 9, 9)), np.float32)
    return mean[:, 4:-4, 4:-4]


def _beside(rest: Block) -> Block:
    """Return the mean of each pixel's four neighbours, masked ones 0, (k, y − 2, x − 2)."""
    rest = np.nan_to_num(rest)
    across = rest[:, 1:-1, :-2] + rest[:, 1:-1, 2:]
    return as_float32((across + rest[:, :-2, 1:-1] + rest[:, 2:, 1:-1]) / 4)


class RemoveOutliers(CleaningStep, table="outliers", place=40, optional=True):
    """Remove pixels that stand alone in a frame: |I − median around it| > sigma × noise there.

    See `OutliersRemoved`. Below 5 σ good pixels are removed too. A lucky peak is not touched,
    because an outlier must stand alone.
    """

    sigma: float = param(
        6.0, "Threshold, in units of the noise around the pixel.", "σ", step=0.5, ge=2, le=1000
    )
    action: Literal["mask", "replace"] = param(
        "mask", "Mask these pixels, or replace them by the median around them."
    )

    def apply(self, frames: Any, scene: Scene) -> Applied:
        """Return the frames without outliers, and their number."""
        removed = OutliersRemoved(frames, self.sigma, replace=self.action == "replace")
        return Applied(removed, self, note=lambda: _count(removed, scene))


class RemoveFlicker(CleaningStep, table="flicker", place=41, optional=True):
    """Remove pixels that are far from their usual value: |r − median of r| > sigma × its scatter.

    r is a pixel minus the median around it, over the frames of the run; see `OutliersRemoved`. For
    pixels that flash in single frames. Do not use it on runs of fewer than about 30 frames.
    """

    sigma: float = param(
        6.0, "Threshold, in units of the pixel's usual scatter.", "σ", step=0.5, ge=2, le=1000
    )
    action: Literal["mask", "replace"] = param(
        "mask", "Mask these pixels, or replace them by the median around them."
    )

    def apply(self, frames: Any, scene: Scene) -> Applied:
        """Return the frames without such pixels, and their number.

        Outliers removed in the same way just before are found in the same pass.
        """
        replace, sigma = self.action == "replace", None
        if isinstance(frames, OutliersRemoved) and frames.replace == replace:
            frames, sigma = frames.frames, frames.sigma
        usual = pixel_statistics(frames, job=scene.job)
        removed = OutliersRemoved(frames, sigma, self.sigma, usual, replace)
        return Applied(removed, self, note=lambda: _count(removed, scene))


def _count(removed: OutliersRemoved, scene: Scene) -> str:
    """Count outliers in the windows of frames spread over the run, or in whole ones."""
    n, ny, nx = removed.shape
    done = "Replaced" if removed.replace else "Masked"
    stars = scene.stars
    chosen = spread_over(n, LOOK_NEAR if stars else LOOK)
    whole = [rows_in(removed.shape, band) for band in bands_of(removed.shape)]
    count = int(count_outliers(removed, stars or whole, chosen, job=scene.job).sum())
    area = sum(window.height * window.width for window in stars) if stars else ny * nx
    pixels = len(chosen) * area
    looked = "" if stars and len(chosen) == n else " looked at"
    where = f"in {'the windows of ' if stars else ''}{len(chosen)} frames{looked}"
    found = f"{count} outlier pixel{'' if count == 1 else 's'}"
    return f"{done} {found} {where}: {percent(count / pixels, '.2g')}."
