"""The stars' windows in the lead dock: Y, X, SIZE of each, tied to the rectangles drawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from magicgui.widgets import Container, LineEdit, PushButton, Widget
from napari.layers import Shapes

from napari_lucky.docks.choices import base_name
from napari_lucky.docks.form import share_by_text
from napari_lucky.docks.made_layers import put_in_place
from napari_lucky.docks.window_drawing import NAMES, WindowDrawing
from napari_lucky.errors import LuckyError
from napari_lucky.frames.window import Window, parse_window, window_text
from napari_lucky.viewer.from_layers import windows_of
from napari_lucky.viewer.to_layers import LayerTuple, windows_tuple


class StarBoxes:
    """A line for each window, and buttons that place and draw them."""

    def __init__(self) -> None:
        hints = ("placed by itself", "none")
        self.lines = {
            name: LineEdit(
                name=f"{name}_window",
                label=name,
                tooltip=f"Window of the {name}ed star: Y, X, SIZE, the row and column of its "
                f"centre, from 0, and its side in pixels; empty: {hint}",
            )
            for name, hint in zip(NAMES, hints, strict=True)
        }
        for line, hint in zip(self.lines.values(), hints, strict=True):
            line.native.setPlaceholderText(f"Y, X, SIZE; {hint}")
        self.place_button = PushButton(
            text="Place defocused star",
            tooltip="Look for the disk of the defocused star beside the focused one",
        )
        self.draw_button = PushButton(
            text="Draw",
            tooltip="Draw a rectangle around the focused star on the canvas, then another around "
            "the defocused star",
        )
        self.buttons = Container(
            name="stars",
            label=" ",
            widgets=[self.place_button, self.draw_button],
            layout="horizontal",
            labels=False,
        )
        self.buttons.margins = (0, 0, 0, 0)
        share_by_text([self.place_button, self.draw_button])
        self.add: Callable[[LayerTuple], Any] | None = None
        """Puts a layer into the viewer."""
        self.drawing: WindowDrawing | None = None
        """Follows the rectangles while they are drawn."""
        self.layer: Shapes | None = None
        """The rectangles."""
        self._image: Any = None
        self._busy = False
        for line in self.lines.values():
            line.native.editingFinished.connect(self._typed)

    @property
    def widgets(self) -> list[Widget]:
        """What a dock shows."""
        return [*self.lines.values(), self.buttons]

    @property
    def windows(self) -> tuple[Window | None, Window | None]:
        """The windows that are typed: focus, defocus.

        Raises
        ------
        LuckyError
            If a text is no window.
        """
        texts = [str(line.value).strip() for line in self.lines.values()]
        focus, defocus = (parse_window(text) if text else None for text in texts)
        return focus, defocus

    def show(self, image: Any, focus: Window | None, defocus: Window | None) -> None:
        """Show windows on an image layer, in the lines and as rectangles."""
        self._image = image
        for name, window in zip(NAMES, (focus, defocus), strict=True):
            self.lines[name].value = "" if window is None else window_text(window)
        self._draw()

    def check(self) -> None:
        """Raise a `LuckyError` if what is drawn is no window."""
        if self.layer is not None and len(self.layer.data):
            windows_of(self.layer, self._image)

    def forget(self) -> None:
        """Show none: they were of another run."""
        self._image = self.layer = None
        for line in self.lines.values():
            line.value = ""

    def follow(self, layer: Shapes, image: Any) -> None:
        """Take the windows from a layer of rectangles, now and when they are moved."""
        self._image = image
        if self.layer is not layer:
            self.layer = layer
            layer.events.data.connect(partial(self._moved, layer))
        if self.drawing is not None:
            self.drawing.follow(layer, image)
        self._moved(layer)

    def _moved(self, layer: Shapes | None, *_: Any) -> None:
        """Show where the rectangles are."""
        if self._busy or layer is not self.layer or layer is None:
            return
        try:
            windows = windows_of(layer, self._image) if len(layer.data) else []
        except LuckyError:
            return  # said where they are drawn
        for name, window in zip(NAMES, (*windows, None, None), strict=False):
            self.lines[name].value = "" if window is None else window_text(window)

    def _typed(self) -> None:
        """Move the rectangles to what was typed."""
        if self._image is not None and any(line.native.isModified() for line in self._lines):
            self._draw()

    @property
    def _lines(self) -> list[LineEdit]:
        return list(self.lines.values())

    def _draw(self) -> None:
        """Draw the windows that are typed."""
        try:
            focus, defocus = self.windows
        except LuckyError:
            return  # in the middle of typing
        known = [window for window in (focus, defocus) if window is not None]
        if self._image is None or self.add is None:
            return
        self._busy = True
        try:
            name = f"{base_name(self._image)} windows"
            made = windows_tuple([] if focus is None else known, name, like=self._image)
            if self.layer is not None and self.layer in self._layers():
                put_in_place(self.layer, made)
            elif focus is not None:
                self.follow(self.add(made), self._image)
        finally:
            self._busy = False

    def _layers(self) -> list[Any]:
        from napari import current_viewer

        viewer = current_viewer()
        return [] if viewer is None else list(viewer.layers)
