"""Frames moved by their shifts, read from the sensor where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import Frames, Index, View, as_float32, chain_of
from napari_lucky.frames.reading import read_beyond
from napari_lucky.frames.window import Window
from napari_lucky.imaging.convolution import correlate
from napari_lucky.imaging.inpainting import _holes, _means_around


@dataclass(frozen=True, eq=False)
class Shifted(View):
    """Frames moved by their shifts: moved[y + dy, x + dx] = frame[y, x].

    Whole pixels of the shift move the window that is read from the sensor, so nothing is
    wrapped and nothing is lost at the window's edge; only the rest is interpolated. Pixels
    that come from beyond the sensor, and frames without a shift, are NaN.

    Parameters
    ----------
    frames : Frames
        Calibrated, in ADU.
    shifts : ndarray of float64, (n, 2), Registration or FrameTable
        (dy, dx) in pixels.
    subpixel : bool
        Whether the fraction of a pixel is applied, or the shift rounded.
    """

    shifts: NDArray[np.float64]
    subpixel: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "shifts", as_shifts(self.shifts, self.frames.shape[0]))

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the shifted frames asked for, (k, y, x), cut to the window."""
        window = window or Window.whole(self.shape)
        index = np.arange(self.shape[0])[frames]
        out = np.empty((len(index), *window.shape), np.float32)
        for k, frame in enumerate(index):
            if np.isfinite(self.shifts[frame]).all():
                self._read_one(int(frame), window, out[k])
            else:
                out[k] = np.nan
        return out

    def _read_one(self, frame: int, window: Window, out: NDArray[np.float32]) -> None:
        shift = self.shifts[frame]
        whole = np.floor(shift + 0.5).astype(int)
        rest = shift - whole
        reach = MARGIN if self.subpixel and rest.any() else 0
        source = Window(
            window.y0 - int(whole[0]) - reach,
            window.x0 - int(whole[1]) - reach,
            window.height + 2 * reach,
            window.width + 2 * reach,
        )
        if 0 in source.clipped(self.shape).shape:
            out[:] = np.nan
            return
        image = read_beyond(self.frames, np.array([frame]), source)[0]
        out[:] = interpolate(image, rest) if reach else image


def is_shifted(frames: Frames) -> bool:
    """Return whether frames were shifted, in any step of their chain."""
    return any(isinstance(view, Shifted) for view in chain_of(frames))


ShiftsLike = Any
"""Shifts (dy, dx) in pixels, (n, 2), or a `Registration` or `FrameTable` that has them."""


def as_shifts(given: ShiftsLike, n: int) -> NDArray[np.float64]:
    """Return the shifts of n frames, (n, 2), in pixels.

    Raises
    ------
    LuckyError
        If it is neither such an array nor something that has one.
    """
    try:
        shifts = np.asarray(getattr(given, "shifts", given), np.float64)
    except (TypeError, ValueError):
        raise LuckyError(
            f"Shifts cannot be a {type(given).__name__}; give an array (frame, 2) of (dy, dx) in "
            "pixels, or what `register` returns."
        ) from None
    if shifts.shape != (n, 2):
        raise LuckyError(
            f"There are {len(np.atleast_1d(shifts))} shifts for {n} frames, (dy, dx) for each; "
            "register this run, or choose the registration that belongs to it."
        )
    return shifts


def check_shifts(
    shifts: NDArray[np.float64], index: NDArray[np.intp], shape: tuple[int, ...], window: Window
) -> None:
    """Raise if frames that are to be stacked have no shift, or one that leaves nothing of them.

    Raises
    ------
    LuckyError
        If so; it names the first of them.
    """
    some = shifts[index]
    known = np.isfinite(some).all(axis=1)
    if not known.all():
        raise LuckyError(
            f"Frame {index[~known][0]} has no shift ({np.count_nonzero(~known)} of the "
            f"{len(index)} frames have none): leave it out, or register again."
        )
    off = (np.abs(some) >= np.array(shape[-2:])).any(axis=1)
    if off.any():
        dy, dx = some[off][0]
        raise LuckyError(
            f"Frame {index[off][0]} is shifted by {dy:g}, {dx:g} px, off the sensor of "
            f"{shape[-2]} x {shape[-1]} px ({np.count_nonzero(off)} of the {len(index)} frames "
            "are). Give the shifts of this run."
        )
    first, last = np.array([window.y0, window.x0]), np.array([window.y1, window.x1])
    if ((last - some <= 0) | (first - some >= np.array(shape[-2:]))).any(axis=1).all():
        raise LuckyError(
            "The shifts move every frame out of the window; nothing is left to stack. Give the "
            "shifts of this run, or another window."
        )


def applied_shifts(shifts: NDArray[np.float64], subpixel: bool) -> NDArray[np.float64]:
    """Return the shifts as they are applied: rounded, unless fractions of a pixel are."""
    return shifts if subpixel else np.floor(shifts + 0.5)


MARGIN = 6
"""Pixels around an image that the interpolation kernel needs."""
SAMPLINGS = (2.0, 3.0, 5.0, 7.0, 12.0)
"""lambda F#/pixel of the stars that the kernel is made for."""
IMPORTANCE = (1.0, 1e2, 1e4, 1e5, 1e6)
"""Of each of them: what is sampled more finely can be moved more exactly, so it must be."""
NODES = 64
"""Of the integrals over frequency; with six times as many no error changes by over 1 %."""


