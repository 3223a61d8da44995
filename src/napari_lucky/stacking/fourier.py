"""Fourier-lucky: for each spatial frequency the frames that show it best.

What the constants do is measured by ``benchmarks/stacking.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.kept_count import LEAST_KEPT, TOO_FEW, describe_count, kept_of
from napari_lucky.frames.window import WindowLike, as_window
from napari_lucky.imaging.shifts import is_shifted
from napari_lucky.notices import info
from napari_lucky.pieces import pieces
from napari_lucky.stacking.fourier_choice import Choice, ChosenSums, Greatest
from napari_lucky.stacking.mean import Stack, checked, stack_of
from napari_lucky.stacking.padded_window import PaddedWindow
from napari_lucky.stacking.step import StackFrames, ToStack
from napari_lucky.steps.declaration import param
from napari_lucky.text import percent

KEEP = 0.1
SPECTRA = 1 << 23
"""Coefficients held at a time, 64 MB: the other frames are read and transformed twice."""
LEAST_HELD = 0.6
"""Part of the frames whose spectra must fit, or none are held: fewer are not worth the memory."""
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
        as far as their spectra fit into memory; the work grows with their number.
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
    padded = PaddedWindow.around(frames, index, window, what, job)
    choice = Choice.of(len(index), fraction)
    held: _Held = {}
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


_Held = dict[int, NDArray[np.complex64]]
"""The spectra of the first blocks of frames, by their first frame."""


def _bounds(
    frames: Frames,
    index: NDArray[np.intp],
    padded: PaddedWindow,
    choice: Choice,
    held: _Held,
    what: str,
    job: Job,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the amplitudes that decide, (3, frequency), and the coverage; fill `held`."""
    blocks = padded.blocks(len(index))
    bounds = np.empty((3, padded.size), np.float32)
    coverage = np.zeros([part.stop - part.start for part in padded.inner], np.int32)
    tiles = pieces(padded.size, choice.at_once)
    fitting = SPECTRA // padded.size
    if fitting < LEAST_HELD * len(index):
        fitting = 0
    for number, tile in enumerate(tiles, start=1):

        def measure(block: slice, tile: slice = tile) -> tuple[Any, ...]:
            pixels = as_float32(frames.read(index[block], padded.window))
            spectra = padded.spectra(pixels)
            return (
                spectra if block.stop <= fitting else None,
                padded.amplitudes(spectra)[:, tile],
                padded.covered(pixels),
            )

        greatest = Greatest(tile.stop - tile.start, len(index), choice)
        part = "" if len(tiles) == 1 else f" {number} of {len(tiles)}"
        made = map_blocks(measure, blocks, what=f"{what}, amplitudes{part}", job=job)
        for block, (spectra, amplitudes, covered) in zip(blocks, made, strict=True):
            greatest.add(amplitudes)
            if spectra is not None:
                held[block.start] = spectra
            if number == 1:
                coverage += covered
        bounds[:, tile] = greatest.bounds()
    bounds[1:, 0] = 0  # the flux is the mean of all
    return bounds, coverage


def _chosen_sums(
    frames: Frames,
    index: NDArray[np.intp],
    padded: PaddedWindow,
    choice: Choice,
    bounds: NDArray[np.float32],
    held: _Held,
    what: str,
    job: Job,
) -> ChosenSums:
    blocks = padded.blocks(len(index))

    def read(block: slice) -> NDArray[np.complex64]:
        return padded.spectra(as_float32(frames.read(index[block], padded.window)))

    def sums_of(
        several: slice, spectra_of: Callable[[slice], NDArray[np.complex64]] = read
    ) -> ChosenSums:
        sums = ChosenSums.none(choice, padded.size)
        for block in blocks[several]:
            spectra = spectra_of(block)
            sums.add(spectra, padded.amplitudes(spectra), bounds, choice.group[block])
        return sums

    def sums_of_held(several: slice) -> ChosenSums:
        return sums_of(several, lambda block: held[block.start])

    total = ChosenSums.none(choice, padded.size)
    several = pieces(len(blocks), TOGETHER)
    here = sum(all(block.start in held for block in blocks[some]) for some in several)
    on_threads = replace(job, executor=None)  # where the spectra are
    parts = (sums_of_held, several[:here], on_threads), (sums_of, several[here:], job)
    for function, some, how in parts:
        for sums in map_blocks(function, some, what=what, job=how) if some else ():
            total.merge(sums)
    return total


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
            asked = percent(self.fraction)
            return [info(f"{text} instead of {asked}: at least {LEAST_KEPT} are used.")]
        return []

    def stack(self, given: ToStack) -> Stack:
        """Return the stack."""
        where = given.shifted, given.index, given.window
        return stack_fourier(*where, fraction=self.fraction, **given.how)
