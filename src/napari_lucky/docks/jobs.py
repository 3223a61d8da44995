"""Long jobs in the viewer: the one place that knows threads, progress, cancel and errors.

What the constants do is measured by ``benchmarks/viewer.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

from napari.qt.threading import WorkerBase
from qtpy.QtCore import QObject, QTimer

from napari_lucky.errors import LuckyError
from napari_lucky.execution.helper import CannotBeSent, Work, do_in_helper, start_helper
from napari_lucky.execution.job import Cancelled, Job, Progress, no_progress
from napari_lucky.ranking.metrics import METRICS
from napari_lucky.steps.registry import STEPS
from napari_lucky.viewer.background_work import RUNNING, begin, end
from napari_lucky.viewer.messages import show_error

REPORT_MS = 250
"""Between looks at where a job is: the window looks alive. Without a graphics card each costs some
10 ms, since Qt draws the whole window anew, however little has changed."""
Done = Callable[[Any], Iterator[None]]
"""Shows what the work returned, on the window's thread: a generator, which yields after each layer.

napari takes a tenth of a second for a layer; the window draws and listens in between.
"""
BREATH_MS = 10
"""Between two pieces; after 0 ms Qt would go on before it sees to timers and to the mouse."""
END = object()
EXPECTED = LuckyError, OSError, MemoryError
"""What is no mistake of the program's."""


def get_ready() -> None:
    """Do beforehand what a first job would have to wait for."""
    start_helper()
    import_tables()


def import_tables() -> None:
    """Import what napari makes the tables of layers with: it would do so in the window."""
    import_module("pandas")


class _Worker(WorkerBase):
    def __init__(self, work: Work, stays: bool) -> None:
        super().__init__()
        self._work, self._stays = work, stays
        self.at: tuple[int, int, str] | None = None

    def work(self) -> Any:
        import_tables()
        try:
            if not self._stays and not scripted():
                with suppress(CannotBeSent):
                    return do_in_helper(self._work, self._report)
            return self._work(Job(self._report))
        except Cancelled:
            self._abort_requested = True  # so that nothing is returned
            return None

    def _report(self, done: int, total: int, what: str) -> None:
        if self.abort_requested:
            raise Cancelled
        self.at = done, total, what


class DockJob(QObject):
    """One job of a dock: its thread, its reports, its end.

    Parameters
    ----------
    work : callable
        See `Work`; it runs in the helper, or on a thread, and touches neither layers nor widgets.
    done : callable
        See `Done`; not called after a cancel or an error.
    ended : callable
        Called on the window's thread at the end, however it came.
    failed : callable
        Called with an error that ended the job.
    progressed : callable, optional
        Called as progressed(done, total, what) on the window's thread, now and then.
    stays : bool
        Whether it runs on a thread here in any case.
    cancelled : callable, optional
        Called if the job ended because it was cancelled.
    """

    def __init__(
        self,
        work: Work,
        done: Done,
        ended: Callable[[], None],
        failed: Callable[[Exception], None],
        progressed: Progress = no_progress,
        stays: bool = False,
        cancelled: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._progressed, self._cancelled = progressed, cancelled
        self._done, self._ended, self._failed = done, ended, failed
        self._pieces: Iterator[None] | None = None  # of the result, while it is being shown
        self._abandoned = self._has_failed = False
        self._worker = _Worker(work, stays)
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_errored)
        self._worker.finished.connect(self._on_finished)
        self._looks = QTimer(self)
        self._looks.timeout.connect(self._report)

    def start(self) -> None:
        """Begin."""
        begin(self)
        self._worker.start()
        self._looks.start(REPORT_MS)

    def cancel(self) -> None:
        """Ask the job to end; it does at its next report, at most a tenth of a second away.

        A result that is being shown already is shown whole, now.
        """
        if self._pieces is None:
            self._worker.quit()
            return
        while self in RUNNING:
            self._show_piece()

    def abandon(self) -> None:
        """Cancel, and call nobody back: the dock is gone."""
        self._done, self._ended, self._failed = (lambda _: iter(())), (lambda: None), report_error
        self._progressed = no_progress
        self._pieces, self._abandoned = None, True
        self._worker.quit()

    def _report(self) -> None:
        if self._worker.at is not None:
            self._progressed(*self._worker.at)

    def _on_returned(self, result: Any) -> None:
        self._pieces = self._done(result)

    def _on_errored(self, error: Exception) -> None:
        self._has_failed = True
        self._failed(error)

    def _on_finished(self) -> None:
        self._looks.stop()
        if self._pieces is not None:
            self._show_piece()
            return
        if self._worker.abort_requested and not (self._abandoned or self._has_failed):
            self._cancelled()
        self._end()

    def _show_piece(self) -> None:
        """Show the next piece of the result, and the others once the window has drawn it."""
        more = False
        try:
            more = self._pieces is not None and next(self._pieces, END) is not END
        except EXPECTED as error:
            self._failed(error)
        finally:
            if more:
                QTimer.singleShot(BREATH_MS, self._show_rest)
            else:
                self._end()

    def _show_rest(self) -> None:
        if self in RUNNING:  # not shown whole meanwhile
            self._show_piece()

    def _end(self) -> None:
        self._pieces = None
        end(self)
        self._ended()


def scripted() -> bool:
    """Return whether a script or another package added metrics or steps: no helper has them."""
    steps = (step for kinds in STEPS.values() for step in kinds.values())
    added = (*(metric.function for metric in METRICS.values()), *steps)
    return any(one.__module__.partition(".")[0] != "napari_lucky" for one in added)


def sentence_of(error: Exception) -> str:
    """Return a sentence for an error of the user's; raise one of ours."""
    if isinstance(error, LuckyError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for this; choose a smaller window or fewer frames."
    if isinstance(error, OSError):
        return f"A file cannot be read or written: {error}."
    raise error


def report_error(error: Exception) -> None:
    """Show an error: a sentence for one of the user's, the whole story for one of ours."""
    show_error(sentence_of(error))


def attempt(action: Callable[[], None], failed: Callable[[Exception], None] = report_error) -> None:
    """Do something at once, on the window's thread, and show what goes wrong."""
    try:
        action()
    except EXPECTED as error:
        failed(error)
