"""Windows and other shapes as regions of DS9, and windows read from them.

A region file is a line a shape, so that no package is needed to write one. Pixels are counted
from 1 there, as FITS does, and x comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import open_text
from napari_lucky.fits.names import header_text
from napari_lucky.frames.window import Window

HEAD = "# Region file format: DS9 version 4.1\nglobal color=orange\nimage\n"
SYSTEMS = ("image", "physical", "fk4", "fk5", "icrs", "galactic", "ecliptic", "wcs", "linear")
BOX = re.compile(r"[+]?\s*(box|circle)\s*\(?([^)#]*)\)?\s*(?:#.*?text=[{\"']([^}\"']*))?", re.I)
MOST_LINES = 100_000


def window_region(window: Window, name: str = "") -> str:
    """Return the line of a window."""
    y0, x0, height, width = window.y0, window.x0, window.height, window.width
    return _line("box", (x0 + (width + 1) / 2, y0 + (height + 1) / 2, width, height, 0), name)


def shape_region(kind: str, corners: NDArray[np.float64], name: str = "") -> str:
    """Return the line of a shape of napari: a rectangle, an ellipse, a line or a polygon.

    Parameters
    ----------
    kind : str
        As napari's `shape_type`; a path is a polygon.
    corners : ndarray, (k, 2) or (k, 3)
        (y, x) last, in pixels from 0; of an ellipse those of the rectangle around it.
    """
    places = np.asarray(corners, np.float64)[:, -2:][:, ::-1] + 1
    sides = np.diff(places[:3], axis=0)
    if kind == "line":
        return _line("line", places[:2].ravel(), name)
    if kind in ("rectangle", "ellipse"):
        (one, two), centre = np.hypot(*sides.T), places.mean(axis=0)
        angle = np.degrees(np.arctan2(sides[0, 1], sides[0, 0])) % 180
        if angle == 90:  # upright, begun at its side
            one, two, angle = two, one, 0.0
        half = 1 if kind == "rectangle" else 2
        shape = "box" if kind == "rectangle" else "ellipse"
        return _line(shape, (*centre, one / half, two / half, angle), name)
    return _line("polygon", places.ravel(), name)


def point_region(place: Sequence[float]) -> str:
    """Return the line of a point (..., y, x), in pixels from 0."""
    return _line("point", (place[-1] + 1, place[-2] + 1), "")


def _line(shape: str, numbers: Iterable[float], name: str) -> str:
    places = ",".join(f"{number:.10g}" for number in numbers)
    text = header_text(name).replace("{", "(").replace("}", ")")
    return f"{shape}({places})" + (f" # text={{{text}}}" if text else "") + "\n"


def region_file(lines: Iterable[str]) -> str:
    """Return the text of a region file with these lines."""
    return HEAD + "".join(lines)


def read_windows(path: str | Path) -> dict[str, Window]:
    """Read windows from the boxes and circles of a region file, in image coordinates.

    Returns
    -------
    dict of str to Window
        By their texts; the first without one is "focus", the second "defocus". A circle is the
        square around it; sides and places are rounded to whole pixels.

    Raises
    ------
    LuckyError
        If it holds none, or has coordinates on the sky.
    """
    path = Path(path)
    try:
        with open_text(path) as file:
            lines = [line for _, line in zip(range(MOST_LINES), file, strict=False)]
    except OSError as error:
        raise LuckyError(f"{path}: cannot be read ({error.strerror or error}).") from error
    found: dict[str, Window] = {}
    system = "image"
    for part in re.split(r"[\n\r]|;(?![^{]*\})", "".join(lines)):
        text = part.strip()
        if text.lower() in SYSTEMS:
            system = text.lower()
        elif match := BOX.match(text):
            if system != "image":
                raise LuckyError(
                    f"{path}: its coordinates are {system}; save the regions in DS9 with the "
                    "coordinate system image."
                )
            free = [name for name in ("focus", "defocus") if name not in found]
            found[match[3] or (free[0] if free else text)] = _window(path, match[1], match[2])
    if not found:
        raise LuckyError(f"{path}: no box and no circle of DS9 in this file.")
    return found


def _window(path: Path, shape: str, numbers: str) -> Window:
    try:
        x, y, *sizes = (float(number) for number in re.split(r"[,\s]+", numbers.strip()))
        if shape.lower() == "circle":
            width = height = 2 * sizes[0]
        else:
            width, height = sizes[:2]
            if len(sizes) > 2 and sizes[2] % 90:
                raise LuckyError(f"{path}: a window cannot be rotated by {sizes[2]:g} degrees.")
        width, height = max(round(width), 1), max(round(height), 1)
        return Window(round(y - (height + 1) / 2), round(x - (width + 1) / 2), height, width)
    except LuckyError:
        raise
    except (ValueError, IndexError, OverflowError) as error:
        raise LuckyError(
            f"{path}: {shape}({numbers}) is not understood; expected {shape}"
            f"({'x,y,radius' if shape.lower() == 'circle' else 'x,y,width,height,0'}) in pixels."
        ) from error
