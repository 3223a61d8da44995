"""Text for a terminal, a window, a notebook or a CSV file, made safe to print."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

LONG = 60
"""Characters of a value that a short text shows."""
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


UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters but the end of a line, marks of direction, and bytes that are no text."""
TAG = re.compile(r"<(?=[A-Za-z/!?])")
CELL = re.compile(r"(^|[,;|\t\r\n])(?='*[-=+@\t\r])")
"""Where a spreadsheet may begin a cell, before what makes it a formula, or looks marked already."""
MARKED = re.compile(r"(^|[,;|\t\r\n])'(?='*[-=+@\t\r])")


SPECIAL = re.compile('[,"\r\n]')
"""What a cell is quoted for."""


def printable(text: str) -> str:
    r"""Return a text for a terminal: what is not to be seen is spelt out, such as \x1b."""
    return UNSEEN.sub(_spelt, text)


def one_line(text: str) -> str:
    r"""Return a text for a line of a terminal; the end of a line in a name is spelt out: \n."""
    return printable(text).replace("\n", "\\n")


def _spelt(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


PLAIN = {
    "×": "x", "·": "*", "−": "-", "–": "-", "—": "-", "±": "+/-", "…": "...", "→": "->",
    "≥": ">=", "≤": "<=", "°": " deg", "²": "^2", "³": "^3", "µ": "u", "μ": "u", "λ": "lambda",
    "σ": "sigma", "χ": "chi", "ρ": "rho", "π": "pi", "φ": "phi", "“": '"', "”": '"', "‘": "'",
    "’": "'", "‹": "<", "▸": ">", "√": "sqrt", "″": '"', "′": "'",
}  # fmt: skip
"""Signs of the field, as they are typed where a terminal knows ASCII alone."""


def encodable(text: str, encoding: str) -> str:
    r"""Return a text as a terminal of an encoding can show it: × as x, other signs as \xe9."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        shown = "".join(_plain_sign(sign, encoding) for sign in text)
        return shown.encode(encoding, "backslashreplace").decode(encoding)
    return text


def _plain_sign(sign: str, encoding: str) -> str:
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return PLAIN.get(sign, sign)
    return sign


def without_tags(text: str) -> str:
    """Return a text for a window, which would take tags in it for markup."""
    return TAG.sub("‹", printable(text))


def cell(text: str) -> str:
    """Return a text for a CSV file that no spreadsheet runs as a formula; see `from_cell`."""
    return CELL.sub(r"\1'", text)


def changed_where(
    pattern: re.Pattern[str], change: Callable[[str], str], texts: list[str]
) -> list[str]:
    """Return texts changed, which those without a pattern stay by: few runs have any with it.

    The pattern is looked for in all at once, `;` between them.
    """
    return list(map(change, texts)) if pattern.search(";".join(texts)) else texts


def csv_columns(columns: Iterable[list[str]]) -> Iterator[str]:
    """Yield the lines of a CSV file of some columns; see `csv_line`."""
    quoted = [changed_where(SPECIAL, _quoted, texts) for texts in columns]
    return (",".join(row) + "\n" for row in zip(*quoted, strict=True))


def csv_line(values: Iterable[Any]) -> str:
    """Return a line of a CSV file, quoted where need be; also for a lone carriage return."""
    return ",".join(map(_quoted, map(str, values))) + "\n"


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""')) if SPECIAL.search(text) else text


def from_cell(text: str) -> str:
    """Return the text that `cell` was given."""
    return MARKED.sub(r"\1", text)


def counted(count: int, what: str) -> str:
    """Return a number of things, such as "1 frame" or "12 frames"."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def percent(part: float, digits: str = ".3g") -> str:
    """Return a part of a whole as a percentage, such as "8.3 %"; digits as `format` takes them."""
    return f"{100 * part:{digits}} %"


def html_table(rows: Iterable[Iterable[Any]], head: Iterable[Any] = ()) -> str:
    """Return a table for a notebook; what is in its cells is no markup."""
    begin = [_html_row("th", head)] if head else []
    return f"<table>{''.join([*begin, *(_html_row('td', row) for row in rows)])}</table>"


def _html_row(kind: str, cells: Iterable[Any]) -> str:
    return f"<tr>{''.join(f'<{kind}>{html(one)}</{kind}>' for one in cells)}</tr>"


def html(text: Any) -> str:
    """Return a text for a notebook, in which nothing is markup."""
    from html import escape

    return escape(printable(str(text)))


class ShortRepr:
    """What shows itself in a line or two: its arrays by their shapes, other values cut."""

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        if "__repr__" not in vars(cls):  # a dataclass would write one that shows all pixels
            cls.__repr__ = ShortRepr.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        texts = (f"{name} {_short(value)}" for name, value in vars(self).items())
        return f"<{type(self).__name__}: {', '.join(texts)}>"


def _short(value: Any) -> str:
    shape = getattr(value, "shape", ())
    if shape and hasattr(value, "dtype"):
        return f"{' x '.join(map(str, shape))} {value.dtype}"
    text = repr(value)
    return text if len(text) <= LONG else f"{text[:LONG]}…"
