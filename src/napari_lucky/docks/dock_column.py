"""The column of a dock: what it does, its help, and its parameters with their labels aligned."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from magicgui.widgets import Container, Widget
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_lucky.docks.dock_values import flat
from napari_lucky.docks.form import LABELS, StepForm, narrow
from napari_lucky.docks.larger import SMALL

NARROWEST = 300
"""Pixels that a dock is wide at least, so that numbers in its boxes can be read."""


class DockColumn(QScrollArea):
    """A column that scrolls where it has no room; what a dock adds comes below its parameters.

    Parameters
    ----------
    explanation : str
        A line or two on what the dock does.
    parameters : list of Widget or StepForm
        In the order of the work.
    """

    def __init__(self, explanation: str, parameters: Sequence[Widget | StepForm]) -> None:
        super().__init__()
        inside = QWidget()
        outer = QVBoxLayout(inside)
        self.column = QVBoxLayout()  # not aligned to the top: Qt cuts wrapped text of such a layout
        outer.addLayout(self.column)
        outer.addStretch(1)
        self.column.addWidget(self._top(explanation))
        # the containers are kept: magicgui's native widgets do not keep them alive
        self._containers = []
        for is_form, some in groupby(parameters, lambda one: isinstance(one, StepForm)):
            if is_form:
                for form in some:
                    self.column.addWidget(form.native)
            else:
                self._containers.append(Container(widgets=list(some)))
                self.column.addWidget(self._containers[-1].native)
        self.align()
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)

    def _top(self, explanation: str) -> QWidget:
        """Return what the dock does, and a button for its help."""
        label = QLabel(explanation)
        label.setWordWrap(True)
        label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.help_button = QPushButton("?")
        self.help_button.setStyleSheet(SMALL)
        self.help_button.setToolTip("Open the help on this dock")
        top = QWidget()
        row = QHBoxLayout(top)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label, 1)
        row.addWidget(self.help_button, 0, Qt.AlignmentFlag.AlignTop)
        return top

    def align(self, width: int = LABELS) -> None:
        """Put labels into one column: the forms', where there are forms."""
        for container in self._containers:
            container.margins = (7, 0, 7, 0)
            for widget in container:
                narrow(widget.native)
            beside = {widget.native for widget in flat(list(container))}
            for label in container.native.findChildren(QLabel):
                if label not in beside:
                    label.setFixedWidth(width)

    def widen(self) -> None:
        """Be so wide that nothing is cut at the side."""
        inside, scroll_bar = self.widget(), self.verticalScrollBar()
        if inside is not None and scroll_bar is not None:
            least = inside.minimumSizeHint().width() + scroll_bar.sizeHint().width()
            self.setMinimumWidth(max(least, NARROWEST))
