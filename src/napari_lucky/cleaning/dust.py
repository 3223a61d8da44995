"""Dust: shadows found on an even light, divided out of the frames or masked."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.bad_pixels import sample_moments
from napari_lucky.calibration.masters import DEAD_BELOW, check_shape
from napari_lucky.cleaning.background import BackgroundModel, BackgroundRemoved, Disc
from napari_lucky.cleaning.dust_shadow import (
    RIM,
    RING,
    Pixels,
    Spot,
    around,
    blank,
    check_spots,
    light_around,
    without,
)
from napari_lucky.cleaning.dust_shadow import transmission as transmission
from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import Progress, map_blocks, silent
from napari_lucky.frames.frames import (
    ArrayFrames,
    Frames,
    Index,
    Subset,
    View,
    as_float32,
    is_empty,
)
from napari_lucky.frames.history import Step
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window

Image = NDArray[np.float32]
SAMPLE = 60
"""How many frames, spread over the run, the mean light is taken of."""
CLIP = 4.0
"""Values this many standard deviations off a pixel's mean are no part of the mean light."""
SIGMA, SHALLOWEST = 5.0, 0.002
"""A shadow is so many standard deviations of the contrast deep, and this part of the light."""
DISC_SHARE, FRAME_SHARE = 0.4, 0.2
"""Shares of a spot's box, and of the frame around it, that must be known for a contrast."""
ROUNDS = 30
PASSES = 3
"""A deep shadow may hide a faint one beside it, which is found once the deep one is left out."""


def find_dust(
    image: NDArray[Any],
    radius: float,
    most: int,
    *,
    discs: Iterable[Disc] = (),
    sigma: float = SIGMA,
) -> tuple[Spot, ...]:
    """Find the shadows of dust on an image of even light.

    The image is divided by the smooth light on it, a polynomial of order 4. Where the mean in a
    box as large as a spot is low against that in a frame around it, a shadow may be; the
    threshold is `sigma` standard deviations of this contrast over the image, and 0.2 %. There
    the light is fitted in the ring around, as `transmission` does it, which sees through a slope
    or a halo; the place is moved onto the shadow's centroid, and the spot kept if the mean of
    1 − image / light in its disc is over the threshold too.

    Parameters
    ----------
    image : ndarray, (y, x)
        The flat, or the mean of the run (`mean_light`): dark taken off, background not; masked
        pixels NaN. Shadows that a flat has already divided out are not in the run any more.
    radius : float
        Of the shadows' dark discs, in pixels, at least 1.
    most : int
        How many spots to return at most, the deepest.
    discs : iterable of Disc
        Around the stars; a spot that reaches into one is left out.
    sigma : float
        Threshold in robust standard deviations of the contrast, over 0.

    Returns
    -------
    tuple of Spot
        The deepest first, none nearer than two radii to another.

    Raises
    ------
    LuckyError
        If the parameters make no sense, or there is no light to see shadows on.
    """
    check_dust(most, radius)
    if not sigma > 0:
        raise LuckyError(f"The threshold for dust is {sigma} sigma; it must be over 0.")
    discs = tuple(discs)
    light = without(image, discs)
    relative = light / _smooth_light(light, radius)
    free = relative.copy()
    depths: dict[Spot, float] = {}
    for _ in range(PASSES):
        places, threshold = _dark_places(free, radius, sigma)
        before = len(depths)
        for y, x in places:
            spot, depth = _refined(relative, free, Spot(y, x, radius))
            if depth >= threshold and _is_apart(spot, depths, discs):
                depths[spot] = depth
                blank(free, spot, RIM[1] * radius)
        if len(depths) == before:
            break
    return tuple(sorted(depths, key=lambda spot: -depths[spot])[:most])


