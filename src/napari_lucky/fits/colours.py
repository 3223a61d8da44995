"""Whether the pixels or the planes of a FITS image are of several colours, by its header."""

from __future__ import annotations

from functools import lru_cache

from napari_lucky.fits.card_value import Value, values_in

MOSAIC = frozenset("RGBCMYWLE")
PLANES = ("RGB", "SRGB", "COLOR", "COLOUR")


@lru_cache(maxsize=64)
def header_colours(settings: bytes, shape: tuple[int, int, int]) -> str:
    """Return what a header says of the colours of an image.

    Parameters
    ----------
    settings : bytes
        See `HeaderCards`.
    shape : tuple of int
        Planes, rows, columns.

    Returns
    -------
    str
        "RGB" where each frame has three planes; of a mosaic the colours of the first 2 x 2 pixels
        of the file, row by row, such as "RGGB"; or else "".
    """
    values = values_in(settings)
    if shape[0] % 3 == 0 and _says_planes(values):
        return "RGB"
    for keyword in ("BAYERPAT", "COLORTYP"):
        pattern = _word(values.get(keyword))
        if len(pattern) == 4 and set(pattern) <= MOSAIC and len(set(pattern)) > 1:
            return _in_file(pattern, values, shape[1])
    return ""


@lru_cache(maxsize=64)
def said_in_colour(settings: bytes, planes: int) -> bool:
    """Return whether a header says that planes are colours, though they are not by threes."""
    return planes > 1 and planes % 3 > 0 and _says_planes(values_in(settings))


def _says_planes(values: dict[str, Value]) -> bool:
    said = [_word(values.get(keyword)) for keyword in ("CTYPE3", "COLORTYP", "COLORSPC")]
    return any(word in PLANES for word in said)


def _word(value: Value) -> str:
    return value.strip().upper() if isinstance(value, str) else ""


def _in_file(pattern: str, values: dict[str, Value], rows: int) -> str:
    """Return a pattern as it begins at the file's first pixel.

    XBAYROFF and YBAYROFF say where in the pattern the image begins. Patterns are given from the
    top of the image; where ROWORDER says that the file has its bottom first, rows come the other
    way round.
    """
    dx, dy = (_offset(values.get(keyword)) for keyword in ("XBAYROFF", "YBAYROFF"))
    moved = shifted_pattern(pattern, dy, dx)
    upside_down = _word(values.get("ROWORDER")) == "BOTTOM-UP" and rows % 2 == 0
    return moved[2:] + moved[:2] if upside_down else moved


def _offset(value: Value) -> int:
    return int(value) if isinstance(value, float) and value.is_integer() else 0


def shifted_pattern(pattern: str, dy: int, dx: int) -> str:
    """Return the pattern that begins so many rows and columns later."""
    return "".join(pattern[2 * ((y + dy) % 2) + (x + dx) % 2] for y in (0, 1) for x in (0, 1))
