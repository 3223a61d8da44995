"""Dust: shadows found on an even light, divided out of the frames or masked.

What the constants do is measured by ``benchmarks/masks.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from napari_lucky.calibration.masters import check_shape
from napari_lucky.cleaning.background import Disc, discs_around
from napari_lucky.cleaning.dust_contrast import RelativeLight, dark_places
from napari_lucky.cleaning.dust_shadow import (
    RIM,
    DustShadow,
    MaskedLight,
    Pixels,
    box_around,
    check_spots,
    discs_of,
    dust_transmission,
    light_around,
)
from napari_lucky.cleaning.mean_light import light_of_run
from napari_lucky.cleaning.step import Applied, CleaningStep, Scene
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.frames import Frames, Index, View, as_float32, thinned_frames
from napari_lucky.frames.sensor_image import At, SensorImage, is_large
from napari_lucky.frames.window import Window
from napari_lucky.steps.declaration import param

Image = NDArray[np.float32]
SpotSpec = tuple[float, float, float]
"""(y, x, radius) of a dust shadow, in pixels."""
SIGMA = 5.0
"""A shadow is so many standard deviations of the contrast deep."""
ROUNDS = 30
PASSES = 3
"""A deep shadow may hide a faint one beside it, which is found once the deep one is left out."""


def find_dust(
    image: SensorImage,
    radius: float,
    most: int,
    *,
    discs: Iterable[Disc] = (),
    sigma: float = SIGMA,
    job: Job = QUIET,
) -> tuple[DustShadow, ...]:
    """Find the shadows of dust on an image of even light.

    The image is divided by the smooth light on it, a polynomial of order 4. Where the mean in a
    box as large as a spot is low against that in a frame around it, a shadow may be; the
    threshold is `sigma` standard deviations of this contrast over the image, and 0.2 %. There
    the light is fitted in the ring around, as `transmission` does it, which sees through a slope
    or a halo; the place is moved onto the shadow's centroid, and the spot kept if the mean of
    1 − image / light in its disc is over the threshold too.

    Parameters
    ----------
    image : ndarray, (y, x), or SensorImage
        The flat, or the mean of the run (`clipped_mean`): dark taken off, background not; masked
        pixels NaN. Shadows that a flat has already divided out are not in the run any more.
    radius : float
        Of the shadows' dark discs, in pixels, at least 1.
    most : int
        How many spots to return at most, the deepest.
    discs : iterable of Disc
        Around the stars; a spot that reaches into one is left out.
    sigma : float
        Threshold in robust standard deviations of the contrast, over 0.
    job : Job
        Progress; see `Job`.

    Returns
    -------
    tuple of DustShadow
        The deepest first, none nearer than two radii to another.

    Raises
    ------
    LuckyError
        If the parameters make no sense, or there is no light to see shadows on.
    """
    RemoveDust(count=most, radius=radius)  # raises if they make no sense
    if not sigma > 0:
        raise LuckyError(f"The threshold for dust is {sigma} sigma; it must be over 0.")
    discs = tuple(discs)
    job.progress(0, PASSES, "looking for dust")
    light = MaskedLight(image, discs_of(discs))
    relative: SensorImage = RelativeLight(light, radius)
    job.progress(0, PASSES, "looking for dust")
    if not is_large(light.shape):
        relative = np.asarray(relative)
    free = MaskedLight(relative)
    depths: dict[DustShadow, float] = {}
    for number in range(PASSES):
        report = partial(job.progress, number, PASSES, "looking for dust")
        places, threshold = dark_places(free, radius, sigma, report)
        before = len(depths)
        for y, x in places:
            report()
            spot, depth = _refined(relative, free, DustShadow(y, x, radius))
            if depth >= threshold and _is_apart(spot, depths, discs):
                depths[spot] = depth
                free = free.less(spot._replace(radius=RIM[1] * radius))
        if len(depths) == before:
            break
    return tuple(sorted(depths, key=lambda spot: -depths[spot])[:most])


@dataclass(frozen=True, eq=False)
class DustRemoved(View):
    """Frames with the shadows of dust divided out, or masked.

    A shadow is multiplicative: result = frame / transmission. A background must be taken off
    after this, not before.

    Parameters
    ----------
    frames : Frames
        Dark taken off, masked pixels NaN.
    spots : tuple of DustShadow
        The shadows.
    transmission : ndarray of float32, (y, x), or SensorImage, optional
        From `transmission`; without it the pixels inside the spots are masked (NaN).
    """

    spots: tuple[DustShadow, ...] = ()
    transmission: SensorImage | None = None
    _divisor: SensorImage = field(init=False, repr=False)

    def __post_init__(self) -> None:
        spots = check_spots(self.spots, self.shape)
        divisor = self.transmission
        if divisor is None:
            divisor = MaskedLight(np.broadcast_to(np.float32(1), self.shape[1:]), spots)
        check_shape(divisor.shape, self.shape, "transmission of the dust", "run")
        if not is_large(self.shape):
            divisor = as_float32(np.asarray(divisor))
        object.__setattr__(self, "_divisor", divisor)

    def read(self, frames: Index, window: Window | None = None) -> Image:
        """Return the frames asked for without shadows, (k, y, x), cut to the window."""
        at = (window or Window.whole(self.shape)).slices
        return as_float32(self.frames.read(frames, window)) / as_float32(self._divisor[at])

    def thinned(self, at: At) -> Frames:
        """Return some rows and columns alone, without shadows; see `thinned_frames`."""
        divisor = np.asarray(self._divisor)[at].copy()
        return DustRemoved(thinned_frames(self.frames, at), transmission=divisor)


def _refined(
    relative: SensorImage, free: SensorImage, spot: DustShadow
) -> tuple[DustShadow, float]:
    """Return a spot moved onto the centroid of its shadow, and its mean depth; NaN if unknown."""
    shadow = _shadow(relative, free, spot)
    at, y, x = box_around(relative.shape, spot)
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
        spot = DustShadow(float(moved[0]), float(moved[1]), spot.radius)
    shadow = _shadow(relative, free, spot)
    _, y, x = box_around(relative.shape, spot)
    missing = shadow[np.isfinite(shadow) & (np.hypot(y, x) <= 1)]
    return spot, float(missing.mean()) if missing.size else np.nan


def _shadow(relative: SensorImage, free: SensorImage, spot: DustShadow) -> Pixels:
    """Return the fraction of the light that is missing, on the box around a spot."""
    light = light_around(free, spot)
    return np.asarray(
        1 - relative[box_around(free.shape, spot)[0]] / np.where(light > 0, light, np.nan)
    )


def _has_mirror_image(
    known: NDArray[np.bool_], points: NDArray[np.intp], middle: Pixels
) -> NDArray[np.bool_]:
    """Return which points have a known pixel opposite them.

    Only those are weighed: else a centroid would shy away from masked pixels and from the
    sensor's edge.
    """
    back = np.rint(2 * middle[:, None] - points).astype(np.intp)
    on = ((back >= 0) & (back < np.array(known.shape)[:, None])).all(axis=0)
    return np.asarray(on & known[tuple(np.where(on, back, 0))])


def _is_apart(spot: DustShadow, others: Iterable[DustShadow], discs: Iterable[Disc]) -> bool:
    """Return whether a spot is two radii off the others and clear of the discs around stars."""
    return all(np.hypot(spot.y - o.y, spot.x - o.x) >= 2 * spot.radius for o in others) and all(
        np.hypot(spot.y - d.y, spot.x - d.x) >= spot.radius + d.radius for d in discs
    )


class RemoveDust(CleaningStep, table="dust", place=20, optional=True):
    """Divide the shadows of dust out, or mask them.

    Shadows are discs that are darker than the light around them; see `find_dust`. A flat that was
    taken with the same dust removes them better. Not divided where a flat already did it.
    """

    count: int = param(5, "Look for at most this many shadows.", label="spots", ge=1)
    radius: float = param(
        10.0, "Radius of a shadow; measure the dark disc on the flat.", "px", ge=1, le=10_000
    )
    action: Literal["divide", "mask"] = param(
        "divide", "Divide by the transmission of the shadows, or mask them."
    )
    on: str = param(
        "mean",
        "Where shadows are found and measured: the mean of the frames, or a flat (a path).",
        label="flat with the dust",
        option="--dust-on",
        path=True,
        hand_made=True,
    )
    spots: tuple[SpotSpec, ...] = param(
        (),
        "Known shadows as (y, x, radius), instead of looking for them.",
        hand_made=True,
        strict=False,
    )

    @field_validator("spots", mode="before")
    @classmethod
    def _tuples(cls, spots: Any) -> Any:
        return tuple(tuple(spot) if isinstance(spot, list) else spot for spot in spots)

    def apply(self, frames: Any, scene: Scene) -> Applied:
        """Return the frames without the shadows, and the shadows."""
        light = scene.light
        discs = discs_around(scene.stars) if light is None else ()  # no star shines on a flat
        divide = self.action == "divide"
        spots = tuple(DustShadow(*spot) for spot in self.spots)
        if light is None and (divide or not spots):
            light = light_of_run(frames, job=scene.job)
        if not spots:
            assert light is not None
            spots = find_dust(light, self.radius, self.count, discs=discs, job=scene.job)
        if divide:
            assert light is not None
            removed = DustRemoved(frames, spots, dust_transmission(light, spots, discs=discs))
        else:
            removed = DustRemoved(frames, spots)
        known = self.changed(spots=tuple(tuple(map(float, spot)) for spot in removed.spots))
        return Applied(removed, known, {"shadows": len(spots)}, lambda: self._note(len(spots)))

    def _note(self, count: int) -> str:
        if count == 0:
            return (
                f"Dust: no shadow of {self.radius:g} px was found. The flat may have removed it "
                "already; otherwise try another radius."
            )
        done = "divided out" if self.action == "divide" else "masked"
        return f"Dust: {count} shadow{'' if count == 1 else 's'} {done}."
