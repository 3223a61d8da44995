"""Header cards made sound: repaired, or left out, so that all that is written is FITS.

A card is sound if it is as the FITS standard has it, and its value of the kind that the standard
asks of its keyword. Cameras write others: control bytes, a decimal comma, NaN, a text without
quotation marks or without the closing one, keywords with a dot.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from napari_lucky.fits.card_value import CARD, NO_VALUE, NUMBER, cards_in, is_end
from napari_lucky.text import counted

NUMBER_TEXT = rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?"
VALUE = re.compile(
    rb" *(?:(?P<text>'(?:[^']|'')*')|(?P<logical>[TF])|(?P<number>" + NUMBER_TEXT + rb")"
    rb"|(?P<complex>\( *" + NUMBER_TEXT + rb" *, *" + NUMBER_TEXT + rb" *\)))? *(?P<comment>/.*)?"
)
KEYWORD = re.compile(rb"[A-Z0-9_-]{1,8} *")
LONG_KEYWORD = re.compile(rb"HIERARCH +[A-Z0-9_-]+(?: +[A-Z0-9_-]+)* *(?==)")
COMMENTARY = (b"COMMENT ", b"HISTORY ", b"CONTINUE", b" " * 8)
PRINTABLE = re.compile(rb"[ -~]*")
FLOATS = re.compile(
    r"(CRPIX|CRVAL|CDELT|CROTA|CRDER|CSYER|PV)\d.*|(PC|CD)\d.*_.*|EQUINOX|EPOCH|MJD-(OBS|AVG)"
    r"|(RESTFRE?Q|RESTWAV|OBSGEO-[XYZ]|VELOSYS|ZSOURCE|VELANGL|LONPOLE|LATPOLE).*"
    r"|BZERO|BSCALE|DATAM(AX|IN)"
)
TEXTS = re.compile(
    r"(CTYPE|CUNIT|CNAME|PS)\d.*|(RADESYS|RADECSYS|SPECSYS|SSYSOBS|SSYSSRC).*"
    r"|EXTNAME|ORIGIN|AUTHOR|CREATOR|REFERENC|TELESCOP|INSTRUME|OBSERVER|OBJECT|BUNIT"
)
DATES = re.compile(r"DATE.*")
AXES = re.compile(r"WCSAXES.?")
NUMBERS = re.compile(
    r"EXPTIME|EXPOSURE|E?GAIN|RDNOISE|SATURATE|[XY]PIXSZ|PIXSIZE[12]?|[XY]BINNING|FOC(ALLEN|RATIO)"
    r"|APT(DIA|AREA)|WAVELEN|WAVELNTH"
)
WANTED = {"float": FLOATS, "axes": AXES, "date": DATES, "text": TEXTS, "number": NUMBERS}
"""Keywords whose values the standard wants as numbers, a whole number, dates and texts; and those
that this program reads as numbers, if they are any."""
MATRICES = {kind: re.compile(rf"{kind}\d+_\d+") for kind in ("CD", "PC")}
MATRICES["CROTA2"] = re.compile("CROTA2")
"""Ways to say how coordinates are turned, of which the standard allows one."""
OF_AXIS = re.compile(
    r"(?:CRPIX|CRVAL|CDELT|CROTA|CRDER|CSYER|CTYPE|CUNIT|CNAME|PV|PS|PC|CD)(\d+)(?:_(\d+))?[A-Z]?"
)
ALIKE = bytes.maketrans(b"023456789", b"1" * 9)
"""Digits, which matter in dates and steps of coordinates alone."""
USUAL_DATE = re.compile(
    rb"DATE[A-Z_-]{0,4} *= '\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
    rb"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?' *(?:/[ -~]*)?"
)
"""A date whose digits are sound, as a month has 28 days at least."""
ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ] *(\d\d:\d\d:\d\d)(?:[.,](\d*))?)? *Z?")
STRUCTURAL = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|[PG]COUNT|GROUPS|END|TFIELDS|THEAP"
    r"|Z(IMAGE|TENSION|SIMPLE|EXTEND|BLOCKED|BITPIX|NAXIS\d*|[PG]COUNT|TILE\d+|CMPTYPE|NAME\d+)"
    r"|Z(VAL\d+|MASKCMP|QUANTIZ|DITHER0|SCALE|ZERO|BLANK)"
    r"|T(FORM|TYPE|UNIT|DIM|NULL|SCAL|ZERO|DISP)\d+"
)
"""Keywords on which the layout of pixels depends: judged where this is read."""


@dataclass
class Damage:
    """What was wrong with a header's cards.

    Parameters
    ----------
    repaired, left_out : list of str
        The cards, as a person reads them.
    """

    repaired: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def notes(self, most: int = 3) -> list[str]:
        """Return a sentence for what was repaired, and one for what was left out."""
        notes = []
        for did, cards in (("Repaired", self.repaired), ("Left out", self.left_out)):
            if cards:
                more = f" … and {len(cards) - most} more" if len(cards) > most else ""
                count = counted(len(cards), "damaged header card")
                notes.append(f"{did} {count}: {'; '.join(cards[:most])}{more}.")
        return notes


def sound_cards(header: bytes, *, structure: bool = True) -> tuple[bytes, Damage]:
    """Return a header whose cards are sound, without END and padding, and what was wrong.

    Parameters
    ----------
    header : bytes
        Raw cards, up to END if there is one.
    structure : bool
        Whether to keep as they are the cards on which the layout of pixels depends.
    """
    damage, made = Damage(), list[bytes]()
    dropped = False
    for card in cards_in(header):
        if is_end(card):
            break
        card = card.ljust(CARD)
        keyword = card[:8].decode("latin-1").strip()
        if structure and STRUCTURAL.fullmatch(keyword):
            made.append(card)
            continue
        if card.startswith(b"CONTINUE"):
            if dropped:
                continue  # of the text that was left out
            if not _goes_on(made[-1:], card):
                made += _as_comment(card, "continues no text", damage)
                continue
        sound = _sound(card, damage)
        dropped = not sound
        made += sound
    return b"".join(_axes_first(_one_matrix(made, damage), damage)), damage


def sound_header(header: Any) -> Any:
    """Return an `astropy.io.fits.Header` with sound cards alone; see `sound_cards`."""
    from astropy.io import fits

    raw = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what astropy warns of is mended here
        for card in header.cards:
            with suppress(fits.VerifyError, ValueError):  # it cannot be written at all
                raw.append(card.image.encode("latin-1", "replace"))
    return fits.Header.fromstring(sound_cards(b"".join(raw), structure=False)[0])


def unsound_cards(cards: Iterable[bytes]) -> list[bytes]:
    """Return those of some raw cards that are not sound."""
    return [card for card in cards if not _is_sound(_pattern_of(card))]


def damage_of(card: bytes) -> Damage:
    """Return what is wrong with a card, but for one on which the layout of pixels depends."""
    damage = Damage()
    if not STRUCTURAL.fullmatch(card[:8].decode("latin-1").strip()):
        _mended(card, damage)
    return damage


def _pattern_of(card: bytes) -> bytes:
    """Return a card that is sound if this one is, the same one for many numbers and texts."""
    if card.startswith((b"DATE", b"CDELT")) and not USUAL_DATE.fullmatch(card):
        return card
    return card.translate(ALIKE)


@lru_cache(maxsize=4096)
def _is_sound(card: bytes) -> bool:
    """Return whether a card is sound."""
    damage = damage_of(card)
    return not damage.repaired and not damage.left_out


def _sound(card: bytes, damage: Damage) -> list[bytes]:
    """Return the sound cards made of one, or none."""
    mended = _mended(card, damage)
    return _written(*mended) if isinstance(mended, tuple) else mended


def _mended(card: bytes, damage: Damage) -> list[bytes] | tuple[str, Any, str]:
    """Return a card that is sound, or none, or keyword, value and comment to be written again."""
    if card.startswith(COMMENTARY) or (card[8:9] != b"=" and not card.startswith(b"HIERARCH ")):
        return _commentary(card, damage)
    keyword, given = _parted(card)
    name = keyword.decode("latin-1").strip()
    wanted = name if not name.startswith("HIERARCH ") else ""
    found = VALUE.fullmatch(given) if PRINTABLE.fullmatch(given) else None
    legal = (KEYWORD if wanted else LONG_KEYWORD).fullmatch(keyword + (b"" if wanted else b"="))
    if not wanted:
        legal = LONG_KEYWORD.match(keyword + b"=")
    if found and legal and given.startswith(b" ") and _suits(wanted, found):
        return [card]
    found = found or _with_odd_comment(given)
    name, value, comment = _clean_keyword(name), _meant(given), _comment_of(given)
    value = _as_wanted(name, value)
    if value is None or not name or name == "END":
        damage.left_out.append(_shown(card))
        return []
    if not _same(found, value) or name != keyword.decode("latin-1").strip():
        quoted = f"'{value}'" if isinstance(value, str) else value
        damage.repaired.append(f"{_shown(card)} is read as {name} = {quoted}")
    return name, value, comment


def _parted(card: bytes) -> tuple[bytes, bytes]:
    """Return keyword and the rest behind the equals sign."""
    if card.startswith(b"HIERARCH "):
        keyword, _, given = card.partition(b"=")
        return keyword, given
    return card[:8], card[9:]


def _goes_on(before: Sequence[bytes], card: bytes) -> bool:
    """Return whether a card continues the text of the one before it."""
    given = [one[8:] if one.startswith(b"CONTINUE") else _parted(one)[1] for one in (*before, card)]
    found = [VALUE.fullmatch(one) for one in given]
    texts = [one["text"] for one in found if one and one["text"]]
    return len(texts) == 2 and texts[0].rstrip(b" '").endswith(b"&")


def _commentary(card: bytes, damage: Damage) -> list[bytes]:
    if not card.startswith(COMMENTARY):
        return _as_comment(card, "has no value", damage)
    return [_printable(card.decode("latin-1")).encode("ascii")]


def _as_comment(card: bytes, why: str, damage: Damage) -> list[bytes]:
    damage.repaired.append(f"{_shown(card)} {why} and is a comment")
    return [(b"COMMENT " + _printable(card.decode("latin-1")).encode("ascii"))[:CARD]]


def _printable(text: str) -> str:
    return "".join(c if " " <= c <= "~" else " " for c in text)


def _shown(card: bytes) -> str:
    text = re.sub(r"[^ -~]", "?", card.decode("latin-1")).partition(" /")[0]
    keyword, equals, value = text.partition("=")
    return " ".join([keyword.strip(), *([equals, value.strip()] if equals else [])])


def _clean_keyword(name: str) -> str:
    parts = [re.sub(r"[^A-Z0-9_-]", "_", part) for part in name.upper().split()]
    if parts[:1] == ["HIERARCH"]:
        return " ".join(parts[1:])
    return "_".join(parts)[:8]


def _meant(given: bytes) -> Any:
    """Return the value that is meant: a number, a text, true or false; None if there is none."""
    text = given.decode("latin-1")
    if found := re.match(r"\s*'((?:[^']|'')*)'(?!')", text):
        return _printable(found[1].replace("''", "'")).rstrip()
    if text.lstrip().startswith("'"):  # not closed
        return _printable(text.lstrip()[1:]).rstrip().replace("''", "'")
    plain = _printable(text.partition("/")[0]).strip()
    if NUMBER.fullmatch(plain):
        number = plain.replace(",", ".").upper().replace("D", "E")
        value = int(number) if re.fullmatch(r"[+-]?\d+", number) else float(number)
        return value if math.isfinite(value) else None
    return {"T": True, "F": False}.get(plain, None if NO_VALUE.fullmatch(plain) else plain)


def _comment_of(given: bytes) -> str:
    text = given.decode("latin-1")
    text = re.sub(r"^\s*'(?:[^']|'')*'", "", text) if "'" in text else text
    return "" if text.lstrip().startswith("'") else _printable(text.partition("/")[2]).strip()


def _suits(keyword: str, found: re.Match[bytes]) -> bool:
    """Return whether a value is of the kind that the standard wants of its keyword."""
    kind = next((kind for kind in ("text", "logical", "number", "complex") if found[kind]), "")
    number = float(found["number"].replace(b"D", b"E")) if kind == "number" else 0.0
    wanted = _wanted(keyword)
    if wanted == "float":
        zero = keyword.startswith("CDELT") and number == 0
        negative = keyword.startswith(("CRDER", "CSYER")) and number < 0
        return kind == "number" and not zero and not negative
    if wanted == "axes":
        return kind == "number" and number.is_integer() and b"." not in found["number"]
    if wanted == "date":
        text = (found["text"] or b"''")[1:-1].decode("ascii").rstrip()
        return kind == "text" and text == _date(text)
    if wanted == "number" and kind == "text":
        return not NUMBER.fullmatch(found["text"][1:-1].decode("latin-1").strip())
    return kind == "text" if wanted == "text" else math.isfinite(number)


@lru_cache(maxsize=4096)
def _wanted(keyword: str) -> str:
    """Return the kind of value that the standard wants of a keyword; "" for any."""
    return next((kind for kind, of in WANTED.items() if of.fullmatch(keyword)), "")


def _as_wanted(keyword: str, value: Any) -> Any:
    """Return a value of the kind that the standard wants of its keyword; None if it is none."""
    if value is None:
        return None
    wanted = _wanted(keyword)
    if wanted == "number" and isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        return _meant(value.encode("latin-1"))
    if wanted in ("float", "axes"):
        if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
            value = _meant(value.encode("latin-1"))
        if type(value) not in (int, float):
            return None
        if wanted == "axes":
            return int(value) if value == int(value) else None
        zero = keyword.startswith("CDELT") and value == 0
        return None if zero or (keyword.startswith(("CRDER", "CSYER")) and value < 0) else value
    if wanted == "date":
        return _date(str(value))
    if wanted == "text":
        return str(value)
    return value


def _date(text: str) -> str | None:
    """Return a date as the standard has it; None of what is none."""
    text = text.strip()
    if re.fullmatch(r"(0[1-9]|[12]\d|3[01])/(0[1-9]|1[0-2])/\d\d", text):
        return text
    if not (found := ISO.fullmatch(text)):
        return None
    day, clock, fraction = found.groups()
    try:
        np.datetime64(f"{day}T{clock or '00:00:00'}")
    except ValueError:
        return None
    return day + (f"T{clock}" if clock else "") + (f".{fraction}" if fraction else "")


def _with_odd_comment(given: bytes) -> re.Match[bytes] | None:
    """Return the parts of a card whose comment alone is not printable, which is nothing to say."""
    found = VALUE.fullmatch(re.sub(rb"[^ -~]", b" ", given))
    if found and found["comment"] and PRINTABLE.fullmatch(given[: found.start("comment")]):
        return found
    return None


def _same(found: re.Match[bytes] | None, value: Any) -> bool:
    """Return whether a card said the same value already, and was only not written in full form."""
    if found is None:
        return False
    if found["number"]:
        return not isinstance(value, str)
    if found["text"]:
        text = found["text"][1:-1].decode("ascii").replace("''", "'").rstrip()
        return value in (text, text.removesuffix("Z"))  # of UTC, behind a time
    return bool(found["logical"] or found["complex"])


def _written(keyword: str, value: Any, comment: str) -> list[bytes]:
    from astropy.io import fits

    long = len(keyword) > 8 or " " in keyword
    name = f"HIERARCH {keyword}" if long else keyword
    for text in (comment, ""):
        with warnings.catch_warnings(), suppress(ValueError):  # too long for a card
            warnings.simplefilter("ignore")  # a comment is cut
            return list(cards_in(fits.Card(name, value, text).image.encode("ascii")))
    return []


def _one_matrix(cards: list[bytes], damage: Damage) -> list[bytes]:
    """Leave out what turns coordinates a second time: PC beside CD, CROTA2 beside PC."""
    names = [card[:8].decode("latin-1").strip() for card in cards]
    kinds = {kind for kind, of in MATRICES.items() if any(map(of.fullmatch, names))}
    twice = "PC" if {"PC", "CD"} <= kinds else "CROTA2" if {"PC", "CROTA2"} <= kinds else None
    if twice is None:
        return cards
    extra = [MATRICES[twice].fullmatch(name) is not None for name in names]
    damage.left_out += [
        _shown(card) for card, is_extra in zip(cards, extra, strict=True) if is_extra
    ]
    return [card for card, is_extra in zip(cards, extra, strict=True) if not is_extra]


def _axes_first(cards: list[bytes], damage: Damage) -> Sequence[bytes]:
    """Put the number of axes of coordinates before these, and leave one out that is too small."""
    names = [card[:8].decode("latin-1").strip() for card in cards]
    axes = [k for k, name in enumerate(names) if AXES.fullmatch(name)]
    if not axes:
        return cards
    highest = max(_axes_named(names), default=0)
    rest = [card for k, card in enumerate(cards) if k not in axes]
    small = [k for k in axes if int(VALUE.match(cards[k][9:])["number"] or 0) < highest]  # type: ignore[index]
    damage.left_out += [_shown(cards[k]) for k in small]
    kept = [] if small else [cards[k] for k in axes]
    first = next((k for k, card in enumerate(rest) if OF_AXIS.match(card.decode("latin-1"))), None)
    place = len(rest) if first is None else first
    return [*rest[:place], *kept, *rest[place:]]


def _axes_named(names: Iterable[str]) -> Iterable[int]:
    for name in names:
        if found := OF_AXIS.fullmatch(name):
            yield from (int(axis) for axis in found.groups() if axis)
