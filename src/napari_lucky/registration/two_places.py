"""Two places of the brightest speckle: a neighbour that comes and goes, or a star that moves.

What the constants do is measured by ``benchmarks/stray_light.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import blocks_of
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window
from napari_lucky.imaging.star_image import levelled
from napari_lucky.registration.more_light import is_off, more_light_note, with_more_light

APART, NEAREST = 5.0, 6.0
"""Two places are that if they are so many times farther apart than points usually are from the
nearer one, and than the smoothing so many times. Those of a steady drift are 4 times."""
MEDOIDS, POINTS = 64, 2048
"""Points at most that are tried as the two places, and that they are tried on."""
SAMPLE = 32
"""Frames of each group, spread over it, whose light is compared."""
WIDTH = 1 / 6
"""Standard deviation, over the distance, of the Gaussian that weighs the light at a place."""
PRESENT, ABSENT = 0.5, 0.25
"""A star is at its place in the other frames with this part of its light or more, and is not
there with less than this part."""
MORE = 1.4
"""With a brighter neighbour a frame has so many times the light that it has without."""
SURE, SCATTER = 4.0, 1.86
"""Sigmas by which it is more; a median's error, over the median deviation, for one frame."""
JUMP, MOST_JUMPS = 12.0, 2
"""A jump is so many times as far as the usual step and as the smoothing; more are not reported."""
FEWEST = 4
"""Fewer frames are not enough to decide."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class TwoPlaces(NamedTuple):
    """What the frames show of two places of the brightest speckle.

    Parameters
    ----------
    neighbour : ndarray of bool, (n,)
        Frames in which a brighter neighbour was found instead of the star.
    note : tuple of str
        A sentence, where it is not clear which of the two is the star.
    double : bool
        Whether both are there in all frames, as a double star's are.
    at : ndarray of float64, (2, 2), optional
        (y, x) of the star and of its neighbour in the window, where that is known.
    both : ndarray of bool, (n,), optional
        Frames that show the neighbour, whichever of the two is brighter.
    more_light : tuple of str
        A sentence, where frames have more light than others, and may show a neighbour.
    """

    neighbour: Flags
    note: tuple[str, ...] = ()
    double: bool = False
    at: Floats | None = None
    both: Flags | None = None
    more_light: tuple[str, ...] = ()

    def alone(self, found: Floats) -> Floats:
        """Return what is found (n, 9), NaN in frames that show both; all if there are no others."""
        if self.both is None or not np.isfinite(found[~self.both, 2]).any():
            return found
        return np.where(self.both[:, None], np.nan, found)

    def at_neighbour(self, points: Floats) -> Flags:
        """Return which points (n, 2) in the window are nearer to the neighbour than to the star."""
        if self.at is None:
            return np.zeros(len(points), bool)
        to_star, to_other = np.linalg.norm(points - self.at[:, None], axis=2)
        return np.asarray(to_other < to_star)


def find_two_places(
    frames: Frames, focus: Window, points: Floats, light: Floats, smooth: float
) -> TwoPlaces:
    """Return whether the brightest speckle is at two places because of a brighter neighbour.

    The frames are parted by which place is nearer. In turbulence a single frame shows little,
    but the mean of each group shows whether a star is at the other place, too. A star that is
    there in both groups is *the* star; what is there only in the brighter group is a
    neighbour. A star that is gone from its place in the other group has moved. Where both are
    there in both groups, it is a double star, or a neighbour that is hardly brighter.

    Where the star shakes about as far as a neighbour is away, the frames are parted by their light:
    if few have clearly more, and the brightest speckle is elsewhere in these, that is a neighbour.

    Parameters
    ----------
    frames : Frames
        In ADU.
    focus : Window
        Holds the star.
    points : ndarray of float64, (n, 2)
        (y, x) of the brightest speckles in this window; NaN where there is none.
    light : ndarray of float64, (n,)
        Around them, ADU.
    smooth : float
        Standard deviation of the smoothing in pixels.
    """
    none = np.zeros(len(points), bool)
    clear = np.flatnonzero(np.isfinite(points).all(axis=1))
    if len(clear) < FEWEST:
        return TwoPlaces(none)
    places = _two_places(points[clear])
    away = np.linalg.norm(points[clear, None] - places, axis=2)
    distance = float(np.linalg.norm(places[1] - places[0]))
    usual = float(np.median(away.min(axis=1)))
    if distance < max(APART * usual, NEAREST * max(smooth, 1.0)):
        beside = _beside(frames, points, light)
        if beside.neighbour.any():
            return beside
        return beside._replace(note=_jump_note(clear, points[clear], smooth))
    group = away.argmin(axis=1)
    there, least = np.empty((2, 2)), np.empty(2)
    total, spread, count = np.empty((3, 2))
    for k in range(2):
        some = clear[group == k]
        some = some[spread_over(len(some), SAMPLE)]
        each, every = _light_at(frames, focus, some, places, WIDTH * distance)
        there[k], total[k] = each.mean(axis=0), np.median(every)
        spread[k], count[k] = np.median(np.abs(every - total[k])), len(every)
        least[k] = (each[:, 1 - k] / each[:, k]).min()
    unsure = SCATTER * spread.max() * (1 / count).sum() ** 0.5  # of a difference of medians
    for star, other in ((0, 1), (1, 0)):
        more = total[other] - total[star] > SURE * unsure
        if more and _is_neighbour(there, total, star, other):
            none[clear[group == other]] = True
            each, _ = _light_at(frames, focus, clear, places, WIDTH * distance)
            part = each[:, other] / each.sum(axis=1)
            middles = [float(np.median(part[group == k])) for k in (0, 1)]
            both = np.zeros(len(points), bool)
            both[clear] = part > np.mean(middles)
            return TwoPlaces(none, at=places[[star, other]], both=both)
    both = there[0, 1] * there[1, 0] / (there[0, 0] * there[1, 1])
    if both < ABSENT**2:
        return TwoPlaces(none)  # it has moved
    beside = _beside(frames, points, light)
    if beside.neighbour.any():
        return beside
    fewer = min(np.count_nonzero(group == 0), np.count_nonzero(group == 1))
    return TwoPlaces(
        none,
        (
            f"In {fewer} of {len(clear)} frames the brightest point is about {distance:.0f} px "
            "from where it is in the others: two stars, or a star that jumps. Look at these "
            "frames; draw the focus window around one star, or leave the frames out.",
        ),
        double=bool(both > PRESENT**2 and least.min() > ABSENT),
        more_light=beside.more_light,
    )


def _beside(frames: Frames, points: Floats, light: Floats) -> TwoPlaces:
    """Return frames with a neighbour by their light, or a sentence where it may be one."""
    more = with_more_light(np.where(np.isfinite(points[:, 0]), light, np.nan))
    if more.any() and is_off(points, more):
        return TwoPlaces(more)
    return TwoPlaces(np.zeros_like(more), more_light=more_light_note(frames, light, more))


def _jump_note(frames: NDArray[np.intp], points: Floats, smooth: float) -> tuple[str, ...]:
    """Return a sentence if the brightest point jumps once, or hardly more often."""
    step = np.linalg.norm(np.diff(points, axis=0), axis=1)
    far = step > JUMP * max(float(np.median(step)), smooth, 1.0)
    jumps = np.flatnonzero(far & (np.diff(frames) == 1))
    if len(jumps) == 0 or len(jumps) > MOST_JUMPS:
        return ()
    first = jumps[0]
    return (
        f"From frame {frames[first]} to the next the brightest point jumps by {step[first]:.0f} "
        "px: a star that jumps, or another one. Look at these frames; draw the focus window "
        "around one star.",
    )


def _two_places(points: Floats) -> Floats:
    """Return the two of the points that all are nearest to, (2, 2), by the sum of distances."""
    some = points[spread_over(len(points), POINTS)]
    tried = points[spread_over(len(points), MEDOIDS)]
    away = np.linalg.norm(some[:, None] - tried, axis=2)
    total = np.array([np.minimum(away, one[:, None]).sum(axis=0) for one in away.T])
    first, second = np.unravel_index(int(total.argmin()), total.shape)
    return np.asarray(tried[[first, second]])


def _light_at(
    frames: Frames, focus: Window, index: NDArray[np.intp], places: Floats, width: float
) -> tuple[Floats, Floats]:
    """Return the light at two places, (k, 2), and all light in the window, (k,), in ADU."""
    rows, columns = (np.arange(side) for side in focus.shape)
    y, x = (
        np.exp(-((along - at[:, None]) ** 2) / (2 * width**2)).astype(np.float32)
        for along, at in zip((rows, columns), places.T, strict=True)
    )
    at_places, every = [], []
    for part in blocks_of(len(index), focus.height * focus.width):
        light = np.nan_to_num(levelled(as_float32(frames.read(index[part], focus))))
        at_places.append(np.einsum("kpx,px->kp", y @ light, x, dtype=np.float64))
        every.append(light.sum(axis=(1, 2)))
    return np.concatenate(at_places), np.concatenate(every)


def _is_neighbour(light: Floats, total: Floats, star: int, other: int) -> bool:
    """Return whether the group `other` shows a neighbour besides the star."""
    stays = light[other, star] / light[star, star]
    was = light[star, other] / light[other, other]
    beside = light[other, star] / light[other, other]  # in the same frames: clouds do not count
    before = light[star, other] / light[star, star]
    return bool(
        stays > PRESENT
        and was < ABSENT
        and before < beside / 2
        and total[other] > MORE * total[star]
    )
