"""Spectra of frames in a window whose edges are tapered, so that nothing wraps around.

What the constants do is measured by ``benchmarks/stacking.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import blocks_of
from napari_lucky.execution.job import Job
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window
from napari_lucky.imaging.convolution import correlate
from napari_lucky.imaging.inpainting import fill_each
from napari_lucky.stacking.mean import stack_mean

SMOOTH = 2.0
"""Full width at half maximum, in 1/window, of the amplitudes' smoothing before they are ranked."""
SAMPLE = 64
"""Frames, spread over the run, whose mean fills holes and gives the background."""


@dataclass(frozen=True, eq=False)
class PaddedWindow:
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
    ) -> PaddedWindow:
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
            pixels = self._filled(pixels)
        rows, columns = Window(*self.at, *self.window.shape).slices
        np.subtract(pixels, np.float32(self.background), out=light[:, rows, columns])
        light *= self.taper
        return np.asarray(scipy.fft.rfft2(light)).reshape(len(light), -1)

    def _filled(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return frames with what is around their holes, or the mean, in them."""
        filled = fill_each(pixels)
        return np.where(np.isfinite(filled), filled, self.mean)

    def amplitudes(self, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return the amplitudes of spectra, smoothed over two frequencies, (k, frequency)."""
        half = np.abs(spectra)
        down, across = self._weights
        shape = self.shape[0] + len(down) - 1, self.shape[1] // 2 + len(across)
        whole = half.take(self._around, axis=1).reshape(len(half), *shape)
        return correlate(whole, down, across).reshape(len(half), -1)

    @cached_property
    def _weights(self) -> list[NDArray[np.float64]]:
        """By which amplitudes are smoothed, down and across."""
        weights = []
        for side, part in zip(self.shape, self.inner, strict=True):
            sigma = SMOOTH / 2.355 * side / (part.stop - part.start)
            reach = int(4 * sigma + 0.5)
            weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
            weights.append(weight / weight.sum())
        return weights

    @cached_property
    def _around(self) -> NDArray[np.intp]:
        """Where the amplitudes of a half plane and of what is around it are in a half plane."""
        (ny, nx), columns = self.shape, self.shape[1] // 2 + 1
        down, across = (len(weight) // 2 for weight in self._weights)
        x = np.arange(-across, columns + across) % nx
        mirrored = x > nx // 2  # there |F(−k)| = |F(k)|
        y = np.arange(-down, ny + down)[:, np.newaxis]
        rows = np.where(mirrored, -y, y) % ny
        return (rows * columns + np.where(mirrored, nx - x, x)).ravel()

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
