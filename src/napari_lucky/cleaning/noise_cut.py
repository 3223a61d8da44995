"""A noise cut: what does not rise over the noise in the Fourier transform is taken out.

What the constants do is measured by ``benchmarks/cleaning.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from napari_lucky.cleaning.low_pass import weighted_mean
from napari_lucky.cleaning.step import Applied, CleaningStep, Scene
from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import Index, View, as_float32
from napari_lucky.frames.window import MIN_SIDE, Window
from napari_lucky.imaging.inpainting import places_if_few
from napari_lucky.imaging.robust_sigma import median_of_rows
from napari_lucky.steps.declaration import param

MAX_SIGMA = 10.0
NEAR = np.exp(-0.5 * np.arange(-3, 4) ** 2)
NEAR /= NEAR.sum()
"""Weights of the neighbours that stand in for a masked pixel: a Gaussian of 1 px."""
REACH = len(NEAR) // 2
AT_ONCE = 64
"""Tiles worked on together: 1 MB, which stays in the cache, and little memory for a whole frame."""


@dataclass(frozen=True, eq=False)
class NoiseCut(View):
    """Frames without the Fourier coefficients that are lost in the noise.

    The sensor is covered with tiles that overlap by half; they are at the same pixels whatever
    window is read. Each is multiplied by w = sin(pi (i + 1/2) / tile) along both axes and Fourier
    transformed. Coefficients F with |F|² < sigma² P become 0, and what is transformed back is
    multiplied by w again and added up: w² of overlapping tiles sums to 1, so what is not cut comes
    back as it was. Beyond the sensor's edge the image is mirrored.

    The noise power P of a tile is measured in it: the median of |F|² where |f| > 0.5 cycles/px,
    over ln 2, which is the mean of the exponential distribution that |F|² of noise has. No light
    is there at 2 px per λ/D or more, and photon noise is as white as read noise. Of
    mere noise about the fraction exp(−sigma²) of the coefficients is left. Each tile keeps its
    mean, so that flux is kept, and its waves as long as the tile and longer, so that flux stays
    where it was. The rule is the hard threshold of Donoho & Johnstone (1994, Biometrika 81, 425),
    there for wavelets.

    Masked pixels stay masked; their neighbours stand in for them in the transform. Along the
    sensor's edge a little more noise is left, since mirrored noise is not independent.

    When not to use it. It is not linear: structure fainter than the threshold goes with the noise,
    and of the noise some faint waves are left. So not before photometry of faint companions, a
    wavefront or phase diversity, and not to make up for few frames: averaging more of them loses
    nothing. It needs white noise: not after anything that smooths or shifts by fractions of a
    pixel, and bad pixels must be masked, or they pass for noise.

    Parameters
    ----------
    frames : Frames
        Calibrated or raw, masked pixels NaN.
    sigma : float
        Threshold in units of the noise's rms amplitude, to 10; 0 cuts nothing.
    tile : int
        Side of a tile in pixels, even, at least 8; the sensor's shorter side where that is less.

    Raises
    ------
    LuckyError
        If the threshold or the tile makes no sense.
    """

    sigma: float
    tile: int = 64

    def __post_init__(self) -> None:
        if self.sigma:
            CutNoise(sigma=self.sigma)
        if self.tile < MIN_SIDE or self.tile % 2:
            raise LuckyError(
                f"The noise cut's tile is {self.tile} pixels; it must be even and {MIN_SIDE} or "
                "more."
            )

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the frames asked for with their noise cut, (k, y, x), cut to the window."""
        window = window or Window.whole(self.shape)
        hop = max(min(self.tile, *self.shape[1:]) // 2, 1)
        tiled = _tiled(window, hop)
        block = self._read_mirrored(frames, tiled)
        inner = window.within(tiled).slices
        out = np.empty((len(block), *window.shape), np.float32)
        holes, filled = _filled(block)
        for k, image in enumerate(filled):
            out[k] = _cut_image(image, self.sigma, hop)[inner]
        out[holes[:, *inner]] = np.nan
        return out

    def _read_mirrored(self, frames: Index, tiled: Window) -> NDArray[np.float32]:
        """Read the pixels of tiles, and those around, mirrored beyond the edge."""
        rows = _mirrored(tiled.y0 - REACH, tiled.y1 + REACH, self.shape[1])
        columns = _mirrored(tiled.x0 - REACH, tiled.x1 + REACH, self.shape[2])
        y0, x0 = int(rows.min()), int(columns.min())
        source = Window(y0, x0, int(rows.max()) + 1 - y0, int(columns.max()) + 1 - x0)
        block = as_float32(self.frames.read(frames, source))
        if block.shape[1:] == (len(rows), len(columns)):  # no edge is near
            return block
        return block.take(rows - y0, axis=1).take(columns - x0, axis=2)


def _filled(block: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return frames without `REACH` pixels at the edge: where they are masked, and filled there.

    What deep in a hole has no pixel near stays NaN.
    """
    inner = (slice(None), slice(REACH, -REACH), slice(REACH, -REACH))
    holes, filled = ~np.isfinite(block[inner]), block[inner]
    few = places_if_few(holes)
    if few is None:
        return holes, np.where(holes, weighted_mean(block, NEAR)[inner], filled)
    if len(few[0]):
        near = sliding_window_view(block, (len(NEAR), len(NEAR)), axis=(1, 2))[few]
        weight = np.where(np.isfinite(near), np.outer(NEAR, NEAR), 0)
        total = weight.sum(axis=(1, 2))
        light = (weight * np.where(weight > 0, near, 0)).sum(axis=(1, 2))
        filled = filled.copy()
        filled[few] = np.where(total > 0, light / np.where(total > 0, total, 1), np.nan)
    return holes, filled


def _tiled(window: Window, hop: int) -> Window:
    """Return what is covered by the tiles that a window touches; it may leave the sensor."""
    y0, x0 = window.y0 // hop - 1, window.x0 // hop - 1
    y1, x1 = (window.y1 - 1) // hop + 2, (window.x1 - 1) // hop + 2
    return Window(y0 * hop, x0 * hop, (y1 - y0) * hop, (x1 - x0) * hop)


def _mirrored(start: int, stop: int, side: int) -> NDArray[np.intp]:
    """Return the pixels of an axis that stand for start ... stop, mirrored at both edges."""
    there = np.arange(start, stop) % (2 * side)
    return np.minimum(there, 2 * side - 1 - there)


def _cut_image(image: NDArray[np.float32], sigma: float, hop: int) -> NDArray[np.float32]:
    """Cut the noise of an image of (m + 1) x (n + 1) hops; only its inner hops come out whole."""
    tiles = sliding_window_view(image, (2 * hop, 2 * hop))[::hop, ::hop]
    m, n = tiles.shape[:2]
    out = np.zeros((m + 1, hop, n + 1, hop), np.float32)
    step = max(1, AT_ONCE // n)
    for first in range(0, m, step):
        cut = _cut_tiles(tiles[first : first + step], sigma)
        quarters = cut.reshape(-1, n, 2, hop, 2, hop)
        for a in (0, 1):
            rows = slice(first + a, first + a + len(cut))
            for b in (0, 1):
                out[rows, :, b : b + n] += quarters[:, :, a, :, b].swapaxes(1, 2)
    return out.reshape(image.shape)


def _cut_tiles(tiles: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Cut the noise of tiles (m, n, side, side); return them times w², ready to be added up."""
    from scipy import fft

    side = tiles.shape[-1]
    taper = _taper(side)
    mean = _means(tiles, taper**2)
    rest = (tiles - mean) * taper  # without the mean, whose coefficients leak far along the axes
    if np.isnan(rest).any():  # inside a large hole
        rest = np.nan_to_num(rest, copy=False)
    spectra = fft.rfft2(rest, workers=1)
    spectra *= _is_signal(spectra, sigma) | _coarse(side)
    rest = fft.irfft2(spectra, (side, side), workers=1)
    lost = mean - np.einsum("mnyx,yx->mn", rest, taper)[:, :, None, None] / (taper**2).sum()
    return np.asarray((rest + lost * taper) * taper)


def _means(tiles: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the weighted mean of each tile, (m, n, 1, 1); 0 where it is all masked."""
    total = np.full(tiles.shape[:2], weight.sum(), np.float32)
    holes = np.isnan(tiles)
    if holes.any():
        total -= np.einsum("mnyx,yx->mn", holes, weight)
        tiles = np.where(holes, np.float32(0), tiles)
    sums = np.einsum("mnyx,yx->mn", tiles, weight)
    return np.divide(sums, total, where=total > 0, out=np.zeros_like(sums))[:, :, None, None]


def _is_signal(spectra: NDArray[np.complex64], sigma: float) -> NDArray[np.bool_]:
    """Return which coefficients (..., y, x) of tiles rise over sigma times their tile's noise."""
    power = spectra.real**2 + spectra.imag**2
    corners = power[..., _corners(spectra.shape[-2])]
    noise = median_of_rows(corners) / np.float32(np.log(2))
    return np.asarray(power >= np.float32(sigma**2) * noise[..., None, None])


@lru_cache(maxsize=16)
def _taper(side: int) -> NDArray[np.float32]:
    """Return the window of a tile, (side, side); its square and its neighbours' sum to 1."""
    wave = np.sin(np.pi * (np.arange(side) + 0.5) / side)
    return as_float32(np.outer(wave, wave))


@lru_cache(maxsize=16)
def _coarse(side: int) -> NDArray[np.bool_]:
    """Return which coefficients of a tile's real transform are waves of its length or longer."""
    limit = 1.5 / side  # between once and twice along the tile
    return np.outer(np.abs(np.fft.fftfreq(side)) < limit, np.fft.rfftfreq(side) < limit)


@lru_cache(maxsize=16)
def _corners(side: int) -> NDArray[np.bool_]:
    """Return which coefficients of a tile's real transform have |f| > 0.5 cycles/px."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    return frequency > 0.5


class CutNoise(CleaningStep, table="noise-cut", place=50, optional=True):
    """Remove Fourier coefficients that do not stand out of the noise, tile by tile.

    See `NoiseCut`. Do not use it before measuring a wavefront or the errors of shifts: they need
    the noise unchanged.
    """

    sigma: float = param(
        3.0, "Coefficients below this are removed.", "σ", step=0.5, gt=0, le=MAX_SIGMA
    )

    def apply(self, frames: Any, scene: Scene) -> Applied:
        """Return the frames without these coefficients."""
        cut = NoiseCut(frames, self.sigma)
        return Applied(cut, self, {"tile": cut.tile})
