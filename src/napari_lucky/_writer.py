"""napari's writer: any of the result layers as FITS with history, the table as CSV too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._layers import table_of
from .errors import LuckyError
from .fits_output import ImageResult, header_text, write_fits, write_text
from .frames import LazyArray
from .table import table_to_csv, table_to_hdu


def write_layers(path: str, layers: Sequence[tuple[Any, Mapping[str, Any], str]]) -> list[str]:
    """Write layers into one FITS file, an extension each; return the path, or nothing."""

    def write() -> None:
        write_fits(Path(path), [_result(data, meta, kind) for data, meta, kind in layers])

    return _telling(write, path)


def write_table(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write the shifts and quality that a vectors layer carries as CSV; return the path."""

    def write() -> None:
        table = table_of(meta["features"], meta["metadata"])
        write_text(Path(path), table_to_csv(table, with_history=True))

    return _telling(write, path)


def _telling(write: Any, path: str) -> list[str]:
    from napari.utils.notifications import show_error

    try:
        write()
    except LuckyError as error:
        show_error(str(error))
        return []
    return [path]


def _result(data: Any, meta: Mapping[str, Any], kind: str) -> Any:
    name, metadata = str(meta.get("name", "")), meta.get("metadata", {})
    if kind == "vectors":
        return table_to_hdu(table_of(meta["features"], metadata), name)
    if kind in ("points", "shapes"):
        return _coordinates(data, name)
    scale, translate = (np.asarray(meta[key])[-2:] for key in ("scale", "translate"))
    y, x = (round(float(v)) for v in translate / scale)
    pixels: Any = data.frames if isinstance(data, LazyArray) else np.asarray(data)
    if pixels.dtype.kind not in "biuf":
        raise LuckyError(f"The layer “{name}” holds {pixels.dtype}, not numbers.")
    return ImageResult(
        pixels,
        name,
        metadata.get("header"),
        tuple(metadata.get("history", ())),
        (y, x),
        _combined(metadata.get("history", ())),
    )


def _combined(history: Sequence[Any]) -> int | None:
    return history[-1].parameters.get("frames") if history and history[-1].name == "stack" else None


def _coordinates(data: Any, name: str) -> Any:
    """Return points, or the corners of shapes, as a table: shape number and coordinates."""
    from astropy.io import fits

    groups = [np.atleast_2d(group) for group in data]
    number = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    rows = np.concatenate(groups) if groups else np.empty((0, 2))
    names = ["frame", "y", "x"][-rows.shape[1] :]
    columns = [fits.Column("number", "K", array=number)]
    columns += [fits.Column(n, "D", "pixel", array=rows[:, k]) for k, n in enumerate(names)]
    return fits.BinTableHDU.from_columns(columns, name=header_text(name))
