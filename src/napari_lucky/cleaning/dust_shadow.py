"""The shadows of dust, and the light that they are seen on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.masters import DEAD_BELOW
from napari_lucky.cleaning.background import Disc, clipped_fit
from napari_lucky.errors import LuckyError
from napari_lucky.frames.window import Window

Pixels = NDArray[np.float64]
RIM = 1.4, 1.75
"""A grain's shadow, out of focus, has a bright ring around it; between so many radii from its
centre it fades out."""
RING = 1.75, 3.0
"""Between so many radii from its centre the light around a spot is fitted."""
RING_SHARE, QUADRATIC_SHARE = 0.2, 0.5
"""Shares of a spot's ring that must be known for a fit, and for one that is not flat."""
OFF, ROUNDS = 3.0, 10
"""Pixels of the ring this many sigmas off the fit are left out of the next, in so many rounds."""


class Spot(NamedTuple):
    """The shadow of a grain of dust: centre (y, x) and radius of its dark disc in pixels."""

    y: float
    x: float
    radius: float


def transmission(
    image: NDArray[Any], spots: Iterable[Spot], *, discs: Iterable[Disc] = ()
) -> NDArray[np.float32]:
    """Return the fraction of the light that dust lets through.

    transmission = image / light in and around each spot, where the light is a quadratic surface
    (a plane, where less than half of the ring is there) fitted by least squares in the ring from
    1.75 to 3 radii, rid of outliers and of other spots. The bright ring that diffraction puts
    around a shadow counts as well: the ratio holds to 1.4 radii, and goes over to 1 smoothly to
    1.75 radii. Where spots overlap, each sees the shadow of both; their lights are averaged.

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
    known = without(image, discs)
    free = known.copy()
    for spot in spots:
        blank(free, spot, RIM[1] * spot.radius)
    share, weights, lights = (np.zeros(known.shape) for _ in range(3))
    for spot in spots:
        at, y, x = around(known.shape, spot)
        light, weight = light_around(free, spot), _fading(np.hypot(y, x))
        share[at] = np.maximum(share[at], weight)
        weights[at] += np.where(np.isfinite(light), weight, 0)
        lights[at] += np.where(np.isfinite(light), weight * light, 0)
    inside = share > 0
    with np.errstate(divide="ignore", invalid="ignore"):  # no light known: NaN
        through = known[inside] * weights[inside] / lights[inside]
    through[~(through >= DEAD_BELOW)] = np.nan
    result = np.ones(known.shape, np.float32)
    result[inside] = 1 + share[inside] * (through - 1)
    return result


def _fading(distance: Pixels) -> Pixels:
    """Return 1 up to the rim of a spot, 0 beyond, for distances in radii."""
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * ((distance - RIM[0]) / np.diff(RIM)).clip(0, 1)))


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


def without(image: NDArray[Any], discs: Iterable[Disc]) -> Pixels:
    """Return an image with the discs around stars, and what is not finite, masked."""
    light = np.where(np.isfinite(image), image, np.nan).astype(np.float64)
    for disc in discs:
        if disc.radius > 0:
            blank(light, disc, disc.radius)
    return light


def blank(image: NDArray[Any], disc: Spot | Disc, radius: float) -> None:
    """Mask the pixels of an image, in place, that are within a radius of a disc's centre."""
    at, y, x = around(image.shape, Spot(disc.y, disc.x, radius))
    image[at][np.hypot(y, x) <= 1] = np.nan


def around(shape: tuple[int, ...], spot: Spot) -> tuple[tuple[slice, slice], Pixels, Pixels]:
    """Return the box on the sensor that holds a spot's ring, and its y and x in radii from it."""
    reach = int(np.ceil(RING[1] * spot.radius)) + 1
    box = Window.centred(round(spot.y), round(spot.x), 2 * reach + 1).clipped(shape)
    y = np.arange(box.y0, box.y1, dtype=np.float64)[:, None]
    x = np.arange(box.x0, box.x1, dtype=np.float64)
    return box.slices, (y - spot.y) / spot.radius, (x - spot.x) / spot.radius


def light_around(free: Pixels, spot: Spot) -> Pixels:
    """Return the light on the box around a spot, fitted in its ring; NaN if it cannot be."""
    at, y, x = around(free.shape, spot)
    distance = np.hypot(y, x)
    ring = (distance >= RING[0]) & (distance <= RING[1]) & np.isfinite(free[at])
    share = ring.sum() / (np.pi * (RING[1] ** 2 - RING[0] ** 2) * spot.radius**2)
    terms = [np.ones(1), y, x]
    if share >= QUADRATIC_SHARE:
        terms += [y * y, y * x, x * x]
    if share < RING_SHARE or ring.sum() < 2 * len(terms):
        return np.full(distance.shape, np.nan)
    basis = np.stack([np.broadcast_to(term, distance.shape) for term in terms], axis=-1)
    # other dust, stars and cosmic rays are far off
    fitted, _ = clipped_fit(basis[ring], free[at][ring], OFF, OFF, ROUNDS)
    return np.asarray(basis @ fitted)
