"""Keyword and value of a header card as it is in the file, without astropy."""

from __future__ import annotations

import re
from collections.abc import Iterator

CARD = 80
NUMBER = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([ED][+-]?[0-9]+)?", re.I)
QUOTED = re.compile(r"\s*'((?:[^']|'')*)'")
NO_VALUE = re.compile(r"|[+-]?(nan|inf(inity)?)(\(.*\))?|-?1\.#.*|n/?a", re.I)
"""What stands for a number that is none."""
CONTROL = re.compile("[\0-\x1f\x7f]")
Value = str | float | bool | None


def cards_in(header: bytes) -> Iterator[bytes]:
    """Yield the cards of a header, or of a part of one."""
    return (header[start : start + CARD] for start in range(0, len(header), CARD))


def is_end(card: bytes) -> bool:
    """Return whether a card ends a header: zeros or the end of a line may be behind END."""
    behind = card[3:].lstrip(b" ")[:1]
    return card.startswith(b"END") and not (behind.isalnum() or behind in (b"-", b"_"))


def keyword_of(card: bytes) -> str:
    """Return the keyword of a card, in capitals; of ESO's long ones without HIERARCH."""
    text = card.decode("latin-1")
    if text.startswith("HIERARCH "):
        return " ".join(text[9:].partition("=")[0].split()).upper()
    return text[:8].strip().upper()


def value_of(card: bytes) -> Value:
    """Return the value of a card: a number, a text, true or false; None where there is none.

    A decimal comma, control characters, a text without quotation marks and one that is not closed
    are taken for what they are meant to be.
    """
    text = CONTROL.sub(" ", card.decode("latin-1"))
    if text.startswith("HIERARCH "):
        given = text.partition("=")[2]
    elif text[8:9] == "=":
        given = text[9:]
    else:
        return None
    if found := QUOTED.match(given):
        return found[1].replace("''", "'").strip()
    plain = given.partition("/")[0].strip(" '")
    if (number := number_in(plain)) is not None:
        return number
    return {"T": True, "F": False}.get(plain, None if NO_VALUE.fullmatch(plain) else plain)


def number_in(value: Value) -> float | None:
    """Return a number, or the one that a text is; None of others."""
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        return float(value.strip().replace(",", ".").upper().replace("D", "E"))
    return value if isinstance(value, float) else None


def values_in(cards: bytes) -> dict[str, Value]:
    """Return the values of cards by keyword; of several with one keyword the first."""
    found: dict[str, Value] = {}
    for card in cards_in(cards):
        found.setdefault(keyword_of(card), value_of(card))
    return found
