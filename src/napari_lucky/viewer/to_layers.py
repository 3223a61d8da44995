"""Results as napari's layer tuples; imports no napari."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.cleaning.dust_shadow import DustShadow
from napari_lucky.fits.frame_table import FrameTable
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.read_back import Coordinates
from napari_lucky.frames.frames import ArrayFrames, Frames, Subset
from napari_lucky.frames.history import History, frame_places
from napari_lucky.frames.lazy_array import LazyArray
from napari_lucky.frames.window import Window
from napari_lucky.psf.surface_mesh import SurfaceMesh
from napari_lucky.viewer.colours import colours_of
from napari_lucky.viewer.display_array import ShownArray

LayerTuple = tuple[Any, dict[str, Any], str]
CONTRAST_FRAMES = 3
CONTRAST = 1, 99.98
"""Percentiles that a layer's contrast limits are."""
THINNED, AROUND = 16, (2, 99.8)
"""How many values there are for one that is looked at first, and percentiles of these: between them
is neither limit."""


def files_of(frames: Frames) -> list[str]:
    """Return the name of each frame's file; empty where there is none."""
    if hasattr(frames, "files"):
        return list(frames.files)
    inner = getattr(frames, "frames", None)
    if inner is None:
        return [""] * frames.shape[0]
    files = files_of(inner)
    return [files[k] for k in frames.index] if isinstance(frames, Subset) else files


def contrast_of(frames: Frames) -> tuple[float, float]:
    """Return limits that show the star: from the background to the brightest few pixels.

    Only the first frames are looked at, so that a long or packed run opens at once.
    """
    some = frames.read(slice(0, CONTRAST_FRAMES))
    some = some[np.isfinite(some)] if some.dtype.kind == "f" else some
    if some.size == 0:
        return 0.0, 1.0
    low, high = _low_and_high(some.ravel())
    return low, high if high > low else low + 1


def _low_and_high(values: NDArray[Any]) -> tuple[float, float]:
    """Return `numpy.percentile(values, CONTRAST)`, found among the few values near each.

    Which those are is seen in some of the values. It takes a fraction of the time.
    """
    last = len(values) - 1
    places = [last * percent / 100 for percent in CONTRAST]
    below, above = np.percentile(values[::THINNED], AROUND)
    lowest, highest = values[values <= below], values[values >= above]
    first = len(values) - len(highest)
    if places[0] > len(lowest) - 1 or places[1] < first:  # some are not like all
        lowest, highest, first = values, values, 0
    return _at(lowest, places[0]), _at(highest, places[1] - first)


def _at(values: NDArray[Any], place: float) -> float:
    """Return the value at a place in order, between two as `numpy.percentile` does."""
    return float(np.percentile(values, 100 * place / max(len(values) - 1, 1)))


def image_tuple(
    data: Frames | LazyArray | NDArray[Any],
    name: str,
    *,
    header: Any = None,
    history: History = (),
    origin: tuple[int, int] = (0, 0),
    finer: float = 1.0,
    like: Any = None,
    **options: Any,
) -> LayerTuple:
    """Return an image layer: a lazily read run, or one image.

    Parameters
    ----------
    data : Frames, LazyArray or ndarray, (y, x)
        What is shown.
    name : str
        The layer's name.
    header : astropy.io.fits.Header, optional
        The source's; into the metadata.
    history : tuple of Record
        What was done to the pixels; into the metadata.
    origin : tuple of int
        (y, x) of the first pixel in `like`, or on the sensor: the layer is put where its window
        is.
    finer : float
        Pixels a pixel of the sensor: the layer is that much smaller than its pixels are many.
    like : napari layer, optional
        One whose scale and units hold for this one too.
    **options
        Further arguments of napari's `add_image`.
    """
    scale, translate, units = _place(like, np.ndim(data) if isinstance(data, np.ndarray) else 3)
    first = np.asarray(origin) + (1 / finer - 1) / 2  # the outer edges coincide
    y, x = (0, 0) if like is None else like.metadata.get("origin", (0, 0))  # of a saved window
    meta: dict[str, Any] = {
        "name": name,
        "metadata": {
            "header": header,
            "history": tuple(history),
            "origin": (y + origin[0], x + origin[1]),
        },
        "scale": [*scale[:-2], *(scale[-2:] / finer)],
        "translate": [*translate[:-2], *(translate[-2:] + first * scale[-2:])],
        **units,
        **options,
        "colormap": colours_of(options.get("colormap", "gray")),
    }
    if "contrast_limits" not in meta:
        frames = data.frames if isinstance(data, LazyArray) else data
        meta["contrast_limits"] = contrast_of(
            ArrayFrames(frames) if isinstance(frames, np.ndarray) else frames
        )
    return (data if isinstance(data, (np.ndarray, LazyArray)) else ShownArray(data)), meta, "image"


AXES = ("frame", "y", "x")


def _place(like: Any, ndim: int) -> tuple[NDArray[Any], NDArray[Any], dict[str, Any]]:
    """Return scale, translate, units and axis names of a layer, for its last `ndim` axes."""
    if like is None or ndim > like.ndim:
        lead = ndim if like is None else ndim - like.ndim
        scale = np.concatenate([np.ones(lead), [] if like is None else like.scale])
        translate = np.concatenate([np.zeros(lead), [] if like is None else like.translate])
        return scale, translate, {"axis_labels": AXES[-ndim:]}
    names = {"units": tuple(like.units[-ndim:]), "axis_labels": tuple(like.axis_labels[-ndim:])}
    return like.scale[-ndim:], like.translate[-ndim:], names


def _placed(like: Any, ndim: int) -> dict[str, Any]:
    """Return where a layer is, for its last `ndim` axes, as napari takes it."""
    scale, translate, units = _place(like, ndim)
    return {"scale": scale, "translate": translate, **units}


