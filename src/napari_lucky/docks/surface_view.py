"""A surface in napari's 3-D view, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari
from napari.layers import Layer

LOOK, UP = (-0.7, -0.7, 0.0), (1.0, 0.0, 0.0)
"""Where the camera looks, and what is up for it, (z, y, x)."""
FILLED = 0.65
"""Fraction of the window that a surface fills."""


class SurfaceView:
    """Shows surfaces alone in 3-D; in 2-D again, what was seen before is seen as it was.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose view.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._surfaces: list[Layer] = []
        self._before: Any = None  # what was seen before a surface
        viewer.dims.events.ndisplay.connect(self._go_back, position="last")

    def close(self) -> None:
        """Follow the viewer no longer."""
        self._viewer.dims.events.ndisplay.disconnect(self._go_back)

    def show(self, add: Callable[[], Layer]) -> None:
        """Hide all layers, add a surface and look at it in 3-D.

        A run that were visible in 3-D would be read as a whole.
        """
        viewer, camera = self._viewer, self._camera
        seen = [layer for layer in viewer.layers if layer.visible]
        if self._before is None:
            self._before = (viewer.dims.point, camera.center, camera.zoom, seen)
        for layer in seen:
            layer.visible = False
        surface = add()
        self._surfaces.append(surface)
        viewer.dims.ndisplay = 3
        low, high = surface.extent.world
        _, _, width, height = viewer.window.geometry()
        camera.center = tuple((low + high) / 2)
        camera.zoom = FILLED * min(width, height) / max(high - low)
        camera.set_view_direction(LOOK, UP)

    def _go_back(self, *_: Any) -> None:
        viewer, camera = self._viewer, self._camera
        if self._before is None or viewer.dims.ndisplay == 3:
            return
        point, camera.center, camera.zoom, seen = self._before
        self._before = None
        first = viewer.dims.ndim - len(point)
        for axis, place in enumerate(point, first):  # napari took the camera's depth for a frame
            if axis >= 0:
                viewer.dims.set_point(axis, place)
        for layer in self._surfaces:
            layer.visible = False
        for layer in seen:
            layer.visible = True
        self._surfaces = []

    @property
    def _camera(self) -> Any:
        """The viewer's camera; napari 0.9 moved it."""
        viewer = self._viewer
        return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
