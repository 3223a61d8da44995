"""Dock 4, stacking: the kept frames become the lucky pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import napari
import numpy as np
from magicgui.widgets import CheckBox, ComboBox, PushButton

from napari_lucky.docks.choices import (
    base_name,
    run_combo,
    shifts_combo,
    windows_combo,
)
from napari_lucky.docks.dock import Dock
from napari_lucky.docks.form import StepForm
from napari_lucky.docks.made_layers import made_layers
from napari_lucky.docks.recipe_files import ask_where_to, recipe_of_layer
from napari_lucky.docks.result_dock import ResultDock
from napari_lucky.docks.run_all import run_all
from napari_lucky.docks.stack_layers import stack_layers
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.write import write_text
from napari_lucky.frames.window import Window
from napari_lucky.pipeline.process import stack_results
from napari_lucky.pipeline.recipe import recipe_to_toml
from napari_lucky.stacking.step import StackFrames
from napari_lucky.viewer.from_layers import (
    chain_history,
    frames_of,
    history_of,
    inputs_of,
    recorded_windows_of,
    table_of,
    windows_of,
)

KEPT, ALL = "kept by ranking", "all (shift-and-add)"


class StackingDock(Dock):
    """Average the kept frames in both windows, and all frames unshifted beside them."""

    next_dock = "wavefront"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.image = run_combo(
            napari_viewer, "The frames that were registered (not the shifted layer), ADU"
        )
        self.registration = shifts_combo(
            napari_viewer, "Vectors layer with the shifts (px) and the ranking"
        )
        self.windows = windows_combo(
            napari_viewer,
            "Shapes layer with other windows than the registration's: first rectangle focused "
            "star, second defocused star; none: as registered",
        )
        self.which = ComboBox(
            name="which",
            label="frames",
            choices=[KEPT, ALL],
            tooltip="Which frames are stacked",
        )
        self.beside = CheckBox(
            name="beside",
            text="variance and coverage",
            value=False,
            tooltip="Add them as hidden layers",
        )
        self.all_button = PushButton(
            text="Run all frames",
            tooltip="Where some frames were chosen in 1 Calibrate: register, rank and stack "
            "all frames of the run with the same parameters",
        )
        self.save_button = PushButton(
            text="Save recipe…",
            tooltip="Save how these frames were calibrated, cleaned, registered and ranked, how "
            "they are stacked, and the parameters of PSF figures and wavefront: a file "
            "that “napari-lucky process --recipe” replays",
        )
        super().__init__(
            napari_viewer,
            "Stack the kept frames, shifted, in the focused and the defocused star's windows "
            "(same frames, same shifts), and average all frames unshifted: the long exposure.",
            [
                self.image,
                self.registration,
                self.windows,
                self.which,
                StepForm("stack"),
                self.beside,
                self.all_button,
                self.save_button,
            ],
            follows=[
                (self.image, ("data",)),
                (self.registration, ("data", "features")),
                (self.windows, ("data",)),
            ],
        )
        self.all_button.changed.connect(lambda: self.attempt(self.run_all))
        self.save_button.changed.connect(lambda: self.attempt(self.save_recipe))

    def run_all(self) -> None:
        """Take all frames of the run through what was dialled in on some."""
        layer, shifts = self._chosen()
        focus, defocus = self._windows(layer, shifts)
        chain_history(layer, shifts)  # raises if they do not belong together
        run_all(self, layer, shifts, focus, defocus, self._step(), self.beside.value)

    def save_recipe(self) -> None:
        """Ask where, and write the recipe that the frames and their shifts record."""
        layer, shifts = self._chosen()
        docks = self.viewer.window.dock_widgets.values()
        asked = [one for dock in docks if isinstance(dock, ResultDock) for one in dock.requests()]
        steps = {step.table: step for step in (*asked, self._step())}
        recipe, missing = recipe_of_layer(layer, chain_history(layer, shifts), *steps.values())
        if (path := ask_where_to(self)) is not None:
            write_text(path, recipe_to_toml(recipe), inputs_of(self.viewer))
            self.add_note(f"Saved {path}.", doubts=missing)

    def _step(self) -> StackFrames:
        step = self.forms["stack"].step()
        assert isinstance(step, StackFrames)
        return step

    def _chosen(self) -> tuple[Any, Any]:
        layer, shifts = self.image.value, self.registration.value
        if layer is None or shifts is None:
            raise LuckyError("Stacking needs a run and its shifts: do 2 Register first.")
        return layer, shifts

    def run(self) -> None:
        """Stack and add the images."""
        layer, shifts = self._chosen()
        frames = frames_of(layer)
        history = chain_history(layer, shifts)
        table = table_of(shifts.features, shifts.metadata, frames.shape[0], history_of(layer))
        focus, defocus = self._windows(layer, shifts)
        by = self._step()
        found = table.found
        kept = np.flatnonzero(found & table.selected if self.which.value == KEPT else found)
        if len(kept) == 0 and not by.of_all:
            if self._in_place:
                return  # registered again, not yet ranked
            raise LuckyError(
                f"No frame is kept yet: do 3 Rank first, or choose “{ALL}” to stack every frame."
            )
        chosen = replace(
            table, selected=np.isin(np.arange(len(table.frame)), kept), history=history
        )
        header = layer.metadata.get("header")
        used = int(by.takes(chosen.selected, found).sum())
        sentence = f"Stacked {by.describe(used, len(table.frame))}."
        doubts = by.notes(used, len(table.frame))

        def work(job: Job) -> dict[str, ImageResult]:
            return stack_results(frames, chosen, focus, defocus, by, header, job=job)

        def done(images: dict[str, ImageResult]) -> Iterator[None]:
            shown, titles = [], []
            for name, result in reversed(images.items()):
                titles.append(f"{base_name(layer)} {name.replace('_', ' ')}")
                for made in stack_layers(result, titles[-1], self.beside.value, like=layer):
                    added = self.add(made)
                    if made[1]["visible"]:
                        shown.append(added)
                    yield
            made_layers(self.viewer).stacked(shifts, titles)
            if not self._in_place:
                made_layers(self.viewer).hide_marks(base_name(layer))
                self.look_at(shown)
            self.done(sentence, doubts=doubts)

        self.start(work, done)

    def _windows(self, layer: Any, shifts: Any) -> tuple[Window, Window | None]:
        focus, defocus = recorded_windows_of(shifts)
        if self.windows.value is not None:
            focus, *rest = windows_of(self.windows.value, layer)
            defocus = rest[0] if rest else None
        if focus is None:
            raise LuckyError(
                "These shifts do not say where the star's window is; choose a Shapes layer with "
                "a rectangle around the focused star (and one around the defocused star)."
            )
        for window, name in ((focus, "focus window"), (defocus, "defocus window")):
            if window is not None:
                window.check_on(layer.data.shape, name)
        return focus, defocus
