"""What the user should know, as a sentence with a level and a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Level = Literal["info", "warning", "error"]


class Notice(str):
    """A sentence for the user; a plain string is one of the level "warning" without a file.

    Parameters
    ----------
    text : str
        The sentence.
    level : {"info", "warning", "error"}
        "info": what was found or chosen; "warning": what may spoil the result; "error": why there
        is no result.
    file : path, optional
        The file or folder that it is about.
    """

    level: Level
    file: str

    def __new__(cls, text: str, level: Level = "warning", file: str | Path = "") -> Notice:
        """Make one of a text."""
        made = super().__new__(cls, text)
        made.level, made.file = level, str(file)
        return made

    def __getnewargs__(self) -> tuple[str, Level, str]:  # type: ignore[override]
        return str(self), self.level, self.file


def info(text: str, file: str | Path = "") -> Notice:
    """Return a notice of what was found or chosen."""
    return Notice(text, "info", file)


def level_of(text: str) -> Level:
    """Return the level of a notice, or of a plain string."""
    return text.level if isinstance(text, Notice) else "warning"
