"""Dock 2, register: where the star is in each frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import napari
import numpy as np
from magicgui.widgets import ComboBox, PushButton

from napari_lucky.calibration.calibrate import calibrated_in
from napari_lucky.calibration.saturated_frames import saturated_frames
from napari_lucky.docks.choices import (
    base_name,
    is_windows,
    run_combo,
    show_smoothing,
    subpixel_box,
    windows_combo,
)
from napari_lucky.docks.dock import Dock
from napari_lucky.docks.form import StepForm
from napari_lucky.docks.window_drawing import window_drawing
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.fits.frame_table import FrameTable
from napari_lucky.frames.history import frame_numbers, frame_places, shift_step
from napari_lucky.frames.kept_count import describe_count
from napari_lucky.frames.times import frame_exposures, frame_times
from napari_lucky.frames.window import Window
from napari_lucky.imaging.shifts import Shifted
from napari_lucky.pipeline.measure import frame_notes
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.registration.correlation import REFERENCES
from napari_lucky.registration.find_star import find_star
from napari_lucky.registration.register import Registration, register, registration_record
from napari_lucky.registration.step import Register
from napari_lucky.stacking.stack_header import moved_header
from napari_lucky.steps.declaration import params
from napari_lucky.viewer.from_layers import frames_of, history_of, windows_of
from napari_lucky.viewer.to_layers import (
    files_of,
    image_tuple,
    points_tuple,
    vectors_tuple,
    windows_tuple,
)

SHOWN = "the frame shown"


class RegistrationDock(Dock):
    """Track the star in a window and show the run shifted so that it stands still."""

    next_dock = "ranking"
    extras = "registered frames"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.image = run_combo(napari_viewer, "Calibrated frames, or raw ones (frame, y, x), ADU")
        self.windows = windows_combo(
            napari_viewer,
            "Shapes layer: its first rectangle holds the focused star in every frame, its second, "
            "if there is one, the defocused star",
            likely=True,
        )
        self.place_button = PushButton(
            text="Place window on the brightest star",
            tooltip="Look for the star in frames spread over the run and put a rectangle on it",
        )
        self.draw_button = PushButton(
            text="Draw windows",
            tooltip="Add a layer and draw: first a rectangle around the focused star, then, if "
            "there is one, another around the defocused star",
        )
        self._number: list[str] = []  # of the frame that a recipe names
        self.reference_frame = ComboBox(
            name="reference_frame",
            label="reference",
            choices=lambda _: [*REFERENCES, SHOWN, *self._number],
            tooltip="The frame of the highest peak, the first, the mean of all with their "
            "brightest speckles on one point, or the frame that is shown now",
        )
        form = StepForm("register", [self.reference_frame])
        self.subpixel = subpixel_box()
        super().__init__(
            napari_viewer,
            "Find the star in each frame. Draw a rectangle around the focused star in a Shapes "
            "layer (and a second one around the defocused star), or let it be placed.",
            [
                self.image,
                self.windows,
                self.draw_button,
                self.place_button,
                form,
                self.subpixel,
            ],
            follows=[(self.image, ("data",)), (self.windows, ("data",))],
        )
        self.draw_button.changed.connect(lambda: self.attempt(self.draw_windows))
        self.place_button.changed.connect(lambda: self.attempt(self.place))

    def draw_windows(self) -> None:
        """Let windows be drawn, in the run's layer of windows if there is one already."""
        layer = self.image.value
        if layer is None:
            raise LuckyError("Open a run first: a folder of FITS frames, or a cube.")
        name = f"{base_name(layer)} windows"
        there = [one for one in self.viewer.layers if is_windows(one) and one.name == name]
        drawn = there[-1] if there else self.add(windows_tuple([], name, like=layer), fresh=True)
        if self.windows.value not in (None, drawn):
            self.windows.value.visible = False  # only one at a time
        self.windows.value = drawn
        window_drawing(self.viewer).begin(drawn, layer)

    def place(self, *_: Any) -> None:
        """Look for the star and put the first rectangle on it."""
        layer = self.image.value
        if layer is None:
            raise LuckyError("Open a run first: a folder of FITS frames, or a cube.")
        frames = frames_of(layer)
        scene = getattr(self.forms["register"].model, "takes_scenes", False)

        def work(job: Job) -> Window:
            return find_star(frames, scene=scene, job=job)

        def done(window: Window) -> Iterator[None]:
            others, known = self.windows.value, [window]
            if others is not None and len(others.data) > 1:  # keep the user's defocus window
                known.append(windows_of(others, layer)[1])
            added = self.add(windows_tuple(known, f"{base_name(layer)} windows", like=layer))
            yield
            self.windows.value = added

        self.start(work, done)

    def run(self) -> None:
        """Track the star and add the arrows, the tracked point and the shifted run."""
        layer = self.image.value
        if layer is None:
            raise LuckyError("Open a run first: a folder of FITS frames, or a cube.")
        if self.windows.value is None:
            raise LuckyError(
                "There is no window yet. Draw a rectangle around the focused star in a Shapes "
                "layer, or press “Place window on the brightest star”."
            )
        frames = frames_of(layer)
        focus, *rest = windows_of(self.windows.value, layer)
        defocus = rest[0] if rest else None
        if defocus is not None:
            defocus.check_on(frames.shape, "defocus window")
        subpixel = self.subpixel.value
        by, placed = self._step(layer)

        def work(job: Job) -> tuple[Registration, list[str]]:
            registration = register(frames, focus, method=placed, job=job)
            calibrated = calibrated_in(frames)
            everything, level = np.arange(frames.shape[0]), np.inf
            saturated = np.zeros(len(everything), bool)
            if calibrated is not None:
                shifts, level = registration.shifts, calibrated.saturation
                saturated = saturated_frames(
                    calibrated, focus, shifts, registration.reference, job=job
                )
            left_out = frame_notes(everything, registration.reasons, saturated, level)
            return registration, [*registration.notes, *left_out]

        def done(result: tuple[Registration, list[str]]) -> Iterator[None]:
            registration, notes = result
            show_smoothing(self.forms["register"]["smooth"], registration.sampling, "tracking")
            header = layer.metadata.get("header")
            history = (*history_of(layer), registration_record(registration, by, defocus))
            n = frames.shape[0]
            table = FrameTable(
                frame_numbers(np.arange(n), history),
                files_of(frames),
                registration.shifts,
                np.full(n, np.nan),
                np.zeros(n, bool),
                registration.reference,
                history,
                registration.sigma,
                frame_times(frames),
                frame_exposures(frames),
            )
            shifted = Shifted(frames, registration.shifts, subpixel)
            done_to = (*history, shift_step(subpixel))
            shared = {"header": header, "like": layer}
            title = f"{base_name(layer)} registered"
            self.by_products.offer(
                title,
                lambda: image_tuple(
                    shifted,
                    title,
                    history=done_to,
                    contrast_limits=layer.contrast_limits,
                    visible=False,
                    header=moved_header(header, frames, registration.shifts, subpixel),
                    like=layer,
                ),
            )
            yield
            self.add(points_tuple(table, f"{base_name(layer)} tracked", **shared))
            yield
            self.add(vectors_tuple(table, f"{base_name(layer)} shifts", **shared))
            yield
            sentences = [f"Registered {describe_count(int(registration.found.sum()), n)}."]
            if registration.sampling is not None:
                sentences.append(registration.sampling.smoothing_note("tracking"))
            self.done(*sentences, doubts=notes)

        self.start(work, done)

    def _step(self, layer: Any) -> tuple[Register, Register]:
        """Return the step dialled in, and the same with its reference as a place in the layer."""
        which, own = self.reference_frame.value, {}
        if which == SHOWN:
            shown = self.viewer.dims.current_step[self.viewer.dims.ndim - layer.ndim]
            which = str(frame_numbers(np.array([shown]), history_of(layer))[0])
        if "reference_frame" in params(self.forms["register"].model):
            own["reference_frame"] = which
        step = self.forms["register"].step(**own)
        assert isinstance(step, Register)
        if not own or not which.isdecimal():
            return step, step
        place = int(frame_places(np.array([int(which)]), history_of(layer))[0])
        if not 0 <= place < layer.data.shape[0]:
            raise LuckyError(f"Frame {which} cannot be the reference: it is not in “{layer.name}”.")
        return step, step.changed(reference_frame=str(place))

    def fill(self, recipe: Recipe) -> None:
        """Show a recipe's registration, its reference and its windows."""
        super().fill(recipe)
        which = getattr(recipe[Register], "reference_frame", None)
        if which is not None:
            self._number = [which] if which.isdecimal() else []
            self.reference_frame.reset_choices()
            self.reference_frame.value = which
        windows = [recipe.window(name) for name in ("focus", "defocus")]
        if self.image.value is not None and windows[0] is not None:
            known = [window for window in windows if window is not None]
            name = f"{base_name(self.image.value)} windows"
            self.windows.value = self.add(windows_tuple(known, name, like=self.image.value))
