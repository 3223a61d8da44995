"""Frames chosen by their headers: those in which a card equals a value."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from napari_lucky.errors import LuckyError
from napari_lucky.fits.card_value import Value, cards_in, keyword_of, number_in, value_of
from napari_lucky.fits.frame_cards import SETTINGS
from napari_lucky.fits.header_units import units_of
from napari_lucky.fits.image import FitsImage
from napari_lucky.fits.open_images import LeftOut
from napari_lucky.sources.source_image import SourceImage
from napari_lucky.text import counted, readable

NEXT = re.compile(r",(?=[^,=]*[^,=\s][^,=]*=)")
"""A comma before another KEYWORD=; any other is of a value, such as 0,01 or M 42, core."""


class Condition(NamedTuple):
    """What a header must say: a keyword, in capitals, and its value as text."""

    keyword: str
    value: str

    def holds(self, found: Value) -> bool:
        """Return whether a card's value is the one wanted."""
        if isinstance(found, bool):
            found = "T" if found else "F"
        if isinstance(found, str) and found.casefold().strip() == self.value.casefold():
            return True
        number, wanted = number_in(found), number_in(self.value)
        near = 0.01 if self.keyword in SETTINGS["exposure"] else 1e-6
        both = number is not None and wanted is not None
        return both and math.isclose(number or 0.0, wanted or 0.0, rel_tol=near)


def parse_where(text: str) -> tuple[Condition, ...]:
    """Return what "EXPTIME=0.01" or "EXPTIME=0.01, FILTER=R" means.

    Raises
    ------
    LuckyError
        If it is no such text.
    """
    found = []
    for part in NEXT.split(text):
        keyword, equals, value = part.partition("=")
        keyword = " ".join(keyword.upper().removeprefix("HIERARCH ").split())
        if not (equals and keyword and value.strip()):
            raise LuckyError(
                f"{text!r} is not KEYWORD=VALUE, such as EXPTIME=0.01 or EXPTIME=0.01,FILTER=R."
            )
        found.append(Condition(keyword, value.strip().strip("'\"")))
    return tuple(found)


def matching(
    paths: Iterable[Path], conditions: tuple[Condition, ...]
) -> tuple[list[Path], list[LeftOut], tuple[Condition, ...]]:
    """Return the files whose headers meet conditions, the others, and what no header has.

    A file that cannot be read stays among the first: it is reported where it is opened.

    Raises
    ------
    LuckyError
        If no file meets them.
    """
    kept, judged = [], []
    seen = {one: Counter[str]() for one in conditions}
    for path in paths:
        try:
            values = _values(path, {one.keyword for one in conditions})
        except LuckyError:
            kept.append(path)
            continue
        reasons = []
        for one in conditions:
            found = values.get(one.keyword)
            seen[one].update([] if found is None else [_shown(found)])
            if not one.holds(found):
                has = "not in its header" if found is None else f"{_shown(found)}, not {one.value}"
                reasons.append((one, f"{one.keyword} is {has}"))
        judged.append((path, reasons))
    known = tuple(one for one in conditions if seen[one])
    others = []
    for path, reasons in judged:
        if why := next((reason for one, reason in reasons if one in known), ""):
            others.append(LeftOut(path, why))
        else:
            kept.append(path)
    if not kept:
        raise LuckyError(_none_of(known, seen, Path(others[0].path).parent))
    return kept, others, tuple(one for one in conditions if one not in known)


def on_axes(
    images: Sequence[SourceImage], conditions: tuple[Condition, ...]
) -> Sequence[SourceImage]:
    """Return images of which other places of a fourth axis are read.

    Raises
    ------
    LuckyError
        If there is no such axis, or no such place.
    """
    for one in conditions:
        if not any(_has_axis(image, one) for image in images):
            where = images[0].path.parent
            raise LuckyError(
                f"{where}: no header has a card {one.keyword}, so --where cannot choose by it."
            )
        images = [_on_axis(image, one) for image in images]
    return images


def _has_axis(image: SourceImage, one: Condition) -> bool:
    axis = image.layout.axis if isinstance(image, FitsImage) else None
    return axis is not None and axis.name == one.keyword


def _on_axis(image: SourceImage, one: Condition) -> SourceImage:
    if not isinstance(image, FitsImage) or image.layout.axis is None or not _has_axis(image, one):
        return image
    chosen = replace(image.layout.axis, chosen=image.layout.axis.place_of(one.value))
    return replace(image, layout=replace(image.layout, axis=chosen))


def _values(path: Path, keywords: set[str]) -> dict[str, Value]:
    """Return the values of keywords in a file's headers: of each the first."""
    values: dict[str, Value] = {}
    with units_of(path, cut=True) as (_, found):
        for unit in found:
            for card in cards_in(unit.header):
                if (keyword := keyword_of(card)) in keywords:
                    values.setdefault(keyword, value_of(card))
    return values


def _shown(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else readable(str(value))


def _none_of(
    known: tuple[Condition, ...], seen: dict[Condition, Counter[str]], folder: Path
) -> str:
    values = [
        f"{one.keyword} is "
        + ", ".join(f"{value} ({counted(n, 'file')})" for value, n in seen[one].most_common(5))
        for one in known
    ]
    wanted = ", ".join(f"{one.keyword}={one.value}" for one in known)
    return f"{folder}: no frame has {wanted}: {'; '.join(values)}."
