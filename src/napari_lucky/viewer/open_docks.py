"""The docks of this program, opened from docks, by the sample and by the demo."""

from __future__ import annotations

import sys
from typing import Any


def open_dock(viewer: Any, name: str) -> Any:
    """Open one of this program's docks, or bring it to the front, and return it.

    It has the name that napari's menu gives it, so that both are one dock.

    Parameters
    ----------
    viewer : napari.Viewer
    name : str
        Of its command in the manifest, such as "registration".
    """
    declared, window = _widget(name), viewer.window
    kind = declared.get_callable()
    there = [one for one in window.dock_widgets.values() if type(one) is kind]
    if there:
        dock: Any = there[-1]
        dock.parent().show()
        dock.parent().raise_()
        return dock
    dock = kind(viewer)
    window.add_dock_widget(dock, name=f"{declared.display_name} ({_manifest().display_name})")
    return dock


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
    return open_dock(viewer, "lead")


def title_of(name: str) -> str:
    """Return the title of a dock, by the name of its command."""
    return str(_widget(name).display_name)


def title_of_dock(kind: type) -> str:
    """Return the title of a dock, by its class."""
    made_by = f"{kind.__module__}:{kind.__name__}"
    commands = _manifest().contributions.commands
    return next(str(one.title) for one in commands if one.python_name == made_by)


def _widget(name: str) -> Any:
    command = f"napari-lucky.{name}"
    return next(one for one in _manifest().contributions.widgets if one.command == command)


def _manifest() -> Any:
    """Return what this plugin declares to napari."""
    from npe2 import PluginManager

    return PluginManager.instance().get_manifest("napari-lucky")
