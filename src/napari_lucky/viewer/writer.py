"""napari's writer: any of the result layers as FITS with history, the table as CSV too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky.errors import LuckyError
from napari_lucky.fits.frame_table import table_to_hdu
from napari_lucky.fits.image_result import ImageResult, float32_holds
from napari_lucky.fits.inputs import Inputs
from napari_lucky.fits.integers import SAVED_AS, IntegerFormat
from napari_lucky.fits.read_back import Coordinates, coordinates_to_hdu
from napari_lucky.fits.table_file import table_text
from napari_lucky.fits.write import write_fits, write_text
from napari_lucky.frames.frames import ArrayFrames
from napari_lucky.frames.history import stack_scale
from napari_lucky.frames.lazy_array import LazyArray
from napari_lucky.viewer.from_layers import inputs_of, table_of


def inputs_of_viewer(saved: Sequence[str]) -> Inputs:
    """Return the files that the viewer reads, beside those of the layers that are saved."""
    from napari import current_viewer

    return inputs_of(current_viewer(), saved)


def write_layers(path: str, layers: Sequence[tuple[Any, Mapping[str, Any], str]]) -> list[str]:
    """Write layers into one FITS file, an extension each; return the path, or nothing."""
    return _write(path, layers, None)


def write_integers(path: str, layers: Sequence[tuple[Any, Mapping[str, Any], str]]) -> list[str]:
    """Write layers as `write_layers` does, but images as scaled 16-bit integers."""
    return _write(path, layers, IntegerFormat())


def _write(
    path: str, layers: Sequence[tuple[Any, Mapping[str, Any], str]], integers: IntegerFormat | None
) -> list[str]:
    inputs = inputs_of_viewer([str(meta.get("name", "")) for _, meta, _ in layers])

    def write() -> None:
        results = [result_of(data, meta, kind) for data, meta, kind in layers]
        write_fits(Path(path), results, integers, overwrite=True, inputs=inputs)

    return write_or_report(write, path)


def write_table(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write the shifts and quality that a vectors layer carries as CSV or ECSV; return the path."""
    inputs = inputs_of_viewer([str(meta.get("name", ""))])

    def write() -> None:
        table = table_of(meta["features"], meta["metadata"])
        write_text(Path(path), table_text(table, Path(path)), inputs)

    return write_or_report(write, path)


def write_or_report(write: Any, path: str) -> list[str]:
    """Write beside the window; return the path, or nothing and show what went wrong."""
    from napari_lucky.viewer.background_work import in_background
    from napari_lucky.viewer.messages import show_error

    try:
        in_background(write)
    except LuckyError as error:
        show_error(str(error))
        return []
    return [path]


def result_of(data: Any, meta: Mapping[str, Any], kind: str) -> Any:
    """Return what is written of a layer."""
    name, metadata = str(meta.get("name", "")), meta.get("metadata", {})
    history = tuple(metadata.get("history", ()))
    if kind == "vectors":
        return table_to_hdu(table_of(meta["features"], metadata), name)
    if kind in ("points", "shapes"):
        return coordinates_to_hdu(Coordinates(kind, list(data), name, history))
    pixels = pixels_of(data, meta, kind)
    origin = metadata.get("origin", (0, 0))
    return ImageResult(
        pixels,
        name,
        metadata.get("header"),
        history,
        origin,
        _combined(history),
        scale=stack_scale(history),
        exact=not float32_holds(pixels),
        kind="labels" if kind == "labels" else "",
    )


def pixels_of(data: Any, meta: Mapping[str, Any], kind: str) -> Any:
    """Return the numbers of an image or of labels; of several resolutions the finest."""
    pixels: Any = data[0] if meta.get("multiscale") else data
    if isinstance(pixels, LazyArray):
        pixels = pixels.frames
    elif not hasattr(pixels, "shape") or len(pixels.shape) < 3 or isinstance(pixels, np.ndarray):
        pixels = np.asarray(pixels)
    name, shape = str(meta.get("name", "")), tuple(pixels.shape)
    if meta.get("rgb") or pixels.dtype.kind not in "biuf":
        what = "colours" if meta.get("rgb") else f"{pixels.dtype}"
        raise LuckyError(f"The layer “{name}” holds {what}, not numbers of one kind a pixel.")
    if len(shape) not in (2, 3) or 0 in shape:
        raise LuckyError(
            f"The layer “{name}” has the shape {shape}; what is saved as FITS is an image (y, x) "
            "or a run (frame, y, x). Split it along its first axes."
        )
    if kind == "labels":
        return np.asarray(pixels).astype(np.int64 if pixels.dtype.itemsize > 4 else np.int32)
    if len(shape) == 3 and not hasattr(pixels, "read") and not isinstance(pixels, np.ndarray):
        return ArrayFrames(pixels)  # of dask or zarr, written a few frames at a time
    return pixels


def _combined(history: Sequence[Any]) -> int | None:
    made = [step for step in history if step.name != SAVED_AS]  # which combines nothing
    return made[-1].facts.get("frames") if made and made[-1].name == "stack" else None
