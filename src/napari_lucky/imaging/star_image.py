"""The light of a star in a window: background, smoothing, peaks.

What the constants do is measured by ``benchmarks/registration.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import Block, as_float32, is_empty
from napari_lucky.imaging.convolution import Beyond, gaussian
from napari_lucky.imaging.inpainting import fill_by_kriging
from napari_lucky.imaging.places import places_of
from napari_lucky.imaging.robust_sigma import MAD_OF_SIGMA, median_of_rows

SMOOTH = 2.0
"""Default smoothing before the peak is looked for, in pixels."""
ENOUGH = 400
"""Pixels, of a border, whose median is good enough."""
RIVAL = 3.0
"""Sigmas of their difference; of places that are so nearly alike, noise may decide."""
MOST_SMOOTH = 100.0
"""Pixels; no star is so wide, and a wider kernel only takes long."""


def check_smooth(smooth: float) -> None:
    """Raise a `LuckyError` unless a smoothing in pixels makes sense."""
    if not 0 <= smooth <= MOST_SMOOTH:
        raise LuckyError(f"The smoothing is {smooth} pixels; it must be 0 to {MOST_SMOOTH:g}.")


def background(block: Block) -> NDArray[np.float32]:
    """Return each frame's background: the median of its outermost pixels, (k,), NaN-aware.

    The border is a sixteenth of the shorter side wide; in a window around a star it holds the
    least of the star's light. Of a long one every third pixel, or every fifth … is taken.
    """
    places = _border_places(block.shape[1:])
    return as_float32(_nanmedian(block.reshape(len(block), -1).take(places, axis=1)))


@lru_cache(maxsize=16)
def _border_places(shape: tuple[int, ...]) -> NDArray[np.intp]:
    return _some(np.flatnonzero(border(shape)))


def _some(places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return places spread evenly over those given, a few hundred at least.

    Their median is known to 0.07 of a pixel's noise then. An odd step sees odd and even columns
    alike, which many sensors read by separate amplifiers.
    """
    step = max(1, len(places) // ENOUGH)
    return places[:: step + (step % 2 == 0)].copy()  # a view would hold them all


def border_spread(block: Block) -> NDArray[np.float64]:
    """Return the spread of each frame's outermost pixels about 0, (k,), robustly.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        Background off, without NaN.
    """
    places = _border_places(block.shape[1:])
    edge = np.abs(block.reshape(len(block), -1).take(places, axis=1))
    return np.asarray(median_of_rows(edge) / MAD_OF_SIGMA, np.float64)


def border(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where the border of a window is, (y, x): a sixteenth of its shorter side wide."""
    wide = _border_width(shape)
    edge = np.ones(shape, bool)
    edge[wide:-wide, wide:-wide] = False
    return edge


def _border_width(shape: tuple[int, ...]) -> int:
    return max(1, min(shape) // 16)


def levelled(block: Block) -> Block:
    """Take each frame's background off, and its slope, which stray light has.

    The plane has the border's median in the middle of the window, and the slopes between the
    medians of opposite sides of the border. Without it, the brightest pixel of a faint star is
    one of the window's brightest corner.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        Masked pixels are NaN, and stay so.
    """
    return without_slope(block - background(block)[:, None, None])


def without_slope(block: Block) -> Block:
    """Take off each frame's slopes between the medians of opposite sides of the border."""
    return block - _sloping(block)


def _sloping(block: Block, sigma: float = 0) -> Block:
    """Return planes through 0 with the slopes of each frame, (k, y, x), smoothed."""
    k, ny, nx = block.shape
    wide = _border_width((ny, nx))
    flat = block.reshape(k, -1)
    bottom, top, right, left = (
        _nanmedian(flat.take(side, axis=1)) for side in _side_places((ny, nx))
    )
    down = np.nan_to_num(bottom - top) * np.float32((ny - 1) / max(ny - wide, 1))
    across = np.nan_to_num(right - left) * np.float32((nx - 1) / max(nx - wide, 1))
    if sigma == 0:
        y, x = _lines((ny, nx))
        return np.asarray(down[:, None, None] * y[:, None] + across[:, None, None] * x)
    slopes = np.stack([down, across], axis=1)
    return np.einsum("ks,syx->kyx", slopes, _ramps((ny, nx), sigma))


@lru_cache(maxsize=16)
def _side_places(shape: tuple[int, int]) -> tuple[NDArray[np.intp], ...]:
    """Return some places in each side of the border: bottom, top, right, left."""
    wide = _border_width(shape)
    number = np.arange(shape[0] * shape[1]).reshape(shape)
    sides = (number[-wide:], number[:wide], number[:, -wide:], number[:, :wide])
    return tuple(_some(side.ravel()) for side in sides)


@lru_cache(maxsize=4)
def _ramps(shape: tuple[int, int], sigma: float) -> Block:
    """Return two planes through 0 of slope 1 over their height and their width, smoothed."""
    return gaussian(np.stack(np.meshgrid(*_lines(shape), indexing="ij")), sigma, "constant")


def _lines(shape: tuple[int, int]) -> list[Block]:
    """Return lines of slope 1 over the height and the width of a window."""
    return [np.linspace(-0.5, 0.5, side, dtype=np.float32) for side in shape]


def _nanmedian(values: Block) -> NDArray[np.float32]:
    masked = ~np.isfinite(values)
    if not masked.any():
        return median_of_rows(values)
    if (masked == masked[:1]).all() and not masked[0].all():  # the same pixels in every frame
        return median_of_rows(values[:, ~masked[0]])
    out = np.full(len(values), np.nan, np.float32)
    for k, (row, hole) in enumerate(zip(values, masked, strict=True)):
        if not hole.all():
            out[k] = np.median(row[~hole])
    return out


def smoothed(block: Block, sigma: float, beyond: Beyond = "nearest") -> Block:
    """Smooth each frame with a Gaussian; masked (NaN) pixels have no weight.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        Background already off.
    sigma : float
        Standard deviation in pixels; 0 leaves the pixels as they are, masked ones 0.
    beyond : {"nearest", "constant"}
        What is taken to be beyond the window's edge: its last pixel, whose noise then stays, or
        nothing.
    """
    holes = ~np.isfinite(block)
    if not holes.any():
        return gaussian(block, sigma, beyond)
    made = gaussian(np.where(holes, np.float32(0), block), sigma, beyond)
    if sigma == 0:
        return made
    some = holes.any(axis=(1, 2))  # others stay as they are without these beside them
    alike = (holes == holes[:1]).all()
    weight = gaussian(as_float32(~(holes[:1] if alike else holes[some])), sigma)
    made[some] = np.where(weight > 0.05, made[some] / np.maximum(weight, 0.05), np.float32(0))
    return made


def peaks(block: Block) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Find each frame's brightest point, to a fraction of a pixel, and its value.

    A parabola through the brightest pixel and its two neighbours on each axis gives the
    fraction, at most half a pixel.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        Smoothed frames without NaN.

    Returns
    -------
    points : ndarray of float64, (k, 2)
        (y, x) in pixels of the block.
    values : ndarray of float32, (k,)
        Value of the brightest pixel.
    """
    flat = block.reshape(len(block), -1).argmax(axis=1)
    return tops_at(block, *np.divmod(flat, block.shape[2]))


def tops_at(
    block: Block, y: NDArray[np.intp], x: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return what `peaks` does for the top at a pixel (y, x) of each frame."""
    k, ny, nx = block.shape
    frame = np.arange(k)
    top = block[frame, y, x]
    y_low, y_high = np.maximum(y - 1, 0), np.minimum(y + 1, ny - 1)
    x_low, x_high = np.maximum(x - 1, 0), np.minimum(x + 1, nx - 1)
    dy = _vertex(block[frame, y_low, x], top, block[frame, y_high, x])
    dx = _vertex(block[frame, y, x_low], top, block[frame, y, x_high])
    return np.stack([y + dy, x + dx], axis=1), top


def _vertex(
    low: NDArray[np.float32], top: NDArray[np.float32], high: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return where the parabola through (−1, low), (0, top), (1, high) is highest."""
    slope = np.subtract(low, high, dtype=np.float64)
    bend = np.asarray(low, np.float64) - 2 * np.asarray(top, np.float64) + high
    curved = bend < 0
    return np.where(curved, 0.5 * slope / np.where(curved, bend, -1), 0.0).clip(-0.5, 0.5)


FILL = 2.0
"""Pixels; what is masked so widely that its neighbours say nothing of it is smoothed over."""


@dataclass(frozen=True, eq=False)
class Light:
    """What tracking and ranking both begin with.

    Parameters
    ----------
    pixels : ndarray of float32, (k, y, x)
        Background off, masked pixels filled; 0 far within masked regions.
    excess : ndarray of float32, (1 or k, y, x), or None
        See `napari_lucky.imaging.inpainting.fill_by_kriging`.
    empty : ndarray of bool, (k,)
        Whether all pixels of a frame are equal or masked: it has no light.
    level : ndarray of float32, (k,)
        The background that was taken off, ADU.
    """

    pixels: Block
    excess: NDArray[np.float32] | None
    empty: NDArray[np.bool_]
    level: NDArray[np.float32]
    _under: dict[float, Block] = field(default_factory=dict, init=False, repr=False)

    def smoothed(self, sigma: float) -> Block:
        """Return the pixels smoothed, nothing beyond the edge; kept for who asks again."""
        if sigma not in self._under:
            self._under[sigma] = gaussian(self.pixels, sigma, "constant")
        return self._under[sigma]

    def smoothed_without_slope(self, sigma: float) -> Block:
        """Return what smoothing the pixels `without_slope` gives."""
        return self.smoothed(sigma) - _sloping(self.pixels, sigma)


def light_of(block: Block) -> Light:
    """Return the light in a block of frames, (k, y, x), masked pixels NaN."""
    return light_over(block, background(block), is_empty(block))


def light_over(block: Block, level: NDArray[np.float32], empty: NDArray[np.bool_]) -> Light:
    """Return the light in a block of frames whose background (k,) and emptiness are known."""
    pixels, excess = fill_by_kriging(block - level[:, None, None])
    if excess is not None and (deep := ~np.isfinite(pixels)).any():
        pixels = np.where(deep, smoothed(pixels, FILL), pixels)
    return Light(pixels, excess, empty, level)


def rivalled(
    images: Block,
    start: NDArray[np.float64],
    top: NDArray[np.floating[Any]],
    apart: float,
    sigma: NDArray[np.float64] | float,
) -> NDArray[np.bool_]:
    """Return in which images noise may decide what is the brightest place.

    Parameters
    ----------
    images : ndarray of float32, (k, y, x)
    start : ndarray of float64, (k, 2)
        The brightest places.
    top : ndarray, (k,)
        Their light.
    apart : float
        Pixels from there, at least, to another place.
    sigma : ndarray of float64, (k,), or float
        Standard deviation of a place's light by noise.

    Returns
    -------
    ndarray of bool, (k,)
    """
    least = top - RIVAL * np.sqrt(2) * sigma
    frame, y, x = places_of(images > as_float32(least)[:, None, None])
    far = np.hypot(y - start[frame, 0], x - start[frame, 1]) > apart
    out = np.zeros(len(images), bool)
    out[frame[far]] = True
    return out
