"""Blocks run in forked copies of this process.

Steps of numpy on small windows are short, and threads that hand Python's lock to each other
between them gain nothing; copies of the process do not share it. A copy is ready in
milliseconds, since it has all that was opened and imported.
"""

from __future__ import annotations

import gc
import io
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, BinaryIO

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import Threads, cores, done_here
from napari_lucky.execution.freed_memory import give_back_freed_memory, keep_freed_memory
from napari_lucky.execution.interruption import SIGNALS
from napari_lucky.execution.packing import Pickled

ENDING = (signal.SIGINT, *SIGNALS)
"""What ends this process, which ends its copies."""


def nothing() -> None:
    """Do nothing."""


@contextmanager
def fork_executor(meanwhile: Callable[[], object] = nothing) -> Iterator[ForkExecutor | None]:
    """Give an executor for `process` and its steps that works in copies of this process.

    None, which stands for threads, where there is but one core or a process cannot be copied
    safely: not on Linux, or with other threads, which a copy would not have, only their locks.

    Parameters
    ----------
    meanwhile : callable
        What this process does once while its copies are at work, such as an import.

    Yields
    ------
    ForkExecutor or None
        For `Job(executor=...)`.

    Raises
    ------
    LuckyError
        If a copy is killed.
    """
    if sys.platform != "linux" or cores() < 2 or threading.active_count() > 1:
        yield None
        return
    executor = ForkExecutor(meanwhile)
    try:
        yield executor
    finally:
        executor.shutdown()


@dataclass(frozen=True)
class Copy:
    """A copy of this process, which calls one function over and over."""

    pid: int
    asked: BinaryIO
    answers: BinaryIO

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function there."""
        try:
            send(self.asked, pickle.dumps((args, kwargs), protocol=5))
            good, answer = pickle.loads(receive(self.answers))
        except (EOFError, OSError) as error:
            raise LuckyError(
                "A process of this job was killed, probably for lack of memory."
            ) from error
        if not good:
            raise answer
        return answer

    def end(self) -> None:
        """End it, whatever it is doing."""
        with suppress(ProcessLookupError, ChildProcessError):  # it was ended before
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def close(self) -> None:
        """Close the pipes, once nobody waits at them."""
        for pipe in (self.asked, self.answers):
            with suppress(OSError):  # what it was being asked is for nobody
                pipe.close()


class ForkExecutor(Executor):
    """Runs one function after the other, each over many blocks, in copies of this process.

    The first block of a function is run here: what it imports and remembers is then there in
    all copies. They are made when a second one is asked for; if there are other threads at that
    time, or the system allows no copy, the blocks are run on threads.

    Parameters
    ----------
    meanwhile : callable
        What is done once, on a thread here, when there are copies.
    """

    fewest = 4
    """Blocks that copies are made for; they cost as much as some blocks."""
    of_copies = True
    """Whether they are copies of this process, which have all that it has; see `map_in_copies`."""

    def __init__(self, meanwhile: Callable[[], object] = nothing) -> None:
        self._meanwhile: Callable[[], object] | None = meanwhile
        self._thread: threading.Thread | None = None
        self._function: Callable[..., Any] | None = None
        self._copies: list[Copy] = []
        self._idle: SimpleQueue[Copy] = SimpleQueue()
        self._callers: Threads | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function on small arguments; see `concurrent.futures.Executor`."""
        if fn is not self._function:
            if self._callers is not None:
                self._callers.shutdown()  # what was asked of the last function
            self._end_copies()
            self._function = fn
            return done_here(fn, *args, **kwargs)
        if self._callers is None:
            self._make_copies()
        assert self._callers is not None
        return self._callers.submit(self._call, *args, **kwargs)

    def dismiss(self, fn: Callable[..., Any]) -> None:
        """End the copies that run a function: nothing more is asked of it, and they hold memory."""
        if fn is self._function:
            self._end_copies()
            self._function = None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all copies; nothing that they do is waited for."""
        self._end_copies()
        self._join_thread()

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        if not self._copies:
            assert self._function is not None
            return self._function(*args, **kwargs)
        copy = self._idle.get()
        try:
            return copy.call(*args, **kwargs)
        finally:
            self._idle.put(copy)

    def _make_copies(self) -> None:
        assert self._function is not None
        self._join_thread()
        if threading.active_count() > 1:  # a copy would not have them, but has their locks
            self._callers = Threads(cores())
            return
        give_back_freed_memory()  # or each copy would share it
        gc.freeze()  # or a collection there would write to, and so double, all memory
        with _not_interrupted(), suppress(OSError):  # the system may allow fewer, or none
            for _ in range(cores()):
                copy = make_copy(self._function, self._copies)
                self._copies.append(copy)
                self._idle.put(copy)
        gc.unfreeze()
        self._callers = Threads(len(self._copies) or cores())
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            self._thread = threading.Thread(target=meanwhile)
            try:
                self._thread.start()
            except RuntimeError:  # no thread is allowed
                self._thread = None
                meanwhile()

    def _end_copies(self) -> None:
        for copy in self._copies:
            copy.end()
        if self._callers is not None:
            self._callers.shutdown(cancel_futures=True)
        for copy in self._copies:
            copy.close()
        self._callers, self._copies = None, []
        self._idle = SimpleQueue()

    def _join_thread(self) -> None:
        if self._thread is not None:  # it would be missing in new copies, and its locks held
            self._thread.join()
            self._thread = None


@contextmanager
def _not_interrupted() -> Iterator[None]:
    """Let an interrupt wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def make_copy(function: Callable[..., Any], others: list[Copy]) -> Copy:
    """Copy this process; the copy waits for calls of the function, and ends with this process.

    Raises
    ------
    OSError
        If the system allows no more processes, or no more open files.
    """
    pipes: list[int] = []
    try:
        pipes += os.pipe()
        pipes += os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of BLAS's threads
            pid = os.fork()
    except OSError:
        for pipe in pipes:
            os.close(pipe)
        raise
    there_in, asked, answers, there_out = pipes
    if pid == 0:
        try:
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)  # the process that waits decides what ends
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            for pipe in (asked, answers, *_pipes_of(others)):
                os.close(pipe)
            keep_freed_memory()
            _serve(function, os.fdopen(there_in, "rb"), os.fdopen(there_out, "wb"))
        finally:
            os._exit(0)  # none of what the original does at its exit
    os.close(there_in)
    os.close(there_out)
    return Copy(pid, os.fdopen(asked, "wb"), os.fdopen(answers, "rb"))


