"""The recipe that was opened in a viewer: it fills the docks, and those that are opened later."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from napari_lucky.pipeline.recipe import Recipe

_opened: WeakKeyDictionary[Any, Recipe] = WeakKeyDictionary()


def fill_docks(viewer: Any, recipe: Recipe, path: Path) -> str:
    """Show a recipe in all docks of this program that are open, and keep it for the others.

    Parameters
    ----------
    viewer : napari.Viewer, optional
        Without one, nothing is done.
    recipe : Recipe
    path : pathlib.Path
        Its file.

    Returns
    -------
    str
        What was done, and which run the recipe is of.
    """
    filled = 0
    if viewer is not None:
        _opened[viewer] = recipe
        for dock in viewer.window.dock_widgets.values():
            if type(dock).__module__.startswith("napari_lucky.") and hasattr(dock, "fill"):
                dock.fill(recipe)
                filled += 1
    frames = recipe.input.frames
    of = ", ".join(frames[:3]) + (f" and {len(frames) - 3} more" if frames[3:] else "")
    done = "Filled the open docks from" if filled else "Docks that you open will be filled from"
    return f"{done} {path.name}." + (f" Its frames: {of}." if of else "")


def recipe_opened(viewer: Any) -> Recipe | None:
    """Return the recipe that was opened last in a viewer; None if there is none."""
    return _opened.get(viewer)
