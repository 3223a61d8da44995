"""Work beside the window: what is under way, and what napari waits for.

What the constants do is measured by ``benchmarks/viewer.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from napari_lucky.execution.blocks import Threads

SWITCH = 0.0005
"""Seconds for which a thread that computes may keep the window's thread waiting for Python.

Python's own 5 ms are asked for again after every call into Qt, of which a redraw has hundreds.
"""
T = TypeVar("T")

RUNNING: set[Any] = set()
"""What is under way; a dock may be closed before its job has ended."""
_usual_switch = sys.getswitchinterval()


def begin(job: Any) -> None:
    """Take note that work begins."""
    RUNNING.add(job)
    sys.setswitchinterval(SWITCH)


def end(job: Any) -> None:
    """Take note that it has ended."""
    RUNNING.discard(job)
    if not RUNNING:
        sys.setswitchinterval(_usual_switch)


def in_background(work: Callable[[], T]) -> T:
    """Do work that napari waits for, on a thread, and return its result; the window draws on.

    It takes no input meanwhile. Without a window, or on another thread, the work is just done.
    """
    if "qtpy.QtCore" not in sys.modules:
        return work()
    from qtpy.QtCore import QCoreApplication, QEventLoop, QThread, QTimer

    app = QCoreApplication.instance()
    if app is None or QThread.currentThread() is not app.thread():
        return work()
    loop, look = QEventLoop(), QTimer()
    with Threads(1) as pool:
        future = pool.submit(work)
        look.timeout.connect(lambda: loop.quit() if future.done() else None)
        look.start(5)
        begin(future)
        loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        look.stop()
        end(future)
    return future.result()
