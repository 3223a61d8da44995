"""Hot pixels beside a star's middle: they stand out of their neighbours in every frame.

What the constants do is measured by ``benchmarks/masks.py``.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Frames, as_float32, is_empty
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window
from napari_lucky.imaging.fine_detail import star_covariance
from napari_lucky.imaging.inpainting import fill_by_kriging

Pixels = tuple[tuple[int, int], ...]
SINGLES: tuple[Pixels, ...] = (((0, 0),),)
PAIRS: tuple[Pixels, ...] = (
    ((0, 0), (0, 1)),
    ((0, 0), (1, 0)),
    ((0, 0), (1, 1)),
    ((0, 1), (1, 0)),
)
THREES: tuple[Pixels, ...] = (
    ((0, 0), (0, 1), (1, 0)),
    ((0, 0), (0, 1), (1, 1)),
    ((0, 0), (1, 0), (1, 1)),
    ((0, 1), (1, 0), (1, 1)),
    ((0, 0), (0, 1), (0, 2)),
    ((0, 0), (1, 0), (2, 0)),
)
GROUPS = SINGLES + PAIRS + THREES
"""Pixels that may be hot together, (y, x)."""
STANDS_OUT = {1: 0.28, 2: 0.4, 3: 0.25}
"""Of the peak, for so many pixels together: of a star of 1.5 px per lambda/D they have less."""
REACH, NEAR = 3, 3
"""Pixels from the star's middle that are looked at, and from those, neighbours they go by."""
MIDDLE = REACH + NEAR + 2
"""Place of the star's middle in what is cut out around it."""
SAMPLE, FEWEST = 24, 6
"""Frames at most, spread over the run, and at least, that are looked at."""
MOST = 4
"""Groups of a sensor that are masked."""
CERTAIN = 6.5
"""Standard errors of the mean over frames that it is over 0."""
STEADY = 0.5
"""It varies so many times as much as the star's light there, at most, both over their means."""
ALIKE = 0.9
"""Part of what the best group stands out by; the smallest such group is taken."""
LIT, UNLIKE = 0.05, 0.55
"""Cells of 2 x 2 with so much of the brightest one's light show a mosaic's colours, which differ by
so much of their mean. Of stars with and without hot pixels that is 0.51 at most, of mosaics with
gains of 0.4 to 0.6 beside 1 it is 0.55 at least from 3 px per lambda/D on."""


class HotInStar(NamedTuple):
    """Hot pixels (y, x) on the sensor, by how many ADU, and whether the star varies beside them."""

    pixels: list[tuple[int, int]]
    height: float
    star_varies: bool

    @property
    def places(self) -> tuple[list[int], list[int]]:
        """Rows and columns."""
        return [y for y, _ in self.pixels], [x for _, x in self.pixels]


def mask_in_star(frames: Frames, mean: NDArray[np.float32], found: NDArray[np.bool_]) -> None:
    """Mask what is hot beside the brightest place of a sensor, where light around it varies.

    Parameters
    ----------
    frames : Frames
        In ADU, without a dark.
    mean : ndarray, (y, x)
        Of frames.
    found : ndarray of bool, (y, x)
        What is hot already; the others are added.
    """
    for _ in range(MOST):
        light = np.where(found | np.isnan(mean), -np.inf, mean)
        y, x = np.unravel_index(int(light.argmax()), light.shape)
        hot = hot_in_star(frames, (int(y), int(x)))
        if hot is None or not hot.star_varies or found[hot.places].all():
            return
        found[hot.places] = True


