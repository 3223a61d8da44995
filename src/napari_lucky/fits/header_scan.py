"""Headers of FITS files scanned for what makes frames one run, without astropy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import Stamp, open_regular, read_parts
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
    begin : int
        Where it is in its file, in bytes.
    header : bytes
        All of it.
    fixed : list of int
        How many bytes of each card up to END must be the same: its keyword, or, if it is
        structural, all of it. So must be all that follows.
    damaged : list of int
        Which cards are not sound.
    settings, times : tuple of int
        Where the cards begin that make `HeaderCards`.
    """

    begin: int
    header: bytes
    fixed: list[int]
    damaged: list[int]
    settings: tuple[int, ...]
    times: tuple[int, ...]

    def damaged_in(self, rows: NDArray[np.uint8]) -> list[bytes] | None:
        """Return the cards that are not sound in each of some headers; None if one is another."""
        own = np.frombuffer(self.header, np.uint8)
        words = (len(rows), -1, CARD // 8)  # eight bytes compared at once
        differ = rows.view(np.uint64).reshape(words) != own.view(np.uint64).reshape(words[1:])
        looked_at = differ.any(axis=2)
        looked_at[:, self.damaged] = True
        damaged = [b""] * len(rows)
        for k in np.flatnonzero(looked_at.any(axis=0)).tolist():
            same = slice(k * CARD, k * CARD + (self.fixed[k] if k < len(self.fixed) else CARD))
            if (rows[:, same] != own[same]).any():
                return None
            cards = _bytes_in([rows[:, k * CARD : k * CARD + CARD]])
            for row in np.flatnonzero(looked_at[:, k]).tolist():
                damaged[row] += b"".join(unsound_cards([cards[row]]))
        return damaged


class AlikeHeaders(NamedTuple):
    """What the headers of files say that have one signature.

    Parameters
    ----------
    changed : ndarray of int, (n,)
        When each file was changed last, as `Stamp` has it.
    cards : list of HeaderCards
        Those that there are, without times.
    which : ndarray of int, (n,)
        Which of them each file has.
    times : list of bytes
        The cards of each file that say when it was taken.
    """

    changed: NDArray[np.int64]
    cards: list[HeaderCards]
    which: NDArray[np.intp]
    times: list[bytes]


def joined_headers(parts: Sequence[AlikeHeaders]) -> AlikeHeaders:
    """Return the headers of files in several parts as those of all."""
    places: dict[HeaderCards, int] = {}
    which = []
    for part in parts:
        now = [places.setdefault(cards, len(places)) for cards in part.cards]
        which.append(np.array(now, np.intp)[part.which])
    return AlikeHeaders(
        np.concatenate([part.changed for part in parts]),
        list(places),
        np.concatenate(which),
        [times for part in parts for times in part.times],
    )


def _bytes_in(columns: Sequence[NDArray[np.uint8]]) -> list[bytes]:
    """Return the bytes of each row of some columns beside each other."""
    joined = np.concatenate(columns, axis=1)
    n, width = joined.shape
    found: list[bytes] = joined.view(f"V{width}")[:, 0].tolist() if width else [b""] * n
    return found


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
        found = self.match_all([os.fspath(path)])
        if found is None:
            return None
        stamp = Stamp(self.size, int(found.changed[0]))
        return stamp, found.cards[0]._replace(times=found.times[0])

    def match_all(self, paths: Sequence[str]) -> AlikeHeaders | None:
        """Return what the headers of files say; None if one of these is not like the known one."""
        n, changed = len(paths), []
        begins = [known.begin for known in self.headers]
        read = [np.empty((n, len(known.header)), np.uint8) for known in self.headers]
        try:
            for k, path in enumerate(paths):
                into = [rows[k].data for rows in read]
                stamp = read_parts(path, zip(begins, into, strict=True))
                if stamp is None or stamp.size != self.size:
                    return None
                changed.append(stamp.changed)
        except OSError:  # reported where its signature is read
            return None
        damaged = []
        for known, rows in zip(self.headers, read, strict=True):
            if (found := known.damaged_in(rows)) is None:
                return None
            damaged.append(found)
        nothing = np.empty((n, 0), np.uint8)
        settings, times = [nothing], [nothing]
        for known, rows in zip(self.headers, read, strict=True):
            settings += [rows[:, start : start + CARD] for start in known.settings]
            times += [rows[:, start : start + CARD] for start in known.times]
        places: dict[HeaderCards, int] = {}
        which = []
        for of_file, *unsound in zip(_bytes_in(settings), *damaged, strict=True):
            cards = HeaderCards(of_file, damaged=b"".join(unsound))
            which.append(places.setdefault(cards, len(places)))
        of = np.array(which, np.intp)
        return AlikeHeaders(np.array(changed), list(places), of, _bytes_in(times))


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
    starts = [k for k in range(0, len(header), CARD) if is_frame_card(header[k : k + CARD])]
    times = tuple(k for k in starts if header[k : k + 8] in TIMING)
    settings = tuple(k for k in starts if k not in times)
    fixed = [_fixed(header[start : start + CARD]) for start in range(0, count * CARD, CARD)]
    damaged = [k for k, card in enumerate(cards_in(header)) if k < count and unsound_cards([card])]
    return KnownHeader(begin, header, fixed, damaged, settings, times)


def _fixed(card: bytes) -> int:
    """Return how many bytes of a card are the same in files of one signature."""
    if is_structural(card):
        return CARD
    return max(8, card.find(b"=")) if card.startswith(LONG) else 8
