"""Frames averaged into an image, with its variance and coverage.

What the constants do is measured by ``benchmarks/speed.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import blocks_of, end_if_abandoned, map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.window import Window, WindowLike, as_window
from napari_lucky.imaging.shifts import is_shifted
from napari_lucky.imaging.thumbnail import thumbnail
from napari_lucky.pieces import pieces
from napari_lucky.text import counted

FloatArray = NDArray[np.float64]
MANY = 1 << 22
"""Pixels that are summed before sums are handed on, 64 frames of 256 x 256: a copy of this process
takes 2 ms to send those of such a window."""
FEWEST, MOST = 8, 256
"""Frames that are, however large they are, and in the longest runs."""


@dataclass(frozen=True, eq=False)
class Stack:
    """An image made of many frames.

    Parameters
    ----------
    image : ndarray of float32, (y, x)
        Calibrated ADU a frame and pixel of the sensor; NaN where no frame has a value.
    coverage : ndarray of int32 or float32, (y, x)
        How many frames each pixel is made of; of a drizzled stack the sum of their weights.
    count : int
        How many frames were stacked.
    variance : ndarray of float32, (y, x), optional
        Of `image`, in ADU², from the scatter of the frames: an error bar squared. In turbulence
        the scatter is that of the speckles too. Interpolation correlates neighbouring pixels, so
        that the variance of a sum of pixels is not the sum of theirs. NaN where fewer than two
        frames have a value.
    scale : float
        Pixels of the image a pixel of the sensor; 1 but for drizzled stacks.
    shifted : bool
        Whether the frames were shifted onto each other by this program (`Shifted`); if not, this
        is a long exposure.
    """

    image: NDArray[np.float32]
    coverage: NDArray[Any]
    count: int
    variance: NDArray[np.float32] | None = None
    scale: float = 1.0
    shifted: bool = False

    def __repr__(self) -> str:
        kind = "shifted" if self.shifted else "not shifted"
        scale = f", drizzled {self.scale:g}x" if self.scale != 1 else ""
        peak = f"{np.nanmax(self.image):.4g}" if np.isfinite(self.image).any() else "no"
        height, width = self.image.shape
        of = counted(self.count, "frame")
        return f"<Stack of {of}, {kind}: {height} x {width} px{scale}, peak {peak} ADU>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.image, dtype) if copy else np.asarray(self.image, dtype)

    def _repr_html_(self) -> str:
        return thumbnail(self.image, repr(self).strip("<>"))

    def to_ccddata(self) -> Any:
        """Return the stack as `astropy.nddata.CCDData`, in adu.

        Its uncertainty is the variance, its mask is where no frame has a value, and `meta` says
        how many frames there are (NCOMBINE).
        """
        from astropy.nddata import CCDData, VarianceUncertainty

        variance = None if self.variance is None else VarianceUncertainty(self.variance.copy())
        return CCDData(
            self.image.copy(),
            unit="adu",
            uncertainty=variance,
            mask=(self.coverage == 0) | ~np.isfinite(self.image),
            meta={"NCOMBINE": self.count},
        )


class Sums:
    """Running sums of weighted values, for a mean and its variance whatever the number of frames.

    Parameters
    ----------
    shape : tuple of int
        Of the image.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.value, self.weight = np.zeros(shape), np.zeros(shape)
        self.value2, self.both, self.weight2 = (np.zeros(shape) for _ in range(3))

    def add(self, values: NDArray[Any], weights: NDArray[Any]) -> None:
        """Add frames, (k, y, x): their weighted values (0 where masked), and their weights."""
        self.value += values.sum(axis=0, dtype=np.float64)
        self.weight += weights.sum(axis=0, dtype=np.float64)
        self.value2 += np.einsum("kyx,kyx->yx", values, values, dtype=np.float64)
        self.both += np.einsum("kyx,kyx->yx", values, weights, dtype=np.float64)
        self.weight2 += np.einsum("kyx,kyx->yx", weights, weights, dtype=np.float64)

    def merge(self, other: Sums) -> None:
        """Add the sums over other frames."""
        for name, total in vars(other).items():
            vars(self)[name] += total

    def mean(self) -> FloatArray:
        """Return the weighted mean of each pixel; NaN where nothing was added."""
        seen = self.weight > 0
        return np.where(seen, self.value / np.where(seen, self.weight, 1), np.nan)

    def variance(self) -> FloatArray:
        """Return the variance of the mean, from the scatter of the frames around it.

        sum of w²(x − m)² / (sum of w)² * N / (N − 1), where N = (sum of w)² / (sum of w²) frames
        count. It holds whatever the frames' own noise is, and of equal weights it is the sample
        variance over n.
        """
        mean = np.nan_to_num(self.mean())
        scatter = self.value2 - 2 * mean * self.both + mean**2 * self.weight2
        spare = self.weight**2 - self.weight2  # (sum of w)² (N − 1) / N
        some = spare > 1e-9 * self.weight**2
        return np.where(some, np.maximum(scatter, 0) / np.where(some, spare, 1), np.nan)


