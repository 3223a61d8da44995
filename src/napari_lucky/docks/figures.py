"""The dock PSF figures: Strehl ratio, FWHM, encircled energy and profile of a stack or a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import napari
from magicgui.widgets import Container, FloatSpinBox, LineEdit, PushButton, SpinBox
from matplotlib import rc_context
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QFileDialog, QLabel

from napari_lucky.docks.choices import (
    LayerCombo,
    has_step,
    is_image,
    is_registration,
    is_run,
    windows_combo,
)
from napari_lucky.docks.dock import Dock
from napari_lucky.docks.graphs import rc_colours
from napari_lucky.docks.telescope_choice import TelescopeChoice
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.frames.history import stack_scale
from napari_lucky.plots.comparison import FIGURES, save_figure
from napari_lucky.psf.bootstrap import MOST_RESAMPLES, bootstrap_figures
from napari_lucky.psf.figures import psf_figures
from napari_lucky.psf.output import save_tables
from napari_lucky.psf.plots import MOST_CURVES, draw_figures
from napari_lucky.psf.recipe import PsfRecipe
from napari_lucky.psf.stacks import on_finer, stacked_frames
from napari_lucky.psf.table import FigureRow, aperture_notes, figure_rows
from napari_lucky.viewer.from_layers import (
    chain_history,
    frames_of,
    history_of,
    image_at,
    inputs_of,
    table_of,
    windows_of,
)

HEIGHT = 520
"""Pixels that two graphs need."""


class FiguresDock(Dock):
    """Measure a star's image beside the diffraction-limited one; it changes no layer."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.image = LayerCombo(
            napari_viewer,
            is_image,
            has_step("stack"),
            name="image",
            label="image",
            tooltip="A stack or any image of a star, ADU; of a run the frame shown is measured",
        )
        self.windows = windows_combo(
            napari_viewer,
            "Shapes layer whose first rectangle holds the star's peak; none: the brightest of all",
        )
        self.telescope = TelescopeChoice()
        self.aperture = _radius("aperture", "aperture (px)", "Radius of the circle of the flux")
        self.inner = _radius("inner", "ring, inner (px)", "Of the ring whose mean is background")
        self.outer = _radius("outer", "ring, outer (px)", "Of the ring whose mean is background")
        self.level = LineEdit(
            name="level",
            label="background (ADU)",
            tooltip="Where it is known, such as 0; then there is no ring. Empty: the ring's mean",
        )
        self.integration = FloatSpinBox(
            name="integration",
            label="integration (px)",
            value=1,
            min=0,
            max=10,
            step=0.5,
            tooltip="Side of the square that a pixel integrates over; 0: none",
        )
        self.run_layer = LayerCombo(
            napari_viewer,
            is_run,
            None,
            name="frames",
            label="errors from run",
            nullable=True,
            tooltip="The calibrated run that the stack is the mean of; none: no errors",
        )
        self.shifts = LayerCombo(
            napari_viewer,
            is_registration,
            None,
            name="registration",
            label="and shifts",
            nullable=True,
            tooltip="Its shifts, with the ranking that chose the frames",
        )
        self.resamples = SpinBox(
            name="resamples",
            label="resamples",
            value=200,
            min=10,
            max=MOST_RESAMPLES,
            tooltip="Stacks of frames drawn with replacement, whose scatter is the error",
        )
        super().__init__(
            napari_viewer,
            "Strehl ratio, FWHM, encircled energy and radial profile of a star's image, measured "
            "as those of the diffraction-limited PSF are. Each Run adds a line to the table; "
            "compare Strehl ratios of one aperture.",
            [
                self.image,
                self.windows,
                *self.telescope.widgets,
                self.aperture,
                self.inner,
                self.outer,
                self.level,
                self.integration,
                self.run_layer,
                self.shifts,
                self.resamples,
            ],
            follows=[(self.image, ("data",)), (self.windows, ("data",))],
        )
        self.rows: dict[str, FigureRow] = {}
        self._closed = False
        self._add_results()
        self.image.changed.connect(self._image_changed)
        self._image_changed()
        self._follow_theme()
        napari_viewer.events.theme.connect(self._follow_theme)

    def _add_results(self) -> None:
        self.told = QLabel("")
        self.told.setWordWrap(True)
        self.told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.table_button = PushButton(
            text="Save table…",
            tooltip="Write a line for each image measured as CSV, and the curves beside it",
        )
        self.figure_button = PushButton(text="Save figure…", tooltip="Write it as PNG, PDF or SVG")
        self.clear_button = PushButton(text="Clear", tooltip="Forget what was measured")
        for button, action in (
            (self.table_button, self.save_table),
            (self.figure_button, self.save_figure),
            (self.clear_button, self.clear),
        ):
            button.changed.connect(lambda _=None, action=action: self.attempt(action))
        self._result_buttons = Container(
            widgets=[self.table_button, self.figure_button, self.clear_button],
            layout="horizontal",
            labels=False,
        )
        self.canvas = FigureCanvasQTAgg(Figure(figsize=(4, 6), layout="constrained"))
        self.canvas.setMinimumHeight(HEIGHT)
        for widget in (self.told, self._result_buttons.native, self.canvas):
            self.column.addWidget(widget)
        self._show(None)

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
            self.telescope.reset()

    def _image_changed(self, *_: Any) -> None:
        if (layer := self.image.value) is not None:
            self.telescope.take_header(layer.metadata.get("header"))

    @property
    def recipe(self) -> PsfRecipe:
        """Aperture, ring and pixel, as dialled in.

        Raises
        ------
        LuckyError
            If they make no sense.
        """
        level = self.level.value.strip()
        try:
            background = float(level) if level else None
        except ValueError:
            raise LuckyError(f"The background {level!r} is no number of ADU.") from None
        inner, outer = self.inner.value, self.outer.value
        ring = (inner, outer) if inner or outer else None
        return PsfRecipe(self.aperture.value or None, ring, background, self.integration.value)

    def run(self) -> None:
        """Measure the image, with errors if there are frames, and show it."""
        layer = self.image.value
        if layer is None:
            raise LuckyError("There is no image to measure: open one, or stack a run first.")
        pixels, frame = image_at(layer, self.viewer.dims.point)
        windows = self.windows.value
        window = None if windows is None else windows_of(windows, layer)[0]
        optics, telescope, doubts = self.telescope.optics
        scale = stack_scale(history_of(layer))
        diffraction, recipe = on_finer(optics, self.recipe, scale)
        frames = self._frames(layer) if frame is None else None
        resamples, name = self.resamples.value, layer.name

        def work(job: Job) -> FigureRow:
            figures = psf_figures(pixels, diffraction, recipe=recipe, window=window)
            if frames is not None:
                stacked, index, place = frames
                mean = bootstrap_figures(
                    stacked,
                    index,
                    place,
                    diffraction=diffraction,
                    recipe=figures.recipe,
                    near=window,
                    resamples=resamples,
                    job=job,
                )
                figures = replace(figures, errors=mean.errors)
            return FigureRow(name, frame, figures, "", scale, telescope)

        def done(row: FigureRow) -> Iterator[None]:
            self.note(doubts=doubts)
            yield from self._add_row(row)

        self.start(work, done)

    def _frames(self, layer: Any) -> Any:
        """Return the frames that a stack is made of, which of them, and its window; or None."""
        run, shifts = self.run_layer.value, self.shifts.value
        if run is None or shifts is None:
            if run is not None or shifts is not None:
                raise LuckyError("Errors need a run and its shifts: choose both, or none.")
            return None
        chain_history(run, shifts)  # raises if they do not belong together
        frames = frames_of(run)
        table = table_of(shifts.features, shifts.metadata, frames.shape[0], history_of(run))
        return stacked_frames(frames, table, history_of(layer))

    def _add_row(self, row: FigureRow) -> Iterator[None]:
        self.rows.pop(row.title, None)
        self.rows[row.title] = row
        self._show(row)
        yield

    def _show(self, row: FigureRow | None) -> None:
        """Tell the figures measured last, and draw the last few."""
        told = ""
        if row is not None and row.figures is not None:
            lines = figure_rows(row.figures, row.arcsec_per_px)
            cells = "".join(
                f"<tr><td>{escape(name)}&nbsp;</td><td>{escape(value)}</td></tr>"
                for name, value in lines
            )
            told = f"<b>{escape(row.title)}</b><table>{cells}</table>"
            if differ := aperture_notes(list(self.rows.values())):
                told += f"<p>{escape(differ)}</p>"
        self.told.setText(told)
        self._draw()
        shown = bool(self.rows)
        self.canvas.setVisible(shown)
        for button in (self.table_button, self.figure_button, self.clear_button):
            button.enabled = shown

    def _draw(self) -> None:
        self.canvas.figure.clear()
        if self.rows:
            with rc_context(self._colours):
                draw_figures(self.canvas.figure, list(self.rows.values())[-MOST_CURVES:])
        self.canvas.draw_idle()

    _colours: dict[str, Any] = rc_colours("white", "black")  # replaced, not changed

    def _follow_theme(self, *_: Any) -> None:
        theme = get_theme(self.viewer.theme)
        self._set_colours(theme.background.as_hex(), theme.text.as_hex())

    def _set_colours(self, background: str, ink: str) -> None:
        self._colours = {
            **rc_colours(background, ink),
            "legend.facecolor": background,
            "legend.edgecolor": ink,
        }
        self.canvas.figure.set_facecolor(background)
        self._draw()

    def clear(self) -> None:
        """Forget what was measured."""
        self.rows.clear()
        self._show(None)

    def save_table(self) -> None:
        """Ask where, and write the figures and the curves."""
        path, _ = QFileDialog.getSaveFileName(self, "Save table", "figures.csv", "Table (*.csv)")
        if path:
            save_tables(Path(path), list(self.rows.values()), inputs_of(self.viewer))

    def save_figure(self) -> None:
        """Ask where, and write the figure, black on white."""
        kinds = " ".join(f"*{suffix}" for suffix in FIGURES)
        path, _ = QFileDialog.getSaveFileName(
            self, "Save figure", "figures.png", f"Figure ({kinds})"
        )
        if path:
            self._set_colours("white", "black")
            try:
                save_figure(Path(path), self.canvas.figure, inputs_of(self.viewer))
            finally:
                self._follow_theme()


def _radius(name: str, label: str, tooltip: str) -> FloatSpinBox:
    return FloatSpinBox(
        name=name,
        label=label,
        value=0,
        min=0,
        max=10_000,
        step=1,
        tooltip=f"{tooltip}, in pixels of the sensor; 0: by the window's size and the noise",
    )
