"""Fourier-lucky: for each spatial frequency the frames that show it best.

What the constants do is measured by ``benchmarks/stacking.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import blocks_of, map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.kept_count import LEAST_KEPT, TOO_FEW, describe_count, kept_of
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.sensor_image import pieces
from napari_lucky.frames.window import Window, WindowLike, as_window
from napari_lucky.imaging.convolution import correlate
from napari_lucky.imaging.inpainting import fill_from_neighbours
from napari_lucky.imaging.shifts import is_shifted
from napari_lucky.notices import info
from napari_lucky.stacking.mean import Stack, checked, stack_mean, stack_of
from napari_lucky.stacking.step import StackFrames, ToStack
from napari_lucky.steps.declaration import param

KEEP = 0.1
SMOOTH = 2.0
"""Full width at half maximum, in 1/window, of the amplitudes' smoothing before they are ranked."""
HELD = 1 << 24
"""Amplitudes held at a time, 64 MB: of more, the least are dropped on the way."""
SPECTRA = 1 << 23
"""Coefficients held at a time, 64 MB: of more, frames are read and transformed twice."""
ABOUT = 256
"""Frames either side of the bound of the choice whose mean counts as the value there, at most."""
SAMPLE = 256
"""Frames, spread over the run, whose mean fills holes and gives the background."""
GROUPS = 15
"""Parts of the run whose scatter gives the variance."""
TOGETHER = 4
"""Blocks of frames whose sums are one result; a sum is as large as several frames."""


def stack_fourier(
    frames: FramesLike,
    index: NDArray[np.intp],
    window: WindowLike,
    *,
    fraction: float = KEEP,
    job: Job = QUIET,
    what: str = "stacking",
) -> Stack:
    """Average for each spatial frequency the frames with the greatest amplitude there.

    After Garrel, Guyon & Baudoz (2012, PASP 124, 861). The amplitudes are smoothed over two
    frequencies for the choice alone. The zero frequency, the flux, is the mean of all frames.
    Around the window an eighth of its side is read too and tapered to the background, so
    that nothing wraps around; with a fraction of 1 the result is the mean of the frames.

    The result is no linear mixture of the frames: it is not for phase diversity, and noise alone
    makes an amplitude greater, so that faint high frequencies are too strong.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated and shifted.
    index : ndarray of int
        Frames to choose from: all, as a rule.
    window : Window or (y, x, size)
        What of them.
    fraction : float
        Of the frames, for each frequency; over 0 to 1. At least 10 frames are used, or all if
        there are fewer.
    job : Job
        Progress, executor, checkpoint; see `Job`. Frames are read and transformed twice, once
        where their spectra fit into memory; the work grows with their number.
    what : str
        What is done, as the progress shows it.

    Returns
    -------
    Stack
        Its variance is from the scatter of fifteen groups of frames, each one's sum of influence
        functions: what its frames make of the means, and of the bound of the choice. In
        simulations the error bar is right to 5 % in the sky and 10 % in the star. Its count is
        that of the frames kept a frequency, its coverage that of the frames with a value in a
        pixel.

    Raises
    ------
    LuckyError
        If there is nothing to stack, the window is not on the sensor, or the fraction is none.
    """
    frames, window = as_frames(frames), as_window(window)
    StackFourier(fraction=fraction)  # raises if it makes no sense
    index = checked(frames, index, window)
    padded = _Padded.around(frames, index, window, what, job)
    choice = _Choice.of(len(index), fraction)
    held: _Held = {} if len(index) * padded.size <= SPECTRA else None
    bounds, coverage = _bounds(frames, index, padded, choice, held, what, job)
    sums = _chosen_sums(frames, index, padded, choice, bounds, held, what, job)
    images = padded.images(sums.means(choice))
    image, parts = images[0] + padded.background, images[1:]
    variance = np.full(window.shape, np.nan)
    if choice.groups > 1:
        variance = (parts**2).sum(axis=0) * choice.groups / (choice.groups - 1)
    covered = coverage > 0
    image, variance = (np.where(covered, pixels, np.nan) for pixels in (image, variance))
    return stack_of(image, coverage, choice.kept, variance, shifted=is_shifted(frames))


_Held = dict[int, NDArray[np.complex64]] | None
"""The spectra of blocks of frames, by their first frame, where all fit into memory."""


