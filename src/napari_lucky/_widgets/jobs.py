"""Long jobs in the viewer: the one place that knows threads, progress, cancel and errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from napari.qt.threading import WorkerBase, WorkerBaseSignals
from napari.utils import progress as progress_bar
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject, Signal

from ..blocks import Cancelled
from ..errors import LuckyError

EMIT_EVERY = 0.05
"""Seconds between reports to the window: it looks alive, and it costs nothing."""

Work = Callable[..., Any]
"""Called as work(progress=...) on a thread of its own; it must touch neither layers nor widgets."""


class _Signals(WorkerBaseSignals):
    progressed = Signal(int, int, str)


class _Worker(WorkerBase):
    def __init__(self, work: Work) -> None:
        super().__init__(SignalsClass=_Signals)
        self._work = work
        self._told = ("", 0.0)

    def work(self) -> Any:
        try:
            return self._work(progress=self._report)
        except Cancelled:
            self._abort_requested = True  # so that nothing is returned
            return None

    def _report(self, done: int, total: int, what: str) -> None:
        if self.abort_requested:
            raise Cancelled
        stage, at = self._told
        now = time.monotonic()
        if what != stage or now - at > EMIT_EVERY:
            self._told = (what, now)
            self.progressed.emit(done, total, what)


class Job(QObject):
    """One job of a dock: its thread, its bar in the activity dock, its end.

    Parameters
    ----------
    work : callable
        See `Work`.
    done : callable
        Called on the window's thread with what `work` returned; not after a cancel or an error.
    ended : callable
        Called on the window's thread at the end, however it came.
    """

    def __init__(self, work: Work, done: Callable[[Any], None], ended: Callable[[], None]) -> None:
        super().__init__()
        self._done, self._ended = done, ended
        self._bar: Any = None
        self._stage = ""
        self._worker = _Worker(work)
        self._worker.progressed.connect(self._on_progress)
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_errored)
        self._worker.finished.connect(self._on_finished)

    def start(self) -> None:
        """Begin."""
        RUNNING.add(self)
        self._worker.start()

    def cancel(self) -> None:
        """Ask the job to end; it does at its next report, at most a tenth of a second away."""
        self._worker.quit()

    def abandon(self) -> None:
        """Cancel, and call nobody back: the dock is gone."""
        self._done, self._ended = (lambda _: None), (lambda: None)
        self.cancel()

    def _on_progress(self, done: int, total: int, what: str) -> None:
        if what != self._stage:
            self._close_bar()
            self._stage = what
            # making a bar lets the window work, and so this job go on, or even end, meanwhile
            self._bar = progress_bar(total=total, desc=what)
        if self not in RUNNING:
            self._close_bar()
        elif self._bar is not None:
            self._bar.update(done - self._bar.n)

    def _on_returned(self, result: Any) -> None:
        attempt(lambda: self._done(result))

    def _on_errored(self, error: Exception) -> None:
        tell(error)

    def _on_finished(self) -> None:
        RUNNING.discard(self)
        self._close_bar()
        if self._worker.abort_requested:
            show_info("Cancelled; nothing was changed.")
        self._ended()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def tell(error: Exception) -> None:
    """Show an error: a sentence for one of the user's, the whole story for one of ours."""
    if isinstance(error, LuckyError):
        show_error(str(error))
    elif isinstance(error, MemoryError):
        show_error("There is not enough memory for this; choose a smaller window or fewer frames.")
    elif isinstance(error, OSError):
        show_error(f"A file cannot be read or written: {error}.")
    else:
        raise error


def attempt(action: Callable[[], None]) -> None:
    """Do something at once, on the window's thread, and show what goes wrong."""
    try:
        action()
    except (LuckyError, OSError, MemoryError) as error:
        tell(error)


RUNNING: set[Job] = set()
"""Jobs under way; a dock may be closed before its job has ended."""
