"""What all docks of a viewer share."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import napari

NAME = "_napari_lucky"


class OfViewer(Protocol):
    """What is made for a viewer."""

    def __init__(self, viewer: napari.Viewer) -> None: ...


T = TypeVar("T", bound=OfViewer)


def of_viewer(viewer: napari.Viewer, kind: type[T]) -> T:
    """Return the one object of a kind that belongs to a viewer.

    It is kept with the viewer's layers, to which it may refer, and goes with them: what a table
    beside held would keep the viewer alive.
    """
    kept: dict[type, Any] = vars(viewer.layers).setdefault(NAME, {})
    if kind not in kept:
        kept[kind] = kind(viewer)
    found: T = kept[kind]
    return found
