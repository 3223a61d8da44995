"""The layers of a whole job's result: the run, its shifts, the pair and the long exposure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from napari.layers import Layer

from napari_lucky.docks.dock import Dock
from napari_lucky.docks.stack_layers import stack_layers
from napari_lucky.pipeline.process import Result
from napari_lucky.viewer.display_array import ShownArray
from napari_lucky.viewer.to_layers import image_tuple, vectors_tuple

AFTER = ("register", "rank", "select")
"""Steps that change no pixels of the frames."""
BEFORE = ("open", "simulate", "choose frames", "read times", "calibrate")
"""Steps of frames that are calibrated, not cleaned."""


def show_result(
    dock: Dock, layer: Any, name: str, result: Result, data: ShownArray, limits: tuple[float, float]
) -> Iterator[Layer]:
    """Add the layers of a result, and give one after the other.

    They are the calibrated frames, their shifts, both hidden, and the stacks.

    Parameters
    ----------
    dock : Dock
    layer : napari.layers.Image
        The run.
    name : str
        Of the run, to name results by.
    result : Result
    data : ShownArray
        Its frames, some of which are read already.
    limits : (float, float)
        Of their contrast.
    """
    table = result.table
    shared: dict[str, Any] = {"header": layer.metadata.get("header"), "like": layer}
    steps = tuple(step for step in table.history if step.name not in AFTER)
    cleaned = any(step.name not in BEFORE for step in steps)
    title = f"{name} {'cleaned' if cleaned else 'calibrated'}"
    yield dock.add(
        image_tuple(data, title, history=steps, contrast_limits=limits, visible=False, **shared)
    )
    arrows, meta, kind = vectors_tuple(table, f"{name} shifts", **shared)
    yield dock.add((arrows, {**meta, "visible": False}, kind))
    for what, image in reversed(result.images.items()):
        for made in stack_layers(image, f"{name} {what.replace('_', ' ')}", False, like=layer):
            yield dock.add(made)
