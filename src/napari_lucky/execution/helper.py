"""Whole jobs run in a helper: a process beside one that cannot be copied itself.

napari has the threads of Qt, so a copy of it could hang, and its window stands still while a job
holds Python's lock. A helper is a fresh process of Python. It is sent a job, as the workers of a
cluster are sent functions, and runs it as the command line does: in copies of itself.

What the constants do is measured by ``benchmarks/docks.py``.
"""

from __future__ import annotations

import atexit
import io
import os
import pickle
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, NoReturn

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blas_threads import ONE_THREAD
from napari_lucky.execution.blocks import cores
from napari_lucky.execution.job import Job, Progress
from napari_lucky.execution.packing import Pickled, Sent, pack, unpack
from napari_lucky.execution.processes import receive_apart, send_apart

MOST_SENT = 1 << 27
"""Bytes of arrays that are sent: a larger run held in memory is worked on where it is, since to
send it takes longer than most jobs."""
PIPE = 1 << 20
"""Bytes that a pipe holds, the most that Linux allows: with fewer, the thread that reads waits for
Python's lock more often."""
MOST_KEPT = 1 << 26
"""Bytes of arrays that the helper keeps for the next jobs while they are used here: masters."""
LOOK_EVERY = 0.1
"""Seconds between looks whether a job that reports nothing was cancelled."""
PATIENCE = 1.0
"""Seconds that a helper has to end a job, or itself."""
KILLED = "The process that works for napari was killed, probably for lack of memory. Run again."

Work = Callable[[Job], Any]
"""A job: called as work(job), it returns its result and changes nothing here."""


class CannotBeSent(Exception):
    """Raised if a job has to be done here: it cannot be sent, or cannot be used there."""


class Helper:
    """A process that works for this one.

    Raises
    ------
    OSError
        If no process is allowed.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # -P: files in the current folder are no modules
            [sys.executable, "-P", "-m", "napari_lucky.execution.helper_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**ONE_THREAD, **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        asked, answers = self._process.stdin, self._process.stdout
        assert isinstance(asked, io.BufferedWriter) and isinstance(answers, io.BufferedReader)
        with suppress(OSError):  # the system allows no more
            from fcntl import F_SETPIPE_SZ, fcntl  # Linux has it

            for pipe in (asked, answers):
                fcntl(pipe, F_SETPIPE_SZ, PIPE)
        self._asked, self._answers = asked, answers.raw  # what is buffered cannot be polled
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)
        self._sent = Sent(MOST_KEPT)
        self.in_use = threading.Lock()
        self.ready, self.lost = False, False

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def do(self, work: Work, progress: Progress) -> Any:
        """Do a job there, and return its result.

        Large arrays and runs that the job was given come back as themselves, not as copies.

        Parameters
        ----------
        work : callable
            See `Work`.
        progress : callable
            Called here with what the job reports; it may raise `Cancelled`.

        Raises
        ------
        CannotBeSent
            If the job has to be done here.
        LuckyError
            If the helper was killed.
        Exception
            Whatever the job raises.
        """
        known = self._sent.still_used()
        try:
            job = pack(work, known, MOST_SENT)
        except Exception as error:  # whatever its pieces raise that cannot be pickled
            raise CannotBeSent from error
        self._ask("work", job.data, job.parts, list(known))
        last: tuple[Any, ...] = ()
        while True:
            if not self._has_answered(LOOK_EVERY):
                self._report(progress, *last)
                continue
            kind, *given = self._answer()
            if kind == "progress":
                last = tuple(given)
                self._report(progress, *last)
            elif kind == "result":
                data, parts = given
                known |= job.large | {key: part.load() for key, part in parts.items()}
                self._sent.add(known)
                return unpack(data, known)
            elif kind == "error":
                _, raised = pickle.loads(*given)
                raise raised
            elif kind == "unknown":
                self._sent = Sent(MOST_KEPT)  # perhaps it has not what it should have
                raise CannotBeSent

    def end(self) -> None:
        """End it, whatever it is doing."""
        self.lost = True
        with suppress(OSError):
            self._asked.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()

    def _report(self, progress: Progress, *what: Any) -> None:
        """Report what is done there; if that raises, end the job."""
        if not what:
            return
        try:
            progress(*what)
        except BaseException:
            self._cancel()
            raise

    def _cancel(self) -> None:
        """End the job, or the helper if it goes on."""
        with suppress(LuckyError):  # it ended by itself
            self._ask("cancel")
            while self._has_answered(PATIENCE):
                if self._answer()[0] != "progress":
                    return
        self.end()

    def _ask(self, *what: Any) -> None:
        try:
            send_apart(self._asked, Pickled.of(what))
        except OSError as error:
            self._give_up(error)

    def _has_answered(self, seconds: float) -> bool:
        return bool(self._poll.poll(1e3 * seconds))

    def _answer(self) -> Any:
        try:
            answer = receive_apart(self._answers).load()
        except (EOFError, OSError) as error:
            self._give_up(error)
        self.ready = True
        return answer

    def _give_up(self, error: Exception) -> NoReturn:
        self.lost = True
        raise LuckyError(KILLED) if self.ready else CannotBeSent from error


_helper: Helper | None = None
_starting = threading.Lock()


def start_helper() -> Helper | None:
    """Start the helper of this process, if it has none; it is ready in half a second.

    Returns
    -------
    Helper or None
        None where there is but one processor, or no process can be copied: not on Linux. Also if
        one was started before, and did not begin to work.
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


def do_in_helper(work: Work, progress: Progress) -> Any:
    """Do a job in the helper of this process, and return its result; see `Helper.do`.

    Raises
    ------
    CannotBeSent
        If it has to be done here: there is no helper, or another job has it.
    """
    helper = start_helper()
    if helper is None or not helper.in_use.acquire(blocking=False):
        raise CannotBeSent
    try:
        return helper.do(work, progress)
    finally:
        helper.in_use.release()
