"""Several runs in the lead dock: a list of folders, one recipe for all, one table of results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from magicgui.widgets import Container, PushButton
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QGroupBox,
    QListWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)

from napari_lucky.docks.dock import Dock
from napari_lucky.docks.form import share_by_text
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.notices import level_of
from napari_lucky.optics.request import TelescopeRequest, known_telescope
from napari_lucky.pipeline.nights import TABLE, check_each, process_each
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.pipeline.results_folder import check_out
from napari_lucky.pipeline.summary import NAME
from napari_lucky.psf.nights import night_cells, night_rows, result_figures, write_nights
from napari_lucky.text import counted

ROWS = 4
"""Lines of the list and of the table that are seen at once, at least."""


class SeveralRuns(QGroupBox):
    """The runs to process, and what came of them; folded unless its box is ticked."""

    def __init__(self) -> None:
        super().__init__("Several runs")
        self.setCheckable(True)
        self.setChecked(False)
        self.setToolTip(
            "Process several runs with what is set here: dark, flat and stars are found for each"
        )
        self.list = QListWidget()
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.add_button = PushButton(text="Add…", tooltip="Add the folder of a run")
        self.remove_button = PushButton(
            text="Remove", tooltip="Remove the selected runs from the list"
        )
        self.process_button = PushButton(
            text="Process all…",
            tooltip="Ask for a folder, and write into it a folder of results for each run, and "
            "nights.csv, as “napari-lucky process RUN… --each -o OUT” does",
        )
        buttons = [self.add_button, self.remove_button, self.process_button]
        self._buttons = Container(widgets=buttons, layout="horizontal", labels=False)
        self._buttons.margins = (0, 0, 0, 0)
        share_by_text(buttons)
        self.table = QTableWidget()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        for part in (self.list, self._buttons.native, self.table):
            column.addWidget(part)
        line = self.fontMetrics().height() + 8
        for view in (self.list, self.table):
            view.setMinimumHeight(ROWS * line)
            view.setMinimumWidth(1)
        self._fold()
        self.toggled.connect(self._fold)
        self.add_button.changed.connect(self._choose)
        self.remove_button.changed.connect(self._remove)

    @property
    def runs(self) -> list[str]:
        """The folders and files in the list."""
        items = (self.list.item(row) for row in range(self.list.count()))
        return [item.text() for item in items if item is not None]

    def add_run(self, path: str) -> None:
        """Add a folder or a file, once."""
        if path and path not in self.runs:
            self.list.addItem(path)

    def show_nights(self, cells: Sequence[Sequence[str]]) -> None:
        """Show a table, its first row the head."""
        head, *rows = cells
        self.table.setColumnCount(len(head))
        self.table.setHorizontalHeaderLabels(list(head))
        self.table.setRowCount(len(rows))
        for row, line in enumerate(rows):
            for column, text in enumerate(line):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self.table.setItem(row, column, item)
        self.table.resizeColumnsToContents()
        self._fold()

    def _fold(self, *_: object) -> None:
        shown = self.isChecked()
        self.setStyleSheet("" if shown else "QGroupBox { border: none }")  # no frame around nothing
        self.list.setVisible(shown)
        self._buttons.native.setVisible(shown)
        self.table.setVisible(shown and self.table.rowCount() > 0)

    def _choose(self, *_: object) -> None:
        self.add_run(QFileDialog.getExistingDirectory(self, "Folder of a run"))

    def _remove(self, *_: object) -> None:
        for item in self.list.selectedItems():
            self.list.takeItem(self.list.row(item))


def process_runs(dock: Dock, several: SeveralRuns, recipe: Recipe) -> None:
    """Ask where to, and process the runs in the list with one recipe.

    Raises
    ------
    LuckyError
        If there is no run, the recipe is of one run alone, or the folder holds results already.
    """
    runs = several.runs
    if not runs:
        raise LuckyError("There is no run in the list yet: add the folders of runs first.")
    check_each(recipe)
    folder = QFileDialog.getExistingDirectory(dock, "Folder for the results")
    if not folder:
        return
    check_out(Path(folder), names=(TABLE, NAME))
    telescope = known_telescope(recipe.get(TelescopeRequest))

    def work(job: Job) -> tuple[list[tuple[str, ...]], list[str]]:
        notes = list[str]()
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
        return night_cells(rows), notes

    def done(result: tuple[list[tuple[str, ...]], list[str]]) -> Iterator[None]:
        cells, notes = result
        several.show_nights(cells)
        new = [note for note in notes if level_of(note) != "info"]
        dock.done(f"Processed {counted(len(runs), 'run')} into {folder}.", *new)
        yield

    dock.start(work, done, cancelled=f"Cancelled. The runs that were done are in {folder}.")
