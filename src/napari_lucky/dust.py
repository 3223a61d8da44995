"""Dust: shadows found on an even light, divided out of the frames or masked."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .background import BackgroundModel, BackgroundRemoved, Disc
from .blocks import Progress, silent
from .calibration import DEAD_BELOW, check_shape, master
from .errors import LuckyError
from .frames import ArrayFrames, Frames, Index, Subset, View, as_float32
from .windows import Window

Image = NDArray[np.float32]
SAMPLE = 60
"""How many frames, spread over the run, the mean light is taken of."""
SIGMA, SHALLOWEST = 5.0, 0.002
"""A shadow is this many standard deviations of the contrast deep, and this fraction of the light."""
RIM = 1.25
"""At so many radii from a spot's centre its shadow has faded out."""
RING = 1.5, 3.0
"""Between so many radii from its centre the light around a spot is fitted."""
DISC_SHARE, RING_SHARE, QUADRATIC_SHARE = 0.4, 0.2, 0.5
"""Shares of a spot's disc and ring that must be on the sensor, and of the ring for a bent fit."""
OFF, ROUNDS = 3.0, 10
"""Pixels of the ring this many sigmas off the fit are left out of the next, in so many rounds."""
PASSES = 3
"""A deep shadow may hide a faint one beside it, which is found once the deep one is left out."""


class Spot(NamedTuple):
    """The shadow of a grain of dust: centre (y, x) and radius in pixels."""

    y: float
    x: float
    radius: float


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
        Of the shadows looked for, in pixels, at least 1.
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
    light = _without(image, discs)
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
                _blank(free, spot, RIM * radius)
        if len(depths) == before:
            break
    return tuple(sorted(depths, key=lambda spot: -depths[spot])[:most])


def transmission(
    image: NDArray[Any], spots: Iterable[Spot], *, discs: Iterable[Disc] = ()
) -> Image:
    """Return the fraction of the light that dust lets through.

    transmission = image / light in each spot, where the light is a quadratic surface (near an
    edge that cuts off half of the ring, a plane) fitted in the ring from 1.5 to 3 radii, rid of
    outliers and of other spots. From 1 to 1.25 radii it goes over to 1 smoothly. Where spots
    overlap, each sees the shadow of both, and the mean of their lights is used.

    Parameters
    ----------
    image : ndarray, (y, x)
        On which the spots were found. Its noise gets into the frames that are divided.
    spots : iterable of Spot
        Centres on the sensor.
    discs : iterable of Disc
        Around the stars of the image, if any: what is in them is no even light.

    Returns
    -------
    ndarray of float32, (y, x)
        1 away from the spots; NaN in a spot where the image is masked, under a fifth of the
        light comes through, or too little of the ring is there to be fitted.

    Raises
    ------
    LuckyError
        If a spot is not on the image, or has no radius.
    """
    spots = check_spots(spots, np.shape(image))
    known = _without(image, discs)
    free = known.copy()
    for spot in spots:
        _blank(free, spot, RIM * spot.radius)
    share, weights, light = (np.zeros(known.shape) for _ in range(3))
    for spot in spots:
        at, y, x = _around(known.shape, spot)
        weight = 0.5 + 0.5 * np.cos(np.pi * ((np.hypot(y, x) - 1) / (RIM - 1)).clip(0, 1))
        share[at] = np.maximum(share[at], weight)
        weights[at] += weight
        light[at] += np.where(weight > 0, weight * _light(free, spot), 0)
    inside = share > 0
    through = known[inside] * weights[inside] / light[inside]
    through[~(through >= DEAD_BELOW)] = np.nan
    result = np.ones(known.shape, np.float32)
    result[inside] = 1 + share[inside] * (through - 1)
    return result


