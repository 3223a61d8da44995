"""Files of frames: regular ones alone, and known again when they are read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
        return cls.in_status(os.fstat(file.fileno()))

    @classmethod
    def in_status(cls, status: os.stat_result) -> Stamp:
        """Return the stamp in what the system says of a file."""
        return cls(status.st_size, status.st_mtime_ns)

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
    if expected is not None:
        _check_same(Stamp.of(file), expected)


def _check_same(now: Stamp, expected: Stamp) -> None:
    if now == expected:
        return
    if now.size != expected.size:
        changed = f"it has {now.size} bytes, and had {expected.size} when the run was opened"
    else:
        changed = "it was changed after the run was opened"
    raise OSError(f"{changed}; open the run again")


READ = os.O_RDONLY | sum(
    getattr(os, flag, 0) for flag in ("O_BINARY", "O_CLOEXEC", "O_NOINHERIT", "O_NONBLOCK")
)
"""How files are opened: a pipe must not block."""


@contextmanager
def descriptor_of(path: Path, expected: Stamp | None = None) -> Iterator[int]:
    """Open a file as `open_regular` does, for `read_at`: a third of the time."""
    descriptor = os.open(path, READ)
    try:
        status = os.fstat(descriptor)
        _check_regular(status)
        if expected is not None:
            _check_same(Stamp.in_status(status), expected)
        yield descriptor
    finally:
        os.close(descriptor)


def read_at(descriptor: int, into: memoryview, offset: int) -> int:
    """Read bytes of an open file from an offset on; return how many there were."""
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [into], offset)
    with FileIO(descriptor, closefd=False) as file:
        file.seek(offset)
        return file.readinto(into) or 0


def read_parts(path: str, parts: Iterable[tuple[int, memoryview]]) -> Stamp | None:
    """Read parts of a regular file from offsets on; return its stamp, None if it ends before."""
    descriptor = os.open(path, READ)
    try:
        status = os.fstat(descriptor)
        _check_regular(status)
        whole = all(read_at(descriptor, into, offset) == len(into) for offset, into in parts)
    finally:
        os.close(descriptor)
    return Stamp.in_status(status) if whole else None


def _open_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe must not block
    try:
        _check_regular(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is a pipe, a device or a folder, not a file")
