"""Where the star is in each frame, and the frames shifted so that it stands still."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .blocks import Progress, blocks_of, map_blocks, silent
from .centroid import track_centroid
from .errors import LuckyError
from .frames import Frames, View, as_float32, is_empty
from .shifting import Shifted
from .spots import Block, background, check_smooth, peaks, smoothed
from .stacking import stack_mean
from .windows import Window

Method = Literal["brightest", "centroid", "correlation"]
METHODS: tuple[str, ...] = get_args(Method)
SMOOTH = 2.0
"""Default smoothing before the peak is looked for, in pixels."""
REFERENCES = ("best", "first", "mean")


@dataclass(frozen=True, eq=False)
class Registration:
    """Where the tracked point is in each frame, and where it shall be.

    Parameters
    ----------
    points : ndarray of float64, (n, 2)
        (y, x) of the tracked point on the sensor, in pixels; NaN where no star was found.
    reference : tuple of float
        (y, x) where the tracked point lands.
    focus : Window
        The focused star's window.
    method : str
        How it was tracked.
    smooth : float
        Smoothing in pixels.
    reference_frame : str
        What was correlated with; see `register`.
    """

    points: NDArray[np.float64]
    reference: tuple[float, float]
    focus: Window
    method: Method = "brightest"
    smooth: float = SMOOTH
    reference_frame: str = "best"

    @property
    def shifts(self) -> NDArray[np.float64]:
        """(n, 2) shifts (dy, dx) in pixels that bring each frame onto the reference."""
        return np.asarray(self.reference) - self.points

    @property
    def found(self) -> NDArray[np.bool_]:
        """(n,) whether there is a star in the frame."""
        return np.asarray(np.isfinite(self.points).all(axis=1))


def register(
    frames: Frames,
    focus: Window,
    method: Method = "brightest",
    smooth: float = SMOOTH,
    reference_frame: str = "best",
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> Registration:
    """Track a star from frame to frame inside a window.

    Parameters
    ----------
    frames : Frames
        Calibrated, in ADU, masked pixels NaN.
    focus : Window
        Holds the star in every frame.
    method : {"brightest", "centroid", "correlation"}
        "brightest": the brightest speckle, after smoothing, to a fraction of a pixel; what
        gives lucky imaging its sharp core (Fried 1978; Law, Mackay & Baldwin 2006).
        "centroid": the windowed centroid; see `napari_lucky.centroid.track_centroid`.
        "correlation": the maximum of the cross-correlation with a reference frame, without
        wrap-around.
    smooth : float
        Standard deviation of the Gaussian smoothing in pixels, best about a third of
        lambda/D; 0 for none.
    reference_frame : str
        What "correlation" compares with: "best", the frame of the highest peak that is whole
        inside the window; "first", the first with a star; "mean", the mean of all frames with
        their brightest speckles on one point; or a frame's number, such as "17".
    progress, executor
        See `napari_lucky.blocks.map_blocks`.

    Returns
    -------
    Registration
        The reference is the median tracked point, rounded to a whole pixel: so shifts are as
        small as can be and the stacked peak falls on the middle of a pixel.

    Raises
    ------
    LuckyError
        If the method is unknown, the window is not on the sensor, or no frame has a star.
    """
    if method not in METHODS:
        raise LuckyError(f"Registration is by {', '.join(METHODS)}; not by {method!r}.")
    check_smooth(smooth)
    check_reference_frame(reference_frame)
    focus.check_on(frames.shape, "focus window")

    def run(track: Callable[[Block], NDArray[np.float64]], what: str) -> NDArray[np.float64]:
        def one(block: slice) -> NDArray[np.float64]:
            points = track(as_float32(frames.read(block, focus)))
            if isinstance(frames, View):
                points[frames.blank(block, focus)] = np.nan
            return points

        blocks = blocks_of(frames.shape[0], focus.height * focus.width)
        done = map_blocks(one, blocks, progress=progress, what=what, executor=executor)
        return np.concatenate(list(done))

    if method == "centroid":
        points = run(lambda block: track_centroid(block, smooth), "tracking the centroid")
    else:
        found = run(lambda block: track_brightest(block, smooth), "tracking the speckle")
        points = found[:, :2]
        if method == "correlation" and np.isfinite(found[:, 2]).any():
            image = _reference(frames, focus, found, reference_frame)
            point = track_brightest(image, smooth)[0, :2]
            template = smoothed(image - background(image)[:, None, None], smooth)[0]
            points = point - run(
                lambda block: correlate(block, template), "correlating with the reference"
            )
    if not np.isfinite(points).any():
        raise LuckyError(
            f"No star in rows {focus.y0} to {focus.y1 - 1}, columns {focus.x0} to "
            f"{focus.x1 - 1}: in every frame, all pixels there are equal or masked. "
            "Move the focus window onto the star, and check dark and flat."
        )
    points = points + np.array([focus.y0, focus.x0])
    middle = np.floor(np.nanmedian(points, axis=0) + 0.5)
    return Registration(
        points, (float(middle[0]), float(middle[1])), focus, method, smooth, reference_frame
    )


def check_reference_frame(reference_frame: str) -> None:
    """Raise a `LuckyError` unless it is one of `REFERENCES`, or a frame's number."""
    if reference_frame not in REFERENCES and not reference_frame.isdecimal():
        raise LuckyError(
            f"The reference frame is {', '.join(REFERENCES)}, or a frame's number from 0; not "
            f"{reference_frame!r}."
        )


def _reference(frames: Frames, focus: Window, found: NDArray[np.float64], which: str) -> Block:
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


def track_brightest(block: Block, smooth: float = SMOOTH) -> NDArray[np.float64]:
    """Find the brightest speckle of each frame of a block.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        The window's pixels, masked ones NaN.
    smooth : float
        Standard deviation of the smoothing in pixels.

    Returns
    -------
    ndarray of float64, (k, 3)
        y, x in pixels of the window, and the smoothed peak above background in ADU; NaN for a
        frame whose pixels are all equal or masked.
    """
    image = smoothed(block - background(block)[:, None, None], smooth)
    points, top = peaks(image)
    out = np.column_stack([points, top])
    out[is_empty(block)] = np.nan
    return out


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
