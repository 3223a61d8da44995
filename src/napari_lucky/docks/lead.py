"""The lead dock: from a run to its lucky pair, on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import napari
from napari.layers import Shapes
from qtpy.QtCore import QEvent

from napari_lucky.calibration.step import MASTERS, Calibrate
from napari_lucky.docks.choices import base_name, is_windows
from napari_lucky.docks.dock import Dock, abandon
from napari_lucky.docks.jobs import DockJob
from napari_lucky.docks.keep_box import KeepBox
from napari_lucky.docks.lead_recipe import LeadRecipe, beyond_page
from napari_lucky.docks.lead_result import LeadResult, MadePair
from napari_lucky.docks.lead_run import (
    Beside,
    RunCombo,
    find_beside,
    master_layers,
    opened_job,
    run_of,
)
from napari_lucky.docks.made_layers import made_layers
from napari_lucky.docks.path_edit import PathEdit
from napari_lucky.docks.result_layers import show_result
from napari_lucky.docks.several_runs import SeveralRuns, process_runs
from napari_lucky.docks.slider import frame_shown
from napari_lucky.docks.star_boxes import StarBoxes
from napari_lucky.docks.window_drawing import window_drawing
from napari_lucky.docks.wrapped_text import WrappedText
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.fits.run import Run
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.notices import level_of
from napari_lucky.optics.request import TelescopeRequest, known_telescope
from napari_lucky.pipeline.build import Placed, place_stars
from napari_lucky.pipeline.open_masters import AUTO
from napari_lucky.pipeline.process import Result, process
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.pipeline.step import FIND, Input
from napari_lucky.psf.nights import result_figures
from napari_lucky.ranking.step import Select
from napari_lucky.viewer.display_array import ShownArray, read_ahead
from napari_lucky.viewer.to_layers import contrast_of, windows_tuple

LABELS = 56
"""Pixels that the labels are wide: they are short words."""
Made = tuple[Result, dict[str, Any], ShownArray, tuple[float, float]]
"""A result, its figures, what its layer of frames holds and its contrast."""


class LeadDock(Dock):
    """Calibrate, register, rank and stack a run, with what the run itself suggests."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.run_layer = RunCombo(napari_viewer)
        self.masters: dict[str, PathEdit] = {
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
        super().__init__(
            napari_viewer,
            "From the run to its lucky pair: calibrate, track the star, keep the sharpest frames, "
            "stack them.",
            [self.run_layer, *self.masters.values(), *self.stars.widgets, self.keep],
            of_run=["percent", "number"],
        )
        self.run_button.text = "Process"
        self.run_button.tooltip = "Run the whole chain, with parameters suggested by the run"
        self.stars.add = self.add
        self.stars.drawing = self.drawing = window_drawing(napari_viewer)
        self.align(LABELS)
        self._add_texts()
        self.results, self.recipes = LeadResult(self), LeadRecipe(self)
        self.several = SeveralRuns()
        self.several.process_button.changed.connect(lambda: self.attempt(self.process_several))
        self.column.addWidget(self.several)
        place = self.column.indexOf(self.progress) + 1  # over the notes, which may be long
        for row in (*reversed(self.recipes.rows), self.results.row):
            row.margins = (9, 0, 9, 0)
            self.column.insertWidget(place, row.native)
        self.destroyed.connect(partial(abandon, self._placing))
        self.run_layer.changed.connect(self._take_run)
        self.run_layer.changed.connect(lambda: self.results.follow(self.run_layer.value))
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

        self._look(lambda job: find_beside(run, near), done, stays=True)

    def _look(self, work: Any, done: Any, *, stays: bool = False) -> None:
        """Look for something beside the dock's job, which may begin and end meanwhile."""
        self._stop_placing()
        job = DockJob(
            work,
            done,
            lambda: self._looked(job),
            self.report_error,
            progressed=self._report_look,
            stays=stays,
        )
        self._placing.append(job)
        job.start()

    def _report_look(self, done: int, total: int, what: str) -> None:
        if not self._jobs:
            self.progress.show()
            self.progress.report(done, total, what)

    def _looked(self, job: DockJob) -> None:
        if job in self._placing:  # which may be another one by now
            self._placing.remove(job)
            self._end_look()

    def _end_look(self) -> None:
        if not self._jobs:
            self.progress.end()

    @property
    def looking(self) -> bool:
        """Whether something is being looked for in or beside the run."""
        return bool(self._placing)

    def _stop_placing(self) -> None:
        for job in self._placing:
            job.abandon()
        self._placing.clear()
        self._end_look()

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
        if layer is None:  # removed meanwhile
            return
        recipe, opened = opened_job(self.viewer, layer, self._masters())
        recipe = recipe.changed(Input, defocus=FIND)

        def done(placed: Placed) -> Iterator[None]:
            self.stars.show(layer, placed.focus, placed.defocus)
            self.look_at([layer])
            if placed.note:
                self.add_note(placed.note)
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
            self.add_note(placed.note or (none if placed.defocus is None else ""))
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
        self._process(layer, result.recipe, lambda job: result, then, stays=True)

    def _process(
        self,
        layer: Any,
        recipe: Recipe,
        make: Callable[[Job], Result],
        then: Callable[[], None] = lambda: None,
        *,
        stays: bool = False,
    ) -> None:
        name, shown = base_name(layer), frame_shown(self.viewer, layer.data.shape[0])
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
            line = str(figures["done"])
            self._show(layer, result, layers)
            self.results.show(MadePair(layer, recipe, result, figures, layers[0], layers[1]))
            new = [note for note in result.notes if note not in known]
            doubts = [note for note in new if level_of(note) != "info"]
            self.done(line, *(note for note in new if note not in doubts), doubts=doubts)
            then()
            yield

        self.start(work, done, stays=stays)

    def _show(self, layer: Any, result: Result, layers: list[Any]) -> None:
        """Bring the pair into view."""
        focus, defocus = (result.recipe.window(name) for name in ("focus", "defocus"))
        if not self._drawn():
            self.stars.show(layer, focus, defocus)
        layer.visible = False
        if (windows := self.stars.layer) is not None:
            windows.visible = False
        made_layers(self.viewer).hide_marks(base_name(layer))
        stacks = [one for one in layers if one.visible]
        titles = [f"{base_name(layer)} {name.replace('_', ' ')}" for name in result.images]
        made_layers(self.viewer).stacked(layers[1], titles)
        self.look_at(stacks)

    def process_several(self) -> None:
        """Process the runs in the list, with all that is set here."""
        by = self.process_recipe[Calibrate]
        recipe = self.process_recipe.changed(
            Calibrate, dark=by.dark or AUTO, flat=by.flat or AUTO
        ).changed(Input, frames=(), focus=None, defocus=FIND)
        if self.keep.keep != recipe[Select].keep:
            recipe = recipe.changed(Select, keep=self.keep.keep)
        process_runs(self, self.several, recipe)

    def recipe(self) -> Recipe:
        """Return what was done, or what Process would do if something was changed since."""
        return self.recipes_of_run()[1]

    def recipes_of_run(self) -> tuple[Recipe, Recipe]:
        """Return what is asked for, and what was done or would be done with it."""
        layer, asked, _ = self._job()
        return asked, self.results.recipe_used(layer, asked) or asked

    def fill(self, recipe: Recipe) -> None:
        """Show a recipe; what has no box here is kept and said."""
        layer = self.run_layer.value
        self._stop_placing()
        by, focus = recipe[Calibrate], recipe.window("focus")
        of_run = bool(recipe.input.frames) or focus is not None  # else these stay as they are
        if of_run or by.dark or by.flat:
            self.masters["dark"].line.value = by.dark or ""
            self.masters["flat"].line.value = by.flat or ""
            self._say_found("")
        self.keep.keep = recipe[Select].keep
        if layer is not None and of_run:
            self.stars.show(layer, focus, recipe.window("defocus"))
        self.process_recipe = recipe
        text = beyond_page(recipe)
        self.with_recipe.setText(text)
        self.with_recipe.setVisible(bool(text))
