"""The layers that the docks made in a viewer: a new result takes the place of the last one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import napari
import numpy as np
from napari.layers import Image, Layer, Shapes, Vectors

from napari_lucky.docks.of_viewer import of_viewer
from napari_lucky.viewer.to_layers import LayerTuple

MARKS = ("shifts", "tracked", "windows")
"""What is drawn over a run, by the ends of the layers' names."""
STALE = " (stale)"
"""At the end of a stack's name, if shifts or choice of frames have changed since."""


def made_layers(viewer: napari.Viewer) -> MadeLayers:
    """Return the layers that all docks made in a viewer."""
    return of_viewer(viewer, MadeLayers)


class Made(NamedTuple):
    """A result in the viewer."""

    layer: Layer
    limits: Any  # of its contrast, as it was given
    name: str  # that it was given


class MadeLayers:
    """Results by the names that they were to have.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._layers = viewer.layers
        self._made: dict[str, Made] = {}
        self._watched: dict[Vectors, Watch] = {}

    def last(self, name: str) -> Layer | None:
        """Return the last result of a name, if it is still there."""
        made = self._made.get(name)
        return made.layer if made is not None and made.layer in self._layers else None

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
        made = self._made.get(name)
        if replace and made is not None and made.layer in self._layers:
            last, known = made.layer, made.layer.name in (made.name, made.name + STALE)
            if quiet or known:
                put_in_place(last, layer, made.limits)
                if known:
                    last.name = made.name
                if not quiet:
                    last.visible = meta.get("visible", True)
                self._made[name] = Made(last, limits, made.name)
                return last
        # shown once it is in its place: until then, napari would read and draw its first frame
        free = self.free_name(name)
        added = Layer.create(data, {**meta, "visible": False, "name": free}, kind)
        place = len(self._layers)
        if isinstance(added, Image):  # under the windows, points and arrows, which it would hide
            while place > 0 and not isinstance(self._layers[place - 1], Image):
                place -= 1
        self._layers.insert(place, added)
        added.visible = meta.get("visible", True)
        self._made[name] = Made(added, limits, free)
        return added

    def hide_marks(self, run: str) -> None:
        """Hide arrows, points and windows of a run: its stack is shown."""
        for what in MARKS:
            if (layer := self.last(f"{run} {what}")) is not None:
                layer.visible = False

    def free_name(self, name: str) -> str:
        """Return a name that no layer has: the name, or the name with a number."""
        taken = {layer.name for layer in self._layers}
        free, number = name, 2
        while free in taken:
            free, number = f"{name} {number}", number + 1
        return free

    def stacked(self, shifts: Vectors, names: Sequence[str]) -> None:
        """Take note that results were made with these shifts: they are marked when these change."""
        if (old := self._watched.pop(shifts, None)) is not None:
            old.end()
        self._watched[shifts] = Watch(shifts, lambda stale: self._mark(names, stale))

    def _mark(self, names: Sequence[str], stale: bool) -> None:
        for name in names:
            made = self._made.get(name)
            if made is not None and made.layer.name in (made.name, made.name + STALE):
                made.layer.name = made.name + (STALE if stale else "")


class Watch:
    """Shifts, and whether they and the choice of frames are still what they were.

    Parameters
    ----------
    shifts : napari.layers.Vectors
    changed : callable
        Called as changed(stale) when that may have changed.
    """

    def __init__(self, shifts: Vectors, changed: Callable[[bool], None]) -> None:
        self._shifts, self._report = shifts, changed
        self._then = self._now()
        for event in (shifts.events.features, shifts.events.data):
            event.connect(self._changed)

    def _now(self) -> bytes:
        features = self._shifts.features
        return b"".join(
            np.asarray(features[name]).tobytes()
            for name in ("dy", "dx", "selected")
            if name in features
        )

    def _changed(self, *_: Any) -> None:
        self._report(self._now() != self._then)

    def end(self) -> None:
        """Watch no more."""
        for event in (self._shifts.events.features, self._shifts.events.data):
            event.disconnect(self._changed)


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
