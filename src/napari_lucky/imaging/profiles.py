"""The peak of an image, what is around it, and profiles through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import as_float32
from napari_lucky.frames.window import Window
from napari_lucky.imaging.star_image import check_smooth, smoothed
from napari_lucky.text import ShortRepr

PARTS = 5
"""A pixel is cut into 5 x 5 to find how much of it is in a circle."""


@dataclass(frozen=True, eq=False)
class Profile(ShortRepr):
    """Intensity over the distance from a peak.

    Parameters
    ----------
    offset : ndarray of float64, (k,)
        Pixels from the peak.
    value : ndarray of float64, (k,)
        In the image's unit; NaN where all pixels are masked.
    count : ndarray of int, (k,)
        How many pixels each value is the mean of.
    """

    offset: NDArray[np.float64]
    value: NDArray[np.float64]
    count: NDArray[np.intp]


def peak_pixel(image: NDArray[Any], smooth: float = 0.0) -> tuple[int, int]:
    """Return the (y, x) of the brightest pixel; of several, the first in the file's order.

    Parameters
    ----------
    image : ndarray, (y, x)
        Masked pixels are NaN and are never the peak.
    smooth : float
        Standard deviation in pixels of a Gaussian smoothing before the search, so that a hot
        pixel or noise is not taken for the star; 0 for none.

    Returns
    -------
    (int, int)
        (y, x) of the peak.

    Raises
    ------
    LuckyError
        If all pixels are masked, or the smoothing makes no sense.
    """
    check_smooth(smooth)
    good = np.isfinite(image)
    if not good.any():
        raise LuckyError("All pixels of this image are masked; it has no peak.")
    level = as_float32(np.where(good, image, np.nan))
    if smooth > 0:
        level = smoothed(level[np.newaxis], smooth)[0]
    y, x = np.unravel_index(int(np.argmax(np.where(good, level, -np.inf))), level.shape)
    return int(y), int(x)


def cutout(image: NDArray[Any], centre: tuple[int, int], side: int) -> NDArray[np.float32]:
    """Cut a square out of an image, with the centre on its pixel [side // 2, side // 2].

    Parameters
    ----------
    image : ndarray, (y, x)
        Masked pixels are NaN.
    centre : tuple of int
        (y, x) on the image.
    side : int
        Of the square, in pixels.

    Returns
    -------
    ndarray of float32, (side, side)
        NaN where the square reaches over the edge of the image.
    """
    square = Window.centred(*centre, side)
    part = square.clipped(image.shape)
    cut = np.full(square.shape, np.nan, np.float32)
    cut[part.within(square).slices] = image[part.slices]
    return cut


def circle(y: NDArray[np.float64], x: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Return which part of each pixel is within a radius.

    Parameters
    ----------
    y, x : ndarray of float64, (n,) and (k,)
        Rows and columns, from the centre of the circle.
    radius : float
        In pixels.

    Returns
    -------
    ndarray of float64, (n, k)
        1 inside, 0 outside; a pixel on the edge is cut into 5 x 5 parts.
    """
    distance = np.hypot(y[:, None], x)
    inside = (distance <= radius).astype(np.float64)
    parts = (np.arange(PARTS) + 0.5) / PARTS - 0.5
    row, column = np.nonzero(np.abs(distance - radius) < 1)  # its edge may cut these
    fine = np.hypot(y[row, None, None] + parts[:, None], x[column, None, None] + parts)
    inside[row, column] = (fine <= radius).mean(axis=(1, 2))
    return inside


def row_cut(image: NDArray[Any], peak: tuple[int, int]) -> Profile:
    """Return the row of pixels through the peak (y, x); offsets are x less the peak's.

    Parameters
    ----------
    image : ndarray, (y, x)
        Masked pixels are NaN.
    peak : (int, int)
        (y, x) of the peak; see `peak_pixel`.

    Returns
    -------
    Profile
        Intensities over the offset in x, px.
    """
    return _line(image[peak[0]], peak[1])


def column_cut(image: NDArray[Any], peak: tuple[int, int]) -> Profile:
    """Return the column of pixels through the peak (y, x); offsets are y less the peak's.

    Parameters
    ----------
    image : ndarray, (y, x)
        Masked pixels are NaN.
    peak : (int, int)
        (y, x) of the peak; see `peak_pixel`.

    Returns
    -------
    Profile
        Intensities over the offset in y, px.
    """
    return _line(image[:, peak[1]], peak[0])


def _line(pixels: NDArray[Any], peak: int) -> Profile:
    value = np.where(np.isfinite(pixels), pixels, np.nan).astype(np.float64)
    offset = np.arange(len(value), dtype=np.float64) - peak
    return Profile(offset, value, np.isfinite(value).astype(np.intp))


def radial_profile(image: NDArray[Any], centre: tuple[float, float]) -> Profile:
    """Average the pixels in rings one pixel wide.

    With r the distance of a pixel's centre from `centre`, ring k holds the pixels that are not
    masked with k - 1/2 <= r < k + 1/2::

        value_k = sum of I over ring k / count_k,   offset_k = sum of r over ring k / count_k

    The offset is the mean distance, not k: in small rings the two differ (the eight pixels
    around the centre are ring 1, and 1.21 px away on the mean).

    Parameters
    ----------
    image : ndarray, (y, x)
        Masked pixels are NaN and have no weight.
    centre : tuple of float
        (y, x) in pixels, to a fraction if wanted. The Compare dock gives the whole pixel
        of `peak_pixel`, so that ring 0 is the peak itself.

    Returns
    -------
    Profile
        A value a ring, from the centre to the farthest corner; k and NaN for a ring without
        pixels.
    """
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    r = np.hypot(y - centre[0], x - centre[1])
    ring = np.floor(r + 0.5).astype(np.intp)
    good = np.isfinite(image)
    rings = int(ring.max()) + 1
    count = np.bincount(ring[good], minlength=rings)
    some = np.maximum(count, 1)
    total = np.bincount(ring[good], image[good].astype(np.float64), minlength=rings)
    distance = np.bincount(ring[good], r[good], minlength=rings)
    return Profile(
        np.where(count > 0, distance / some, np.arange(rings)),
        np.where(count > 0, total / some, np.nan),
        count,
    )


PROFILES: dict[str, Callable[[NDArray[Any], tuple[int, int]], Profile]] = {
    "row": row_cut,
    "column": column_cut,
    "radial": radial_profile,
}


def normalised_profile(profile: Profile) -> Profile:
    """Divide a profile by its greatest value; all NaN where that is not above zero."""
    top = float(np.fmax.reduce(profile.value, initial=-np.inf))
    scale = top if 0 < top < np.inf else np.nan
    return replace(profile, value=profile.value / scale)


def ring_medians(values: NDArray[Any], rings: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the median of the values of each ring.

    `scipy.ndimage.median` finds the same; importing it takes a fifth of a short job's time.

    Parameters
    ----------
    values : ndarray, (k,)
        Without NaN.
    rings : ndarray of int, (k,)
        Number of the ring that each value is in, from 0.

    Returns
    -------
    ndarray of float64, (n,)
        Of rings 0 to the greatest; NaN for a ring without values.
    """
    in_order = values[np.lexsort((values, rings))].astype(np.float64)
    counts = np.bincount(rings)
    first = counts.cumsum() - counts
    some = counts > 0
    medians = np.full(len(counts), np.nan)
    lower, upper = first + (counts - 1) // 2, first + counts // 2
    medians[some] = (in_order[lower[some]] + in_order[upper[some]]) / 2
    return medians
