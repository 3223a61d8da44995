"""Compressed images: the tiles asked for, checked before they are decompressed.

The decompressors trust what they get: one wrong number in a header or in a compressed tile makes
them write where they should not, or ask for any amount of memory. So nothing reaches them that is
not within bounds, and only the tiles that a window needs do.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.fits.card_value import CARD
from napari_lucky.fits.gzip_file import MOST_PACKED
from napari_lucky.fits.header_units import (
    BITPIX,
    MOST,
    ReadAt,
    Unit,
    card_of,
    join_cards,
    numbers_of,
    opened_in_memory,
)
from napari_lucky.frames.window import Window

KEPT = re.compile(rb"Z|T(TYPE|FORM|NULL|ZERO|SCAL)[0-9]|BSCALE |BZERO |BLANK ")
"""Cards that matter for the pixels, beside those that are newly made."""
SCALED = re.compile(rb"Z(BLANK|SCALE|ZERO|QUANTIZ)|T(NULL|ZERO|SCAL)[0-9]|BLANK ")
"""Of them, those of numbers that are quantized or blanked."""
RICE = ("RICE_1", "RICE_ONE")
WIDTHS = dict(zip("LBAIJKEDCMPQ", (1, 1, 1, 2, 4, 8, 4, 8, 8, 16, 8, 16), strict=True))
"""Bytes of a column's number types, by the letter of TFORM."""
DESCRIPTORS = {"P": ">i4", "Q": ">i8"}
OTHERWISE = {"GZIP_COMPRESSED_DATA": "GZIP_1", "UNCOMPRESSED_DATA": "NOCOMPRESS"}
"""How tiles are compressed that are not as the header says, by their column."""
STREAMS = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")
"""Columns that say where a tile's bytes are; the first that has any is taken."""
LARGEST = 1 << 27
"""Pixels of the tiles that one window may need."""
FS_BITS = {1: 3, 2: 4, 4: 5}
"""Rice: bits of the shortest code of a block, by the bytes of a pixel."""
LARGEST_BLOCK = 256
"""Rice: pixels of a block at most (FITS has 16 and 32): a short tile is noticed after a block."""
LONGEST_RUN = 4095
"""PLIO: pixels that one word of 16 bits stands for at most."""
HEAD = np.dtype([("magic", ">u2"), ("sides", ">i4", 2), ("skipped", "V12"), ("planes", "u1", 3)])
"""HCOMPRESS: what comes before the coded planes of bits."""
MOST_PLANES = 64
DRY_RUN = 1 << 26
"""Bytes that a gzipped tile may come to without a look at what it really comes to."""


def compressed(unit: Unit) -> bool:
    """Return whether a unit is a compressed image."""
    table = unit.cards[0].startswith((b"XTENSION= 'BINTABLE'", b"XTENSION= 'A3DTABLE'"))
    says = (c[10:30].strip() == b"T" for c in unit.cards if c.startswith(b"ZIMAGE  ="))
    return table and any(says)


@dataclass(frozen=True)
class Tile:
    """One tile: its row in the table, its sides, the column that describes it, and its bytes."""

    row: int
    sides: tuple[int, ...]
    column: str
    stream: bytes


