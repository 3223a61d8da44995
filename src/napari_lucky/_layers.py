"""Results as napari's layer tuples, and layers as the core's arguments; imports no napari."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .coordinates import Coordinates
from .errors import LuckyError
from .frames import ArrayFrames, Frames, LazyArray, Subset
from .history import History
from .steps import recorded_windows
from .table import FrameTable
from .windows import Window

LayerTuple = tuple[Any, dict[str, Any], str]
CONTRAST_FRAMES = 3


def frames_of(layer: Any) -> Frames:
    """Return what an image layer holds as `Frames`; a single image is a run of one frame.

    Raises
    ------
    LuckyError
        If the layer is neither a run (frame, y, x) nor an image (y, x) of numbers.
    """
    data = layer.data
    if isinstance(data, LazyArray):
        return data.frames
    shape = tuple(data.shape)
    if getattr(layer, "multiscale", False) or getattr(layer, "rgb", False) or len(shape) > 3:
        raise LuckyError(
            f"The layer “{layer.name}” is not a run: its shape is {shape}; expected (frame, y, x)."
        )
    return ArrayFrames(data)


def history_of(layer: Any) -> History:
    """Return what was done to a layer's pixels so far."""
    return tuple(layer.metadata.get("history", ()))


def files_of(frames: Frames) -> list[str]:
    """Return the name of each frame's file; empty where there is none."""
    if hasattr(frames, "files"):
        return list(frames.files)
    inner = getattr(frames, "frames", None)
    if inner is None:
        return [""] * frames.shape[0]
    files = files_of(inner)
    return [files[k] for k in frames.index] if isinstance(frames, Subset) else files


def paths_of(frames: Any) -> set[Path]:
    """Return the files that frames are read from."""
    while not hasattr(frames, "images"):
        if not hasattr(frames, "frames"):
            return set()
        frames = frames.frames
    return {image.path.resolve() for image in frames.images}


def chain_history(layer: Any, shifts: Any) -> History:
    """Return the history of a layer's frames with the shifts of a registration.

    That is the layer's own, and the steps that made the shifts and chose among them.

    Raises
    ------
    LuckyError
        If the shifts were found on another run than the layer's.
    """
    own, of_shifts = history_of(layer), history_of(shifts)
    run, registered = _source(own), _source(of_shifts)
    if registered is not None and run != registered:
        raise LuckyError(
            f"The shifts “{shifts.name}” are of {_origin(registered)}, the layer “{layer.name}” "
            f"is of {_origin(run)}. Choose shifts and frames of the same run."
        )
    return (*own, *(step for step in of_shifts if step.name in ("register", "rank")))


def _source(history: History) -> Any:
    """Return the step that a history begins with, if it tells where the frames come from."""
    first = next(iter(history), None)
    return first if first is not None and first.name in ("open", "simulate") else None


def _origin(step: Any) -> str:
    if step is None:
        return "an unknown source"
    name = step.inputs.get("name")
    return f"the run “{name}”" if name else f"another source ({step.name})"


def contrast_of(frames: Frames) -> tuple[float, float]:
    """Return limits that show the star: from the background to the brightest few pixels.

    Only the first frames are looked at, so that a long or packed run opens at once.
    """
    some = frames.read(slice(0, CONTRAST_FRAMES))
    some = some[np.isfinite(some)] if some.dtype.kind == "f" else some
    if some.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(some, [1, 99.98])
    return float(low), float(high if high > low else low + 1)


def image_tuple(
    data: Frames | NDArray[Any],
    name: str,
    *,
    header: Any = None,
    history: History = (),
    origin: tuple[int, int] = (0, 0),
    like: Any = None,
    **options: Any,
) -> LayerTuple:
    """Return an image layer: a lazily read run, or one image.

    Parameters
    ----------
    data : Frames or ndarray, (y, x)
        What is shown.
    name : str
        The layer's name.
    header : astropy.io.fits.Header, optional
        The source's; into the metadata.
    history : tuple of Step
        What was done to the pixels; into the metadata.
    origin : tuple of int
        (y, x) on the sensor of the first pixel: the layer is put where its window is.
    like : napari layer, optional
        One whose scale and units hold for this one too.
    **options
        Further arguments of napari's `add_image`.
    """
    frames: Frames = ArrayFrames(data) if isinstance(data, np.ndarray) else data
    scale, translate, units = _place(like, np.ndim(data) if isinstance(data, np.ndarray) else 3)
    meta: dict[str, Any] = {
        "name": name,
        "metadata": {"header": header, "history": tuple(history), "origin": origin},
        "scale": scale,
        "translate": [*translate[:-2], *(translate[-2:] + np.asarray(origin) * scale[-2:])],
        **units,
        **options,
    }
    if "contrast_limits" not in meta:
        meta["contrast_limits"] = contrast_of(frames)
    return (data if isinstance(data, np.ndarray) else LazyArray(frames)), meta, "image"


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


def vectors_tuple(table: FrameTable, name: str, *, header: Any = None, like: Any = None) -> Any:
    """Return a vectors layer with an arrow a frame, from the tracked point to where it lands."""
    found = np.isfinite(table.shifts).all(axis=1)
    start = np.column_stack([table.frame, table.points])[found]
    along = np.column_stack([np.zeros(len(table.frame)), table.shifts])[found]
    scale, translate, units = _place(like, 3)
    length = np.hypot(*table.shifts[found].T)
    meta = {
        "name": name,
        "features": {
            "frame": table.frame[found],
            "file": np.array(table.file, dtype=object)[found],
            "dy": table.shifts[found, 0],
            "dx": table.shifts[found, 1],
            "length": length,
            "quality": table.quality[found],
            "selected": table.selected[found],
        },
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
        "scale": scale,
        "translate": translate,
        **units,
    }
    return np.stack([start, along], axis=1), meta, "vectors"


