"""The greatest values around the points of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def greatest_around(image: NDArray[np.float64], sides: Sequence[int]) -> NDArray[np.float64]:
    """Return the greatest value in a rectangle around each point, as `maximum_filter` of scipy.

    Parameters
    ----------
    image : ndarray of float64, (k, l)
    sides : sequence of int
        Points down and across; of an even number, one more is before the point than after it.
    """
    found = image
    for axis, side in enumerate(sides):
        lines = np.moveaxis(found, axis, 0)
        before = side // 2
        around = np.pad(lines, ((before, side - 1 - before), (0, 0)), constant_values=-np.inf)
        found = np.moveaxis(_running(around, side), 0, axis)
    return found


def _running(lines: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return the greatest of each `side` lines that follow each other."""
    reach = 1
    while 2 * reach <= side:  # from the greatest of so many to that of twice as many
        lines = np.maximum(lines[:-reach], lines[reach:])
        reach *= 2
    more = side - reach
    return np.maximum(lines[: len(lines) - more], lines[more:])
