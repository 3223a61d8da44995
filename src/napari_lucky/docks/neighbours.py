"""Docks that open docks: from a step to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import napari
import numpy as np


def open_dock(viewer: napari.Viewer, name: str) -> Any:
    """Open one of this plugin's docks, or bring it to the front, and return it.

    Parameters
    ----------
    viewer : napari.Viewer
    name : str
        Of its command in the manifest, such as "registration".
    """
    outer, dock = viewer.window.add_plugin_dock_widget("napari-lucky", title_of(name))
    outer.show()
    outer.raise_()
    return dock


def title_of(name: str) -> str:
    """Return the title of a dock in napari's menu, by the name of its command."""
    command = f"napari-lucky.{name}"
    return next(str(one.display_name) for one in _declared().widgets if one.command == command)


def title_of_dock(kind: type) -> str:
    """Return the title of a dock in napari's menu, by its class."""
    made_by = f"{kind.__module__}:{kind.__name__}"
    return next(str(one.title) for one in _declared().commands if one.python_name == made_by)


def _declared() -> Any:
    """Return what this plugin declares to napari."""
    from npe2 import PluginManager

    return PluginManager.instance().get_manifest("napari-lucky").contributions


def look_at(viewer: napari.Viewer, layers: Sequence[Any]) -> None:
    """Bring some layers into view: from a view of all of them, as near as they still fit."""
    if viewer.dims.ndisplay != 2:
        return
    viewer.reset_view()
    extents = np.array([layer.extent.world[:, -2:] for layer in layers])
    low, high = extents[:, 0].min(axis=0), extents[:, 1].max(axis=0)
    whole = np.ptp(np.asarray(viewer.layers.extent.world)[:, -2:], axis=0)
    nearer = float((whole / np.maximum(high - low, 1e-9)).min())
    camera = getattr(viewer, "scene", viewer).camera  # where napari has it since 0.9
    camera.center = (0.0, *((low + high) / 2).tolist())
    camera.zoom = camera.zoom * max(nearer, 1.0)
