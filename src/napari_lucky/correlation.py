"""The cross-correlation with a reference frame: which one, and the shift to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .errors import LuckyError
from .frames import Frames, as_float32, is_empty
from .shifting import Shifted
from .spots import Block, background, peaks, smoothed
from .stacking import stack_mean
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


def correlate(block: Block, template: NDArray[np.float32]) -> NDArray[np.float64]:
    """Find the shift that brings each frame of a block onto a template.

    The maximum of their cross-correlation, padded so that nothing wraps around, with a
    parabola for the fraction of a pixel.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        The window's pixels, masked ones NaN.
    template : ndarray of float32, (y, x)
        Background off, smoothed, no NaN.

    Returns
    -------
    ndarray of float64, (k, 2)
        (dy, dx) in pixels; NaN for a frame whose pixels are all equal or masked.
    """
    image = smoothed(block - background(block)[:, None, None], 0)
    size = [fft.next_fast_len(2 * side - 1, real=True) for side in template.shape]
    spectrum = fft.rfft2(template, size) * np.conj(fft.rfft2(image, size))
    correlation = fft.fftshift(fft.irfft2(spectrum, size), axes=(1, 2))
    points, _ = peaks(as_float32(correlation))
    shifts = points - [side // 2 for side in size]
    shifts[is_empty(block)] = np.nan
    return np.asarray(shifts)
