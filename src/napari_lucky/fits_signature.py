"""What the headers of a FITS file say of how its pixels lie, seen without parsing them.

The files of one run differ in nothing that matters here, so one of them is parsed for all.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import LuckyError
from .gzipped import is_gzipped
from .integers import FULL, TOP

CARD, BLOCK = 80, 2880
STRUCTURE = {"SIMPLE", "XTENSION", "BITPIX", "BSCALE", "BZERO", "BLANK", "PCOUNT", "GCOUNT"}
STRUCTURE |= {FULL, TOP}
"""Keywords that, with NAXIS… and Z…, say how the pixels lie in a file, and what they mean."""


def signature(path: Path) -> tuple[Any, ...]:
    """Return what two files have in common if their pixels lie in the same way.

    The structural cards of every header, raw, and where its data begin. A gzipped file would
    have to be unpacked for that: it is a kind of its own unless its size says that nothing
    follows its first data. Costs one small read a header, no parsing.

    Raises
    ------
    LuckyError
        If the file is not FITS, or ends before its data do.
    """
    packed = is_gzipped(path)
    kind: list[Any] = []
    at = 0
    try:
        size = _unpacked_size(path) if packed else path.stat().st_size
        with (gzip.open if packed else open)(path, "rb") as file:
            while at < size or packed:
                file.seek(at)
                cards = _structural_cards(file, b"XTENSION=" if at else b"SIMPLE  =")
                if not cards:
                    break  # the end, or what some cameras write after their image
                data, length = file.tell(), _length(cards)
                # PCOUNT of a compressed image is the length of its heap, different in every file
                kind.append((data, *(c for c in cards if not c.startswith(b"PCOUNT"))))
                if not packed and data + length > size:
                    raise EOFError(f"it has {size} bytes, but its header tells of {data + length}")
                at = data + length + -length % BLOCK
                if packed and length:
                    kind.append(path if at != size else None)
                    break
    except OSError as error:
        raise LuckyError(f"{path}: cannot be opened ({error}).") from error
    except (EOFError, zlib.error) as error:
        raise LuckyError(f"{path}: truncated: {error}. Copy it again or leave it out.") from error
    except (KeyError, ValueError) as error:
        raise LuckyError(f"{path}: its header is damaged ({error}); leave it out.") from error
    if not kind:
        raise LuckyError(
            f"{path}: this is not a FITS file, although its name says so (it does not begin "
            "with SIMPLE). Remove it or choose another."
        )
    return tuple(kind)


@dataclass(frozen=True, eq=False)
class Mould:
    """What another plain file must have to have the signature of one that is known.

    The same size, the same keywords at the same places, and the same structural cards: a few
    bytes compared, where a signature reads card by card.

    Parameters
    ----------
    size : int
        Bytes of the file.
    headers : tuple
        Of each header where it begins, its length in bytes, the places of the bytes that must be
        the same, and these bytes.
    """

    size: int
    headers: tuple[tuple[int, int, NDArray[np.intp], bytes], ...]

    def fits(self, path: Path) -> bool:
        """Tell whether a file is like the known one; False where it cannot be read, too."""
        try:
            with io.FileIO(path) as file:
                if os.fstat(file.fileno()).st_size != self.size:
                    return False
                return all(
                    _bytes_at(file, begin, length, places) == told
                    for begin, length, places, told in self.headers
                )
        except OSError:
            return False


def mould(path: Path, kind: tuple[Any, ...]) -> Mould | None:
    """Return what files with this file's signature must have; None of one that is gzipped."""
    if is_gzipped(path):
        return None
    headers = []
    with io.FileIO(path) as file:
        size = os.fstat(file.fileno()).st_size
        begin = 0
        for data, *cards in kind:
            length = data - begin
            places = _places_that_matter(_bytes_at(file, begin, length, slice(None)))
            headers.append((begin, length, places, _bytes_at(file, begin, length, places)))
            after = data + _length(cards)
            begin = after + -after % BLOCK
    return Mould(size, tuple(headers))


def _bytes_at(file: io.FileIO, begin: int, length: int, places: Any) -> bytes:
    file.seek(begin)
    read = np.frombuffer(file.read(length), np.uint8)
    return read[places].tobytes() if len(read) == length else b""


def _places_that_matter(header: bytes) -> NDArray[np.intp]:
    """Return the places of all keywords, and of the whole of structural cards."""
    matter = np.zeros((len(header) // CARD, CARD), bool)
    matter[:, :8] = True
    for row, start in zip(matter, range(0, len(header), CARD), strict=True):
        row |= _is_structural(header[start : start + CARD])
    return np.flatnonzero(matter)


def _unpacked_size(path: Path) -> int:
    """Return what a gzipped file says at its end: its unpacked size (modulo 4 GiB)."""
    with open(path, "rb") as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(), "little")


def _structural_cards(file: Any, begin: bytes) -> list[bytes]:
    """Return those cards of the header that begins here; none where none begins."""
    cards: list[bytes] = []
    while True:
        block = file.read(BLOCK)
        if not cards and not block.startswith(begin):
            return []
        if len(block) < BLOCK:
            raise EOFError("a header has no end")
        for start in range(0, BLOCK, CARD):
            card = block[start : start + CARD]
            if card.startswith(b"END     "):
                return cards
            if _is_structural(card):
                cards.append(card)


def _length(cards: list[bytes]) -> int:
    """Return the number of bytes of data that a header tells of, without padding."""
    values = {card[:8].rstrip(): card[10:].split(b"/")[0] for card in cards}
    axes = [int(values[b"NAXIS%d" % (k + 1)]) for k in range(int(values[b"NAXIS"]))]
    numbers = math.prod(axes) + int(values.get(b"PCOUNT", 0)) if axes else 0
    return max(abs(int(values[b"BITPIX"])) // 8 * int(values.get(b"GCOUNT", 1)) * numbers, 0)


def _is_structural(card: bytes) -> bool:
    keyword = card[:8].rstrip().decode("ascii", "replace")
    return keyword in STRUCTURE or keyword.startswith(("NAXIS", "Z"))
