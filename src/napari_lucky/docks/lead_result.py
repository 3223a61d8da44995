"""What can be done with the pair that the lead dock made: save it, and go on with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container, PushButton
from qtpy.QtWidgets import QFileDialog, QMenu

from napari_lucky.docks.choices import base_name
from napari_lucky.docks.form import share_by_text
from napari_lucky.docks.made_layers import made_layers
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.pipeline.process import Result
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.pipeline.results_folder import place_for_results, write_results
from napari_lucky.pipeline.step import Input
from napari_lucky.steps.declaration import params
from napari_lucky.viewer.from_layers import inputs_of
from napari_lucky.viewer.open_docks import open_dock

if TYPE_CHECKING:
    from napari_lucky.docks.lead import LeadDock

ADJUST = {
    "calibration": "Calibrate",
    "cleaning": "Clean",
    "registration": "Register",
    "ranking": "Rank",
    "stacking": "Stack",
}
"""Docks of the steps, by the names of their commands."""


OTHER_STACKS = (
    "What is saved is the pair that Process made. Another dock has made the stacks that are shown "
    "now: save those with File ▸ Save Selected Layers."
)


@dataclass(frozen=True, eq=False)
class MadePair:
    """A result, what it was made of, and its layers.

    Parameters
    ----------
    layer : napari.layers.Image
        The run.
    recipe : Recipe
        What was asked for.
    result : Result
        What came of it.
    figures : dict
        Of its stacks, with the line "done".
    calibrated, shifts : napari layer
        The layers that other docks go on with.
    """

    layer: Any
    recipe: Recipe
    result: Result
    figures: dict[str, Any]
    calibrated: Any
    shifts: Any


def left_open(done: Recipe, asked: Recipe) -> Recipe:
    """Return what was done, with the parameters open that the run gave: another gives its own."""
    for step in done.steps:
        given = asked.table(step.table)
        names = [name for name in params(type(step)) if getattr(given, name, "") is None]
        if names and not isinstance(step, Input):
            done = done.changed(type(step), **dict.fromkeys(names))
    return done


class LeadResult:
    """Buttons that save the pair and open other docks on it; hidden until there is one."""

    def __init__(self, dock: LeadDock) -> None:
        self._dock = dock
        self._made: MadePair | None = None
        self.save_button = PushButton(
            text="Save pair…",
            tooltip="Write the same files as napari-lucky process: the pair and the long exposure, "
            "frames.csv, recipe.toml, report.png",
        )
        self.wavefront_button = PushButton(
            text="Wavefront ▸", tooltip="Measure the telescope's aberrations from the pair"
        )
        self.adjust_button = PushButton(
            text="Adjust ▸", tooltip="Open a step's own dock, with the parameters used here"
        )
        self.save_button.changed.connect(lambda: dock.attempt(self.save))
        self.wavefront_button.changed.connect(lambda: dock.attempt(self.open_wavefront))
        menu = QMenu(dock)
        for name, title in ADJUST.items():
            act = menu.addAction(title)
            assert act is not None
            act.triggered.connect(lambda _, to=name: dock.attempt(lambda: self.adjust(to)))
        self.adjust_button.native.setMenu(menu)
        buttons = [self.save_button, self.wavefront_button, self.adjust_button]
        self.row = Container(widgets=buttons, layout="horizontal", labels=False)
        share_by_text(buttons)
        self.row.native.hide()

    def show(self, made: MadePair) -> None:
        """Offer what can be done with a result."""
        self._made = made
        self.row.native.show()

    def follow(self, layer: Any) -> None:
        """Hide the buttons while another run is chosen than the one of the result."""
        if self._made is not None:
            self.row.native.setVisible(layer is None or layer is self._made.layer)

    def recipe_used(self, layer: Any, recipe: Recipe) -> Recipe | None:
        """Return what was done, if it was done with this recipe on this layer."""
        made = self._made
        same = made is not None and (made.layer, made.recipe) == (layer, recipe)
        return made.result.recipe if made is not None and same else None

    def save(self) -> None:
        """Ask where, and write the folder that the command line would."""
        dock, made = self._dock, self._made
        if made is None:
            raise LuckyError("There is no result to save yet: press Process first.")
        folder = QFileDialog.getExistingDirectory(dock, "Folder for the pair")
        if not folder:
            return
        out = place_for_results(folder, base_name(made.layer))
        inputs, said, figures = inputs_of(dock.viewer), list[str](), dict(made.figures)
        line = str(figures.pop("done"))
        doubts = [OTHER_STACKS] if self._made_anew(made) else []

        def work(job: Job) -> list[str]:
            files = write_results(
                made.result,
                out,
                report=True,
                notify=said.append,
                kept=inputs,
                figures=figures,
                done=line,
            )
            return [file.name for file in files]

        def done(names: list[str]) -> Iterator[None]:
            dock.add_note(f"Wrote {', '.join(names)} to {out}.", *said, doubts=doubts)
            yield

        dock.start(work, done, stays=True, keeps_notes=True, cancelled="")

    def _made_anew(self, made: MadePair) -> bool:
        """Return whether another dock has put other stacks in place of the pair's."""
        of_viewer, run = made_layers(self._dock.viewer), base_name(made.layer)
        for name, image in made.result.images.items():
            shown = of_viewer.last(f"{run} {name.replace('_', ' ')}")
            if shown is not None and shown.data is not image.data:
                return True
        return False

    def open_wavefront(self) -> None:
        """Open the wavefront dock on this run."""
        self._choose(open_dock(self._dock.viewer, "wavefront"))

    def adjust(self, name: str) -> None:
        """Open a step's dock, with the parameters used here."""
        asked, done = self._dock.recipes_of_run()
        dock = open_dock(self._dock.viewer, name)
        self._choose(dock)
        dock.fill(left_open(done, asked))
        dock.show_found(done)

    def _choose(self, dock: Any) -> None:
        """Let a dock work on what was made here."""
        made, lead = self._made, self._dock
        calibration = not hasattr(dock, "registration") and hasattr(dock, "dark")
        wanted = {
            "image": lead.run_layer.value if calibration else made and made.calibrated,
            "registration": made and made.shifts,
            "windows": lead.stars.layer,
        }
        for name, layer in wanted.items():
            combo = getattr(dock, name, None)
            if combo is not None and layer in lead.viewer.layers and layer in combo.choices:
                combo.value = layer
