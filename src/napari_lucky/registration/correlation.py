"""The cross-correlation with a reference frame: which one, and the shift to it.

What the constants do is measured by ``benchmarks/registration.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import UsageError
from napari_lucky.frames.frames import Block, Frames, as_float32, is_empty
from napari_lucky.frames.window import Window
from napari_lucky.imaging.inpainting import fill_by_kriging
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.peak_position import LEAST_WIDTH, MOST_FILLED, Surface, sigma_of
from napari_lucky.imaging.shifts import Shifted
from napari_lucky.imaging.star_image import background, peaks, rivalled, smoothed
from napari_lucky.stacking.mean import stack_mean

APART = 3.0
"""Pixels from the maximum, at least, to another shift that may be the right one."""

REFERENCES = ("best", "first", "mean")


def check_reference_frame(reference_frame: str) -> None:
    """Raise a `LuckyError` unless it is one of `REFERENCES`, or a frame's number."""
    if reference_frame not in REFERENCES and not reference_frame.isdecimal():
        raise UsageError(
            f"The reference frame is {', '.join(REFERENCES)}, or a frame's number from 0; not "
            f"{reference_frame!r}."
        )


def reference_image(frames: Frames, focus: Window, found: NDArray[np.float64], which: str) -> Block:
    """Return the image to correlate with, (1, y, x)."""
    lit = np.flatnonzero(np.isfinite(found[:, 2]))
    if which == "mean":
        middle = np.median(found[lit, :2], axis=0)
        shifted = Shifted(frames, middle - found[:, :2], subpixel=False)
        return stack_mean(shifted, lit, focus).image[np.newaxis]
    if which.isdecimal():
        frame = int(which)
        if frame not in lit:
            raise UsageError(
                f"Frame {frame} cannot be the reference: the run has frames 0 to "
                f"{len(found) - 1}, and it must have a star."
            )
    else:
        frame = _best_whole(found, focus) if which == "best" else int(lit[0])
    return as_float32(frames.read(np.array([frame]), focus))


def _best_whole(found: NDArray[np.float64], focus: Window) -> int:
    """Return the frame of the highest peak whose star is not cut by the window's edge."""
    margin = np.array(focus.shape) / 8
    whole = np.abs(found[:, :2] - np.array(focus.shape) / 2) < np.array(focus.shape) / 2 - margin
    peak = np.where(whole.all(axis=1), found[:, 2], np.nan)
    return int(np.nanargmax(peak if np.isfinite(peak).any() else found[:, 2]))


@dataclass(frozen=True, eq=False)
class Reference:
    """What frames are correlated with.

    Parameters
    ----------
    spectrum : ndarray of complex64
        Fourier transform of the reference, background off, smoothed, but for the last pixel of
        the smoothing: that is given to the correlation, see `napari_lucky.imaging.peak_position`.
    size : tuple of int
        Rows and columns that were transformed, zeros behind the window's.
    slopes : ndarray of float32, (3, h, w)
        Products of the wholly smoothed reference's derivatives, yy, yx, xx, in the box that
        holds all but a thousandth of them.
    corner : tuple of int
        (y, x) of that box.
    low, high : tuple of int
        The lowest and the highest shift that is looked for on each axis, in pixels.
    power, cube : float
        Sums of the squares and of the cubes of the reference: noise of variance floor + photon I
        gives the correlation the variance floor power + photon cube.
    """

    spectrum: NDArray[np.complex64]
    size: tuple[int, int]
    slopes: NDArray[np.float32]
    corner: tuple[int, int]
    low: tuple[int, int]
    high: tuple[int, int]
    power: float
    cube: float

    @classmethod
    def of(cls, rough: Block, low: tuple[int, int], high: tuple[int, int], pad: int) -> Reference:
        """Return the reference of an image (y, x), for shifts that do not wrap with such a pad."""
        from scipy import fft, ndimage

        down, across = (
            ndimage.gaussian_filter(rough, LEAST_WIDTH, order, mode="constant")
            for order in ((1, 0), (0, 1))
        )
        slopes = np.stack([down * down, down * across, across * across])
        box = tuple(_holding(slopes[0] + slopes[2], axis) for axis in (0, 1))
        ny, nx = (fft.next_fast_len(side + pad, real=True) for side in rough.shape)
        spectrum = fft.rfft2(rough, (ny, nx))
        corner = box[0].start, box[1].start
        power = float((rough**2).sum(dtype=np.float64))
        cube = float((np.maximum(rough, 0) ** 3).sum(dtype=np.float64))
        return cls(spectrum, (ny, nx), slopes[:, *box], corner, low, high, power, cube)


def make_reference(image: Block, smooth: float) -> Reference:
    """Make a reference of an image (1, y, x); the smoothing is a pixel at least."""
    rough = rough_image(image, smooth)
    reach = max(rough.shape) - 1
    return Reference.of(rough, (-reach, -reach), (reach, reach), reach)


def rough_image(image: Block, smooth: float) -> Block:
    """Return an image (1, y, x) without background, smoothed but for the last pixel, (y, x)."""
    light, _ = fill_by_kriging(image - background(image)[:, None, None])
    return smoothed(np.nan_to_num(light), sqrt(max(smooth**2 - LEAST_WIDTH**2, 0)))[0]


