"""napari's layers of a wavefront, and pairs of stacks to measure one on; imports no napari."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._from_layers import frames_of, history_of
from ._layers import LayerTuple, image_tuple
from .errors import LuckyError
from .frames import as_float32
from .history import History
from .steps import recorded_windows, window_numbers
from .wavefront_told import Measured, wavefront_step

GAP = 10
"""Pixels between the wavefront's image and what it was measured on, to its right."""
NO_IMAGES = {
    "fourier": "mixes frames in each spatial frequency",
    "median": "is no sum of frames",
    "drizzle": "is on finer pixels than the sensor's",
}
"""Methods of stacking whose result is not an image that the model knows."""


def wavefront_tuple(
    measured: Measured, name: str, *, header: Any = None, history: History = (), like: Any = None
) -> LayerTuple:
    """Return an image layer of a wavefront in nm, beside the layer it was measured on.

    Parameters
    ----------
    measured : Wavefront or StackWavefront
    name : str
        The layer's name.
    header : astropy.io.fits.Header, optional
        The source's.
    history : tuple of Step
        What was done to the pixels it was measured on.
    like : napari layer, optional
        What it was measured on; the pupil is shown to the left of it.
    """
    image = measured.image_nm
    high = float(np.nanmax(np.abs(image)))
    data, meta, kind = image_tuple(
        image,
        name,
        header=pupil_header(header),
        history=(*history, wavefront_step(measured)),
        like=like,
        colormap="RdBu_r",
        contrast_limits=(-max(high, 1e-3), max(high, 1e-3)),
    )
    meta["translate"][-1] -= (image.shape[1] + GAP) * meta["scale"][-1]
    return data, meta, kind


def pupil_header(header: Any) -> Any:
    """Return a header for an image on the pupil: of the source's what is not of its sensor."""
    from astropy.io import fits

    made = fits.Header()
    for keyword in ("OBJECT", "TELESCOP", "INSTRUME", "OBSERVER", "DATE-OBS", "APTDIA", "WAVELEN"):
        if header is not None and keyword in header:
            made[keyword] = header[keyword]
    made["BUNIT"] = "nm"
    return made


def stacked_window(layer: Any) -> str:
    """Return which star a stack is of: focus, defocus, or nothing where it does not tell."""
    history = history_of(layer)
    stacks = [step.parameters for step in history if step.name == "stack"]
    if not stacks or not stacks[-1].get("shifted"):
        return ""
    for name, window in zip(("focus", "defocus"), recorded_windows(history), strict=True):
        if window is not None and stacks[-1].get("window") == window_numbers(window):
            return name
    return ""


def stacks_of(focus: Any, defocus: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the pixels of a focused and a defocused stack.

    Raises
    ------
    LuckyError
        If they are not two images, or no means of the same frames.
    """
    if focus is None or defocus is None or focus is defocus:
        raise LuckyError(
            "A pair of stacks is two layers: choose the focused and the defocused star's; "
            "Stacking makes them."
        )
    for layer in (focus, defocus):
        if layer.ndim != 2:
            raise LuckyError(f"“{layer.name}” is a run, not a stack: do Stacking first.")
        method = _of_stack(layer, "method")
        if method in NO_IMAGES:
            raise LuckyError(
                f"“{layer.name}” was stacked by {method}, which {NO_IMAGES[method]}: no wavefront "
                "can be read from it. Stack by mean."
            )
    counts = _of_stack(focus, "frames"), _of_stack(defocus, "frames")
    if None not in counts and counts[0] != counts[1]:
        raise LuckyError(
            f"“{focus.name}” is of {counts[0]} frames, “{defocus.name}” of {counts[1]}: a pair is "
            "of the same frames."
        )
    first, second = (
        as_float32(frames_of(layer).read(slice(0, 1)))[0] for layer in (focus, defocus)
    )
    return first, second


def _of_stack(layer: Any, parameter: str) -> Any:
    stacks = [step.parameters for step in history_of(layer) if step.name == "stack"]
    return stacks[-1].get(parameter) if stacks else None
