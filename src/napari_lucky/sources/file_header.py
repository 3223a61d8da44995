"""A FITS header for frames of a file that has none."""

from __future__ import annotations

from typing import Any

from napari_lucky.sources.source_image import NOTHING, HeaderCards


def header_from(cards: dict[str, Any], read_as: str, colours: str = "") -> Any:
    """Return an `astropy.io.fits.Header` of a file that is no FITS file.

    Parameters
    ----------
    cards : dict
        Values, or a value and a comment each, by keyword; empty ones are left out.
    read_as : str
        What the file is.
    colours : str
        The pattern of a mosaic, or what else the colours are.
    """
    from astropy.io import fits

    header = fits.Header()
    for keyword, value in cards.items():
        first = value[0] if isinstance(value, tuple) else value
        if isinstance(first, str):
            first = _ascii(first)
        if first not in ("", None):
            header[keyword] = (first, value[1]) if isinstance(value, tuple) else first
    if len(colours) == 4:
        header["BAYERPAT"] = (colours, "colours of a cell of 2 x 2 pixels")
    header["COMMENT"] = f"Read from {read_as}"
    return header


def camera_cards(cards: dict[str, Any]) -> HeaderCards:
    """Return the camera's name as a header card, so that cameras are not mixed."""
    name = _ascii(str(cards.get("INSTRUME") or "")).replace("'", " ")
    return HeaderCards(f"INSTRUME= '{name[:66]}'".ljust(80).encode()) if name.strip() else NOTHING


def _ascii(text: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)[:68]