def interpolate(image: NDArray[np.float32], rest: NDArray[np.float64]) -> NDArray[np.float32]:
    """Move an image by less than a pixel, with 12 points an axis.

    The kernel (`kernel`) has a sum of 1, which keeps the flux. The greatest error of a star, in
    per cent of its peak, is 0.49, 0.023, 0.0014, 0.0004 and 0.0003 at lambda F#/pixel = 2, 3, 5, 7
    and 12 (an Airy pattern with an
    obstruction of 0.3 anywhere in a pixel; ``benchmarks/kernels.py`` compares more). Sampled
    more coarsely than 2, an image does not tell what is between its pixels. A masked pixel is
    filled from its neighbours; where it has most of the weight, the result is masked.

    Parameters
    ----------
    image : ndarray of float32, (y + 12, x + 12)
        The image with a margin of six pixels.
    rest : ndarray of float, (2,)
        (dy, dx) between −1/2 and 1/2.

    Returns
    -------
    ndarray of float32, (y, x)
    """
    weights = kernel(float(rest[0])), kernel(float(rest[1]))
    y, x = _holes(image)
    if len(y) == 0:
        return _convolve(image, weights)
    means = _means_around(image, y, x)
    unknown = np.isnan(means)  # deep in a hole; beyond the sensor's edge as a rule
    filled = image.copy()
    filled[y, x] = np.where(unknown, 0, means)
    moved = _convolve(filled, weights)
    if unknown.any():
        with np.errstate(divide="ignore", invalid="ignore"):  # where nothing is near
            moved /= _weight_beside(y[unknown], x[unknown], image.shape, weights)
    moved[_weight_beside(y, x, image.shape, weights) <= 0.5] = np.nan
    return moved


FEW = 0.02
"""Of an image's pixels, this part or less is few."""


def _weight_beside(
    y: NDArray[np.intp],
    x: NDArray[np.intp],
    shape: tuple[int, ...],
    weights: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.float32]:
    """Return the weight that all but some pixels have, (y, x) without the margin.

    Whole rows and columns, beyond the sensor's edge, leave a product of two profiles, and of the
    few other pixels each takes its own weight away: quicker than a convolution.
    """
    rows = np.bincount(y, minlength=shape[0]) < shape[1]
    columns = np.bincount(x, minlength=shape[1]) < shape[0]
    single = np.asarray(rows[y] & columns[x])
    if np.count_nonzero(single) > FEW * shape[0] * shape[1]:
        others = np.ones(shape, np.float32)
        others[y, x] = 0
        return _convolve(others, weights)
    y, x = y[single], x[single]
    down, across = (
        np.convolve(on, weight[::-1], "valid")
        for on, weight in zip((rows, columns), weights, strict=True)
    )
    rest = np.multiply.outer(as_float32(down), as_float32(across))
    reach = np.arange(2 * MARGIN + 1)
    at_y, at_x = y[:, None] - reach, x[:, None] - reach  # where each is seen, with which weight
    down, across = (
        np.where((at >= 0) & (at < side), weight[reach], 0.0)
        for at, side, weight in zip((at_y, at_x), rest.shape, weights, strict=True)
    )
    place = at_y.clip(0, rest.shape[0] - 1)[:, :, None] * rest.shape[1]
    place = place + at_x.clip(0, rest.shape[1] - 1)[:, None, :]
    taken = as_float32(down[:, :, None] * across[:, None])
    np.subtract.at(rest.reshape(-1), place.ravel(), taken.ravel())
    return rest


def _convolve(
    image: NDArray[np.float32], weights: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> NDArray[np.float32]:
    return correlate(image[np.newaxis], *weights)[0]


def kernel(fraction: float) -> NDArray[np.float64]:
    """Return the 13 weights that give a sample at −fraction pixels, −1/2 to 1/2; one end is 0.

    They come nearest to a shift of each spatial frequency nu (cycles a pixel) up to 1/2, in the
    sense of least squares:

        sum over nu of W(nu) |sum over k of w_k exp(2 pi i nu k) − exp(−2 pi i nu fraction)|²

    W(nu) is about the power of a star that a pupil makes, with nothing over 1/q, added up over
    the samplings q in proportion to their importance: the sum of q max(1 − q nu, 0)³.
    """
    phase = -2 * np.pi * abs(fraction) * _frequencies()[0]
    weights = _fit() @ np.concatenate([np.cos(phase), np.sin(phase)])
    weights = np.append(weights / weights.sum(), 0.0)
    return weights if fraction >= 0 else weights[::-1]


@cache
def _frequencies() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies from 0 to 1/2, and the roots of their weights."""
    nodes, widths = np.polynomial.legendre.leggauss(NODES)
    frequency = (nodes + 1) / 4
    weight = sum(
        part * q * np.maximum(1 - q * frequency, 0) ** 3
        for q, part in zip(SAMPLINGS, IMPORTANCE, strict=True)
    )
    return frequency, np.sqrt(weight * widths)


@cache
def _fit() -> NDArray[np.float64]:
    """Return the matrix from the cosines and sines that are wanted to the weights, −6 to 5."""
    frequency, root = _frequencies()
    phase = 2 * np.pi * np.outer(frequency, np.arange(-MARGIN, MARGIN))
    root = np.concatenate([root, root])
    basis = np.concatenate([np.cos(phase), np.sin(phase)]) * root[:, np.newaxis]
    return np.asarray(np.linalg.pinv(basis) * root)
