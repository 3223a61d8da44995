"""A figure that is drawn one axes at a time, so that the window never waits for all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from qtpy.QtCore import QTimer

LEFT, RIGHT, TOP, BOTTOM, BETWEEN = 0.62, 0.1, 0.25, 0.42, 0.62
"""Inches around and between axes; a layout that measures its texts takes as long as drawing."""
SMALL = 8
"""Points of the texts: a dock is narrow."""


class PiecewiseCanvas(FigureCanvasQTAgg):
    """A canvas for axes one under the other; `draw_idle` lets the window work between them.

    Parameters
    ----------
    height : float
        Inches at first; then the figure is as high as its widget.
    """

    right, between = RIGHT, BETWEEN

    def __init__(self, height: float) -> None:
        super().__init__(Figure(figsize=(4, height)))
        self._pieces: Iterator[None] = iter(())
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._draw_piece)

    def shrink_numbers(self) -> None:
        """Let numbers at the axes be as small as the rest; matplotlib makes them when it draws."""
        for axes in self.figure.axes:
            axes.tick_params(labelsize=SMALL)

    def draw_idle(self) -> None:
        """Draw the figure when the window has time, from the beginning if it is half drawn."""
        if hasattr(self, "_timer"):
            self._pieces = self._draw_axes()
            self._timer.start(0)

    def draw(self) -> None:
        """Draw the figure now."""
        self._place_axes()
        super().draw()

    def _draw_piece(self) -> None:
        try:
            next(self._pieces)
        except StopIteration:
            self._timer.stop()
            self.update()

    def _draw_axes(self) -> Iterator[None]:
        if self.width() < 1 or self.height() < 1:
            return
        self._place_axes()
        renderer: Any = self.get_renderer()
        renderer.clear()
        self.figure.patch.draw(renderer)
        for axes in self.figure.axes:
            axes.draw(renderer)
            yield

    def _place_axes(self) -> None:
        """Give the axes what is left of the figure beside their texts."""
        width, height = self.figure.get_size_inches()
        rows = max((axes.get_gridspec().nrows for axes in self.figure.axes), default=1)
        each = (height - TOP - BOTTOM - (rows - 1) * self.between) / rows
        if each > 0 and width > LEFT + self.right:
            self.figure.subplots_adjust(
                LEFT / width,
                BOTTOM / height,
                1 - self.right / width,
                1 - TOP / height,
                hspace=self.between / each,
            )
