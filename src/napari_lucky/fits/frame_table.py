"""The table of frames: shift, quality and choice of each, and its files (CSV or FITS)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import open_text
from napari_lucky.fits.names import put_name
from napari_lucky.fits.times import exposures_of, times_of
from napari_lucky.frames.history import History, history_cards, read_history
from napari_lucky.frames.times import time_texts
from napari_lucky.text import (
    CELL,
    cell,
    changed_where,
    counted,
    csv_columns,
    csv_line,
    from_cell,
    html,
    html_table,
    readable,
)

REFERENCE = "reference "
MOST_FRAME = 2**31 - 1
COLUMNS = ("frame", "file", "dy", "dx", "quality", "selected")
ERRORS = ("sigma_dy", "sigma_dx")
"""Columns that follow, and may be missing: of methods that estimate the error of a shift. Those of
time (when a frame was taken, UTC) and exposure come last, and may be missing too."""
UNITS = {**dict.fromkeys(("dy", "dx", *ERRORS), "pixel"), "exposure": "s"}

SHOWN = 10
"""Rows that a notebook shows."""


@dataclass(frozen=True, eq=False)
class FrameTable:
    """What is known of each frame of a run.

    Parameters
    ----------
    frame : ndarray of int, (n,)
        Number of the frame in the run, from 0 in sorted order.
    file : list of str
        Name of the frame's file; empty where it has none.
    shifts : ndarray of float64, (n, 2)
        (dy, dx) in pixels that bring the frame onto the reference; NaN where no star was found.
    quality : ndarray of float64, (n,)
        Higher is better; NaN where it was not measured.
    selected : ndarray of bool, (n,)
        Whether the frame is kept.
    reference : tuple of float
        (y, x) where the tracked point lands; the point itself is reference − shift.
    history : tuple of Record
        How the numbers came about.
    sigma : ndarray of float64, (n, 2), optional
        1-sigma errors of the shifts in pixels; NaN where there is no shift.
    time : ndarray of datetime64[us], (n,), optional
        Beginning of the exposure, UTC; NaT where it is not known.
    exposure : ndarray of float64, (n,), optional
        Seconds; NaN where it is not known.
    """

    frame: NDArray[np.intp]
    file: Sequence[str]
    shifts: NDArray[np.float64]
    quality: NDArray[np.float64]
    selected: NDArray[np.bool_]
    reference: tuple[float, float] = (0.0, 0.0)
    history: History = field(default=())
    sigma: NDArray[np.float64] | None = None
    time: NDArray[np.datetime64] | None = None
    exposure: NDArray[np.float64] | None = None

    @property
    def found(self) -> NDArray[np.bool_]:
        """In which frames the star was found, (n,)."""
        return np.asarray(np.isfinite(self.shifts).all(axis=1))

    def __repr__(self) -> str:
        lost = int((~self.found).sum())
        return (
            f"<FrameTable: {counted(len(self.frame), 'frame')}, {int(self.selected.sum())} "
            f"selected, {lost} without a shift>"
        )

    def _repr_html_(self) -> str:
        n = len(self.frame)
        shown = range(n) if n <= SHOWN else [*range(SHOWN // 2), *range(n - SHOWN // 2, n)]
        rows: list[list[Any]] = [
            [
                int(self.frame[k]),
                self.file[k],
                *(f"{value:.4g}" for value in (*self.shifts[k], self.quality[k])),
                "yes" if self.selected[k] else "",
            ]
            for k in shown
        ]
        if n > SHOWN:
            rows.insert(SHOWN // 2, ["…"] * len(COLUMNS))
        return f"<p>{html(repr(self).strip('<>'))}</p>{html_table(rows, COLUMNS)}"

    def to_qtable(self) -> Any:
        """Return the table as `astropy.table.QTable`, with units, reference and history.

        Written as ECSV, `table.to_qtable().write("frames.ecsv")`, it keeps all of them.
        """
        from astropy import units
        from astropy.table import QTable

        columns = {
            name: of * units.Unit(UNITS[name]) if name in UNITS else of
            for name, of in self.columns.items()
        }
        reference = [float(value) for value in self.reference]
        return QTable(
            columns, meta={"reference": reference, "history": list(history_cards(self.history))}
        )

    @property
    def columns(self) -> dict[str, Any]:
        """What its files hold, by name: texts in a list, all else in arrays."""
        made = {
            "frame": self.frame,
            "file": list(self.file),
            "dy": self.shifts[:, 0],
            "dx": self.shifts[:, 1],
            "quality": self.quality,
            "selected": self.selected,
        }
        if self.sigma is not None:
            made |= dict(zip(ERRORS, self.sigma.T, strict=True))
        if self.time is not None:
            made["time"] = time_texts(self.time)
        return made if self.exposure is None else {**made, "exposure": self.exposure}

    @property
    def points(self) -> NDArray[np.float64]:
        """(n, 2) the tracked point (y, x) in each frame."""
        return np.asarray(self.reference) - self.shifts


def table_to_csv(table: FrameTable, with_history: bool = False) -> str:
    """Return the table as CSV text: the six columns of `COLUMNS`, a line a frame.

    Errors of the shifts, if there are any, come in two columns after them, and the time (ISO,
    UTC) and the exposure (s), where they are known, last. With its history, two columns come
    before these with the tracked point (y, x), and comment lines (#) with the history and the
    reference come first, so that the whole table can be read back.

    Parameters
    ----------
    table : FrameTable
        What is written.
    with_history : bool
        Whether tracked points, history and reference are written too.

    Returns
    -------
    str
        The text of the file.
    """
    text = StringIO()
    if with_history:
        text.writelines(f"# {cell(card)}\n" for card in history_cards(table.history))
        text.write("# {}{!r} {!r}\n".format(REFERENCE, *(float(v) for v in table.reference)))
    columns = table.columns
    if with_history:
        first = {name: columns.pop(name) for name in COLUMNS}
        columns = {**first, "y": table.points[:, 0], "x": table.points[:, 1], **columns}
    text.write(csv_line(columns))
    text.writelines(csv_columns(map(_cells, columns.values())))
    return text.getvalue()


def _cells(values: Any) -> list[str]:
    """Return a column's cells: texts, or Python's numbers with all their digits."""
    if isinstance(values, list):
        return changed_where(CELL, cell, values)
    numbers = np.asarray(values, np.float64 if values.dtype.kind == "f" else np.intp)
    return list(map(repr, numbers.tolist()))


def _is_comment(line: str) -> bool:
    return line.startswith("#")


def is_table_csv(path: Path) -> bool:
    """Return whether a file is a table that `table_to_csv` wrote."""
    try:
        with open_text(path) as file:
            first = next(dropwhile(_is_comment, file), "")
    except OSError:
        return False
    return first.strip().split(",")[: len(COLUMNS)] == list(COLUMNS)


def table_from_csv(path: str | Path) -> FrameTable:
    """Read a table from a CSV file that `table_to_csv` wrote.

    Parameters
    ----------
    path : path
        The CSV file.

    Returns
    -------
    FrameTable
        With all that the file holds.

    Raises
    ------
    LuckyError
        If it is not such a file, a frame is in it twice, or `selected` is neither 0 nor 1.
    """
    path = Path(path)
    try:
        with open_text(path) as file:
            lines = list(file)
        comments = [from_cell(line[2:].rstrip()) for line in takewhile(_is_comment, lines)]
        reader = csv.DictReader(dropwhile(_is_comment, lines), restval="")
        if missing := set(COLUMNS) - set(reader.fieldnames or ()):
            raise KeyError(*sorted(missing))
        rows = list(reader)
        _check_rows(rows)
        reference = [c.removeprefix(REFERENCE) for c in comments if c.startswith(REFERENCE)]
        y, x = reference[0].split() if reference else (0, 0)
        columns: dict[str, Any] = {
            name: [row[name] for row in rows] for name in reader.fieldnames or ()
        }
        columns["file"] = map(from_cell, columns["file"])
        columns["selected"] = [text.strip() == "1" for text in columns["selected"]]
        if "exposure" in columns:
            columns["exposure"] = exposures_of(columns["exposure"])
        return table_of(columns, (float(y), float(x)), comments)
    except OSError as error:
        raise LuckyError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (KeyError, TypeError, ValueError, OverflowError, csv.Error) as error:
        raise LuckyError(
            f"{path}: this is not a table of frames ({error}); expected CSV with the columns "
            f"{', '.join(COLUMNS)}."
        ) from error


def table_of(
    columns: Mapping[str, Any], reference: tuple[float, float], history: Iterable[str]
) -> FrameTable:
    """Return the table that columns of a file make, its numbers as texts or as they are.

    Parameters
    ----------
    columns : mapping
        By name, at least those of `COLUMNS`.
    reference : tuple of float
        (y, x) where the tracked point lands.
    history : iterable of str
        See `read_history`.

    Raises
    ------
    ValueError
        If a value cannot be that of its column, or a frame is in it twice.
    """
    frame = np.array([int(number) for number in columns["frame"]], np.intp)
    check_numbers(frame.tolist())

    def numbers(*names: str) -> NDArray[np.float64]:
        return np.column_stack([np.asarray(columns[name], np.float64) for name in names])

    return FrameTable(
        frame,
        [readable(name) for name in columns["file"]],
        numbers("dy", "dx"),
        numbers("quality")[:, 0],
        np.array(columns["selected"], bool),
        reference,
        read_history(history),
        numbers(*ERRORS) if set(ERRORS) <= set(columns) else None,
        times_of(columns["time"]) if "time" in columns else None,
        numbers("exposure")[:, 0] if "exposure" in columns else None,
    )


def _check_rows(rows: Sequence[Mapping[str, str]]) -> None:
    check_numbers(int(row["frame"]) for row in rows)
    for row in rows:
        if row["selected"].strip() not in ("0", "1"):
            raise ValueError(
                f"frame {row['frame']}: selected is {row['selected'][:40]!r}, and must be 0 or 1"
            )


def check_numbers(frames: Iterable[int]) -> None:
    """Raise a ValueError if one is in it twice, or no frame can have it."""
    seen: set[int] = set()
    for frame in frames:
        if not 0 <= frame <= MOST_FRAME:
            raise ValueError(f"{frame} is not a frame number")
        if frame in seen:
            raise ValueError(f"frame {frame} is in it twice")
        seen.add(frame)


def table_to_hdu(table: FrameTable, name: str = "FRAMES") -> Any:
    """Return the table as an `astropy.io.fits.BinTableHDU`, its history in HISTORY cards."""
    from astropy.io import fits

    columns = table.columns
    # such columns hold ASCII alone
    columns["file"] = [name.encode("unicode_escape").decode("ascii") for name in table.file]
    width = max(map(len, columns["file"]), default=1) or 1
    stored = {"frame": "K", "file": f"{width}A", "selected": "L", "time": "26A"}
    made = []
    for column, values in columns.items():
        form = stored.get(column, "D")
        array = np.array(values, f"U{form[:-1]}") if isinstance(values, list) else values
        made.append(fits.Column(column, form, UNITS.get(column), array=array))
    hdu = fits.BinTableHDU.from_columns(made)
    put_name(hdu.header, name)
    hdu.header["REF_Y"] = (table.reference[0], "[pixel] row where the star lands, from 0")
    hdu.header["REF_X"] = (table.reference[1], "[pixel] column where the star lands, from 0")
    for card in history_cards(table.history):
        hdu.header.add_history(card)
    return hdu


def table_from_hdu(hdu: Any) -> FrameTable:
    """Read back what `table_to_hdu` made."""
    data, header = hdu.data, hdu.header
    columns = {name: data[name] for name in data.names}
    columns["file"] = [str(name).encode("ascii").decode("unicode_escape") for name in data["file"]]
    if "time" in columns:
        columns["time"] = map(str, data["time"])
    cards = (str(card) for card in header.get("HISTORY", []))
    return table_of(columns, (float(header["REF_Y"]), float(header["REF_X"])), cards)
