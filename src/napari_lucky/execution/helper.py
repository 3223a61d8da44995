"""Blocks run in copies of a helper: a process beside one that cannot be copied itself.

napari has the threads of Qt, so a copy of it could hang. A helper is a fresh process of Python.
It is sent functions, as the workers of a cluster are, and runs them in copies of itself.

What the constants do is measured by ``benchmarks/docks.py``.
"""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, InvalidStateError
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from queue import SimpleQueue
from typing import Any, BinaryIO

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import Threads, cores
from napari_lucky.execution.packing import Pickled, pack
from napari_lucky.execution.processes import ForkExecutor, receive, send_apart

MOST_SENT = 1 << 27
"""Bytes of arrays that are sent: a larger run held in memory is worked on where it is, since to
send it takes longer than most jobs."""
PATIENCE = 1.0
"""Seconds that a helper has to end of itself."""
KILLED = "The process that works for napari was killed, probably for lack of memory. Run again."


class Helper:
    """A process that works for this one, and the two threads that talk to it.

    An answer is what `packed_answer` gives; it is empty if the function cannot be used there, and
    None if the helper was lost.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # -P: files in the current folder are no modules
            [sys.executable, "-P", "-m", "napari_lucky.execution.helper_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self.in_use = threading.Lock()
        self.ready, self.lost = False, False
        self._waiting: dict[int, Callable[[bytes | None], None]] = {}
        self._number = 0
        self._outgoing: SimpleQueue[Pickled | None] = SimpleQueue()
        for talk, pipe in ((self._send, self._process.stdin), (self._listen, self._process.stdout)):
            threading.Thread(target=talk, args=(pipe,), daemon=True).start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, *what: Any) -> None:
        """Send something, without waiting until it is there."""
        self._outgoing.put(Pickled.of(what))

    def call(self, args: Any, kwargs: Any, done: Callable[[bytes | None], None]) -> None:
        """Call the function that it has; `done` is called with the answer, on another thread."""
        self._number += 1
        self._waiting[self._number] = done
        self.ask("call", self._number, args, kwargs)
        if self.lost:
            self._give_up()

    def end(self) -> None:
        """End it."""
        self._outgoing.put(None)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, pipe: BinaryIO) -> None:
        with suppress(OSError), pipe:  # it may be lost
            while (asked := self._outgoing.get()) is not None:
                send_apart(pipe, asked)

    def _listen(self, pipe: BinaryIO) -> None:
        with suppress(EOFError), pipe:
            while True:
                number, answer = pickle.loads(receive(pipe))
                self.ready = True
                if (done := self._waiting.pop(number, None)) is not None:
                    done(answer)
        self.lost = True
        self._give_up()

    def _give_up(self) -> None:
        for number in list(self._waiting):
            if (done := self._waiting.pop(number, None)) is not None:
                done(None if self.ready else b"")


class HelperExecutor(Executor):
    """Runs one function after the other, each over many blocks, in copies of a helper.

    What cannot be sent is done on threads here.

    Parameters
    ----------
    helper : Helper
        It works for nobody else meanwhile.
    """

    fewest = ForkExecutor.fewest

    def __init__(self, helper: Helper) -> None:
        self._helper = helper
        self._function: Callable[..., Any] | None = None
        self._is_sent = False
        self._sent: set[str] = set()  # parts, by their keys
        self._runs: dict[int, Any] = {}
        self._threads: Threads | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function on small arguments; see `concurrent.futures.Executor`."""
        if fn is not self._function:
            self._function, self._is_sent = fn, self._send(fn)
        if not self._is_sent:
            return self._here.submit(fn, *args, **kwargs)
        future: Future[Any] = Future()

        def done(answer: bytes | None) -> None:
            if answer == b"":
                self._here.submit(lambda: _finish(future, fn, *args, **kwargs))
            else:
                _finish(future, _result_of, answer)

        self._helper.call(args, kwargs, done)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End what is done there, and forget what was sent; nothing is waited for."""
        self._helper.ask("end")
        self._function = None
        self._sent.clear()
        self._runs.clear()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    @property
    def _here(self) -> Threads:
        if self._threads is None:
            self._threads = Threads(cores())
        return self._threads

    def _send(self, function: Callable[..., Any]) -> bool:
        """Send a function, unless that cannot be done."""
        runs = dict(self._runs)
        try:
            data, parts = pack(function, runs, MOST_SENT)
        except Exception:  # whatever its pieces raise that cannot be pickled
            return False
        new = {key: part for key, part in parts.items() if key not in self._sent}
        self._helper.ask("take", data, new)
        self._sent |= set(new)
        self._runs = runs
        return True


def _finish(future: Future[Any], function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Let a future end as a function does."""
    with suppress(InvalidStateError):  # it was cancelled meanwhile
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)


def _result_of(answer: bytes | None) -> Any:
    if answer is None:
        raise LuckyError(KILLED)
    good, result = pickle.loads(answer)
    if not good:
        raise result
    return result


_helper: Helper | None = None
_starting = threading.Lock()


def start_helper() -> Helper | None:
    """Start the helper of this process, if it has none; it is ready in half a second.

    Returns
    -------
    Helper or None
        None where there is but one processor, or no process can be copied: not on Linux.
    """
    global _helper
    if sys.platform != "linux" or cores() < 2 or not sys.executable or not find_spec("cloudpickle"):
        return None
    with _starting:
        if _helper is not None and _helper.lost and _helper.ready:
            end_helper()
        if _helper is None:
            with suppress(OSError):  # no process is allowed
                _helper = Helper()
    return None if _helper is None or _helper.lost else _helper


def end_helper() -> None:
    """End the helper of this process, if it has one."""
    global _helper
    if _helper is not None:
        _helper.end()
        _helper = None


atexit.register(end_helper)


@contextmanager
def helper_executor() -> Iterator[HelperExecutor | None]:
    """Give an executor for `process` and its steps that works in copies of a helper.

    None, which stands for threads, where there can be no helper, or another job has it.

    Yields
    ------
    HelperExecutor or None
        For `Job(executor=...)`.

    Raises
    ------
    LuckyError
        If the helper, or a copy of it, is killed.
    """
    helper = start_helper()
    if helper is None or not helper.in_use.acquire(blocking=False):
        yield None
        return
    executor = HelperExecutor(helper)
    try:
        yield executor
    finally:
        executor.shutdown()
        helper.in_use.release()
