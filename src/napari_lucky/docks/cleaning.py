"""The dock between 1 and 2, cleaning: dust, background, outliers and noise, off by default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import napari
from magicgui.widgets import ComboBox, FloatSpinBox, PushButton, SpinBox

from napari_lucky.cleaning.background import MAX_ORDER, BackgroundModel, discs_around
from napari_lucky.cleaning.clean import CHOICES, Cleaned, Cleaning, clean
from napari_lucky.cleaning.dust import find_dust, light_of_run
from napari_lucky.cleaning.dust_shadow import Spot
from napari_lucky.docks.choices import (
    LayerCombo,
    base_name,
    has_step,
    is_image,
    is_run,
    windows_combo,
)
from napari_lucky.docks.dock import Dock
from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import Progress
from napari_lucky.viewer.from_layers import frames_of, history_of, spots_of, windows_of
from napari_lucky.viewer.messages import show_info
from napari_lucky.viewer.shown_array import ShownArray, read_ahead
from napari_lucky.viewer.to_layers import contrast_of, dust_tuple, image_tuple

OFF = "off"
Made = tuple[Cleaned, ShownArray, dict[str, tuple[float, float]]]
"""The cleaned run, what its layer holds, and contrast limits by layer."""


class CleaningDock(Dock):
    """Show a run cleaned of dust, outliers, background and noise, as it is looked at."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        calibrated = has_step("calibrate")
        self.image = LayerCombo(
            napari_viewer,
            is_run,
            lambda layer: calibrated(layer) and not layer.name.endswith("cleaned"),
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
        self.outliers = _box("outliers", "outliers (sigma)", 0.5, 1000, _OUTLIERS)
        self.flicker = _box("flicker", "flicker (sigma)", 0.5, 1000, _FLICKER)
        self.outliers_as = _choice("outliers_as", "outliers are", "What becomes of such pixels")
        self.background = ComboBox(
            name="background",
            label="background order",
            choices=[OFF, *map(str, range(MAX_ORDER + 1))],
            tooltip="Take a polynomial of this order off each frame, fitted outside discs around "
            "the stars; for stray light that dark and flat leave",
        )
        self.radius = SpinBox(
            name="radius",
            label="disc radius (px)",
            value=0,
            min=0,
            max=100_000,
            tooltip="Radius of the discs in pixels; 0: to the windows' corners",
        )
        self.centre = _choice(
            "background_centre", "discs stay on the", "Or move with the brightest speckle"
        )
        self.dust = SpinBox(
            name="dust",
            label="dust spots (at most)",
            value=5,
            min=1,
            max=1000,
            tooltip="How many shadows “Find dust” looks for",
        )
        self.dust_radius = FloatSpinBox(
            name="dust_radius",
            label="dust radius (px)",
            value=10,
            min=1,
            max=500,
            step=1,
            tooltip="Radius of the shadows that “Find dust” looks for, in pixels",
        )
        self.light = LayerCombo(
            napari_viewer,
            is_image,
            name="light",
            label="find dust on",
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
            tooltip="Points layer with the shadows, each as large as its point; none: dust stays",
        )
        self.dust_as = _choice("dust_as", "dust is", "Divided out, or masked")
        self.noise_cut = _box("noise_cut", "noise cut (sigma)", 0.5, 10, _NOISE_CUT)
        self.low_pass = _box("low_pass", "low-pass cut-off", 0.01, 100, _LOW_PASS)
        self.sampling = _box("sampling", "lambda F#/pixel (px)", 0.1, 1000, _SAMPLING)
        super().__init__(
            napari_viewer,
            "What dark and flat leave: dust, outlier pixels, stray light, noise. All is off unless "
            "you choose it; the result is computed as it is looked at.",
            [
                self.image,
                self.windows,
                self.dust,
                self.dust_radius,
                self.light,
                self.find_button,
                self.spots,
                self.dust_as,
                self.background,
                self.radius,
                self.centre,
                self.outliers,
                self.flicker,
                self.outliers_as,
                self.noise_cut,
                self.low_pass,
                self.sampling,
            ],
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
        radius, most = self.dust_radius.value, self.dust.value

        def work(progress: Progress) -> tuple[Spot, ...]:
            return find_dust(light_of_run(frames, progress=progress), radius, most, discs=discs)

        def done(spots: tuple[Spot, ...]) -> Iterator[None]:
            if not spots:
                self.note(f"No shadow of {radius:g} px stands out there.")
                return
            marked = self.add(dust_tuple(spots, f"{base_name(layer)} dust", like=layer))
            yield
            marked.current_size = 2 * radius
            self.spots.value = marked

        self.start(work, done)

    def run(self) -> None:
        """Add the cleaned layer, and the background's model."""
        layer, points, light_layer = self.image.value, self.spots.value, self.light.value
        if layer is None:
            raise LuckyError("Open a run first: a folder of FITS frames, or a cube.")
        spots = () if points is None else tuple(map(tuple, spots_of(points, layer)))
        on = "mean" if light_layer is None else light_layer.name
        cleaning = self._cleaning(spots, on)
        if cleaning == Cleaning(dust_on=on):
            raise LuckyError("Everything is off: there is nothing to clean.")
        if spots and light_layer is not None and cleaning.dust_as == "divide":
            _check_not_divided(layer, light_layer)
        frames, windows = frames_of(layer), self._windows(layer)
        light_frames = None if light_layer is None or not spots else frames_of(light_layer)

        shown = self.frame_shown(frames.shape[0])

        def work(progress: Progress) -> Made:
            light = None
            if light_frames is not None:
                light = light_of_run(light_frames, progress=progress)
            cleaned = clean(frames, cleaning, windows, light=light, progress=progress)
            progress(0, 1, "looking at the result")
            contrast = {"cleaned": contrast_of(cleaned.frames)}
            if cleaned.background is not None:
                contrast["background"] = contrast_of(BackgroundModel(cleaned.background))
            progress(0, 1, "looking at the result")
            return cleaned, read_ahead(cleaned.frames, shown), contrast

        def done(result: Made) -> Iterator[None]:
            cleaned, data, contrast = result
            run = base_name(layer)
            shared = {"header": layer.metadata.get("header"), "like": layer}
            history = (*history_of(layer), *cleaned.steps)
            if cleaned.background is not None:
                names = [step.name for step in cleaned.steps]
                upto = cleaned.steps[: names.index("take off background") + 1]
                self.add(
                    image_tuple(
                        BackgroundModel(cleaned.background),
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
            self.show_frame_of(cleaned.frames.shape[0])
            self.note(*cleaned.notes)
            for note in cleaned.notes:
                show_info(note)

        self.start(work, done)

    def _windows(self, layer: Any) -> list[Any]:
        shapes = self.windows.value
        return [] if shapes is None or not len(shapes.data) else windows_of(shapes, layer)

    def _cleaning(self, spots: Any, on: str) -> Cleaning:
        order = self.background.value
        chosen: dict[str, Any] = {
            "outliers": self.outliers.value or None,
            "flicker": self.flicker.value or None,
            "noise_cut": self.noise_cut.value or None,
        }
        if chosen["outliers"] or chosen["flicker"]:
            chosen["outliers_as"] = self.outliers_as.value
        if order != OFF:
            chosen["background"] = int(order)
            chosen["background_radius"] = self.radius.value or None
            chosen["background_centre"] = self.centre.value
        if self.low_pass.value:
            chosen["low_pass"] = self.low_pass.value
            chosen["sampling"] = self.sampling.value or None
        if spots:
            chosen["dust_spots"], chosen["dust_as"] = spots, self.dust_as.value
        return Cleaning(dust_on=on, **chosen)


def _check_not_divided(layer: Any, light: Any) -> None:
    """Refuse to divide by the shadows of the flat that calibrated the run."""
    for step in history_of(layer):
        flat = step.inputs.get("flat") if step.name == "calibrate" else None
        if flat and (light.name == flat["name"] or light.name.endswith("master flat")):
            raise LuckyError(
                f"“{layer.name}” was divided by this flat, and so are its shadows. Choose the raw "
                "run, mask the shadows, or find dust on the mean of the run (no layer)."
            )


def _box(name: str, label: str, step: float, most: float, told: str) -> FloatSpinBox:
    box = FloatSpinBox(
        name=name, label=label, value=0, min=0, max=most, step=step, tooltip=f"{told}; 0: off"
    )
    box.native.setDecimals(3)
    return box


def _choice(name: str, label: str, told: str) -> ComboBox:
    return ComboBox(name=name, label=label, choices=list(CHOICES[name]), tooltip=told)


_OUTLIERS = "Pixels that stand alone in a frame, so many sigmas off the median around them"
_FLICKER = "Pixels that stand alone, so many sigmas off what they usually are"
_NOISE_CUT = "Remove Fourier coefficients under so many sigmas of the noise that is measured"
_LOW_PASS = "Gaussian low-pass: half amplitude at so many cycles/px, or diffraction limits"
_SAMPLING = "Width lambda/D on the sensor: the cut-off is then in units of the diffraction limit"
