"""The window that follows a star which drifts out of it, by whole pixels.

What the constants do is measured by ``benchmarks/registration.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.window import MIN_SIDE, Window
from napari_lucky.frames.window_moves import MARGIN, Floats, Moves, _inside, _put_around, _whole
from napari_lucky.imaging.brightest_speckle import track_brightest
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.significance import least_significance

VOTES = 3
"""The star's place is the median over so many frames: no single frame moves the window."""
TRAIL = 12
"""Its drift, by which it is looked for where it is lost, is that over so many frames; while they
are fewer, it is not looked for after a cloud that is longer."""
FAINTEST = 0.25
"""Frames whose peak is under this fraction of the usual one have no say."""


def centred_on(
    focus: Window, found: NDArray[np.float64], smooth: float, shape: tuple[int, int, int]
) -> NDArray[np.intp]:
    """Return by how many pixels to move a window that has the star near its edge, (2,).

    The star is then on the window's middle, or as near to it as the sensor allows. (0, 0) where
    the window holds the star well already.

    Parameters
    ----------
    focus : Window
        Holds the star in some frames.
    found : ndarray of float64, (n, 9)
        From `track_brightest` in this window.
    smooth : float
        Standard deviation of the smoothing in pixels.
    shape : tuple of int
        Of the run.
    """
    stay = np.zeros(2, np.intp)
    peak = _clear_peaks(found, focus, smooth)
    bright = peak >= FAINTEST * _running_median(peak).max()
    if not peak.any() or _inside(found[bright, :2], focus).all():
        return stay
    place = np.median(found[bright, :2], axis=0)
    if (np.abs(place - np.array(focus.shape) / 2) <= np.array(focus.shape) / MARGIN).all():
        return stay
    return _put_around(focus, place, shape)


def reference_of(points: NDArray[np.float64], focus: Window) -> tuple[float, float]:
    """Return where the tracked points (n, 2) shall land: (y, x) of a whole pixel.

    A star that stays is not moved: it is the median of its points on the sensor. Where that
    is not in the window, because the star drifts, it is the median of the points that are.
    """
    points = points[np.isfinite(points).all(axis=1)]
    corner, sides = np.array([focus.y0, focus.x0]), np.array(focus.shape)
    middle = np.median(points, axis=0)
    if not (np.abs(middle - corner - (sides - 1) / 2) <= sides / 2).all():
        near = points[(np.abs(points - corner - (sides - 1) / 2) <= sides / 2).all(axis=1)]
        middle = np.median(near, axis=0) if len(near) else corner + sides // 2
    y, x = np.floor(middle + 0.5)
    return float(y), float(x)


