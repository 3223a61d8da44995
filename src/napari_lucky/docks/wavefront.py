"""Dock 5, wavefront: the telescope's aberrations, from the focused and the defocused star."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napari
from magicgui.widgets import ComboBox
from matplotlib.figure import Figure

from napari_lucky.docks.choices import (
    LayerCombo,
    base_name,
    has_step,
    is_image,
    is_registration,
    run_combo,
    windows_combo,
)
from napari_lucky.docks.form import StepForm
from napari_lucky.docks.result_dock import ResultDock
from napari_lucky.docks.telescope_choice import TelescopeChoice
from napari_lucky.docks.wavefront_view import WavefrontView
from napari_lucky.docks.wrapped_text import WrappedText
from napari_lucky.errors import LuckyError
from napari_lucky.execution.helper import Work
from napari_lucky.execution.job import Job
from napari_lucky.fits.write import write_text
from napari_lucky.frames.window import Window
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.viewer.from_layers import (
    chain_history,
    frames_of,
    history_of,
    inputs_of,
    recorded_windows_of,
    table_of,
    windows_of,
)
from napari_lucky.viewer.messages import show_warning
from napari_lucky.viewer.wavefront_layers import stacked_window, stacks_of, wavefront_tuple
from napari_lucky.wavefront.from_stacks import measure_wavefront_stacks
from napari_lucky.wavefront.job import (
    LESSER,
    MeasuredWavefront,
    missing_figures,
    wavefront_parameters,
)
from napari_lucky.wavefront.measure import measure_wavefront
from napari_lucky.wavefront.output import zernikes_to_csv
from napari_lucky.wavefront.summary import mode_rows

RUN, STACKS = "frames of a run", "a pair of stacks"
OF_FRAMES = ("choice", "seed", "gain", "read_noise_e")
"""Parameters that say nothing of a pair of stacks."""
BIASED = (
    "The best frames are those whose turbulence happens to cancel the telescope's own aberration: "
    "the wavefront comes out too small. Use this to see by how much, not to measure."
)


class WavefrontDock(ResultDock):
    """Fit each frame's pair of images; what stays in the mean is the telescope's."""

    stem = "wavefront"
    of_table = "Write coefficients and errors as CSV"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.source = ComboBox(
            name="source",
            label="from",
            choices=[RUN, STACKS],
            tooltip="Fit the pair of images of each frame; use a pair of stacks only if the "
            "frames are gone",
        )
        self.image = run_combo(napari_viewer, "Calibrated frames, not shifted (frame, y, x), ADU")
        self.windows = windows_combo(
            napari_viewer,
            "Shapes layer: first rectangle focused star, second defocused star; none: as the "
            "shifts were registered",
            likely=True,
        )
        self.registration = LayerCombo(
            napari_viewer,
            is_registration,
            lambda layer: True,
            name="registration",
            label="shifts",
            nullable=True,
            tooltip="Vectors layer from 2 Register, for its windows, and for its ranking "
            "where the best frames are chosen; the frames are not shifted",
        )
        self.focus = _stack_combo(napari_viewer, "focus")
        self.defocus = _stack_combo(napari_viewer, "defocus")
        self.telescope = TelescopeChoice()
        asked = StepForm("wavefront", tick=False)
        super().__init__(
            napari_viewer,
            "The telescope's static wavefront from the focused and the defocused star: the "
            "turbulence averages out over the frames, the aberration stays.",
            [
                self.source,
                self.image,
                self.windows,
                self.registration,
                self.focus,
                self.defocus,
                *self.telescope.widgets,
                StepForm("spider"),
                asked,
            ],
        )
        self.warning = WrappedText()
        self.column.insertWidget(self.column.indexOf(self._buttons.native), self.warning)
        self.view = WavefrontView()
        self.add_results([self.view])
        self.result_buttons.native.hide()
        for widget in (self.source, asked["choice"]):
            widget.changed.connect(self._show_parameters)
        for widget in (self.source, self.image, self.focus):
            widget.changed.connect(self._take_header)
        self._show_parameters()
        self._take_header()

    @property
    def _from_run(self) -> bool:
        return bool(self.source.value == RUN)

    def _show_parameters(self, *_: Any) -> None:
        """Show what matters of the parameters, and warn of what biases the answer."""
        run = self._from_run
        for widget in (self.image, self.windows, self.registration):
            widget.visible = run
        for widget in (self.focus, self.defocus):
            widget.visible = not run
        choice = self.forms["wavefront"]["choice"].value
        self.forms["wavefront"].show_rows(OF_FRAMES, run)
        self.forms["wavefront"].show_rows(["count"], run and choice != "all")
        self.warning.setText(LESSER if not run else BIASED if choice == "ranked" else "")
        self.warning.setVisible(bool(self.warning.text()))

    def _take_header(self, *_: Any) -> None:
        layer = self.image.value if self._from_run else self.focus.value
        if layer is not None:
            self.telescope.take_header(layer.metadata.get("header"))

    def run(self) -> None:
        """Measure the wavefront, add its image, and show what it comes to."""
        layer, measure = self._of_run() if self._from_run else self._of_stacks()
        title = f"{base_name(layer)} wavefront"

        def work(job: Job) -> tuple[MeasuredWavefront, list[tuple[str, ...]]]:
            measured = measure(job)
            return measured, mode_rows(measured.wavefront)

        def done(result: tuple[MeasuredWavefront, list[tuple[str, ...]]]) -> Iterator[None]:
            measured, rows = result
            added = self.add(wavefront_tuple(measured, title, like=layer))
            yield
            self.look_at([added, layer])
            self.view.show_wavefront(measured, title, rows)
            self.result_buttons.native.show()
            self.done(f"Measured “{title}”: {measured.wavefront.rms_nm:.1f} nm rms.")
            if measured.notes:  # which the view shows
                show_warning("\n".join(measured.notes))

        self.start(work, done)

    def _of_run(self) -> tuple[Any, Work]:
        """Return the run's layer, and what measures the wavefront of its frames."""
        layer, shifts = self.image.value, self.registration.value
        if layer is None:
            raise LuckyError("Open a run first: a folder of FITS frames, or a cube.")
        frames, history = frames_of(layer), history_of(layer)
        header = layer.metadata.get("header")
        recipe = Recipe(None, *self.requests())
        try:
            windows = self._windows(layer, shifts)
        except LuckyError as error:
            raise LuckyError(f"{error} {missing_figures(recipe, header)}".strip()) from None
        task = wavefront_parameters(recipe, header or {}, *windows)
        task.check(frames.shape)
        quality, doubts = None, self.telescope.notes
        if task.choice == "ranked":
            if shifts is None or not has_step("rank")(shifts):
                raise LuckyError("To choose the best frames, do 3 Rank first.")
            history = chain_history(layer, shifts)
            table = table_of(shifts.features, shifts.metadata, frames.shape[0], history_of(layer))
            quality = table.quality

        def measure(job: Job) -> MeasuredWavefront:
            found = measure_wavefront(frames, task, quality=quality, job=job)
            return MeasuredWavefront(found, history=history, notes=(*doubts, *found.notes))

        return layer, measure

    def _windows(self, layer: Any, shifts: Any) -> tuple[Window, Window]:
        """Return the two windows: those drawn, or else those registered with."""
        windows: list[Window | None] = []
        if self.windows.value is not None:
            windows = [*windows_of(self.windows.value, layer)]
        elif shifts is not None:
            chain_history(layer, shifts)  # raises if they do not belong together
            windows = [*recorded_windows_of(shifts)]
        focus, defocus, *_ = [*windows, None, None]
        if focus is None or defocus is None:
            raise LuckyError(
                "A wavefront needs two windows. Draw two rectangles in a Shapes layer first: one "
                "around the focused star, then one around the defocused star."
            )
        return focus, defocus

    def _of_stacks(self) -> tuple[Any, Work]:
        """Return the focused stack, and what measures the pair's wavefront."""
        layer = self.focus.value
        (focus, defocus), notes = stacks_of(layer, self.defocus.value)
        windows = Window.whole(focus.shape), Window.whole(defocus.shape)
        # without a header, which gives the noise of a frame and not of this
        task = wavefront_parameters(Recipe(None, *self.requests()), {}, *windows)
        doubts, history = self.telescope.notes, history_of(layer)

        def measure(job: Job) -> MeasuredWavefront:
            found = measure_wavefront_stacks(focus, defocus, task, job=job)
            return MeasuredWavefront(found, history=history, notes=(*doubts, *notes))

        return layer, measure

    def set_colours(self, background: str, ink: str) -> None:
        """Draw in other colours from now on."""
        self.view.set_colours(background, ink)

    def write_table(self, path: Path) -> None:
        """Write the coefficients."""
        if self.view.measured is not None:
            text = zernikes_to_csv(self.view.measured.wavefront)
            write_text(path, text, inputs_of(self.viewer))

    @property
    def figure(self) -> Figure:
        """The plot that is shown."""
        return self.view.canvas.figure


def _stack_combo(viewer: napari.Viewer, star: str) -> LayerCombo:
    return LayerCombo(
        viewer,
        lambda layer: is_image(layer) and layer.ndim == 2,
        lambda layer: stacked_window(layer) == star,
        name=f"{star}_stack",
        label=f"{star} stack",
        tooltip=f"The {star}ed star's stack from Stacking, ADU; both of the same frames",
    )
