"""Temporary files and folders beside results, and what jobs that were killed have left of them.

Each has a unique name, is newly made (so no link is followed), and is locked while its job
lives. The lock goes with the process, however that ends: what is not locked is a leftover.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PREFIX, PART = ".napari-lucky-", ".part"
OURS = re.compile(r"\.napari-lucky-[0-9a-f]{16}(\.part)?")

if sys.platform == "win32":

    def take_lock(handle: int, wait: bool = True) -> bool:
        """Return False: nothing can be locked here."""
        return False

else:
    import fcntl

    def take_lock(handle: int, wait: bool = True) -> bool:
        """Lock an open file or folder until it is closed; return whether it is locked now."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:  # another has it, or this file system has no locks
            return False
        return True


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Let no other process of this program change a folder meanwhile, where that can be done.

    Yields whether it is locked; a temporary folder is, by the one job that uses it, and stays as
    it is. Not to be nested for one folder.
    """
    handle = None
    if sys.platform != "win32" and not OURS.fullmatch(folder.name):
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle is not None and take_lock(handle)
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def locked_by(path: Path) -> Iterator[None]:
    """Let no other process or thread of this program be in here with the same file, which stays."""
    handle = None
    with suppress(OSError):
        handle = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        if handle is not None:
            take_lock(handle)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _new(folder: Path, suffix: str = "") -> Path:
    return folder / f"{PREFIX}{secrets.token_hex(8)}{suffix}"


@contextmanager
def temporary_file(folder: Path) -> Iterator[Path]:
    """Give a new empty file in a folder; it is removed at the end, unless it was moved."""
    path, handle = _new(folder, PART), None
    try:
        with locked(folder):
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            if not take_lock(handle, wait=False):
                os.close(handle)  # on Windows an open file cannot be moved
                handle = None
        yield path
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


@contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder in a folder; it is removed at the end, with all that is in it."""
    path, handle = _new(folder), None
    try:
        with locked(folder):
            path.mkdir(mode=0o700)
            if sys.platform != "win32":
                handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
                take_lock(handle, wait=False)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders of jobs that were killed, where locks show it."""
    with locked(folder) as alone, suppress(OSError):
        if not alone:
            return
        with os.scandir(folder) as entries:
            found = [Path(entry.path) for entry in entries if OURS.fullmatch(entry.name)]
        for path in found:
            with suppress(OSError):
                _clear(path)


def _clear(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not take_lock(handle, wait=False):
            return
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    finally:
        os.close(handle)


def write_all(file: Any, data: Any, what: str) -> None:
    """Write bytes into an unbuffered file of the temporary folder, all of them.

    Raises
    ------
    OSError
        If there is no room; its text begins with `what`, as in "it is unpacked into".
    """
    left = memoryview(data).cast("B")
    try:
        while left:  # a disk that is nearly full takes a part
            left = left[file.write(left) :]
    except OSError as error:
        raise OSError(
            f"{what} {tempfile.gettempdir()}, which cannot be written ({error.strerror}); "
            "make room there, or set TMPDIR to another folder"
        ) from error
