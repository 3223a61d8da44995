"""Dock 1, calibrate: dark, flat and bad pixels out of a run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import napari
import numpy as np
from magicgui.widgets import LineEdit, PushButton
from numpy.typing import NDArray

from napari_lucky.calibration.calibrate import (
    Calibrated,
    calibrate,
    calibration_record,
    saturation_level,
)
from napari_lucky.calibration.flat import FlatField, flat_steps
from napari_lucky.calibration.step import Calibrate
from napari_lucky.docks.choices import LayerCombo, base_name, is_run
from napari_lucky.docks.dock import Dock
from napari_lucky.docks.flat_graph import FlatGraph
from napari_lucky.docks.form import StepForm, editor_of
from napari_lucky.docks.master_source import (
    chosen_master,
    master_source,
)
from napari_lucky.docks.recipe_files import ask_where_from
from napari_lucky.docks.slider import frame_shown, show_frame_of
from napari_lucky.docks.theme import follow_theme
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.fits.frame_kind import Kind
from napari_lucky.frames.frames import Subset, frames_in, parse_range
from napari_lucky.frames.history import History, Record, open_step, range_step
from napari_lucky.pipeline.open_masters import find_auto, misfit_notes, open_master
from napari_lucky.pipeline.recipe import Recipe, read_recipe
from napari_lucky.pipeline.step import Input
from napari_lucky.steps.declaration import params
from napari_lucky.steps.option_text import OFF
from napari_lucky.text import counted
from napari_lucky.viewer.display_array import ShownArray, read_ahead
from napari_lucky.viewer.from_layers import frames_of, history_of, run_in_colour
from napari_lucky.viewer.messages import show_info
from napari_lucky.viewer.opened_recipe import fill_docks
from napari_lucky.viewer.to_layers import contrast_of, image_tuple

Images = dict[str, NDArray[np.float32]]
Made = tuple[
    Calibrated,
    Images,
    ShownArray,
    FlatField | None,
    Record,
    tuple[float, float],
    Calibrate,
    tuple[str, ...],
]
"""The calibrated run, its masters, what its layer holds, the flat, the record, its contrast
limits, the step, and what was found beside the run."""


class CalibrationDock(Dock):
    """Make masters from dark and flat frames, and show the run calibrated as it is looked at."""

    next_dock = "registration"
    extras = "masters and mask"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.image = LayerCombo(
            napari_viewer,
            is_run,
            name="image",
            label="run",
            tooltip="Raw (frame, y, x), ADU",
        )
        self.frames = LineEdit(
            name="frames",
            label="frames",
            tooltip="START:STOP or START:STOP:STEP, frames from 0: try parameters on a few, then "
            "empty it and run on all",
        )
        self.colour = editor_of(params(Input)["colour"], "colour")
        self.colour.label = "colour"
        self.dark, self.dark_path = master_source(napari_viewer, "dark")
        self.flat, self.flat_path = master_source(napari_viewer, "flat")
        self.open_button = PushButton(
            text="Open recipe…",
            tooltip="Fill this dock and the others that are open from a recipe: the recipe.toml "
            "of a job, or one saved in 4 Stack",
        )
        super().__init__(
            napari_viewer,
            "Subtract the dark, divide by the flat, mask bad pixels. Each frame is computed when "
            "you look at it.",
            [
                self.image,
                self.frames,
                self.colour,
                self.dark,
                self.dark_path,
                self.flat,
                self.flat_path,
                StepForm("calibrate"),
                self.open_button,
            ],
        )
        self.open_button.changed.connect(lambda: self.attempt(self.open_recipe))
        self.graph = FlatGraph()
        self.column.addWidget(self.graph)
        follow_theme(napari_viewer, self.graph.set_colours)

    def run(self) -> None:
        """Make the masters and add the calibrated layer."""
        layer = self.image.value
        if layer is None:
            raise LuckyError("Open a run first: a folder of frames, a cube, or a SER file.")
        frames, before = frames_of(layer), history_of(layer)
        header = layer.metadata.get("header")
        finer = 1.0
        if self.colour.value is not None:
            run = run_in_colour(layer, self.colour.value)
            finer = run.shape[1] / frames.shape[1]
            frames, before, header = run, (open_step(run),), run.header
        if self.frames.value.strip():
            chosen = frames_in(frames.shape[0], parse_range(self.frames.value))
            frames, before = Subset(frames, chosen), (*before, range_step(chosen))
        dark, dark_name = chosen_master(self.dark, self.dark_path)
        flat, flat_name = chosen_master(self.flat, self.flat_path)
        of_layer = flat is not None and not isinstance(flat, str)
        flat_history = history_of(self.flat.value) if of_layer else None
        asked = self.forms["calibrate"].step(dark=dark_name, flat=flat_name)
        assert isinstance(asked, Calibrate)
        saturation = asked.saturation or saturation_level(header, frames)
        shown = frame_shown(self.viewer, frames.shape[0])

        def work(job: Job) -> Made:
            by, beside = find_auto(asked, frames)
            opened: dict[Kind, Any] = {
                "dark": open_master(beside.dark or dark, frames, "dark"),
                "flat": open_master(beside.flat or flat, frames, "flat"),
            }
            calibrated = calibrate(
                frames,
                opened["dark"],
                opened["flat"],
                saturation=saturation,
                history=before,
                flat_history=flat_history,
                combine=by.combine,
                clip_sigma=by.clip_sigma,
                hot_sigma=by.hot_sigma,
                dead_below=by.dead_below,
                job=job,
            )
            masters = {
                name: np.asarray(master)
                for name in ("dark", "light", "flat")
                if (master := getattr(calibrated, name)) is not None
            }
            contrast = contrast_of(calibrated)
            field = None
            if "flat" in masters:
                field = FlatField(masters["flat"], masters.get("light"))
                _ = field.level, field.rms, field.dead  # kept from now on: it takes a while
            step = calibration_record(calibrated, by)  # with checksums
            data = read_ahead(calibrated, shown)
            notes = (*beside.notes, *misfit_notes(frames, opened))
            return calibrated, masters, data, field, step, contrast, by, notes

        def done(result: Made) -> Iterator[None]:
            calibrated, masters, data, field, step, contrast, by, found = result
            run = base_name(layer)
            shared: dict[str, Any] = {"history": (step,), "like": layer, "visible": False}
            if calibrated.bad is not None:
                bad = np.asarray(calibrated.bad, np.uint8)
                options: dict[str, Any] = {"colormap": "red", "contrast_limits": (0, 1)}
                title = f"{run} bad pixels"
                self.by_products.offer(title, partial(image_tuple, bad, title, **shared, **options))
                yield
            steps: History = ()
            if field is not None:
                steps = flat_steps(field, by.model_dump(), step.inputs.get("dark"))
            for name, title, made in (
                ("dark", "master dark", ()),
                ("light", "master flat before normalisation", steps[:-1]),
                ("flat", "master flat", steps),
            ):
                if name in masters:
                    own = () if name == "dark" else flat_history or ()
                    how = {**shared, "history": (*own, step, *made)}
                    name_of = f"{run} {title}"
                    make = partial(image_tuple, masters[name], name_of, **how)
                    self.by_products.offer(name_of, make)
                    yield
            self.graph.show_flat(field)
            yield
            self.add(
                image_tuple(
                    data,
                    f"{run} calibrated",
                    header=header,
                    history=(*before, step),
                    finer=finer,
                    like=layer,
                    contrast_limits=contrast,
                )
            )
            yield
            layer.visible = False
            show_frame_of(self.viewer, calibrated.shape[0])
            masked = []
            if calibrated.masked:
                masked = [
                    f"Masked {counted(calibrated.masked, 'hot or dead pixel')} of the sensor."
                ]
                show_info(masked[0])
            self.done(f"Calibrated {counted(calibrated.shape[0], 'frame')}.", *masked, *found)

        self.start(work, done)

    def open_recipe(self) -> None:
        """Ask which, and fill all docks that are open."""
        if (path := ask_where_from(self)) is None:
            return
        self.add_note(fill_docks(self.viewer, read_recipe(path), path))

    def fill(self, recipe: Recipe) -> None:
        """Show a recipe's calibration, and which frames it takes."""
        super().fill(recipe)
        by = recipe[Calibrate]
        self.dark.value = self.flat.value = None  # no layer: a recipe has paths
        for edit, path in ((self.dark_path, by.dark), (self.flat_path, by.flat)):
            edit.line.value = "" if path in (None, OFF) else path
        given = [recipe.input.start, recipe.input.stop, recipe.input.step]
        parts = ["" if number is None else str(number) for number in given]
        self.colour.value = recipe.input.colour
        self.frames.value = ":".join(parts) if any(parts) else ""
