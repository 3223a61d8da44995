"""Where images are in a FITS file, and how their pixels are stored, found with astropy."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.fits.axes import Axis, planes_of
from napari_lucky.fits.card_value import cards_in, value_of
from napari_lucky.fits.header_units import (
    BITPIX,
    WHOLE,
    ReadAt,
    Unit,
    card_of,
    join_cards,
    numbers_of,
    opened_in_memory,
    units_of,
)
from napari_lucky.fits.integers import level_step
from napari_lucky.fits.sound_header import sound_cards
from napari_lucky.fits.tiles import Tiles, compressed
from napari_lucky.frames.window import Window

SCALING = (b"BSCALE  ", b"BZERO   ", b"BLANK   ")
"""Keywords on which the values of pixels depend."""


@dataclass(frozen=True)
class Layout:
    """Where one image, or one cube of images, is in a file, and how it is read.

    Parameters
    ----------
    hdu : int
        Number of the header-data unit.
    shape : tuple of int
        Planes, rows, columns.
    dtype : numpy.dtype
        Number type of the pixels, native, as astropy gives them; float32 of levels.
    offset : int or None
        Byte at which plain pixels begin; None where astropy must read them.
    stored : str
        Number type in the file, such as ">i2".
    flip : int
        What turns the stored integers into unsigned (or signed bytes) by exclusive or.
    family : str
        The extension's name with its digits taken out: images of one family are frames.
    level_step : float
        ADU of one level where the file holds levels of a stated full scale, or else 0.
    step : int
        Planes of the file from one frame to the next.
    axis : Axis, optional
        A fourth axis, of which one place is read.
    in_colour : bool
        Whether its axes say that each frame has three planes.
    """

    hdu: int
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int | None = None
    stored: str = ""
    flip: int = 0
    family: str = ""
    level_step: float = 0.0
    step: int = 1
    axis: Axis | None = None
    in_colour: bool = False

    @classmethod
    def plain(
        cls,
        hdu: int,
        shape: tuple[int, int, int],
        stored: np.dtype[Any],
        offset: int,
        flip: int,
        family: str = "",
    ) -> Layout:
        """Return the layout of pixels stored as they are, or as integers turned by `flip`."""
        kind = stored.kind if not flip else {"i": "u", "u": "i"}[stored.kind]
        dtype = np.dtype(f"={kind}{stored.itemsize}")
        return cls(hdu, shape, dtype, offset, stored.str, flip, family)

    @property
    def read_as(self) -> np.dtype[Any]:
        """Number type of the pixels before levels become ADU."""
        return np.dtype(np.uint16) if self.level_step else self.dtype

    def planes_in_file(self, frames: Sequence[int]) -> Sequence[int]:
        """Return which planes of the file frames are."""
        if self.axis is None:
            return frames
        first = self.axis.chosen * self.axis.step
        return [first + self.step * frame for frame in frames]


def scaled_rows(
    read: ReadAt, unit: Unit, plane: int, shape: tuple[int, int, int], window: Window
) -> NDArray[Any]:
    """Return a window of a plane whose numbers are scaled or blanked, as astropy gives them."""
    _, ny, nx = shape
    bits = abs(numbers_of(unit.cards)["BITPIX"]) // 8
    count = window.height * nx * bits
    rows = read(unit.data + (plane * ny + window.y0) * nx * bits, count)
    if len(rows) < count:
        raise EOFError("it is truncated")
    made = {"SIMPLE": "T", "BITPIX": numbers_of(unit.cards)["BITPIX"]}
    made |= {"NAXIS": 2, "NAXIS1": nx, "NAXIS2": window.height}
    scaling = [card for card in unit.cards if card.startswith(SCALING)]
    scaling = [card for card in scaling if not card.startswith(b"BLANK") or _is_whole(card)]
    sound = cards_in(sound_cards(b"".join(scaling))[0])
    header = join_cards([*(card_of(*card) for card in made.items()), *sound])
    with opened_in_memory(header, rows) as hdu:
        return np.asarray(hdu.section[:, window.x0 : window.x1])


def _is_whole(card: bytes) -> bool:
    """Return whether a card has a whole number, as BLANK must; astropy passes over another."""
    return WHOLE.fullmatch(card[10:].split(b"/")[0].strip()) is not None


def unit_at(found: Iterator[Unit], number: int) -> Unit:
    """Return a header-data unit by its number, from 0."""
    unit = next(islice(found, number, None), None)
    if unit is None:
        raise EOFError("it is truncated")
    return unit


def clean_header(unit: Unit) -> bytes:
    """Return a header with nothing but blanks behind END."""
    return join_cards(cards_in(unit.header))


def layouts(path: Path, *, cut: bool = False) -> list[Layout]:
    """Return the layout of every image in a file, its headers parsed with astropy.

    The data of the last one may be cut short if `cut` says so.

    Raises
    ------
    LuckyError
        If the file is not FITS, is damaged, or holds no image.
    """
    found: list[Layout] = []
    try:
        with _quiet(), units_of(path, cut=cut) as (read, inside):
            for number, unit in enumerate(inside):
                if layout := _layout(path, number, unit, read):
                    found.append(layout)
    except LuckyError:
        raise
    except Exception as error:  # of a damaged header astropy may raise anything
        raise LuckyError(
            f"{path}: not readable as FITS ({error}). It may be damaged or truncated."
        ) from error
    if not found:
        raise LuckyError(f"{path}: this FITS file holds no image (no data array of two axes).")
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Pass over astropy's warnings: what matters of them is checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def opened_quietly(path: Path) -> Iterator[Any]:
    """Open a file with astropy, without the warnings that it would give.

    Raises
    ------
    LuckyError
        If it is not FITS, or damaged.
    """
    from astropy.io import fits

    with units_of(path) as (read, found):
        end = max((unit.after for unit in found), default=0)
        if not end or read(end, 1):
            raise ValueError("there is more in it than its headers say")
    with _quiet(), fits.open(path, memmap=False) as hdus:
        yield hdus


def _layout(path: Path, number: int, unit: Unit, read: ReadAt) -> Layout | None:
    """Return the layout of an image; None of what is none."""
    packed, first = compressed(unit), unit.cards[0]
    if first.startswith(b"SIMPLE") and first[10:].split(b"/")[0].strip() != b"T":
        raise ValueError("SIMPLE is not T")
    if not (packed or first.startswith(b"SIMPLE") or value_of(first) in ("IMAGE", "IUEIMAGE")):
        return None
    raw = clean_header(unit)
    tiles = Tiles(unit, raw) if packed else None
    axes = tiles.shape if tiles else _sides(unit)
    if len(axes) < 2 or 0 in axes:
        return None
    sound, damage = sound_cards(raw)
    for card in damage.left_out:
        if card.startswith(("BSCALE", "BZERO")):
            raise ValueError(f"{card} is not a number")
    with opened_in_memory(join_cards(cards_in(sound))) as hdu:
        header = hdu.header
    try:
        shape, by, axis, in_colour = planes_of(axes, header)
    except LuckyError as error:
        raise LuckyError(f"{path}: {error}.") from None
    family = re.sub(r"\d+", "#", str(header.get("EXTNAME", "")))
    if step := level_step(header):  # astropy passes over the BLANK of unsigned integers
        offset, float32 = None if packed else unit.data, np.dtype(np.float32)
        level = (offset, ">i2", 0x8000, family, step, by, axis, in_colour)
        return Layout(number, shape, float32, *level)
    if tiles is None:
        stored = np.dtype(BITPIX[numbers_of(unit.cards)["BITPIX"]])
        flip = flip_of(_last(header, "BZERO", 0), _last(header, "BSCALE", 1), stored)
        if flip is not None and (stored.kind == "f" or "BLANK" not in header):
            plain = Layout.plain(number, shape, stored, unit.data, flip, family)
            return replace(plain, step=by, axis=axis, in_colour=in_colour)
    row = Window(0, 0, 1, shape[2])  # of which astropy alone knows the final type
    if tiles is not None:
        pixels = tiles.section(read, 0, row)
    else:
        pixels = scaled_rows(read, unit, 0, shape, row)
    dtype = pixels.dtype.newbyteorder("=")
    how: dict[str, Any] = {"step": by, "axis": axis, "in_colour": in_colour}
    return Layout(number, shape, dtype, family=family, **how)


def _last(header: Any, keyword: str, otherwise: Any) -> Any:
    """Return the value of the last card of a keyword, which astropy takes."""
    count = header.count(keyword) if keyword in header else 0
    return header[keyword, count - 1] if count else otherwise


def _sides(unit: Unit) -> tuple[int, ...]:
    """Return the sides of a plain image, the slowest first."""
    values = numbers_of(unit.cards)
    return tuple(values[f"NAXIS{k}"] for k in range(values["NAXIS"], 0, -1))


def flip_of(zero: Any, scale: Any, stored: np.dtype[Any]) -> int | None:
    """Return the bit that makes stored integers unsigned, 0 for none, None where scaled."""
    if scale != 1:
        return None
    if zero == 0:
        return 0
    top = 1 << (8 * stored.itemsize - 1)
    if stored.kind == "f" or zero != (top if stored.kind == "i" else -top):
        return None
    return top


def read_header(path: Path, hdu: int) -> Any:
    """Return the `astropy.io.fits.Header` of an image, with its primary header's cards.

    Cards that are not as the standard has them are repaired or left out.

    Raises
    ------
    LuckyError
        If the file is gone or damaged.
    """
    from astropy.io import fits

    try:
        primary, raw = (sound_cards(header)[0] for header in raw_headers(path, hdu))
        with _quiet(), opened_in_memory(join_cards(cards_in(raw))) as image:
            header = image.header.copy()
            if hdu:
                cards = fits.Header.fromstring(primary)
                header.extend(cards, unique=True, update=False, strip=True)
    except Exception as error:  # as above
        raise LuckyError(f"{path}: the header cannot be read ({error}).") from error
    return header


def raw_headers(path: Path, hdu: int) -> tuple[bytes, bytes]:
    """Return the primary header of a file and that of an image, raw.

    Raises
    ------
    LuckyError
        If the file is gone or damaged.
    """
    with units_of(path, cut=True) as (_, found):
        primary = clean_header(unit_at(found, 0))
        return primary, clean_header(unit_at(found, hdu - 1)) if hdu else primary
