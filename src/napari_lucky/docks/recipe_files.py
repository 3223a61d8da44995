"""Recipes and layers: what layers were made with as a recipe, and a recipe's file from a dialog."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_lucky.calibration.calibrate import calibrated_in
from napari_lucky.fits.file_names import is_frames_name
from napari_lucky.fits.inputs import files_of_frames
from napari_lucky.frames.frames import Frames, chain_of
from napari_lucky.frames.history import History
from napari_lucky.frames.lazy_array import LazyArray
from napari_lucky.pipeline.recipe import Recipe, recipe_of_history
from napari_lucky.pipeline.recipe_source import inputs_in
from napari_lucky.steps.declaration import Step
from napari_lucky.viewer.from_layers import frames_of

PATTERN = "Recipe (*.toml)"
OPENED = "Recipe, or a result with its history (*.toml *.fits *.csv *.ecsv)"


def ask_where_from(parent: QWidget) -> Path | None:
    """Return the recipe to open; None if the dialog was cancelled."""
    path, _ = QFileDialog.getOpenFileName(parent, "Open recipe", "", OPENED)
    return Path(path) if path else None


def ask_where_to(parent: QWidget) -> Path | None:
    """Return where to save a recipe; the dialog asks before a file is replaced."""
    path, _ = QFileDialog.getSaveFileName(parent, "Save recipe", "recipe.toml", PATTERN)
    return Path(path) if path else None


def recipe_of_layer(layer: Any, history: History, *steps: Step) -> tuple[Recipe, list[str]]:
    """Return the recipe that a history records, and what it cannot say.

    Parameters
    ----------
    layer : napari.layers.Image
        Frames of a run.
    history : tuple of Record
        Theirs, with the registration and what came after it.
    *steps : Step
        In place of those in the history.
    """
    frames = frames_of(layer)
    files, done = files_of_run(frames), {record.name for record in history}
    given, missing = inputs_in(history)
    if "calibrate" in done and calibrated_in(frames) is None:
        missing.append(
            "The frames were calibrated before they were saved and opened again; write the raw "
            "run's path into the recipe."
        )
    elif files:
        given["frames"] = files
        *_, run = chain_of(frames)
        given["colour"] = run.colour or None
    else:
        missing.append("The run is not in a file; write its path into the recipe.")
    recipe = recipe_of_history(history, **given).with_steps(*steps)
    return recipe, [*missing, *missing_files(recipe)]


def missing_files(recipe: Recipe) -> list[str]:
    """Return a sentence for each file that a recipe names and that is not there."""
    missing = []
    for label, path in recipe.paths().items():
        if not Path(path).exists():
            missing.append(
                f"The {label} “{Path(path).name}” is not in a file: save it, and write its path "
                "into "
                "the recipe."
            )
    return missing


def files_of_run(frames: Frames) -> list[str]:
    """Return the folder or the files that frames are read from; nothing if they are in none."""
    files = files_of_frames(frames)
    if not files:
        return []
    *_, run = chain_of(frames)
    folder = files[0].parent
    known = {*files, *(left.path for left in run.left_out)}
    if len(files) > 1 and all(
        folder / name in known for name in os.listdir(folder) if is_frames_name(name)
    ):
        return [str(folder)]
    return [str(path) for path in files]


def file_of_layer(layer: Any) -> str:
    """Return the file or folder that a layer was read from; its name if there is none."""
    files = files_of_run(frames_of(layer)) if isinstance(layer.data, LazyArray) else []
    source = getattr(layer.source, "path", None)
    if source:
        return str(source)
    return files[0] if len(files) == 1 else str(layer.name)
