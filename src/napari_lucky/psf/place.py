"""Where the star of an image is: its brightest place, unless that is a pixel that stands alone.

What the constants do is measured by ``benchmarks/figures.py``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import as_float32
from napari_lucky.frames.window import Window
from napari_lucky.imaging.connection import connected_to
from napari_lucky.imaging.convolution import gaussian
from napari_lucky.imaging.profiles import peak_pixel
from napari_lucky.imaging.robust_sigma import robust_sigma
from napari_lucky.optics.diffraction import Diffraction, psf_at

Place = tuple[int, int]
MOST_ALONE = 20
"""Pixels that are passed over; where there are more, the image is not a star's."""
SURE = 20.0
"""Sigmas of the window over which a pixel may stand alone."""
SHARPER = 0.5
"""Of what optics give to the best neighbour of a peak: less is no light."""
BLUR = 1.0
"""Pixels of the Gaussian with which a peak is looked for where the optics are not known."""
COARSEST = 0.13721652253082622
"""What the neighbour of a peak has of it with one pixel across lambda/D; see `psf_at`."""


def star_place(
    image: NDArray[Any], window: Window, diffraction: Diffraction | None
) -> tuple[Place, list[Place]]:
    """Return the star's brightest pixel, and brighter ones that stand alone: hot pixels.

    Light spreads over neighbouring pixels, by a width that the optics decide. A pixel whose
    neighbours have less than half of what the diffraction-limited PSF would give them is not
    taken for the star.

    Parameters
    ----------
    image : ndarray, (y, x)
        Masked pixels are NaN.
    window : Window
        Where on the image the star is.
    diffraction : Diffraction or None
        None takes the coarsest sampling that is allowed, so that no star is passed over.
    """
    seen = as_float32(image[window.slices]).copy()
    values = seen[np.isfinite(seen)]
    level = float(np.median(values)) if len(values) else 0.0
    sigma = float(robust_sigma(values, level)) if len(values) else 0.0
    blur = BLUR if diffraction is None else diffraction.sampling / 4
    beside = COARSEST
    if diffraction is not None:
        top, next_to = psf_at(diffraction, (1, 2), (0.0, 0.0))[0]
        beside = next_to / top
    alone: list[Place] = []
    while True:
        y, x = peak_pixel(seen, blur)
        top, left = max(y - 1, 0), max(x - 1, 0)
        near = np.nan_to_num(seen[top : y + 2, left : x + 2], nan=-np.inf)
        row, column = np.unravel_index(int(near.argmax()), near.shape)
        at = (top + int(row), left + int(column))
        height, best = float(seen[at]) - level, _best_neighbour(seen, at) - level
        lone = height > SURE * sigma and best < SHARPER * beside * height
        if not lone or len(alone) == MOST_ALONE:
            return (y + window.y0, x + window.x0), alone
        seen[at] = np.nan
        alone.append((at[0] + window.y0, at[1] + window.x0))


def width_at(image: NDArray[Any], place: Place, window: Window) -> float:
    """Return about the FWHM of a star in pixels, 1 or more, from the area over half its peak."""
    seen = as_float32(image[window.slices])
    level = float(np.nanmedian(seen))
    light = as_float32(np.where(np.isfinite(seen), seen - level, 0.0))
    star = gaussian(light[np.newaxis], BLUR)
    y, x = place[0] - window.y0, place[1] - window.x0
    seed = np.array([y * star.shape[2] + x])
    area = float(connected_to(seed, star > star[0, y, x] / 2).sum())
    return math.sqrt(max(4 * area / math.pi - (2.3548 * BLUR) ** 2, 1.0))


def _best_neighbour(image: NDArray[np.float32], at: Place) -> float:
    y, x = at
    around = image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].copy()
    around[min(y, 1), min(x, 1)] = np.nan
    return float(np.nanmax(around)) if np.isfinite(around).any() else -math.inf
