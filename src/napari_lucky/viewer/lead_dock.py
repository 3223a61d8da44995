"""The lead dock, opened from below: by the sample and the demo."""

from __future__ import annotations

import sys
from typing import Any


def open_lead_dock(viewer: Any = None) -> Any:
    """Open the dock "Lucky imaging" in a viewer, the current one if none is given.

    Returns
    -------
    LeadDock or None
        None if there is no window.
    """
    if viewer is None and "napari" in sys.modules:
        import napari

        viewer = napari.current_viewer()
    if viewer is None:
        return None
    return viewer.window.add_plugin_dock_widget("napari-lucky", "Lucky imaging")[1]