def mean_light(
    frames: Frames,
    count: int = SAMPLE,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
) -> Image:
    """Return the clipped mean of frames spread over a run, to find dust on without a flat.

    Parameters
    ----------
    frames : Frames
        Dark taken off, and the flat if there is one; the background left in, since it is the
        light on which shadows are seen.
    count : int
        How many frames at most.
    progress, executor
        See `napari_lucky.blocks.map_blocks`.

    Returns
    -------
    ndarray of float32, (y, x)
        In ADU; NaN where no frame has a value.
    """
    n = frames.shape[0]
    chosen = np.unique(np.linspace(0, n - 1, min(max(count, 1), n)).round().astype(np.intp))
    some = Subset(frames, chosen)
    return master(some, progress=progress, what="mean light of the run", executor=executor)


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
                _blank(divisor, spot, spot.radius)
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


def check_spots(spots: Iterable[Spot], shape: tuple[int, ...]) -> tuple[Spot, ...]:
    """Return the spots if all have a radius and a centre on a sensor of (..., y, x) `shape`.

    Raises
    ------
    LuckyError
        If one has not.
    """
    spots = tuple(Spot(*spot) for spot in spots)
    ny, nx = shape[-2:]
    for y, x, radius in spots:
        if not 0 < radius < np.inf:
            raise LuckyError(
                f"The dust spot at (y, x) = ({y:g}, {x:g}) has a radius of {radius:g} pixels; it "
                "must be over 0."
            )
        if not (-0.5 <= y <= ny - 0.5 and -0.5 <= x <= nx - 0.5):
            raise LuckyError(
                f"The dust spot at (y, x) = ({y:g}, {x:g}) is not on the sensor, which has "
                f"{ny} x {nx} pixels. Move it there, or delete it."
            )
    return spots


def _around(
    shape: tuple[int, ...], spot: Spot
) -> tuple[tuple[slice, slice], NDArray[np.float64], NDArray[np.float64]]:
    """Return the box on the sensor that holds a spot's ring, and its y and x in radii from it."""
    reach = int(np.ceil(RING[1] * spot.radius)) + 1
    box = Window.centred(round(spot.y), round(spot.x), 2 * reach + 1).clipped(shape)
    y = np.arange(box.y0, box.y1, dtype=np.float64)[:, None]
    x = np.arange(box.x0, box.x1, dtype=np.float64)
    return box.slices, (y - spot.y) / spot.radius, (x - spot.x) / spot.radius


def _blank(image: NDArray[Any], disc: Spot | Disc, radius: float) -> None:
    """Mask the pixels of an image, in place, that are within a radius of a disc's centre."""
    at, y, x = _around(image.shape, Spot(disc.y, disc.x, radius))
    image[at][np.hypot(y, x) <= 1] = np.nan


def _without(image: NDArray[Any], discs: Iterable[Disc]) -> NDArray[np.float64]:
    light = np.where(np.isfinite(image), image, np.nan).astype(np.float64)
    for disc in discs:
        if disc.radius > 0:
            _blank(light, disc, disc.radius)
    return light


def _smooth_light(light: NDArray[np.float64], radius: float) -> Image:
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
    relative: NDArray[np.float64], radius: float, sigma: float
) -> tuple[list[tuple[int, int]], float]:
    """Return the places (y, x) that a contrast of boxes calls dark, darkest first, and how dark.

    Boxes cost the same at any radius, and a place is looked at closely later.
    """
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


