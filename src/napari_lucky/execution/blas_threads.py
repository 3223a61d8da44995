"""Matrix products on one thread each, for work that is already spread over threads.

Frames are fitted side by side. If each small matrix product is then spread over all processors
too, the threads wait for each other, and a fit takes many times as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let matrix products work on one thread each for a while, in the whole process."""
    import scipy.linalg  # noqa: F401  # brings its own BLAS, which must be there by now
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
