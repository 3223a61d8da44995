"""Graphs in the colours of napari's theme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari
from napari.utils.theme import get_theme


def theme_colours(viewer: napari.Viewer) -> tuple[str, str]:
    """Return the theme's colours of the background and of text."""
    theme = get_theme(viewer.theme)
    return theme.background.as_hex(), theme.text.as_hex()


def follow_theme(
    viewer: napari.Viewer, set_colours: Callable[[str, str], None]
) -> Callable[[], None]:
    """Draw in the theme's background and text colours, now and when the theme changes.

    Returns
    -------
    callable
        Ends it; call it when the graph is closed.
    """

    def show(*_: Any) -> None:
        set_colours(*theme_colours(viewer))

    show()
    viewer.events.theme.connect(show)
    return lambda: viewer.events.theme.disconnect(show)
