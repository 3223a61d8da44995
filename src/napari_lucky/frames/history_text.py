"""A history in words, for a person who reads the header of a result a year later."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import Any

from napari_lucky.frames.history import IN_WORDS, LINE, History
from napari_lucky.frames.window import Window
from napari_lucky.text import encodable, one_line

WINDOWS = ("focus", "defocus", "window")
"""What a history holds as y0, x0, height, width."""
LONG = 60
"""Characters of a value, such as a list of frames, that are written."""


def text_cards(history: History) -> list[str]:
    """Return the texts of HISTORY cards with a history in words: a line a step, in ASCII.

    The line of a long step goes on in the cards that follow, further in.
    """
    cards: list[str] = []
    for number, step in enumerate(history, 1):
        words = [f"{number} {step.name}"]
        words += _pairs(step.inputs) if step.name == "open" else _pairs(step.parameters)
        if step.name != "open":
            words += [f"{name}: {' '.join(_pairs(_named(v)))}" for name, v in step.inputs.items()]
        if facts := _pairs(step.facts):
            words.append(f"({' '.join(facts)})")
        line = encodable(one_line(" ".join(words)), "ascii")
        room = LINE - len(IN_WORDS)
        cards += [IN_WORDS + part for part in wrap(line, room, subsequent_indent="  ")]
    return cards


def window_of_numbers(numbers: Any) -> str:
    """Return y0, x0, height, width as the command line has a window: Y,X,SIZE."""
    try:
        window = Window(*numbers)
    except (TypeError, ValueError):  # an edited header
        return str(numbers)
    size = [window.height] if window.height == window.width else [window.height, window.width]
    return ",".join(map(str, (*window.centre, *size)))


def _named(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {"name": value}


def _pairs(values: Mapping[str, Any]) -> list[str]:
    """Return NAME=VALUE of each value; checksums are for programs."""
    return [
        f"{name}={_text(name, value)}"
        for name, value in values.items()
        if "sha256" not in name and value not in ([], {}, "")
    ]


def _text(name: str, value: Any) -> str:
    if name in WINDOWS and isinstance(value, list) and len(value) == 4:
        return window_of_numbers(value)
    if isinstance(value, list):
        value = ",".join(_text("", one) for one in value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONG or "/" in text else f"{text[:LONG]}..."