def mean_light(
    frames: Frames,
    count: int = SAMPLE,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> Image:
    """Return the clipped mean of frames spread over a run, to find dust on without a flat.

    Of each pixel's values, those more than 4 standard deviations off their mean, as a cosmic ray
    is, are left out; blank frames too. Each frame is read twice, and memory is a few frames.

    Parameters
    ----------
    frames : Frames
        Dark taken off, and the flat if there is one; the background left in, since it is the
        light on which shadows are seen.
    count : int
        How many frames at most.
    progress, executor
        See `napari_lucky.execution.blocks.map_blocks`.

    Returns
    -------
    ndarray of float32, (y, x)
        In ADU; NaN where no frame has a value.
    """
    chosen = spread_over(frames.shape[0], max(count, 1))
    some = Subset(frames, chosen)
    mean, deviation = sample_moments(some, len(chosen), progress=progress, executor=executor)
    reach = CLIP * deviation + np.abs(mean) * 1e-6  # what equal values differ by, rounded

    def read(block: slice) -> Image:
        image = as_float32(some.read(block))
        good = (np.abs(image - mean) <= reach) & ~is_empty(image)[:, None, None]
        return np.where(good, image, np.float32(np.nan))[0]

    total, number = np.zeros(mean.shape), np.zeros(mean.shape, np.int32)
    ones = [slice(k, k + 1) for k in range(len(chosen))]
    what = "mean light of the run"
    for image in map_blocks(read, ones, progress=progress, what=what, executor=executor):
        has = np.isfinite(image)
        total += np.where(has, image, 0)
        number += has
    with np.errstate(invalid="ignore"):
        return as_float32(total / number)


@dataclass(frozen=True, eq=False)
class DustRemoved(View):
    """Frames with the shadows of dust divided out, or masked.

    A shadow is multiplicative: result = frame / transmission. A background must be taken off
    after this, not before.

    Parameters
    ----------
    frames : Frames
        Dark taken off, masked pixels NaN.
    spots : tuple of Spot
        The shadows.
    transmission : ndarray of float32, (y, x), optional
        From `transmission`; without it the pixels inside the spots are masked (NaN).
    """

    spots: tuple[Spot, ...] = ()
    transmission: Image | None = None
    _divisor: Image = field(init=False, repr=False)

    def __post_init__(self) -> None:
        spots = check_spots(self.spots, self.shape)
        divisor = self.transmission
        if divisor is None:
            divisor = np.ones(self.shape[1:], np.float32)
            for spot in spots:
                blank(divisor, spot, spot.radius)
        check_shape(divisor, self.shape, "transmission of the dust", "run")
        object.__setattr__(self, "_divisor", as_float32(divisor))

    def read(self, frames: Index, window: Window | None = None) -> Image:
        """Return the frames asked for without shadows, (k, y, x), cut to the window."""
        at = (window or Window.whole(self.shape)).slices
        return as_float32(self.frames.read(frames, window)) / self._divisor[at]


def check_dust(most: int, radius: float) -> None:
    """Raise a `LuckyError` unless so many spots of a radius in pixels may be looked for."""
    if not most >= 1:
        raise LuckyError(f"{most} dust spots are looked for; it must be at least 1.")
    if not 1 <= radius < np.inf:
        raise LuckyError(
            f"The radius of a dust spot is {radius} pixels; it must be at least 1. Measure the "
            "dark disc of a shadow on the flat."
        )


def _smooth_light(light: Pixels, radius: float) -> Image:
    """Return the large-scale light on an image, NaN where there is none."""
    if np.isfinite(light).sum() < max(100, light.size / 100) or min(light.shape) < 4 * radius:
        raise LuckyError(
            f"An image of {light.shape[0]} x {light.shape[1]} pixels, "
            f"{np.isfinite(light).mean():.0%} of them free of stars and not masked, is too little "
            f"to find dust spots of {radius:g} pixels radius on. Look for smaller ones, or make "
            "the discs around the stars smaller."
        )
    level = float(np.nanmedian(light))
    noise = float(np.nanmedian(np.abs(np.diff(light)))) / (0.6745 * np.sqrt(2))
    if not level > noise:
        raise LuckyError(
            f"There is no light to see the shadows of dust on: the image has a median of {level:g} "
            f"and a noise of {noise:g} a pixel. Give a flat, or the run with its background."
        )
    smooth = BackgroundModel(BackgroundRemoved(ArrayFrames(light))).read(slice(None))[0]
    smooth[smooth < DEAD_BELOW * level] = np.nan
    return smooth


def _dark_places(
    relative: Pixels, radius: float, sigma: float
) -> tuple[list[tuple[int, int]], float]:
    """Return the places (y, x) that a contrast of boxes calls dark, darkest first, and how dark.

    Boxes cost the same at any radius, and a place is looked at closely later.
    """
    from scipy import ndimage

    contrast = _contrast(relative, radius)
    known = contrast[np.isfinite(contrast)]
    if not known.size:
        return [], SHALLOWEST
    spread = float(np.median(np.abs(known - np.median(known)))) / 0.6745
    threshold = max(SHALLOWEST, sigma * spread)
    contrast[np.isnan(contrast)] = np.inf
    lowest = ndimage.minimum_filter(contrast, size=2 * int(radius) + 1, mode="nearest")
    y, x = np.nonzero((contrast == lowest) & (contrast <= -threshold))
    order = np.argsort(contrast[y, x], kind="stable")
    return [(int(y[k]), int(x[k])) for k in order], threshold


def _contrast(relative: Pixels, radius: float) -> Pixels:
    """Return the mean in a spot's box over that in the frame around − 1; NaN where too little is.

    The box has the area of the spot's disc; the frame begins beyond its bright ring.
    """
    has = np.isfinite(relative)
    value = np.where(has, relative, 0)

    def total(image: NDArray[Any], side: int) -> Pixels:
        from scipy import ndimage

        mean = ndimage.uniform_filter(image, side, mode="constant", output=np.float64)
        return np.asarray(mean * side**2)

    disc, hole, frame = (2 * round(radius * r) + 1 for r in (0.5 * np.pi**0.5, *RING))
    number, others = total(has, disc), total(has, frame) - total(has, hole)
    inner, outer = total(value, disc), total(value, frame) - total(value, hole)
    enough = (number > DISC_SHARE * disc**2) & (others > FRAME_SHARE * (frame**2 - hole**2))
    lit = enough & (outer > 0)
    contrast = np.full(relative.shape, np.nan)
    contrast[lit] = inner[lit] / number[lit] * others[lit] / outer[lit] - 1
    return contrast


def _refined(relative: Pixels, free: Pixels, spot: Spot) -> tuple[Spot, float]:
    """Return a spot moved onto the centroid of its shadow, and its mean depth; NaN if unknown."""
    shadow = _shadow(relative, free, spot)
    at, y, x = around(relative.shape, spot)
    known, centre = np.isfinite(shadow), np.zeros(2)
    for turn in range(ROUNDS):
        points = np.stack(np.nonzero(known & (np.hypot(y - centre[0], x - centre[1]) <= 1)))
        middle = centre * spot.radius + (spot.y - at[0].start, spot.x - at[1].start)
        if turn:  # the first only says on which side
            points = points[:, _has_mirror_image(known, points, middle)]
        depth = shadow[tuple(points)]
        if not depth.sum() > 0:
            return spot, np.nan
        step = (points - middle[:, None]) @ depth / depth.sum() / spot.radius
        centre = centre + step
        if turn and np.hypot(*step) < 1e-3:
            break
    if np.hypot(*centre) < 1:
        moved = spot.y + centre[0] * spot.radius, spot.x + centre[1] * spot.radius
        spot = Spot(float(moved[0]), float(moved[1]), spot.radius)
    shadow = _shadow(relative, free, spot)
    _, y, x = around(relative.shape, spot)
    missing = shadow[np.isfinite(shadow) & (np.hypot(y, x) <= 1)]
    return spot, float(missing.mean()) if missing.size else np.nan


def _shadow(relative: Pixels, free: Pixels, spot: Spot) -> Pixels:
    """Return the fraction of the light that is missing, on the box around a spot."""
    light = light_around(free, spot)
    return np.asarray(
        1 - relative[around(free.shape, spot)[0]] / np.where(light > 0, light, np.nan)
    )


def _has_mirror_image(
    known: NDArray[np.bool_], points: NDArray[np.intp], middle: Pixels
) -> NDArray[np.bool_]:
    """Tell which points have a known pixel opposite them.

    Only those are weighed: else a centroid would shy away from masked pixels and from the
    sensor's edge.
    """
    back = np.rint(2 * middle[:, None] - points).astype(np.intp)
    on = ((back >= 0) & (back < np.array(known.shape)[:, None])).all(axis=0)
    return np.asarray(on & known[tuple(np.where(on, back, 0))])


def _is_apart(spot: Spot, others: Iterable[Spot], discs: Iterable[Disc]) -> bool:
    """Tell whether a spot is two radii off the others and clear of the discs around stars."""
    return all(np.hypot(spot.y - o.y, spot.x - o.x) >= 2 * spot.radius for o in others) and all(
        np.hypot(spot.y - d.y, spot.x - d.x) >= spot.radius + d.radius for d in discs
    )


def dust_step(removed: DustRemoved, on: str) -> Step:
    """Record the dust shadows, (y, x, radius), what was done, and what they were found on."""
    spots = [[round(float(value), 2) for value in spot] for spot in removed.spots]
    done = "mask" if removed.transmission is None else "divide"
    return Step("remove dust", {"as": done, "on": on, "spots": spots})
