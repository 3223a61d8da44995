"""Where an image is on the sensor, and its coordinates on the sky: the header cards that tell."""

from __future__ import annotations

import re
from typing import Any


def place_cards(header: Any, origin: tuple[int, int], scale: float) -> None:
    """Write where the first pixel is on the sensor, (y, x), and the pixels a sensor's pixel."""
    y, x = origin
    if scale != 1:  # centres of pixels fall between the sensor's: FITS's own counting from 1
        for axis, first in ((1, x), (2, y)):
            header[f"LTM{axis}_{axis}"] = (scale, "pixels a pixel of the sensor")
            header[f"LTV{axis}"] = 0.5 * (1 - scale) - scale * first
    elif origin != (0, 0):
        header["LTV1"] = (-x, "sensor column = x - LTV1")
        header["LTV2"] = (-y, "sensor row = y - LTV2")


def origin_and_scale(header: Any) -> tuple[tuple[int, int], float]:
    """Return an image's (y, x) on the sensor and its scale, as LTV and LTM tell them."""
    scale = float(header.get("LTM1_1", 1))
    first = [(0.5 * (1 - scale) - float(header.get(f"LTV{axis}", 0))) / scale for axis in (2, 1)]
    if scale == 1:
        first = [-float(header.get(f"LTV{axis}", 0)) for axis in (2, 1)]
    return (round(first[0]), round(first[1])), scale


def move_wcs(header: Any, dy: int, dx: int) -> None:
    """Move the reference pixels of a header's coordinates, in place."""
    for keyword in header:
        if found := re.fullmatch("CRPIX([12])[A-Z]?", keyword):
            value = header[keyword]
            if isinstance(value, (int, float)):
                header[keyword] = value + (dx if found[1] == "1" else dy)


def scale_wcs(header: Any, scale: float) -> None:
    """Change a header's coordinates and sizes of a pixel to `scale` pixels a pixel, in place."""
    if scale == 1:
        return
    matrix = any(re.fullmatch(r"CD[12]_[12][A-Z]?", keyword) for keyword in header)
    sizes = r"CD[12]_[12][A-Z]?" if matrix else r"CDELT[12][A-Z]?"
    for keyword in header:
        value = header[keyword]
        if not isinstance(value, (int, float)):
            continue
        if re.fullmatch("CRPIX[12][A-Z]?", keyword):
            header[keyword] = (value - 0.5) * scale + 0.5
        elif re.fullmatch(f"{sizes}|PIXSIZE[12]|[XY]PIXSZ|PIXSCALE|SECPIX[12]?", keyword):
            header[keyword] = value / scale