def vectors_tuple(table: FrameTable, name: str, *, header: Any = None, like: Any = None) -> Any:
    """Return a vectors layer with an arrow a frame, from the tracked point to where it lands.

    Its features number the frames as the run does; an arrow is where the frame is in the layer
    that was registered, which may hold only some frames of the run.
    """
    found = table.found
    start = _tracked(table)[found]
    along = np.column_stack([np.zeros(len(table.frame)), table.shifts])[found]
    length = np.hypot(*table.shifts[found].T)
    columns = {
        name: (np.array(of, object) if isinstance(of, list) else of)[found]
        for name, of in table.columns.items()
    }
    place = {name: columns.pop(name) for name in ("frame", "file", "dy", "dx")}
    meta = {
        "name": name,
        "features": {**place, "length": length, **columns},
        "edge_color": "length",
        "edge_colormap": "turbo",
        "edge_contrast_limits": (0.0, float(max(length.max(initial=0), 1.0))),
        "vector_style": "arrow",
        "edge_width": 2,
        "metadata": {
            "header": header,
            "history": tuple(table.history),
            "reference": table.reference,
        },
        **_placed(like, 3),
    }
    return np.stack([start, along], axis=1), meta, "vectors"


def points_tuple(table: FrameTable, name: str, *, header: Any = None, like: Any = None) -> Any:
    """Return a points layer with the tracked point of each frame."""
    found = table.found
    meta = {
        "name": name,
        "symbol": "cross",
        "face_color": "transparent",
        "border_color": "#00e5ff",
        "size": 12,
        "metadata": {"header": header, "history": tuple(table.history)},
        **_placed(like, 3),
    }
    return _tracked(table)[found], meta, "points"


def _tracked(table: FrameTable) -> NDArray[np.float64]:
    """Return (frame in the layer, y, x) of each frame's tracked point."""
    return np.column_stack([frame_places(table.frame, table.history), table.points])


def surface_tuple(surface: SurfaceMesh, name: str, *, like: Any = None) -> LayerTuple:
    """Return a surface layer over its place on the image; heights are in pixels, as wide as x's."""
    scale, translate, _ = _place(like, 2)
    meta = {
        "name": name,
        "colormap": "viridis",  # its darkest colour shows on black
        "shading": "smooth",
        "scale": [scale[1], *scale],
        "translate": [0, *translate],
    }
    return (surface.vertices, surface.faces, surface.values), meta, "surface"


def windows_tuple(windows: Sequence[Window], name: str = "windows", *, like: Any = None) -> Any:
    """Return a shapes layer of rectangles: the focus window first, then the defocus window."""
    meta = {"name": name, **_shown_as_windows(len(windows)), **_placed(like, 2)}
    return [rectangle(window) for window in windows], meta, "shapes"


def dust_tuple(spots: Sequence[DustShadow], name: str, *, like: Any = None) -> LayerTuple:
    """Return a points layer of dust shadows, each point as large as its shadow."""
    meta = {
        "name": name,
        "size": [2 * spot.radius for spot in spots],
        "face_color": "transparent",
        "border_color": "#7cff6b",
        **_placed(like, 2),
    }
    return np.array([[spot.y, spot.x] for spot in spots]).reshape(-1, 2), meta, "points"


def _shown_as_windows(n: int) -> dict[str, Any]:
    """Return how n rectangles, at most two, are shown with what they are around."""
    return {
        "shape_type": "rectangle",
        "face_color": "transparent",
        "edge_color": "#ffb000",
        "edge_width": 1.5,
        "features": {"window": np.array(["focus", "defocus"][:n], dtype=object)},
        "feature_defaults": {"window": "defocus" if n else "focus"},
        "text": {"string": "{window}", "color": "#ffb000", "anchor": "upper_left", "size": 10},
    }


def coordinates_tuple(coordinates: Coordinates, name: str) -> LayerTuple:
    """Return a points or shapes layer that was saved."""
    meta: dict[str, Any] = {
        "name": coordinates.name or name,
        "metadata": {"history": coordinates.history},
    }
    if coordinates.kind == "points":
        rows = np.concatenate(coordinates.groups) if coordinates.groups else np.empty((0, 2))
        return rows, {**meta, "symbol": "cross", "size": 12, "face_color": "transparent"}, "points"
    shown: dict[str, Any] = {
        "shape_type": "polygon",
        "face_color": "transparent",
        "edge_color": "#ffb000",
    }
    if all(len(group) == 4 for group in coordinates.groups):
        shown["shape_type"] = "rectangle"
        if len(coordinates.groups) <= 2 and all(g.shape[1] == 2 for g in coordinates.groups):
            shown = _shown_as_windows(len(coordinates.groups))
    return list(coordinates.groups), {**meta, **shown}, "shapes"


def labels_tuple(saved: ImageResult, name: str) -> LayerTuple:
    """Return a labels layer that was saved."""
    data: Any = saved.data
    pixels = np.asarray(data) if len(data.shape) == 2 else data.read(slice(None))
    meta = {
        "name": saved.name or name,
        "metadata": {
            "header": saved.header,
            "history": saved.history,
            "origin": saved.origin,
        },
        "translate": [0.0] * (pixels.ndim - 2) + [float(first) for first in saved.origin],
        "axis_labels": AXES[-pixels.ndim :],
    }
    return pixels, meta, "labels"


def rectangle(window: Window) -> NDArray[np.float64]:
    """Return the corners of a window's outermost pixels, (4, 2)."""
    y0, x0, y1, x1 = window.y0 - 0.5, window.x0 - 0.5, window.y1 - 0.5, window.x1 - 0.5
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])
