"""Files of frames: regular ones alone, and known again when they are read."""

from __future__ import annotations

import os
import stat
from io import BufferedReader, FileIO, TextIOWrapper
from pathlib import Path
from typing import NamedTuple, TextIO


class Stamp(NamedTuple):
    """What distinguishes a file from another one that has taken its place.

    Parameters
    ----------
    size : int
        Bytes.
    changed : int
        Time of its last change in nanoseconds. The file's number on its disk is not compared:
        some network drives give a new one now and then.
    """

    size: int
    changed: int

    @classmethod
    def of(cls, file: FileIO) -> Stamp:
        """Return the stamp of an open file."""
        now = os.fstat(file.fileno())
        return cls(now.st_size, now.st_mtime_ns)

    @classmethod
    def at(cls, path: Path) -> Stamp:
        """Return the stamp of a file as it is now."""
        with open_regular(path) as file:
            return cls.of(file)


def open_regular(path: Path, expected: Stamp | None = None) -> FileIO:
    """Open a file for reading, unbuffered.

    Parameters
    ----------
    path : pathlib.Path
    expected : Stamp, optional
        What the file was when its run was opened.

    Raises
    ------
    OSError
        If it cannot be opened, is a pipe, a device or a folder, which may never end, or if it has
        changed since.
    """
    file = FileIO(path, opener=_open_regular)
    try:
        check_unchanged(file, expected)
    except OSError:
        file.close()
        raise
    return file


def open_text(path: Path) -> TextIO:
    """Open a text file, also one that a spreadsheet saved, or with names in no known encoding."""
    file = BufferedReader(open_regular(path))
    return TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


def check_unchanged(file: FileIO, expected: Stamp | None) -> None:
    """Raise an OSError if an open file is not as it was when its run was opened."""
    if expected is None or (now := Stamp.of(file)) == expected:
        return
    if now.size != expected.size:
        changed = f"it has {now.size} bytes, and had {expected.size} when the run was opened"
    else:
        changed = "it was changed after the run was opened"
    raise OSError(f"{changed}; open the run again")


def _open_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe must not block
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is a pipe, a device or a folder, not a file")
    return descriptor