def _holding(energy: NDArray[np.float32], axis: int) -> slice:
    """Return the pixels along an axis that hold all but a thousandth of what there is."""
    part = energy.sum(axis=1 - axis, dtype=np.float64).cumsum()
    first, last = np.searchsorted(part, np.array([0.0005, 0.9995]) * part[-1])
    return slice(int(first), int(last) + 1)


def correlate_frames(
    block: Block, reference: Reference, noise: Noise | None = None
) -> NDArray[np.float64]:
    """Find the shift that brings each frame of a block onto a reference.

    The maximum of their cross-correlation, padded so that nothing wraps around, to a fraction
    of a pixel by `napari_lucky.imaging.peak_position`.

    The errors are those that the noise of the frame gives to its shift; that of the reference
    moves all frames of a steady star alike. The frame that is the reference has none, but
    is given as the others. They are NaN where noise may decide between two shifts.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        The window's pixels; masked ones (NaN) are filled from their neighbours.
    reference : Reference
        Of the same window.
    noise : Noise, optional
        Of a pixel; without it there are no errors.

    Returns
    -------
    ndarray of float64, (k, 4)
        (dy, dx) in pixels, and their 1-sigma errors; NaN for a frame whose pixels are all
        equal or masked.
    """
    out = correlate_over(block, background(block), reference, noise)
    out[is_empty(block)] = np.nan
    return out


def correlate_over(
    block: Block,
    level: NDArray[np.float32],
    reference: Reference,
    noise: Noise | None = None,
) -> NDArray[np.float64]:
    """Find the shifts of frames that have light and whose background (k,) is known."""
    light, excess = fill_by_kriging(block - level[:, None, None])
    light = light if excess is None else np.nan_to_num(light)
    correlation = correlation_of(light, reference)
    start, top = peaks(correlation)
    points, hessian = Surface(correlation, start, np.full(len(light), LEAST_WIDTH)).top()
    shifts = points + np.array(reference.low)
    sigma = np.full(shifts.shape, np.nan)
    if noise is not None and noise.known:
        sigma = sigma_of(hessian, _covariance(light, excess, shifts, reference, noise))
        usual = sqrt(noise.floor * reference.power + noise.photon * reference.cube)
        sigma[rivalled(correlation, start, top, APART, usual)] = np.nan
    return np.column_stack([shifts, sigma])


def correlation_of(light: Block, reference: Reference) -> Block:
    """Return the correlation of each frame with the reference at all shifts looked for."""
    return correlated(light, reference.spectrum, reference.size, reference.low, reference.high)


def correlated(
    light: Block,
    spectrum: NDArray[Any],
    size: tuple[int, int],
    low: tuple[int, int],
    high: tuple[int, int],
) -> Block:
    """Return the correlation of frames with an image, at the shifts that bring them onto it.

    Parameters
    ----------
    light : ndarray of float32, (k, y, x)
        Without NaN.
    spectrum : ndarray of complex64
        Fourier transform of the image.
    size : tuple of int
        Rows and columns that were transformed, zeros behind the image's.
    low, high : tuple of int
        The lowest and the highest shift (y, x).
    """
    from scipy import fft

    ny, nx = size
    near_y, near_x = (np.arange(one, other + 1) for one, other in zip(low, high, strict=True))
    # axis by axis: rows of zeros need no transform, nor those of shifts beyond the reach
    product = fft.fft(fft.rfft(light, nx, axis=2), ny, axis=1, overwrite_x=True)
    np.conj(product, out=product)
    product *= spectrum
    rows = fft.ifft(product, axis=1, overwrite_x=True).take(near_y, axis=1, mode="wrap")
    return as_float32(fft.irfft(rows, nx, axis=2).take(near_x, axis=2, mode="wrap"))


def _covariance(
    light: Block,
    excess: NDArray[np.float32] | None,
    shifts: NDArray[np.float64],
    reference: Reference,
    noise: Noise,
) -> NDArray[np.float64]:
    """Return the covariance of the correlation's gradient by the frames' noise, (k, 2, 2).

    NaN where filled pixels decide.
    """
    covariance = np.empty((len(light), 2, 2))
    box = reference.slopes.shape[1:]
    corners = np.array(reference.corner) - np.rint(shifts).astype(np.intp)
    for k, (frame, corner) in enumerate(zip(light, corners, strict=True)):
        here, there = zip(*map(_overlap, frame.shape, box, corner), strict=True)
        variance = noise.floor + noise.photon * frame[here]
        slopes = reference.slopes[:, *there]
        filled = None if excess is None else excess[k % len(excess)][here]
        if filled is not None:
            variance *= 1 + filled
        yy, yx, xx = np.einsum("syx,yx->s", slopes, variance)
        covariance[k] = [[yy, yx], [yx, xx]]
        if filled is not None:
            of_filled = np.einsum("syx,yx->s", slopes[::2], np.where(filled > 0, variance, 0)).sum()
            if of_filled > MOST_FILLED * (yy + xx):
                covariance[k] = np.nan
    return covariance


def _overlap(side: int, box: int, corner: int) -> tuple[slice, slice]:
    """Return the pixels along an axis that a box with this corner covers, on it and in the box."""
    first, last = max(0, corner), max(min(side, corner + box), 0)
    first = min(first, last)
    return slice(first, last), slice(first - corner, last - corner)
