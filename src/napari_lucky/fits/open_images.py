"""The images of many files, opened with one header parsed for each kind of file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import map_in_copies
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.files.open_file import Stamp
from napari_lucky.fits.file_names import FolderFiles
from napari_lucky.fits.gzip_file import Unpacked, is_packed
from napari_lucky.fits.header_scan import (
    AlikeHeaders,
    HeaderTemplate,
    header_template,
    joined_headers,
    scan,
)
from napari_lucky.fits.image import FitsImage
from napari_lucky.fits.layout import Layout, layouts
from napari_lucky.fits.plain_files import PlainFiles
from napari_lucky.fits.plain_header import plain_layout
from napari_lucky.fits.truncation import open_truncated
from napari_lucky.pieces import pieces
from napari_lucky.sources.kinds import source_of
from napari_lucky.sources.source_image import SourceImage

BLOCK = 256
"""Headers that are read and compared at once."""


class LeftOut(NamedTuple):
    """A file beside the frames that is not one of them, and why."""

    path: Path
    reason: str
    is_lost: bool = False
    """Whether it was to be a frame, but is damaged or of another shape."""


def open_images(
    paths: Sequence[Path], *, job: Job = QUIET
) -> tuple[Sequence[SourceImage], list[LeftOut]]:
    """Return the images in files, and the files that cannot be read.

    Files with the same signature share their layout. Headers of a folder's files are read in the
    copies of this process that the job has, if it has any.
    """
    if not isinstance(paths, FolderFiles) or len(paths) < 2:
        return _open_each(paths)
    images, odd = _open_each(paths[:1])
    first = images[0] if len(images) == 1 else None
    if not isinstance(first, FitsImage) or first.missing:
        return _open_each(paths)
    layout = first.layout
    like = header_template(first.path, scan(first.path)[0])
    if like is None:
        return _open_each(paths)

    def read(block: slice) -> AlikeHeaders | None:
        return like.match_all(paths[block].texts)

    blocks = pieces(len(paths), BLOCK)
    parts = list(map_in_copies(read, blocks, what="headers", job=job))
    alike = [part for part in parts if part is not None]
    if len(alike) == len(parts):
        return PlainFiles(paths, layout, like.size, joined_headers(alike)), []
    opened: list[Sequence[SourceImage]] = []
    for block, part in zip(blocks, parts, strict=True):
        if part is not None:
            opened.append(PlainFiles(paths[block], layout, like.size, part))
            continue
        own, not_read = _open_each(paths[block])
        opened.append(own)
        odd += not_read
    return list(chain(*opened)), odd


def _open_each(paths: Iterable[Path]) -> tuple[list[SourceImage], list[LeftOut]]:
    """Return the images in files, one file after the other, and those that cannot be read."""
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
