"""The history of an image: what each step recorded of itself, and what it says."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky._version import __version__
from napari_lucky.frames.sensor_image import SensorImage, rows_of
from napari_lucky.frames.window import Window
from napari_lucky.text import readable

FIRST, MORE, IN_WORDS, LINE = "lucky> ", "lucky+ ", "lucky: ", 72
"""HISTORY cards hold 72 characters; a step begins with the first mark and goes on with
the second; cards with the third say the same in words, and are not read back."""
PARTS: dict[str, type] = {
    "step": str,
    "parameters": dict,
    "inputs": dict,
    "facts": dict,
    "version": str,
}
"""What a step is written as."""


@dataclass(frozen=True)
class Record:
    """One thing done to the pixels.

    Parameters
    ----------
    name : str
        What was done, such as "calibrate", "register", "rank" or "stack".
    parameters : dict
        With which settings; plain numbers, strings, lists.
    inputs : dict
        With what beside the layer itself: files, their checksums.
    facts : dict
        What was found or counted on the way.
    version : str
        Of this program.
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    version: str = __version__

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", _plain(self.parameters))
        object.__setattr__(self, "inputs", _plain(self.inputs))
        object.__setattr__(self, "facts", _plain(self.facts))


History = tuple[Record, ...]


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


def history_cards(history: Iterable[Record]) -> list[str]:
    """Return the texts of the HISTORY cards that hold a history."""
    cards = []
    for step in history:
        text = json.dumps(
            {
                "step": step.name,
                "parameters": step.parameters,
                "inputs": step.inputs,
                "facts": step.facts,
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
                steps.append(Record(*(found[name] for name in PARTS)))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # someone edited the header; what can be read is kept
    return tuple(steps)


def is_ours(card: str) -> bool:
    """Return whether a HISTORY card was written by this program."""
    return bool(re.match(r"lucky[>+:] ", card))


FAR = 1 << 31
"""Beyond any number of frames."""


def open_step(frames: Any) -> Record:
    """Record where frames come from."""
    return Record("open", inputs=dict(getattr(frames, "inputs", {})))


def range_step(frame: NDArray[np.intp]) -> Record:
    """Record that only these frames of the run are used, evenly spaced."""
    step = int(frame[1] - frame[0]) if len(frame) > 1 else 1
    parameters = {"start": int(frame[0]), "stop": int(frame[-1]) + 1, "step": step}
    return Record("choose frames", parameters)


def frame_numbers(place: NDArray[np.intp], history: History) -> NDArray[np.intp]:
    """Return the numbers in the run of frames at these places of a layer with this history."""
    first, step = _numbering(history)
    return first + step * place


def frame_places(number: NDArray[np.intp], history: History) -> NDArray[np.intp]:
    """Return where frames of the run are in a layer with this history; −1 for those between."""
    first, step = _numbering(history)
    place, rest = np.divmod(number - first, step)
    return np.where(rest == 0, place, -1)


def _numbering(history: History) -> tuple[int, int]:
    """Return the number in the run of a layer's first frame, and the step to the next.

    Where a header says something impossible, frames are numbered by their places.
    """
    first, step = 0, 1
    for done in history:
        if done.name == "choose frames":
            start, by = (done.parameters.get(name) for name in ("start", "step"))
            if type(start) is not int or type(by) is not int or start < 0 or by < 1:
                return 0, 1  # an edited header
            first += step * start
            step *= by
    return (first, step) if max(first, step) < FAR else (0, 1)


def shifts_step(path: Path, kept: int) -> Record:
    """Record that shifts and choice of frames come from an earlier job's table."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return Record("read shifts", {"kept": kept}, {"name": path.name, "sha256": digest})


def times_step(path: Path) -> Record:
    """Record that the times of the frames come from a table."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return Record("read times", inputs={"name": path.name, "sha256": digest})


def shift_step(subpixel: bool) -> Record:
    """Record that frames were shifted."""
    return Record("shift", {"subpixel": subpixel})


def stack_scale(history: History) -> float:
    """Return how many pixels an image has a pixel of the sensor: 1, but for drizzled stacks."""
    made = [step.parameters for step in history if step.name == "stack"]
    return float(made[-1].get("scale", 1)) if made else 1.0


def number_ranges(numbers: NDArray[np.intp]) -> str:
    """Return numbers in order as a short text: "0-4,7,9-11"."""
    if len(numbers) == 0:
        return ""
    runs = np.split(np.sort(numbers), np.flatnonzero(np.diff(np.sort(numbers)) != 1) + 1)
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def window_numbers(window: Window) -> list[int]:
    """Return [y0, x0, height, width], as a history holds a window."""
    return [window.y0, window.x0, window.height, window.width]


def recorded_windows(history: History) -> tuple[Window | None, Window | None]:
    """Return the focus and defocus windows of the last registration in a history."""
    for step in reversed(history):
        if step.name == "register":
            focus, defocus = (step.facts.get(name) for name in ("focus", "defocus"))
            return (Window(*focus) if focus else None, Window(*defocus) if defocus else None)
    return None, None


def checksum(image: SensorImage) -> str:
    """Return a checksum of an image's pixels."""
    found = hashlib.sha256()
    for rows in rows_of(image):
        found.update(np.ascontiguousarray(rows).data)
    return found.hexdigest()[:16]