class EqualSums:
    """Running sums of frames of weight 1 but for their masked pixels: most of `Sums` are equal.

    Parameters
    ----------
    totals : ndarray of float64, (3, y, x)
        Sums of value and value², and in how many frames a pixel was masked.
    count : int
        How many frames were added.
    """

    def __init__(self, totals: FloatArray, count: int = 0) -> None:
        self.totals, self.count = totals, count

    def add(self, pixels: NDArray[np.float32]) -> None:
        """Add frames, (k, y, x), masked pixels NaN."""
        exact = pixels.astype(np.float64, order="C")
        with np.errstate(invalid="ignore"):  # of inf and -inf
            value = exact.sum(axis=0) if len(exact) > 1 else exact[0]
        masked = np.flatnonzero(~np.isfinite(value))  # in some frame at least
        if len(masked):
            flat = exact.reshape(len(exact), -1)
            some = flat[:, masked]
            good = np.isfinite(some)
            some = np.where(good, some, 0)
            flat[:, masked], value.reshape(-1)[masked] = some, some.sum(axis=0)
            self.totals[2].reshape(-1)[masked] += (~good).sum(axis=0)
        self.totals[0] += value
        self.totals[1] += np.einsum("kyx,kyx->yx", exact, exact)
        self.count += len(pixels)

    def merge(self, other: EqualSums) -> None:
        """Add the sums over other frames."""
        self.totals += other.totals
        self.count += other.count

    def sums(self) -> Sums:
        """Return what `Sums` would hold."""
        made = Sums(self.totals.shape[1:])
        made.value = made.both = self.totals[0]
        made.value2 = self.totals[1]
        made.weight = made.weight2 = self.count - self.totals[2]
        return made


