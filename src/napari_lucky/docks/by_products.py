"""What a dock makes beside its result: layers that are added on request only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari
from magicgui.widgets import CheckBox
from napari.layers import Layer

from napari_lucky.docks.made_layers import made_layers
from napari_lucky.viewer.to_layers import LayerTuple

ByProduct = tuple[Callable[[], LayerTuple], Callable[[Layer], Any]]
"""What makes a layer, and what is called with it."""


class ByProducts(CheckBox):
    """A box whose tick adds the by-products of the last job as layers.

    Parameters
    ----------
    viewer : napari.Viewer
        Where they are removed from when it is unticked.
    what : str
        What they are.
    add : callable
        Adds a layer, and returns it.
    """

    def __init__(
        self, viewer: napari.Viewer, what: str, add: Callable[[LayerTuple], Layer]
    ) -> None:
        super().__init__(
            name="show_extras",
            text=f"show {what}",
            tooltip="Add by-products as layers too; untick to remove them",
        )
        self._viewer, self._add = viewer, add
        self._made: dict[str, ByProduct] = {}
        self.changed.connect(self._show)

    def offer(
        self, name: str, make: Callable[[], LayerTuple], then: Callable[[Layer], Any] = id
    ) -> None:
        """Add a layer if it is asked for, now or later.

        Parameters
        ----------
        name : str
            The layer's.
        make : callable
            Returns its data, metadata and kind.
        then : callable
            Called with the layer when it is there.
        """
        self._made[name] = make, then
        if self.value:
            then(self._add(make()))

    def forget(self) -> None:
        """Offer nothing any more."""
        self._made.clear()

    def _show(self, on: bool) -> None:
        for name, (make, then) in self._made.items():
            last = made_layers(self._viewer).last(name)
            if on and last is None:
                then(self._add(make()))
            elif not on and last is not None:
                self._viewer.layers.remove(last)
