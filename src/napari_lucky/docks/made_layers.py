"""The layers that the docks made in a viewer: a new result takes the place of the last one."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import napari
import numpy as np
from napari.layers import Image, Layer, Shapes, Vectors

from napari_lucky.viewer.to_layers import LayerTuple

_of_viewer: WeakKeyDictionary[napari.Viewer, MadeLayers] = WeakKeyDictionary()


def made_layers(viewer: napari.Viewer) -> MadeLayers:
    """Return the layers that all docks made in a viewer."""
    return _of_viewer.setdefault(viewer, MadeLayers(viewer))


class MadeLayers:
    """Results by the names that they were given, and the contrast limits that they began with.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._layers = viewer.layers
        self._made: dict[str, tuple[Layer, Any]] = {}

    def last(self, name: str) -> Layer | None:
        """Return the last result of a name, if it is still there."""
        layer, _ = self._made.get(name, (None, None))
        return layer if layer in self._layers else None

    def add(self, layer: LayerTuple, *, replace: bool, quiet: bool = False) -> Layer:
        """Show a result.

        Parameters
        ----------
        layer : tuple
            Data, metadata and kind of a layer.
        replace : bool
            Whether it takes the place of the last result of its name; one that the user has
            renamed stays. Else it is a layer more, and its name is made unique.
        quiet : bool
            Whether a layer that is hidden stays so, and one that is renamed is replaced.
        """
        data, meta, kind = layer
        name, limits = meta["name"], meta.get("contrast_limits")
        last, shown = self.last(name), self._made.get(name, (None, None))[1]
        if replace and last is not None and (quiet or last.name == name):
            put_in_place(last, layer, shown)
            if not quiet:
                last.visible = meta.get("visible", True)
            self._made[name] = last, limits
            return last
        # shown once it is in its place: until then, napari would read and draw its first frame
        added = Layer.create(data, {**meta, "visible": False, "name": self.free_name(name)}, kind)
        place = len(self._layers)
        if isinstance(added, Image):  # under the windows, points and arrows, which it would hide
            while place > 0 and not isinstance(self._layers[place - 1], Image):
                place -= 1
        self._layers.insert(place, added)
        added.visible = meta.get("visible", True)
        self._made[name] = added, limits
        return added

    def free_name(self, name: str) -> str:
        """Return a name that no layer has: the name, or the name with a number."""
        taken = {layer.name for layer in self._layers}
        number = 2
        free = name
        while free in taken:
            free, number = f"{name} {number}", number + 1
        return free


def put_in_place(layer: Layer, new: LayerTuple, limits: Any = None) -> None:
    """Give a layer the data, features, place and history of a new one of its kind.

    Its contrast as well, if it still has the limits that it was given.
    """
    data, meta, _ = new
    untouched = limits is not None and np.allclose(layer.contrast_limits, limits)
    layer.metadata = meta.get("metadata", {})
    if isinstance(layer, Shapes):
        put_rectangles(layer, data, meta)
        return
    layer.data = data
    if untouched:
        layer.contrast_limits = meta["contrast_limits"]
    for name in ("scale", "translate", "features"):
        if name in meta:
            setattr(layer, name, meta[name])
    if isinstance(layer, Vectors):
        layer.refresh_colors()


def put_rectangles(layer: Shapes, corners: list[Any], meta: dict[str, Any]) -> None:
    """Replace the rectangles of a layer, and what their labels say."""
    layer.selected_data = set(range(len(layer.data)))
    layer.remove_selected()
    if len(corners):
        layer.add_rectangles(corners)
        layer.features = meta["features"]
    layer.feature_defaults = meta["feature_defaults"]
