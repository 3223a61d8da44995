"""The dock between 1 and 2, cleaning: dust, background, outliers and noise, off by default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napari
from magicgui.widgets import PushButton

from napari_lucky.cleaning.background import BackgroundModel, discs_around
from napari_lucky.cleaning.clean import Cleaned, clean
from napari_lucky.cleaning.dust import RemoveDust, find_dust
from napari_lucky.cleaning.dust_shadow import DustShadow
from napari_lucky.cleaning.mean_light import light_of_run
from napari_lucky.cleaning.step import CleaningStep
from napari_lucky.docks.choices import (
    LayerCombo,
    base_name,
    has_step,
    is_image,
    is_run,
    windows_combo,
)
from napari_lucky.docks.dock import Dock
from napari_lucky.docks.form import StepForm
from napari_lucky.docks.recipe_files import file_of_layer
from napari_lucky.docks.slider import frame_shown, show_frame_of
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.steps.declaration import Step
from napari_lucky.steps.registry import first_of, load_steps
from napari_lucky.text import counted
from napari_lucky.viewer.display_array import ShownArray, read_ahead
from napari_lucky.viewer.from_layers import frames_of, history_of, spots_of, windows_of
from napari_lucky.viewer.messages import show_info
from napari_lucky.viewer.to_layers import contrast_of, dust_tuple, image_tuple

Made = tuple[Cleaned, ShownArray, dict[str, tuple[float, float]]]
"""The cleaned run, what its layer holds, and contrast limits by layer."""


class CleaningDock(Dock):
    """Show a run cleaned of dust, outliers, background and noise, as it is looked at."""

    next_dock = "registration"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        steps = [first_of(table) for table in load_steps()]
        ways = [step for step in steps if issubclass(step, CleaningStep)]
        calibrated, cleaned = has_step("calibrate"), [has_step(step.table) for step in ways]
        self.image = LayerCombo(
            napari_viewer,
            is_run,
            lambda layer: calibrated(layer) and not any(one(layer) for one in cleaned),
            name="image",
            label="run",
            tooltip="Calibrated frames, or raw ones (frame, y, x), ADU",
        )
        self.windows = windows_combo(
            napari_viewer,
            "Shapes layer with the windows of the stars: dust is not looked for there, the "
            "background is not fitted there, outliers are counted there",
            likely=True,
        )
        self.light = LayerCombo(
            napari_viewer,
            is_image,
            name="on",
            label="find on",
            nullable=True,
            tooltip="An image of even light, such as a flat; none: the mean of the run. Shadows "
            "are measured where they were found: do not divide by a flat's shadows twice",
        )
        self.find_button = PushButton(
            text="Find dust",
            tooltip="Mark shadows in a Points layer; move, add or delete points, change their size",
        )
        self.spots = LayerCombo(
            napari_viewer,
            lambda layer: isinstance(layer, napari.layers.Points),
            lambda layer: layer.name.endswith("dust"),
            name="spots",
            label="dust spots",
            nullable=True,
            tooltip="Points layer with the shadows, each as large as its point; none: they are "
            "looked for",
        )
        dust = StepForm("dust", [self.light, self.spots, self.find_button])
        others = [StepForm(step.table) for step in ways if step is not RemoveDust]
        super().__init__(
            napari_viewer,
            "Remove what calibration leaves: dust, outlier pixels, stray light, noise. All "
            "steps are off until you tick them. Each frame is computed when you look at it.",
            [self.image, self.windows, dust, *others],
            follows=[
                (self.image, ("data",)),
                (self.windows, ("data",)),
                (self.spots, ("data", "size")),
            ],
        )
        self.find_button.changed.connect(lambda: self.attempt(self.find))

    def find(self, *_: Any) -> None:
        """Look for dust and mark it in a Points layer."""
        layer, light = self.image.value, self.light.value
        if layer is None:
            raise LuckyError("Open a run first: a folder of FITS frames, or a cube.")
        frames = frames_of(layer if light is None else light)
        discs = discs_around(self._windows(layer)) if light is None else ()
        form = self.forms["dust"]
        radius, most = form["radius"].value, form["count"].value

        def work(job: Job) -> tuple[DustShadow, ...]:
            return find_dust(light_of_run(frames, job=job), radius, most, discs=discs, job=job)

        def done(spots: tuple[DustShadow, ...]) -> Iterator[None]:
            if not spots:
                self.note(f"No shadow of {radius:g} px was found.")
                return
            marked = self.add(dust_tuple(spots, f"{base_name(layer)} dust", like=layer), fresh=True)
            yield
            marked.current_size = 2 * radius
            self.spots.value = marked

        self.start(work, done)

    def run(self) -> None:
        """Add the cleaned layer, and the background's model."""
        layer, points, light_layer = self.image.value, self.spots.value, self.light.value
        if layer is None:
            raise LuckyError("Open a run first: a folder of FITS frames, or a cube.")
        steps = self._steps(layer, points, light_layer)
        if not steps:
            raise LuckyError("Everything is off: there is nothing to clean.")
        dust = next((step for step in steps if isinstance(step, RemoveDust)), None)
        if dust is not None and light_layer is not None and dust.action == "divide":
            _check_not_divided(layer, light_layer)
        frames, windows = frames_of(layer), self._windows(layer)
        light_frames = None if light_layer is None or dust is None else frames_of(light_layer)
        shown = frame_shown(self.viewer, frames.shape[0])

        def work(job: Job) -> Made:
            light = None
            if light_frames is not None:
                light = light_of_run(light_frames, job=job)
            cleaned = clean(frames, steps, windows=windows, light=light, job=job)
            job.progress(0, 1, "looking at the result")
            contrast = {"cleaned": contrast_of(cleaned.frames)}
            if (removed := cleaned.views.get("background")) is not None:
                contrast["background"] = contrast_of(BackgroundModel(removed))
            job.progress(0, 1, "looking at the result")
            return cleaned, read_ahead(cleaned.frames, shown), contrast

        def done(result: Made) -> Iterator[None]:
            cleaned, data, contrast = result
            run = base_name(layer)
            shared = {"header": layer.metadata.get("header"), "like": layer}
            history = (*history_of(layer), *cleaned.history)
            if (removed := cleaned.views.get("background")) is not None:
                names = [step.name for step in cleaned.history]
                upto = cleaned.history[: names.index("background") + 1]
                self.add(
                    image_tuple(
                        BackgroundModel(removed),
                        f"{run} background",
                        history=(*history_of(layer), *upto),
                        contrast_limits=contrast["background"],
                        visible=False,
                        **shared,
                    )
                )
                yield
            limits = contrast["cleaned"]
            title = f"{run} cleaned"
            self.add(image_tuple(data, title, history=history, contrast_limits=limits, **shared))
            yield
            layer.visible = False
            show_frame_of(self.viewer, cleaned.frames.shape[0])
            self.done(f"Cleaned {counted(cleaned.frames.shape[0], 'frame')}.", *cleaned.notes)
            for note in cleaned.notes:
                show_info(note)

        self.start(work, done)

    def _windows(self, layer: Any) -> list[Any]:
        shapes = self.windows.value
        return [] if shapes is None or not len(shapes.data) else windows_of(shapes, layer)

    def _steps(self, layer: Any, points: Any, light: Any) -> list[Step]:
        """Return the steps that are on."""
        spots = () if points is None else tuple(map(tuple, spots_of(points, layer)))
        if points is not None and not spots:
            raise LuckyError(f"“{points.name}” marks no dust: add a point, or choose no layer.")
        dust = {"spots": spots, "on": "mean" if light is None else file_of_layer(light)}
        made = [form.step(**(dust if form.table == "dust" else {})) for form in self.forms.values()]
        return [step for step in made if step is not None]

    def fill(self, recipe: Recipe) -> None:
        """Show the cleaning of a recipe; its dust spots are marked on the run that is chosen."""
        super().fill(recipe)
        dust, run = recipe.get(RemoveDust), self.image.value
        if dust is None or run is None:
            return
        self.spots.value = None
        if dust.spots:
            spots = [DustShadow(*spot) for spot in dust.spots]
            self.spots.value = self.add(dust_tuple(spots, f"{base_name(run)} dust", like=run))
        layers = [layer for layer in self.light.choices if layer is not None]
        self.light.value = next((la for la in layers if file_of_layer(la) == dust.on), None)
        if dust.on != "mean" and self.light.value is None:
            self.add_note(
                f"The recipe finds dust on {dust.on}: open it, and choose it as “find on”."
            )


def _check_not_divided(layer: Any, light: Any) -> None:
    """Refuse to divide by the shadows of the flat that calibrated the run."""
    for step in history_of(layer):
        flat = step.inputs.get("flat") if step.name == "calibrate" else None
        names = light.name, Path(file_of_layer(light)).name
        if flat and (flat.get("name") in names or light.name.endswith("master flat")):
            raise LuckyError(
                f"“{layer.name}” was divided by this flat, and so are its shadows. Choose the raw "
                "run, mask the shadows, or find dust on the mean of the run (no layer)."
            )
