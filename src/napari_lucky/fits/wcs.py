"""Where an image is on the sensor, and its coordinates on the sky: the header cards for that.

An image is cut from its source at `origin`, (y, x) counted from 0, and has `scale` pixels a pixel
of the source. Counted from 1, as FITS does,

    pixel = scale * (source's pixel − first − 1/2) + 1/2

Coordinates on the sky (CRPIX, CD or CDELT, SIP) and on the sensor (LTV, LTM) follow.
"""

from __future__ import annotations

import math
import re
from typing import Any

from napari_lucky.fits.colours import shifted_pattern

SENSOR = {"LTV1": "SRCLTV1", "LTV2": "SRCLTV2", "LTM1_1": "SRCLTM1", "LTM2_2": "SRCLTM2"}
"""Keywords of the place on the sensor, and those that keep what the source's header said."""
ORIGINS = {"XORGSUBF": 1, "YORGSUBF": 0}
"""Keywords of a first pixel on the sensor, counted from 0, and which of (y, x) it is."""
PARTS = re.compile(
    r"(CCD|DATA|DET|TRIM|BIAS|AMP|ORIG|IMAGE|ROI|WIN)SEC[A-Z0-9]*|IMAGE[WH]|[ADC]T[MV]\d(_\d)?"
    r"|(SUB|IMG|ROI)RECT|(FRAME|ROI|WIN|SUBF?)_?([XYWH]\d?|HGT|WIDTH|HEIGHT)"
    r"|[XY](POSSUBF|SUBOFF|OFFSET|START)|START[XY]|ESO DET WIN\d* .*"
)
"""Keywords of parts of an image, of its place or its size, which do not hold for a part of it."""
MOSAIC = ("BAYERPAT", "XBAYROFF", "YBAYROFF", "COLORTYP")
"""Keywords of the colours of pixels."""
PIXEL_SIZES = re.compile(r"PIXSIZE[12]|[XY]PIXSZ|PIXSCALE|SECPIX[12]?")


def place_image(header: Any, origin: tuple[int, int], scale: float) -> None:
    """Make the header of a source that of an image cut from it, in place.

    Parameters
    ----------
    header : astropy.io.fits.Header
        The source's.
    origin : tuple of int
        (y, x) of the image's first pixel, in pixels of the source.
    scale : float
        Pixels of the image a pixel of the source.
    """
    move_wcs(header, -origin[0], -origin[1])
    _scale_wcs(header, scale)
    for keyword, axis in ORIGINS.items():
        if (first := _number(header, keyword)) is not None:
            moved = first + origin[axis]
            _put(header, keyword, moved if scale == 1 else scale * moved)
    _place_on_sensor(header, origin, scale)
    _move_mosaic(header, origin, scale)
    if scale != 1 or origin != (0, 0):
        _remove(header, *(keyword for keyword in header if PARTS.fullmatch(keyword)))


def take_back(header: Any) -> tuple[tuple[int, int], float]:
    """Turn a header that `place` made back into the source's; return origin (y, x) and scale."""
    origin, scale = _take_off_sensor(header)
    for keyword, axis in ORIGINS.items():
        if (first := _number(header, keyword)) is not None:
            _put(header, keyword, (first if scale == 1 else first / scale) - origin[axis])
    _scale_wcs(header, 1 / scale)
    move_wcs(header, *origin)
    _move_mosaic(header, origin, scale)  # two turns are none
    return origin, scale


def _move_mosaic(header: Any, origin: tuple[int, int], scale: float) -> None:
    """Make the pattern of a mosaic begin at the image's first pixel; there is none of others."""
    pattern = str(header.get("BAYERPAT", "")).strip()
    if scale != 1:
        _remove(header, *MOSAIC)
    elif len(pattern) == 4 and (origin[0] % 2 or origin[1] % 2):
        header["BAYERPAT"] = shifted_pattern(pattern, *origin)


def _place_on_sensor(header: Any, origin: tuple[int, int], scale: float) -> None:
    """Put the image's own LTV and LTM on those of the source, which are kept beside them."""
    given = {keyword: _number(header, keyword) for keyword in SENSOR}
    _remove(header, *SENSOR, *SENSOR.values())
    for keyword, kept in SENSOR.items():
        if (value := given[keyword]) is not None:
            header[kept] = (value, f"{keyword} of the image that this is cut from")
    known = any(value is not None for value in given.values())
    if not known and scale == 1 and origin == (0, 0):
        return
    for axis, first in ((1, origin[1]), (2, origin[0])):
        move, turn = given[f"LTV{axis}"] or 0.0, given[f"LTM{axis}_{axis}"]
        if scale != 1 or turn is not None:
            turn = scale * (1.0 if turn is None else turn)
            _put(header, f"LTM{axis}_{axis}", turn, "pixels a pixel of the sensor")
        across = f"LTM{axis}_{3 - axis}"
        if scale != 1 and (other := _number(header, across)) is not None:
            _put(header, across, scale * other)
        name = ("column = x", "row = y")[axis - 1]
        comment = "" if f"LTM{axis}_{axis}" in header else f"sensor {name} - LTV{axis}"
        _put(header, f"LTV{axis}", scale * (move - first) + 0.5 * (1 - scale), comment)


