"""Truncated files: the frames in them that are whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import Stamp
from napari_lucky.fits.card_value import cards_in
from napari_lucky.fits.gzip_file import is_packed
from napari_lucky.fits.header_scan import cards_of
from napari_lucky.fits.header_units import Unit, units_of
from napari_lucky.fits.image import FitsImage
from napari_lucky.fits.layout import Layout, layouts
from napari_lucky.fits.sound_header import unsound_cards
from napari_lucky.fits.tiles import compressed


def open_truncated(path: Path) -> list[FitsImage]:
    """Return the images of a truncated file, as far as their frames are whole.

    Empty if no frame is, if the file is packed, or if it is damaged in another way.
    """
    if is_packed(path):
        return []
    try:
        stamp = Stamp.at(path)
        with units_of(path, stamp, cut=True) as (_, inside):
            units = list(inside)
        found = layouts(path, cut=True)
    except (LuckyError, OSError):
        return []
    damaged = (card for unit in units for card in unsound_cards(cards_in(unit.header)))
    cards = cards_of((card for unit in units for card in unit.frame_cards), damaged)
    images = [FitsImage(path, layout, None, stamp, cards) for layout in found]
    if units[-1].data + units[-1].length <= stamp.size:  # the next one's header is cut
        return [*images[:-1], replace(images[-1], missing=1)]
    last = images.pop() if found[-1].hdu == len(units) - 1 else None
    if last is not None:
        each = 3 if last.colours == "RGB" else 1
        frames = last.layout.shape[0] // each
        whole = _whole_planes(units[-1], last.layout, stamp.size) // each
        if whole:
            cut = replace(last.layout, shape=(whole * each, *last.layout.shape[1:]))
            images.append(replace(last, layout=cut, missing=frames - whole))
        elif images:
            images[-1] = replace(images[-1], missing=frames)
    return images


def _whole_planes(unit: Unit, layout: Layout, size: int) -> int:
    """Return how many planes of a unit are whole; none where they are not one after the other."""
    if compressed(unit) or layout.axis is not None:
        return 0
    return (size - unit.data) // (unit.length // layout.shape[0])
