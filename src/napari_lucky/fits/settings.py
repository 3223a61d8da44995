"""Settings of the camera and the target of frames, by their headers or else by their names."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from napari_lucky.errors import LuckyError
from napari_lucky.fits.card_value import Value, number_in, values_in
from napari_lucky.fits.file_names import stem_of
from napari_lucky.fits.frame_cards import SETTINGS
from napari_lucky.fits.header_scan import cards_of
from napari_lucky.fits.header_units import units_of
from napari_lucky.fits.plain_files import PlainFiles
from napari_lucky.sources.colour import as_in_file
from napari_lucky.sources.source_image import SourceImage, alike
from napari_lucky.text import counted

CATALOGUES = "ngc|ic|hd|hip|hr|sao|wds|stf|stt|ads|bd|tyc|gj|gl|hat|sh2|abell|ugc|pgc|arp|iau"
IN_NAMES: dict[str, re.Pattern[str]] = {
    "exposure": re.compile(
        r"(?<![a-z\d.,])(?<!\d[-:])(?P<number>\d+(?:[.,]\d+)?)[ _]?"
        r"(?P<unit>us|µs|ms|s|secs?|seconds)(?![a-z])",
        re.I,
    ),
    "gain": re.compile(r"(?<![a-z])g(?:ain)?[-_= ]?(?P<number>\d+)(?![a-z\d])", re.I),
    "binning": re.compile(
        r"(?<![a-z])bin(?:ning)?[-_= ]?(?P<number>[1-8])(?!\d)"
        r"|(?<![a-z\d])(?P<square>[1-8])x(?P=square)(?!\d)",
        re.I,
    ),
    "target": re.compile(
        rf"(?<![a-z\d])(?P<word>(?:{CATALOGUES})[-_ ]?\d+|[mc]\d{{1,3}})(?![a-z\d])", re.I
    ),
}
"""How names have them."""
SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3}
MOST = 4
"""Values that a sentence shows."""
ALIKE = 1.02
"""Exposures whose ratio is less are the same, measured twice."""


def header_setting(cards: bytes, what: str) -> Value:
    """Return a setting from the cards of `HeaderCards.settings`; None if they do not have it."""
    values = values_in(cards)
    for keyword in SETTINGS[what]:
        value = values.get(keyword)
        if what == "binning" and isinstance(value, str):
            value = value.replace("x", " ").split()[0] if value.split() else None
            value = float(value) if value and value.isdecimal() else None
        if what in ("exposure", "gain") and (number := number_in(value)) is not None:
            value = number
        if value not in (None, "") and not isinstance(value, bool):  # 1 s equals True
            return value.strip() if isinstance(value, str) else value
    return None


def header_exposure(cards: bytes) -> float:
    """Return the exposure of a frame, in seconds, from cards of `HeaderCards.settings`; or NaN."""
    value = header_setting(cards, "exposure")
    try:
        seconds = float(str(value).replace(",", "."))
    except ValueError:
        return math.nan
    return seconds if 0 < seconds < math.inf else math.nan


def cards_of_each(images: Sequence[SourceImage]) -> tuple[list[bytes], list[bytes]]:
    """Return the headers' cards of each image, settings and times; of several in one file its own.

    See `HeaderCards`.
    """
    if isinstance(images, PlainFiles):
        settings = [cards.settings for cards in images.headers.cards]
        return [settings[k] for k in images.headers.which.tolist()], images.headers.times
    images = [as_in_file(image) for image in images]
    several = {path for path, n in Counter(image.path for image in images).items() if n > 1}
    own: dict[Path, list[tuple[bytes, ...]]] = {}
    for path in several:
        with (
            suppress(LuckyError),
            units_of(path) as (_, found),
        ):  # reported where the pixels are read
            own[path] = [unit.frame_cards for unit in found]
    cards = []
    for image in images:
        units, number = own.get(image.path, []), getattr(image.layout, "hdu", 0)
        of_all = number >= len(units)
        cards.append(image.header_cards if of_all else cards_of((*units[number], *units[0])))
    return [one.settings for one in cards], [one.times for one in cards]


def name_setting(stem: str, what: str) -> Value:
    """Return a setting in a file's name, as headers have it; None if it has none."""
    found = IN_NAMES[what].search(stem) if what in IN_NAMES else None
    if found is None:
        return None
    parts = found.groupdict()
    if word := parts.get("word"):
        return re.sub("[-_ ]", "", word).upper()
    number = float((parts.get("number") or parts["square"]).replace(",", "."))
    return float(f"{number * SECONDS.get((parts.get('unit') or '').lower(), 1.0):.9g}")


