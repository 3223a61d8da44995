"""The lead dock's recipe: opened, saved, and as a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import Container, PushButton
from qtpy.QtWidgets import QApplication

from napari_lucky.calibration.step import Calibrate
from napari_lucky.docks.form import narrow
from napari_lucky.docks.recipe_files import ask_where_from, ask_where_to, missing_files
from napari_lucky.fits.write import write_text
from napari_lucky.pipeline.command_line import command_of
from napari_lucky.pipeline.recipe import Recipe, recipe_to_toml
from napari_lucky.pipeline.recipe_source import open_recipe
from napari_lucky.pipeline.step import Input
from napari_lucky.ranking.step import Select
from napari_lucky.steps.declaration import Request, Step, params, short
from napari_lucky.steps.registry import first_of, title_of_step
from napari_lucky.viewer.from_layers import inputs_of
from napari_lucky.viewer.opened_recipe import fill_docks

if TYPE_CHECKING:
    from napari_lucky.docks.lead import LeadDock


class LeadRecipe:
    """Buttons that open a recipe, and save what is done here as one."""

    def __init__(self, dock: LeadDock) -> None:
        self._dock = dock
        self.open_button = PushButton(
            text="Open recipe…",
            tooltip="Fill this dock and the others from a recipe.toml, or from a result of this "
            "program",
        )
        self.save_button = PushButton(
            text="Save recipe…",
            tooltip="Write what is done here to a file; “napari-lucky process --recipe” replays it",
        )
        self.command_button = PushButton(
            text="Copy command line", tooltip="Copy the command that does the same in a terminal"
        )
        for button, action in (
            (self.open_button, self.open),
            (self.save_button, self.save),
            (self.command_button, self.copy_command),
        ):
            button.changed.connect(lambda _, do=action: dock.attempt(do))
            narrow(button.native)
        files = [self.open_button, self.save_button]
        self.rows = (
            Container(widgets=files, layout="horizontal", labels=False),
            Container(widgets=[self.command_button], labels=False),
        )

    def save(self) -> None:
        """Ask where, and write the recipe."""
        recipe = self._dock.recipe()
        if (path := ask_where_to(self._dock)) is not None:
            write_text(path, recipe_to_toml(recipe), inputs_of(self._dock.viewer))
            self._dock.add_note(f"Saved {path}.", doubts=missing_files(recipe))

    def copy_command(self) -> None:
        """Copy the command line that does the same."""
        recipe = self._dock.recipe()
        command, clipboard = command_of(recipe), QApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(command)
        self._dock.add_note(f"Copied: {command}", doubts=missing_files(recipe))

    def open(self) -> None:
        """Ask which, and fill all docks that are open."""
        if (path := ask_where_from(self._dock)) is not None:
            self._dock.add_note(fill_docks(self._dock.viewer, open_recipe(path), path))


def beyond_page(recipe: Recipe) -> str:
    """Return a line on what a recipe says beside what the lead dock shows."""
    by, cut = recipe[Calibrate].changed(dark=None, flat=None), recipe[Select]
    usual_cut = Select(above=cut.above, add=cut.add, drop=cut.drop)
    shown = recipe.with_steps(Input(), by, usual_cut)
    usual = {step.table: step for step in Recipe().steps}
    done = [step for step in shown.steps if not isinstance(step, Request)]
    others = [_in_words(step) for step in done if step != usual.get(step.table)]
    return f"With the recipe’s {', '.join(others)}." if others else ""


def _in_words(step: Step) -> str:
    """Return a step as docks call it, with what differs: Register (centroid, smoothing 2 px)."""
    words = [] if step.kind == first_of(step.table).kind else [step.kind]
    for name, one in params(type(step)).items():
        value = getattr(step, name)
        if value not in (one.default, None):
            text = " ".join(map(short, value)) if isinstance(value, tuple) else short(value)
            words.append(f"{one.label} {text} {one.unit}".strip())
    title = title_of_step(step.table)
    return f"{title} ({', '.join(words)})" if words else title
