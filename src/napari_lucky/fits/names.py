"""The name of an image or a table in a FITS file."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from typing import Any

MOST_NAME = 60
"""Characters of an EXTNAME: with a longer one and a version, fitsverify ends in an error."""
WHOLE_NAME = "LONGNAME"
"""Keyword of a name that EXTNAME cannot hold, with the escapes of JSON."""
ODD = re.compile(r"' */")
"""What astropy takes for the end of a text and the beginning of a comment."""


class Names:
    """The names in one file, of which each has a version."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def add(self, name: str) -> int:
        """Return which one of its name comes next, from 1; capitals do not count."""
        key = _short(name).upper()
        self._seen[key] += 1
        return self._seen[key] if key else 1


def header_text(text: str) -> str:
    """Return what a header may hold of a text: ASCII, of which every character can be printed."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)


def put_name(header: Any, name: str) -> None:
    """Write a name into a header; whole in a separate card if it is long or not ASCII."""
    short = _short(name)
    header["EXTNAME"] = short
    if short != name or ODD.search(name):
        header["LONGSTRN"] = ("OGIP 1.0", "a text may go on in CONTINUE")
        header[WHOLE_NAME] = json.dumps(name)[1:-1].replace("'", r"\u0027")


def name_in(header: Any, otherwise: str = "") -> str:
    """Return the name that a header gives."""
    whole = str(header.get(WHOLE_NAME, ""))
    with suppress(ValueError):  # another program's, which may hold anything
        whole = json.loads(f'"{whole}"')
    return whole or str(header.get("EXTNAME", otherwise))


def _short(name: str) -> str:
    short = header_text(name)
    while len(short.replace("'", "''")) > MOST_NAME:
        short = short[:-1]
    return short
