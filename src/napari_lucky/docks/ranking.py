"""Dock 3, rank: how lucky each frame was, where the cut is, and what the hand changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import napari
import numpy as np
from magicgui.widgets import Container, PushButton
from numpy.typing import NDArray
from qtpy.compat import isalive

from napari_lucky.docks.choices import (
    base_name,
    run_combo,
    shifts_combo,
    show_smoothing,
    windows_combo,
)
from napari_lucky.docks.cut_choice import CutChoice
from napari_lucky.docks.dock import Dock
from napari_lucky.docks.form import StepForm, tooltip_of
from napari_lucky.docks.frame_table import FrameTableView
from napari_lucky.docks.graphs import QualityGraph
from napari_lucky.docks.jobs import report_error
from napari_lucky.docks.larger import Graph
from napari_lucky.docks.ranking_result import Ranked
from napari_lucky.docks.theme import follow_theme
from napari_lucky.docks.wrapped_text import WrappedText
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.frames.frames import Subset
from napari_lucky.frames.history import frame_numbers, shift_step
from napari_lucky.frames.kept_count import describe_count
from napari_lucky.imaging.shifts import Shifted
from napari_lucky.pipeline.measure import MeasuredQuality, measure_quality
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.ranking.keep_curve import KeepCurve
from napari_lucky.ranking.metrics import METRICS
from napari_lucky.ranking.selection import (
    ManualSelection,
    apply_selection,
    best_first,
    few_frames_notes,
    selection_summary,
)
from napari_lucky.ranking.step import Rank, Select
from napari_lucky.registration.step import Register
from napari_lucky.steps.declaration import params
from napari_lucky.text import without_tags
from napari_lucky.viewer.display_array import ShownArray
from napari_lucky.viewer.from_layers import (
    chain_history,
    frames_of,
    history_of,
    recipe_of_shifts,
    recorded_windows_of,
    table_of,
    windows_of,
)
from napari_lucky.viewer.to_layers import files_of


class RankingDock(Dock):
    """Measure the quality of each frame, show it, and keep the best frames."""

    next_dock = "stacking"
    extras = "kept frames"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.image = run_combo(
            napari_viewer, "The frames that were registered (not the shifted layer), ADU"
        )
        self.registration = shifts_combo(
            napari_viewer,
            "Vectors layer from 2 Register; it gets the quality as feature",
        )
        self.windows = windows_combo(
            napari_viewer,
            "Shapes layer with another window than the registration's: its first rectangle holds "
            "the focused star; none: as registered",
        )
        self.cut = CutChoice()
        by = StepForm("rank")
        super().__init__(
            napari_viewer,
            "Measure each frame's quality in the focused star's window and keep the best. Click "
            "a point to see its frame.",
            [
                self.image,
                self.registration,
                self.windows,
                by,
                self.cut.form,
            ],
            quiet=self.cut.form.editors,
            of_run=[editor.name for editor in self.cut.form.editors],
            follows=[(self.image, ("data",)), (self.registration, ("data",))],
        )
        self._ranked: Ranked | None = None
        self._by_hand = self._wanted = ManualSelection()
        """Changes by hand, and those of a recipe, for the next ranking."""
        self._cut = self._kept = np.array([], bool)
        self._kept_layer: Any = None
        self._writing = False
        self._add_hand()
        follow_theme(napari_viewer, self.graph.set_colours)
        napari_viewer.dims.events.current_step.connect(self._name_toggle)
        for editor in self.cut.form.editors:
            editor.changed.connect(self._cut_changed)
        self._name_metrics()
        for combo in (self.image, self.registration):
            combo.changed.connect(self.restore)
        self.restore()

    def _add_hand(self) -> None:
        """Add what changes the kept frames by hand: graph, buttons, table."""
        self.summary = WrappedText()
        self.graph = QualityGraph(self._show_frame, self.toggle, self._cut_dragged)
        self.toggle_button = PushButton(
            text="Keep the frame shown",
            enabled=False,
            tooltip="Keep the frame at the slider, or drop it, wherever the cut is",
        )
        self.undo_button = PushButton(
            text="Undo changes by hand", enabled=False, tooltip="Go back to what the cut keeps"
        )
        self.toggle_button.changed.connect(lambda: self.toggle(self._frame_shown()))
        self.undo_button.changed.connect(lambda: self._change_by_hand(ManualSelection()))
        self.curve_button = PushButton(
            text="Keep-fraction curve",
            enabled=False,
            tooltip="Measure the stack of the best 1, 2, … all frames: how sharp and how noisy",
        )
        self.curve_button.changed.connect(lambda: self.attempt(self.measure_curve))
        self._hand_buttons = Container(
            widgets=[self.curve_button, self.toggle_button, self.undo_button], labels=False
        )
        self.table = FrameTableView(self._show_frame, self.toggle)
        graph = Graph(self.graph, "Quality of the frames")
        self._of_ranking = [self.summary, graph, self._hand_buttons.native, self.table]
        for widget in self._of_ranking:
            self.column.addWidget(widget)
            widget.hide()  # until there is a ranking

    def run(self) -> None:
        """Measure the quality, draw it, and add the layer of kept frames."""
        layer, shifts = self.image.value, self.registration.value
        if layer is None or shifts is None:
            raise LuckyError("Ranking needs a run and its shifts: do 2 Register first.")
        frames = frames_of(layer)
        history = tuple(s for s in chain_history(layer, shifts) if s.name not in ("rank", "select"))
        table = table_of(shifts.features, shifts.metadata, frames.shape[0], history_of(layer))
        focus, _ = recorded_windows_of(shifts)
        if self.windows.value is not None:
            focus = windows_of(self.windows.value, layer)[0]
        if focus is None:
            raise LuckyError(
                "These shifts do not say where the star's window is; choose a Shapes layer with "
                "a rectangle around the focused star."
            )
        by = self._by()
        self.cut.step()  # reported now, not when the job is done

        def work(job: Job) -> MeasuredQuality:
            return measure_quality(frames, focus, table, by, job=job)

        def done(result: MeasuredQuality) -> Iterator[None]:
            quality, used, sampling = result
            show_smoothing(self.forms["rank"]["smooth"], sampling, "ranking")
            if shifts not in self.viewer.layers:
                raise LuckyError(f"“{shifts.name}” was removed meanwhile; nothing was ranked.")
            self.cut.select(quality)  # raises before anything is changed
            numbers = frame_numbers(np.arange(len(quality)), history)
            by_hand = self._by_hand if self._in_place else self._wanted
            self._wanted = ManualSelection()
            done_by = by.changed(smooth=float(used))
            ranked = Ranked(layer, shifts, focus, quality, done_by, history, numbers)
            self._show(ranked)
            yield
            self._choose(by_hand)
            smoothing = () if sampling is None else (sampling.smoothing_note("ranking"),)
            count = describe_count(int(np.isfinite(quality).sum()), len(quality))
            self.done(f"Ranked {count}.", *smoothing, doubts=ranked.doubts(table.found))

        self.start(work, done)

    def _show(self, ranked: Ranked) -> None:
        """Show a ranking, nothing chosen yet."""
        self._forget()
        self._ranked = ranked
        self.curve_button.enabled = True
        ranked.shifts.events.features.connect(self._features_changed)
        quality, numbers = ranked.quality, ranked.numbers
        none = np.zeros(len(quality), bool)
        for widget in self._of_ranking:
            widget.show()
        self.graph.show_quality(quality, 1, none, none, numbers)
        self.table.frames.show(files_of(frames_of(ranked.layer)), quality, none, numbers)

    def restore(self, *_: Any) -> None:
        """Show the ranking that the chosen shifts hold already, with its cut."""
        layer, shifts = self.image.value, self.registration.value
        if layer is None or shifts is None:
            return
        if (ranked := self._live) and (ranked.layer, ranked.shifts) == (layer, shifts):
            return
        try:
            recipe = recipe_of_shifts(shifts)
            whole = chain_history(layer, shifts)
            n = frames_of(layer).shape[0]
            table = table_of(shifts.features, shifts.metadata, n, history_of(layer))
        except LuckyError:
            return  # not ranked, or of another run: text when Run is pressed
        focus = recorded_windows_of(shifts)[0]
        if focus is None or not np.isfinite(table.quality).any():
            return
        by, cut = recipe[Rank], recipe[Select]
        by_sampling = by.smooth == recipe[Register].smooth  # which another run gives anew
        self.forms["rank"].show(by.changed(smooth=None) if by_sampling else by)
        self.forms["rank"].show_found(by)
        self.cut.form.show(cut)
        history = tuple(step for step in whole if step.name not in ("rank", "select"))
        numbers = frame_numbers(np.arange(n), history)
        self._show(Ranked(layer, shifts, focus, table.quality, by, history, numbers))
        self._change_by_hand(ManualSelection(cut.add, cut.drop))

    def _forget(self) -> None:
        """Let go of the last ranking."""
        if self._ranked is not None:
            self._ranked.shifts.events.features.disconnect(self._features_changed)
        self._ranked = self._kept_layer = None
        self._by_hand = ManualSelection()
        self.curve_button.enabled = False

    def measure_curve(self) -> None:
        """Measure the stack of every number of frames, and draw that under the graph."""
        ranked = self._live
        if ranked is None:
            raise LuckyError("There is no ranking to draw a curve of: press Run first.")

        def done(curve: KeepCurve) -> Iterator[None]:
            if self._live is not ranked:
                raise LuckyError("The frames were ranked again meanwhile; no curve was drawn.")
            self.graph.show_curve(curve)
            yield
            self.done(f"Measured the stacks of the best 1 to {len(curve.count)} frames.")

        self.start(ranked.curve_of_stacks(self._by().diffraction), done)

    def reset_choices(self, *_: Any) -> None:
        """Take up layers, and metrics that a script registered meanwhile."""
        super().reset_choices()
        self._name_metrics()

    def _name_metrics(self) -> None:
        """Let the choice of the metric say what each is."""
        formulas = [f"{name}: {metric.formula}" for name, metric in METRICS.items()]
        text = tooltip_of(params(Rank)["metric"])
        self.forms["rank"]["metric"].tooltip = "\n".join([text, *formulas])

    def _by(self) -> Rank:
        step = self.forms["rank"].step()
        assert isinstance(step, Rank)
        return step

    def fill(self, recipe: Recipe) -> None:
        """Show a recipe's metric and cut; frames it adds and drops are so in the next ranking."""
        super().fill(recipe)
        self._wanted = ManualSelection(recipe[Select].add, recipe[Select].drop)

    @property
    def _live(self) -> Ranked | None:
        """The ranking, if there is one and its shifts are still in the viewer."""
        if self._ranked is None or not isalive(self):  # the dock may have been closed
            return None
        return self._ranked if self._ranked.shifts in self.viewer.layers else None

    def _choose(self, by_hand: ManualSelection, count: int | None = None) -> None:
        """Keep what the cut, or the `count` best frames, and the changes by hand say."""
        ranked = self._live
        if ranked is None:
            return
        quality = ranked.quality
        best = self.cut.select(quality) if count is None else best_first(quality)[:count]
        chosen = apply_selection(quality, best, by_hand, ranked.numbers)
        cut, kept = (np.isin(np.arange(len(quality)), some) for some in (best, chosen))
        step = self.cut.step(quality)
        few = few_frames_notes(len(best), len(cut), step.keep, step.above)
        by_hand_or_drag = bool(by_hand) or count is not None
        self.summary.setText(
            "\n".join(few) if few and not by_hand_or_drag else selection_summary(cut, kept)
        )
        self.graph.show_cut(len(best), kept, cut != kept)
        if count is not None:
            return  # the line is still being dragged
        self._cut, self._kept, self._by_hand = cut, kept, by_hand
        self.undo_button.enabled = bool(by_hand)
        self.cut.offer(quality, len(best))
        self._name_toggle()
        self.table.frames.show_kept(self._kept)
        self._apply(ranked, chosen)

    def _apply(self, ranked: Ranked, kept: NDArray[np.intp]) -> None:
        """Write quality and choice into the shifts' features and show the kept frames."""
        selection = self.cut.step(ranked.quality, add=self._by_hand.add, drop=self._by_hand.drop)
        self._writing = True
        try:
            steps = ranked.write(kept, selection)
        finally:
            self._writing = False
        best = Subset(Shifted(frames_of(ranked.layer), ranked.table().shifts), kept)
        history = (*ranked.history, shift_step(True), *steps)
        if self._kept_layer is not None and self._kept_layer in self.viewer.layers:
            self._kept_layer.data = ShownArray(best)
            self._kept_layer.metadata = {**self._kept_layer.metadata, "history": history}
            return
        title = f"{base_name(ranked.layer)} kept, best first"
        self.by_products.offer(title, lambda: ranked.kept_tuple(best, history), self._hold)

    def _hold(self, layer: Any) -> None:
        self._kept_layer = layer

    def toggle(self, *frames: int) -> None:
        """Keep frames of the layer that are not kept, and drop those that are."""
        if (ranked := self._live) is not None:
            numbers = ranked.numbers[list(frames)].tolist()
            by_hand = self._by_hand_now(ranked)
            self._change_by_hand(by_hand.toggled(numbers, self._cut, ranked.numbers))

    def _change_by_hand(self, by_hand: ManualSelection) -> None:
        try:
            self._choose(by_hand)
        except LuckyError as error:
            report_error(error)

    def _features_changed(self, *_: Any) -> None:
        """Follow a choice that was written into the shifts' features, in a script or a table."""
        ranked = self._live
        if self._writing or ranked is None:
            return
        if ranked.is_current():
            self._change_by_hand(self._by_hand_now(ranked))
        else:
            by_hand = self._by_hand
            self._forget()
            self._by_hand = by_hand  # for a ranking that updates itself
            self.summary.setText("The shifts are new: press Run to rank their frames.")

    def _by_hand_now(self, ranked: Ranked) -> ManualSelection:
        """Return the changes by hand, with those in the features: some tables emit no event."""
        features = ranked.shifts.features
        place, inside = ranked.places()
        if not ranked.is_current():
            return self._by_hand  # ranked again elsewhere
        selected = np.asarray(features.get("selected", self._kept[place]), bool)
        edited = ranked.numbers[place[inside & (selected != self._kept[place])]].tolist()
        return self._by_hand.toggled(edited, self._cut, ranked.numbers)

    def _cut_changed(self, *_: Any) -> None:
        if (ranked := self._live) is None:
            return
        try:
            self._choose(self._by_hand_now(ranked))
        except LuckyError as error:  # in the middle of typing, as a rule: no message for that
            self.summary.setText(without_tags(str(error)))

    def _cut_dragged(self, count: int, let_go: bool) -> None:
        ranked = self._live
        if ranked is None:
            return
        if let_go:
            self.cut.move_to(ranked.quality, count)
            self._cut_changed()
            return
        try:
            self._choose(self._by_hand, count)
        except LuckyError as error:
            self.summary.setText(without_tags(str(error)))

    def _frame_shown(self) -> int:
        layer = self._ranked.layer if self._ranked is not None else self.image.value
        return int(self.viewer.dims.current_step[self.viewer.dims.ndim - layer.ndim])

    def _name_toggle(self, *_: Any) -> None:
        """Let the button say what it will do to the frame shown."""
        if (ranked := self._live) is None:
            return
        frame = self._frame_shown()
        rankable = frame < len(ranked.quality) and bool(np.isfinite(ranked.quality[frame]))
        self.toggle_button.enabled = rankable
        drops = rankable and self._kept[frame]
        number = ranked.numbers[frame] if frame < len(ranked.numbers) else frame
        self.toggle_button.text = f"{'Drop' if drops else 'Keep'} the frame shown ({number})"

    def _show_frame(self, frame: int) -> None:
        if self._ranked is not None:
            layer = self._ranked.layer
            self.viewer.dims.set_current_step(self.viewer.dims.ndim - layer.ndim, frame)
