"""A list of layers with a tick each: the choice of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari
from napari.layers import Layer
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_lucky.text import without_tags

ON, OFF = Qt.CheckState.Checked, Qt.CheckState.Unchecked


class LayerChecks(QListWidget):
    """Layers in the order of napari's own list; ticks survive renaming, moving and removal.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose layers.
    accept : callable
        Returns for a layer whether it is listed.
    likely : callable
        Returns which of the layers listed are ticked until the user ticks one.
    on_change : callable
        Called when ticks, names or layers have changed.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        accept: Callable[[Layer], bool],
        likely: Callable[[list[Layer]], list[Layer]],
        on_change: Callable[[], None],
    ) -> None:
        super().__init__()
        self._viewer, self._accept, self._likely = viewer, accept, likely
        self._on_change = on_change
        self._by_user = False
        self.layers: list[Layer] = []
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemChanged.connect(self._ticked)

    @property
    def chosen(self) -> list[Layer]:
        """The layers that are ticked, from the top of the list."""
        rows = enumerate(self.layers)
        return [layer for row, layer in rows if self.item(row).checkState() == ON]

    def tick(self, layers: list[Layer]) -> None:
        """Tick these layers too."""
        for row, layer in enumerate(self.layers):
            if layer in layers:
                self.item(row).setCheckState(ON)

    def _ticked(self, *_: Any) -> None:
        self._by_user = True
        self._on_change()

    def reset_choices(self) -> None:
        """Take up the viewer's layers again, and keep what was ticked."""
        kept = self.chosen
        self.layers = [layer for layer in reversed(self._viewer.layers) if self._accept(layer)]
        ticked = kept if self._by_user else self._likely(self.layers)
        blocker = QSignalBlocker(self)
        self.clear()
        for layer in self.layers:
            item = QListWidgetItem(layer.name)
            item.setToolTip(without_tags(layer.name))
            item.setCheckState(ON if layer in ticked else OFF)
            self.addItem(item)
        blocker.unblock()
        self._on_change()
