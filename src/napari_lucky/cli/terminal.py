"""Output to a terminal: messages, as wide as its lines, and progress."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from textwrap import wrap
from typing import Any, TextIO, get_args

from napari_lucky.errors import UsageError
from napari_lucky.notices import Level, level_of
from napari_lucky.text import encodable, one_line


class HelpFormatter(argparse.HelpFormatter):
    """Help that keeps its lines and indents, each wrapped to the width of the terminal."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return [part for line in text.split("\n") for part in wrap_line(line, width)]

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = self._split_lines(text, width - len(indent))
        return "\n".join(indent + line for line in lines)


def wrap_line(line: str, width: int) -> list[str]:
    """Return a line as lines; those after the first are deeper if it begins with a name."""
    named = re.match(r"( *)\S+( \(default\))?: ", line)
    deeper = f"{named[1]}  " if named else ""
    return wrap(line, width, subsequent_indent=deeper, break_on_hyphens=False) or [""]


class CannotPrintError(Exception):
    """What was done cannot be printed on stdout."""


@dataclass(frozen=True)
class Voice:
    """Which messages are printed, and where.

    Parameters
    ----------
    quiet : bool
        Whether only problems are printed.
    json : bool
        Whether stdout has the summary alone.
    log : file, optional
        The log of all messages, with times.
    """

    quiet: bool = False
    json: bool = False
    log: TextIO | None = None

    def write_log(self, text: str, level: Level) -> None:
        """Write a line, with the time, into the log."""
        if self.log is not None:
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            with suppress(OSError):  # a full disk does not end the job
                self.log.write(f"{now} {level:7} {one_line(text)}\n")
                self.log.flush()


_voice = Voice()


@contextmanager
def messages_to(quiet: bool, as_json: bool, log: Path | None) -> Iterator[None]:
    """Print meanwhile the messages that are asked for, and write all into a log.

    Raises
    ------
    UsageError
        If the log cannot be written, or is a file of another kind.
    """
    global _voice
    file = None if log is None else _open_log(log)
    before, _voice = _voice, Voice(quiet, as_json, file)
    try:
        yield
    finally:
        _voice = before
        if file is not None:
            with suppress(OSError):
                file.close()


def _open_log(log: Path) -> TextIO:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.is_file() and log.stat().st_size and not _is_log(log):
            raise UsageError(
                f"{log}: this file is not a log of napari-lucky, so nothing was added to it. "
                "Give the log another name."
            )
        return open(log, "a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"{log}: the log cannot be written ({error.strerror}).") from error


def _is_log(file: Path) -> bool:
    """Return whether a file begins with a time and a level, as `Voice.write_log` writes them."""
    with open(file, encoding="utf-8", errors="replace") as opened:
        when, _, rest = opened.readline(100).partition(" ")
    try:
        datetime.fromisoformat(when)
    except ValueError:
        return False
    return rest.split(" ", 1)[0] in get_args(Level)


def say(text: str) -> None:
    """Print what was done on stdout.

    Raises
    ------
    BrokenPipeError
        If nobody listens.
    CannotPrintError
        If it cannot be written otherwise.
    """
    _voice.write_log(text, "info")
    if not (_voice.quiet or _voice.json):
        say_always(one_line(text))


def names_of(files: Iterable[Path]) -> str:
    """Return the names of files that were written, as they are said."""
    return ", ".join(file.name for file in files)


def say_always(text: str) -> None:
    """Print a text on stdout, as it is; raises as `say` does."""
    with _on_stdout():
        print(shown_on(sys.stdout, text))


def say_summary(summary: Mapping[str, Any] | None) -> None:
    """Print the summary of a job on stdout if --json asks for it; raises as `say` does."""
    if _voice.json and summary is not None:
        say_always(json.dumps(summary, indent=2, allow_nan=False))


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


def warn(text: str, level: Level | None = None) -> None:
    """Print what the user should know on stderr, if that can be written.

    Parameters
    ----------
    text : str
        Of a `Notice` the level counts.
    level : {"info", "warning", "error"}, optional
        In place of the notice's level.
    """
    level = level or level_of(text)
    _voice.write_log(text, level)
    if not (_voice.quiet and level == "info"):
        say_on_stderr(one_line(text))


def say_on_stderr(text: str) -> None:
    """Print a text on stderr, as it is, if that can be written."""
    if sys.stderr is None:
        return
    try:
        print(shown_on(sys.stderr, text), file=sys.stderr, flush=True)
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def log_line(text: str) -> None:
    """Write a line into the log alone."""
    _voice.write_log(text, "info")


def shown_on(stream: TextIO | None, text: str) -> str:
    """Return a text as a stream can show it."""
    return encodable(text, getattr(stream, "encoding", None) or "utf-8")


class Meter:
    """Progress on a terminal's last line; silent where stderr is not a terminal."""

    def __init__(self) -> None:
        self.shown = 0.0
        self.stage = ""
        self.on = sys.stderr is not None and sys.stderr.isatty() and not _voice.quiet

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show where a job is, a few times a second."""
        if what != self.stage:
            self.stage = what
            log_line(f"{what} …")
        now = time.monotonic()
        if self.on and (now - self.shown > 0.1 or done == total):
            self.shown = now
            self._print(f"{shown_on(sys.stderr, one_line(what))}: {done} of {total}")

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

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
