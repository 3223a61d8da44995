"""Where a job is, in its dock: stage, frames a second, time left."""

from __future__ import annotations

import time

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel, QProgressBar, QVBoxLayout, QWidget

LEAST_SECONDS = 0.5
"""So long a stage must have lasted before its speed is shown."""
SHOWN_AFTER_MS = 300
"""Of a job that ends sooner, no bar flashes up; drawing it would take time from the job."""


class ProgressLine(QWidget):
    """A bar and a line of text, shown while a job runs that is not done at once."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setMaximumHeight(8)
        self.text = QLabel()
        self.text.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 0, 6, 0)
        column.addWidget(self._bar)
        column.addWidget(self.text)
        self._stage, self._since, self._first = "", 0.0, 0
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.show)
        self.hide()

    def begin(self) -> None:
        """Show that a job has begun, if it goes on for long enough."""
        self._stage = ""
        self._bar.setRange(0, 1)
        self._bar.setValue(0)
        self.text.setText("Beginning …")
        self._soon.start(SHOWN_AFTER_MS)

    def report(self, done: int, total: int, what: str) -> None:
        """Show where the job is; `done` and `total` count frames, as a rule."""
        now = time.monotonic()
        if what != self._stage:
            self._stage, self._since, self._first = what, now, done
        text = progress_text(what, done, total, now - self._since, done - self._first)
        if (self._bar.value(), self.text.text()) == (done, text):
            return
        self.setUpdatesEnabled(False)  # else the window is drawn twice: for the bar, for the text
        self._bar.setRange(0, max(total, 1))
        self._bar.setValue(done)
        self.text.setText(text)
        self.setUpdatesEnabled(True)

    def end(self) -> None:
        """Hide."""
        self._soon.stop()
        self.hide()


def progress_text(what: str, done: int, total: int, seconds: float, count: int) -> str:
    """Return a line such as "Stacking: 340 of 2000, 210 a second, 8 s left".

    Parameters
    ----------
    what : str
        The stage.
    done, total : int
        How much of it is done.
    seconds : float
        Since when its speed is measured.
    count : int
        How many were done since.
    """
    text = f"{what[:1].upper()}{what[1:]}: {done} of {total}"
    if seconds < LEAST_SECONDS or count < 1:
        return text
    speed = count / seconds
    return f"{text}, {speed:.3g} a second, {duration_text((total - done) / speed)} left"


def duration_text(seconds: float) -> str:
    """Return a time as it is read at a glance."""
    if seconds < 90:
        return f"{seconds:.0f}\N{NO-BREAK SPACE}s"
    if seconds < 5400:
        return f"{seconds / 60:.0f}\N{NO-BREAK SPACE}min"
    return f"{seconds / 3600:.1f}\N{NO-BREAK SPACE}h"
