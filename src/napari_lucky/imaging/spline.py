"""Cubic splines through the points of an image.

`scipy.ndimage.map_coordinates` finds the same, to rounding; importing it takes a fifth of a short
job's time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
POLE = math.sqrt(3) - 2
"""Of the filter that turns values into a cubic spline's coefficients."""
FAR = 28
"""Points after which the filter has forgotten its start, to rounding."""


def spline_at(image: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
    """Return the values at places of the cubic spline through all points of an image.

    Beyond its edges the image is taken as mirrored there. With Unser, Aldroubi and Eden (1993,
    "B-spline signal processing", IEEE Trans. Signal Process. 41, 821).

    Parameters
    ----------
    image : ndarray of float64, (k, l)
        Two points a side or more, no NaN.
    y, x : ndarray of float64
        Places in points, all of one shape; NaN is returned outside the image.
    """
    coefficients = np.pad(_filtered(_filtered(image).T).T, 2, mode="reflect")
    inside = (y >= 0) & (y <= image.shape[0] - 1) & (x >= 0) & (x <= image.shape[1] - 1)
    place = [np.where(inside, at, 0.0) for at in (y, x)]
    first = [np.floor(at).astype(np.intp) for at in place]
    down, across = (_weights(at - one) for at, one in zip(place, first, strict=True))
    wide, flat = coefficients.shape[1], coefficients.ravel()
    start = (first[0] + 1) * wide + first[1] + 1
    value = np.zeros(start.shape)
    for row in range(4):
        line = sum(across[k] * flat[start + (row * wide + k)] for k in range(4))
        value += down[row] * line
    return np.where(inside, value, np.nan)


def _filtered(values: FloatArray) -> FloatArray:
    """Return the coefficients down the columns of the spline through these values."""
    n = len(values)
    made = 6 * values.astype(np.float64)
    around = np.arange(FAR) % (2 * n - 2)
    mirrored = np.where(around < n, around, 2 * n - 2 - around)
    made[0] = np.tensordot(POLE ** np.arange(FAR), made[mirrored], 1)
    for k in range(1, n):
        made[k] += POLE * made[k - 1]
    made[-1] = POLE / (POLE**2 - 1) * (made[-1] + POLE * made[-2])
    for k in range(n - 2, -1, -1):
        made[k] = POLE * (made[k + 1] - made[k])
    return made


def _weights(t: FloatArray) -> tuple[FloatArray, ...]:
    """Return the weights of the points at -1, 0, 1 and 2 for places between 0 and 1."""
    s = 1 - t
    return (
        s * s * s / 6,
        (4 - 3 * t * t * (2 - t)) / 6,
        (4 - 3 * s * s * (2 - s)) / 6,
        t * t * t / 6,
    )
