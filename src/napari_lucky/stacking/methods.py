"""The ways to stack: a text names a method and its numbers, in recipes and on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import Progress, silent
from napari_lucky.frames.frames import Frames
from napari_lucky.frames.history import Step, window_numbers
from napari_lucky.frames.window import Window
from napari_lucky.imaging.shifts import Shifted, applied_shifts, check_shifts
from napari_lucky.stacking.drizzle import FRACTION, SCALE, check_drizzle, stack_drizzled
from napari_lucky.stacking.fourier import KEEP, check_fraction, stack_fourier
from napari_lucky.stacking.mean import Stack, frame_index, stack_mean
from napari_lucky.stacking.robust import CLIP, check_clip, stack_clipped, stack_median

STACKS: dict[str, dict[str, float]] = {
    "mean": {},
    "median": {},
    "clipped": {"sigma": CLIP},
    "weighted": {"power": 1.0},
    "fourier": {"fraction": KEEP},
    "drizzle": {"scale": SCALE, "drop": FRACTION},
}
"""Methods, with their numbers and what those are if not given."""
MOST_POWER = 10.0


@dataclass(frozen=True)
class StackMethod:
    """A method of stacking.

    Parameters
    ----------
    name : str
        One of `STACKS`.
    numbers : tuple of float
        As many as it has, in their order.
    """

    name: str = "mean"
    numbers: tuple[float, ...] = ()

    @property
    def parameters(self) -> dict[str, float]:
        """The numbers by name."""
        return dict(zip(STACKS[self.name], self.numbers, strict=True))

    @property
    def of_all(self) -> bool:
        """Whether it chooses among all frames itself."""
        return self.name == "fourier"

    def __str__(self) -> str:
        return ",".join([self.name, *(f"{number:g}" for number in self.numbers)])


def parse_stack(text: str) -> StackMethod:
    """Return the method that a text such as "mean", "clipped,3" or "drizzle,2,0.7" means.

    Raises
    ------
    LuckyError
        If it means none.
    """
    name, *given = (part.strip() for part in text.split(","))
    if name not in STACKS:
        raise LuckyError(f"Frames are stacked by {', '.join(STACKS)}; not by {name!r}.")
    known = STACKS[name]
    try:
        if len(given) > len(known):
            raise ValueError
        numbers = (*map(float, given), *list(known.values())[len(given) :])
    except ValueError:
        may = ",".join([name, *(part.upper() for part in known)])
        raise LuckyError(f"{text!r} is not {may}, numbers for the capitals.") from None
    if name == "clipped":
        check_clip(*numbers)
    elif name == "weighted":
        _check_power(*numbers)
    elif name == "fourier":
        check_fraction(*numbers)
    elif name == "drizzle":
        check_drizzle(*numbers)
    return StackMethod(name, numbers)


def _check_power(power: float) -> None:
    if not 0 < power <= MOST_POWER:
        raise LuckyError(
            f"Weights are quality to a power of over 0 to {MOST_POWER:g}, not {power:g}."
        )


def stack(
    frames: Frames,
    shifts: NDArray[np.float64],
    index: NDArray[np.intp],
    window: Window,
    method: str = "mean",
    *,
    subpixel: bool = True,
    quality: NDArray[np.float64] | None = None,
    progress: Progress = silent,
    what: str = "stacking",
    executor: Executor | None = None,
) -> Stack:
    """Stack some frames in a window, shifted, by any method.

    Parameters
    ----------
    frames : Frames
        Calibrated, not shifted.
    shifts : ndarray, (n, 2)
        (dy, dx) in pixels.
    index : ndarray of int or bool
        Frames to stack, or a mask of the run; Fourier-lucky chooses among them, so give it all.
    window : Window
        What of them.
    method : str
        "mean"; "median"; "clipped,SIGMA" (`stack_clipped`); "weighted,POWER" (`weights_of`);
        "fourier,FRACTION" (`stack_fourier`); "drizzle,SCALE,DROP" (`stack_drizzled`). Numbers at
        the end may be left out.
    subpixel : bool
        Whether frames are shifted by fractions of a pixel.
    quality : ndarray, (n,), optional
        Of all frames; only weights need it.
    progress, what, executor
        See `napari_lucky.execution.blocks.map_blocks`.

    Raises
    ------
    LuckyError
        If there is nothing to stack, a frame has no shift or one off the sensor, the window is
        not on the sensor, or the method is none.
    """
    work: dict[str, Any] = {"progress": progress, "what": what, "executor": executor}
    by = parse_stack(method)
    shifted = Shifted(frames, shifts, subpixel)
    index = frame_index(index, frames.shape[0])
    check_shifts(shifts, index, frames.shape, window)
    if by.name == "median":
        return stack_median(shifted, index, window, **work)
    if by.name == "clipped":
        return stack_clipped(shifted, index, window, *by.numbers, **work)
    if by.name == "fourier":
        return stack_fourier(shifted, index, window, *by.numbers, **work)
    if by.name == "drizzle":
        applied = applied_shifts(shifts, subpixel)
        return stack_drizzled(frames, applied, index, window, *by.numbers, **work)
    weights = None
    if by.name == "weighted":
        weights = weights_of(quality, index, *by.numbers)
    return stack_mean(shifted, index, window, weights=weights, **work)


def weights_of(
    quality: NDArray[np.float64] | None, index: NDArray[np.intp], power: float = 1.0
) -> NDArray[np.float64]:
    """Return quality to a power as weights, those below zero as none; the greatest is 1.

    Where all frames have the same noise, weights in proportion to the star's height in each make
    the greatest ratio of the stack's height to its noise: of sum w s / sqrt(sum w²) the greatest
    is where w = s. So a power of 1 is the best for a quality that is a peak; a greater one
    sharpens further, at the price of noise.

    Raises
    ------
    LuckyError
        If one of the frames has no quality, or none has one over zero.
    """
    own = None if quality is None else quality[index]
    if quality is None or own is None or not np.isfinite(own).all():
        raise LuckyError(
            "Weights need the quality of every frame that is stacked: do Frame ranking first."
        )
    if not (own > 0).any():
        raise LuckyError("None of the frames has a quality over zero; weights are made of that.")
    weights = np.zeros(len(quality))
    weights[index] = (np.maximum(own, 0) / own.max()) ** power
    return weights


def stack_pair(
    calibrated: Frames,
    shifts: NDArray[np.float64],
    kept: NDArray[np.intp],
    focus: Window | None,
    defocus: Window | None,
    subpixel: bool,
    method: str = "mean",
    quality: NDArray[np.float64] | None = None,
    *,
    long_exposure: Stack | None = None,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> Iterator[tuple[str, Window, Stack]]:
    """Stack both stars from the same frames with the same shifts, and the long exposure.

    Parameters
    ----------
    calibrated : Frames
        Not shifted.
    shifts : ndarray, (n, 2)
        (dy, dx) in pixels, of the focused star.
    kept : ndarray of int
        Frames that are stacked; Fourier-lucky chooses among all that have a shift instead.
    focus, defocus : Window
        Where the stars are; what has no window is not stacked.
    subpixel : bool
        Whether frames are shifted by fractions of a pixel.
    method : str
        See `stack`. The long exposure is a mean always.
    quality : ndarray, (n,), optional
        Of all frames; only weights need it.
    long_exposure : Stack, optional
        Made if it is not known already.
    progress, executor
        See `napari_lucky.execution.blocks.map_blocks`.

    Yields
    ------
    name, window, stack
        "focus", "defocus" and "long_exposure": all frames with a star, in the focus window,
        unshifted.
    """
    work: dict[str, Any] = {"progress": progress, "executor": executor}
    everything = np.flatnonzero(np.isfinite(shifts).all(axis=1))
    index = everything if parse_stack(method).of_all else kept
    for name, window in (("focus", focus), ("defocus", defocus)):
        if window is not None:
            made = stack(
                calibrated,
                shifts,
                index,
                window,
                method,
                subpixel=subpixel,
                quality=quality,
                what=f"stacking {name}",
                **work,
            )
            yield name, window, made
    if focus is not None:
        if long_exposure is None:
            what = "stacking long exposure"
            long_exposure = stack_mean(calibrated, everything, focus, what=what, **work)
        yield "long_exposure", focus, long_exposure


def stack_step(
    window: Window, shifted: bool, subpixel: bool, count: int, method: str = "mean"
) -> Step:
    """Record a stack of frames in a window; the long exposure, not shifted, is a mean always."""
    by = parse_stack(method if shifted else "mean")
    parameters = {"method": by.name, **by.parameters, "window": window_numbers(window)}
    applied = {"shifted": shifted, "subpixel": shifted and subpixel}
    return Step("stack", {**parameters, "frames": count, **applied})
