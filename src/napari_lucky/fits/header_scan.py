"""Headers of FITS files scanned for what makes frames one run, without astropy."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import Stamp, descriptor_of, open_regular, read_at
from napari_lucky.fits.card_value import CARD, cards_in, is_end
from napari_lucky.fits.frame_cards import LONG, TIMING, is_frame_card
from napari_lucky.fits.gzip_file import is_packed
from napari_lucky.fits.header_units import (
    BLOCK,
    STRUCTURE,
    _length,
    _no_fits,
    is_structural,
    units_of,
)
from napari_lucky.fits.integers import FULL, TOP
from napari_lucky.fits.sound_header import unsound_cards
from napari_lucky.sources.source_image import HeaderCards

STRUCTURE |= {"TFIELDS", FULL, TOP, "CTYPE3", "CTYPE4"}
"""Keywords that, with NAXIS… and Z…, say how pixels are stored in a file, and what they mean."""


def signature(path: Path) -> tuple[Any, ...]:
    """Return what two files have in common if their pixels are stored in the same way; see `scan`.

    Raises
    ------
    LuckyError
        As `scan`.
    """
    return scan(path)[0]


def scan(path: Path) -> tuple[tuple[Any, ...], HeaderCards]:
    """Return the signature of a file, and what its headers say of its frames.

    The signature is what two files have in common if their pixels are stored in the same way:
    the structural cards of every header, raw, and where its data begin. A gzipped file would
    have to be unpacked for that: it is a separate kind unless its size says that nothing
    follows its first data. Costs one small read a header, no parsing.

    Raises
    ------
    LuckyError
        If the file is not FITS, is damaged, or ends before its data do.
    """
    kind: list[Any] = []
    frame_cards: list[bytes] = []
    damaged: list[bytes] = []
    packed = is_packed(path)
    with units_of(path) as (_, found):
        for unit in found:
            frame_cards += unit.frame_cards
            damaged += unsound_cards(cards_in(unit.header))
            # PCOUNT of a compressed image is the length of its heap, different in every file
            kind.append((unit.data, *(c for c in unit.cards if not c.startswith(b"PCOUNT"))))
            if packed and unit.length:
                if next(found, None) is not None:
                    kind.append(path)
                break
    if not kind:
        raise LuckyError(f"{path}: {_no_fits(path.name)}")
    return tuple(kind), cards_of(frame_cards, damaged)


def cards_of(frame_cards: Iterable[bytes], damaged: Iterable[bytes] = ()) -> HeaderCards:
    """Return cards of frames, those of the time apart, and which are damaged."""
    cards = list(frame_cards)
    return HeaderCards(
        b"".join(card for card in cards if card[:8] not in TIMING),
        b"".join(card for card in cards if card[:8] in TIMING),
        b"".join(damaged),
    )


class KnownHeader(NamedTuple):
    """A header that others are compared with.

    Parameters
    ----------
    begin, length : int
        Where it is in its file, in bytes.
    cards : ndarray of bytes, (n,)
        Its cards up to END.
    fixed : list of bytes
        How each of them must begin: with its keyword, or, if it is structural, all of it.
    rest : bytes
        What follows them.
    settings, times : tuple of int
        Where the cards begin that make `HeaderCards`.
    """

    begin: int
    length: int
    cards: NDArray[np.bytes_]
    fixed: list[bytes]
    rest: bytes
    settings: tuple[int, ...]
    times: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class HeaderTemplate:
    """What another plain file must have to have the signature of one that is known.

    The same size, the same keywords at the same places, and the same structural cards: a few
    bytes compared, where a signature reads card by card.

    Parameters
    ----------
    size : int
        Bytes of the file.
    headers : tuple of KnownHeader
    """

    size: int
    headers: tuple[KnownHeader, ...]

    def match(self, path: Path) -> tuple[Stamp, HeaderCards] | None:
        """Return the stamp of a file that is like the known one, and its cards.

        None of another, or of none.
        """
        try:
            with descriptor_of(path) as file:
                stamp = Stamp.in_status(os.fstat(file))
                if stamp.size != self.size:
                    return None
                settings, times, damaged = [], [], list[bytes]()
                for known in self.headers:
                    buffer = bytearray(known.length)
                    if read_at(file, memoryview(buffer), known.begin) < known.length:
                        return None
                    header = bytes(buffer)
                    if not header.endswith(known.rest):
                        return None
                    cards = np.frombuffer(header, known.cards.dtype, len(known.cards))
                    differ = np.flatnonzero(cards != known.cards).tolist()
                    if not all(header.startswith(known.fixed[k], CARD * k) for k in differ):
                        return None
                    damaged += unsound_cards(header[CARD * k : CARD * k + CARD] for k in differ)
                    settings += [header[start : start + CARD] for start in known.settings]
                    times += [header[start : start + CARD] for start in known.times]
        except OSError:  # reported where its signature is read
            return None
        return stamp, HeaderCards(b"".join(settings), b"".join(times), b"".join(damaged))


def header_template(path: Path, kind: tuple[Any, ...]) -> HeaderTemplate | None:
    """Return what files with this file's signature must have; None where all sizes differ."""
    if is_packed(path) or any(c.startswith(b"ZIMAGE") for _, *cards in kind for c in cards):
        return None
    headers = []
    with open_regular(path) as file:
        size = Stamp.of(file).size
        begin = 0
        for data, *cards in kind:
            file.seek(begin)
            headers.append(_known(begin, file.read(data - begin)))
            after = data + _length(cards)
            begin = after + -after % BLOCK
    return HeaderTemplate(size, tuple(headers))


def _known(begin: int, header: bytes) -> KnownHeader:
    count = next(k for k, card in enumerate(cards_in(header)) if is_end(card))
    cards = np.frombuffer(header, f"S{CARD}", count)
    starts = [k for k in range(0, len(header), CARD) if is_frame_card(header[k : k + CARD])]
    times = tuple(k for k in starts if header[k : k + 8] in TIMING)
    settings = tuple(k for k in starts if k not in times)
    fixed = [_fixed(header[start : start + CARD]) for start in range(0, count * CARD, CARD)]
    rest = header[count * CARD :]
    return KnownHeader(begin, len(header), cards, fixed, rest, settings, times)


def _fixed(card: bytes) -> bytes:
    """Return the beginning of a card that is the same in files of one signature."""
    if is_structural(card):
        return card
    return card[: max(8, card.find(b"="))] if card.startswith(LONG) else card[:8]
