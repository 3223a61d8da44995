"""The lead dock: from a run to its lucky pair, on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import napari
from magicgui.widgets import Container, PushButton
from napari.layers import Shapes
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QMenu

from napari_lucky.calibration.step import Calibrate
from napari_lucky.docks.choices import base_name, is_windows
from napari_lucky.docks.dock import Dock, abandon
from napari_lucky.docks.form import narrow
from napari_lucky.docks.jobs import DockJob
from napari_lucky.docks.keep_box import KeepBox
from napari_lucky.docks.lead_run import (
    Beside,
    Placed,
    RunCombo,
    find_beside,
    master_layers,
    opened_job,
    place_stars,
    run_of,
)
from napari_lucky.docks.made_layers import made_layers
from napari_lucky.docks.neighbours import open_dock
from napari_lucky.docks.path_edit import PathEdit
from napari_lucky.docks.recipe_files import ask_where_from, ask_where_to, missing_files
from napari_lucky.docks.result_layers import show_result
from napari_lucky.docks.several_runs import SeveralRuns
from napari_lucky.docks.star_boxes import StarBoxes
from napari_lucky.docks.window_drawing import window_drawing
from napari_lucky.docks.wrapped_text import WrappedText
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.fits.run import Run
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.fits.write import write_text
from napari_lucky.notices import level_of
from napari_lucky.optics.request import TelescopeRequest, known_telescope
from napari_lucky.pipeline.command_line import command_of
from napari_lucky.pipeline.nights import TABLE, check_each, process_each
from napari_lucky.pipeline.open_masters import AUTO, MASTERS
from napari_lucky.pipeline.process import Result, process
from napari_lucky.pipeline.recipe import FIND, Input, Recipe, recipe_to_toml
from napari_lucky.pipeline.recipe_source import open_recipe
from napari_lucky.pipeline.results_folder import check_out, place_for_results, write_results
from napari_lucky.pipeline.summary import NAME
from napari_lucky.psf.nights import night_cells, night_rows, result_figures, write_nights
from napari_lucky.ranking.step import Select
from napari_lucky.steps.declaration import Request
from napari_lucky.text import counted
from napari_lucky.viewer.display_array import ShownArray, read_ahead
from napari_lucky.viewer.from_layers import inputs_of
from napari_lucky.viewer.opened_recipe import fill_docks
from napari_lucky.viewer.to_layers import contrast_of, windows_tuple

ADJUST = {
    "calibration": "Calibrate",
    "cleaning": "Clean",
    "registration": "Register",
    "ranking": "Rank",
    "stacking": "Stack",
}
"""Docks of the steps, by the names of their commands."""
LABELS = 56
"""Pixels that the labels are wide: they are short words."""
Made = tuple[Result, dict[str, Any], ShownArray, tuple[float, float]]
"""A result, its figures, what its layer of frames holds and its contrast."""


class LeadDock(Dock):
    """Calibrate, register, rank and stack a run, with what the run itself suggests."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.run_layer = RunCombo(napari_viewer)
        self.masters = {
            name: PathEdit(
                name,
                name,
                f"FITS file, or folder of FITS frames, or the name of a layer, with the {name}; "
                "filled in if one is found beside the run; empty for none",
            )
            for name in MASTERS
        }
        self.stars = StarBoxes()
        self.keep = KeepBox()
        self.process_recipe = Recipe()
        """What the dock does not show: the methods and parameters of all steps."""
        self._placing: list[DockJob] = []
        self._result: Result | None = None
        self._made_of: tuple[Any, Recipe] | None = None  # layer and recipe of the result
        self._layers: dict[str, Any] = {}
        self._figures: dict[str, Any] = {}
        super().__init__(
            napari_viewer,
            "From the run to its lucky pair: calibrate, track the star, keep the sharpest frames, "
            "stack them.",
            [self.run_layer, *self.masters.values(), *self.stars.widgets, self.keep],
            of_run=["percent", "number"],
        )
        self.run_button.text = "Process"
        self.run_button.tooltip = "Do the whole chain, with what the run itself suggests"
        self.stars.add = self.add
        self.stars.drawing = self.drawing = window_drawing(napari_viewer)
        self._align(LABELS)
        self._add_texts()
        self._add_buttons()
        self.destroyed.connect(partial(abandon, self._placing))
        self.run_layer.changed.connect(self._take_run)
        self.stars.place_button.changed.connect(lambda: self.attempt(self.place_defocused))
        self.stars.draw_button.changed.connect(self.draw)
        napari_viewer.layers.selection.events.active.connect(self._follow_selection)
        napari_viewer.layers.events.inserted.connect(self._take_windows)
        self._follow_selection()
        self._take_run()

    def _add_texts(self) -> None:
        """Add what was found beside the run, and what a recipe says that is not shown."""
        self.found = WrappedText()
        self.with_recipe = WrappedText()
        for place, label in ((2, self.found), (3, self.with_recipe)):
            label.hide()
            self.column.insertWidget(place, label)

    def _add_buttons(self) -> None:
        """Add what can be done with a result, and with a recipe."""
        self.save_button = PushButton(
            text="Save pair…",
            tooltip="Write what napari-lucky process leaves: the pair and the long exposure, "
            "frames.csv, recipe.toml, report.png",
        )
        self.wavefront_button = PushButton(
            text="Wavefront ▸", tooltip="Measure the telescope's aberrations from the pair"
        )
        self.adjust_button = PushButton(
            text="Adjust ▸", tooltip="Open a step's own dock, with the parameters used here"
        )
        self.open_button = PushButton(
            text="Open recipe…",
            tooltip="Fill this dock and the others from a recipe.toml, or from a result of this "
            "program",
        )
        self.recipe_button = PushButton(
            text="Save recipe…",
            tooltip="Write what is done here to a file; “napari-lucky process --recipe” replays it",
        )
        self.command_button = PushButton(
            text="Copy command line", tooltip="Copy the command that does the same in a terminal"
        )
        for button, action in (
            (self.save_button, self.save_pair),
            (self.wavefront_button, self.open_wavefront),
            (self.open_button, self.open_recipe),
            (self.recipe_button, self.save_recipe),
            (self.command_button, self.copy_command),
        ):
            button.changed.connect(lambda _, do=action: self.attempt(do))
        menu = QMenu(self)
        for name, title in ADJUST.items():
            act = menu.addAction(title)
            assert act is not None
            act.triggered.connect(lambda _, to=name: self.attempt(lambda: self.adjust(to)))
        self.adjust_button.native.setMenu(menu)
        results = [self.save_button, self.wavefront_button, self.adjust_button]
        self.results = Container(widgets=results, layout="horizontal", labels=False)
        self.results.native.hide()
        recipes = [self.open_button, self.recipe_button]
        self._recipes = Container(widgets=recipes, layout="horizontal", labels=False)
        self._command = Container(widgets=[self.command_button], labels=False)
        self.several = SeveralRuns()
        self.several.process_button.changed.connect(lambda: self.attempt(self.process_several))
        self.column.addWidget(self.several)
        place = self.column.indexOf(self.progress) + 1  # over the notes, which may be long
        for row in (self._command, self._recipes, self.results):
            row.margins = (9, 0, 9, 0)
            self.column.insertWidget(place, row.native)
            for button in row:
                narrow(button.native)

    def event(self, event: QEvent) -> bool:
        """Look for nothing any more when the dock is closed."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._stop_placing()
        return super().event(event)

    def _follow_selection(self, *_: Any) -> None:
        """Choose the run that is selected in napari's list."""
        self.run_layer.follow(self.viewer.layers.selection.active)

    # --- the run, and what is found in and beside it

    def _take_run(self, *_: Any) -> None:
        """Look for dark, flat and stars of the run that is chosen now."""
        layer = self.run_layer.value
        self._stop_placing()
        self.stars.forget()
        for edit in self.masters.values():
            edit.line.value = ""
        self._say_found("")
        self.keep.show_frames(0 if layer is None else layer.data.shape[0])
        if layer is None:
            return
        run, near = run_of(layer), master_layers(self.viewer, layer)

        def done(beside: Beside) -> Iterator[None]:
            for name, text in beside.masters.items():
                self.masters[name].line.value = text
            self._say_found("\n".join(beside.notes))
            yield
            self._take_windows()
            if self._drawn():
                self.look_at([layer])
            else:
                self._place()

        self._look(lambda job: find_beside(run, near), done)

    def _look(self, work: Any, done: Any) -> None:
        """Look for something beside the dock's job, which may begin and end meanwhile."""
        self._stop_placing()
        job = DockJob(work, done, lambda: self._looked(job), self.report_error)
        self._placing.append(job)
        job.start()

    def _looked(self, job: DockJob) -> None:
        if job in self._placing:  # which may be another one by now
            self._placing.remove(job)

    @property
    def looking(self) -> bool:
        """Whether something is being looked for in or beside the run."""
        return bool(self._placing)

    def _stop_placing(self) -> None:
        for job in self._placing:
            job.abandon()
        self._placing.clear()

    def _say_found(self, text: str) -> None:
        self.found.setText(text)
        self.found.setVisible(bool(text))

    def _drawn(self) -> bool:
        """Return whether the stars have a window already."""
        return any(str(line.value).strip() for line in self.stars.lines.values())

    def _take_windows(self, *_: Any) -> None:
        """Take the windows of the run that are in the viewer already."""
        layer = self.run_layer.value
        if layer is None or self.stars.layer in self.viewer.layers:
            return
        name = f"{base_name(layer)} windows"
        for other in reversed(self.viewer.layers):
            if is_windows(other) and other.name == name:
                self.stars.follow(other, layer)
                return

    def _place(self) -> None:
        """Find both stars."""
        layer = self.run_layer.value
        recipe, opened = opened_job(self.viewer, layer, self._masters())
        recipe = recipe.changed(Input, defocus=FIND)

        def done(placed: Placed) -> Iterator[None]:
            self.stars.show(layer, placed.focus, placed.defocus)
            self.look_at([layer])
            if placed.note:
                self.note(placed.note)
            elif placed.defocus is None:
                self._say_found(f"{self.found.text()}\nNo defocused star was found.".strip())
            yield

        self._look(lambda job: place_stars(recipe, opened, job=job), done)

    def place_defocused(self) -> None:
        """Look for the defocused star, beside the focused one."""
        layer = self._layer()
        focus, _ = self.stars.windows
        recipe, opened = opened_job(self.viewer, layer, self._masters())
        recipe = recipe.changed(Input, focus=focus, defocus=FIND)

        def done(placed: Placed) -> Iterator[None]:
            self.stars.show(layer, placed.focus, placed.defocus)
            none = "No defocused star was found: draw a rectangle around it if there is one."
            self.note(placed.note or (none if placed.defocus is None else ""))
            yield

        self._look(lambda job: place_stars(recipe, opened, job=job), done)

    def draw(self, *_: Any) -> None:
        """Let rectangles be drawn: the focused star's first."""
        layer = self.run_layer.value
        if layer is None:
            return
        if not isinstance(self.stars.layer, Shapes) or self.stars.layer not in self.viewer.layers:
            name = f"{base_name(layer)} windows"
            self.stars.follow(self.add(windows_tuple([], name, like=layer)), layer)
        assert self.stars.layer is not None
        self.drawing.begin(self.stars.layer, layer)

    def _layer(self) -> Any:
        layer = self.run_layer.value
        if layer is None:
            raise LuckyError("Open a run first: drop a folder of FITS frames, or a cube.")
        return layer

    def _masters(self) -> dict[str, str]:
        return {name: edit.path for name, edit in self.masters.items() if edit.path}

    # --- the job

    def _job(self) -> tuple[Any, Recipe, Any]:
        """Return the layer, the recipe that the dock says, and what is open already."""
        layer = self._layer()
        own, opened = opened_job(self.viewer, layer, self._masters())
        if self.stars.layer in self.viewer.layers:
            self.stars.check()
        focus, defocus = self.stars.windows
        given: dict[str, Any] = {"frames": own.input.frames, "focus": focus, "defocus": defocus}
        if focus is None and defocus is None:
            given["defocus"] = FIND
        recipe = self.process_recipe
        by = own[Calibrate]
        recipe = recipe.changed(Calibrate, dark=by.dark, flat=by.flat)
        if self.keep.keep != recipe[Select].keep:
            recipe = recipe.changed(Select, keep=self.keep.keep)
        recipe = recipe.changed(Input, **given)
        if recipe.input.where is not None or recipe.input.colour is not None:
            return layer, recipe, None  # not as the layer was opened
        return layer, recipe, opened

    def run(self) -> None:
        """Do the whole chain and show the pair."""
        layer, recipe, opened = self._job()
        self._stop_placing()
        self._process(layer, recipe, lambda job: process(recipe, opened, job=job))

    def show_result(self, layer: Any, result: Result, then: Callable[[], None]) -> None:
        """Show what was made of a run elsewhere, as if it had been made here.

        Parameters
        ----------
        layer : napari.layers.Image
            The run.
        result : Result
        then : callable
            Called when its layers are there.
        """
        self.stars.show(layer, *(result.recipe.window(name) for name in ("focus", "defocus")))
        self._process(layer, result.recipe, lambda job: result, then)

    def _process(
        self,
        layer: Any,
        recipe: Recipe,
        make: Callable[[Job], Result],
        then: Callable[[], None] = lambda: None,
    ) -> None:
        name, shown = base_name(layer), self.frame_shown(layer.data.shape[0])
        telescope = known_telescope(recipe.get(TelescopeRequest))
        frames = run_of(layer)
        known = run_notes(frames) if isinstance(frames, Run) else []  # reported when it was opened

        def work(job: Job) -> Made:
            result = make(job)
            assert result.frames is not None
            data = read_ahead(result.frames, shown)
            return result, result_figures(result, telescope), data, contrast_of(result.frames)

        def done(made: Made) -> Iterator[None]:
            result, figures, data, limits = made
            layers: list[Any] = []
            for one in show_result(self, layer, name, result, data, limits):
                layers.append(one)
                yield
            self._figures, line = figures, str(figures["done"])
            self._show(layer, recipe, result, layers)
            new = [note for note in result.notes if note not in known]
            doubts = [note for note in new if level_of(note) != "info"]
            self.done(line, *(note for note in new if note not in doubts), doubts=doubts)
            then()
            yield

        self.start(work, done)

    def _show(self, layer: Any, recipe: Recipe, result: Result, layers: list[Any]) -> None:
        """Bring the pair into view, and offer what can be done with it."""
        focus, defocus = (result.recipe.window(name) for name in ("focus", "defocus"))
        if not self._drawn():
            self.stars.show(layer, focus, defocus)
        self._result, self._made_of = result, (layer, recipe)
        self._layers = dict(zip(("run", "shifts"), layers, strict=False))
        layer.visible = False
        if (windows := self.stars.layer) is not None:
            windows.visible = False
        self.hide_marks(base_name(layer))
        self.results.native.show()
        stacks = [one for one in layers if one.visible]
        titles = [f"{base_name(layer)} {name.replace('_', ' ')}" for name in result.images]
        made_layers(self.viewer).stacked(self._layers["shifts"], titles)
        self.look_at(stacks)

    def process_several(self) -> None:
        """Ask where to, and process the runs in the list, with all that is set here."""
        runs = self.several.runs
        if not runs:
            raise LuckyError("There is no run in the list yet: add their folders first.")
        by = self.process_recipe[Calibrate]
        recipe = self.process_recipe.changed(
            Calibrate, dark=by.dark or AUTO, flat=by.flat or AUTO
        ).changed(Input, frames=(), focus=None, defocus=FIND)
        if self.keep.keep != recipe[Select].keep:
            recipe = recipe.changed(Select, keep=self.keep.keep)
        check_each(recipe)
        folder = QFileDialog.getExistingDirectory(self, "Folder for the results")
        if not folder:
            return
        check_out(Path(folder), names=(TABLE, NAME))
        telescope, notes = known_telescope(recipe.get(TelescopeRequest)), list[str]()

        def work(job: Job) -> list[tuple[str, ...]]:
            nights = process_each(
                runs,
                recipe,
                folder,
                report=True,
                measure=lambda result: result_figures(result, telescope),
                job=job,
                notify=notes.append,
            )
            rows = night_rows(list(nights), telescope, notes.append)
            write_nights(rows, Path(folder), notes)
            return night_cells(rows)

        def done(cells: list[tuple[str, ...]]) -> Iterator[None]:
            self.several.show_nights(cells)
            new = [note for note in notes if level_of(note) != "info"]
            self.done(f"Processed {counted(len(runs), 'run')} into {folder}.", *new)
            yield

        self.start(work, done)

    # --- what can be done with the result

    def save_pair(self) -> None:
        """Ask where, and write the folder that the command line would."""
        result = self._result
        if result is None:
            raise LuckyError("There is no result to save yet: press Process first.")
        folder = QFileDialog.getExistingDirectory(self, "Folder for the pair")
        if not folder:
            return
        layer = self._made_of[0] if self._made_of else None
        out = place_for_results(folder, "" if layer is None else base_name(layer))
        inputs, said, figures = inputs_of(self.viewer), list[str](), dict(self._figures)
        line = str(figures.pop("done"))

        def work(job: Job) -> list[str]:
            files = write_results(
                result,
                out,
                report=True,
                notify=said.append,
                inputs=inputs,
                figures=figures,
                done=line,
            )
            return [file.name for file in files]

        def done(names: list[str]) -> Iterator[None]:
            self.note(line, f"Wrote {', '.join(names)} to {out}.", *said)
            yield

        self.start(work, done)

    def open_wavefront(self) -> None:
        """Open the wavefront dock on this run."""
        self._choose(open_dock(self.viewer, "wavefront"))

    def adjust(self, name: str) -> None:
        """Open a step's dock, with the parameters used here."""
        recipe = self._recipe()
        dock = open_dock(self.viewer, name)
        self._choose(dock)
        dock.fill(recipe)

    def _choose(self, dock: Any) -> None:
        """Let a dock work on what was made here."""
        calibration = not hasattr(dock, "registration") and hasattr(dock, "dark")
        wanted = {
            "image": self.run_layer.value if calibration else self._layers.get("run"),
            "registration": self._layers.get("shifts"),
            "windows": self.stars.layer,
        }
        for name, layer in wanted.items():
            combo = getattr(dock, name, None)
            if combo is not None and layer in self.viewer.layers and layer in combo.choices:
                combo.value = layer

    def _recipe(self) -> Recipe:
        """Return what was done, or what Process would do if something was changed since."""
        layer, recipe, _ = self._job()
        if self._result is not None and self._made_of == (layer, recipe):
            return self._result.recipe
        return recipe

    def save_recipe(self) -> None:
        """Ask where, and write the recipe."""
        recipe = self._recipe()
        if (path := ask_where_to(self)) is not None:
            write_text(path, recipe_to_toml(recipe), inputs_of(self.viewer))
            self.note(f"Saved {path}.", doubts=missing_files(recipe))

    def copy_command(self) -> None:
        """Copy the command line that does the same."""
        recipe = self._recipe()
        command, clipboard = command_of(recipe), QApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(command)
        self.note(f"Copied: {command}", doubts=missing_files(recipe))

    def open_recipe(self) -> None:
        """Ask which, and fill all docks that are open."""
        if (path := ask_where_from(self)) is not None:
            self.note(fill_docks(self.viewer, open_recipe(path), path))

    def fill(self, recipe: Recipe) -> None:
        """Show a recipe; what has no box here is kept and said."""
        layer = self.run_layer.value
        self._stop_placing()
        by, cut = recipe[Calibrate], recipe[Select]
        self.masters["dark"].line.value = by.dark or ""
        self.masters["flat"].line.value = by.flat or ""
        self._say_found("")
        self.keep.keep = cut.keep
        windows = [recipe.window(name) for name in ("focus", "defocus")]
        if layer is not None:
            self.stars.show(layer, *windows)
        self.process_recipe = recipe
        text = _beyond(recipe)
        self.with_recipe.setText(text)
        self.with_recipe.setVisible(bool(text))


def _beyond(recipe: Recipe) -> str:
    """Return a line on what a recipe says beside what the dock shows."""
    by, cut = recipe[Calibrate].changed(dark=None, flat=None), recipe[Select]
    usual_cut = Select(above=cut.above, add=cut.add, drop=cut.drop)
    shown = recipe.with_steps(Input(), by, usual_cut)
    usual = {step.table: step for step in Recipe().steps}
    done = [step for step in shown.steps if not isinstance(step, Request)]
    others = [repr(step) for step in done if step != usual.get(step.table)]
    return f"With the recipe’s {', '.join(others)}." if others else ""
