"""An image as a surface in three dimensions: its intensity is its height."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.imaging.profiles import cutout, peak_pixel
from napari_lucky.text import ShortRepr

SURFACE_SIDE = 200
"""Pixels; far larger surfaces turn slowly."""
SURFACE_HEIGHT = 0.5
"""Of the peak, as a fraction of the side."""


@dataclass(frozen=True, eq=False)
class SurfaceMesh(ShortRepr):
    """Triangles between the pixels of an image.

    Parameters
    ----------
    vertices : ndarray of float32, (n, 3)
        (height, y, x) of each pixel that is not masked; y and x in pixels of the image.
    faces : ndarray of int32, (m, 3)
        Vertices of each triangle.
    values : ndarray of float32, (n,)
        Intensity of each vertex, in the image's unit.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    values: NDArray[np.float32]


def surface_of(
    image: NDArray[Any],
    side: int = SURFACE_SIDE,
    height: float = SURFACE_HEIGHT,
    smooth: float = 0.0,
) -> SurfaceMesh:
    """Make a surface of an image around its peak.

    With the lowest and highest pixel of the square, a pixel of intensity I has the height::

        z = height * side * (I - lowest) / (highest - lowest)

    in pixels. A masked pixel leaves a hole: the triangles that touch it are left out.

    Parameters
    ----------
    image : ndarray, (y, x)
        Masked pixels are NaN.
    side : int
        Of the square around the peak, in pixels; less at the edge of the image.
    height : float
        Of the highest pixel, as a fraction of the side.
    smooth : float
        For the search of the peak only; see `napari_lucky.imaging.profiles.peak_pixel`.

    Returns
    -------
    SurfaceMesh
        Vertices (z, y, x) in px, triangles, and an intensity for each vertex.

    Raises
    ------
    LuckyError
        If all pixels are masked, or so many that no triangle is left.
    """
    peak = peak_pixel(image, smooth)
    cut = cutout(image, peak, side)
    good = np.isfinite(cut)
    faces = _triangles(good)
    if len(faces) == 0:
        raise LuckyError("Nearly all pixels around the peak are masked; no surface can be drawn.")
    values = cut[good]
    low, high = float(values.min()), float(values.max())
    z = height * side * (values - low) / (high - low if high > low else 1.0)
    y, x = np.nonzero(good)
    place = (y + peak[0] - side // 2, x + peak[1] - side // 2)
    return SurfaceMesh(np.column_stack([z, *place]).astype(np.float32), faces, values)


def _triangles(good: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return two triangles for each 2 x 2 pixels, as numbers of the good pixels in order."""
    number = np.cumsum(good).reshape(good.shape).astype(np.int32) - 1
    number[~good] = -1
    a, b, c, d = (
        part.ravel()
        for part in (number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:])
    )
    faces = np.concatenate([np.column_stack([a, b, c]), np.column_stack([b, d, c])])
    return faces[(faces >= 0).all(axis=1)]
