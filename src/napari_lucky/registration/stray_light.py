"""Frames in which other light, such as stray light or a satellite, leads off the star.

What the constants do is measured by ``benchmarks/stray_light.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from napari_lucky.frames.frames import Block, Frames, as_float32
from napari_lucky.frames.reading import read_beyond, spread_over
from napari_lucky.frames.window import Window

NEIGHBOURS = 8
"""Frames before and after, whose median point is the star's usual place."""
FEWEST = 8
"""Fewer frames do not show what is usual."""
APART, NEAREST = 5.0, 6.0
"""A point is off the star if it is so many times farther from the usual place than points usually
are, and than the smoothing so many times."""
CORE, CLOUD = 6.0, 2.0
"""Radius of the disc that holds most of the star's light: so many times the smoothing, which is
lambda/3D, or as far as points usually are from their usual place so many times."""
BETWEEN = 0.5
"""Of the way to the point: a wider disc would hold light of a star that has moved there."""
RING = 2.0
"""Outer radius of the ring around it whose median is the background, over the disc's."""
SAMPLE = 32
"""Frames, spread over the run, that give the usual light of the disc."""
PRESENT = 0.35
"""The star is at its usual place if the disc has this part of its usual light."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def led_astray(frames: Frames, focus: Window, points: Floats, smooth: float) -> Flags:
    """Return in which frames other light leads the tracking off the star, (n,).

    The tracked point is far from where it is in the frames before and after, but the star still
    shines there. A star that a gust has moved does not.

    Parameters
    ----------
    frames : Frames
        In ADU.
    focus : Window
        Its first pixel is the zero of the points.
    points : ndarray of float64, (n, 2)
        (y, x) of the tracked points; NaN where there is none.
    smooth : float
        Standard deviation of the smoothing in pixels.
    """
    out = np.zeros(len(points), bool)
    clear = np.flatnonzero(np.isfinite(points).all(axis=1))
    if len(clear) < FEWEST:
        return out
    places = _usual_places(points[clear])
    away = np.linalg.norm(points[clear] - places, axis=1)
    usual = float(np.median(away))
    off = away > max(APART * usual, NEAREST * max(smooth, 1.0))
    if not off.any() or off.all():
        return out
    radius = max(CORE * max(smooth, 1.0), CLOUD * usual)
    others = np.flatnonzero(~off)
    others = others[spread_over(len(others), SAMPLE)]
    corner = np.array([focus.y0, focus.x0])
    cuts = [_cut(frames, int(clear[k]), places[k] + corner, radius) for k in others]
    for k in np.flatnonzero(off):
        near = min(radius, BETWEEN * float(away[k]))
        usual_light = float(np.nanmedian([_light(*cut, near) for cut in cuts]))
        cut = _cut(frames, int(clear[k]), places[k] + corner, near)
        out[clear[k]] = _light(*cut, near) > PRESENT * usual_light
    return out


def _usual_places(points: Floats) -> Floats:
    """Return the median of each point and its neighbours."""
    near = min(NEIGHBOURS, (len(points) - 1) // 2)
    padded = np.pad(points, ((near, near), (0, 0)), mode="reflect")
    return np.asarray(np.median(sliding_window_view(padded, 2 * near + 1, axis=0), axis=-1))


def _cut(frames: Frames, frame: int, place: Floats, radius: float) -> tuple[Block, Floats]:
    """Return what is around a place on the sensor, (y, x), and how far its pixels are from it."""
    reach = int(np.ceil(RING * radius))
    y, x = np.floor(place + 0.5).astype(int)
    box = Window(int(y) - reach, int(x) - reach, 2 * reach + 1, 2 * reach + 1)
    image = as_float32(read_beyond(frames, np.array([frame]), box))[0]
    rows, columns = (np.arange(2 * reach + 1) - reach - rest for rest in place - (y, x))
    return image, np.hypot(rows[:, None], columns)


def mean_light(frames: Frames, frame: int, place: Floats, radius: float) -> float:
    """Return the mean light of a disc on the sensor over the median of the ring around it, ADU."""
    return _light(*_cut(frames, frame, place, radius), radius)


def _light(image: Block, distance: Floats, radius: float) -> float:
    """Return the mean light of a disc over the median of the ring around it, in ADU."""
    seen = np.isfinite(image)
    disc = seen & (distance <= radius)
    ring = seen & (distance > radius) & (distance <= RING * radius)
    if not disc.any() or not ring.any():
        return float("nan")
    return float(image[disc].mean() - np.median(image[ring]))
