"""The errors that are meant for the person in front of the screen, and exit statuses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from napari_lucky.text import readable

DONE, UNSAID, USAGE, INPUT, DOUBTFUL, NOTHING = range(6)
STATUSES = {
    DONE: "done",
    UNSAID: "done, but stdout cannot be written",
    USAGE: "the command line or a value cannot be used, or OUT cannot be written",
    INPUT: "an input cannot be used: missing, damaged, of another shape, without a star",
    DOUBTFUL: "done, but doubtful: more than --max-lost of the frames are damaged or have no star",
    NOTHING: "nothing to do: OUT holds the results (--skip-existing)",
    129: "ended by SIGHUP",
    130: "interrupted (Ctrl-C)",
    143: "ended by SIGTERM",
}
"""What the exit status of the command line says."""


class LuckyError(ValueError):
    """Something that the user gave cannot be used, such as an input file.

    Its message is a whole sentence: which file or parameter, what was found, what was
    expected, what to do. The docks and the command line show it as it is, without a traceback.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> try:
    ...     lucky.open_run("no such folder")
    ... except lucky.LuckyError as error:
    ...     print(type(error).__name__)
    LuckyError
    """

    status: ClassVar[int] = INPUT
    """The exit status of the command line."""

    def __str__(self) -> str:
        return readable(super().__str__())


class UsageError(LuckyError):
    """What was asked for cannot be done: a parameter, a window, a place for the results."""

    status = USAGE


class OccupiedError(UsageError):
    """Where results are to go, there are results already."""


class NoStarError(LuckyError):
    """There is no star in the run, or none that stands out of the noise.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_lucky as lucky
    >>> try:
    ...     lucky.find_star(np.zeros((3, 64, 64)))
    ... except lucky.NoStarError as error:
    ...     print(type(error).__name__)
    NoStarError
    """


def check_kind(given: Any, kind: type | tuple[type, ...], what: str, expected: str) -> None:
    """Raise a `UsageError` unless something is of a kind."""
    if not isinstance(given, kind):
        raise UsageError(f"The {what} cannot be a {type(given).__name__}; expected {expected}.")


def as_path(given: Any, what: str) -> Path:
    """Return a path of what was given; raise a `UsageError` if it is none."""
    check_kind(given, (str, os.PathLike), what, "a path")
    return Path(given)
