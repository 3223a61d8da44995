"""napari's reader: a run as one lazily read layer, or what this program saved."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_lucky.errors import LuckyError
from napari_lucky.fits.file_names import is_frames_name
from napari_lucky.fits.image import is_fits_name
from napari_lucky.fits.read_back import is_own_file
from napari_lucky.text import readable

if TYPE_CHECKING:
    from napari_lucky.pipeline.recipe import Recipe
    from napari_lucky.viewer.to_layers import LayerTuple

Reader = Callable[[str | Sequence[str]], "list[LayerTuple]"]
NOTHING: list[LayerTuple] = [(None,)]  # type: ignore[list-item]  # npe2's sign for "no layer"
FOREIGN = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".npy", ".zarr", ".n5", ".csv"}
NO_IMAGES = (".csv", ".ecsv", ".toml")
"""Of tables and recipes, beside images."""


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader for a path or a list of paths, or None if it is for other readers."""
    paths = [Path(p) for p in ([path] if isinstance(path, str) else path)]
    if not paths:
        return None
    if len(paths) == 1 and paths[0].is_dir():
        return read_layers if _may_be_run(paths[0]) else None
    return read_layers if all(_is_readable(p) for p in paths) else None


def _is_readable(path: Path) -> bool:
    if path.suffix.lower() in (".csv", ".ecsv"):
        from napari_lucky.fits.table_file import is_table

        return is_table(path)
    if path.suffix.lower() == ".toml":
        from napari_lucky.pipeline.recipe import is_recipe

        return is_recipe(path)
    return is_frames_name(path.name)


def _may_be_run(folder: Path) -> bool:
    """Take a folder of frames or results, or one without other readers' files.

    If nothing in it can be opened, the user gets a message.
    """
    from napari_lucky.pipeline.summary import NAME as SUMMARY

    if folder.suffix.lower() in FOREIGN:
        return False
    try:
        names = [p.name for p in folder.iterdir()]
    except OSError:
        return True
    if SUMMARY in names or any(is_frames_name(name) for name in names):
        return True
    return not any(Path(name).suffix.lower() in FOREIGN for name in names)


def read_layers(path: str | Sequence[str]) -> list[LayerTuple]:
    """Return the layers that a path or a list of paths holds; show the user what is wrong.

    A recipe among them fills the docks.
    """
    from napari_lucky.viewer.background_work import in_background
    from napari_lucky.viewer.messages import show_error, show_info

    paths = [Path(p) for p in ([path] if isinstance(path, str) else path)]
    try:
        opened = in_background(lambda: _opened(paths))
    except LuckyError as error:
        show_error(str(error))
        return NOTHING
    notes = list(opened.notes)
    if opened.recipe is not None:
        from napari import current_viewer

        from napari_lucky.viewer.opened_recipe import fill_docks

        notes.append(fill_docks(current_viewer(), *opened.recipe))
    if notes:
        show_info("\n".join(notes))
    for text in opened.errors:
        show_error(text)
    return opened.layers or NOTHING


@dataclass
class OpenedPaths:
    """What paths hold: layers, a recipe and its file, what the user should know, what failed."""

    layers: list[LayerTuple] = field(default_factory=list)
    recipe: tuple[Recipe, Path] | None = None
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def _opened(paths: list[Path]) -> OpenedPaths:
    results = results_in(paths[0]) if len(paths) == 1 and paths[0].is_dir() else paths
    if not are_results(results):
        return _opened_run(paths)
    opened = OpenedPaths()
    for path in results:
        try:
            _open_saved(path, opened)
        except LuckyError as error:
            if len(results) == 1:
                raise
            opened.errors.append(str(error))
    return opened


def results_in(folder: Path) -> list[Path]:
    """Return the files that a folder of results would have, in the order of their layers."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []
    names.sort(key=lambda name: (name.startswith("focus."), name.startswith("defocus.")))
    images = [folder / name for name in names if is_fits_name(name)]
    beside = [folder / name for name in names if name.endswith(NO_IMAGES)]
    return [*images, *filter(_is_readable, beside)] if images else []


def are_results(paths: Sequence[Path]) -> bool:
    """Return whether files are results of this program, and no run.

    It has written all of them, and no two names of images are alike but for their numbers.
    """
    images = [path for path in paths if is_fits_name(path.name)]
    alike = {re.sub(r"\d+", "#", path.name) for path in images}
    known = len(alike) == len(images) and len(paths) > 0
    return known and all(path.is_file() and _is_result(path) for path in paths)


def _is_result(path: Path) -> bool:
    return path.suffix.lower() in NO_IMAGES or (is_fits_name(path.name) and is_own_file(path))


def _open_saved(path: Path, opened: OpenedPaths) -> None:
    from napari_lucky.pipeline.recipe import read_recipe

    if path.suffix.lower() in (".csv", ".ecsv"):
        opened.layers.append(_table_layer(path))
    elif path.suffix.lower() == ".toml":
        opened.recipe = read_recipe(path), path
    else:
        opened.layers += _saved_layers(path)


def _opened_run(paths: list[Path]) -> OpenedPaths:
    from napari_lucky.fits.run_files import open_run
    from napari_lucky.fits.run_notes import run_notes
    from napari_lucky.frames.history import open_step
    from napari_lucky.viewer.display_array import read_ahead
    from napari_lucky.viewer.to_layers import image_tuple

    run = open_run(paths)
    single = len(paths) == 1 and run.shape[0] == 1 and paths[0].is_file()
    # a dark, a flat, a stack is an image, not a run
    middle = (run.shape[0] - 1) // 2  # there napari's slider stands at first
    data = run.read(slice(1))[0] if single else read_ahead(run, 0, middle)
    layer = image_tuple(data, run.name, header=run.header, history=(open_step(run),))
    return OpenedPaths([layer], notes=run_notes(run))


def _table_layer(path: Path) -> LayerTuple:
    from napari_lucky.fits.table_file import read_table
    from napari_lucky.frames.history import shifts_step
    from napari_lucky.viewer.to_layers import vectors_tuple

    table = read_table(path)
    if not table.history:  # as `process` writes it: what is known is the file
        table = replace(table, history=(shifts_step(path, int(table.selected.sum())),))
    layer: LayerTuple = vectors_tuple(table, readable(path.stem))
    return layer


def _saved_layers(path: Path) -> list[LayerTuple]:
    from napari_lucky.fits.read_back import read_saved

    stem = readable(path.stem)
    return [
        _saved_layer(found, stem, f"{stem} {number}" if number else stem)
        for number, found in enumerate(read_saved(path))
    ]


def _saved_layer(found: Any, stem: str, fallback: str) -> LayerTuple:
    import numpy as np

    from napari_lucky.fits.image_result import BESIDE, ImageResult
    from napari_lucky.fits.read_back import Coordinates
    from napari_lucky.viewer.to_layers import (
        coordinates_tuple,
        image_tuple,
        labels_tuple,
        vectors_tuple,
    )

    if isinstance(found, ImageResult):
        data: Any = found.data
        beside = found.name in BESIDE
        if found.kind == "labels":
            return labels_tuple(found, fallback)
        hidden = {"visible": False} if beside else {}
        return image_tuple(
            data if len(data.shape) == 3 else np.asarray(data),
            f"{stem} {found.name.lower()}" if beside else found.name or fallback,
            header=found.header,
            history=found.history,
            origin=found.origin,
            finer=found.scale,
            **hidden,
        )
    if isinstance(found, Coordinates):
        return coordinates_tuple(found, fallback)
    layer: LayerTuple = vectors_tuple(found, fallback)
    return layer