def _contrast(relative: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Return the mean in a spot's box over that in the frame around − 1; NaN where too little is.

    The box has the area of the spot's disc; the frame goes from 1.5 to 2.5 radii.
    """
    has = np.isfinite(relative)
    value = np.where(has, relative, 0)

    def total(image: NDArray[Any], side: int) -> NDArray[np.float64]:
        mean = ndimage.uniform_filter(image, side, mode="constant", output=np.float64)
        return np.asarray(mean * side**2)

    disc, hole, frame = (2 * round(radius * half) + 1 for half in (0.5 * np.pi**0.5, 1.5, 2.5))
    number, around = total(has, disc), total(has, frame) - total(has, hole)
    enough = (number > DISC_SHARE * disc**2) & (around > RING_SHARE * (frame**2 - hole**2))
    inner, outer = total(value, disc), total(value, frame) - total(value, hole)
    lit = enough & (outer > 0)
    contrast = np.full(relative.shape, np.nan)
    contrast[lit] = inner[lit] / number[lit] * around[lit] / outer[lit] - 1
    return contrast


def _light(free: NDArray[np.float64], spot: Spot) -> NDArray[np.float64]:
    """Return the light on the box around a spot, fitted in its ring; NaN if it cannot be."""
    at, y, x = _around(free.shape, spot)
    distance = np.hypot(y, x)
    ring = (distance >= RING[0]) & (distance <= RING[1]) & np.isfinite(free[at])
    share = ring.sum() / (np.pi * (RING[1] ** 2 - RING[0] ** 2) * spot.radius**2)
    terms = [np.ones(1), y, x]
    if share >= QUADRATIC_SHARE:
        terms += [y * y, y * x, x * x]
    if share < RING_SHARE or ring.sum() < 2 * len(terms):
        return np.full(distance.shape, np.nan)
    basis = np.stack([np.broadcast_to(term, distance.shape) for term in terms], axis=-1)
    return np.asarray(basis @ _clipped_fit(basis[ring], free[at][ring]))


def _clipped_fit(basis: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit by least squares, leaving out other dust, stars and cosmic rays, which are far off."""
    kept = np.ones(len(values), bool)
    for _ in range(ROUNDS):
        some = basis[kept]
        terms = np.linalg.lstsq(some.T @ some, some.T @ values[kept], rcond=None)[0]
        off = np.abs(values - basis @ terms)
        now = off <= OFF * np.median(off[kept]) / 0.6745
        if now.sum() < 2 * basis.shape[1] or np.array_equal(now, kept):
            break
        kept = now
    return np.asarray(terms)


def _refined(
    relative: NDArray[np.float64], free: NDArray[np.float64], spot: Spot
) -> tuple[Spot, float]:
    """Return a spot moved onto the centroid of its shadow, and its mean depth; NaN if unknown."""
    shadow = _shadow(relative, free, spot)
    at, y, x = _around(relative.shape, spot)
    known, centre = np.isfinite(shadow), np.zeros(2)
    for _ in range(ROUNDS):
        inside = np.nonzero(known & (np.hypot(y - centre[0], x - centre[1]) <= 1))
        middle = centre * spot.radius + (spot.y - at[0].start, spot.x - at[1].start)
        points = np.stack(inside)[:, _has_mirror_image(known, inside, middle)]
        depth = shadow[tuple(points)]
        if not depth.sum() > 0:
            return spot, np.nan
        centre = centre + (points - middle[:, None]) @ depth / depth.sum() / spot.radius
    if np.hypot(*centre) < 1:
        moved = spot.y + centre[0] * spot.radius, spot.x + centre[1] * spot.radius
        spot = Spot(float(moved[0]), float(moved[1]), spot.radius)
    shadow = _shadow(relative, free, spot)
    _, y, x = _around(relative.shape, spot)
    missing = shadow[np.isfinite(shadow) & (np.hypot(y, x) <= 1)]
    return spot, float(missing.mean()) if missing.size else np.nan


def _shadow(
    relative: NDArray[np.float64], free: NDArray[np.float64], spot: Spot
) -> NDArray[np.float64]:
    """Return the fraction of the light that is missing, on the box around a spot."""
    light = _light(free, spot)
    return np.asarray(
        1 - relative[_around(free.shape, spot)[0]] / np.where(light > 0, light, np.nan)
    )


def _has_mirror_image(
    known: NDArray[np.bool_], points: tuple[NDArray[np.intp], ...], middle: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which points have a known pixel opposite them.

    Only those are weighed: else a centroid would shy away from masked pixels and from the
    sensor's edge.
    """
    back = np.rint(2 * middle[:, None] - np.stack(points)).astype(np.intp)
    on = ((back >= 0) & (back < np.array(known.shape)[:, None])).all(axis=0)
    return np.asarray(on & known[tuple(np.where(on, back, 0))])


def _is_apart(spot: Spot, others: Iterable[Spot], discs: Iterable[Disc]) -> bool:
    """Tell whether a spot is two radii off the others and clear of the discs around stars."""
    return all(np.hypot(spot.y - o.y, spot.x - o.x) >= 2 * spot.radius for o in others) and all(
        np.hypot(spot.y - d.y, spot.x - d.x) >= spot.radius + d.radius for d in discs
    )
