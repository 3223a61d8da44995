"""Pixels stored as 16-bit integers: for files only, never inside the chain.

Scaled integers say with BSCALE and BZERO how to come back to ADU, so that every reader gives
ADU. Levels of a stated full scale are what cameras of 8 to 16 bits write.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import UsageError
from napari_lucky.frames.history import Record

SAVED_AS = "save as integers"
"""Name of the step that a history gets."""
MASKED_LEVEL = 65535
FULL, TOP = "FULLADU", "TOPLEVEL"
"""Keywords of levels: ADU = level * FULLADU / TOPLEVEL."""


@dataclass(frozen=True)
class IntegerFormat:
    """How pixels are stored as 16-bit integers.

    Parameters
    ----------
    full : float, optional
        ADU of the greatest level; None scales each image by its own range.
    bits : int
        Levels are 0 to 2^bits − 1, 8 to 16 bits; with 16 to 65534, for 65535 marks what is
        masked. Of no meaning without `full`.

    Raises
    ------
    LuckyError
        If the full scale is not over 0, or the bits are not 8 to 16.
    """

    full: float | None = None
    bits: int = 12

    def __post_init__(self) -> None:
        if self.full is not None and not 0 < self.full < np.inf:
            raise UsageError(f"The full scale is {self.full} ADU; it must be over 0.")
        if not 8 <= self.bits <= 16:
            raise UsageError(f"Levels have {self.bits} bits; it must be 8 to 16.")

    @property
    def top(self) -> int:
        """The greatest level."""
        return min((1 << self.bits) - 1, MASKED_LEVEL - 1)


def parse_integer_format(text: str) -> IntegerFormat:
    """Return what "scaled", "FULL" or "FULL,BITS" means.

    Raises
    ------
    LuckyError
        If it is none of them.
    """
    if text == "scaled":
        return IntegerFormat()
    full, comma, bits = text.partition(",")
    try:
        parsed = float(full), int(bits) if comma else 12
    except ValueError:
        raise UsageError(
            f"{text!r} is neither scaled nor FULL or FULL,BITS: the ADU of the greatest level, "
            "and 8 to 16 bits, such as 4095 or 60000,12"
        ) from None
    return IntegerFormat(*parsed)


@dataclass(frozen=True)
class Coding:
    """How the pixels of one image become the integers of its file.

    stored = round((ADU − zero) / step) + offset, from `first` to `last`; `blank` where masked.

    Parameters
    ----------
    step, zero : float
        ADU.
    offset, first, last, blank : int
        Stored 16-bit integers.
    cards : tuple of (keyword, value, comment)
        What the header says of it.
    record : Record
        What the history says of it.
    note : str
        What the user should know; empty if nothing.
    """

    step: float
    zero: float
    offset: int
    first: int
    last: int
    blank: int
    cards: tuple[tuple[str, Any, str], ...]
    record: Record
    note: str = ""

    @property
    def levels(self) -> bool:
        """Whether a reader gets levels, not ADU."""
        return any(keyword == FULL for keyword, _, _ in self.cards)

    def encode(self, block: NDArray[Any]) -> NDArray[np.int16]:
        """Return the integers of some pixels."""
        value = (np.asarray(block, np.float64) - self.zero) / self.step
        masked = ~np.isfinite(value)
        value[masked] = 0
        stored = np.clip(np.rint(value) + self.offset, self.first, self.last).astype(np.int16)
        stored[masked] = self.blank
        return stored


def coding_of(blocks: Iterable[NDArray[Any]], integers: IntegerFormat, name: str = "") -> Coding:
    """Look through all pixels of an image or a run, and return how they are stored.

    Parameters
    ----------
    blocks : iterable of ndarray
        Pixels in ADU; what is not finite counts as masked.
    integers : IntegerFormat
        How they shall be stored.
    name : str
        The image's, for the note.
    """
    low, high, under, over, cut_at = np.inf, -np.inf, 0, 0, integers.full or np.inf
    for block in blocks:
        good = block[np.isfinite(block)].astype(np.float64)
        if good.size:
            low, high = min(low, float(good.min())), max(high, float(good.max()))
            under += int((good < 0).sum())
            over += int((good > cut_at).sum())
    if integers.full is not None:
        return _levels(integers.full, integers, under, over, name)
    return _scaled(low, high) if low <= high else _scaled(0.0, 0.0)


def _scaled(low: float, high: float) -> Coding:
    # 65535 integers with one to spare, so that numbers rounded to what a card holds still reach;
    # a step far under what float32 resolves would only make BZERO inexact
    step = max((high - low) / 65533, 1e-9 * max(abs(low), abs(high))) or 1.0
    step, zero = _of_card(step), _of_card((low + high) / 2)
    cards = (
        ("BSCALE", step, "ADU of one step"),
        ("BZERO", zero, "ADU = BZERO + BSCALE * stored integer"),
        ("BLANK", -32768, "a masked pixel"),
    )
    record = Record(SAVED_AS, {"step": step, "zero": zero})
    return Coding(step, zero, 0, -32767, 32767, -32768, cards, record)


def _of_card(value: float) -> float:
    """Return the number that a card's twenty characters hold of this one."""
    return float(f"{value:.10e}")


def _levels(full: float, integers: IntegerFormat, under: int, over: int, name: str) -> Coding:
    top = integers.top
    cards = (
        ("BSCALE", 1, ""),
        ("BZERO", 32768, "unsigned integers"),
        ("BLANK", MASKED_LEVEL - 32768, f"a masked pixel: level {MASKED_LEVEL}"),
        (FULL, full, f"ADU = level * {FULL} / {TOP}"),
        (TOP, top, f"greatest level; {MASKED_LEVEL} is a masked pixel"),
    )
    record = Record(
        SAVED_AS, {"full_scale": full, "top_level": top, "cut_under": under, "cut_over": over}
    )
    note = ""
    if under or over:
        note = (
            f"{name or 'The image'}: cut {under} pixels under 0 and {over} over the full scale "
            f"of {full:g} ADU."
        )
    return Coding(
        full / top, 0.0, -32768, -32768, top - 32768, MASKED_LEVEL - 32768, cards, record, note
    )


def level_step(header: Any) -> float:
    """Return the ADU of one level where a header says that they are levels, or else 0."""
    full, top = header.get(FULL), header.get(TOP)
    numbers = all(type(value) in (int, float) and value > 0 for value in (full, top))
    unsigned = header.get("BZERO") == 32768 and header.get("BSCALE", 1) == 1
    return float(full / top) if numbers and unsigned else 0.0


def levels_to_adu(levels: NDArray[Any], step: float) -> NDArray[np.float32]:
    """Return levels as ADU, NaN where masked."""
    adu = levels.astype(np.float32) * np.float32(step)
    adu[levels == MASKED_LEVEL] = np.nan
    return adu
