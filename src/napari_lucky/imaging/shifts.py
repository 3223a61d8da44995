"""Frames moved by their shifts, read from the sensor where they come from.

What the constants do is measured by ``benchmarks/speed.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import Frames, Index, View, chain_of, numbers_in
from napari_lucky.frames.reading import read_beyond
from napari_lucky.frames.window import Window
from napari_lucky.imaging.interpolation import MARGIN, interpolate_frames


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
        index = numbers_in(frames, self.shape[0])
        whole, rest = whole_and_rest(self.shifts[index])
        if not self.subpixel:
            rest[:] = 0
        some = np.flatnonzero(self._seen(whole, window))
        between = rest[some].any(axis=1)
        groups = [
            (reach, group[part])
            for reach, group in ((0, some[~between]), (MARGIN, some[between]))
            for part in _near(whole[group])
        ]

        def moved(reach: int, members: NDArray[np.intp]) -> NDArray[np.float32]:
            images = self._sources(index[members], whole[members], window, reach)
            return interpolate_frames(images, rest[members]) if reach else images

        if len(groups) == 1 and len(some) == len(index):  # as a rule: nothing to put together
            return moved(*groups[0])
        out = np.full((len(index), *window.shape), np.nan, np.float32)
        for reach, members in groups:
            out[members] = moved(reach, members)
        return out

    def _seen(self, whole: NDArray[np.float64], window: Window) -> NDArray[np.bool_]:
        """Return which frames have a shift, and pixels of the sensor in the window."""
        first, last = np.array([window.y0, window.x0]), np.array([window.y1, window.x1])
        seen = (last - whole > 0) & (first - whole < self.shape[1:])
        return np.asarray(seen.all(axis=1) & np.isfinite(whole).all(axis=1))

    def _sources(
        self, index: NDArray[np.intp], whole: NDArray[np.float64], window: Window, reach: int
    ) -> NDArray[np.float32]:
        """Return the pixels that land in the window, with a margin, (k, y, x): one read for all."""
        y0 = window.y0 - whole[:, 0].astype(int) - reach
        x0 = window.x0 - whole[:, 1].astype(int) - reach
        height, width = window.grown(reach).shape
        around = Window(
            int(y0.min()), int(x0.min()), int(np.ptp(y0)) + height, int(np.ptp(x0)) + width
        )
        block = read_beyond(self.frames, index, around)
        y0, x0 = y0 - around.y0, x0 - around.x0
        out = np.empty((len(index), height, width), np.float32)
        for image, pixels, y, x in zip(out, block, y0, x0, strict=True):
            image[:] = pixels[y : y + height, x : x + width]
        return out


SPREAD = 32
"""Pixels by which shifts may differ on an axis for frames to be read in one window."""


def _near(whole: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Return groups of frames whose shifts are alike, so that one window holds them all."""
    if len(whole) == 0:
        return []
    if (np.ptp(whole, axis=0) <= SPREAD).all():
        return [np.arange(len(whole))]
    _, cell = np.unique(whole // SPREAD, axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    return [np.flatnonzero(cell == k) for k in range(cell.max() + 1)]


def whole_and_rest(
    shifts: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the whole pixels of shifts, and what is left, between −1/2 and 1/2."""
    whole = np.floor(shifts + 0.5)
    return whole, shifts - whole


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