def _bounds(
    frames: Frames,
    index: NDArray[np.intp],
    padded: _Padded,
    choice: _Choice,
    held: _Held,
    what: str,
    job: Job,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the amplitudes that decide, (3, frequency), and the coverage; fill `held`."""
    blocks = padded.blocks(len(index))
    bounds = np.empty((3, padded.size), np.float32)
    coverage = np.zeros([part.stop - part.start for part in padded.inner], np.int32)
    step = max(1, HELD // min(len(index), choice.most + choice.most // 4 + 1))
    tiles = pieces(padded.size, step)
    keep = held is not None
    for number, tile in enumerate(tiles, start=1):

        def measure(block: slice, tile: slice = tile) -> tuple[Any, ...]:
            pixels = as_float32(frames.read(index[block], padded.window))
            spectra = padded.spectra(pixels)
            return (
                spectra if keep else None,
                padded.amplitudes(spectra)[:, tile],
                padded.covered(pixels),
            )

        greatest = _Greatest(tile.stop - tile.start, len(index), choice)
        part = "" if len(tiles) == 1 else f" {number} of {len(tiles)}"
        made = map_blocks(measure, blocks, what=f"{what}, amplitudes{part}", job=job)
        for block, (spectra, amplitudes, covered) in zip(blocks, made, strict=True):
            greatest.add(amplitudes)
            if held is not None:
                held[block.start] = spectra
            if number == 1:
                coverage += covered
        bounds[:, tile] = greatest.bounds()
    bounds[1:, 0] = 0  # the flux is the mean of all
    return bounds, coverage


def _chosen_sums(
    frames: Frames,
    index: NDArray[np.intp],
    padded: _Padded,
    choice: _Choice,
    bounds: NDArray[np.float32],
    held: _Held,
    what: str,
    job: Job,
) -> _ChosenSums:
    blocks = padded.blocks(len(index))

    def add(several: slice) -> _ChosenSums:
        sums = _ChosenSums.none(choice, padded.size)
        for block in blocks[several]:
            spectra = (
                padded.spectra(as_float32(frames.read(index[block], padded.window)))
                if held is None
                else held[block.start]
            )
            sums.add(spectra, padded.amplitudes(spectra), bounds, choice.group[block])
        return sums

    total = _ChosenSums.none(choice, padded.size)
    several = pieces(len(blocks), TOGETHER)
    if held is not None:
        job = replace(job, executor=None)  # where the spectra are
    for sums in map_blocks(add, several, what=what, job=job):
        total.merge(sums)
    return total


@dataclass(frozen=True, eq=False)
class _Choice:
    """How many of n frames are averaged at a frequency, and in which groups all are."""

    kept: int
    about: int  # either side of the bound
    group: NDArray[np.intp]

    @classmethod
    def of(cls, n: int, fraction: float) -> _Choice:
        kept = kept_of(fraction, n)
        return cls(kept, max(1, min(kept // 2, ABOUT)), np.arange(n) % min(GROUPS, n))

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max()) + 1

    @property
    def most(self) -> int:
        """How many of the greatest amplitudes decide."""
        return min(len(self.group), self.kept + self.about)

    @property
    def ranks(self) -> tuple[int, int, int]:
        """The first amplitude about the bound, the last that is chosen, the last about the bound.

        Counted from the greatest, which is 0.
        """
        return self.kept - self.about, self.kept - 1, self.most - 1


class _Greatest:
    """The greatest amplitudes at some frequencies, of frames that come one after the other."""

    def __init__(self, frequencies: int, n: int, choice: _Choice) -> None:
        self.choice = choice
        room = min(n, max(choice.most + 1, HELD // frequencies))
        self.below = np.empty((frequencies, room), np.float32)  # minus the amplitudes
        self.filled = 0

    def add(self, amplitudes: NDArray[np.float32]) -> None:
        """Add those of some frames, (k, frequency)."""
        at, k = 0, len(amplitudes)
        while at < k:
            if self.filled == self.below.shape[1]:
                self._order([self.choice.most - 1])
                self.filled = self.choice.most
            some = min(k - at, self.below.shape[1] - self.filled)
            np.negative(
                amplitudes[at : at + some].T, out=self.below[:, self.filled : self.filled + some]
            )
            at, self.filled = at + some, self.filled + some

    def _order(self, ranks: list[int]) -> None:
        filled = self.below[:, : self.filled]
        step = max(1, (1 << 20) // self.filled)
        parts = [slice(at, at + step) for at in range(0, len(filled), step)]
        for _ in map_blocks(lambda part: filled[part].partition(ranks, axis=1), parts):
            pass

    def bounds(self) -> NDArray[np.float32]:
        """Return the amplitudes of the choice's ranks, (3, frequency)."""
        ranks = list(self.choice.ranks)
        self._order(sorted(set(ranks)))
        return -self.below[:, ranks].T


@dataclass(eq=False)
class _ChosenSums:
    """Sums over the frames that are chosen, by group, and over those about the bound."""

    light: NDArray[np.complex128]  # (group, frequency)
    count: NDArray[np.int32]
    at_bound: NDArray[np.complex128]  # (frequency,)
    beside: NDArray[np.int32]

    @classmethod
    def none(cls, choice: _Choice, size: int) -> _ChosenSums:
        shape = choice.groups, size
        return cls(
            np.zeros(shape, complex),
            np.zeros(shape, np.int32),
            np.zeros(size, complex),
            np.zeros(size, np.int32),
        )

    def add(
        self,
        spectra: NDArray[np.complex64],
        amplitudes: NDArray[np.float32],
        bounds: NDArray[np.float32],
        groups: NDArray[np.intp],
    ) -> None:
        """Add frames, (k, frequency), which are in these groups."""
        first, last, end = bounds
        for spectrum, amplitude, group in zip(spectra, amplitudes, groups, strict=True):
            chosen = amplitude >= last
            self.light[group] += spectrum * chosen
            self.count[group] += chosen
            near = np.flatnonzero((amplitude >= end) & (amplitude <= first))
            self.at_bound[near] += spectrum[near]
            self.beside[near] += 1

    def merge(self, other: _ChosenSums) -> None:
        """Add the sums over other frames."""
        for name, total in vars(other).items():
            vars(self)[name] += total

    def means(self, choice: _Choice) -> NDArray[np.complex128]:
        """Return the mean of those chosen, and what each group makes of it, (1 + groups, size).

        A group changes the mean by its own chosen values, and by moving the bound of the choice:
        it is the sum of its frames' influence functions,

            (c − b) / kept if it is chosen, else 0;  plus (b − mean) / n

        where b is the mean of the values about the bound, half as many as are kept either side,
        and 256 at most.
        """
        kept = self.count.sum(axis=0)
        mean = self.light.sum(axis=0) / kept
        bound = self.at_bound / np.maximum(self.beside, 1)
        made = [mean]
        if choice.groups > 1:
            shares = np.bincount(choice.group)[:, np.newaxis] / len(choice.group)
            made.extend((self.light - self.count * bound) / kept + shares * (bound - mean))
        return np.stack(made)


@dataclass(frozen=True, eq=False)
class _Padded:
    """A window with a margin that is tapered to the background, and what fills its holes."""

    window: Window  # with the margin, as far as it is on the sensor
    shape: tuple[int, int]  # of what is transformed
    at: tuple[int, int]  # where `window` begins in it
    inner: tuple[slice, slice]  # where the stack's window is in it
    taper: NDArray[np.float32]
    mean: NDArray[np.float32]  # of a sample of the frames in `window`, without holes
    background: float

    @classmethod
    def around(
        cls, frames: Frames, index: NDArray[np.intp], window: Window, what: str, job: Job
    ) -> _Padded:
        """Choose the margin and average the frames."""
        import scipy.fft

        sides, margins, tapers = [], [], []
        for side in window.shape:
            whole = scipy.fft.next_fast_len(side + 2 * max(8, side // 8), real=True)
            margin = (whole - side) // 2
            ramp = np.sin(np.pi / 2 * (np.arange(margin) + 0.5) / margin) ** 2
            rest = np.linspace(1, 0, whole - side - margin + 2)[1:-1]
            sides.append(whole)
            margins.append(margin)
            tapers.append(np.concatenate([ramp, np.ones(side), np.sin(np.pi / 2 * rest) ** 2]))
        around = Window(window.y0 - margins[0], window.x0 - margins[1], *sides)
        on = around.clipped(frames.shape)
        some = index[spread_over(len(index), SAMPLE)]
        mean = stack_mean(frames, some, on, what=f"{what}, mean", job=job).image
        border = np.concatenate([mean[0], mean[-1], mean[:, 0], mean[:, -1]])
        known = border[np.isfinite(border)]
        background = float(np.median(known)) if len(known) else 0.0
        return cls(
            on,
            (sides[0], sides[1]),
            (on.y0 - around.y0, on.x0 - around.x0),
            Window(margins[0], margins[1], *window.shape).slices,
            as_float32(np.outer(*tapers)),
            np.where(np.isfinite(mean), mean, np.float32(background)),
            background,
        )

    @property
    def size(self) -> int:
        """How many frequencies there are in half a plane."""
        return self.shape[0] * (self.shape[1] // 2 + 1)

    def blocks(self, n: int) -> list[slice]:
        """Return blocks of n frames."""
        return blocks_of(n, self.shape[0] * self.shape[1])

    def spectra(self, pixels: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Return the Fourier transforms of frames, half planes, (k, frequency)."""
        import scipy.fft

        light = np.zeros((len(pixels), *self.shape), np.float32)
        if not np.isfinite(pixels).all():
            pixels = np.array([self._filled(image) for image in pixels])
        rows, columns = Window(*self.at, *self.window.shape).slices
        np.subtract(pixels, np.float32(self.background), out=light[:, rows, columns])
        light *= self.taper
        return np.asarray(scipy.fft.rfft2(light)).reshape(len(light), -1)

    def _filled(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        filled = fill_from_neighbours(image)
        return np.where(np.isfinite(filled), filled, self.mean)

    def amplitudes(self, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return the amplitudes of spectra, smoothed over two frequencies, (k, frequency)."""
        columns = self.shape[1] // 2 + 1
        half = np.abs(spectra).reshape(len(spectra), self.shape[0], columns)
        weights = []
        for side, part in zip(self.shape, self.inner, strict=True):
            sigma = SMOOTH / 2.355 * side / (part.stop - part.start)
            reach = int(4 * sigma + 0.5)
            weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
            weights.append(weight / weight.sum())
        down, across = (len(weight) // 2 for weight in weights)
        # what is beyond the half plane is |F(−k)| = |F(k)|
        x = np.arange(-across, columns + across) % self.shape[1]
        mirrored = x > self.shape[1] // 2
        y = np.arange(-down, self.shape[0] + down) % self.shape[0]
        rows = np.where(mirrored, (-y[:, np.newaxis]) % self.shape[0], y[:, np.newaxis])
        whole = half[:, rows, np.where(mirrored, self.shape[1] - x, x)]
        return correlate(whole, *weights).reshape(len(spectra), -1)

    def covered(self, pixels: NDArray[np.float32]) -> NDArray[np.int32]:
        """Return how many frames have a value in each pixel of the stack's window."""
        rows, columns = self.inner
        part = pixels[
            :,
            rows.start - self.at[0] : rows.stop - self.at[0],
            columns.start - self.at[1] : columns.stop - self.at[1],
        ]
        return np.isfinite(part).sum(axis=0, dtype=np.int32)

    def images(self, spectra: NDArray[np.complex128]) -> NDArray[np.float64]:
        """Return what spectra are of, in the stack's window, without the background."""
        import scipy.fft

        half = spectra.reshape(len(spectra), self.shape[0], self.shape[1] // 2 + 1)
        images = scipy.fft.irfft2(half, s=self.shape)
        return np.asarray(images[(slice(None), *self.inner)])


class StackFourier(StackFrames, kind="fourier"):
    """Fourier-lucky: at each spatial frequency, the frames with the largest amplitude there.

    Garrel, Guyon & Baudoz (2012). It chooses among all frames itself: at each frequency at least
    10, or all if there are fewer; see `stack_fourier`.
    """

    of_all: ClassVar[bool] = True
    fraction: float = param(
        KEEP, "Fraction of all frames that is used at each frequency.", step=0.01, gt=0, le=1
    )

    def describe(self, used: int, frames: int) -> str:
        """Return how many frames are used at each frequency."""
        return f"{describe_count(kept_of(self.fraction, used), frames)} at each frequency"

    def notes(self, used: int, frames: int) -> list[str]:
        """Return a sentence if these are few, or more than was asked for."""
        kept = kept_of(self.fraction, used)
        text = f"Fourier-lucky uses {self.describe(used, frames)}"
        if kept < LEAST_KEPT:
            return [f"{text}: {TOO_FEW}."]
        if kept > self.fraction * used + 0.5:
            asked = f"{100 * self.fraction:.3g} %"
            return [info(f"{text} instead of {asked}: at least {LEAST_KEPT} are used.")]
        return []

    def stack(self, given: ToStack) -> Stack:
        """Return the stack."""
        return stack_fourier(
            given.shifted,
            given.index,
            given.window,
            fraction=self.fraction,
            what=given.what,
            job=given.job,
        )
