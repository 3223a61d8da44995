"""What the wavefront dock shows of a result: figures, one plot of several, a table of modes."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from magicgui.widgets import ComboBox, Container
from matplotlib import rc_context
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_lucky.docks.form import narrow
from napari_lucky.docks.graphs import rc_colours
from napari_lucky.docks.larger import Graph
from napari_lucky.docks.wrapped_text import WrappedText
from napari_lucky.wavefront.job import MeasuredWavefront
from napari_lucky.wavefront.plots import (
    draw_coefficients,
    draw_mode_variances,
    draw_pictures,
    draw_running,
    draw_selection_bias,
    draw_wavefront,
)
from napari_lucky.wavefront.result import Wavefront
from napari_lucky.wavefront.summary import COLUMNS, sign_note, wavefront_rows

HEIGHT = 400
"""Pixels that a plot needs."""
MODE, LEAST_NAME = COLUMNS.index("mode"), 100
"""The column of names, and pixels that it has at least."""
Draw = Callable[[Any, Any], None]


OF_BOTH: dict[str, Draw] = {
    "coefficients": lambda figure, found: draw_coefficients(
        figure.subplots(), found.coefficients_nm, found.sigma_nm
    ),
    "wavefront on the pupil": lambda figure, found: draw_wavefront(figure.subplots(), found),
    "measured, model, residual": lambda figure, found: draw_pictures(
        figure.subplots(3, 2).T.ravel(), found.pictures
    ),
}
OF_FRAMES: dict[str, Draw] = {
    "over the number of frames": lambda figure, found: draw_running(
        figure.subplots(), found.running_nm
    ),
    "variance of the modes, D/r0": lambda figure, found: draw_mode_variances(
        figure.subplots(), found
    ),
    "rms over the fraction kept": lambda figure, found: draw_selection_bias(
        figure.subplots(), found
    ),
}
PLOTS = {**OF_BOTH, **OF_FRAMES}


class ModeTable(QTableWidget):
    """A table whose names of modes have the room that the numbers leave."""

    def fit(self) -> None:
        """Give the names their room."""
        header, view = self.horizontalHeader(), self.viewport()
        if header is None or view is None:
            return
        numbers = sum(header.sectionSize(k) for k in range(len(COLUMNS)) if k != MODE)
        header.resizeSection(MODE, max(view.width() - numbers, LEAST_NAME))

    def resizeEvent(self, event: Any) -> None:
        """Give the names their room in the new width."""
        super().resizeEvent(event)
        self.fit()


class WavefrontView(QWidget):
    """A measured wavefront; hidden without one."""

    def __init__(self) -> None:
        super().__init__()
        self.measured: MeasuredWavefront | None = None
        self.summary = WrappedText()
        self.plot = ComboBox(
            name="plot", label="plot", choices=list(OF_BOTH), tooltip="What is drawn below"
        )
        narrow(self.plot.native)
        self._form = Container(widgets=[self.plot])  # kept: its native widget does not keep it
        self.canvas = FigureCanvasQTAgg(Figure(figsize=(4, 3.6), layout="constrained"))
        self.canvas.setMinimumHeight(HEIGHT)
        self.table = ModeTable(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels([one.replace(" ", "\n") for one in COLUMNS])
        self.table.verticalHeader().hide()
        header, how = self.table.horizontalHeader(), QHeaderView.ResizeMode
        header.setMinimumSectionSize(24)
        header.setSectionResizeMode(how.ResizeToContents)
        header.setSectionResizeMode(MODE, how.Interactive)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setWordWrap(False)
        self.table.setMinimumHeight(240)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        graph = Graph(self.canvas, "Wavefront")
        for widget in (self.summary, self._form.native, graph, self.table):
            column.addWidget(widget)
        self._colours: dict[str, Any] = rc_colours("white", "black")
        self.plot.changed.connect(self._draw)
        self.hide()

    def show_wavefront(
        self, measured: MeasuredWavefront, title: str, rows: list[tuple[str, ...]]
    ) -> None:
        """Show a result, and the plot that is chosen if there is such a one of it.

        Parameters
        ----------
        measured : MeasuredWavefront
        title : str
            What it was measured on.
        rows : list
            Of the modes, from `mode_rows`.
        """
        self.measured = measured
        self.summary.setHtml(_html(measured, title))
        self._fill(rows)
        kept = self.plot.value
        with self.plot.changed.blocked():
            of_frames = isinstance(measured.wavefront, Wavefront)
            self.plot.choices = list(PLOTS if of_frames else OF_BOTH)
            self.plot.value = kept if kept in self.plot.choices else self.plot.choices[0]
        self.show()
        self._draw()

    def set_colours(self, background: str, ink: str) -> None:
        """Draw in other colours from now on."""
        self._colours = rc_colours(background, ink)
        self.canvas.figure.set_facecolor(background)
        self._draw()

    def _fill(self, rows: list[tuple[str, ...]]) -> None:
        self.table.setRowCount(len(rows))
        numbers = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if COLUMNS[column] != "mode":
                    item.setTextAlignment(numbers)
                self.table.setItem(row, column, item)
        self.table.fit()

    def _draw(self, *_: Any) -> None:
        self.canvas.figure.clear()
        if self.measured is not None:
            with rc_context(self._colours):
                PLOTS[self.plot.value](self.canvas.figure, self.measured.wavefront)
        self.canvas.draw_idle()


def _html(measured: MeasuredWavefront, title: str) -> str:
    cells = "".join(
        f"<tr><td>{escape(name)}&nbsp;</td><td>{escape(value)}</td></tr>"
        for name, value in wavefront_rows(measured.wavefront)
    )
    said = (*measured.notes, sign_note(measured.wavefront))
    notes = "".join(f"<p>{escape(note)}</p>" for note in said)
    return f"<b>{escape(title)}</b><table>{cells}</table>{notes}"
