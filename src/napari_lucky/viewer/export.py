"""Layers written for other programs: TIFF, PNG, regions of DS9."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.fits.regions import point_region, region_file, shape_region
from napari_lucky.fits.tiff import Bits, write_tiff
from napari_lucky.fits.write import write_text
from napari_lucky.viewer.writer import inputs_of_viewer, pixels_of, write_or_report

Meta = Mapping[str, Any]


def write_tiff_layer(path: str, data: Any, meta: Meta) -> list[str]:
    """Write an image layer as TIFF of 32 bits; return the path, or nothing."""
    return _tiff(path, data, meta, 32)


def write_tiff16_layer(path: str, data: Any, meta: Meta) -> list[str]:
    """Write an image layer as TIFF of 16 bits, scaled; return the path, or nothing."""
    return _tiff(path, data, meta, 16)


def _tiff(path: str, data: Any, meta: Meta, bits: Bits) -> list[str]:
    name = str(meta.get("name", ""))
    inputs = inputs_of_viewer([name])

    def write() -> None:
        write_tiff(path, pixels_of(data, meta, "image"), bits, name, inputs=inputs)

    return write_or_report(write, path)


def write_picture_layer(path: str, data: Any, meta: Meta) -> list[str]:
    """Write what an image layer shows as PNG; return the path, or nothing."""
    from napari import current_viewer
    from napari.utils.colormaps import ensure_colormap

    from napari_lucky.plots.picture import write_picture

    inputs = inputs_of_viewer([str(meta.get("name", ""))])
    viewer = current_viewer()
    at = 0.0 if viewer is None or len(viewer.dims.point) < 3 else float(viewer.dims.point[-3])
    colours = ensure_colormap(meta.get("colormap", "gray")).map

    def write() -> None:
        image = _shown(pixels_of(data, meta, "image"), meta, at)
        limits, gamma = meta.get("contrast_limits"), float(meta.get("gamma", 1))
        if limits is None:
            limits = np.nanmin(image), np.nanmax(image)
        write_picture(path, image, limits, gamma, colours, inputs=inputs)

    return write_or_report(write, path)


def _shown(pixels: Any, meta: Meta, at: float) -> NDArray[Any]:
    """Return the image that a layer shows where the viewer's slider stands."""
    if len(pixels.shape) == 2:
        return np.asarray(pixels)
    scale, first = (meta.get(name, (default,))[0] for name, default in (
        ("scale", 1.0), ("translate", 0.0)
    ))  # fmt: skip
    frame = min(max(round((at - first) / scale), 0), pixels.shape[0] - 1)
    if isinstance(pixels, np.ndarray):
        return pixels[frame]
    return np.asarray(pixels.read(slice(frame, frame + 1))[0])


def write_regions_layer(path: str, data: Any, meta: Meta) -> list[str]:
    """Write the shapes of a layer as regions of DS9; return the path, or nothing."""
    kinds = meta.get("shape_type", "polygon")
    kinds = [kinds] * len(data) if isinstance(kinds, str) else kinds
    names = _names(meta, len(data))
    lines = [shape_region(*one) for one in zip(kinds, data, names, strict=True)]
    return _regions(path, meta, lines)


def write_points_layer(path: str, data: Any, meta: Meta) -> list[str]:
    """Write the points of a layer as regions of DS9; return the path, or nothing."""
    return _regions(path, meta, [point_region(place) for place in data])


def _names(meta: Meta, n: int) -> list[str]:
    """Return the windows' names, as the features have them."""
    features = meta.get("features", {})
    return [str(name) for name in features["window"]] if "window" in features else [""] * n


def _regions(path: str, meta: Meta, lines: list[str]) -> list[str]:
    inputs = inputs_of_viewer([str(meta.get("name", ""))])
    return write_or_report(lambda: write_text(Path(path), region_file(lines), inputs), path)
