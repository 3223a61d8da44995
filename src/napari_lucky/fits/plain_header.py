"""The layout of a plain image, by its header's cards as they stand, without astropy.

Most runs are such files, and importing astropy takes as long as reading hundreds of them.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky.files.open_file import Stamp, open_regular
from napari_lucky.fits.card_value import CARD
from napari_lucky.fits.header_units import BITPIX, BLOCK
from napari_lucky.fits.layout import Layout, flip_of

SCALING = {"BZERO", "BSCALE"}
OUT_OF_ORDER = {"BLANK", "EXTNAME", "GROUPS"}
KNOWN = {"SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", *SCALING}


def plain_layout(path: Path, kind: tuple[Any, ...]) -> Layout | None:
    """Return the layout of a file that holds one plain image, or cube, and no more.

    Parameters
    ----------
    path : pathlib.Path
        The file, not gzipped.
    kind : tuple
        Its signature.

    Returns
    -------
    Layout or None
        What `napari_lucky.fits.layout.layouts` finds with astropy; None where there is anything
        out of the ordinary, for astropy to judge.
    """
    if len(kind) != 1:
        return None
    offset, *cards = kind[0]
    values = {card[:8].rstrip().decode("ascii", "replace"): _number(card) for card in cards}
    keywords = _keywords(header_bytes(path, offset))
    if len(values) < len(cards) or keywords & OUT_OF_ORDER or values["SIMPLE"] is not True:
        return None
    if not keywords & SCALING <= set(values) <= KNOWN or None in values.values():
        return None
    axes = [values.get(f"NAXIS{k + 1}") or 0 for k in range(int(values.get("NAXIS") or 0))]
    stored = BITPIX.get(int(values["BITPIX"] or 0))
    if len(axes) not in (2, 3) or stored is None or not all(side > 0 for side in axes):
        return None
    if len(axes) == 3 and 1 in axes[:2]:  # where frames, rows or columns are others
        return None
    shape = tuple(int(side) for side in reversed(axes))
    held = math.prod(shape) * abs(int(values["BITPIX"] or 0)) // 8
    if not offset + held <= Stamp.at(path).size < offset + held + BLOCK:
        return None
    flip = flip_of(values.get("BZERO") or 0, values.get("BSCALE", 1), np.dtype(stored))
    if flip is None:
        return None
    planes, ny, nx = (1, *shape)[-3:]
    return Layout.plain(0, (planes, ny, nx), np.dtype(stored), offset, flip)


def header_bytes(path: Path, size: int) -> bytes:
    """Return the first bytes of a file."""
    with open_regular(path) as file:
        return file.read(size)


def _keywords(header: bytes) -> set[str]:
    """Return all keywords of a header, however they are written."""
    cards = (header[start : start + 8] for start in range(0, len(header), CARD))
    return {card.decode("ascii", "replace").strip().upper() for card in cards}


def _number(card: bytes) -> int | float | None:
    """Return the value of a card; None of one that is neither T nor a number as FITS writes it."""
    text = card[10:].split(b"/")[0].strip().decode("ascii", "replace")
    if card[8:10] != b"= ":
        return None
    if text == "T":
        return True
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return int(text)
    return float(text) if re.fullmatch(r"[+-]?[0-9]*\.?[0-9]+\.?(E[+-]?[0-9]+)?", text) else None