def points_tuple(table: FrameTable, name: str, *, header: Any = None, like: Any = None) -> Any:
    """Return a points layer with the tracked point of each frame."""
    found = np.isfinite(table.shifts).all(axis=1)
    scale, translate, units = _place(like, 3)
    meta = {
        "name": name,
        "symbol": "cross",
        "face_color": "transparent",
        "border_color": "#00e5ff",
        "size": 12,
        "metadata": {"header": header, "history": tuple(table.history)},
        "scale": scale,
        "translate": translate,
        **units,
    }
    return np.column_stack([table.frame, table.points])[found], meta, "points"


def windows_tuple(windows: Sequence[Window], name: str = "windows", *, like: Any = None) -> Any:
    """Return a shapes layer of rectangles: the focus window first, then the defocus window."""
    scale, translate, units = _place(like, 2)
    labels = ["focus", "defocus"][: len(windows)]
    meta = {
        "name": name,
        "shape_type": "rectangle",
        "face_color": "transparent",
        "edge_color": "#ffb000",
        "edge_width": 1.5,
        "features": {"window": np.array(labels, dtype=object)},
        "feature_defaults": {"window": "defocus" if windows else "focus"},
        "text": {"string": "{window}", "color": "#ffb000", "anchor": "upper_left", "size": 10},
        "scale": scale,
        "translate": translate,
        **units,
    }
    return [rectangle(window) for window in windows], meta, "shapes"


def coordinates_tuple(coordinates: Coordinates, name: str) -> LayerTuple:
    """Return a points or shapes layer that was saved."""
    meta: dict[str, Any] = {
        "name": coordinates.name or name,
        "metadata": {"history": coordinates.history},
    }
    if coordinates.kind == "points":
        rows = np.concatenate(coordinates.groups) if coordinates.groups else np.empty((0, 2))
        return rows, {**meta, "symbol": "cross", "size": 12, "face_color": "transparent"}, "points"
    shown = {"shape_type": "polygon", "face_color": "transparent", "edge_color": "#ffb000"}
    if all(len(group) == 4 for group in coordinates.groups):
        shown["shape_type"] = "rectangle"
    return list(coordinates.groups), {**meta, **shown}, "shapes"


def rectangle(window: Window) -> NDArray[np.float64]:
    """Return the corners of a window's outermost pixels, (4, 2)."""
    y0, x0, y1, x1 = window.y0 - 0.5, window.x0 - 0.5, window.y1 - 0.5, window.x1 - 0.5
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])


def windows_of(shapes: Any, image: Any) -> list[Window]:
    """Return the rectangles of a shapes layer as windows of an image layer, in whole pixels.

    Raises
    ------
    LuckyError
        If there is no shape in the layer.
    """
    if len(shapes.data) == 0:
        raise LuckyError(
            f"The shapes layer “{shapes.name}” is empty. Draw a rectangle around the focused star, "
            "and a second one around the defocused star if there is one."
        )
    windows = []
    for corners in shapes.data:
        world = np.array([shapes.data_to_world(corner)[-2:] for corner in np.asarray(corners)])
        lead = np.zeros(image.ndim - 2)
        pixels = np.array([image.world_to_data([*lead, *place])[-2:] for place in world])
        (y0, x0), (y1, x1) = (
            np.floor(f(axis=0) + 0.5).astype(int) for f in (pixels.min, pixels.max)
        )
        windows.append(Window(int(y0), int(x0), int(y1 - y0), int(x1 - x0)))
    return windows


def table_of(
    features: Mapping[str, Any], metadata: Mapping[str, Any], n: int | None = None
) -> FrameTable:
    """Return the table that a vectors layer carries.

    Parameters
    ----------
    features : mapping of str to array-like
        The layer's.
    metadata : mapping
        The layer's.
    n : int, optional
        Number of frames of the run: the table then has a row for each, those without an arrow
        with NaN. Without it, only frames with an arrow.

    Raises
    ------
    LuckyError
        If the layer is no registration, or of a longer run.
    """
    if any(name not in features for name in ("frame", "dy", "dx")):
        raise LuckyError(
            "This vectors layer is no registration: it has no features frame, dy, dx. "
            "Choose one that Speckle registration made."
        )
    frame = np.asarray(features["frame"], np.intp)
    count = len(frame)
    shifts = np.column_stack([np.asarray(features[name], np.float64) for name in ("dy", "dx")])
    quality = np.asarray(features.get("quality", np.full(count, np.nan)), np.float64)
    selected = np.asarray(features.get("selected", np.zeros(count)), bool)
    file = [str(name) for name in features.get("file", [""] * count)]
    if n is not None:
        if count and frame.max() >= n:
            raise LuckyError(
                f"The registration is of a run of at least {frame.max() + 1} frames, the layer has "
                f"{n}. Choose the layer that was registered."
            )
        at, everything = frame, np.arange(n)
        shifts = _spread(shifts, at, np.full((n, 2), np.nan))
        quality = _spread(quality, at, np.full(n, np.nan))
        selected = _spread(selected, at, np.zeros(n, bool))
        names = _spread(np.array(file, object), at, np.full(n, "", object))
        frame, file = everything, list(names)
    reference = metadata.get("reference", (0.0, 0.0))
    history = tuple(metadata.get("history", ()))
    return FrameTable(frame, file, shifts, quality, selected, reference, history)


def _spread(values: NDArray[Any], at: NDArray[np.intp], into: NDArray[Any]) -> NDArray[Any]:
    into[at] = values
    return into


def recorded_windows_of(layer: Any) -> tuple[Window | None, Window | None]:
    """Return the focus and defocus windows that a layer was registered with."""
    return recorded_windows(history_of(layer))
