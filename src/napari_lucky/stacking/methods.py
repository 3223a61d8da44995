"""The ways to stack: a text names a method and its numbers, in recipes and on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames, as_numbers
from napari_lucky.frames.history import Record, number_ranges, window_numbers
from napari_lucky.frames.window import Window, WindowLike, as_window
from napari_lucky.imaging.shifts import ShiftsLike, as_shifts, check_shifts
from napari_lucky.stacking.mean import Stack, frame_index, stack_mean
from napari_lucky.stacking.step import StackFrames, ToStack
from napari_lucky.steps.declaration import param
from napari_lucky.steps.option_text import parse_option

Method = str | StackFrames
"""A way to stack: a step such as `StackDrizzle(scale=2.0)`, or a text such as "drizzle,2"."""


class StackMean(StackFrames, kind="mean"):
    """The mean: it has the least noise and keeps the flux."""

    def stack(self, given: ToStack) -> Stack:
        """Return the mean; see `stack_mean`."""
        return stack_mean(given.shifted, given.index, given.window, **given.how)


class StackWeighted(StackFrames, kind="weighted"):
    """The mean, weighted by the quality to a power; see `quality_weights`."""

    power: float = param(
        1.0, "A higher power sharpens more, but adds noise.", step=0.5, gt=0, le=10
    )

    def stack(self, given: ToStack) -> Stack:
        """Return the weighted mean."""
        weights = quality_weights(given.quality, given.index, self.power)
        return stack_mean(given.shifted, given.index, given.window, weights=weights, **given.how)


def stack_method(method: Method, subpixel: bool | None = None) -> StackFrames:
    """Return the step that a way to stack means; with `subpixel`, that of it."""
    step = parse_option("stack", method) if isinstance(method, str) else method
    if not isinstance(step, StackFrames):
        raise UsageError(
            f"{method!r} is not a stacking method; give a text such as 'mean', or a step such as "
            "StackDrizzle(scale=2.0)."
        )
    return step if subpixel is None else step.changed(subpixel=subpixel)


def stack(
    frames: FramesLike,
    shifts: ShiftsLike,
    index: Any = None,
    window: WindowLike | None = None,
    *,
    method: Method = "mean",
    subpixel: bool | None = None,
    quality: NDArray[np.float64] | None = None,
    job: Job = QUIET,
    what: str = "stacking",
) -> Stack:
    """Shift and stack frames in a window, by any method.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated, not shifted.
    shifts : ndarray, (n, 2), Registration or FrameTable
        (dy, dx) in pixels.
    index : ndarray of int or bool, or slice, optional
        Frames to stack, or a mask of the run; all that have a shift if not given, as Fourier-lucky
        needs them, which chooses among them.
    window : Window or (y, x, size), optional
        What of them; whole frames if not given.
    method : str or StackFrames
        "mean"; "median"; "clipped,SIGMA" (`stack_clipped`); "weighted,POWER" (`quality_weights`);
        "fourier,FRACTION" (`stack_fourier`); "drizzle,SCALE,DROP" (`stack_drizzled`). Numbers at
        the end may be left out. Or the step itself, such as `StackDrizzle(scale=2.0)`.
    subpixel : bool, optional
        Whether frames are shifted by fractions of a pixel; as the method says if not given.
    quality : ndarray, (n,), optional
        Of all frames; only weights need it.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    what : str
        What is done, as the progress shows it.

    Returns
    -------
    Stack
        In ADU a frame, with variance (ADU²) and coverage, (y, x).

    Raises
    ------
    LuckyError
        If there is nothing to stack, a frame has no shift or one off the sensor, the window is
        not on the sensor, or the method is none.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> run = lucky.simulate_run(12, (128, 256), d_over_r0=2, focus_size=64, defocus_size=96)
    >>> frames = lucky.calibrate(run.frames, run.dark, run.flat)
    >>> tracked = lucky.register(frames, run.focus)
    >>> kept = lucky.select(lucky.rank(frames, run.focus), 4)
    >>> stack = lucky.stack(frames, tracked, kept, run.focus)
    >>> stack.image.shape, stack.count
    ((64, 64), 4)
    """
    frames = as_frames(frames)
    window = Window.whole(frames.shape) if window is None else as_window(window)
    shifts = as_shifts(shifts, frames.shape[0])
    by = stack_method(method, subpixel)
    shifted = np.isfinite(shifts).all(axis=1)
    index = frame_index(shifted if index is None else index, frames.shape[0])
    quality = None if quality is None else as_numbers(quality, "quality")
    if quality is not None and len(quality) != frames.shape[0]:
        raise LuckyError(
            f"There are {len(quality)} qualities for {frames.shape[0]} frames; rank this run."
        )
    check_shifts(shifts, index, frames.shape, window)
    made: Stack = by.stack(ToStack(frames, shifts, index, window, quality, by.subpixel, what, job))
    return made


def quality_weights(
    quality: NDArray[np.float64] | None, index: NDArray[np.intp], power: float = 1.0
) -> NDArray[np.float64]:
    """Return quality to a power as weights, those below zero as none; the greatest is 1.

    Where all frames have the same noise, weights in proportion to the star's height in each make
    the greatest ratio of the stack's height to its noise: of sum w s / sqrt(sum w²) the greatest
    is where w = s. So a power of 1 is the best for a quality that is a peak; a greater one
    sharpens further, at the price of noise.

    Parameters
    ----------
    quality : ndarray, (n,)
        Of all frames of the run.
    index : ndarray of int
        The frames that are stacked.
    power : float
        Of the quality.

    Returns
    -------
    ndarray of float64, (n,)
        0 to 1; 0 for frames that are not stacked.

    Raises
    ------
    LuckyError
        If one of the frames has no quality, or none has one over zero.
    """
    own = None if quality is None else quality[index]
    if quality is None or own is None or not np.isfinite(own).all():
        raise LuckyError(
            "Weights need the quality of every frame that is stacked: rank the frames first."
        )
    if not (own > 0).any():
        raise LuckyError(
            "No frame has a quality over zero, so they cannot be weighted by it. Stack the mean."
        )
    weights = np.zeros(len(quality))
    weights[index] = (np.maximum(own, 0) / own.max()) ** power
    return weights


def stack_pair(
    calibrated: FramesLike,
    shifts: ShiftsLike,
    kept: NDArray[np.intp],
    focus: WindowLike | None,
    defocus: WindowLike | None,
    *,
    method: Method = "mean",
    quality: NDArray[np.float64] | None = None,
    long_exposure: Stack | None = None,
    job: Job = QUIET,
) -> Iterator[tuple[str, Window, Stack]]:
    """Stack both stars from the same frames with the same shifts, and the long exposure.

    Parameters
    ----------
    calibrated : Frames, path or array
        Not shifted.
    shifts : ndarray, (n, 2), Registration or FrameTable
        (dy, dx) in pixels, of the focused star.
    kept : ndarray of int
        Frames that are stacked; Fourier-lucky chooses among all that have a shift instead.
    focus, defocus : Window or (y, x, size)
        Where the stars are; what has no window is not stacked.
    method : str or StackFrames
        See `stack`. The long exposure is a mean always.
    quality : ndarray, (n,), optional
        Of all frames; only weights need it.
    long_exposure : Stack, optional
        Made if it is not known already.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Yields
    ------
    name, window, stack
        "focus", "defocus" and "long_exposure": all frames with a star, in the focus window,
        unshifted.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> run = lucky.simulate_run(12, (128, 256), d_over_r0=2, focus_size=64, defocus_size=96)
    >>> frames = lucky.calibrate(run.frames, run.dark, run.flat)
    >>> tracked = lucky.register(frames, run.focus)
    >>> kept = lucky.select(lucky.rank(frames, run.focus), 4)
    >>> for name, window, stack in lucky.stack_pair(frames, tracked, kept, run.focus, run.defocus):
    ...     print(name, stack.image.shape)
    focus (64, 64)
    defocus (96, 96)
    long_exposure (64, 64)
    """
    frames = as_frames(calibrated)
    shifts = as_shifts(shifts, frames.shape[0])
    by = stack_method(method)
    everything = np.flatnonzero(np.isfinite(shifts).all(axis=1))
    index = by.takes(kept, everything)
    for name, given in (("focus", focus), ("defocus", defocus)):
        if given is not None:
            window = as_window(given)
            made = stack(
                frames,
                shifts,
                index,
                window,
                method=by,
                quality=quality,
                what=f"stacking {name}",
                job=job,
            )
            yield name, window, made
    if focus is not None:
        if long_exposure is None:
            what = "stacking long exposure"
            long_exposure = stack_mean(frames, everything, focus, what=what, job=job)
        yield "long_exposure", as_window(focus), long_exposure


def stack_record(
    method: Method,
    window: Window,
    shifted: bool,
    count: int,
    numbers: NDArray[np.intp] | None = None,
) -> Record:
    """Record a stack in a window; the long exposure, not shifted, is a mean always.

    The numbers in the run are those of the frames that it is of.
    """
    by = stack_method(method) if shifted else StackMean(subpixel=False)
    facts: dict[str, Any] = {"window": window_numbers(window), "frames": count, "shifted": shifted}
    if numbers is not None:
        facts["numbers"] = number_ranges(numbers)
    return by.record(facts)
