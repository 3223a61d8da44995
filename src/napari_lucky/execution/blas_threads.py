"""Matrix products on one thread each, for work that is already spread over threads or processes.

Frames are fitted side by side. If each small matrix product is then spread over all processors
too, the threads wait for each other, and a fit takes many times as long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Environment of processes that work in copies of themselves. BLAS reads it as it is imported."""


def begin_with_one_blas_thread() -> None:
    """Let matrix products work on one thread in this process, unless its user asked for more.

    Where BLAS is imported already, nothing changes.
    """
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let matrix products work on one thread each for a while, in the whole process."""
    import scipy.linalg  # noqa: F401  # brings its own BLAS, which must be there by now
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
