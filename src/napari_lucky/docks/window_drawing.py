"""Windows being drawn: what to do next stands on the canvas, and rectangles become squares."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import napari
from napari.layers import Shapes
from qtpy.QtCore import QTimer

from napari_lucky.docks.made_layers import put_in_place
from napari_lucky.docks.of_viewer import of_viewer
from napari_lucky.errors import LuckyError
from napari_lucky.frames.window import Window
from napari_lucky.viewer.from_layers import windows_of
from napari_lucky.viewer.messages import show_warning
from napari_lucky.viewer.to_layers import windows_tuple

NAMES = ("focus", "defocus")
REST_MS = 400
"""After the last move of a rectangle it is made a square, as a recipe's windows are."""
LINE = 48
"""Letters in a line on the canvas."""
NEXT = (
    "Draw a rectangle around the focused star",
    "Now draw one around the defocused star, if there is one",
    "Drag a window to move it",
)
"""What to do when none, one and two rectangles are drawn."""


def window_drawing(viewer: napari.Viewer) -> WindowDrawing:
    """Return what follows the windows that are drawn in a viewer."""
    return of_viewer(viewer, WindowDrawing)


class WindowDrawing:
    """Follows a layer of windows while rectangles are drawn and moved in it.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._layers, self._text = viewer.layers, _canvas_text(viewer)
        self._layer: Shapes | None = None
        self._image: Any = None
        self._before: tuple[Any, ...] | None = None  # the canvas's text, while a hint is shown
        self._dragging = False
        self._rest = QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._square)
        for event in (viewer.layers.selection.events.active, viewer.layers.events.removed):
            event.connect(self._left)

    def follow(self, layer: Shapes, image: Any) -> None:
        """Make squares of what is drawn in a layer from now on, in pixels of an image layer."""
        self._image = image
        if layer is self._layer:
            return
        self.forget()
        self._layer, self._image = layer, image
        layer.events.data.connect(self._changed)
        layer.events.mode.connect(self._left)
        layer.mouse_drag_callbacks.append(self._drag)

    def begin(self, layer: Shapes, image: Any) -> None:
        """Let rectangles be drawn in place of those there are, and say on the canvas how."""
        self.follow(layer, image)
        put_in_place(layer, windows_tuple([], layer.name, like=image))
        layer.visible = True
        layer.current_face_color, layer.current_edge_color = "transparent", "#ffb000"
        self._layers.selection.active = layer
        layer.mode = "add_rectangle"
        self._hint()

    def forget(self) -> None:
        """Follow no layer, and clear the canvas of what was said."""
        self._rest.stop()
        self._clear()
        if self._layer is not None:
            self._layer.events.data.disconnect(self._changed)
            self._layer.events.mode.disconnect(self._left)
            self._layer.mouse_drag_callbacks.remove(self._drag)
        self._layer = self._image = None

    def _windows(self) -> list[Window]:
        layer = self._layer
        return windows_of(layer, self._image) if layer is not None and len(layer.data) else []

    def _changed(self, event: Any) -> None:
        """Look at what is drawn, once it is drawn."""
        layer, action = self._layer, str(event.action)
        if layer is None or action.endswith("ing"):
            return
        if "window" in layer.features:
            layer.feature_defaults = {"window": NAMES[min(len(layer.data), 1)]}
        try:
            windows = self._windows()
        except LuckyError as error:
            self._hint(str(error))
            if action == "added":
                show_warning(str(error))
            return
        if len(windows) > len(NAMES) and action == "added":
            show_warning(
                f"“{layer.name}” holds {len(windows)} rectangles: the first is the focused star’s, "
                "the second the defocused star’s. Remove the others."
            )
        if len(windows) <= len(NAMES):
            if any(window.height != window.width for window in windows):
                self._rest.start()
            if len(windows) == len(NAMES) and action == "added" and self._before is not None:
                layer.mode = "select"
        self._hint()

    def _drag(self, layer: Shapes, event: Any) -> Iterator[None]:
        """Show the size while the mouse moves."""
        yield
        self._dragging = True
        while event.type == "mouse_move":
            self._hint()
            yield
        self._dragging = False

    def _square(self) -> None:
        """Make the rectangles squares."""
        layer, image = self._layer, self._image
        if layer is None or layer not in self._layers:
            return
        try:
            squares = [window.squared(image.data.shape) for window in self._windows()]
        except LuckyError:
            return
        put_in_place(layer, windows_tuple(squares, layer.name, like=image))
        self._hint()

    # --- the canvas

    def _hint(self, text: str = "") -> None:
        """Say what comes next, while rectangles are drawn, and how large those there are."""
        layer = self._layer
        if layer is None or str(layer.mode) == "pan_zoom":
            return
        if not text:
            try:
                windows = self._windows()
            except LuckyError as error:
                text = str(error)
            else:
                sizes = [
                    f"{name} {window.height} x {window.width} px"
                    for name, window in zip(NAMES, windows, strict=False)
                ]
                drawn = len(windows) - (self._dragging and str(layer.mode) == "add_rectangle")
                text = "\n".join([NEXT[min(max(drawn, 0), len(NAMES))], *sizes])
        overlay = self._text
        if self._before is None:
            self._before = overlay.text, overlay.visible, overlay.position
            overlay.position = "top_center"
        overlay.text, overlay.visible = wrap_for_canvas(text), True

    def _left(self, *_: Any) -> None:
        """Clear the canvas if nothing is drawn any more."""
        layer = self._layer
        if layer is None or self._before is None:
            return
        there = layer in self._layers
        if there and self._layers.selection.active is layer and str(layer.mode) != "pan_zoom":
            return
        self._clear()

    def _clear(self) -> None:
        if self._before is not None:
            overlay = self._text
            overlay.text, overlay.visible, overlay.position = self._before
            self._before = None


def wrap_for_canvas(text: str) -> str:
    """Return a text in lines that the canvas has room for."""
    return "\n".join(line for part in text.split("\n") for line in wrap(part, LINE))


def _canvas_text(viewer: napari.Viewer) -> Any:
    """Return the text on the canvas; napari 0.9 moved it."""
    overlays = getattr(getattr(viewer, "canvas", None), "overlays", None)
    return viewer.text_overlay if overlays is None else overlays.text
