"""One click from parameters dialled in on some frames to the stacks of the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_lucky.calibration.calibrate import calibrated_in
from napari_lucky.docks.choices import base_name
from napari_lucky.docks.dock import Dock
from napari_lucky.docks.stack_choice import StackChoice
from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import Progress
from napari_lucky.fits.frame_table import FrameTable
from napari_lucky.fits.write import ImageResult
from napari_lucky.frames.frames import Frames, Subset, whole_run
from napari_lucky.frames.history import shift_step
from napari_lucky.frames.window import Window
from napari_lucky.imaging.shifts import Shifted
from napari_lucky.pipeline.measure import tell_frames, track_and_rank
from napari_lucky.pipeline.process import stack_results
from napari_lucky.ranking.selection import tell_count
from napari_lucky.stacking.stack_header import moved_header
from napari_lucky.viewer.from_layers import frames_of, history_of, recipe_of
from napari_lucky.viewer.to_layers import files_of, image_tuple, vectors_tuple

Made = tuple[FrameTable, dict[str, ImageResult], tuple[str, ...]]
"""The table, the stacks, and what is doubtful."""


def run_all(
    dock: Dock,
    layer: Any,
    shifts: Any,
    focus: Window,
    defocus: Window | None,
    subpixel: bool,
    choice: StackChoice,
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
    subpixel : bool
        Whether frames are shifted by fractions of a pixel.
    choice : StackChoice
        How they are stacked, and what is shown of it.

    Raises
    ------
    LuckyError
        If the layer has all frames already, or the shifts were not ranked.
    """
    some = frames_of(layer)
    frames = whole_run(some)
    if frames.shape[0] == some.shape[0]:
        raise LuckyError(
            f"“{layer.name}” has all frames of its run already: press Run. To dial in parameters "
            "on a few, give a range in Flat calibration."
        )
    recipe = recipe_of(shifts)
    steps = tuple(step for step in history_of(layer) if step.name != "choose frames")
    header = layer.metadata.get("header")
    method = choice.text
    everything = np.arange(frames.shape[0])

    def work(progress: Progress) -> Made:
        measured = track_and_rank(
            frames,
            focus,
            defocus,
            recipe,
            everything,
            files_of(frames),
            steps,
            progress=progress,
        )
        calibrated = calibrated_in(frames)
        level = np.inf if calibrated is None else calibrated.saturation
        left_out = tell_frames(everything, measured.reasons, measured.saturated, level)
        images = stack_results(
            frames,
            measured.table,
            focus,
            defocus,
            subpixel,
            header,
            method,
            long_exposure=measured.long_exposure,
            progress=progress,
        )
        return measured.table, images, (*measured.notes, *left_out)

    dock.start(work, lambda made: _show(dock, layer, frames, made, subpixel, choice))


def _show(
    dock: Dock, layer: Any, frames: Frames, made: Made, subpixel: bool, choice: StackChoice
) -> Iterator[None]:
    table, images, doubts = made
    run = f"{base_name(layer)} all frames"
    shared: dict[str, Any] = {"header": layer.metadata.get("header"), "like": layer}
    hidden = {**shared, "visible": False, "contrast_limits": layer.contrast_limits}
    steps = tuple(step for step in table.history if step.name not in ("register", "rank"))
    dock.add(image_tuple(frames, run, history=steps, **hidden))
    yield
    best = Subset(Shifted(frames, table.shifts, subpixel), np.flatnonzero(table.selected))
    history = (*table.history, shift_step(subpixel))
    hidden["header"] = moved_header(shared["header"], frames, table.shifts, subpixel)
    dock.add(image_tuple(best, f"{run} kept", history=history, **hidden))
    yield
    dock.add(vectors_tuple(table, f"{run} shifts", **shared))
    yield
    for name, result in reversed(images.items()):
        for layer_made in choice.layers(result, f"{run} {name.replace('_', ' ')}", like=layer):
            dock.add(layer_made)
            yield
    dock.note(f"Stacked {tell_count(int(table.selected.sum()), len(table.frame))}.", doubts=doubts)
