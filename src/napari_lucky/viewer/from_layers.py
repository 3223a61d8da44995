"""napari's layers as what the core takes: frames, histories, windows, tables; imports no napari."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.cleaning.dust_shadow import DustShadow
from napari_lucky.errors import LuckyError
from napari_lucky.fits.frame_table import ERRORS, FrameTable
from napari_lucky.fits.inputs import Inputs, files_of_frames
from napari_lucky.fits.read_back import is_own_file
from napari_lucky.fits.run import Run
from napari_lucky.fits.times import UNKNOWN, times_of
from napari_lucky.frames.frames import ArrayFrames, Frames
from napari_lucky.frames.history import History, frame_numbers, frame_places, recorded_windows
from napari_lucky.frames.lazy_array import LazyArray
from napari_lucky.frames.window import Window
from napari_lucky.pipeline.recipe import Recipe, recipe_of_history
from napari_lucky.ranking.selection import select_record_now

GIVEN: set[str] = set()
"""Paths of darks and flats that were given in a dock and have been read."""


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


def run_in_colour(layer: Any, colour: str) -> Run:
    """Return the run that a layer was read from, with pixels of another colour.

    Parameters
    ----------
    layer : napari.layers.Image
        A run as it was opened.
    colour : str
        See `napari_lucky.open_run`.

    Raises
    ------
    LuckyError
        If the layer is no such run, or its frames do not have that colour.
    """
    frames = frames_of(layer)
    if not isinstance(frames, Run):
        raise LuckyError(
            f"The layer “{layer.name}” is not a run as it was opened, so its colour cannot be "
            "changed any more. Leave the colour out."
        )
    return frames.in_colour(colour)


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


def inputs_of(viewer: Any, saved: Collection[str] = ()) -> Inputs:
    """Return the files that a viewer's layers are read from, and those given by their paths.

    Parameters
    ----------
    viewer : napari.Viewer, optional
    saved : collection of str
        Names of layers that are being saved: one that was read whole from a file of this program
        may be saved there again.
    """
    files: dict[str, list[Path]] = {f"given as {path}": [Path(path)] for path in GIVEN}
    for layer in () if viewer is None else viewer.layers:
        lazy = isinstance(layer.data, LazyArray)
        if lazy:
            files[f"layer “{layer.name}”"] = files_of_frames(layer.data.frames)
        if source := getattr(layer.source, "path", None):
            path = Path(source)
            if lazy or layer.name not in saved or not is_own_file(path):
                files[f"opened as layer “{layer.name}”"] = [path]
    return files


def chain_history(layer: Any, shifts: Any) -> History:
    """Return the history of a layer's frames with the shifts of a registration.

    That is the layer's own, and the steps that made the shifts and chose among them, with what
    was changed by hand in the shifts' features.

    Raises
    ------
    LuckyError
        If the shifts were found on another run than the layer's, or on other frames of it.
    """
    own, of_shifts = history_of(layer), history_of(shifts)
    run, registered = _source(own), _source(of_shifts)
    if not registered:
        _check_files(layer, shifts)
    if registered and run != registered:
        raise LuckyError(
            f"The shifts “{shifts.name}” come from {_origin(registered)}, the layer “{layer.name}” "
            f"from {_origin(run)}. Choose shifts and frames that belong together, or register "
            "again."
        )
    steps = [step for step in of_shifts if step.name in ("register", "read shifts", "rank")]
    if selected := [step for step in of_shifts if step.name == "select"]:
        n = frames_of(layer).shape[0]
        table = table_of(shifts.features, shifts.metadata, n, own)
        steps.append(select_record_now(selected[-1], table, frame_numbers(np.arange(n), own)))
    return (*own, *steps)


def _check_files(layer: Any, shifts: Any) -> None:
    """Refuse shifts that name other files than the run whose first and last one are known."""
    source = next((step.inputs for step in history_of(layer) if step.name == "open"), {})
    known = {0: source.get("first"), source.get("frames", 0) - 1: source.get("last")}
    features = shifts.features
    for frame, file in zip(features["frame"], features.get("file", ()), strict=False):
        expected = known.get(int(frame))
        if file and expected and file != expected:
            raise LuckyError(
                f"The shifts “{shifts.name}” name {file} as frame {frame}, but that is {expected} "
                f"in the run of “{layer.name}”. Choose shifts and frames of the same run."
            )


def _source(history: History) -> History:
    """Return the steps of a history that say which frames it is of."""
    return tuple(step for step in history if step.name in ("open", "simulate", "choose frames"))


def _origin(source: History) -> str:
    if not source:
        return "an unknown source"
    name = source[0].inputs.get("name")
    run = f"the run “{name}”" if name else "the simulated run"
    ranges = [step.parameters for step in source if step.name == "choose frames"]
    if not ranges:
        return f"all frames of {run}"
    text = ", of these ".join(f"{r['start']}:{r['stop']}:{r['step']}" for r in ranges)
    return f"frames {text} of {run}"


def windows_of(shapes: Any, image: Any) -> list[Window]:
    """Return the rectangles of a shapes layer as windows of an image layer, in whole pixels.

    Raises
    ------
    LuckyError
        If there is no shape in the layer, or one that is no rectangle.
    """
    if len(shapes.data) == 0:
        raise LuckyError(
            f"The shapes layer “{shapes.name}” is empty. Draw a rectangle around the focused star, "
            "and a second one around the defocused star if there is one."
        )
    kinds = sorted({str(kind) for kind in shapes.shape_type} - {"rectangle"})
    if kinds:
        drawn = " and ".join(f"an {kind}" if kind == "ellipse" else f"a {kind}" for kind in kinds)
        raise LuckyError(
            f"“{shapes.name}” holds {drawn}: a window is a rectangle. Remove it, and draw a "
            "rectangle around the star."
        )
    windows = []
    for corners in shapes.data:
        pixels = np.array([_to_pixels(shapes, image, corner) for corner in np.asarray(corners)])
        (y0, x0), (y1, x1) = (
            np.floor(f(axis=0) + 0.5).astype(int) for f in (pixels.min, pixels.max)
        )
        windows.append(Window(int(y0), int(x0), int(y1 - y0), int(x1 - x0)))
    return windows


def spots_of(points: Any, image: Any) -> tuple[DustShadow, ...]:
    """Return the points of a layer as dust shadows on an image layer, as large as its points."""
    spots = []
    for place, size in zip(points.data, points.size, strict=True):
        y, x = _to_pixels(points, image, place)
        radius = float(size) / 2 * points.scale[-1] / image.scale[-1]
        spots.append(DustShadow(float(y), float(x), float(radius)))
    return tuple(spots)


def _to_pixels(layer: Any, image: Any, place: Any) -> NDArray[np.float64]:
    """Return where a place (..., y, x) of a layer is on an image layer, (y, x) in pixels."""
    world = layer.data_to_world(np.asarray(place))[-2:]
    return np.asarray(image.world_to_data([*np.zeros(image.ndim - 2), *world])[-2:], np.float64)


def table_of(
    features: Mapping[str, Any],
    metadata: Mapping[str, Any],
    n: int | None = None,
    before: History | None = None,
) -> FrameTable:
    """Return the table that a vectors layer carries.

    Parameters
    ----------
    features : mapping of str to array-like
        The layer's.
    metadata : mapping
        The layer's.
    n : int, optional
        Number of frames of the layer that the shifts are wanted for: the table then has a row
        for each, those without an arrow with NaN. Without it, only frames with an arrow.
    before : History, optional
        That layer's history, which says which frames of the run it has; the vectors layer's
        own if not given.

    Raises
    ------
    LuckyError
        If the layer is no registration, or of a longer run, or of other frames.
    """
    if any(name not in features for name in ("frame", "dy", "dx")):
        raise LuckyError(
            "This vectors layer is not a registration: it has no features frame, dy, dx. "
            "Choose one that the dock 2 Register made."
        )
    frame = np.asarray(features["frame"], np.intp)
    count = len(frame)
    shifts = np.column_stack([np.asarray(features[name], np.float64) for name in ("dy", "dx")])
    quality = np.asarray(features.get("quality", np.full(count, np.nan)), np.float64)
    selected = np.asarray(features.get("selected", np.zeros(count)), bool)
    file = [str(name) for name in features.get("file", [""] * count)]
    sigma = None
    if all(name in features for name in ERRORS):
        sigma = np.column_stack([np.asarray(features[name], np.float64) for name in ERRORS])
    time = _times(features["time"]) if "time" in features else None
    exposure = np.asarray(features["exposure"], np.float64) if "exposure" in features else None
    reference = metadata.get("reference", (0.0, 0.0))
    history = tuple(metadata.get("history", ()))
    if n is not None:
        before = history if before is None else before
        place = frame_places(frame, before)
        row = np.flatnonzero((place >= 0) & (place < n))
        of_range = any(step.name == "choose frames" for step in before)
        if len(row) < count and not (of_range and len(row)):
            raise LuckyError(
                f"The registration is of frames up to number {frame.max()} of a run, the layer "
                f"has {n} frames. Choose the layer that was registered."
            )

        def spread(values: NDArray[Any], nothing: Any = np.nan) -> NDArray[Any]:
            """Return the values of all frames, of which some have an arrow."""
            of_all = np.full((n, *values.shape[1:]), nothing, values.dtype)
            of_all[place[row]] = values[row]
            return of_all

        shifts, quality, selected = spread(shifts), spread(quality), spread(selected, False)
        sigma = None if sigma is None else spread(sigma)
        time = None if time is None else spread(time, UNKNOWN)
        exposure = None if exposure is None else spread(exposure)
        file = list(spread(np.array(file, object), ""))
        frame = frame_numbers(np.arange(n), before)
    return FrameTable(
        frame, file, shifts, quality, selected, reference, history, sigma, time, exposure
    )


def _times(texts: Any) -> NDArray[np.datetime64]:
    try:
        return times_of(map(str, texts))
    except ValueError as error:
        raise LuckyError(
            f"The feature time of the shifts cannot be read ({error}); write it as "
            "2026-11-27T21:03:04.5, or empty the cell."
        ) from None


def recipe_of_shifts(shifts: Any) -> Recipe:
    """Return the parameters with which shifts were registered and ranked.

    Raises
    ------
    LuckyError
        If they were not.
    """
    names = {step.name for step in history_of(shifts)}
    if not {"register", "rank", "select"} <= names:
        raise LuckyError(
            f"“{shifts.name}” was not registered and ranked in the docks: run 3 Rank first."
        )
    return recipe_of_history(history_of(shifts))


def recorded_windows_of(layer: Any) -> tuple[Window | None, Window | None]:
    """Return the focus and defocus windows that a layer was registered with."""
    return recorded_windows(history_of(layer))
