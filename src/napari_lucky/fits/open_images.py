"""The images of many files, opened with one header parsed for each kind of file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import Stamp
from napari_lucky.fits.gzip_file import Unpacked, is_packed
from napari_lucky.fits.header_scan import HeaderTemplate, header_template, scan
from napari_lucky.fits.image import FitsImage
from napari_lucky.fits.layout import Layout, layouts
from napari_lucky.fits.plain_header import plain_layout
from napari_lucky.fits.truncation import open_truncated
from napari_lucky.sources.kinds import source_of
from napari_lucky.sources.source_image import SourceImage


class LeftOut(NamedTuple):
    """A file beside the frames that is not one of them, and why."""

    path: Path
    reason: str
    is_lost: bool = False
    """Whether it was to be a frame, but is damaged or of another shape."""


def open_images(paths: Iterable[Path]) -> tuple[list[SourceImage], list[LeftOut]]:
    """Return the images in files, and the files that cannot be read.

    Files with the same signature share their layout.
    """
    known: dict[Any, list[Layout]] = {}
    last: tuple[HeaderTemplate | None, list[Layout]] = (None, [])
    seen: dict[bytes, bytes] = {}
    images: list[SourceImage] = []
    odd = []
    for path in paths:
        if opens := source_of(path.name):
            try:
                images += opens(path)
            except LuckyError as error:
                odd.append(LeftOut(path, str(error).removeprefix(f"{path}: "), True))
            continue
        like, found = last
        alike = None if like is None else like.match(path)
        if alike is None:
            try:
                stamp = _stamp(path)
                packed = is_packed(path)
                kind, cards = scan(path)
                if kind not in known:
                    plain = None if packed else plain_layout(path, kind)
                    known[kind] = [plain] if plain else layouts(path)
                found = known[kind]
                last = header_template(path, kind), found
            except LuckyError as error:
                if whole := open_truncated(path):
                    images += whole
                else:
                    odd.append(LeftOut(path, str(error).removeprefix(f"{path}: "), True))
                continue
        else:
            packed = False
            stamp, cards = alike
        cards = cards._replace(settings=seen.setdefault(cards.settings, cards.settings))
        several = sum(layout.shape[0] for layout in found) > 1
        unpacked = Unpacked(path, stamp) if several and packed else None
        images += [FitsImage(path, layout, unpacked, stamp, cards, packed) for layout in found]
    return images, odd


def _stamp(path: Path) -> Stamp:
    try:
        return Stamp.at(path)
    except OSError as error:
        raise LuckyError(f"{path}: cannot be opened ({error.strerror or error}).") from error
