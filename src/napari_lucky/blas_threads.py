"""Matrix products on one thread each, for work that is already spread over threads.

Frames are fitted side by side. If each small matrix product is then spread over all processors
too, the threads wait for each other, and a fit takes many times as long.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

_NAMES = [(f"{p}openblas_", s) for p in ("scipy_", "") for s in ("64_", "")]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let the OpenBLAS that numpy and scipy bring with them work on one thread, for a while.

    It holds for the whole process. Where another library does the products (Accelerate, MKL),
    nothing is changed.
    """
    with ExitStack() as stack:
        for get, put in _controls():
            stack.callback(put, get())
            put(1)
        yield


@cache
def _controls() -> tuple[tuple[Callable[[], int], Callable[[int], None]], ...]:
    """Return what gets and what sets the number of threads of each OpenBLAS in the wheels."""
    import numpy
    import scipy.linalg  # both load theirs

    found = []
    for package in (numpy, scipy):
        home = Path(str(package.__file__)).parent
        for folder in (home.parent / f"{home.name}.libs", home / ".dylibs"):
            for path in sorted(folder.glob("*openblas*")):
                control = _control(path)
                if control is not None:
                    found.append(control)
    return tuple(found)


def _control(path: Path) -> tuple[Callable[[], int], Callable[[int], None]] | None:
    try:
        library = ctypes.CDLL(str(path))  # the one that is loaded already
    except OSError:
        return None
    for prefix, suffix in _NAMES:
        if hasattr(library, f"{prefix}set_num_threads{suffix}"):
            return (
                getattr(library, f"{prefix}get_num_threads{suffix}"),
                getattr(library, f"{prefix}set_num_threads{suffix}"),
            )
    return None
