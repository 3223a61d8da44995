"""When a frame was taken, by the cards of its header."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.fits.card_value import CARD

Time = np.datetime64
"""UTC, to the microsecond; NaT where it is not known."""
UNKNOWN = np.datetime64("NaT", "us")
STARTS = ("DATE-OBS", "DATE-BEG", "DATE_OBS")
"""Keywords of the beginning of an exposure, with the date and mostly with the time."""
CLOCKS = ("TIME-OBS", "UT", "UTC", "UTSTART", "UT-OBS", "TIME-BEG", "TIME_OBS")
"""Keywords of the time where the date stands alone."""
DAYS = {
    "MJD-BEG": 40587.0,
    "MJD-OBS": 40587.0,
    "MJD": 40587.0,
    "JD": 2440587.5,
    "JD-OBS": 2440587.5,
}
"""Keywords of a time in days, and that of 1970-01-01."""
KEYWORDS = frozenset((*STARTS, *CLOCKS, *DAYS, "TIMESYS"))
BEHIND = {"TAI": 37, "TT": 69.184, "TDT": 69.184, "GPS": 18}
"""Seconds that UTC is behind other clocks, since 2017: nearer than cameras are, and no table."""
CLOCK = re.compile(r"(\d\d?):(\d\d)(?::(\d\d(?:[.,]\d*)?))?")
ZONE = re.compile(r"([+-])(\d\d):?(\d\d)")
ISO = re.compile(
    rf"(?P<date>\d{{4}}-\d\d-\d\d)(?:[T ]\s*(?P<clock>{CLOCK.pattern}))?"
    rf"\s*(?:Z|(?P<zone>{ZONE.pattern}))?"
)
BRITISH = re.compile(r"(\d\d)/(\d\d)/(\d\d)(\d\d)?")


def header_time(header: Mapping[str, Any]) -> Time:
    """Return the beginning of the exposure that a header gives, UTC.

    Parameters
    ----------
    header : mapping
        Values by keyword, such as an `astropy.io.fits.Header`.

    Returns
    -------
    numpy.datetime64
        To the microsecond; NaT where there is no time, or a date alone.
    """
    behind = BEHIND.get(str(header.get("TIMESYS", "UTC")).strip().upper(), 0)
    for keyword in STARTS:
        date, clock, ahead = _date_clock_zone(str(header.get(keyword, "")).strip())
        if not date:
            continue
        if math.isnan(seconds := _seconds(clock)):
            values = (_seconds(header.get(name, "")) for name in CLOCKS)
            seconds = next((value for value in values if not math.isnan(value)), math.nan)
        if not math.isnan(seconds):
            try:
                found = np.datetime64(date, "us")
            except ValueError:  # a thirteenth month
                continue
            return found + np.timedelta64(round((seconds - ahead - behind) * 1e6), "us")
    for keyword, epoch in DAYS.items():
        days = header.get(keyword)
        if isinstance(days, (int, float)) and 0 < days - epoch < 1e5:
            seconds = (days - epoch) * 86400 - behind
            return np.datetime64(round(seconds * 1e6), "us")
    return UNKNOWN


def text_time(text: str) -> Time:
    """Return the time that a text gives: ISO, UTC unless it names another zone; NaT if none.

    Raises
    ------
    ValueError
        If it gives no time.
    """
    text = text.strip()
    if text in ("", "NaT", "nan", "None"):
        return UNKNOWN
    if not np.isnat(found := header_time({"DATE-OBS": text})):
        return found
    with suppress(ValueError):
        there = datetime.fromisoformat(text)
        if there.tzinfo is not None:
            return np.datetime64(there.astimezone(UTC).replace(tzinfo=None), "us")
    raise ValueError(f"{text!r} is not a date with a time")


def times_of(texts: Iterable[str]) -> NDArray[np.datetime64]:
    """Return the times that texts give; see `text_time`."""
    return np.array([text_time(text) for text in texts], "datetime64[us]")


def exposures_of(texts: Iterable[str]) -> NDArray[np.float64]:
    """Return the seconds that texts give, NaN where they are empty.

    Raises
    ------
    ValueError
        If one is no number, or not over 0.
    """
    found = np.array([float(text) if text.strip() else math.nan for text in texts])
    if (found <= 0).any() or np.isinf(found).any():
        raise ValueError("an exposure is not over 0")
    return found


def _date_clock_zone(text: str) -> tuple[str, str, float]:
    """Return the date, the time of day and how many seconds it is ahead of UTC."""
    if found := ISO.fullmatch(text):
        ahead = 0.0
        if zone := ZONE.fullmatch(found["zone"] or ""):
            sign, hours, minutes = zone.groups()
            ahead = float(f"{sign}1") * (int(hours) * 3600 + int(minutes) * 60)
        return found["date"], found["clock"] or "", ahead
    if found := BRITISH.fullmatch(text):  # as it was written until 1998
        day, month, first, last = found.groups()
        return f"{first + last if last else '19' + first}-{month}-{day}", "", 0.0
    return "", "", 0.0


def _seconds(clock: Any) -> float:
    """Return the seconds since midnight of '21:03:04.5' or 75784.5; NaN of anything else.

    A number up to 24 may be meant as hours, and gives NaN.
    """
    if found := CLOCK.fullmatch(str(clock).strip()):
        hours, minutes, seconds = (
            float((part or "0").replace(",", ".")) for part in found.groups()
        )
        valid = hours < 24 and minutes < 60 and seconds < 61  # a leap second is the 61st
        return hours * 3600 + minutes * 60 + seconds if valid else math.nan
    is_number = isinstance(clock, (int, float)) and not isinstance(clock, bool)
    return float(clock) if is_number and 24 < clock < 86401 else math.nan


USUAL = re.compile(
    rb"DATE-OBS= '(\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?) *'.*", re.S
)
"""Cards of a time that numpy reads as `header_time` does, if no clock is named."""


def cards_times(cards: Sequence[bytes]) -> NDArray[np.datetime64]:
    """Return the times in the bytes of headers; see `header_time`."""
    usual = [None if b"TIMESYS" in one else USUAL.fullmatch(one) for one in cards]
    if len(usual) and all(usual):
        with suppress(ValueError):  # a thirteenth month
            return np.array([one[1].decode() for one in usual if one], "datetime64[us]")
    known = {one: cards_time(one) for one in dict.fromkeys(cards)}
    return np.array([known[one] for one in cards], "datetime64[us]")


def cards_time(header: bytes) -> Time:
    """Return the time in the bytes of a header; see `header_time`."""
    values: dict[str, Any] = {}
    for start in range(0, len(header), CARD):
        keyword = header[start : start + 8].decode("ascii", "replace").rstrip()
        if keyword in KEYWORDS and header[start + 8 : start + 9] == b"=":
            values.setdefault(keyword, _value(header[start + 9 : start + CARD]))
        elif keyword == "END":
            break
    return header_time(values)


def _value(field: bytes) -> Any:
    text = field.decode("ascii", "replace").strip()
    if text.startswith("'"):
        return text[1:].partition("'")[0].strip()
    text = text.partition("/")[0].strip() if not BRITISH.match(text) else text
    try:
        return float(text.replace("D", "E"))
    except ValueError:
        return text
