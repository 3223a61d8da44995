"""SIGTERM and SIGHUP, taken the way of Ctrl-C: what is half done is cleaned up."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Of batch systems at the end of a job's time, and of a terminal that closes."""
AGAIN = 2.0
"""Seconds after which the same signal interrupts even what cleans up; some send it twice."""


class Ended(KeyboardInterrupt):  # as KeyboardInterrupt, it is no error
    """The process was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def status_of(interrupt: KeyboardInterrupt) -> tuple[int, str]:
    """Return the exit status of a job that was interrupted, and what happened to it."""
    if isinstance(interrupt, Ended):
        return 128 + interrupt.number, f"ended by {signal.Signals(interrupt.number).name}"
    return 130, "interrupted"


@contextmanager
def ended_as_interrupted() -> Iterator[None]:
    """Raise `Ended` at SIGTERM and SIGHUP meanwhile.

    Only in the first thread, as Python asks; and a signal that someone else has seen to (nohup,
    a window) is left to them.
    """
    last = -AGAIN

    def end(number: int, _: Any) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= AGAIN:
            last = now
            raise Ended(number)

    taken = []
    if threading.current_thread() is threading.main_thread():
        taken = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in taken:
            signal.signal(number, end)
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def signals_left_alone() -> Iterator[None]:
    """Leave SIGTERM and SIGHUP to the system meanwhile, where `ended_as_interrupted` took them."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in SIGNALS}
        before = {number: handler for number, handler in before.items() if callable(handler)}
    try:
        for number in before:
            signal.signal(number, signal.SIG_DFL)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
