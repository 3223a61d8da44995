"""Where a recipe comes from: its file, a folder of results, or the history of a result."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky.errors import LuckyError
from napari_lucky.fits.image import is_fits_name
from napari_lucky.fits.read_back import is_own_file, read_saved
from napari_lucky.fits.run_files import open_run
from napari_lucky.fits.table_file import is_table, read_table
from napari_lucky.frames.history import History, frame_numbers, recorded_windows
from napari_lucky.frames.window import Window
from napari_lucky.pipeline.recipe import Recipe, read_recipe, recipe_of_history

CHECKSUM = "names_and_sizes_sha256"
TABLES = {
    "read shifts": ("shifts", "--shifts", "the frames are registered and ranked again"),
    "read times": ("times of the frames", "--times", "those of the headers are used"),
}


def open_recipe(path: str | Path) -> Recipe:
    """Return the recipe that a file or a folder holds.

    Parameters
    ----------
    path : path
        A recipe.toml, a folder with one, as `napari-lucky process` leaves it, or what this
        program saved with its history: FITS, or a table of shifts. A history does not say where
        the frames are.

    Raises
    ------
    LuckyError
        If it holds none.
    """
    path = Path(path)
    if path.is_dir():
        return read_recipe(path)
    history = history_in(path)
    if history is None:
        return read_recipe(path)
    if not any(step.name in ("calibrate", "register") for step in history):
        raise LuckyError(
            f"{path}: this file does not say how it was made; give a recipe.toml, or a result "
            "of this program."
        )
    given, _ = inputs_in(history)
    return recipe_of_history(history, **given)


def history_in(path: Path) -> History | None:
    """Return the history of a saved image or table; None of a file of another kind."""
    if is_fits_name(path.name):
        found = read_saved(path) if is_own_file(path) else []
        return next((one.history for one in found if one.history), ())
    return read_table(path).history if is_table(path) else None


def run_in(history: History) -> tuple[str, bool]:
    """Return where a result's frames were, "" if not known, and whether the same are still there.

    By names and sizes of the files.
    """
    opened = next((step.inputs for step in history if step.name == "open"), {})
    path = str(opened.get("path", ""))
    if path and Path(path).exists():
        with suppress(LuckyError):
            now = open_run(path, opened.get("colour"), where=opened.get("where")).inputs
            return path, now[CHECKSUM] == opened.get(CHECKSUM)
    return path, False


def notes_on_tables(history: History) -> list[str]:
    """Return a sentence for each table that a history names, and a recipe of it does not read."""
    notes = []
    for step in history:
        if step.name in TABLES:
            what, option, otherwise = TABLES[step.name]
            name = step.inputs.get("name", "a table")
            notes.append(
                f"The {what} were read from {name}: give it with {option}, or {otherwise}."
            )
    return notes


def inputs_in(history: History) -> tuple[dict[str, Any], list[str]]:
    """Return what a history says of a recipe's `Input`, and what a recipe cannot say of it.

    That is which frames of the run were used, as far as an even range says it, of which colour,
    and the windows.
    """
    opened = next((step.inputs for step in history if step.name == "open"), {})
    given = {name: opened[name] for name in ("where", "colour") if opened.get(name)}
    missing = []
    ranges = [step.parameters for step in history if step.name == "choose frames"]
    if ranges:
        count = _count(ranges[-1])
        numbers = frame_numbers(np.arange(count), history)
        step = int(numbers[1] - numbers[0]) if count > 1 else 1
        given |= {"start": int(numbers[0]), "stop": int(numbers[-1]) + 1, "step": step}
    for name, window in zip(("focus", "defocus"), recorded_windows(history), strict=True):
        if window is not None:
            given[name] = _spec(window)
            if window.height != window.width:
                missing.append(
                    f"The {name} window has {window.height} x {window.width} pixels; a recipe's "
                    f"windows are square, and this one has a side of {max(window.shape)}."
                )
    return given, missing


def _count(chosen: dict[str, Any]) -> int:
    """Return how many frames a range chooses."""
    return len(range(chosen["start"], chosen["stop"], chosen["step"]))


def _spec(window: Window) -> tuple[int, int, int]:
    return (*window.centre, max(window.shape))
