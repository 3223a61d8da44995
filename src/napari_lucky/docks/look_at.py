"""Layers brought into view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import napari
import numpy as np


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
