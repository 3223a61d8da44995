"""Another star in the window: beside the one that is tracked, or instead of it.

What the constants do is measured by ``benchmarks/finding.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.reading import read_beyond, spread_over
from napari_lucky.frames.window import Window
from napari_lucky.imaging.convolution import gaussian
from napari_lucky.imaging.star_image import border, levelled
from napari_lucky.notices import info
from napari_lucky.registration.stray_light import CORE, mean_light
from napari_lucky.text import percent

SAMPLE, FEWEST = 24, 8
"""Frames at most, spread over the run, and at least, in which another star is looked for."""
BEYOND = 9.0
"""Over the smoothing, which is lambda/3D: nearer places may be the star's speckles."""
DARK_RING = 3.7
"""Of the tracked star, over the smoothing: what is uphill of a place and nearer is the star."""
COMPARABLE, MOST = 0.35, 0.6
"""Part of the tracked star's light, in this part of the frames, that another one has."""

PARTS = 16
"""Of the window's border, whose mean light is that of the sky, in most of them."""
CLOUD = 2.0
"""Over the smoothing: the means are smoothed so, in which it is looked for."""

Floats = NDArray[np.float64]


def second_star_notes(
    frames: Frames, focus: Window, points: Floats, smooth: float
) -> tuple[str, ...]:
    """Return a sentence if another star stands in the window; nothing otherwise.

    It is looked for in the mean of the frames moved onto the tracked point, for one that moves
    alike, and in the mean of the frames as they are, for one that stands still while another is
    tracked. Then it must be in most frames, with a disc brighter than the ring around it: the
    halo of a star in turbulence has no such place.

    Parameters
    ----------
    frames : Frames
        In ADU, not moved.
    focus : Window
        What is looked at.
    points : ndarray of float64, (n, 2)
        (y, x) of the tracked points on the sensor; NaN where there is none.
    smooth : float
        Standard deviation of the smoothing in pixels.
    """
    found = np.flatnonzero(np.isfinite(points).all(axis=1))
    if len(found) < FEWEST:
        return ()
    sample = found[spread_over(len(found), SAMPLE)]
    at, smooth = points[sample], max(smooth, 1.0)
    moved, still = np.zeros(focus.shape, np.float32), np.zeros(focus.shape, np.float32)
    sky = np.zeros(len(sample))  # over its median
    for k, (frame, (y, x)) in enumerate(zip(sample, np.floor(at + 0.5).astype(int), strict=True)):
        box = Window(int(y) - focus.height // 2, int(x) - focus.width // 2, *focus.shape)
        for mean, window in ((moved, box), (still, focus)):
            image = levelled(as_float32(read_beyond(frames, np.array([frame]), window)))[0]
            mean += np.nan_to_num(image) / len(sample)
        parts = np.array_split(np.nan_to_num(image[border(focus.shape)]), PARTS)
        sky[k] = np.median([part.mean() for part in parts])
    middle, corner = np.array(focus.shape) // 2, np.array([focus.y0, focus.x0])
    beside = _highest(moved, smooth, middle) - middle
    other = _highest(still, smooth) + corner

    def shares(places: Floats) -> Floats:
        return np.array(
            [
                _share(frames, int(k), place, star, smooth, dark)
                for k, place, star, dark in zip(sample, places, at, sky, strict=True)
            ]
        )

    if _is_there(shares(at + beside)):
        beside = (
            _climbed(gaussian(moved[np.newaxis], smooth, "constant")[0], beside + middle) - middle
        )
        apart, share = np.hypot(*beside), shares(at + beside)
        if apart <= DARK_RING * smooth or not _is_there(share):
            return ()  # the wing of what is nearer than can be told
        y, x = beside
        return (
            info(
                f"Another star is {apart:.0f} px from the one that is tracked ({y:+.0f} "
                f"in y, {x:+.0f} in x), with about {percent(np.nanmedian(share), '.0f')} of its "
                "light."
            ),
        )
    away = np.linalg.norm(at - other, axis=1) > BEYOND * smooth
    if _is_there(np.where(away, shares(np.broadcast_to(other, at.shape)), 0)):
        return (
            f"In {np.count_nonzero(away)} of {len(sample)} frames looked at, another star is "
            f"tracked than the one that stands still at row {other[0]:.0f}, column "
            f"{other[1]:.0f}. Draw the focus window around one star, or leave these frames out.",
        )
    return ()


def _highest(
    mean: NDArray[np.float32], smooth: float, off: NDArray[np.intp] | None = None
) -> Floats:
    """Return the brightest place (y, x) of a mean image; not near to `off` if that is given."""
    even = gaussian(mean[np.newaxis], CLOUD * smooth, "constant")[0]
    if off is not None:
        rows, columns = (np.arange(side) - at for side, at in zip(mean.shape, off, strict=True))
        even = np.where(np.hypot(rows[:, None], columns) > BEYOND * smooth, even, -np.inf)
    return np.array(np.unravel_index(int(even.argmax()), mean.shape), np.float64)


def _climbed(image: NDArray[np.float32], place: Floats) -> Floats:
    """Return the maximum of an image that is uphill of a place (y, x): pixel by pixel."""
    y, x = (int(at) for at in place)
    while True:
        first = max(y - 1, 0), max(x - 1, 0)
        near = image[first[0] : y + 2, first[1] : x + 2]
        down, across = np.unravel_index(int(near.argmax()), near.shape)
        if image[y, x] >= near[down, across]:
            return np.array([y, x], np.float64)
        y, x = first[0] + int(down), first[1] + int(across)


def _share(
    frames: Frames, frame: int, place: Floats, star: Floats, smooth: float, sky: float
) -> float:
    """Return the light at a place over that of the star, in discs that do not overlap.

    None is there if it is no more than twice the sky's, which is over 0 if noise is cut off at 0.
    """
    apart = float(np.linalg.norm(place - star))
    radius = min(CORE * smooth, apart / 2)
    light = mean_light(frames, frame, place, radius), mean_light(frames, frame, star, radius)
    if light[0] <= 2 * sky:
        return 0.0
    return light[0] / light[1] if light[1] > 0 else float("nan")


def _is_there(share: Floats) -> bool:
    """Return whether a place has a comparable part of the star's light in most frames."""
    return bool(np.count_nonzero(share > COMPARABLE) > MOST * np.isfinite(share).sum() > 0)
