"""Blocks run on the workers of a dask.distributed cluster, which see the same files.

What the constants do is measured by ``benchmarks/cluster.py``.
"""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from napari_lucky._version import __version__
from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.execution.packing import Part, is_run, pack, unpack

ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://(\[[^]/]+]|[^]\[:/]+):\d+")
PATIENCE = 10.0
"""Seconds in which a scheduler, and a worker of it, must answer."""
A_THREAD = 2
"""Tasks under way for each thread of a worker, so that none waits for the network."""
BUNDLE = 4
"""Blocks that are one task: a task costs the network and the scheduler some milliseconds."""
TALKERS = ("client", "utils", "batched", "comm")
"""Parts of the package distributed that log what happens to the client."""
RECOUNT = 2.0
"""Seconds after which the workers are counted again, and in which the scheduler must answer."""


@contextmanager
def cluster_executor(address: str, patience: float = PATIENCE) -> Iterator[ClusterExecutor]:
    """Connect to a dask.distributed cluster; give an executor for `process` and its steps.

    Workers read the frames themselves, so they must see the files under the same names; and they
    must have this program, in this version. Paths are sent in full.

    Parameters
    ----------
    address : str
        Of the scheduler, such as "tcp://192.168.0.1:8786".
    patience : float
        Seconds in which the scheduler, and a worker of it, must answer.

    Yields
    ------
    ClusterExecutor
        For `Job(executor=...)`.

    Raises
    ------
    LuckyError
        If the package `distributed` is missing, the address is none, nobody answers, the
        workers have not this program; or if the cluster, or worker after worker, is lost.
    """
    if not ADDRESS.fullmatch(address):
        raise UsageError(
            f"{address!r} is not the address of a scheduler; give one such as "
            "tcp://192.168.0.1:8786, "
            "which `dask scheduler` prints when it starts."
        )
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise UsageError(
            "A scheduler needs the package distributed: pip install napari-lucky[distributed]"
        ) from None
    with _without_logs():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions that differ: what matters is checked
            try:
                client = Client(address, timeout=patience, set_as_default=False)
            except (OSError, ValueError) as error:  # ValueError of what no address can be
                raise UsageError(
                    f"{address}: no scheduler answers there ({error}). Start one with `dask "
                    "scheduler`, and check the address and the firewall."
                ) from error
        try:
            _check_workers(client, address, patience)
            yield ClusterExecutor(client)
        except KilledWorker as error:
            raise LuckyError(
                f"{address}: several workers died on the same frames, probably for lack of "
                "memory; look at their logs."
            ) from error
        except CancelledError as error:
            raise LuckyError(
                f"{address}: the cluster was lost; is its scheduler running?"
            ) from error
        finally:
            client.close(timeout=2)


@contextmanager
def _without_logs() -> Iterator[None]:
    """Keep the client from printing the tracebacks of what a sentence says."""
    loggers = [logging.getLogger(f"distributed.{name}") for name in TALKERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check_workers(client: Any, address: str, patience: float) -> None:
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError as error:
        raise LuckyError(
            f"{address}: this scheduler has no worker; start one with `dask worker {address}`."
        ) from error
    try:
        client.run_on_scheduler(program_version)
        versions = set(client.run(program_version).values())
    except Exception as error:  # whatever keeps them from importing it
        raise LuckyError(
            f"{address}: this program does not run there ({error}). Install napari-lucky "
            f"{__version__} for the scheduler and for the workers."
        ) from error
    if versions != {__version__}:
        raise LuckyError(
            f"{address}: workers have napari-lucky {', '.join(sorted(versions))}, but here it is "
            f"{__version__}; install the same version everywhere."
        )


def program_version() -> str:
    """Return this program's version, where it is asked."""
    return __version__


class ClusterExecutor(Executor):
    """Runs one function after the other, each over many blocks, on a cluster.

    A function is sent once, and what is large in it (masters, the list of files) once for all
    functions of a job. They are held there as tasks that can be done again, not as mere data:
    a worker that dies takes nothing with it.

    Parameters
    ----------
    client : distributed.Client
        Connected to the cluster.
    """

    bundle = BUNDLE

    def __init__(self, client: Any) -> None:
        self._client = client
        self._function: Callable[..., Any] | None = None
        self._sent: list[Any] = []  # the function's future, and those of its parts
        self._parts: dict[str, Any] = {}  # futures
        self._runs: dict[str, Any] = {}
        self._threads, self._counted = 1, -np.inf

    @property
    def at_once(self) -> int:
        """How many tasks keep all workers busy."""
        if time.monotonic() - self._counted > RECOUNT:
            with suppress(OSError):  # the blocks say what was lost
                threads = self._client.nthreads(callback_timeout=RECOUNT).values()
                self._threads = max(1, sum(threads))
            self._counted = time.monotonic()
        return A_THREAD * self._threads

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function there with small arguments; see `concurrent.futures.Executor`."""
        if fn is not self._function:
            self._send(fn)
        there = self._submit(call, args, kwargs, *self._sent)
        here: Future[Any] = Future()
        here.add_done_callback(lambda _: there.cancel() if here.cancelled() else None)
        self._client.loop.add_callback(_hand_on, there, here)
        return here

    def _send(self, function: Callable[..., Any]) -> None:
        packed = pack(function, self._runs)
        for key, part in packed.parts.items():
            if key not in self._parts:
                self._parts[key] = self._submit(Part, part)
        # arrays may change meanwhile, and are known by what is in them
        self._runs |= {key: one for key, one in packed.large.items() if is_run(one)}
        self._sent = [
            self._submit(SentFunction, packed.data, tuple(packed.large)),
            *(self._parts[key] for key in packed.large),
        ]
        self._function = function

    def _submit(self, function: Callable[..., Any], *args: Any) -> Any:
        import dask

        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
            # what is submitted within the timeout is done in any order
            return self._client.submit(function, *args, pure=False, fifo_timeout="0ms")


async def _hand_on(there: Any, here: Future[Any]) -> None:
    """Let a future here end as that of the cluster does."""
    with suppress(InvalidStateError):  # it was cancelled here meanwhile
        try:
            here.set_result(await there)
        except Exception as error:
            here.set_exception(error)


class SentFunction:
    """A function, as it is sent: unpacked by the worker when it is first called."""

    def __init__(self, data: bytes, keys: tuple[str, ...]) -> None:
        self.data, self.keys = data, keys
        self.function: Callable[..., Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return SentFunction, (self.data, self.keys)

    def unpacked(self, parts: tuple[Part, ...]) -> Callable[..., Any]:
        """Return the function, given its parts."""
        if self.function is None:
            values = (part.value for part in parts)
            self.function = unpack(self.data, dict(zip(self.keys, values, strict=True)))
        return self.function


def call(args: tuple[Any, ...], kwargs: dict[str, Any], sent: SentFunction, *parts: Part) -> Any:
    """Call a function that was sent; workers do this."""
    return sent.unpacked(parts)(*args, **kwargs)
