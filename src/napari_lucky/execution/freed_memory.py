"""Memory that arrays leave: kept by a process for those that follow, or given back.

Steps make and drop arrays of some megabytes again and again. The C library gives their memory back
to the system each time, and fetching it again, page by page, can take longer than the arithmetic:
the median of five pixels took seven times as long.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Numbers of these parameters of glibc's `mallopt`."""
KEPT = 1 << 27
"""Bytes that may be free at the end of the memory before it is given back."""
LARGEST = 1 << 25
"""Larger arrays get memory of their own, which is given back: the most that glibc allows."""


def keep_freed_memory() -> None:
    """Have the C library of this process keep freed memory, where it is glibc."""
    with suppress(AttributeError, OSError, TypeError):  # others have no such function
        library = ctypes.CDLL(None)
        library.mallopt(TRIM_THRESHOLD, KEPT)
        library.mallopt(MMAP_THRESHOLD, LARGEST)


def give_back_freed_memory() -> None:
    """Have the C library give freed memory back to the system, where it is glibc."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
