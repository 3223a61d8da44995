"""What the headers of a FITS file say of how its pixels lie, seen without parsing them.

The files of one run differ in nothing that matters here, so one of them is parsed for all.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any

from .errors import LuckyError
from .fits_image import is_gzipped
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
