"""The dock PSF figures: Strehl ratio, FWHM, encircled energy and profile of a stack or a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import napari
from magicgui.widgets import PushButton
from matplotlib import rc_context
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure

from napari_lucky.docks.choices import (
    LayerCombo,
    has_step,
    is_image,
    is_registration,
    is_run,
    windows_combo,
)
from napari_lucky.docks.form import StepForm
from napari_lucky.docks.graphs import rc_colours
from napari_lucky.docks.larger import Graph
from napari_lucky.docks.result_dock import ResultDock
from napari_lucky.docks.telescope_choice import TelescopeChoice
from napari_lucky.docks.wrapped_text import WrappedText
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.frames.history import stack_scale
from napari_lucky.psf.bootstrap import bootstrap_figures
from napari_lucky.psf.figures import psf_figures
from napari_lucky.psf.output import save_tables
from napari_lucky.psf.plots import MOST_CURVES, draw_figures
from napari_lucky.psf.recipe import PsfRequest
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


class FiguresDock(ResultDock):
    """Measure a star's image beside the diffraction-limited one; it changes no layer."""

    stem = "figures"
    of_table = "Write a row for each image measured as CSV, and the curves beside it"

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
        self.rows: dict[str, FigureRow] = {}
        self.run_layer = LayerCombo(
            napari_viewer,
            is_run,
            None,
            name="frames",
            label="its run",
            nullable=True,
            tooltip="For errors: the calibrated run that the stack is the mean of; none: errors of "
            "the noise alone",
        )
        self.shifts = LayerCombo(
            napari_viewer,
            is_registration,
            None,
            name="registration",
            label="its shifts",
            nullable=True,
            tooltip="For errors: the run's shifts, with the ranking that chose the frames",
        )
        super().__init__(
            napari_viewer,
            "Strehl ratio, FWHM, encircled energy and radial profile of a star's image, beside "
            "those of the diffraction-limited PSF. Each Run adds a row to the table; compare only "
            "Strehl ratios of one aperture.",
            [
                self.image,
                self.windows,
                *self.telescope.widgets,
                StepForm("psf", [self.run_layer, self.shifts], tick=False, title="PSF"),
            ],
            follows=[(self.image, ("data",)), (self.windows, ("data",))],
        )
        self.summary = WrappedText()
        self.canvas = FigureCanvasQTAgg(Figure(figsize=(4, 6), layout="constrained"))
        self.canvas.setMinimumHeight(HEIGHT)
        self.canvas.mpl_connect("resize_event", lambda _: self._draw())  # names as there is room
        self.clear_button = PushButton(text="Clear", tooltip="Remove all rows")
        self.graph = Graph(self.canvas, "PSF")
        self.add_results((self.summary, self.graph), (self.clear_button, self.clear))
        self._show(None)
        self.image.changed.connect(self._image_changed)
        self._image_changed()

    def _image_changed(self, *_: Any) -> None:
        if (layer := self.image.value) is not None:
            self.telescope.take_header(layer.metadata.get("header"))

    @property
    def request(self) -> PsfRequest:
        """Aperture, ring, pixel and resamples, as dialled in.

        Raises
        ------
        LuckyError
            If they make no sense.
        """
        step = self.forms["psf"].step()
        assert isinstance(step, PsfRequest)
        return step

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
        asked = self.request
        diffraction, recipe = on_finer(optics, asked.recipe, scale)
        resamples, name = asked.resamples, layer.name
        frames = self._frames(layer) if frame is None and resamples else None

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
            self.done(f"Measured “{row.title}”.", doubts=doubts)
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
        """Show the figures measured last, and draw the last few."""
        html = ""
        if row is not None and row.figures is not None:
            lines = figure_rows(row.figures, row.arcsec_per_px)
            cells = "".join(
                f"<tr><td>{escape(name)}&nbsp;</td><td>{escape(value)}</td></tr>"
                for name, value in lines
            )
            html = f"<b>{escape(row.title)}</b><table>{cells}</table>"
            if differ := aperture_notes(list(self.rows.values())):
                html += f"<p>{escape(differ)}</p>"
        self.summary.setHtml(html)
        self._draw()
        shown = bool(self.rows)
        self.graph.setVisible(shown)
        self.result_buttons.enabled = shown

    def _draw(self) -> None:
        self.canvas.figure.clear()
        if self.rows:
            with rc_context(self._colours):
                draw_figures(self.canvas.figure, list(self.rows.values())[-MOST_CURVES:])
        self.canvas.draw_idle()

    _colours: dict[str, Any] = rc_colours("white", "black")  # replaced, not changed

    def set_colours(self, background: str, ink: str) -> None:
        """Draw in other colours from now on."""
        self._colours = rc_colours(background, ink)
        self.canvas.figure.set_facecolor(background)
        self._draw()

    def clear(self) -> None:
        """Remove all rows."""
        self.rows.clear()
        self._show(None)

    def write_table(self, path: Path) -> None:
        """Write the figures, and the curves beside them."""
        save_tables(path, list(self.rows.values()), inputs_of(self.viewer))

    @property
    def figure(self) -> Figure:
        """The curves that are drawn."""
        return self.canvas.figure
