"""Docks as tabs: several on top of each other have no room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QLabel, QMainWindow, QTabWidget

from napari_lucky.viewer.open_docks import title_of_dock

if TYPE_CHECKING:
    from napari_lucky.docks.dock import Dock

RIGHT = Qt.DockWidgetArea.RightDockWidgetArea


def join_tabs(dock: Dock) -> None:
    """Make a dock a tab beside this program's others, at the window's right edge.

    Upright, there is room for the titles of all docks.
    """
    outer: Any = dock.parent()
    window: Any = dock.window()
    if not isinstance(outer, QDockWidget) or not isinstance(window, QMainWindow):
        return
    others = [
        one
        for one in window.findChildren(QDockWidget)
        if one is not outer and _is_ours(one.widget()) and not one.isFloating()
    ]
    if others:
        window.setTabPosition(RIGHT, QTabWidget.TabPosition.East)
    if others and not window.tabifiedDockWidgets(outer):
        window.tabifyDockWidget(others[-1], outer)
    outer.raise_()


def name_dock(dock: Dock) -> None:
    """Give a dock its title: napari's is longer, and another one if a script opened the dock."""
    outer: Any = dock.parent()
    if not isinstance(outer, QDockWidget):
        return
    title = title_of_dock(type(dock))

    def name(*_: Any) -> None:
        outer.setWindowTitle(title)
        bar = outer.titleBarWidget()
        for label in [] if bar is None else bar.findChildren(QLabel):
            label.setText(title)

    name()
    for moved in (outer.topLevelChanged, outer.dockLocationChanged):
        moved.connect(name)  # napari makes the bar again


def _is_ours(inside: Any) -> bool:
    return type(inside).__module__.startswith("napari_lucky.")
