"""The table of the ranking: every frame with its file, its quality, and whether it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_lucky.ranking.selection import best_first

COLUMNS = FRAME, FILE, QUALITY, KEPT = "frame", "file", "quality", "kept"
WIDTHS = 60, 60, 80, 50
Role, Flag, Check = Qt.ItemDataRole, Qt.ItemFlag, Qt.CheckState


class FrameModel(QAbstractTableModel):
    """What the table shows; rows are made when they are looked at, however long the run.

    Parameters
    ----------
    on_toggle : callable
        Called with a frame's place when its box is checked or unchecked.
    """

    def __init__(self, on_toggle: Callable[[int], None]) -> None:
        super().__init__()
        self._on_toggle = on_toggle
        self._file: Sequence[str] = ()
        self._numbers = np.array([], np.intp)
        self._quality = np.array([])
        self._kept = np.array([], bool)
        self.order = np.array([], np.intp)

    def show(
        self,
        file: Sequence[str],
        quality: NDArray[np.float64],
        kept: NDArray[np.bool_],
        numbers: NDArray[np.intp],
    ) -> None:
        """Show other frames, in their order, named by their numbers in the run."""
        self.beginResetModel()
        self._numbers = numbers
        self._file, self._quality, self._kept = file, quality, kept
        self.order = np.arange(len(quality))
        self.endResetModel()

    def show_kept(self, kept: NDArray[np.bool_]) -> None:
        """Show others of them as kept."""
        self._kept = kept
        last = len(self.order) - 1
        column = COLUMNS.index(KEPT)
        self.dataChanged.emit(self.index(0, column), self.index(last, column))

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own
        """Return the number of frames."""
        return 0 if parent.isValid() else len(self.order)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own
        """Return the number of columns."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Any, role: int = Role.DisplayRole) -> Any:
        """Return a column's name."""
        if role == Role.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return COLUMNS[section]
        return None

    def data(self, index: QModelIndex, role: int = Role.DisplayRole) -> Any:
        """Return what a cell shows."""
        frame, column = int(self.order[index.row()]), COLUMNS[index.column()]
        if column == KEPT:
            checked = Check.Checked if self._kept[frame] else Check.Unchecked
            return checked if role == Role.CheckStateRole else None
        if role != Role.DisplayRole:
            return None
        if column == FRAME:
            return int(self._numbers[frame])
        return self._file[frame] if column == FILE else f"{self._quality[frame]:.6g}"

    def flags(self, index: QModelIndex) -> Any:
        """Let the boxes of the frames that have a quality be checked."""
        flags = Flag.ItemIsEnabled | Flag.ItemIsSelectable
        ranked = np.isfinite(self._quality[self.order[index.row()]])
        return flags | Flag.ItemIsUserCheckable if ranked and self._is_kept(index) else flags

    def setData(self, index: QModelIndex, value: Any, role: int = Role.EditRole) -> bool:
        """Take a box that was checked or unchecked."""
        if role != Role.CheckStateRole or not self._is_kept(index):
            return False
        frame = int(self.order[index.row()])
        if (Check(value) == Check.Checked) != self._kept[frame]:
            self._on_toggle(frame)
        return True

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        """Sort the rows by a column."""
        keys: dict[str, Any] = {
            FRAME: lambda: np.arange(len(self.order)),
            FILE: lambda: np.argsort(np.array(self._file, dtype=str), kind="stable"),
            QUALITY: lambda: best_first(-self._quality),
            KEPT: lambda: np.argsort(self._kept, kind="stable"),
        }
        self.layoutAboutToBeChanged.emit()
        rows = keys[COLUMNS[column]]() if 0 <= column < len(COLUMNS) else keys[FRAME]()
        self.order = rows if order == Qt.SortOrder.AscendingOrder else rows[::-1]
        self.layoutChanged.emit()

    def _is_kept(self, index: QModelIndex) -> bool:
        return COLUMNS[index.column()] == KEPT


class FrameTableView(QTableView):
    """The table; a click on a row shows its frame.

    Parameters
    ----------
    on_frame, on_toggle : callable
        Called with a frame's number when its row is clicked, and when it is kept or left out.
    """

    def __init__(self, on_frame: Callable[[int], None], on_toggle: Callable[[int], None]) -> None:
        super().__init__()
        self.frames = FrameModel(on_toggle)  # kept: the view does not keep it alive
        self.setModel(self.frames)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.verticalHeader().hide()
        for column, width in enumerate(WIDTHS):
            self.setColumnWidth(column, width)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(40)
        header.setSectionResizeMode(COLUMNS.index(FILE), QHeaderView.ResizeMode.Stretch)
        self.setMinimumHeight(180)
        self.clicked.connect(lambda index: on_frame(int(self.frames.order[index.row()])))