def blocks_of_sums(n: int, pixels: int) -> list[slice]:
    """Cut n frames of so many pixels into blocks whose sums, as large as several, are handed on.

    There are 16 of them or more, for as many processors, if the run is not short; in long runs
    they are longer.
    """
    usual = blocks_of(n, pixels, max(MANY, FEWEST * pixels))[0].stop
    step = max(min(usual, max(n // 16, 2 * FEWEST)), min(n // 64, MOST))
    return pieces(n, step)


def stack_mean(
    frames: FramesLike,
    index: Any = None,
    window: WindowLike | None = None,
    *,
    weights: FloatArray | None = None,
    job: Job = QUIET,
    what: str = "stacking",
) -> Stack:
    """Average some frames in a window.

    Frames are averaged as they are. For a lucky stack give `Shifted` frames; those of a run give
    the long exposure, and the stack's `shifted` says so.

    Every pixel is divided by the number of frames that have a value there, so a stack is in
    ADU a frame whatever was kept, and masked pixels are filled by the frames in which the
    shift brought good ones there.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated, and shifted where the stack shall be sharp.
    index : ndarray of int or bool, or slice, optional
        Frames to stack, in any order, or a mask of the run; all if not given.
    window : Window or (y, x, size), optional
        What of them; whole frames if not given.
    weights : ndarray, (n,), optional
        A weight for each frame of the run, positive for those stacked; equal if not given.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    what : str
        What is done, as the progress shows it.

    Returns
    -------
    Stack
        Mean in ADU a frame, with variance (ADU²) and coverage, (y, x).

    Raises
    ------
    LuckyError
        If there is nothing to stack, or the window is not on the sensor.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_lucky as lucky
    >>> frames = np.stack([np.full((32, 32), level) for level in (1.0, 2.0, 6.0)])
    >>> stack = lucky.stack_mean(frames, np.array([0, 1]), (16, 16, 8))
    >>> stack.image.shape, float(stack.image[0, 0])
    ((8, 8), 1.5)
    """
    frames = as_frames(frames)
    window = Window.whole(frames.shape) if window is None else as_window(window)
    index = checked(frames, slice(None) if index is None else index, window)

    pixels = window.height * window.width
    blocks = blocks_of_sums(len(index), pixels)
    if weights is not None:
        return _stack_weighted(frames, index, window, weights, blocks, what, job)

    def add(block: slice) -> EqualSums:
        sums = EqualSums(np.zeros((3, *window.shape)))
        for part in blocks_of(block.stop - block.start, pixels):
            end_if_abandoned()
            sums.add(as_float32(frames.read(index[block][part], window)))
        return sums

    total = EqualSums(np.zeros((3, *window.shape)))
    for some in map_blocks(add, blocks, what=what, job=job):
        total.merge(some)
    sums = total.sums()
    coverage = sums.weight.astype(np.int32)
    shifted = is_shifted(frames)
    return stack_of(sums.mean(), coverage, len(index), sums.variance(), shifted=shifted)


def _stack_weighted(
    frames: Frames,
    index: NDArray[np.intp],
    window: Window,
    weights: FloatArray,
    blocks: list[slice],
    what: str,
    job: Job,
) -> Stack:
    def add(block: slice) -> tuple[Sums, NDArray[np.int32]]:
        sums = Sums(window.shape)
        coverage: NDArray[np.int32] = np.zeros(window.shape, np.int32)
        for part in blocks_of(block.stop - block.start, window.height * window.width):
            some = index[block][part]
            values = as_float32(frames.read(some, window))
            good = np.isfinite(values)
            values, counted = np.where(good, values, np.float32(0)), as_float32(good)
            own = weights[some, np.newaxis, np.newaxis]
            sums.add(values * own, counted * own)
            coverage += good.sum(axis=0, dtype=np.int32)
        return sums, coverage

    sums = Sums(window.shape)
    coverage = np.zeros(window.shape, np.int32)
    for some, good in map_blocks(add, blocks, what=what, job=job):
        sums.merge(some)
        coverage += good
    shifted = is_shifted(frames)
    return stack_of(sums.mean(), coverage, len(index), sums.variance(), shifted=shifted)


def checked(frames: Frames, index: Any, window: Window) -> NDArray[np.intp]:
    """Return the frames to stack in the run's order.

    Raises
    ------
    LuckyError
        If there is nothing to stack, the window is not on the sensor, or a frame is not in the
        run or is given twice.
    """
    window.check_on(frames.shape)
    return frame_index(index, frames.shape[0])


def frame_index(index: Any, n: int) -> NDArray[np.intp]:
    """Return the numbers of frames of n, in order, from a number or several, a slice or a mask.

    Raises
    ------
    LuckyError
        If there is none, or a frame is not in the run or is given twice.
    """
    if isinstance(index, slice):
        index = range(n)[index]
    elif isinstance(index, (set, frozenset)):
        index = list(index)
    given = np.atleast_1d(np.asarray(index))
    if given.dtype == bool:
        if given.shape != (n,):
            raise LuckyError(f"A mask of {given.size} frames does not fit a run of {n}.")
        given = np.flatnonzero(given)
    if given.size == 0:
        raise LuckyError("No frame was chosen; there is nothing to stack.")
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise LuckyError("Frames are chosen by whole numbers, by a slice, or by a mask of the run.")
    numbers, times = np.unique(given, return_counts=True)
    if (beyond := numbers[(numbers < 0) | (numbers >= n)]).size:
        raise LuckyError(f"No frame {beyond[0]}: the run has {n}, 0 to {n - 1}.")
    if (twice := numbers[times > 1]).size:
        raise LuckyError(f"Frame {twice[0]} is given twice; it would be stacked twice.")
    return numbers.astype(np.intp)


def stack_of(
    image: NDArray[Any],
    coverage: NDArray[Any],
    count: int,
    variance: NDArray[Any],
    scale: float = 1.0,
    *,
    shifted: bool,
) -> Stack:
    """Return a stack in the number types that it is kept in."""
    pixels, variance = image.astype(np.float32), variance.astype(np.float32)
    return Stack(pixels, coverage, count, variance, scale, shifted)
