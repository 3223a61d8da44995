"""Names of files as text that can be shown and written: not every name is UTF-8."""

from __future__ import annotations

import os
import re

ODD = re.compile("[\ud800-\udfff]")
ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")


def readable(name: str) -> str:
    r"""Return a name with each byte that is not UTF-8 as its number: fr\xe9.fits.

    Python has such a byte as half of a character, which no file or terminal takes.
    """
    return ODD.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", name)


def stored(path: str) -> str:
    r"""Return the path that is meant by one that `readable` made, if that is the one there is."""
    if os.path.exists(path):
        return path
    meant = ESCAPED.sub(lambda found: chr(0xDC00 + int(found[1], 16)), path)
    return meant if os.path.exists(meant) else path
