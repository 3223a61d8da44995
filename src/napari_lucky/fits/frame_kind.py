"""What a frame is of: light, dark, flat or bias, by its header or else by its name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from napari_lucky.fits.frame_cards import KINDS
from napari_lucky.fits.settings import CATALOGUES

Kind = Literal["light", "dark", "flat", "bias", "dark flat"]
IN_HEADERS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("dark flat", re.compile(r"dark[ _,-]*(frames?[ _-]*)?(for[ _-]*)?flat|flat[ _,-]*dark", re.I)),
    ("flat", re.compile(r"flat", re.I)),
    ("dark", re.compile(r"(?<![a-z])(master|super)?[ _-]?dark", re.I)),
    ("bias", re.compile(r"bias|(?<![a-z])(offset|zero)", re.I)),
    ("light", re.compile(r"light|object|science|(?<![a-z])(sci|target|expose)(?![a-z])", re.I)),
)
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""Words of a name: what separators, numbers and capitals part."""
BEFORE = "(?:(?!no|un|de)[a-z]+)?"
"""Words are joined to a kind as in masterdark, skyflat and vegadark."""
AFTER = "(?:s|es|frames?|fields?|wizard|lib|library|current|panel|cal|master)?"
IN_NAMES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("dark flat", re.compile(f"{BEFORE}(?:darkflat|flatdark){AFTER}")),
    ("flat", re.compile(f"{BEFORE}flat{AFTER}")),
    ("dark", re.compile(f"{BEFORE}dark{AFTER}")),
    ("bias", re.compile(f"{BEFORE}bias{AFTER}")),
)
LIGHT = re.compile(r"(?:light|science|object)(?:s|frames?)?")
OFFSET = re.compile(
    r"[^a-z]*(?:master|super|my)?[ _-]?(?:offset|zero)s?(?:[ _-]?frames?)?[_ ]*\d*", re.I
)
"""A whole name that is an offset, as biases are called too; else it is the camera's setting."""
WITHOUT = {"no", "non", "not", "without", "minus"}
"""Words of a name that deny the kind behind them."""
PLAIN = {"master", "super", "frame", "frames", "field", "fields", "wizard", "lib", "library"}
PLAIN |= {"current", "dark", "flat", "bias", "for", "of", "exp", "exposure", "gain", "iso", "bin"}
PLAIN |= {"temp", "temperature", "offset", "sec", "secs", "min", "light", "sky", "dome", "twilight"}
PLAIN |= {"panel", "lamp", "new", "old", "stack", "stacked", "mean", "median", "average", "avg"}
PLAIN |= {"red", "green", "blue", "lum", "luminance", "clear", "filter", "sii", "oiii", "halpha"}
PLAIN |= {"asi", "zwo", "qhy", "qsi", "sbig", "atik", "moravian", "cam", "camera", "ccd", "cmos"}
PLAIN |= {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
PLAIN |= {"small", "large", "short", "long", "before", "after", "east", "west", "left", "right"}
PLAIN |= {"evening", "morning", "dusk", "dawn", "start", "begin", "end", "full", "test", "white"}
PLAIN |= {"cap", "cover", "covered", "closed", "shutter"}
PLAIN |= {"raw", "calibrated", "cal", "calib", "calibration", "img", "image", "capture", "fits"}
"""Words of three letters or more that follow in names of darks and flats; others name a target."""


TARGETS = {*CATALOGUES.split("|"), "alpha", "beta", "gamma", "delta"}
TARGETS |= {"vega", "sirius", "arcturus", "capella", "rigel", "procyon", "betelgeuse", "altair"}
TARGETS |= {"aldebaran", "antares", "spica", "pollux", "deneb", "regulus", "castor", "polaris"}
TARGETS |= {"mizar", "albireo", "algol", "mira", "fomalhaut", "bellatrix", "canopus", "achernar"}
TARGETS |= {"mercury", "venus", "mars", "jupiter", "saturn", "uranus", "neptune", "moon", "sun"}
"""Words that may name a target: Dark_Vega is a dark taken with Vega, and no nebula."""
PICTURE_TYPES: dict[float, Kind] = {1.0: "light", 2.0: "bias", 3.0: "dark", 4.0: "flat"}
"""Numbers of PICTTYPE."""


def kind_of_text(text: str) -> Kind | None:
    """Return what the text of a header's card says a frame is; None if it says nothing known."""
    return next((kind for kind, said in IN_HEADERS if said.search(text)), None)


def kind_in_header(values: Mapping[str, Any]) -> Kind | None:
    """Return what a header says a frame is; None if it does not say it."""
    for keyword in KINDS:
        value = values.get(keyword)
        if isinstance(value, str) and (kind := kind_of_text(value)):
            return kind
        if keyword == "PICTTYPE" and value in PICTURE_TYPES:
            return PICTURE_TYPES[value]
    target = values.get("OBJECT")
    return kind_of_folder(target) if isinstance(target, str) else None


def kind_in_name(stem: str, targets: Collection[str] = ()) -> Kind | None:
    """Return what a file's name, without its ending, says a frame is; None if it does not say it.

    `Dark Doodad` is a nebula, `Offset=10` a setting of the camera.

    Parameters
    ----------
    stem : str
    targets : collection of str
        Words, in small letters, that name targets in other files' names: a dark may have its
        target's name, too.
    """
    words = [word.lower() for word in WORDS.findall(stem)]
    if words and LIGHT.fullmatch(words[0]):
        return "light"
    if OFFSET.fullmatch(stem):
        return "bias"
    found = {}
    for k, word in enumerate(words):
        for kind, said in IN_NAMES:
            denied = k and words[k - 1] in WITHOUT
            following = words[k + 1 : k + 2]
            if said.fullmatch(word) and not denied and not _belongs_to_target(following, targets):
                found[kind] = True
                break
    if {"dark", "flat"} <= found.keys():
        return "dark flat"
    return next(iter(found), None)


def kind_of_folder(name: str) -> Kind | None:
    """Return what a folder's name says is in it; None if it is named for anything else, too."""
    words = [word.lower() for word in WORDS.findall(name)]
    plain = all(len(word) < 3 or word in PLAIN or _is_kind(word) for word in words)
    return kind_in_name(name) if plain else None


def target_words(stems: Iterable[str]) -> set[str]:
    """Return the words of those names that say of no frame that it is a dark, flat or bias."""
    each = ([word.lower() for word in WORDS.findall(stem)] for stem in stems)
    return {word for words in each if not any(map(_is_kind, words)) for word in words}


def _belongs_to_target(following: list[str], targets: Collection[str]) -> bool:
    """Return whether the word behind a kind makes it a part of a name, as in Dark Doodad."""
    return any(
        len(word) > 2
        and not (word in PLAIN or word in TARGETS or word in targets or _is_kind(word))
        for word in following
    )


def _is_kind(word: str) -> bool:
    return any(said.fullmatch(word) for _, said in IN_NAMES)
