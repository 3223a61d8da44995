"""Dock 5, wavefront: the telescope's aberrations, from the focused and the defocused star."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napari
from magicgui.widgets import ComboBox, Container, PushButton
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFileDialog, QLabel

from napari_lucky.docks.choices import (
    LayerCombo,
    base_name,
    has_step,
    is_image,
    is_registration,
    run_combo,
    windows_combo,
)
from napari_lucky.docks.dock import Dock
from napari_lucky.docks.jobs import Work
from napari_lucky.docks.wavefront_choice import WavefrontChoice
from napari_lucky.docks.wavefront_view import WavefrontView
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.fits.write import write_text
from napari_lucky.frames.window import Window
from napari_lucky.plots.comparison import FIGURES, save_figure
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
from napari_lucky.wavefront.job import LESSER, MeasuredWavefront
from napari_lucky.wavefront.measure import measure_wavefront
from napari_lucky.wavefront.output import zernikes_to_csv
from napari_lucky.wavefront.summary import mode_rows

RUN, STACKS = "frames of a run", "a pair of stacks"
BIASED = (
    "The best frames are those whose turbulence happens to cancel the telescope's own aberration: "
    "the wavefront comes out too small. Use this to see by how much, not to measure."
)


class WavefrontDock(Dock):
    """Fit each frame's pair of images; what stays in the mean is the telescope's."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.source = ComboBox(
            name="source",
            label="from",
            choices=[RUN, STACKS],
            tooltip="Each frame's pair of images is fitted by itself; a pair of stacks is for when "
            "the frames are gone",
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
            tooltip="Vectors layer from Speckle registration, for its windows, and for its ranking "
            "where the best frames are chosen; the frames are not shifted",
        )
        self.focus = _stack_combo(napari_viewer, "focus")
        self.defocus = _stack_combo(napari_viewer, "defocus")
        self.choice = WavefrontChoice()
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
                *self.choice.optics,
                *self.choice.of_frames,
            ],
        )
        self._closed = False
        self._add_results()
        for widget in (self.source, self.choice.which, self.choice.vanes):
            widget.changed.connect(self._show_parameters)
        for widget in (self.source, self.image, self.focus):
            widget.changed.connect(self._take_header)
        self._show_parameters()
        self._take_header()
        self._follow_theme()
        napari_viewer.events.theme.connect(self._follow_theme)

    def _add_results(self) -> None:
        self.warning = QLabel("")
        self.warning.setWordWrap(True)
        self.column.insertWidget(2, self.warning)  # between the parameters and Run
        self.table_button = PushButton(
            text="Save table…", tooltip="Write coefficients and errors as CSV"
        )
        self.figure_button = PushButton(text="Save figure…", tooltip="Write it as PNG, PDF or SVG")
        self.table_button.changed.connect(lambda: self.attempt(self.save_table))
        self.figure_button.changed.connect(lambda: self.attempt(self.save_figure))
        self._result_buttons = Container(
            widgets=[self.table_button, self.figure_button], layout="horizontal", labels=False
        )
        self.view = WavefrontView()
        self.column.addWidget(self.view)
        self.column.addWidget(self._result_buttons.native)
        self._result_buttons.native.hide()

    def event(self, event: QEvent) -> bool:
        """Follow the viewer no longer when the dock is closed."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._closed = True
            self.viewer.events.theme.disconnect(self._follow_theme)
        return super().event(event)

    def reset_choices(self, *_: Any) -> None:
        """Take up layers, and telescopes that were saved elsewhere."""
        super().reset_choices()
        if not self._closed:
            self.choice.telescope.reset()

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
        self.choice.show(run)
        self.warning.setText(LESSER if not run else BIASED if self.choice.ranked else "")
        self.warning.setVisible(bool(self.warning.text()))

    def _take_header(self, *_: Any) -> None:
        layer = self.image.value if self._from_run else self.focus.value
        if layer is not None:
            self.choice.telescope.take_header(layer.metadata.get("header"))

    def run(self) -> None:
        """Measure the wavefront, add its image, and show what it comes to."""
        layer, measure = self._of_run() if self._from_run else self._of_stacks()
        title = f"{base_name(layer)} wavefront"

        def work(job: Job) -> tuple[MeasuredWavefront, list[tuple[str, ...]]]:
            measured = measure(job)
            return measured, mode_rows(measured.wavefront)

        def done(result: tuple[MeasuredWavefront, list[tuple[str, ...]]]) -> Iterator[None]:
            measured, rows = result
            self.add(wavefront_tuple(measured, title, like=layer))
            yield
            self.view.show_wavefront(measured, title, rows)
            self._result_buttons.native.show()
            if measured.notes:  # which the view shows
                show_warning("\n".join(measured.notes))

        self.start(work, done)

    def _of_run(self) -> tuple[Any, Work]:
        """Return the run's layer, and what measures the wavefront of its frames."""
        layer, shifts = self.image.value, self.registration.value
        if layer is None:
            raise LuckyError("Open a run first: a folder of FITS frames, or a cube.")
        frames, history = frames_of(layer), history_of(layer)
        task = self.choice.task(*self._windows(layer, shifts), layer.metadata.get("header"))
        task.check(frames.shape)
        quality, doubts = None, self.choice.telescope.notes
        if self.choice.ranked:
            if shifts is None or not has_step("rank")(shifts):
                raise LuckyError("To choose the best frames, do Frame ranking first.")
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
        task = self.choice.task(*windows, None)  # a header tells the noise of a frame, not of this
        doubts = self.choice.telescope.notes

        def measure(job: Job) -> MeasuredWavefront:
            found = measure_wavefront_stacks(focus, defocus, task, job=job)
            return MeasuredWavefront(found, history=history_of(layer), notes=(*doubts, *notes))

        return layer, measure

    def _follow_theme(self, *_: Any) -> None:
        theme = get_theme(self.viewer.theme)
        self.view.set_colours(theme.background.as_hex(), theme.text.as_hex())

    def save_table(self) -> None:
        """Ask where, and write the coefficients."""
        path, _ = QFileDialog.getSaveFileName(self, "Save table", "zernike.csv", "Table (*.csv)")
        if path and self.view.measured is not None:
            text = zernikes_to_csv(self.view.measured.wavefront)
            write_text(Path(path), text, inputs_of(self.viewer))

    def save_figure(self) -> None:
        """Ask where, and write the plot shown, black on white."""
        kinds = " ".join(f"*{suffix}" for suffix in FIGURES)
        path, _ = QFileDialog.getSaveFileName(
            self, "Save figure", "wavefront.png", f"Figure ({kinds})"
        )
        if path:
            self.view.set_colours("white", "black")
            try:
                save_figure(Path(path), self.view.canvas.figure, inputs_of(self.viewer))
            finally:
                self._follow_theme()


def _stack_combo(viewer: napari.Viewer, star: str) -> LayerCombo:
    return LayerCombo(
        viewer,
        lambda layer: is_image(layer) and layer.ndim == 2,
        lambda layer: stacked_window(layer) == star,
        name=f"{star}_stack",
        label=f"{star} stack",
        tooltip=f"The {star}ed star's stack from Stacking, ADU; both of the same frames",
    )