def hot_in_star(frames: Frames, place: tuple[int, int]) -> HotInStar | None:
    """Look for up to three pixels near a star's middle that stand out of their neighbours.

    Light through a telescope has no detail finer than lambda/D, so a pixel can be told from those
    around it (kriging, with the covariance of an aberration-free star), but for a hot one. What it
    has more than that stays, while the star moves and its speckles change.

    Parameters
    ----------
    frames : Frames
        In ADU, without a dark.
    place : tuple of int
        (y, x) of the star's middle on the sensor.
    """
    window = Window.centred(*place, 2 * MIDDLE + 1)
    if window not in Window.whole(frames.shape):
        return None
    block = as_float32(frames.read(spread_over(frames.shape[0], SAMPLE), window))
    block = block[~is_empty(block)]
    if len(block) < FEWEST:
        return None
    if not np.isfinite(block).all():
        block = fill_by_kriging(block)[0]
    block = block - np.percentile(block.mean(axis=0), 5)
    mean = block.mean(axis=0)
    if not np.isfinite(mean).all():
        return None
    peak = float(mean.max())
    best = [_most(mean, group) for group in GROUPS]
    most = max(best)[0]
    if most < min(STANDS_OUT.values()) * peak:
        return None
    (height, row, column), group = next(
        both for both in zip(best, GROUPS, strict=True) if both[0][0] >= ALIKE * most
    )
    if height < STANDS_OUT[len(group)] * peak:
        return None
    if _is_mosaic(mean):
        return None
    each, star = (part[:, 0] for part in _excess(block, group, np.array([row]), np.array([column])))
    scatter, middle = each.std(axis=0, ddof=1), each.mean(axis=0)
    if (middle < CERTAIN * scatter / np.sqrt(len(each))).any():
        return None
    varies = star.sum(axis=1).std(ddof=1) / max(float(star.sum(axis=1).mean()), 1e-9)
    steady = (scatter / middle).max() < STEADY * varies
    corner = window.y0 + row, window.x0 + column
    return HotInStar([(corner[0] + a, corner[1] + b) for a, b in group], height, bool(steady))


def _most(image: NDArray[np.floating], group: Pixels) -> tuple[float, int, int]:
    """Return by how much a group stands out where it does most, and that place."""
    rows, columns = (
        axis.ravel() + MIDDLE - REACH for axis in np.mgrid[: 2 * REACH + 1, : 2 * REACH + 1]
    )
    least = _excess(image[np.newaxis], group, rows, columns)[0][0].min(axis=1)
    k = int(least.argmax())
    return float(least[k]), int(rows[k]), int(columns[k])


def _is_mosaic(mean: NDArray[np.floating]) -> bool:
    """Return whether the four pixels of cells of 2 x 2 have different parts of a star's light."""
    side = len(mean) // 2
    cells = mean[: 2 * side, : 2 * side].reshape(side, 2, side, 2).swapaxes(1, 2).reshape(-1, 4)
    light = cells.sum(axis=1)
    lit = light > LIT * light.max()
    parts = np.median(cells[lit] / light[lit, None], axis=0)
    return bool(np.ptp(parts) > UNLIKE * parts.mean())


def _excess(
    block: NDArray[np.floating], group: Pixels, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the light of a group at places over what neighbours show, and that, (k, place, m)."""
    own, around, weights = _kriging(group)
    light, beside = (
        block[:, rows[:, None] + at[:, 0], columns[:, None] + at[:, 1]] for at in (own, around)
    )
    star = beside @ weights
    return light - star, star


@cache
def _kriging(
    group: Pixels,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return a group's pixels, those around it, and the weights that these have in those."""
    own = np.array(group, np.intp)
    near = np.argwhere(np.ones((2 * NEAR + 3, 2 * NEAR + 3), bool)) - NEAR
    apart = np.hypot(*(near[:, None] - own).transpose(2, 0, 1)).min(axis=1)
    around = near[(apart > 0) & (apart <= NEAR)]
    covariance = star_covariance()

    def between(a: NDArray[np.intp], b: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(covariance[tuple((a[:, None] - b).transpose(2, 0, 1))])

    inner = between(around, around) + 1e-3 * np.eye(len(around))
    weights = np.linalg.solve(inner, between(around, own))
    return own, around, np.asarray(weights, np.float64)