def _take_off_sensor(header: Any) -> tuple[tuple[int, int], float]:
    placed = {keyword: _number(header, keyword) for keyword in SENSOR}
    source = {keyword: _number(header, kept) for keyword, kept in SENSOR.items()}
    scale = (placed["LTM1_1"] or 1.0) / (source["LTM1_1"] or 1.0)
    first = [
        (source[f"LTV{axis}"] or 0.0) - ((placed[f"LTV{axis}"] or 0.0) - 0.5 * (1 - scale)) / scale
        for axis in (2, 1)
    ]
    if (placed["LTV1"] is None and placed["LTV2"] is None) or not all(map(math.isfinite, first)):
        first = [0.0, 0.0]
    _remove(header, *SENSOR, *SENSOR.values())
    header.update({keyword: value for keyword, value in source.items() if value is not None})
    for across in ("LTM1_2", "LTM2_1"):
        if scale != 1 and (other := _number(header, across)) is not None:
            _put(header, across, other / scale)
    return (round(first[0]), round(first[1])), scale


def move_wcs(header: Any, dy: float, dx: float) -> None:
    """Move what a header's coordinates on the sky are of by so many pixels, in place."""
    for version in _versions(header):
        for axis, by in ((1, dx), (2, dy)):
            keyword = f"CRPIX{axis}{version}"
            if by and (value := _number(header, keyword)) is not None:
                _put(header, keyword, value + by)


def forget_mosaic(header: Any) -> None:
    """Say that an image is made of a mosaic whose pixels have no single colour any more."""
    if any(keyword in header for keyword in MOSAIC):
        _remove(header, *MOSAIC)
        header["COMMENT"] = "mosaic, not debayered"


def _scale_wcs(header: Any, scale: float) -> None:
    """Change a header's coordinates and sizes of a pixel to `scale` pixels a pixel, in place."""
    if scale == 1:
        return
    for version in _versions(header):
        matrix = [f"CD{i}_{j}{version}" for i in (1, 2) for j in (1, 2)]
        for keyword in (*matrix, f"CDELT1{version}", f"CDELT2{version}"):
            if (value := _number(header, keyword)) is not None:
                _put(header, keyword, value / scale)
        for keyword in (f"CRPIX1{version}", f"CRPIX2{version}"):
            if (value := _number(header, keyword)) is not None:
                _put(header, keyword, (value - 0.5) * scale + 0.5)
    for keyword in set(header):
        value = _number(header, keyword)
        if value is None:
            continue
        if found := re.fullmatch(r"[AB]P?_(\d)_(\d)", keyword):  # of SIP, in pixels
            _put(header, keyword, value * scale ** (1 - int(found[1]) - int(found[2])))
        elif keyword in ("A_DMAX", "B_DMAX"):
            _put(header, keyword, value * scale)
        elif PIXEL_SIZES.fullmatch(keyword):
            _put(header, keyword, value / scale)


def _versions(header: Any) -> list[str]:
    """Return the letters of the coordinates in a header: "" for the first, A to Z for others.

    What the standard has where a card is missing is written down: a reference pixel of 0, and
    steps of 1 where there is no matrix either.
    """
    named = "(?:CTYPE|CRPIX|CRVAL|CDELT|CD[12]_|PC[12]_)[12]([A-Z]?)"
    found = {match[1] for keyword in header if (match := re.fullmatch(named, keyword))}
    for version in found:
        if any(f"CTYPE{axis}{version}" in header for axis in (1, 2)):
            matrix = any(f"CD{i}_{j}{version}" in header for i in (1, 2) for j in (1, 2))
            for axis in (1, 2):
                header.setdefault(f"CRPIX{axis}{version}", 0.0)
                if not matrix:
                    header.setdefault(f"CDELT{axis}{version}", 1.0)
    return sorted(found)


def _remove(header: Any, *keywords: str) -> None:
    for keyword in set(keywords):
        header.remove(keyword, ignore_missing=True, remove_all=True)


def _put(header: Any, keyword: str, value: float, comment: str | None = None) -> None:
    """Write a number, unless it is one that no header can hold."""
    if math.isfinite(value):
        header[keyword] = value if comment is None else (value, comment)


def _number(header: Any, keyword: str) -> float | None:
    """Return a card's number; None where it has none."""
    value = header.get(keyword)
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if real and math.isfinite(value) else None
