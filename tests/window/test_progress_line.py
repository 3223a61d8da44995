"""The line of a dock that shows where its job is."""

import pytest
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication

from napari_lucky.docks.progress_line import SHOWN_AFTER_MS, ProgressLine


class Draws(QObject):
    """Counts how often a window draws itself."""

    count = 0

    def eventFilter(self, _: QObject, event: QEvent) -> bool:
        self.count += event.type() == QEvent.Type.UpdateRequest
        return False


@pytest.fixture
def line(qtbot):
    made = ProgressLine()
    qtbot.addWidget(made)
    made.resize(600, 60)
    made.begin()
    qtbot.waitUntil(made.isVisible)
    made.report(1, 100, "stacking")
    settle()
    return made


def settle() -> None:
    for _ in range(5):
        QApplication.processEvents()


def test_a_report_draws_the_window_once_and_the_same_one_not_again(line):
    draws = Draws()
    line.installEventFilter(draws)
    for _ in range(2):
        line.report(50, 100, "stacking the frames")
        settle()
    assert line.text.text() == "Stacking the frames: 50 of 100"
    assert draws.count == 1


def test_a_job_that_ends_at_once_shows_no_bar(line, qtbot):
    line.end()
    line.begin()
    assert line.isHidden()
    line.end()
    qtbot.wait(2 * SHOWN_AFTER_MS)
    assert line.isHidden()
