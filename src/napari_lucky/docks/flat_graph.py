"""The picture of a flat in the calibration dock: before and after, and a row that one chooses."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import Container, SpinBox
from matplotlib import rc_context
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_lucky.calibration.flat import FlatField
from napari_lucky.docks.canvas import PiecewiseCanvas
from napari_lucky.docks.graphs import rc_colours
from napari_lucky.docks.larger import Graph
from napari_lucky.plots.flat import FlatDrawing


class FlatGraph(QWidget):
    """A flat before and after its normalisation, with the profile of a row; hidden without one."""

    def __init__(self) -> None:
        super().__init__()
        self.row = SpinBox(
            name="row",
            label="row (px)",
            min=0,
            max=0,
            tooltip="Row of the flat, from 0, whose profile is drawn",
        )
        self.canvas = PiecewiseCanvas(7)
        self.canvas.setMinimumHeight(640)
        self.drawing: FlatDrawing | None = None
        self._field: FlatField | None = None
        self._colours: dict[str, Any] = {}
        self._form = Container(widgets=[self.row])  # kept: its native widget does not keep it
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._form.native)
        self.larger = Graph(self.canvas, "Flat")
        column.addWidget(self.larger)
        self.row.changed.connect(self._show_row)
        self.hide()

    def show_flat(self, field: FlatField | None) -> None:
        """Draw a flat, the middle row first unless one of as many rows was chosen; or hide."""
        self._field = field
        self.setVisible(field is not None)
        if field is None:
            return
        last = field.response.shape[0] - 1
        if self.row.max != last:
            with self.row.changed.blocked():
                self.row.value = 0
                self.row.max = last
                self.row.value = field.check_row(None)
        self._draw()

    def set_colours(self, background: str, ink: str) -> None:
        """Draw in other colours from now on."""
        self._colours = rc_colours(background, ink)
        self.canvas.figure.set_facecolor(background)
        self._draw()

    def _draw(self) -> None:
        if self._field is not None:
            self.canvas.figure.clear()
            with rc_context(self._colours):
                self.drawing = FlatDrawing(self.canvas.figure, self._field, self.row.value)
            self.canvas.shrink_numbers()
        self.canvas.draw_idle()

    def _show_row(self, row: int) -> None:
        if self.drawing is not None:
            with rc_context(self._colours):
                self.drawing.show_row(row)
            self.canvas.draw_idle()
