"""What state the camera was in: what a dark must share with the frames beside exposure and gain.

Temperatures differ from frame to frame, so a few headers are read, and not the cards of all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from napari_lucky.errors import LuckyError
from napari_lucky.fits.card_value import Value
from napari_lucky.fits.settings import most_common, setting_text, usual_setting
from napari_lucky.frames.reading import spread_over
from napari_lucky.sources.source_image import SourceImage

TEMPERATURE = (
    "CCD-TEMP", "CCDTEMP", "CCD_TEMP", "DET-TEMP", "DETTEMP", "SENSTEMP", "CAMTEMP", "TEMPERAT",
    "SET-TEMP",
)  # fmt: skip
"""Keywords of the sensor's temperature: as measured, or else as wanted."""
OTHERS = {
    "offset": ("OFFSET", "BLKLEVEL", "BLACKLEV"),
    "read-out mode": ("READOUTM", "READMODE", "READOUT"),
}
STATES = {"dark": ("binning", *OTHERS), "flat": ("binning",)}
"""What of a dark or a flat should be as in the frames, beside a dark's temperature."""
SAMPLE = 5
"""Headers, spread over the files, that are read."""
APART = 3.0
"""Kelvin by which temperatures must differ to be reported: dark current doubles in about six."""
COLDEST, WARMEST = -200.0, 60.0
"""Degrees Celsius; others are no temperatures of a sensor."""
KELVIN = 273.15


def state_differences(
    images: Sequence[SourceImage], masters: Sequence[SourceImage], kind: str
) -> list[str]:
    """Return what of a dark or a flat is not as in the frames, where both headers say it.

    Parameters
    ----------
    images, masters : sequence of SourceImage
        The files of the frames, and those of the dark or flat.
    kind : str
        "dark" or "flat".

    Returns
    -------
    list of str
        Such as "its offset is 10, the frames' is 30".
    """
    headers, of_run = _headers(masters), _headers(images)
    found = []
    if kind == "dark":
        own, other = _temperature(headers), _temperature(of_run)
        if abs(own - other) > APART:  # not where one is not known
            found.append(f"its sensor temperature is {own:.1f} °C, the frames' is {other:.1f} °C")
    for what in STATES[kind]:
        pair = (
            [usual_setting(some, what) for some in (masters, images)]
            if what == "binning"
            else [_value(some, OTHERS[what]) for some in (headers, of_run)]
        )
        if None not in pair and len({str(one).casefold() for one in pair}) == 2:
            texts = [setting_text(what, one) for one in pair]
            found.append(f"its {what} is {texts[0]}, the frames' is {texts[1]}")
    return found


def _headers(images: Sequence[SourceImage]) -> list[Any]:
    headers = []
    for k in spread_over(len(images), SAMPLE):
        with suppress(LuckyError, OSError):  # reported where the pixels are read
            headers.append(images[k].header())
    return headers


def _temperature(headers: Sequence[Any]) -> float:
    """Return the median temperature in degrees Celsius; NaN where none is known."""
    known: list[float] = []
    for header in headers:
        given = (_degrees(header.get(keyword)) for keyword in TEMPERATURE)
        known += [one for one in given if np.isfinite(one)][:1]
    return float(np.median(known)) if known else float("nan")


def _degrees(value: Any) -> float:
    found = re.match(r"\s*([+-]?\d+(?:[.,]\d*)?)", str(value))
    degrees = float(found[1].replace(",", ".")) if found else np.nan
    if degrees > KELVIN + COLDEST:
        degrees -= KELVIN
    return degrees if COLDEST <= degrees <= WARMEST else np.nan


def _value(headers: Sequence[Any], keywords: Sequence[str]) -> Value:
    """Return what most headers have under the first of some keywords; None where none has one."""
    values: list[Value] = []
    for header in headers:
        given = (header.get(keyword) for keyword in keywords)
        value = next((one for one in given if one not in (None, "")), None)
        if isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        values.append(value)
    return most_common(Counter(values))
