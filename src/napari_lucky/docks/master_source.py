"""Where dark and flat of the calibration dock come from: a layer, a path, or beside the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import napari

from napari_lucky.calibration.step import Calibrate
from napari_lucky.docks.choices import LayerCombo, is_image
from napari_lucky.docks.path_edit import PathEdit
from napari_lucky.docks.recipe_files import file_of_layer
from napari_lucky.errors import LuckyError
from napari_lucky.fits.beside import FoundCalibration, find_calibration
from napari_lucky.fits.frame_kind import Kind
from napari_lucky.fits.run import Run
from napari_lucky.fits.run_files import open_like
from napari_lucky.frames.frames import Frames, chain_of
from napari_lucky.pipeline.open_masters import AUTO, MASTERS, one_path
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


def find_auto(asked: Calibrate, frames: Frames) -> tuple[Calibrate, FoundCalibration]:
    """Return the step with paths for “auto”, and the files beside the run that they stand for."""
    names = [name for name in MASTERS if getattr(asked, name) == AUTO]
    *_, run = None, *chain_of(frames)
    if not names:
        return asked, FoundCalibration()
    found = find_calibration(run) if isinstance(run, Run) else FoundCalibration()
    files = {name: getattr(found, name) for name in names}
    for name in names:
        if not files[name]:
            raise LuckyError(
                f"No {name} that fits was found beside the run: choose one, or empty the line."
            )
    paths = {name: one_path(files[name], name) or AUTO for name in names}
    return asked.changed(**paths), FoundCalibration(**files, notes=found.notes)


def opened_master(source: Frames | Sequence[Path] | str | None, frames: Frames, kind: Kind) -> Any:
    """Return the frames of a dark or a flat; None if there is none."""
    return open_like(source, frames, kind) if isinstance(source, (str, tuple)) else source
