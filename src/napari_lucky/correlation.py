"""The cross-correlation with a reference frame: which one, and the shift to it."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from .errors import LuckyError
from .frames import Frames, as_float32, is_empty
from .holes import fill
from .noise import Noise
from .shifting import Shifted
from .spots import Block, background, peaks, smoothed
from .stacking import stack_mean
from .subpixel import LEAST_WIDTH, Surface, sigma_of
from .windows import Window

REFERENCES = ("best", "first", "mean")


def check_reference_frame(reference_frame: str) -> None:
    """Raise a `LuckyError` unless it is one of `REFERENCES`, or a frame's number."""
    if reference_frame not in REFERENCES and not reference_frame.isdecimal():
        raise LuckyError(
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
            raise LuckyError(
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
    """What frames are correlated with; from `make_reference`.

    Parameters
    ----------
    rough : ndarray of float32, (y, x)
        The reference, background off, smoothed, but for the last pixel of the smoothing: that
        is given to the correlation, see `napari_lucky.subpixel`.
    slopes : ndarray of float32, (3, y, x)
        Products of the wholly smoothed reference's derivatives: yy, yx, xx.
    """

    rough: NDArray[np.float32]
    slopes: NDArray[np.float32]


def make_reference(image: Block, smooth: float) -> Reference:
    """Make a reference of an image (1, y, x); the smoothing is a pixel at least."""
    from scipy import ndimage

    light, _ = fill(image - background(image)[:, None, None])
    rough = smoothed(np.nan_to_num(light), sqrt(max(smooth**2 - LEAST_WIDTH**2, 0)))[0]
    down, across = (
        ndimage.gaussian_filter(rough, LEAST_WIDTH, order, mode="constant")
        for order in ((1, 0), (0, 1))
    )
    return Reference(rough, np.stack([down * down, down * across, across * across]))


def correlate(
    block: Block, reference: Reference, noise: Noise | None = None
) -> NDArray[np.float64]:
    """Find the shift that brings each frame of a block onto a reference.

    The maximum of their cross-correlation, padded so that nothing wraps around, to a fraction
    of a pixel by `napari_lucky.subpixel`.

    The errors are those that the noise of the frame gives to its shift; that of the reference
    moves all frames of a steady star alike. The frame that is the reference has none, but
    is told as the others.

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
    from scipy import fft

    light, excess = fill(block - background(block)[:, None, None])
    light = light if excess is None else np.nan_to_num(light)
    size = [fft.next_fast_len(2 * side - 1, real=True) for side in light.shape[1:]]
    spectrum = fft.rfft2(reference.rough, size) * np.conj(fft.rfft2(light, size))
    correlation = as_float32(fft.fftshift(fft.irfft2(spectrum, size), axes=(1, 2)))
    start, _ = peaks(correlation)
    points, hessian = Surface(correlation, start, np.full(len(block), LEAST_WIDTH)).top()
    shifts = points - [side // 2 for side in size]
    sigma = np.full(shifts.shape, np.nan)
    if noise is not None:
        sigma = sigma_of(hessian, _covariance(light, excess, shifts, reference.slopes, noise))
    out = np.column_stack([shifts, sigma])
    out[is_empty(block)] = np.nan
    return out


def _covariance(
    light: Block,
    excess: NDArray[np.float32] | None,
    shifts: NDArray[np.float64],
    slopes: NDArray[np.float32],
    noise: Noise,
) -> NDArray[np.float64]:
    """Return the covariance of the correlation's gradient by the frames' noise, (k, 2, 2)."""
    covariance = np.empty((len(light), 2, 2))
    whole = np.rint(shifts).astype(np.intp)
    for k, (frame, (dy, dx)) in enumerate(zip(light, whole, strict=True)):
        here, there = zip(*map(_overlap, frame.shape, (dy, dx)), strict=True)
        variance = noise.floor + noise.photon * frame[here]
        if excess is not None:
            variance *= 1 + excess[k % len(excess)][here]
        yy, yx, xx = np.einsum("syx,yx->s", slopes[:, *there], variance)
        covariance[k] = [[yy, yx], [yx, xx]]
    return covariance


def _overlap(side: int, shift: int) -> tuple[slice, slice]:
    """Return the pixels along an axis that a shift leaves on it, and where they land."""
    first, last = max(0, -shift), min(side, side - shift)
    return slice(first, last), slice(first + shift, last + shift)
