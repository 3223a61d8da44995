"""A header-data unit in memory for astropy: of a file, what one read needs and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from .fits_signature import BLOCK, CARD


def card_of(keyword: str, value: object) -> bytes:
    """Return a card with a number, or T, as its value."""
    return f"{keyword:8}= {value!s:>20}".ljust(CARD).encode("ascii")


def header_of(cards: Iterable[bytes]) -> bytes:
    """Return a header of raw cards."""
    header = b"".join((*cards, b"END".ljust(CARD)))
    return header + b" " * (-len(header) % BLOCK)


PRIMARY = header_of([card_of("SIMPLE", "T"), card_of("BITPIX", 8), card_of("NAXIS", 0)])


@contextmanager
def opened_in_memory(header: bytes, data: bytes = b"") -> Iterator[Any]:
    """Give what astropy makes of a header, of a primary image or of an extension, and its data."""
    from astropy.io import fits

    primary = b"" if header.startswith(b"SIMPLE") else PRIMARY
    padding = b"\0" * (-len(data) % BLOCK)
    with fits.open(BytesIO(b"".join((primary, header, data, padding))), memmap=False) as hdus:
        yield hdus[1 if primary else 0]
