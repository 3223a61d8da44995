"""The run of the lead dock: which layer it is, what is found beside it, and its job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import napari
from napari.layers import Layer

from napari_lucky.calibration.calibrate import calibrated_in
from napari_lucky.calibration.step import MASTERS
from napari_lucky.docks.choices import LayerCombo, is_image, is_run
from napari_lucky.docks.recipe_files import file_of_layer, files_of_run
from napari_lucky.fits.beside import find_calibration
from napari_lucky.fits.held_frames import HeldFrames
from napari_lucky.fits.run import Run
from napari_lucky.pipeline.build import Opened
from napari_lucky.pipeline.open_masters import AUTO, path_for
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.viewer.from_layers import GIVEN, frames_of, history_of
from napari_lucky.viewer.to_layers import files_of


class RunCombo(LayerCombo):
    """A choice among the runs; the layer that is selected in napari's list is chosen."""

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__(
            viewer,
            is_raw,
            lambda layer: True,
            name="run",
            label="run",
            tooltip="The raw frames (frame, y, x), ADU; the layer selected in the list",
        )

    def follow(self, layer: Layer | None) -> None:
        """Choose a layer, if it is a run."""
        if layer is not None and layer in self.choices:
            self.value = layer


def is_raw(layer: Layer) -> bool:
    """Return whether a layer is a run that no dock has calibrated."""
    return is_run(layer) and calibrated_in(frames_of(layer)) is None


@dataclass(frozen=True)
class Beside:
    """What was found for a run.

    Parameters
    ----------
    masters : dict of str to str
        Paths, or names of layers, of "dark" and "flat".
    notes : tuple of str
        What is said of them.
    """

    masters: dict[str, str]
    notes: tuple[str, ...] = ()


def run_of(layer: Any) -> Any:
    """Return a layer's frames as a job takes them."""
    frames = frames_of(layer)
    if isinstance(frames, Run):
        return frames
    header = layer.metadata.get("header")
    return HeldFrames(frames, str(layer.name), files_of(frames), header)


def find_beside(run: Any, layers: dict[str, str]) -> Beside:
    """Look for dark and flat beside a run's files; where there is none, take a layer that is one.

    Parameters
    ----------
    run : Run or HeldFrames
    layers : dict of str to str
        Names of layers that look like a dark or a flat.
    """
    if not isinstance(run, Run):
        return Beside(layers)
    found = find_calibration(run)
    paths: dict[str, str] = {
        name: path_for(files, name) for name in MASTERS if (files := getattr(found, name))
    }
    return Beside(layers | paths, found.notes)


def master_layers(viewer: napari.Viewer, run: Any) -> dict[str, str]:
    """Return the names of layers that look like a dark or a flat for a run in a layer."""
    found: dict[str, str] = {}
    for layer in viewer.layers:
        if not is_image(layer) or layer.data.shape[-2:] != run.data.shape[-2:]:
            continue
        for name in MASTERS:
            if layer.name.lower().endswith(name) and "master" not in layer.name:
                found[name] = str(layer.name)
    return found


def opened_job(viewer: napari.Viewer, layer: Any, masters: dict[str, str]) -> tuple[Recipe, Opened]:
    """Return what a job on a layer opens: a recipe with its paths, and what is open already.

    Parameters
    ----------
    viewer : napari.Viewer
    layer : napari.layers.Image
        The run.
    masters : dict of str to str
        "dark" and "flat": paths, or names of layers.

    Raises
    ------
    LuckyError
        If a name is of no layer that can be one.
    """
    run, paths = run_of(layer), dict[str, str]()
    open_already: dict[str, Any] = {}
    images = {str(one.name): one for one in viewer.layers if is_image(one) and one is not layer}
    for name, text in masters.items():
        if text in images:
            open_already[name] = frames_of(images[text])
            paths[name] = file_of_layer(images[text])
            if name == "flat":
                open_already["flat_history"] = history_of(images[text])
        else:
            paths[name] = text
            if text != AUTO:
                GIVEN.add(text)
    if not isinstance(run, Run):
        open_already["history"] = history_of(layer)
    recipe = Recipe(tuple(files_of_run(frames_of(layer))) or None)
    return recipe.updated(calibrate=paths), Opened(run, **open_already)
