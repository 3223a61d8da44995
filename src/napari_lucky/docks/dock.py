"""What all docks share: parameters that are remembered, Run and Cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any, ClassVar

import napari
from magicgui.widgets import CheckBox, Container, PushButton, Widget
from napari.layers import Layer
from qtpy.QtCore import QEvent, QTimer

from napari_lucky.docks.auto_run import AutoRun, Followed
from napari_lucky.docks.by_products import ByProducts
from napari_lucky.docks.choices import LayerCombo
from napari_lucky.docks.dock_column import DockColumn
from napari_lucky.docks.dock_notes import DockNotes
from napari_lucky.docks.dock_tabs import join_tabs, name_dock
from napari_lucky.docks.dock_values import DockValues, flat
from napari_lucky.docks.form import StepForm, pass_wheel_on
from napari_lucky.docks.help_page import show_help
from napari_lucky.docks.jobs import (
    END,
    DockJob,
    Done,
    attempt,
    get_ready,
    report_error,
    sentence_of,
)
from napari_lucky.docks.look_at import look_at
from napari_lucky.docks.made_layers import made_layers
from napari_lucky.docks.number_box import Editor
from napari_lucky.docks.progress_line import ProgressLine, duration_text
from napari_lucky.execution.helper import Work
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.viewer.messages import show_warning
from napari_lucky.viewer.open_docks import open_dock, title_of, title_of_dock
from napari_lucky.viewer.opened_recipe import recipe_opened
from napari_lucky.viewer.to_layers import LayerTuple

WINDOWS = "windows"
"""The choice of a layer that a dock moves itself."""
WORTH_SAYING = 0.5
"""Seconds that a job took."""
NO_DEFAULTS = "Not the defaults"
UNCHANGED = "Cancelled; nothing was changed."


class Dock(DockColumn):
    """A dock: what it does, its parameters, Run and Cancel.

    Parameters
    ----------
    viewer : napari.Viewer
        Where layers are taken from and put.
    explanation : str
        A line or two on what it does.
    parameters : list of Widget or StepForm
        The parameters, in the order of the work.
    follows : sequence of Followed
        What it works on, for auto-update; none: it has no such box.
    quiet : sequence of Widget
        Parameters that take effect without running again.
    of_run : collection of str
        Names of parameters that are not remembered: they are of one run alone.
    """

    next_dock: ClassVar[str] = ""
    """The dock of the next step, by the name of its command in the manifest."""
    extras: ClassVar[str] = ""
    """What is made beside the result, and added as layers on request only."""

    def __init__(
        self,
        viewer: napari.Viewer,
        explanation: str,
        parameters: Sequence[Widget | StepForm],
        follows: Sequence[Followed] = (),
        quiet: Sequence[Any] = (),
        of_run: Collection[str] = (),
    ) -> None:
        super().__init__(explanation, parameters)
        self.viewer = viewer
        self._tabbed = False
        self._jobs: list[DockJob] = []  # none, or the one that runs
        self._parameters = parameters
        self.forms = {form.table: form for form in parameters if isinstance(form, StepForm)}
        self.run_button = PushButton(text="Run", tooltip="Start with these parameters")
        self.cancel_button = PushButton(
            text="Cancel", enabled=False, tooltip="Stop the job; nothing is changed"
        )
        self.notes = DockNotes()
        self._looked_at: set[frozenset[str]] = set()
        self._began = 0.0
        self._in_place = False
        self.auto_run = AutoRun(self, follows, self._run_again) if follows else None
        self.values = DockValues(type(self).__name__, parameters, of_run)
        for widget in self.values.remembered:
            if self.auto_run is not None and widget not in quiet:
                widget.changed.connect(self.auto_run.changed)
        for form in self.forms.values():
            for editor in form.editors:
                if isinstance(editor, Editor):
                    editor.refused.connect(partial(self.notes.refuse, editor.name))
                    editor.changed.connect(partial(self.notes.accept, editor.name))
        for combo in flat(parameters):
            if isinstance(combo, LayerCombo):
                combo.changed.connect(lambda _: self.show_found(None))
        self.run_button.changed.connect(lambda: self.attempt(self.run))
        self.cancel_button.changed.connect(self.cancel)
        self._add_below()
        self.values.changed.connect(self._offer_reset)
        self.values.mark()
        if self.values.differ:
            self.note(f"{NO_DEFAULTS}: {', '.join(self.values.differ)}.")
        self.destroyed.connect(partial(abandon, self._jobs))
        with suppress(RuntimeError):  # the system allows no thread
            Thread(target=get_ready, daemon=True).start()

    def _add_below(self) -> None:
        """Add what is below the parameters: buttons, progress, notes, and what comes next."""
        buttons: list[Widget] = [self.run_button, self.cancel_button]
        if self.auto_run is not None:
            buttons.append(self.auto_run.box)
        self._buttons = Container(widgets=buttons, layout="horizontal", labels=False)
        self.progress = ProgressLine()
        self.keep_old = CheckBox(
            name="keep_old",
            text="keep old results",
            tooltip="Add new results and keep the last ones, instead of replacing them",
        )
        self.next_button = PushButton(text="", tooltip="Open the dock of the next step")
        self.next_button.changed.connect(lambda: self.attempt(self.go_on))
        self.by_products = ByProducts(self.viewer, self.extras, self.add)
        boxes = [self.by_products, self.keep_old] if self.extras else [self.keep_old]
        self.reset_button = PushButton(text="Reset parameters")
        self.reset_button.changed.connect(self.values.reset)
        self._end = Container(widgets=[self.next_button, *boxes, self.reset_button], labels=False)
        self._end.margins = (9, 0, 9, 0)
        self.next_button.hide()
        for widget in (self._buttons.native, self.progress, self.notes, self._end.native):
            self.column.addWidget(widget)
        self.help_button.clicked.connect(lambda: self.attempt(self.show_help))
        pass_wheel_on(self.widget())

    def show_help(self) -> None:
        """Show the page on this dock in a window."""
        show_help(self, title_of_dock(type(self)))

    def event(self, event: QEvent) -> bool:
        """End the job when the dock is closed: napari then takes it out of its window."""
        moved = event.type() == QEvent.Type.ParentChange
        if moved and self.parent() is None:
            self.cancel()
            if self.auto_run is not None:
                self.auto_run.stop()
        elif moved:
            name_dock(self)
        return bool(super().event(event))

    def showEvent(self, event: Any) -> None:
        """Become a tab beside the other docks: four on top of each other have no room."""
        super().showEvent(event)
        if not self._tabbed:
            self._tabbed = True
            self.widen()
            QTimer.singleShot(0, lambda: join_tabs(self))
            if (recipe := recipe_opened(self.viewer)) is not None:
                self.attempt(lambda: self.fill(recipe))

    def reset_choices(self, *_: Any) -> None:
        """Take up the viewer's layers again; napari calls it when they change."""
        for widget in self._parameters:
            if isinstance(widget, (LayerCombo, StepForm)):
                widget.reset_choices()

    def fill(self, recipe: Recipe) -> None:
        """Show the steps of a recipe."""
        for table, form in self.forms.items():
            form.show(recipe.table(table))

    def show_found(self, recipe: Recipe | None) -> None:
        """Show what a run gave where numbers are left open; None: of another run, not known."""
        for table, form in self.forms.items():
            form.show_found(None if recipe is None else recipe.table(table))

    def note(self, *sentences: str, doubts: Sequence[str] = ()) -> None:
        """Show under Run what the last job has to say, and nothing of the job before it.

        What is doubtful is a message of napari's too; those show their first words only, and go
        away.
        """
        self.notes.say(*sentences, *doubts)
        if doubts:
            show_warning("\n".join(doubts))

    def add_note(self, *sentences: str, doubts: Sequence[str] = ()) -> None:
        """Show a note on what was done beside the last job, over what that has to say."""
        self.notes.add(*sentences, *doubts)
        if doubts:
            show_warning("\n".join(doubts))

    def done(self, line: str, *sentences: str, doubts: Sequence[str] = ()) -> None:
        """Say that a job is done, how long it took, and what comes next."""
        took = time.monotonic() - self._began
        if took >= WORTH_SAYING:
            line = f"{line} It took {duration_text(took)}."
        self.note(line, *sentences, doubts=doubts)
        if self.next_dock:
            self.next_button.text = f"{title_of(self.next_dock)} ▸"
            self.next_button.show()

    def _offer_reset(self, differ: list[str]) -> None:
        self.reset_button.visible = bool(differ)
        if not differ and self.notes.text().startswith(NO_DEFAULTS):
            self.note()
        self.reset_button.tooltip = "Set to the defaults: " + ", ".join(differ)

    def go_on(self) -> None:
        """Open the dock of the next step."""
        open_dock(self.viewer, self.next_dock)

    def report_error(self, error: Exception) -> None:
        """Show what went wrong, in napari's way and under Run."""
        self.add_note(sentence_of(error))
        report_error(error)

    def attempt(self, action: Callable[[], None]) -> None:
        """Do something at once, and show what goes wrong."""
        attempt(action, self.report_error)

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return bool(self._jobs)

    def run(self) -> None:
        """Read the parameters and start the job; each dock says how."""
        raise NotImplementedError

    def start(
        self,
        work: Work,
        done: Done,
        *,
        stays: bool = False,
        keeps_notes: bool = False,
        cancelled: str = UNCHANGED,
    ) -> None:
        """Do a job beside the window; Run is off and Cancel is on until it ends.

        Parameters
        ----------
        work : callable
            See `Work`.
        done : callable
            See `Done`.
        stays : bool
            Whether it stays on a thread of this process: it changes something here.
        keeps_notes : bool
            Whether what the last job has to say is still shown.
        cancelled : str
            What is true if it is cancelled; if empty, it cannot be.
        """
        if self._jobs:
            return
        in_place = self._in_place

        def finish(result: Any) -> Iterator[None]:
            pieces, more = done(result), True
            while more:
                self._in_place = in_place
                try:
                    more = next(pieces, END) is not END
                finally:
                    self._in_place = False
                yield

        self.run_button.enabled, self.cancel_button.enabled = False, bool(cancelled)
        if keeps_notes:
            self.notes.add()
        else:
            self.note()
            self.next_button.hide()
            self.by_products.forget()
        self._began = time.monotonic()
        self.progress.begin()
        self._jobs.append(
            DockJob(
                work,
                finish,
                self._on_ended,
                self.report_error,
                self.progress.report,
                stays=stays,
                cancelled=lambda: self.add_note(cancelled),
            )
        )
        self._jobs[0].start()

    def _run_again(self) -> bool:
        """Start the job with its results in place of the last ones, unless one is under way."""
        if self._jobs:
            return False
        self._in_place = True
        self.attempt(self.run)
        self._in_place = False
        return True

    def cancel(self, *_: Any) -> None:
        """Stop the job that is running, if one is."""
        for job in self._jobs:
            job.cancel()

    def _on_ended(self) -> None:
        self._jobs.clear()
        self.notes.refused.clear()  # the note of this job shows it
        self.progress.end()
        self.run_button.enabled, self.cancel_button.enabled = True, False

    def add(self, layer: LayerTuple, *, fresh: bool = False) -> Layer:
        """Show a result in place of the last one of its name, which a tick keeps.

        Parameters
        ----------
        layer : tuple
            Data, metadata and kind of a layer.
        fresh : bool
            Whether it is a layer more in any case: what the user edits is not taken away.
        """
        made = made_layers(self.viewer)
        replace = self._in_place or not (fresh or self.keep_old.value)
        if made.last(layer[1]["name"]) in self._inputs:
            replace = False  # it was made of that one
        return made.add(layer, replace=replace, quiet=self._in_place)

    @property
    def _inputs(self) -> list[Layer]:
        """Layers that are chosen here to work on; none of them is replaced."""
        combos = [one for one in flat(self._parameters) if isinstance(one, LayerCombo)]
        return [one.value for one in combos if isinstance(one.value, Layer) and one.name != WINDOWS]

    def look_at(self, layers: Sequence[Layer]) -> None:
        """Bring layers into view, once: later the user's view is kept."""
        names = frozenset(layer.name for layer in layers)
        if layers and names not in self._looked_at:
            self._looked_at.add(names)
            look_at(self.viewer, layers)


def abandon(jobs: list[DockJob], *_: Any) -> None:
    """Cancel jobs whose dock is gone."""
    for job in jobs:
        job.abandon()
