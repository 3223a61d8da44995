"""The record of what was done to the pixels, kept with them and written into FITS headers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._version import __version__
from .names import readable

FIRST, MORE, LINE = "lucky> ", "lucky+ ", 72
"""HISTORY cards hold 72 characters; a step begins with one mark and goes on with the other."""
PARTS: dict[str, type] = {"step": str, "parameters": dict, "inputs": dict, "version": str}
"""What a step is written as."""


@dataclass(frozen=True)
class Step:
    """One thing done to the pixels.

    Parameters
    ----------
    name : str
        What was done: "calibrate", "register", "rank", "stack" …
    parameters : dict
        With which settings; plain numbers, strings, lists.
    inputs : dict
        With what beside the layer itself: files, their checksums.
    version : str
        Of this program.
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    version: str = __version__

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", _plain(self.parameters))
        object.__setattr__(self, "inputs", _plain(self.inputs))


History = tuple[Step, ...]


def _plain(value: Any) -> Any:
    """Return a value as JSON would give it back, so that a history read is the one written."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    return readable(str(value))


def history_cards(history: Iterable[Step]) -> list[str]:
    """Return the texts of the HISTORY cards that hold a history."""
    cards = []
    for step in history:
        text = json.dumps(
            {
                "step": step.name,
                "parameters": step.parameters,
                "inputs": step.inputs,
                "version": step.version,
            }
        ).replace("  ", r"\u0020\u0020")
        mark = FIRST
        while text:
            end = LINE - len(mark)
            if text[:end].endswith(" "):
                end -= 1  # a blank at the end of a card is lost
            cards.append(mark + text[:end])
            text, mark = text[end:], MORE
    return cards


def read_history(cards: Iterable[str]) -> History:
    """Return the history that HISTORY cards hold; cards of other programs are passed over."""
    texts: list[str] = []
    for card in cards:
        if card.startswith(FIRST):
            texts.append(card[len(FIRST) :])
        elif card.startswith(MORE) and texts:
            texts[-1] += card[len(MORE) :]
    steps = []
    for text in texts:
        try:
            found = json.loads(text)
            if all(isinstance(found[name], kind) for name, kind in PARTS.items()):
                steps.append(Step(*(found[name] for name in PARTS)))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # someone edited the header; what can be read is kept
    return tuple(steps)


def is_ours(card: str) -> bool:
    """Tell whether a HISTORY card was written by this program."""
    return bool(re.match(r"lucky[>+] ", card))
