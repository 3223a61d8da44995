"""Running a job over blocks of frames: threads, progress, cancelling, bounded memory.

What the constants do is measured by ``benchmarks/speed.py``.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any, TypeVar

from napari_lucky.execution.checkpoint import joined
from napari_lucky.execution.job import QUIET, Cancelled, Job
from napari_lucky.pieces import pieces

T = TypeVar("T")

HEARTBEAT = 0.1  # seconds between calls of progress while a block takes long


MOST_WORKERS = 16
"""Blocks under way take memory, and more threads than this read no faster."""


def cores() -> int:
    """Return how many blocks are worked on at once: one a processor, up to a bound."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    return min(os.cpu_count() or 1, MOST_WORKERS)


def under_way(executor: Executor | None = None) -> int:
    """Return how many tasks are under way at once: what the executor says, or two a core.

    An executor of many machines has their number as an attribute `at_once`.
    """
    return int(getattr(executor, "at_once", 2 * cores()))


def bundled(blocks: list[slice], executor: Executor | None = None) -> list[list[slice]]:
    """Put blocks together that are one task: one each, unless tasks cost the executor much.

    Its attribute `bundle` says how many blocks are worth a task; fewer are taken
    where the executor would idle.
    """
    most = int(getattr(executor, "bundle", 1))
    size = max(1, min(most, len(blocks) // (2 * under_way(executor)))) if most > 1 else 1
    return [blocks[k : k + size] for k in range(0, len(blocks), size)]


class Threads(ThreadPoolExecutor):
    """Threads, as many as the system allows; where it allows none, work is done when it is given.

    A system under load, or at its limit of processes, refuses new threads.
    """

    abandoned = False
    """Whether nobody waits any more for what they do; see `end_if_abandoned`."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do some work on a thread; see `concurrent.futures.Executor`."""
        taken = threading.Lock()

        def once() -> Any:
            _here.pool = self
            return fn(*args, **kwargs) if taken.acquire(blocking=False) else None

        try:
            return super().submit(once)
        except RuntimeError as error:
            if "start new thread" not in str(error):
                raise
        taken.acquire(blocking=False)  # it waits for a thread all the same
        return done_here(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; see `concurrent.futures.Executor`."""
        self.abandoned = self.abandoned or cancel_futures or not wait
        super().shutdown(wait, cancel_futures=cancel_futures)


_here = threading.local()


def end_if_abandoned() -> None:
    """Raise `Cancelled` in a thread that works on a block of a job that has been cancelled.

    For work that takes long on a single block.
    """
    if getattr(getattr(_here, "pool", None), "abandoned", False):
        raise Cancelled


def done_here(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
    """Call a function, and return what it returns, or raises, as a future."""
    here: Future[Any] = Future()
    try:
        here.set_result(fn(*args, **kwargs))
    except Exception as error:
        here.set_exception(error)
    return here


BUDGET = 1 << 19
"""Pixels of a block: 32 frames of 128 x 128."""


def blocks_of(n: int, pixels: int, budget: int = BUDGET) -> list[slice]:
    """Cut n frames of a number of pixels each into blocks of about `budget` pixels.

    The default, 2 MB of float32, stays in a processor's cache, far
    under the half second in which a cancel must work, and small in memory on many processors.
    It must not depend on their number, or sums would.
    """
    step = max(1, min(n, budget // max(pixels, 1), 64))
    return pieces(n, step)


def one_by_one(blocks: list[slice], what: str, job: Job) -> Iterator[slice]:
    """Yield blocks and report before each: a short look at a run can be cancelled, too."""
    for block in blocks:
        job.progress(block.start, blocks[-1].stop, what)
        yield block
    if blocks:
        job.progress(blocks[-1].stop, blocks[-1].stop, what)


def map_blocks(
    function: Callable[[slice], T],
    blocks: list[slice],
    *,
    what: str = "",
    job: Job = QUIET,
) -> Iterator[T]:
    """Yield function(block) for each block, in order, computed side by side.

    Only a few blocks are under way at a time, so that memory does not grow with the run, and
    results come in the order of the blocks, so that sums are the same to the bit every time.

    Parameters
    ----------
    function : callable
        Takes a block, and returns what it finds: an executor may run it in another process.
    blocks : list of slice
        Slices of something the function knows, of frames as a rule.
    what : str
        What is done, as the progress shows it.
    job : Job
        Progress and executor; see `Job`.
    """
    executor = job.executor
    if len(blocks) < getattr(executor, "fewest", 0):  # it is not worth it for these
        executor = None
    total = sum(block.stop - block.start for block in blocks)
    pool = executor or Threads(cores())
    pending: deque[tuple[list[slice], Future[list[T]]]] = deque()

    def each(bundle: list[slice]) -> list[T]:
        return [function(block) for block in bundle]

    try:
        waiting = iter(bundled(blocks, executor))
        done = 0
        job.progress(done, total, what)
        while True:
            while len(pending) < under_way(executor) and (bundle := next(waiting, None)):
                pending.append((bundle, pool.submit(each, bundle)))
            if not pending:
                return
            bundle, future = pending[0]
            while not wait([future], HEARTBEAT).done:
                job.progress(done, total, what)
            made = future.result()
            pending.popleft()
            for block, result in zip(bundle, made, strict=True):
                yield result
                done += block.stop - block.start
                job.progress(done, total, what)
    finally:
        for _, future in pending:
            future.cancel()
        if executor is None:  # a cancel does not wait for the blocks that run
            pool.shutdown(wait=not pending)
        elif dismiss := getattr(executor, "dismiss", None):
            dismiss(each)


def map_in_copies(
    function: Callable[[slice], T], blocks: list[slice], *, what: str = "", job: Job = QUIET
) -> Iterator[T]:
    """Yield function(block) for each block, in order, of work that threads would not do faster.

    Copies of this process do it, if the job's executor is such, else this thread.

    Parameters
    ----------
    function, blocks, what, job
        See `map_blocks`.
    """
    if getattr(job.executor, "of_copies", False):
        yield from map_blocks(function, blocks, what=what, job=job)
        return
    for block in one_by_one(blocks, what, job):
        yield function(block)


def map_blocks_checkpointed(
    function: Callable[[slice], T],
    blocks: list[slice],
    *,
    join: Callable[[Sequence[Any]], Any] = joined,
    what: str = "",
    job: Job = QUIET,
) -> Iterator[T]:
    """Yield function(block) for each block, in order, as `map_blocks`, and keep it in a checkpoint.

    Where the job's checkpoint holds the first blocks' results, their joined result comes first,
    and the blocks that follow are computed. Without a checkpoint, this is `map_blocks`.

    Parameters
    ----------
    function, blocks
        See `map_blocks`. Results are arrays or tuples of arrays, which nobody changes.
    join : callable
        Makes one result of those of some blocks in a row; of a result joined before, too. Running
        sums can be kept by one that adds, from the left.
    what : str
        What is done, unlike any other pass of the job.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    """
    checkpoint = job.checkpoint
    if checkpoint is None:
        yield from map_blocks(function, blocks, what=what, job=job)
        return
    done, before = checkpoint.recall(what, blocks, join)
    if done:
        yield before
    rest = [block for block in blocks if block.start >= done]

    def counted(now: int, total: int, what: str) -> None:
        job.progress(done + now, done + total, what)

    results = map_blocks(function, rest, what=what, job=replace(job, progress=counted))
    for block, result in zip(rest, results, strict=True):
        checkpoint.add(block.stop, result)
        yield result
