"""What the command line needs of a terminal: lines as wide as it is, progress on its last one."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from textwrap import wrap
from typing import TextIO

from napari_lucky.text import one_line


class HelpFormatter(argparse.HelpFormatter):
    """Help that keeps its lines and indents, each wrapped to the width of the terminal."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return [part for line in text.split("\n") for part in wrapped(line, width)]

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = self._split_lines(text, width - len(indent))
        return "\n".join(indent + line for line in lines)


def wrapped(line: str, width: int) -> list[str]:
    """Return a line as lines; those after the first are deeper if it begins with a name."""
    named = re.match(r"( *)\S+( \(default\))?: ", line)
    deeper = f"{named[1]}  " if named else ""
    return wrap(line, width, subsequent_indent=deeper) or [""]


class CannotPrintError(Exception):
    """What was done cannot be told on stdout."""


def say(text: str) -> None:
    """Print what was done on stdout.

    Raises
    ------
    BrokenPipeError
        If nobody listens.
    CannotPrintError
        If it cannot be written otherwise.
    """
    with _on_stdout():
        print(_for(sys.stdout, text))


def end_stdout() -> None:
    """Hand over all that was printed; raises as `say` does."""
    with _on_stdout():
        if sys.stdout is not None:
            sys.stdout.flush()


@contextmanager
def _on_stdout() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        with suppress(OSError, ValueError):  # or Python would try again at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise CannotPrintError(error.strerror) from error


def warn(text: str) -> None:
    """Print what the user should know on stderr, if that can be written."""
    if sys.stderr is None:
        return
    try:
        print(_for(sys.stderr, text), file=sys.stderr, flush=True)
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _for(stream: TextIO | None, text: str) -> str:
    """Return a text as a stream can show it."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return one_line(text).encode(encoding, "backslashreplace").decode(encoding)


class Meter:
    """Progress on a terminal's last line; silent where stderr is not a terminal."""

    def __init__(self) -> None:
        self.shown = 0.0
        self.on = sys.stderr is not None and sys.stderr.isatty()

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show where a job is, a few times a second."""
        now = time.monotonic()
        if self.on and (now - self.shown > 0.1 or done == total):
            self.shown = now
            self._print(f"{_for(sys.stderr, what)}: {done} of {total}")

    def clear(self) -> None:
        """Leave the line empty."""
        if self.on:
            self._print("")

    def _print(self, text: str) -> None:
        try:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        except OSError:  # the terminal is gone
            self.on = False


def has_display() -> bool:
    """Return whether napari can open a window here."""
    from importlib.util import find_spec

    screen = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if not screen or find_spec("napari") is None:
        return False
    try:
        import qtpy  # noqa: F401  # it looks for a Qt binding
    except ImportError:
        return False
    return True
