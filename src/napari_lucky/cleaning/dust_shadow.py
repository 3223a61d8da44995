"""The shadows of dust, and the light that they are seen on.

What the constants do is measured by ``benchmarks/masks.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.masters import DEAD_BELOW
from napari_lucky.cleaning.background import Basis, Disc, clipped_fit
from napari_lucky.errors import LuckyError
from napari_lucky.frames.sensor_image import At, LazyImage, SensorImage, is_large, window_at
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


class DustShadow(NamedTuple):
    """The shadow of a grain of dust: centre (y, x) and radius of its dark disc in pixels."""

    y: float
    x: float
    radius: float


def transmission(
    image: SensorImage, spots: Iterable[DustShadow], *, discs: Iterable[Disc] = ()
) -> NDArray[np.float32]:
    """Return the fraction of the light that dust lets through.

    transmission = image / light in and around each spot, where the light is a quadratic surface
    (a plane, where less than half of the ring is there) fitted by least squares in the ring from
    1.75 to 3 radii, without outliers and other spots. The bright ring that diffraction puts
    around a shadow counts as well: the ratio holds to 1.4 radii, and goes over to 1 smoothly to
    1.75 radii. Where spots overlap, each sees the shadow of both; their lights are averaged.

    Parameters
    ----------
    image : ndarray, (y, x)
        On which the spots were found. Its noise gets into the frames that are divided.
    spots : iterable of DustShadow
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
    return np.asarray(_Transmission(image, spots, discs))


def dust_transmission(
    image: SensorImage, spots: Iterable[DustShadow], *, discs: Iterable[Disc] = ()
) -> SensorImage:
    """Return what `transmission` does; that of a large sensor is computed where it is read."""
    made = _Transmission(image, spots, discs)
    return made if is_large(made.shape) else np.asarray(made)


class _Box(NamedTuple):
    """The pixels around a spot: where they are, what is known, the fitted light, its share."""

    at: tuple[slice, slice]
    known: Pixels
    light: Pixels
    share: Pixels


class _Transmission(LazyImage):
    """The fraction of the light that dust lets through; see `transmission`."""

    dtype = np.dtype(np.float32)

    def __init__(
        self, image: SensorImage, spots: Iterable[DustShadow], discs: Iterable[Disc]
    ) -> None:
        super().__init__(image.shape)
        spots, known = check_spots(spots, image.shape), MaskedLight(image, discs_of(discs))
        free = known.less(*(spot._replace(radius=RIM[1] * spot.radius) for spot in spots))
        self._boxes = []
        for spot in spots:
            at, y, x = box_around(self.shape, spot)
            share = _fading(np.hypot(y, x))
            self._boxes.append(_Box(at, known[at], light_around(free, spot), share))

    def __getitem__(self, at: At) -> NDArray[np.float32]:
        window = window_at(at, self.shape)
        known, share, weights, lights = (np.zeros(window.shape) for _ in range(4))
        for box in self._boxes:
            here, there = overlap(window, box.at)
            known[here] = box.known[there]
            share[here] = np.maximum(share[here], box.share[there])
            lit = np.isfinite(box.light[there])
            weights[here] += np.where(lit, box.share[there], 0)
            lights[here] += np.where(lit, box.share[there] * box.light[there], 0)
        inside = share > 0
        with np.errstate(divide="ignore", invalid="ignore"):  # no light known: NaN
            through = known[inside] * weights[inside] / lights[inside]
        through[~(through >= DEAD_BELOW)] = np.nan
        result = np.ones(window.shape, np.float32)
        result[inside] = 1 + share[inside] * (through - 1)
        return result


def _fading(distance: Pixels) -> Pixels:
    """Return 1 up to the rim of a spot, 0 beyond, for distances in radii."""
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * ((distance - RIM[0]) / np.diff(RIM)).clip(0, 1)))


def check_spots(spots: Iterable[DustShadow], shape: tuple[int, ...]) -> tuple[DustShadow, ...]:
    """Return the spots if all have a radius and a centre on a sensor of (..., y, x) `shape`.

    Raises
    ------
    LuckyError
        If one has not.
    """
    spots = tuple(DustShadow(*spot) for spot in spots)
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


class MaskedLight(LazyImage):
    """An image as float64 in which discs, and what is not finite, are masked.

    Parameters
    ----------
    image : SensorImage or ndarray, (y, x)
    discs : tuple of DustShadow
        Centres and radii.
    """

    def __init__(self, image: SensorImage, discs: tuple[DustShadow, ...] = ()) -> None:
        super().__init__(image.shape)
        self._image, self._discs = image, discs

    def less(self, *discs: DustShadow) -> MaskedLight:
        """Return the image with more discs masked."""
        return MaskedLight(self._image, (*self._discs, *discs))

    def __getitem__(self, at: At) -> Pixels:
        part = np.asarray(self._image[at])
        pixels = np.where(np.isfinite(part), part, np.nan).astype(np.float64)
        window = window_at(at, self.shape)
        for disc in self._discs:
            box, y, x = box_around(self.shape, disc)
            here, (rows, columns) = overlap(window, box)
            pixels[here][np.hypot(y[rows], x[columns]) <= 1] = np.nan
        return pixels


def discs_of(discs: Iterable[Disc]) -> tuple[DustShadow, ...]:
    """Return the discs around stars that have a radius, as spots."""
    return tuple(DustShadow(*disc) for disc in discs if disc.radius > 0)


def overlap(window: Window, box: At) -> tuple[At, At]:
    """Return what a window and a box have in common, in the pixels of either."""
    sides = [(window.y0, window.height), (window.x0, window.width)]
    here, there = [], []
    for (first, side), part in zip(sides, box, strict=True):
        start, stop = max(first, part.start), min(first + side, part.stop)
        stop = max(start, stop)
        here.append(slice(start - first, stop - first))
        there.append(slice(start - part.start, stop - part.start))
    return (here[0], here[1]), (there[0], there[1])


def box_around(
    shape: tuple[int, ...], spot: DustShadow
) -> tuple[tuple[slice, slice], Pixels, Pixels]:
    """Return the box on the sensor that holds a spot's ring, and its y and x in radii from it."""
    reach = int(np.ceil(RING[1] * spot.radius)) + 1
    box = Window.centred(round(spot.y), round(spot.x), 2 * reach + 1).clipped(shape)
    y = np.arange(box.y0, box.y1, dtype=np.float64)[:, None]
    x = np.arange(box.x0, box.x1, dtype=np.float64)
    return box.slices, (y - spot.y) / spot.radius, (x - spot.x) / spot.radius


def light_around(image: SensorImage, spot: DustShadow) -> Pixels:
    """Return the light on the box around a spot, fitted in its ring; NaN if it cannot be."""
    at, y, x = box_around(image.shape, spot)
    free, distance = image[at], np.hypot(y, x)
    ring = (distance >= RING[0]) & (distance <= RING[1]) & np.isfinite(free)
    share = ring.sum() / (np.pi * (RING[1] ** 2 - RING[0] ** 2) * spot.radius**2)
    terms = [np.ones(1), y, x]
    if share >= QUADRATIC_SHARE:
        terms += [y * y, y * x, x * x]
    if share < RING_SHARE or ring.sum() < 2 * len(terms):
        return np.full(distance.shape, np.nan)
    basis = np.stack([np.broadcast_to(term, distance.shape) for term in terms], axis=-1)
    # other dust, stars and cosmic rays are far off
    fitted, _ = clipped_fit(Basis(basis[ring]), free[ring], OFF, OFF, ROUNDS)
    return np.asarray(basis @ fitted)
