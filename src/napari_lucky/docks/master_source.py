"""Where dark and flat of the calibration dock come from: a layer, a path, or beside the run."""

from __future__ import annotations

import napari

from napari_lucky.docks.choices import LayerCombo, is_image
from napari_lucky.docks.path_edit import PathEdit
from napari_lucky.docks.recipe_files import file_of_layer
from napari_lucky.frames.frames import Frames
from napari_lucky.pipeline.open_masters import AUTO
from napari_lucky.viewer.from_layers import GIVEN, frames_of


def master_source(viewer: napari.Viewer, name: str) -> tuple[LayerCombo, PathEdit]:
    """Return the choice of a layer, and the line for a path, of a dark or a flat."""
    combo = LayerCombo(
        viewer,
        is_image,
        lambda layer: (
            layer.name.lower().rstrip("0123456789 []").endswith(name) and "master" not in layer.name
        ),
        name=name,
        label=f"{name} layer",
        nullable=True,
        tooltip=f"Layer with the {name}, an image or a run of frames, ADU; or give a path below",
    )
    edit = PathEdit(
        f"{name}_path",
        "or path",
        f"File, or folder of frames, with the {name}, ADU; auto: the one found beside the run",
    )
    return combo, edit


def chosen_master(combo: LayerCombo, edit: PathEdit) -> tuple[Frames | str | None, str | None]:
    """Return frames or a path, and the name that a recipe has for it; None where there is none."""
    if edit.path is not None:
        if edit.path != AUTO:
            GIVEN.add(edit.path)
        return edit.path, edit.path
    if combo.value is not None:
        return frames_of(combo.value), file_of_layer(combo.value)
    return None, None
