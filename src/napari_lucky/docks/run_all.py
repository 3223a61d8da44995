"""One click from parameters dialled in on some frames to the stacks of the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_lucky.calibration.calibrate import calibrated_in
from napari_lucky.docks.choices import base_name
from napari_lucky.docks.dock import Dock
from napari_lucky.docks.stack_layers import stack_layers
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.fits.frame_table import FrameTable
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.frames.frames import Frames, whole_run
from napari_lucky.frames.window import Window
from napari_lucky.pipeline.measure import frame_notes, track_and_rank
from napari_lucky.pipeline.process import stack_results
from napari_lucky.stacking.step import StackFrames
from napari_lucky.viewer.from_layers import frames_of, history_of, recipe_of_shifts
from napari_lucky.viewer.to_layers import files_of, image_tuple, vectors_tuple

Made = tuple[FrameTable, dict[str, ImageResult], tuple[str, ...]]
"""The table, the stacks, and what is doubtful."""


def run_all(
    dock: Dock,
    layer: Any,
    shifts: Any,
    focus: Window,
    defocus: Window | None,
    by: StackFrames,
    beside: bool,
) -> None:
    """Register, rank and stack all frames of a layer's run, as some of them were.

    Parameters
    ----------
    dock : Dock
        Whose job it is.
    layer : napari.layers.Image
        Some frames of a run, calibrated and cleaned.
    shifts : napari.layers.Vectors
        Registered and ranked with the parameters to use.
    focus, defocus : Window
        Of the stars.
    by : StackFrames
        How they are stacked.
    beside : bool
        Whether variance and coverage are shown.

    Raises
    ------
    LuckyError
        If the layer has all frames already, or the shifts were not ranked.
    """
    some = frames_of(layer)
    frames = whole_run(some)
    if frames.shape[0] == some.shape[0]:
        raise LuckyError(
            f"“{layer.name}” has all frames of its run already: press Run. To try parameters on a "
            "few, give a range in 1 Calibrate."
        )
    recipe = recipe_of_shifts(shifts).with_steps(by)
    steps = tuple(step for step in history_of(layer) if step.name != "choose frames")
    header = layer.metadata.get("header")
    everything = np.arange(frames.shape[0])

    def work(job: Job) -> Made:
        measured = track_and_rank(
            frames, focus, defocus, recipe, everything, files_of(frames), steps, job=job
        )
        calibrated = calibrated_in(frames)
        level = np.inf if calibrated is None else calibrated.saturation
        left_out = frame_notes(everything, measured.reasons, measured.saturated, level)
        images = stack_results(
            frames,
            measured.table,
            focus,
            defocus,
            by,
            header,
            long_exposure=measured.long_exposure,
            job=job,
        )
        return measured.table, images, (*measured.notes, *left_out)

    dock.start(work, lambda made: _show(dock, layer, frames, made, by, beside))


def _show(
    dock: Dock, layer: Any, frames: Frames, made: Made, by: StackFrames, beside: bool
) -> Iterator[None]:
    table, images, doubts = made
    run = f"{base_name(layer)} all frames"
    shared: dict[str, Any] = {"header": layer.metadata.get("header"), "like": layer}
    hidden = {**shared, "visible": False, "contrast_limits": layer.contrast_limits}
    steps = tuple(step for step in table.history if step.name not in ("register", "rank", "select"))
    dock.add(image_tuple(frames, run, history=steps, **hidden))
    yield
    dock.add(vectors_tuple(table, f"{run} shifts", **shared))
    yield
    for name, result in reversed(images.items()):
        title = f"{run} {name.replace('_', ' ')}"
        for layer_made in stack_layers(result, title, beside, like=layer):
            dock.add(layer_made)
            yield
    used, n = int(by.takes(table.selected, table.found).sum()), len(table.frame)
    dock.done(f"Stacked {by.describe(used, n)}.", doubts=(*doubts, *by.notes(used, n)))
