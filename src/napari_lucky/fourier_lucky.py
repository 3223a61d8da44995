"""Fourier-lucky: for each spatial frequency the frames that show it best."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Progress, blocks_of, map_blocks, silent
from .errors import LuckyError
from .frames import Frames, as_float32
from .shifting import fill_holes
from .stacking import Stack, checked, stack_mean, stack_of
from .windows import Window

KEEP = 0.1
SMOOTH = 2.0
"""Full width at half maximum, in 1/window, of the amplitudes' smoothing before they are ranked."""
TILE = 1 << 22
"""Coefficients held at a time, 48 MB with their amplitudes: so many a tile of frequencies."""
GROUPS = 15
"""Parts of the run that are left out in turn to learn the variance."""


def stack_fourier(
    frames: Frames,
    index: NDArray[np.intp],
    window: Window,
    fraction: float = KEEP,
    *,
    progress: Progress = silent,
    what: str = "stacking",
    executor: Executor | None = None,
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
    frames : Frames
        Calibrated and shifted.
    index : ndarray of int
        Frames to choose from: all, as a rule.
    window : Window
        What of them.
    fraction : float
        Of the frames, for each frequency; over 0 to 1.
    progress, what, executor
        See `napari_lucky.blocks.map_blocks`. The frames are read once for the mean, and once for
        each tile of frequencies that fits into memory.

    Returns
    -------
    Stack
        Its variance is the jackknife's: the choice is made again with each fifteenth of the
        frames left out. Its count is that of the frames kept a frequency, its coverage that
        of the frames with a value in a pixel.

    Raises
    ------
    LuckyError
        If there is nothing to stack, the window is not on the sensor, or the fraction is none.
    """
    check_fraction(fraction)
    work: dict[str, Any] = {"progress": progress, "executor": executor}
    index = checked(frames, index, window)
    padded = _Padded.around(frames, index, window, what, work)
    choice = _Choice(len(index), fraction)
    rows, columns = padded.shape[0], padded.shape[1] // 2 + 1
    made = np.empty((1 + choice.groups, rows, columns), np.complex128)
    step = max(1, TILE // (len(index) * columns))
    tiles = [slice(y, min(y + step, rows)) for y in range(0, rows, step)]
    for number, tile in enumerate(tiles, start=1):
        told = f"{what}, frequencies {number} of {len(tiles)}"
        made[:, tile] = _means_of(frames, index, padded, tile, choice, {**work, "what": told})
    images = padded.images(made)
    image, without = images[0], images[1:]
    variance = np.full(window.shape, np.nan)
    if choice.groups > 1:
        variance = without.var(axis=0) * (choice.groups - 1)
    covered = padded.coverage > 0
    image, variance = (np.where(covered, pixels, np.nan) for pixels in (image, variance))
    return stack_of(image, padded.coverage, choice.kept, variance)


def _means_of(
    frames: Frames,
    index: NDArray[np.intp],
    padded: _Padded,
    tile: slice,
    choice: _Choice,
    work: dict[str, Any],
) -> NDArray[np.complex128]:
    """Return the means at some rows of frequencies, (1 + groups, y, x)."""
    shape = (tile.stop - tile.start, padded.shape[1] // 2 + 1, len(index))
    spectra, amplitudes = np.empty(shape, np.complex64), np.empty(shape, np.float32)

    def read(block: slice) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        spectrum, amplitude = padded.spectra(frames.read(index[block], padded.window))
        return spectrum[:, tile], amplitude[:, tile]

    blocks = blocks_of(len(index), padded.shape[0] * padded.shape[1])
    for block, made in zip(blocks, map_blocks(read, blocks, **work), strict=True):
        for held, part in zip((spectra, amplitudes), made, strict=True):
            held[..., block] = np.moveaxis(part, 0, -1)
    rows = [slice(y, y + 1) for y in range(shape[0])]
    # where the spectra are
    found = map_blocks(lambda row: choice.means(spectra[row], amplitudes[row]), rows)
    means = np.concatenate(list(found), axis=1)
    if tile.start == 0:
        means[:, 0, 0] = choice.plain_means(spectra[0, 0])
    return means


def check_fraction(fraction: float) -> None:
    """Raise if a fraction of the frames is none.

    Raises
    ------
    LuckyError
        If it is not over 0 to 1.
    """
    if not 0 < fraction <= 1:
        raise LuckyError(
            f"Fourier-lucky keeps a fraction of the frames, over 0 to 1, not {fraction:g}."
        )


class _Choice:
    """Which of n frames are averaged at a frequency, all of them there or a group left out."""

    def __init__(self, n: int, fraction: float) -> None:
        self.groups = min(GROUPS, n)
        self.group = np.arange(n) % self.groups
        self.fraction = fraction
        self.kept = self._of(n)
        self.sizes = np.bincount(self.group)

    def _of(self, n: int) -> int:
        return max(1, round(self.fraction * n))

    def means(
        self, spectra: NDArray[np.complex64], amplitudes: NDArray[np.float32]
    ) -> NDArray[np.complex128]:
        """Return the mean of those with the greatest amplitudes, (1 + groups, y, x), of (y, x, n).

        The first is with all frames, the others are with a group left out.
        """
        n = amplitudes.shape[-1]
        most = min(n, self.kept + int(self.sizes.max()))  # enough whichever group is left out
        best = np.argpartition(-amplitudes, most - 1, axis=-1)[..., :most]
        order = np.argsort(-np.take_along_axis(amplitudes, best, axis=-1), axis=-1)
        best = np.take_along_axis(best, order, axis=-1)
        chosen = np.take_along_axis(spectra, best, axis=-1)
        group = self.group[best]
        means = [chosen[..., : self.kept].mean(axis=-1, dtype=np.complex128)]
        for g in range(self.groups) if self.groups > 1 else ():
            left = group != g
            kept = self._of(n - int(self.sizes[g]))
            used = left & (np.cumsum(left, axis=-1) <= kept)
            means.append(np.where(used, chosen, 0).sum(axis=-1, dtype=np.complex128) / kept)
        return np.stack(means) if self.groups > 1 else np.repeat(means[0][np.newaxis], 2, axis=0)

    def plain_means(self, values: NDArray[np.complex64]) -> NDArray[np.complex128]:
        """Return the mean of n values, and of those without each group."""
        without = [values[self.group != g] for g in range(self.groups)]
        means = [some.mean(dtype=np.complex128) for some in (values, *without) if len(some)]
        return np.array(means + [means[0]] * (1 + self.groups - len(means)))


@dataclass(frozen=True, eq=False)
class _Padded:
    """A window with a margin that is tapered to the background, and what fills its holes."""

    window: Window  # with the margin, as far as it is on the sensor
    shape: tuple[int, int]  # of what is transformed
    at: tuple[int, int]  # where `window` begins in it
    inner: tuple[slice, slice]  # where the stack's window is in it
    taper: NDArray[np.float32]
    mean: NDArray[np.float32]  # of the frames in `window`, without holes
    background: float
    coverage: NDArray[np.int32]  # of the stack's window

    @classmethod
    def around(
        cls,
        frames: Frames,
        index: NDArray[np.intp],
        window: Window,
        what: str,
        work: dict[str, Any],
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
        stack = stack_mean(frames, index, on, what=f"{what}, mean", **work)
        mean = stack.image
        border = np.concatenate([mean[0], mean[-1], mean[:, 0], mean[:, -1]])
        known = border[np.isfinite(border)]
        background = float(np.median(known)) if len(known) else 0.0
        cut = Window(window.y0 - on.y0, window.x0 - on.x0, *window.shape).slices
        return cls(
            on,
            (sides[0], sides[1]),
            (on.y0 - around.y0, on.x0 - around.x0),
            Window(margins[0], margins[1], *window.shape).slices,
            as_float32(np.outer(*tapers)),
            np.where(np.isfinite(mean), mean, np.float32(background)),
            background,
            stack.coverage[cut],
        )

    def spectra(self, pixels: NDArray[Any]) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Return the Fourier transforms of frames, half planes, and their smoothed amplitudes."""
        import scipy.fft
        from scipy import ndimage

        light = np.zeros((len(pixels), *self.shape), np.float32)
        rows, columns = Window(*self.at, *self.window.shape).slices
        for k, image in enumerate(as_float32(pixels)):
            filled = fill_holes(image)
            filled = np.where(np.isfinite(filled), filled, self.mean)
            light[k, rows, columns] = filled - np.float32(self.background)
        spectra = scipy.fft.fft2(light * self.taper)
        width = [side / (part.stop - part.start) for side, part in zip(self.shape, self.inner)]  # noqa: B905
        sigma = (0.0, *(SMOOTH / 2.355 * w for w in width))
        amplitudes = ndimage.gaussian_filter(np.abs(spectra), sigma, mode="wrap")
        half = self.shape[1] // 2 + 1
        return spectra[..., :half], amplitudes[..., :half]

    def images(self, spectra: NDArray[np.complex128]) -> NDArray[np.float64]:
        """Return what spectra are of, in the stack's window."""
        import scipy.fft

        images = scipy.fft.irfft2(spectra, s=self.shape)
        return np.asarray(images[(slice(None), *self.inner)] + self.background)
