"""Reading ahead: the system fetches what is read next from slow storage.

What the constants do is measured by ``benchmarks/cold.py``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from napari_lucky.files.open_file import READ

SLOW = 4e-4
"""Seconds to read a frame from which storage is slow: from memory it takes half of that."""
AHEAD = 32
"""Files that are fetched while one is read."""


def read_ahead(count: int, fetch_of: Callable[[int], None]) -> Iterator[int]:
    """Count files that are read one after the other; where that is slow, fetch the next ones.

    Parameters
    ----------
    count : int
        How many there are.
    fetch_of : callable
        Called as fetch_of(number), it asks for what will be read of a file; see `fetch`.

    Yields
    ------
    int
        The number of the file to be read now.
    """
    asked = 0
    for k in range(count):
        start = time.perf_counter()
        yield k
        if time.perf_counter() - start > SLOW:
            first, asked = max(asked, k + 1), min(k + 1 + AHEAD, count)
            for following in range(first, asked):
                fetch_of(following)


def fetch(path: Path, offset: int, size: int) -> None:
    """Ask the system to read bytes of a file into memory, without waiting for them.

    Nothing happens where that cannot be asked, or the file cannot be opened.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    with suppress(OSError):  # reported when it is read
        descriptor = os.open(path, READ)
        try:
            os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(descriptor)
