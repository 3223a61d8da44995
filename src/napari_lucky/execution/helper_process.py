"""The process beside napari that works for it: see `helper`.

It has no other threads, so it can be copied; napari, with those of Qt, cannot.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from importlib import import_module
from typing import Any, BinaryIO

from napari_lucky.errors import LuckyError
from napari_lucky.execution.packing import Part, Pickled, unpack
from napari_lucky.execution.processes import (
    ForkExecutor,
    packed_answer,
    packed_error,
    receive_apart,
    send,
)

NEEDED = ("napari_lucky.pipeline.process", "cloudpickle")
"""What most jobs use, imported while the user still dials in parameters."""
Answer = tuple[int, bytes]
"""Number of a call, and what `packed_answer` gives; empty if its function cannot be used here."""


class Work:
    """Calls functions that it is sent, in copies of this process.

    Parameters
    ----------
    answers : file
        Where `Answer`s go.
    """

    def __init__(self, answers: BinaryIO) -> None:
        self._answers, self._lock = answers, threading.Lock()
        self._executor = ForkExecutor()
        self._parts: dict[str, Part] = {}
        self._function: Callable[..., Any] | None = None

    def take(self, data: bytes, parts: dict[str, Pickled]) -> None:
        """Unpack the function that the next calls are of."""
        self._executor.shutdown()
        self._function = None
        try:
            self._parts |= {key: Part(part) for key, part in parts.items()}
            self._function = partial(packed_answer, unpack(data, self._parts))
        except Exception:  # of a module that is not there, for one
            self._function = None

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Call the function, and answer once it is done."""
        if self._function is None:
            self.answer(number, b"")
            return
        future = self._executor.submit(self._function, *args, **kwargs)
        future.add_done_callback(partial(self._hand_on, number))

    def end(self) -> None:
        """Stop whatever is done, and forget what was sent."""
        self._executor.shutdown()
        self._function = None
        self._parts.clear()

    def _hand_on(self, number: int, future: Future[bytes]) -> None:
        try:
            answer = future.result()
        except CancelledError:
            return
        except LuckyError as error:  # a copy was killed
            answer = packed_error(error)
        self.answer(number, answer)

    def answer(self, number: int, answer: bytes) -> None:
        """Send an answer."""
        with self._lock:
            send(self._answers, pickle.dumps((number, answer), protocol=5))


def main() -> None:
    """Do what is asked on standard input until nobody can ask any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: napari decides what ends
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed is no answer
    os.register_at_fork(after_in_child=partial(os.close, answers.fileno()))  # copies have their own
    work = Work(answers)
    for name in NEEDED:
        import_module(name)
    work.answer(0, b"")  # to no call: it is ready
    with os.fdopen(0, "rb", closefd=False) as asked:
        while True:
            try:
                kind, *given = receive_apart(asked).load()
            except EOFError:
                break
            getattr(work, kind)(*given)
    work.end()


if __name__ == "__main__":
    main()
