"""napari's layers of a wavefront, and pairs of stacks to measure one on; imports no napari."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import as_float32
from napari_lucky.frames.history import recorded_windows, stack_scale, window_numbers
from napari_lucky.viewer.from_layers import frames_of, history_of
from napari_lucky.viewer.to_layers import LayerTuple, image_tuple
from napari_lucky.wavefront.job import LESSER, NO_MEAN, MeasuredWavefront
from napari_lucky.wavefront.output import wavefront_image

GAP = 10
"""Pixels between the wavefront's image and what it was measured on, to its right."""


def wavefront_tuple(measured: MeasuredWavefront, name: str, *, like: Any = None) -> LayerTuple:
    """Return an image layer of a wavefront in nm, to the left of the layer it was measured on."""
    result = wavefront_image(measured)
    image = measured.wavefront.image_nm
    high = max(float(np.nanmax(np.abs(image))), 1e-3)
    data, meta, kind = image_tuple(
        image,
        name,
        header=result.header,
        history=result.history,
        like=like,
        colormap="RdBu_r",
        contrast_limits=(-high, high),
    )
    meta["metadata"]["origin"] = (0, 0)  # it is no part of the sensor
    meta["translate"][-1] -= (image.shape[1] + GAP) * meta["scale"][-1]
    return data, meta, kind


def stacked_window(layer: Any) -> str:
    """Return which star a stack is of: focus, defocus, or nothing where it does not say so."""
    history = history_of(layer)
    stacks = [step.parameters | step.facts for step in history if step.name == "stack"]
    if not stacks or not stacks[-1].get("shifted"):
        return ""
    for name, window in zip(("focus", "defocus"), recorded_windows(history), strict=True):
        if window is not None and stacks[-1].get("window") == window_numbers(window):
            return name
    return ""


def stacks_of(
    focus: Any, defocus: Any
) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], tuple[str, ...]]:
    """Return the pixels of a focused and a defocused stack, and notes on them.

    Raises
    ------
    LuckyError
        If they are not two images on the sensor's pixels, of the same frames.
    """
    if focus is None or defocus is None or focus is defocus:
        raise LuckyError(
            "A pair of stacks is two layers: choose the focused and the defocused star's. "
            "The dock 4 Stack makes them."
        )
    notes = [LESSER]
    for layer in (focus, defocus):
        if layer.ndim != 2:
            raise LuckyError(f"“{layer.name}” is a run, not a stack: run 4 Stack first.")
        if stack_scale(history_of(layer)) != 1:
            raise LuckyError(
                f"“{layer.name}” is a drizzled stack, whose pixels are not the sensor's; stack by "
                "mean, and measure that."
            )
        if (method := _of_stack(layer, "method")) in ("fourier", "median"):
            notes.append(f"“{layer.name}”: " + NO_MEAN.format(method))
    counts = _of_stack(focus, "frames"), _of_stack(defocus, "frames")
    if None not in counts and counts[0] != counts[1]:
        raise LuckyError(
            f"“{focus.name}” is of {counts[0]} frames, “{defocus.name}” of {counts[1]}: a pair is "
            "of the same frames."
        )
    first, second = (frames_of(layer).read(slice(0, 1))[0] for layer in (focus, defocus))
    return (as_float32(first), as_float32(second)), tuple(notes)


def _of_stack(layer: Any, parameter: str) -> Any:
    stacks = [step.parameters | step.facts for step in history_of(layer) if step.name == "stack"]
    return stacks[-1].get(parameter) if stacks else None
