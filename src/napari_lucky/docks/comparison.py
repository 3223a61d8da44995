"""The canvas on which layers are compared: wheel and mouse zoom and move all panels at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure

from napari_lucky.fits.inputs import NO_INPUTS, Inputs
from napari_lucky.plots.comparison import Compared, Comparison, Look, save_figure

ZOOM = 1.25
"""A step of the wheel."""
INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")


class ComparisonCanvas(FigureCanvasQTAgg):
    """Panels side by side, linked, and the profiles below.

    Parameters
    ----------
    on_width : callable
        Called when the width has changed, so that the layers are shown again.
    """

    def __init__(self, on_width: Callable[[], None]) -> None:
        super().__init__(Figure(figsize=(4, 4)))
        self._on_width = on_width
        self._colours = self._rc("white", "black")
        self._shown: list[Compared] = []
        self._built: Any = None  # what the comparison on show was made for
        self._dragged: Any = None
        self.comparison: Comparison | None = None
        self.mpl_connect("scroll_event", self._zoomed)
        self.mpl_connect("button_press_event", self._pressed)
        self.mpl_connect("motion_notify_event", self._moved)
        self.mpl_connect("button_release_event", self._released)

    def show_layers(self, layers: Sequence[Compared], look: Look) -> None:
        """Draw layers; where only their pixels are new, only those are drawn again."""
        self._shown = list(layers)
        if not layers:
            self.figure.clear()
            self.comparison = self._built = None
        else:
            built = ([layer.name for layer in layers], look, self.width(), self._colours)
            if built != self._built:
                self._build(look, built)
            assert self.comparison is not None
            self.comparison.show(layers)
        self.draw_idle()

    def _build(self, look: Look, built: Any) -> None:
        before = self.comparison
        view = before.view if before is not None and before.look.side == look.side else None
        with rc_context(self._colours):
            names = [layer.name for layer in self._shown]
            self.comparison = Comparison(self.figure, names, look, self.width())
        self._built, self._dragged = built, None
        if view is not None:
            self.comparison.view = view
        self.setFixedHeight(self.comparison.height)

    def set_colours(self, background: str, ink: str) -> None:
        """Draw in other colours from now on."""
        self._colours = self._rc(background, ink)
        self.figure.set_facecolor(background)
        if self.comparison is not None:
            self.show_layers(self._shown, self.comparison.look)
        self.draw_idle()

    def _rc(self, background: str, ink: str) -> dict[str, Any]:
        return {"axes.facecolor": background, **dict.fromkeys(INKED, ink)}

    def save(self, path: Path, inputs: Inputs = NO_INPUTS) -> None:
        """Write the figure as it is, but black on white; see `save_figure`."""
        colours = self._colours["axes.facecolor"], self._colours["text.color"]
        self.set_colours("white", "black")
        try:
            save_figure(path, self.figure, inputs)
        finally:
            self.set_colours(*colours)

    def draw(self) -> None:
        """Draw, without a word on names in scripts that the font has not."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")
            super().draw()

    def resizeEvent(self, event: Any) -> None:
        """Lay the panels out again where there is more or less room for them."""
        super().resizeEvent(event)
        if self._built is not None and self._built[2] != self.width():
            self._on_width()

    def wheelEvent(self, event: Any) -> None:
        """Zoom over a panel; elsewhere the dock scrolls."""
        if self._in_panel(self.inaxes(self.mouseEventCoords(event))):
            super().wheelEvent(event)
        else:
            event.ignore()

    def _in_panel(self, axes: Any) -> bool:
        panels = self.comparison.panels if self.comparison is not None else []
        return any(axes is panel.axes for panel in panels)

    def _zoomed(self, event: Any) -> None:
        if self.comparison is None or not self._in_panel(event.inaxes):
            return
        x, y = (np.array(limits) for limits in self.comparison.view)
        scale = ZOOM ** -np.clip(event.step, -3, 3)
        self.comparison.view = (
            event.xdata + (x - event.xdata) * scale,
            event.ydata + (y - event.ydata) * scale,
        )
        self.draw_idle()

    def _pressed(self, event: Any) -> None:
        if self.comparison is None or not self._in_panel(event.inaxes):
            return
        if event.dblclick:
            self.comparison.view = self.comparison.whole
            self.draw_idle()
        elif event.button == 1:
            self._dragged = event.inaxes
            event.inaxes.start_pan(event.x, event.y, 1)

    def _moved(self, event: Any) -> None:
        if self._dragged is not None:
            self._dragged.drag_pan(1, None, event.x, event.y)
            self.draw_idle()

    def _released(self, event: Any) -> None:
        if self._dragged is not None:
            self._dragged.end_pan()
            self._dragged = None
