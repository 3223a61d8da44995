"""The slider of frames."""

from __future__ import annotations

import napari


def frame_shown(viewer: napari.Viewer, n: int) -> int:
    """Return which of n frames of a result the slider will show: see `show_frame_of`."""
    axis = viewer.dims.ndim - 3
    frame = int(viewer.dims.current_step[axis]) if axis >= 0 else 0
    return frame if frame < n else 0


def show_frame_of(viewer: napari.Viewer, n: int) -> None:
    """Move the slider to a frame that a new layer of n frames has."""
    axis = viewer.dims.ndim - 3
    if axis >= 0 and viewer.dims.current_step[axis] >= n:
        viewer.dims.set_current_step(axis, 0)