def _pipes_of(copies: list[Copy]) -> list[int]:
    return [pipe.fileno() for copy in copies for pipe in (copy.asked, copy.answers)]


def _serve(function: Callable[..., Any], asked: BinaryIO, answers: BinaryIO) -> None:
    """Answer calls until nobody can ask any more."""
    while True:
        try:
            args, kwargs = pickle.loads(receive(asked))
        except EOFError:
            return
        send(answers, packed_answer(function, *args, **kwargs))


def send(pipe: BinaryIO, data: bytes | bytearray | memoryview) -> None:
    """Send bytes, whose number goes first."""
    pipe.write(len(data).to_bytes(8, "little"))
    pipe.write(data)
    pipe.flush()


def send_apart(pipe: BinaryIO, pickled: Pickled) -> None:
    """Send what is pickled, and its arrays from where they are."""
    send(pipe, len(pickled.buffers).to_bytes(4, "little"))
    for data in (pickled.data, *(buffer.raw() for buffer in pickled.buffers)):
        send(pipe, data)


def receive_apart(pipe: BinaryIO | io.RawIOBase) -> Pickled:
    """Return what `send_apart` sent; its arrays can be changed.

    Raises
    ------
    EOFError
        If the other end was closed before.
    """
    count = int.from_bytes(receive(pipe), "little")
    return Pickled(receive(pipe), [receive(pipe) for _ in range(count)])


def receive(pipe: BinaryIO | io.RawIOBase) -> bytearray:
    """Return what was sent, whole.

    Raises
    ------
    EOFError
        If the other end was closed before.
    """
    return _exactly(pipe, int.from_bytes(_exactly(pipe, 8), "little"))


def _exactly(pipe: BinaryIO | io.RawIOBase, size: int) -> bytearray:
    data, done = bytearray(size), 0
    while done < size:
        more = pipe.readinto(memoryview(data)[done:])  # type: ignore[union-attr]
        if not more:
            raise EOFError
        done += more
    return data


def packed_answer(function: Callable[..., Any], *args: Any, **kwargs: Any) -> bytes:
    """Call a function; return, pickled, whether that went well, and its result or error."""
    try:
        return pickle.dumps((True, function(*args, **kwargs)), protocol=5)
    except Exception as error:
        return packed_error(error)


def packed_error(error: Exception) -> bytes:
    """Return an error as `packed_answer` does, with where it came from."""
    error.add_note(f"In a copy of this process:\n{traceback.format_exc()}")
    try:
        packed = pickle.dumps((False, error))
        pickle.loads(packed)
    except Exception:  # not every error can be sent
        return pickle.dumps((False, RuntimeError(repr(error))))
    return packed
