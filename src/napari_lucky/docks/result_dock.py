"""What the docks that measure something share: a telescope, and results that are saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import napari
from magicgui.widgets import Container, PushButton, Widget
from matplotlib.figure import Figure
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFileDialog

from napari_lucky.docks.dock import Dock
from napari_lucky.docks.form import StepForm
from napari_lucky.docks.telescope_choice import TelescopeChoice
from napari_lucky.docks.theme import follow_theme, theme_colours
from napari_lucky.optics.request import TelescopeRequest
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.plots.comparison import FIGURES, save_figure
from napari_lucky.steps.declaration import Step
from napari_lucky.viewer.from_layers import inputs_of


class ResultDock(Dock):
    """A dock with a telescope, whose result is drawn, and saved as a table and as a figure.

    Parameters
    ----------
    viewer : napari.Viewer
        Where layers are taken from and put.
    explanation : str
        A line or two on what it does.
    parameters : list of Widget or StepForm
        The parameters, the telescope's widgets among them.
    **options
        Of `Dock`.
    """

    stem: ClassVar[str] = ""
    """Of the names that are offered for files."""
    of_table: ClassVar[str] = ""
    """What its table is, for the tooltip of the button."""
    telescope: TelescopeChoice

    def __init__(
        self,
        viewer: napari.Viewer,
        explanation: str,
        parameters: Sequence[Widget | StepForm],
        **options: Any,
    ) -> None:
        super().__init__(viewer, explanation, parameters, **options)
        self._closed = False

    def add_results(
        self, view: Sequence[Any], *more: tuple[PushButton, Callable[[], None]]
    ) -> None:
        """Put what shows the result under the parameters, with buttons that save it.

        Parameters
        ----------
        view : sequence of QWidget
            What shows it; the buttons stand before the last one.
        *more : (PushButton, callable)
            Further buttons, and what they do.
        """
        self.table_button = PushButton(text="Save table…", tooltip=self.of_table)
        self.figure_button = PushButton(text="Save figure…", tooltip="Write it as PNG, PDF or SVG")
        actions = [(self.table_button, self.save_table), (self.figure_button, self.save_figure)]
        actions += more
        for button, action in actions:
            button.changed.connect(lambda _=None, action=action: self.attempt(action))
        saving = [self.table_button, self.figure_button]
        self._saving = Container(widgets=saving, layout="horizontal", labels=False)
        self._saving.margins = (0, 0, 0, 0)
        others = [button for button, _ in more]  # below: three have no room in a narrow dock
        self.result_buttons = Container(widgets=[self._saving, *others], labels=False)
        *first, last = view
        for widget in (*first, self.result_buttons.native, last):
            self.column.addWidget(widget)
        self._leave_theme = follow_theme(self.viewer, self.set_colours)

    @property
    def figure(self) -> Figure:
        """What is drawn of the result."""
        raise NotImplementedError

    def set_colours(self, background: str, ink: str) -> None:
        """Draw in other colours from now on."""
        raise NotImplementedError

    def write_table(self, path: Path) -> None:
        """Write the result as a table."""
        raise NotImplementedError

    def requests(self) -> list[Step]:
        """Return what is dialled in, as steps of a recipe."""
        made = [self.telescope.request, *(form.step() for form in self.forms.values())]
        return [step for step in made if step is not None]

    def fill(self, recipe: Recipe) -> None:
        """Show a recipe's telescope, and what it asks for."""
        super().fill(recipe)
        if (telescope := recipe.get(TelescopeRequest)) is not None:
            self.attempt(lambda: self.telescope.show(telescope))

    def event(self, event: QEvent) -> bool:
        """Follow the viewer no longer when the dock is closed."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._closed = True
            self._leave_theme()
        return super().event(event)

    def reset_choices(self, *_: Any) -> None:
        """Take up layers, and telescopes that were saved elsewhere."""
        super().reset_choices()
        if not self._closed:
            self.telescope.reset()

    def save_table(self) -> None:
        """Ask where, and write the table."""
        path, _ = QFileDialog.getSaveFileName(
            self, "Save table", f"{self.stem}.csv", "Table (*.csv)"
        )
        if path:
            self.write_table(Path(path))

    def save_figure(self) -> None:
        """Ask where, and write the figure, black on white."""
        kinds = " ".join(f"*{suffix}" for suffix in FIGURES)
        path, _ = QFileDialog.getSaveFileName(
            self, "Save figure", f"{self.stem}.png", f"Figure ({kinds})"
        )
        if path:
            self.set_colours("white", "black")
            try:
                save_figure(Path(path), self.figure, inputs_of(self.viewer))
            finally:
                self.set_colours(*theme_colours(self.viewer))