def follow(
    frames: Frames,
    focus: Window,
    found: NDArray[np.float64],
    smooth: float,
    noise: Noise | None = None,
    *,
    job: Job = QUIET,
) -> tuple[Moves, NDArray[np.float64]]:
    """Follow a star that leaves its window, from the frames that show it best.

    From there on, forward and back, the star's running place (the median over the last
    frames) is watched. Where it comes near to the edge, the window moves with it, and the star is
    looked for only within a quarter of the window's side of where it was: a brighter
    neighbour that comes into the moved window is not taken for it.

    Parameters
    ----------
    frames : Frames
        Calibrated, in ADU.
    focus : Window
        Holds the star in some frames.
    found : ndarray of float64, (n, 9)
        From `track_brightest` in the unmoved window.
    smooth : float
        Standard deviation of the smoothing in pixels.
    noise : Noise, optional
        For the errors.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    moves : ndarray of int, (n, 2)
        All 0 if the star stays in its window, or else those that put it on the middle.
    found : ndarray of float64, (n, 9)
        The same, y and x in pixels of the moved window.
    """
    n = len(found)
    corner, centre = np.array([focus.y0, focus.x0]), np.array(focus.shape) // 2
    side = max(MIN_SIDE, min(focus.shape) // 2)
    # the best of some frames in a row, so that no cosmic ray begins it
    peak = _clear_peaks(found, focus, smooth)
    steady = _running_median(peak)
    steady[~_inside(found[:, :2], focus)] = 0
    first, least = int(np.argmax(steady)), FAINTEST * steady.max()
    seen = found.copy()
    seen[:, :2] += corner  # on the sensor
    places = seen[:, :2].copy()
    leaves = False

    bright = peak >= least
    if least > 0 and _inside(found[bright, :2], focus).all():
        return np.zeros((n, 2), np.intp), found  # no median of such points is near the edge

    def look(frame: int, place: Floats) -> Floats:
        made = _look(frames, frame, place, side, smooth, noise)
        peak[frame] = _clear_peaks(made[np.newaxis], focus, smooth)[0]
        return made

    if least > 0:
        for order in (np.arange(first, n), np.arange(first - 1, -1, -1)):
            leaves |= _follow_one_way(focus, seen, peak, places, order, least, look, job)
    if not leaves:
        return np.zeros((n, 2), np.intp), found
    moves = np.where(np.isfinite(places), np.floor(places - corner - centre + 0.5), 0)
    moves = moves.astype(np.intp)
    return moves, np.column_stack([seen[:, :2] - corner - moves, seen[:, 2:]])


def _clear_peaks(found: Floats, focus: Window, smooth: float) -> Floats:
    """Return the peaks that are not noise, (n,); 0 for others."""
    noise = found[:, 5] < least_significance(focus, smooth)
    return np.where(noise, 0, np.nan_to_num(found[:, 2]))


def _running_median(values: Floats) -> Floats:
    """Return the median of each value and its neighbours, `VOTES` in all."""
    if len(values) < VOTES:
        return values.copy()
    padded = np.pad(values, VOTES // 2, mode="edge")
    return np.asarray(np.median(sliding_window_view(padded, VOTES), axis=1))


def _follow_one_way(
    focus: Window,
    seen: NDArray[np.float64],
    peak: NDArray[np.float64],
    places: NDArray[np.float64],
    order: NDArray[np.intp],
    least: float,
    look: Callable[[int, Floats], Floats],
    job: Job,
) -> bool:
    """Follow the star through frames in an order, and return whether it leaves its window.

    What is seen (y, x on the sensor, peak) is corrected in place where it leaves, and so are
    its clear peaks and the star's place: its running place in frames that do not show it. Where
    it is not there, it is looked for where its drift has brought it. A star that was found well
    inside the window counts where there is none at the running place; but for one that was there
    when the star was not: a neighbour.
    """
    corner = np.array([focus.y0, focus.x0])
    inside = (peak >= least) & _inside(seen[:, :2] - corner, focus)
    leaves = False
    last: deque[NDArray[np.float64]] = deque(maxlen=VOTES)
    trail: deque[tuple[int, float, float]] = deque(maxlen=TRAIL)
    neighbours: list[Floats] = []

    def look_again(frame: int, running: Floats) -> None:
        found, height, near = seen[frame].copy(), peak[frame], min(focus.shape) / 4
        seen[frame] = look(frame, running)
        if peak[frame] < least and known(frame):  # it may have drifted on, or behind a cloud
            when, *where = np.array(trail).T
            ahead = look(
                frame, np.array([np.polyval(np.polyfit(when, at, 1), frame) for at in where])
            )
            if peak[frame] >= least:
                seen[frame] = ahead
        if not inside[frame]:
            return
        there = np.abs(seen[frame, :2] - running).max() <= near or peak[frame] >= height
        if peak[frame] >= least and there:
            if np.abs(found[:2] - seen[frame, :2]).max() > near:
                neighbours.append(found[:2])
        elif not any(np.abs(found[:2] - place).max() <= near for place in neighbours[-VOTES:]):
            seen[frame], peak[frame] = found, height

    def known(frame: int) -> bool:
        gone = abs(frame - trail[-1][0]) if len(trail) > 1 else np.inf
        return len(trail) == TRAIL or gone <= len(trail)

    for done, frame in enumerate(order):
        if leaves:
            look_again(int(frame), np.median(last, axis=0))
            if done % 16 == 0:
                job.progress(done, len(order), "following the star")
        if peak[frame] >= least:
            last.append(seen[frame, :2].copy())
            trail.append((int(frame), *seen[frame, :2]))
        running = np.median(last, axis=0) if last else np.full(2, np.nan)
        gone = running if peak[frame] >= least or not last else last[-1]  # a fast one: at once
        if last and not leaves and not _inside(gone - corner, focus):
            leaves = True
            for before in order[max(0, done - VOTES) : done + 1]:  # the edge may cut them already
                look_again(int(before), running)
                places[before] = seen[before, :2]
        places[frame] = seen[frame, :2] if peak[frame] >= least else running
    return leaves


def _look(
    frames: Frames, frame: int, place: Floats, side: int, smooth: float, noise: Noise | None
) -> Floats:
    """Return what `track_brightest` finds near a place, y and x on the sensor."""
    for _ in range(2):  # the second time from where it is, so that no edge cuts it
        around = _centred(place, side)
        on = around.clipped(frames.shape)
        if min(on.shape) <= 0:
            return np.full(9, np.nan)  # its drift has brought it off the sensor
        if min(on.shape) < MIN_SIDE:
            on = around.moved_inside(frames.shape)
        block = as_float32(frames.read(np.array([frame]), on))
        found = track_brightest(block, smooth, noise)[0]
        found[:2] += (on.y0, on.x0)
        if not np.abs(found[:2] - place).max() > side / 4:
            break
        place = found[:2]
    return np.asarray(found)


def _centred(place: NDArray[np.float64], side: int) -> Window:
    y, x = _whole(place)
    return Window.centred(int(y), int(x), side)