class Tiles:
    """A compressed image as its header describes it, within bounds.

    Parameters
    ----------
    unit : Unit
    header : bytes
        Its header, raw.

    Raises
    ------
    ValueError, KeyError
        If the header is damaged.
    """

    def __init__(self, unit: Unit, header: bytes) -> None:
        from astropy.io import fits

        raw = [header[start : start + CARD] for start in range(0, len(header), CARD)]
        self.cards = [card for card in raw if KEPT.match(card)]
        self.header = fits.Header.fromstring(b"".join(self.cards))
        self.unit, self.table = unit, numbers_of(unit.cards)
        axes = range(_whole(self.header, "ZNAXIS", 1, MOST), 0, -1)
        self.shape = tuple(_whole(self.header, f"ZNAXIS{k}", 1) for k in axes)
        self.tile = tuple(_whole(self.header, f"ZTILE{k}", 1) for k in axes)
        self.counts = tuple(-(-n // k) for n, k in zip(self.shape, self.tile, strict=True))
        self.kind = str(self.header["ZCMPTYPE"])
        self.block, self.width = self._setting("BLOCKSIZE", 32), self._setting("BYTEPIX", 4)
        if self.header["ZBITPIX"] not in BITPIX:
            raise ValueError(f"ZBITPIX is {self.header['ZBITPIX']}")
        if str(self.header.get("ZQUANTIZ", "")).startswith("SUBTRACTIVE"):
            _whole(self.header, "ZDITHER0", 1, 10_000)
        rows = self.table["NAXIS2"]
        if self.table["NAXIS"] != 2 or rows != prod(self.counts):
            raise ValueError(f"it holds {rows} of the {prod(self.counts)} tiles of its size")
        self.holds, self.row = _columns(self.header, self.table)
        of_heap = [card for card in raw if card.startswith(b"THEAP  ")]
        self.plain = self._plain_rice()
        self.heap = rows * self.table["NAXIS1"]
        if of_heap:
            self.heap = _whole(fits.Header.fromstring(of_heap[0]), "THEAP", self.heap)

    def section(self, read: ReadAt, plane: int, window: Window) -> NDArray[Any]:
        """Return a window of a plane, as astropy gives it.

        Raises
        ------
        ValueError, EOFError
            If the tiles that are needed are damaged.
        """
        index = self._index(plane, window)
        table = read(self.unit.data, self.table["NAXIS2"] * self.row.itemsize)
        tiles = self._tiles(read, np.frombuffer(table, self.row), index)
        if self.plain is not None and isinstance(index[-1], slice):
            rows = self._rice_rows(tiles, self.plain)
            if rows is not None:
                return rows[:, index[-1]]
        found = self._decompressed(table, tiles, index, b"\0")
        if self.kind == "HCOMPRESS_1":  # which reads on behind what is too short
            again = self._decompressed(table, tiles, index, b"\xff")
            if again.tobytes() != found.tobytes():
                raise ValueError("a compressed tile is damaged: it ends too early")
        return found

    def _index(self, plane: int, window: Window) -> tuple[int | slice, ...]:
        """Return the index of a window of a plane; axes of length 1 may be anywhere."""
        axes = len(self.shape)
        long = [k for k in range(axes) if self.shape[k] > 1]
        y, x = long[-2:] if len(long) > 1 and axes > 2 else (axes - 2, axes - 1)
        lead = [k for k in range(axes) if k not in (y, x)]
        places = np.unravel_index(plane, [self.shape[k] for k in lead]) if lead else ()
        index: dict[int, int | slice] = dict(zip(lead, map(int, places), strict=True))
        index |= {y: window.slices[0], x: window.slices[1]}
        return tuple(index[k] for k in range(axes))

    def _tiles(
        self, read: ReadAt, rows: NDArray[Any], index: tuple[int | slice, ...]
    ) -> list[Tile]:
        """Return the tiles that an index touches."""
        touched = [
            range(k // size, k // size + 1)
            if isinstance(k, int)
            else range(k.start // size, -(-k.stop // size))
            for k, size in zip(index, self.tile, strict=True)
        ]
        most = prod(map(len, touched)) * prod(map(min, self.shape, self.tile))
        if most > LARGEST:
            raise ValueError(f"its tiles here have {most} pixels")
        numbers = np.ravel_multi_index(np.ix_(*touched), self.counts).ravel()
        begins = np.transpose(np.unravel_index(numbers, self.counts)) * self.tile
        sides = np.minimum(self.tile, np.subtract(self.shape, begins))
        found, total = [], 0
        for number, of_tile in zip(numbers.tolist(), sides.tolist(), strict=True):
            column = next((name for name in self.holds if rows[name][number, 0]), "")
            if not column:
                raise ValueError("a compressed tile is empty")
            count, offset = rows[column][number].tolist()
            size = count * self.holds[column]
            total += size
            if min(count, offset) < 0 or self.heap + offset + size > self.unit.length:
                raise ValueError("a compressed tile is not within the file's data")
            if total > self.unit.length:
                raise ValueError("its compressed tiles overlap")
            found.append((number, tuple(of_tile), column, offset, size))
        begin = min(offset for *_, offset, _ in found)
        span = max(offset + size for *_, offset, size in found) - begin
        heap = self.unit.data + self.heap
        together = read(heap + begin, span) if span <= 2 * total else None
        tiles = []
        for number, sides_of, column, offset, size in found:
            if together is None:
                stream = read(heap + offset, size)
            else:
                stream = together[offset - begin : offset - begin + size]
            if len(stream) < size:
                raise EOFError("it is truncated")
            tile = Tile(number, sides_of, column, stream)
            self._check(tile)
            tiles.append(tile)
        return tiles

    def _check(self, tile: Tile) -> None:
        """Refuse a tile whose bytes cannot be its pixels."""
        pixels, stream = prod(tile.sides), tile.stream
        kind = OTHERWISE.get(tile.column, self.kind)
        if kind in ("GZIP_1", "GZIP_2"):
            good = _unpacks_to(stream, 8 * pixels) and pixels <= MOST_PACKED * len(stream)
        elif kind in RICE:
            bits, block = FS_BITS.get(self.width, 0), self.block
            good = bits > 0 and block > 0 and pixels * bits <= block * (8 * len(stream) + bits)
        elif kind == "PLIO_1":
            words = np.frombuffer(stream, ">i2", len(stream) // 2).astype(int)
            good = len(words) > 3 and pixels <= LONGEST_RUN * len(words)
            good = good and _words_of(words) <= len(words)
        elif kind == "HCOMPRESS_1":
            sides = [side for side in tile.sides if side != 1]
            head = np.frombuffer(stream[: HEAD.itemsize].ljust(HEAD.itemsize, b"\0"), HEAD)[0]
            good = len(stream) >= HEAD.itemsize and head["sides"].tolist() == sides
            good = good and head["planes"].max() <= MOST_PLANES
        else:  # not compressed, or astropy says what it does not know
            good = True
        if not good:
            raise ValueError("a compressed tile is damaged")

    def _plain_rice(self) -> int | None:
        """Return the bit that makes whole numbers unsigned, 0 for none, of the most usual kind.

        That is Rice with a row a tile, and nothing scaled, quantized or blanked; else None.
        """
        header, bits = self.header, 8 * self.width
        if self.kind not in RICE or header["ZBITPIX"] != bits or self.width not in (2, 4):
            return None
        if self.block == 0 or prod(self.tile) != self.shape[-1] or self.tile[-1] != self.shape[-1]:
            return None
        if self.table["TFIELDS"] != 1 or any(SCALED.match(card) for card in self.cards):
            return None
        if any(header.count(name) > 1 for name in ("BSCALE", "BZERO") if name in header):
            return None
        zero, top = header.get("BZERO", 0), 1 << (bits - 1)
        return {0: 0, top: top}.get(zero) if header.get("BSCALE", 1) == 1 else None

    def _rice_rows(self, tiles: list[Tile], flip: int) -> NDArray[Any] | None:
        """Return rows, (k, x), by the decompressor of astropy, without its work around each tile.

        None where this astropy has it elsewhere.
        """
        try:
            from astropy.io.fits.hdu.compressed._compression import decompress_rice_1_c
        except ImportError:
            return None
        nx = self.shape[-1]
        rows = np.empty((len(tiles), nx), f"i{self.width}")
        for row, tile in zip(rows, tiles, strict=True):
            pixels = decompress_rice_1_c(tile.stream, self.block, self.width, nx)
            row[:] = np.frombuffer(pixels, rows.dtype)
        if not flip:
            return rows
        unsigned = rows.view(f"u{self.width}")
        unsigned ^= unsigned.dtype.type(flip)
        return unsigned

    def _setting(self, name: str, default: int) -> int:
        """Return a setting of the compression, as ZNAMEn and ZVALn say it."""
        for k in range(1, MOST + 1):
            if (found := self.header.get(f"ZNAME{k}")) is None:
                break
            if str(found).upper() == name:
                return _whole(self.header, f"ZVAL{k}", 0, LARGEST_BLOCK)
        return default

    def _decompressed(
        self,
        table: bytes,
        tiles: list[Tile],
        index: tuple[int | slice, ...],
        filling: bytes,
    ) -> NDArray[Any]:
        """Have astropy decompress a table that has these tiles alone, a filling behind each."""
        cells, heap = bytearray(table), bytearray()
        rows = np.frombuffer(cells, self.row)
        for name in self.holds:
            rows[name] = 0
        for tile in tiles:
            stream = tile.stream + filling * self._space(tile)
            rows[tile.column][tile.row] = len(stream) // self.holds[tile.column], len(heap)
            heap += stream
        made = {"BITPIX": 8, "NAXIS": 2, "NAXIS1": rows.itemsize, "NAXIS2": len(rows)}
        made |= {"PCOUNT": len(heap), "GCOUNT": 1, "TFIELDS": self.table["TFIELDS"]}
        begin = b"XTENSION= 'BINTABLE'".ljust(CARD)
        header = join_cards([begin, *(card_of(*card) for card in made.items()), *self.cards])
        with opened_in_memory(header, bytes(cells + heap)) as hdu:
            return np.asarray(hdu.section[index])

    def _space(self, tile: Tile) -> int:
        """Return how many bytes HCOMPRESS may read behind a tile that is too short."""
        if self.kind != "HCOMPRESS_1":
            return 0
        planes = int(np.frombuffer(tile.stream[: HEAD.itemsize], HEAD)[0]["planes"].max())
        return 1024 + prod(side + 1 for side in tile.sides) * (planes + 1) // 32 * 8


def _whole(header: Any, keyword: str, least: int, most: int = (1 << 31) - 1) -> int:
    value = header[keyword]
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{keyword} is {value!r}")
    return value


def _columns(header: Any, table: dict[str, int]) -> tuple[dict[str, int], np.dtype[Any]]:
    """Return the bytes of the numbers that each column of `STREAMS` describes, and a row's type."""
    holds, offsets, formats, width = {}, [], [], 0
    for k in range(1, table["TFIELDS"] + 1):
        form = re.match(r"([0-9]{0,9})([LXBIJKAEDCMPQ])([LBIJKAEDCM]?)", header[f"TFORM{k}"])
        if form is None:
            raise ValueError(f"TFORM{k} is {header[f'TFORM{k}']!r}")
        repeat, letter, of = int(form[1] or 1), form[2], form[3]
        name = str(header.get(f"TTYPE{k}", "")).strip().upper()
        if name in STREAMS and repeat:
            if letter not in DESCRIPTORS or not of or name in holds:
                raise ValueError(f"TFORM{k} is {header[f'TFORM{k}']!r}")
            holds[name] = WIDTHS[of]
            offsets.append(width)
            formats.append((DESCRIPTORS[letter], 2))
        width += (repeat + 7) // 8 if letter == "X" else repeat * WIDTHS[letter]
    if width != table["NAXIS1"] or STREAMS[0] not in holds:
        raise ValueError("the columns of its table are damaged")
    row = np.dtype(
        {"names": list(holds), "formats": formats, "offsets": offsets, "itemsize": width}
    )
    return {name: holds[name] for name in STREAMS if name in holds}, row


def _words_of(words: NDArray[Any]) -> int:
    """Return how many words a PLIO stream says it has."""
    return int(words[2] if words[2] > 0 else (words[4:5].sum() << 15) + words[3])


def _unpacks_to(stream: bytes, most: int) -> bool:
    """Return whether a gzipped tile unpacks to at most so many bytes; small ones always do."""
    if len(stream) * MOST_PACKED <= DRY_RUN:
        return True
    unpack = zlib.decompressobj(wbits=31)
    return len(unpack.decompress(stream, most + 1)) <= most
