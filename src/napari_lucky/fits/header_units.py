"""Header-data units of FITS files: where headers and data are, each within bounds; no astropy."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO, FileIO
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import Stamp, open_regular
from napari_lucky.fits.card_value import CARD, cards_in, is_end
from napari_lucky.fits.frame_cards import is_frame_card
from napari_lucky.fits.gzip_file import DAMAGED, MOST_PACKED, PackedStream, most_packed
from napari_lucky.sources.kinds import foreign_note

BLOCK = 2880
BITPIX = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
STRUCTURE = {"SIMPLE", "XTENSION", "BITPIX", "BSCALE", "BZERO", "BLANK", "PCOUNT", "GCOUNT"}
MOST_BLOCKS = 1000
"""Blocks of a header, of 36 cards each; the greatest headers in use have some thousand cards."""
MOST_UNITS = 100_000
"""Header-data units of a file."""
MOST = 999
"""Axes of an image, or columns of a table, as FITS has it."""
COUNTED = re.compile(rb"(BITPIX|NAXIS[0-9]*|PCOUNT|GCOUNT|TFIELDS)$")
"""Keywords whose values say how many bytes follow a header."""
WHOLE = re.compile(rb"[+-]?[0-9]{1,18}")
ReadAt = Callable[[int, int], bytes]
"""Called as read(offset, size): returns so many bytes of a file, fewer at its end."""


class Unit(NamedTuple):
    """A header-data unit.

    Parameters
    ----------
    begin, data : int
        Bytes at which its header and its data begin.
    length : int
        Bytes of data, without padding.
    cards : tuple of bytes
        Its structural cards, raw.
    frame_cards : tuple of bytes
        Its cards that say what the frame is, raw.
    header : bytes
        All of its cards up to END, raw.
    """

    begin: int
    data: int
    length: int
    cards: tuple[bytes, ...]
    frame_cards: tuple[bytes, ...] = ()
    header: bytes = b""

    @property
    def after(self) -> int:
        """Byte at which the next unit begins."""
        return self.data + self.length + -self.length % BLOCK


def units(
    read: ReadAt, size: int, packed: int = 0, holds: int = MOST_PACKED, cut: bool = False
) -> Iterator[Unit]:
    """Yield the header-data units of a file, one small read a header; each is within bounds.

    Parameters
    ----------
    read : callable
        See `ReadAt`.
    size : int
        Bytes of the file; of a packed one what its end says, modulo 4 GiB.
    packed : int
        Bytes of the packed file; 0 of one that is not.
    holds : int
        Bytes that one of them can hold at most.
    cut : bool
        Whether the last unit may be cut short.

    Raises
    ------
    EOFError
        If the file ends before a header or its data do.
    ValueError
        If a header is damaged.
    """
    at, most = 0, packed * holds if packed else size
    for number in range(MOST_UNITS + 1):
        if number and (at == size or (not packed and at > size)):
            return  # some leave out the last padding
        begin = b"XTENSION=" if number else b"SIMPLE  ="
        try:
            header, data = _header(read, at, begin)
        except EOFError:
            if cut and number:
                return
            raise
        cards = [card for card in cards_in(header) if is_structural(card)]
        if not cards:
            return  # the end, or what some cameras write after their image
        frame_cards = tuple(card for card in cards_in(header) if is_frame_card(card))
        unit = Unit(at, data, _length(cards), tuple(cards), frame_cards, header)
        if data + unit.length > most:
            if cut:
                yield unit
                return
            has = f"it has {size} bytes" if not packed else f"it has {packed} packed bytes"
            raise EOFError(f"{has}, but its header asks for {data + unit.length}")
        yield unit
        at = unit.after
        if packed and unit.length and at % (1 << 32) == size:
            return  # nothing follows, so nothing more has to be unpacked
    raise ValueError(f"it has more than {MOST_UNITS} header-data units")


@contextmanager
def units_of(
    path: Path, stamp: Stamp | None = None, *, cut: bool = False
) -> Iterator[tuple[ReadAt, Iterator[Unit]]]:
    """Open a file; give what reads from it, unpacked, and its header-data units.

    The data of the last unit may be cut short if `cut` says so.

    Raises
    ------
    LuckyError
        If it cannot be opened, is not FITS, is damaged or truncated; from what is done within
        the context, too.
    """
    try:
        with open_regular(path, stamp) as file:
            size = Stamp.of(file).size
            if holds := most_packed(file):
                size, packed = _unpacked_size(file), size
                stream = PackedStream(file)
                yield stream.read_at, units(stream.read_at, size, packed, holds, cut)
                return
            source = BufferedReader(file)

            def read(offset: int, count: int) -> bytes:
                source.seek(offset)
                return source.read(count)

            yield read, units(read, size, cut=cut)
    except OSError as error:
        raise LuckyError(f"{path}: cannot be opened ({_said(error)}).") from error
    except DAMAGED as error:
        raise LuckyError(f"{path}: truncated: {error}. Copy it again or leave it out.") from error
    except (KeyError, ValueError) as error:
        if isinstance(error, LuckyError):
            raise
        raise LuckyError(f"{path}: its header is damaged ({error}); leave it out.") from error


def _no_fits(name: str) -> str:
    """Return what to do with a file that is no FITS file."""
    return foreign_note(name) or (
        "this is not a FITS file (it does not begin with SIMPLE). Remove it or choose another."
    )


def _said(error: OSError) -> str:
    return error.strerror or str(error)


def _unpacked_size(file: FileIO) -> int:
    """Return what a gzipped file says at its end, if it does: its unpacked size, modulo 4 GiB."""
    file.seek(-4, os.SEEK_END)
    size = int.from_bytes(file.read(4), "little")
    file.seek(0)
    return size


def _header(read: ReadAt, at: int, begin: bytes) -> tuple[bytes, int]:
    """Return the cards up to END of the header that begins here, and where its data begin.

    None where none begins.
    """
    blocks: list[bytes] = []
    for number in range(MOST_BLOCKS):
        block = read(at + number * BLOCK, BLOCK)
        if not number and not block.startswith(begin):
            return b"", at
        if len(block) < BLOCK:
            raise EOFError("a header has no end")
        end = next((k for k in range(0, BLOCK, CARD) if is_end(block[k : k + CARD])), None)
        blocks.append(block[:end])
        if end is not None:
            return b"".join(blocks), at + (number + 1) * BLOCK
    raise ValueError(f"no END in {MOST_BLOCKS * BLOCK // CARD} cards")


def _length(cards: list[bytes]) -> int:
    """Return the number of bytes of data that a header asks for, without padding."""
    values = numbers_of(cards)
    bits, axes = values.get("BITPIX"), values.get("NAXIS")
    if bits not in BITPIX:
        raise ValueError(f"BITPIX is {bits}")
    if axes is None:
        raise ValueError("there is no NAXIS")
    for name, least, most in (("NAXIS", 0, MOST), ("TFIELDS", 0, MOST), ("GCOUNT", 1, None)):
        value = values.get(name, least)
        if value < least or (most is not None and value > most):
            raise ValueError(f"{name} is {value}")
    sides = [values.get(f"NAXIS{k + 1}", -1) for k in range(axes)]
    if negative := [k + 1 for k, side in enumerate(sides) if side < 0]:
        raise ValueError(f"NAXIS{negative[0]} is missing or negative")
    heap = values.get("PCOUNT", 0)
    if heap < 0:
        raise ValueError(f"PCOUNT is {heap}")
    numbers = prod(sides) + heap if sides else 0
    return abs(bits) // 8 * values.get("GCOUNT", 1) * numbers


def numbers_of(cards: Iterable[bytes]) -> dict[str, int]:
    """Return the values of those cards that say how many bytes follow a header.

    Raises
    ------
    ValueError
        If one is not a whole number, or one keyword has two values.
    """
    values: dict[str, int] = {}
    wrong: dict[str, str] = {}
    for card in cards:
        keyword = card[:8].rstrip()
        if not COUNTED.match(keyword):
            continue
        name, text = keyword.decode("ascii"), card[10:].split(b"/")[0].strip()
        if card[8:10] != b"= " or not WHOLE.fullmatch(text):
            wrong[name] = f"{name} is {text.decode('ascii', 'replace')!r}, not a whole number"
        elif values.setdefault(name, int(text)) != int(text):
            wrong[name] = f"{name} has two values"
    for name, problem in wrong.items():
        if not name[5:].isdigit() or int(name[5:]) <= values.get("NAXIS", 0):  # others count not
            raise ValueError(problem)
    return values


def is_structural(card: bytes) -> bool:
    """Return whether a card says how pixels are stored."""
    keyword = card[:8].rstrip().decode("ascii", "replace")
    return keyword in STRUCTURE or keyword.startswith(("NAXIS", "Z"))


def card_of(keyword: str, value: object) -> bytes:
    """Return a card with a number, or T, as its value."""
    return f"{keyword:8}= {value!s:>20}".ljust(CARD).encode("ascii")


def join_cards(cards: Iterable[bytes]) -> bytes:
    """Return a header of raw cards."""
    header = b"".join((*cards, b"END".ljust(CARD)))
    return header + b" " * (-len(header) % BLOCK)


PRIMARY = join_cards([card_of("SIMPLE", "T"), card_of("BITPIX", 8), card_of("NAXIS", 0)])


@contextmanager
def opened_in_memory(header: bytes, data: bytes = b"") -> Iterator[Any]:
    """Give what astropy makes of a header, of a primary image or of an extension, and its data."""
    from astropy.io import fits

    primary = b"" if header.startswith(b"SIMPLE") else PRIMARY
    padding = b"\0" * (-len(data) % BLOCK)
    with fits.open(BytesIO(b"".join((primary, header, data, padding))), memmap=False) as hdus:
        yield hdus[1 if primary else 0]
