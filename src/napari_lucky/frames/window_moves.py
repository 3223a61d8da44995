"""Frames seen through a window that follows a drifting star."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import Frames, Index, View, blank_frames, numbers_in
from napari_lucky.frames.reading import read_beyond
from napari_lucky.frames.window import Window

Moves = NDArray[np.intp]
Floats = NDArray[np.float64]
MARGIN = 8
"""A star nearer to the window's edge than this part of its side moves the window."""


@dataclass(frozen=True, eq=False)
class Followed(View):
    """Frames moved by whole pixels against the drift: followed[y, x] = frame[y + my, x + mx].

    A window of it is read from the sensor where the star is. Nothing is interpolated or
    wrapped; what comes from beyond the sensor is NaN.

    Parameters
    ----------
    frames : Frames
        In ADU.
    moves : ndarray of int, (n, 2)
        (my, mx) of each frame in pixels.
    """

    moves: Moves

    def __post_init__(self) -> None:
        if self.moves.shape != (self.frames.shape[0], 2):
            raise LuckyError(
                f"There are {len(self.moves)} shifts for {self.frames.shape[0]} frames; "
                "register this run, or choose the registration that belongs to it."
            )

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the frames asked for, (k, y, x), cut to the moved window."""
        window = window or Window.whole(self.shape)
        index = numbers_in(frames, self.shape[0])
        out = np.empty((len(index), *window.shape), np.float32)
        for part in _runs_of_equal(self.moves[index]):
            source = _moved(window, self.moves[index[part.start]])
            out[part] = read_beyond(self.frames, index[part], source)
        return out

    def blank(self, frames: Index, window: Window) -> NDArray[np.bool_]:
        """Return which frames have raw pixels all equal or NaN in the moved window."""
        index = numbers_in(frames, self.shape[0])
        out = np.ones(len(index), bool)
        for part in _runs_of_equal(self.moves[index]):
            inside = _moved(window, self.moves[index[part.start]]).clipped(self.shape)
            if 0 in inside.shape:
                continue
            out[part] = blank_frames(self.frames, index[part], inside)
        return out


def followed(frames: Frames, moves: Moves) -> Frames:
    """Return the frames moved against the drift, or the frames themselves if none moves."""
    return Followed(frames, moves) if moves.any() else frames


def moves_of(
    shifts: NDArray[np.float64],
    window: Window,
    reference: tuple[float, float] | None = None,
    shape: tuple[int, ...] | None = None,
) -> Moves:
    """Return by how many pixels the window moves in each frame to hold the star, (n, 2).

    If the star lands near the window's edge, the window is put around it, alike for all frames.
    Beyond that it moves only in frames where the star would come nearer to its edge than an
    eighth of its side, or than half as near as the reference is; then by the whole pixels of
    the shift, so that the star stands in it where the reference is. Where the reference is not
    known, all frames of a star that drifts are moved so.

    Parameters
    ----------
    shifts : ndarray of float64, (n, 2)
        (dy, dx) in pixels that bring each frame onto the reference; NaN moves nothing.
    window : Window
        Holds the reference.
    reference : tuple of float, optional
        (y, x) where the star lands, in pixels of the sensor; not used if not in the window.
    shape : tuple of int, optional
        Of the run; the window is not put around the star without it.
    """
    sides, corner = np.array(window.shape), np.array([window.y0, window.x0])
    steady = np.zeros(2, np.intp)
    lands = np.full(2, np.nan) if reference is None else np.array(reference) - corner
    if ((lands >= 0) & (lands < sides)).all():
        if shape is not None and not _inside(lands, window):
            steady = _put_around(window, lands, shape)
        lands = lands - steady
        low = np.minimum(sides / MARGIN, lands / 2)
        high = sides - np.minimum(sides / MARGIN, (sides - lands) / 2)
        places = lands - shifts
        far = ((places < low) | (places > high)).any(axis=1, keepdims=True)
    else:
        far = (np.abs(shifts) > sides * (0.5 - 1 / MARGIN)).any()
    moves = np.where(far, -np.floor(shifts + 0.5), 0)
    return np.where(np.isfinite(moves), moves, 0).astype(np.intp) + steady


def _put_around(window: Window, place: Floats, shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the pixels that bring a window's middle onto a place in it, staying on the sensor."""
    y, x = _whole(place - np.array(window.shape) // 2)
    moved = Window(window.y0 + int(y), window.x0 + int(x), *window.shape).moved_inside(shape)
    return np.array([moved.y0 - window.y0, moved.x0 - window.x0])


def _inside(points: NDArray[np.float64], focus: Window) -> NDArray[np.bool_]:
    """Return which points (y, x) in a window are not near to its edge."""
    side = np.array(focus.shape)
    return np.asarray((np.abs(points - side / 2) < side * (0.5 - 1 / MARGIN)).all(axis=-1))


def _whole(place: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.floor(place + 0.5).astype(np.intp)


def _moved(window: Window, move: Moves) -> Window:
    return Window(window.y0 + int(move[0]), window.x0 + int(move[1]), window.height, window.width)


def _runs_of_equal(moves: Moves) -> list[slice]:
    """Return the slices of frames in a row that move alike."""
    edges = np.flatnonzero((moves[1:] != moves[:-1]).any(axis=1)) + 1
    bounds = [0, *edges.tolist(), len(moves)]
    return [slice(a, b) for a, b in pairwise(bounds) if b > a]