def settings_of(images: Sequence[SourceImage], what: str) -> list[tuple[Value, SourceImage, int]]:
    """Return a setting of each file: by its header, or by its name where no header gives it.

    Exposures that differ by a trifle are made one.

    Returns
    -------
    list of tuple
        The setting, an image, and how many are like it; see `alike`.
    """
    known = alike(images)
    cards = {image.header_cards.settings for image, _ in known}
    by_cards = {one: header_setting(one, what) for one in cards}
    if (
        all(value is None for value in by_cards.values())
        and name_setting(stem_of(images[0].path), what) is not None  # or others have none, either
    ):
        given = [(name_setting(stem_of(image.path), what), image, 1) for image in images]
    else:
        given = [(by_cards[image.header_cards.settings], image, n) for image, n in known]
    return _rounded(given) if what == "exposure" else given


def _rounded(given: list[tuple[Value, SourceImage, int]]) -> list[tuple[Value, SourceImage, int]]:
    numbers = Counter[float]()
    for value, _, n in given:
        if isinstance(value, float):
            numbers[value] += n
    same: dict[Value, Value] = {}
    last: list[float] = []
    for number in [*sorted(numbers), float("inf")]:
        if last and not number <= last[-1] * ALIKE:
            usual = max(last, key=lambda one: numbers[one])
            same |= dict.fromkeys(last, usual)
            last = []
        last.append(number)
    return [(same.get(value, value), image, n) for value, image, n in given]


def usual_setting(images: Sequence[SourceImage], what: str) -> Value:
    """Return a setting that most images have; None if it is not known."""
    counts = Counter[Value]()
    for value, _, n in settings_of(images, what):
        counts[value] += n
    return most_common(counts)


def most_common(counts: Counter[Value]) -> Value:
    """Return what most have; None if nothing is known."""
    return next((value for value, _ in counts.most_common() if value is not None), None)


def setting_text(what: str, value: Value) -> str:
    """Return a setting as it is shown, such as "0.01 s"."""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{shown} s" if what == "exposure" and isinstance(value, float) else shown


def mixture_notes(images: Sequence[SourceImage]) -> list[str]:
    """Return a sentence for each setting that is not the same in all frames, with the counts."""
    return [note for what in SETTINGS if (note := _mixture(images, what))]


def _mixture(images: Sequence[SourceImage], what: str) -> str:
    frames: Counter[Value] = Counter()
    given = settings_of(images, what)
    for value, image, n in given:
        frames[value.casefold() if isinstance(value, str) else value] += n * image.layout.shape[0]
    shown = {v.casefold() if isinstance(v, str) else v: v for v, *_ in given}
    known = [(shown[value], n) for value, n in frames.items() if value is not None]
    counts_frames = 2 * len(known) > len(images) and not _way_to_choose(images, what)
    if len(known) < 2 or counts_frames or (what == "target" and len(known) == len(images)):
        return ""
    known.sort(key=lambda one: -one[1])
    counts = [f"{setting_text(what, value)} ({counted(n, 'frame')})" for value, n in known[:MOST]]
    more = [f"{len(known) - MOST} more"] if len(known) > MOST else []
    choose = _way_to_choose(images, what) or "Give the files of one run."
    return f"The frames differ in {what}: {', '.join([*counts, *more])}. {choose}"


def _way_to_choose(images: Sequence[SourceImage], what: str) -> str:
    """Say how frames are chosen by a header with a setting; "" where names do."""
    for cards in dict.fromkeys(image.header_cards.settings for image, _ in alike(images)):
        values = values_in(cards)
        keyword = next((word for word in SETTINGS[what] if values.get(word) is not None), None)
        if keyword is not None:
            value = setting_text("", values[keyword])
            return f'Choose with --where "{keyword}={value}", or give the files of one run.'
    return ""
