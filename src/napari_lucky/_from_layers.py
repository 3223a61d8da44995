"""napari's layers as what the core takes: frames, histories, windows, tables; imports no napari."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import LuckyError
from .frames import ArrayFrames, Frames, LazyArray
from .history import History
from .steps import recorded_windows
from .table import FrameTable
from .windows import Window


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


def image_at(layer: Any, point: Any) -> tuple[NDArray[Any], int | None]:
    """Return the image that a layer shows, and which frame it is; None for a single image.

    Only that frame is read.

    Parameters
    ----------
    layer : napari layer
        A run or an image.
    point : sequence of float
        Where the viewer's sliders stand, in world coordinates: `viewer.dims.point`.

    Raises
    ------
    LuckyError
        If the layer is neither a run nor an image, or has no frame there.
    """
    frames = frames_of(layer)
    if layer.ndim == 2:
        return frames.read(slice(0, 1))[0], None
    frame, n = round(float(layer.world_to_data(point)[0])), frames.shape[0]
    if not 0 <= frame < n:
        raise LuckyError(f"No frame {frame}: the run has {n}, 0 to {n - 1}.")
    return frames.read(slice(frame, frame + 1))[0], frame


def history_of(layer: Any) -> History:
    """Return what was done to a layer's pixels so far."""
    return tuple(layer.metadata.get("history", ()))


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
        If the shifts were found on another run than the layer's, or on other frames of it.
    """
    own, of_shifts = history_of(layer), history_of(shifts)
    run, registered = _source(own), _source(of_shifts)
    if registered and run != registered:
        raise LuckyError(
            f"The shifts “{shifts.name}” are of {_origin(registered)}, the layer “{layer.name}” "
            f"is of {_origin(run)}. Choose shifts and frames of the same run."
        )
    return (*own, *(step for step in of_shifts if step.name in ("register", "rank")))


def _source(history: History) -> History:
    """Return the steps of a history that tell which frames it is of."""
    return tuple(step for step in history if step.name in ("open", "simulate", "choose frames"))


def _origin(source: History) -> str:
    if not source:
        return "an unknown source"
    name = source[0].inputs.get("name")
    told = f"the run “{name}”" if name else f"another source ({source[0].name})"
    some = "".join(f", frames {step.parameters}" for step in source[1:])
    return told + some


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
