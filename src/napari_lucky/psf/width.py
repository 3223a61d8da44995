"""The width of a PSF in all directions, and the ellipse that describes it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_lucky.imaging.fine_image import FineImage

FloatArray = NDArray[np.float64]
DIRECTIONS = 90
"""Diameters in which the width is measured, and rays, twice as many, of the profile."""


def rays_from(
    fine: FineImage, centre: tuple[float, float], side: int, sampling: float
) -> tuple[FloatArray, float]:
    """Return the image along rays from the peak, (2 DIRECTIONS, k), and the step in pixels."""
    step = min(sampling / 20, 0.25)
    room = min(*centre, side - 1 - centre[0], side - 1 - centre[1])
    r = np.arange(int(room / step) + 1) * step
    angle = np.arange(2 * DIRECTIONS) * np.pi / DIRECTIONS
    y = centre[0] + np.sin(angle)[:, None] * r
    x = centre[1] + np.cos(angle)[:, None] * r
    return fine.at(y, x), step


def widths_at(rays: FloatArray, step: float, half: float) -> FloatArray:
    """Return the width at a height in each direction, in pixels; NaN where it is never under it."""
    under = rays < half
    first = under.argmax(axis=1)
    ray = np.arange(len(rays))
    before, after = rays[ray, np.maximum(first - 1, 0)], rays[ray, first]
    fall = np.where(before > after, before - after, 1.0)
    place = (first - 1 + (before - half) / fall) * step
    place[~under.any(axis=1) | (first == 0)] = np.nan
    return np.asarray(place[:DIRECTIONS] + place[DIRECTIONS:])


def ellipse(widths: FloatArray) -> tuple[float, float, float]:
    """Return major and minor width and the major one's angle (degrees) of the ellipse that fits."""
    angle = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    good = np.isfinite(widths)
    if not good.all():  # not within the image
        return math.nan, math.nan, math.nan
    cos, sin = np.cos(angle), np.sin(angle)
    weight = widths**3  # a width's own error is the same everywhere
    terms = np.stack([cos**2, 2 * cos * sin, sin**2], axis=1) * weight[:, None]
    a, b, c = np.linalg.lstsq(terms, 4 / widths**2 * weight, rcond=None)[0]
    (least, greatest), axes = np.linalg.eigh([[a, b], [b, c]])
    if not least > 0:
        return math.nan, math.nan, math.nan
    degrees = math.degrees(math.atan2(axes[1, 0], axes[0, 0]))
    degrees = (degrees + 90) % 180 - 90
    return 2 / math.sqrt(least), 2 / math.sqrt(greatest), 90.0 if degrees == -90 else degrees
