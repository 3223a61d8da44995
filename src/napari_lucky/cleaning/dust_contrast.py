"""Where an image of even light is dark: the contrast of spots with the light around them.

What the constants do is measured by ``benchmarks/masks.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.masters import DEAD_BELOW
from napari_lucky.cleaning.background import BackgroundModel, BackgroundRemoved
from napari_lucky.cleaning.dust_shadow import RING, MaskedLight, Pixels
from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import ArrayFrames
from napari_lucky.frames.sensor_image import (
    At,
    LazyImage,
    SensorImage,
    bands_of,
    median_of,
    put_together,
    rows_of,
    window_at,
)
from napari_lucky.imaging.robust_sigma import MAD_OF_SIGMA
from napari_lucky.pieces import pieces
from napari_lucky.text import percent

SHALLOWEST = 0.002
"""Part of the light that the faintest shadow takes."""
DISC_SHARE, FRAME_SHARE = 0.4, 0.2
"""Shares of a spot's box, and of the frame around it, that must be known for a contrast."""
COLUMNS = 2048
"""Columns that a contrast is computed of at once, beside the margin."""


class RelativeLight(LazyImage):
    """Light over what is smooth in it, where there is some."""

    def __init__(self, light: MaskedLight, radius: float) -> None:
        super().__init__(light.shape)
        self.light = light
        size = light.shape[0] * light.shape[1]
        known = sum(int(np.isfinite(rows).sum()) for rows in rows_of(light))
        if known < max(100, size / 100) or min(light.shape) < 4 * radius:
            raise LuckyError(
                f"Dust spots with a radius of {radius:g} pixels cannot be found: the image has "
                f"{light.shape[0]} x {light.shape[1]} pixels, and only "
                f"{percent(known / size, '.0f')} of them are neither masked nor near a star. "
                "Give a smaller radius, or make the discs around the stars smaller."
            )
        level = median_of(lambda: rows_of(light))
        steps = median_of(lambda: (np.abs(np.diff(rows)) for rows in rows_of(light)))
        noise = steps / (MAD_OF_SIGMA * np.sqrt(2))
        if not level > noise:
            raise LuckyError(
                "Dust shadows cannot be seen without light: the image has a median of "
                f"{level:g} and a noise of {noise:g} a pixel. Give a flat, or the run with its "
                "background."
            )
        self.smooth = BackgroundModel(BackgroundRemoved(ArrayFrames(light)))
        self.least = DEAD_BELOW * level

    def __getitem__(self, at: At) -> Pixels:
        smooth = self.smooth.read(slice(None), window_at(at, self.shape))[0]
        smooth[smooth < self.least] = np.nan
        return self.light[at] / smooth


def dark_places(
    relative: SensorImage, radius: float, sigma: float, report: Callable[[], None]
) -> tuple[list[tuple[int, int]], float]:
    """Return the places (y, x) that a contrast of boxes calls dark, darkest first, and how dark.

    Boxes cost the same at any radius, and a place is looked at closely later.
    """
    from scipy import ndimage

    shape, bands, reach = relative.shape, bands_of(relative.shape), int(radius)
    rows = max(bands[0].stop, 2 * round(radius * RING[1]))  # not mostly margin
    wide = pieces(shape[0], rows)

    def contrasts() -> Iterator[Pixels]:
        for band in wide:
            report()
            yield _contrast(relative, band, radius)

    contrast = put_together(shape, wide, contrasts())
    report()
    middle = median_of(lambda: rows_of(contrast))
    if not np.isfinite(middle):
        return [], SHALLOWEST
    spread = median_of(lambda: (np.abs(rows - middle) for rows in rows_of(contrast))) / MAD_OF_SIGMA
    threshold = max(SHALLOWEST, sigma * spread)
    found, depths = [], []
    for band in bands:
        rows, inner = _with_margin(band, reach, shape)
        part = np.array(contrast[rows, :])
        part[np.isnan(part)] = np.inf
        lowest = ndimage.minimum_filter(part, size=2 * reach + 1, mode="nearest")[inner]
        part = part[inner]
        y, x = np.nonzero((part == lowest) & (part <= -threshold))
        found += [(int(row) + band.start, int(column)) for row, column in zip(y, x, strict=True)]
        depths.append(part[y, x])
    return [found[k] for k in np.argsort(np.concatenate(depths), kind="stable")], threshold


def _with_margin(band: slice, margin: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return a band of rows with more on either side, and where in these rows it is."""
    first, last = max(band.start - margin, 0), min(band.stop + margin, shape[0])
    return slice(first, last), slice(band.start - first, band.stop - first)


def _contrast(image: SensorImage, band: slice, radius: float) -> Pixels:
    """Return the contrast of spots and what is around them, for a band of rows.

    In parts of so many columns that memory does not grow with the sensor.
    """
    margin = round(radius * RING[1])
    rows, inner = _with_margin(band, margin, image.shape)
    parts = []
    for part in pieces(image.shape[1], COLUMNS):
        columns, across = _with_margin(part, margin, image.shape[::-1])
        parts.append(_contrast_in(image[rows, columns], radius)[inner, across])
    return np.concatenate(parts, axis=1)


def _contrast_in(relative: Pixels, radius: float) -> Pixels:
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
    near, outer = total(value, disc), total(value, frame) - total(value, hole)
    enough = (number > DISC_SHARE * disc**2) & (others > FRAME_SHARE * (frame**2 - hole**2))
    lit = enough & (outer > 0)
    contrast = np.full(relative.shape, np.nan)
    contrast[lit] = near[lit] / number[lit] * others[lit] / outer[lit] - 1
    return contrast
