"""Brightest speckles that are not the star's, or not wholly, and why frames are left out.

What the constants do is measured by ``benchmarks/stray_light.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.reading import read_beyond, spread_over
from napari_lucky.frames.window import MIN_SIDE, Window
from napari_lucky.frames.window_moves import Moves, _inside, _moved, _whole
from napari_lucky.imaging.brightest_speckle import track_brightest
from napari_lucky.imaging.star_image import background

COSMIC = "a cosmic ray outshines the star, or has hit its core"
NEIGHBOUR = "a brighter neighbour is there besides the star"
CUT = "the star is cut by the sensor's edge"
BEYOND = "the star is beyond the focus window's edge"
MASKED = "most of the star's light is masked"
ASTRAY = "stray light, a satellite or another object draws the tracking off the star"

LEAST_CORE, MOST_CORE = 1.5, 4.0
"""Half the width of a speckle at half its peak, over the smoothing, which is lambda/3D."""
LEAST_LIGHT = 0.5
"""A star near the sensor's edge with less than this part of the usual light is cut."""
SAMPLE = 32
"""Frames, spread over the run, that give the usual light."""
DIM, HOLE = 0.25, 0.25
"""Under this part of the usual peak, a speckle may be only what masked pixels have left of the
star; they are then this part of the pixels around it."""
WING, BRIGHTER = 0.5, 2.0
"""Near the window's edge a speckle under this part of the usual peak may be the wing of a star
beyond it, which then is so many times brighter."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def cut_by_edge(
    frames: Frames, focus: Window, points: Floats, sharp: Floats, smooth: float
) -> Flags:
    """Return in which frames the star is cut by the sensor's edge, (n,).

    A star counts while its core is on the sensor: the brightest speckle's light over half its
    peak. It must also have half the light that it usually has in the window: else what was
    found is only the brightest of the speckles that are left.

    Parameters
    ----------
    frames : Frames
        In ADU, not moved.
    focus : Window
        Its size is that of the window around the star.
    points : ndarray of float64, (n, 2)
        (y, x) of the brightest speckles on the sensor; NaN where there is none.
    sharp : ndarray of float64, (n,)
        Their sharpness, from `track_brightest`, which shows how wide they are.
    smooth : float
        Standard deviation of the smoothing in pixels.
    """
    with np.errstate(invalid="ignore"):
        low, high = points + 0.5, np.array(frames.shape[1:]) - 0.5 - points
        room = np.minimum(low, high).min(axis=1)
        out = np.asarray(room < _core(sharp, smooth))
        near = np.flatnonzero(~out & (room < min(focus.shape) / 4))
    if len(near) == 0:
        return out
    others = np.setdiff1d(np.flatnonzero(np.isfinite(room) & ~out), near)
    if len(others) == 0:
        return out
    usual = np.median(
        _light_around(frames, focus, points, others[spread_over(len(others), SAMPLE)])
    )
    out[near] = _light_around(frames, focus, points, near) < LEAST_LIGHT * usual
    return out


def beyond_window(
    frames: Frames, focus: Window, found: Floats, moves: Moves, smooth: float
) -> Flags:
    """Return in which frames the star is outside its window, and only a wing of it inside, (n,).

    Parameters
    ----------
    frames : Frames
        In ADU, not moved.
    focus : Window
        Of the star.
    found : ndarray of float64, (n, 9)
        From `track_brightest` in the moved window.
    moves : ndarray of int, (n, 2)
        How the window has moved.
    smooth : float
        Standard deviation of the smoothing in pixels.
    """
    out = np.zeros(len(found), bool)
    inside = _inside(found[:, :2], focus)
    if not inside.any():
        return out
    faint = found[:, 2] < WING * np.median(found[inside, 2])
    side = max(MIN_SIDE, min(focus.shape) // 2)
    for frame in np.flatnonzero(faint & ~inside):
        window = _moved(focus, moves[frame])
        y, x = _whole(found[frame, :2]) + np.array([window.y0, window.x0])
        around = Window.centred(int(y), int(x), side).clipped(frames.shape)
        near = track_brightest(as_float32(frames.read(np.array([frame]), around)), smooth)[0]
        place = near[:2] + np.array([around.y0 - window.y0, around.x0 - window.x0])
        outside = ((place < -0.5) | (place > np.array(focus.shape) - 0.5)).any()
        out[frame] = outside and near[2] > BRIGHTER * found[frame, 2]
    return out


def masked_stars(frames: Frames, points: Floats, peak: Floats, smooth: float) -> Flags:
    """Return in which frames most of the star is masked, and only the rest was found, (n,).

    Parameters
    ----------
    frames : Frames
        In ADU, not moved.
    points : ndarray of float64, (n, 2)
        (y, x) of the brightest speckles on the sensor; NaN where there is none.
    peak : ndarray of float64, (n,)
        Their light.
    smooth : float
        Standard deviation of the smoothing, λ/3D, in pixels.
    """
    out = np.zeros(len(points), bool)
    with np.errstate(invalid="ignore"):
        dim = np.flatnonzero((peak < DIM * np.nanmedian(peak)) & np.isfinite(points[:, 0]))
    out[dim] = masked_parts(frames, dim, points[dim], 3 * smooth) > HOLE
    return out


def masked_parts(
    frames: Frames, index: NDArray[np.intp], points: Floats, radius: float
) -> NDArray[np.float64]:
    """Return which part of the pixels around a point in each frame is masked, (k,)."""
    out = np.zeros(len(index))
    side = 2 * int(np.ceil(max(radius, 1.0))) + 1
    for k, (frame, point) in enumerate(zip(index, points, strict=True)):
        y, x = _whole(point)
        around = Window.centred(int(y), int(x), side).clipped(frames.shape)
        if min(around.shape) > 0:
            out[k] = np.mean(~np.isfinite(frames.read(np.array([frame]), around)))
    return out


def _core(sharp: Floats, smooth: float) -> float:
    """Return half the width of a speckle at half its peak in pixels.

    Smoothing takes a Gaussian's peak down by 1 + (smooth / sigma)².
    """
    if not np.isfinite(sharp).any():
        return LEAST_CORE * smooth
    lost = max(float(np.nanmedian(sharp)) - 1, 1e-3)
    return float(np.clip(1.18 * smooth / lost**0.5, LEAST_CORE * smooth, MOST_CORE * smooth))


def _light_around(frames: Frames, focus: Window, points: Floats, index: NDArray[np.intp]) -> Floats:
    """Return the light in windows around points, in ADU, (k,)."""
    out = np.empty(len(index))
    side = min(focus.shape) // 2
    for k, frame in enumerate(index):
        y, x = np.rint(points[frame]).astype(int)
        block = read_beyond(frames, np.array([frame]), Window.centred(int(y), int(x), side))
        out[k] = np.nansum(block - background(block)[:, None, None])
    return out
