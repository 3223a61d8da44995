"""A graph that can be looked at in a separate window."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QPushButton, QScrollArea, QVBoxLayout, QWidget

AT_FIRST = 900, 700
"""Width and height of the window, in pixels."""
ROOM = 280, 520
SMALL = "min-width: 10px; padding: 2px 7px"
"""The looks of a button that stands beside a text or over a graph."""


class Graph(QWidget):
    """A canvas as wide as its dock, with a button that moves it to a window and back.

    Parameters
    ----------
    canvas : QWidget
        What is drawn on; it stays alive and can be used in the window.
    title : str
        Of the window.
    """

    def __init__(self, canvas: QWidget, title: str) -> None:
        super().__init__()
        self.canvas, self._title = canvas, title
        self.window_open: QDialog | None = None
        canvas.resize(*ROOM)  # until it is laid out; a figure cannot be drawn in less
        self.button = QPushButton("larger")
        self.button.setStyleSheet(SMALL)
        self.button.setToolTip("Show this graph in a separate window; close it to bring it back")
        self.button.clicked.connect(self.enlarge)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self._column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignRight)
        self._column.addWidget(canvas)

    def enlarge(self, *_: Any) -> None:
        """Show the graph in a window, or bring that window to the front."""
        if self.window_open is None:
            self.window_open = QDialog(self, Qt.WindowType.Window)
            self.window_open.setWindowTitle(self._title)
            self.window_open.resize(*AT_FIRST)
            self.window_open.finished.connect(self._take_back)
            self._area = QScrollArea()
            self._area.setWidgetResizable(True)
            self._area.setWidget(self.canvas)
            column = QVBoxLayout(self.window_open)
            column.setContentsMargins(0, 0, 0, 0)
            column.addWidget(self._area)
            self.window_open.show()
        self.window_open.raise_()

    def _take_back(self, *_: Any) -> None:
        self._area.takeWidget()  # or it would go on giving the canvas its size
        self._column.addWidget(self.canvas)
        self.canvas.show()
        if self.window_open is not None:
            self.window_open.deleteLater()
            self.window_open = None
