"""The process beside napari that works for it: see `helper`.

It has no other threads, so it can be copied; napari, with those of Qt, cannot.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import time
from functools import partial
from importlib import import_module
from typing import Any, BinaryIO

from napari_lucky.execution.freed_memory import give_back_freed_memory
from napari_lucky.execution.job import Cancelled, Job
from napari_lucky.execution.packing import Pickled, pack, unpack
from napari_lucky.execution.processes import fork_executor, packed_error, receive_apart, send_apart

NEEDED = ("napari_lucky.pipeline.process", "cloudpickle")
"""What most jobs use, imported while the user still dials in parameters."""
ASKED = 0
"""Standard input, where jobs come from."""
REPORT_EVERY = 0.05
"""Seconds between reports of one stage."""


class JobHere:
    """A job that was sent, and how it reports.

    Parameters
    ----------
    answers : file
        Where reports go.
    """

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._large: dict[str, Any] = {}  # what was sent, either way, that is still used there
        self._reported = ("", 0.0)
        self._news = select.poll()
        self._news.register(ASKED, select.POLLIN)

    def answer(self, *what: Any) -> None:
        """Send an answer."""
        send_apart(self._answers, Pickled.of(what))

    def do(self, data: bytes, parts: dict[str, Pickled], used: list[str]) -> None:
        """Do a job, and send its result.

        Parameters
        ----------
        data, parts
            The job; see `Packed`.
        used : list of str
            Keys of what was sent before, either way, and is still used there; the rest is dropped.
        """
        self._reported = ("", 0.0)
        try:
            self._large = {key: self._large[key] for key in used}
            self._large |= {key: part.load() for key, part in parts.items()}
            work = unpack(data, self._large)
        except Exception:  # of a module that is not there, for one
            self.answer("unknown")
            return
        try:
            with fork_executor() as executor:
                result = work(Job(self._report, executor))
        except Exception as error:
            self.answer("error", packed_error(error))
            return
        try:
            packed = pack(result, self._large)
        except Exception:  # of a piece that cannot be pickled
            self.answer("unknown")
            return
        self.answer("result", packed.data, packed.parts)
        self._large |= packed.large

    def _report(self, done: int, total: int, what: str) -> None:
        """Pass on what the job reports; news meanwhile is that it is cancelled, or napari gone."""
        if self._news.poll(0):
            raise Cancelled
        stage, at = self._reported
        now = time.monotonic()
        if what != stage or now - at > REPORT_EVERY:
            self._reported = (what, now)
            self.answer("progress", done, total, what)


def main() -> None:
    """Do what is asked on standard input until nobody can ask any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: napari decides what ends
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed is no answer
    os.register_at_fork(after_in_child=partial(os.close, answers.fileno()))  # copies have their own
    for name in NEEDED:
        import_module(name)
    job = JobHere(answers)
    job.answer("ready")
    with os.fdopen(ASKED, "rb", buffering=0, closefd=False) as asked:
        while True:
            try:
                kind, *given = receive_apart(asked).load()
            except EOFError:
                break
            if kind == "work":
                job.do(*given)
                given.clear()
                gc.collect()  # views and their masters refer to each other
                give_back_freed_memory()


if __name__ == "__main__":
    main()
