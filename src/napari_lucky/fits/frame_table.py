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
from napari_lucky.frames.times import time_text
from napari_lucky.text import cell, counted, csv_line, from_cell, html, html_table, readable

REFERENCE = "reference "
MOST_FRAME = 2**31 - 1
COLUMNS = ("frame", "file", "dy", "dx", "quality", "selected")
ERRORS = ("sigma_dy", "sigma_dx")
"""Columns that follow, and may be missing: of methods that estimate the error of a shift."""
TAKEN = ("time", "exposure")
"""Columns that come last, and may be missing: when a frame was taken, UTC, and for how long, s."""

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
            "frame": self.frame,
            "file": list(self.file),
            "dy": self.shifts[:, 0] * units.pixel,
            "dx": self.shifts[:, 1] * units.pixel,
            "quality": self.quality,
            "selected": self.selected,
        }
        if self.sigma is not None:
            columns |= {
                name: of * units.pixel for name, of in zip(ERRORS, self.sigma.T, strict=True)
            }
        if self.time is not None:
            columns["time"] = [time_text(one) for one in self.time]
        if self.exposure is not None:
            columns["exposure"] = self.exposure * units.s
        reference = [float(value) for value in self.reference]
        return QTable(
            columns, meta={"reference": reference, "history": list(history_cards(self.history))}
        )

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
    errors = ERRORS if table.sigma is not None else ()
    taken = [name for name in TAKEN if getattr(table, name) is not None]
    text.write(csv_line([*COLUMNS, *(("y", "x") if with_history else ()), *errors, *taken]))
    columns: list[Iterable[Any]] = [
        map(int, table.frame),
        map(cell, table.file),
        *_numbers(table.shifts),
        *_numbers(table.quality),
        map(int, table.selected),
    ]
    if with_history:
        columns += _numbers(table.points)
    if table.sigma is not None:
        columns += _numbers(table.sigma)
    if table.time is not None:
        columns.append(map(time_text, table.time))
    if table.exposure is not None:
        columns += _numbers(table.exposure)
    text.writelines(map(csv_line, zip(*columns, strict=True)))
    return text.getvalue()


def _numbers(values: NDArray[np.floating[Any]]) -> list[list[float]]:
    """Return numbers, (n,) or (n, k), as columns of Python's, whose text has all their digits."""
    return np.atleast_2d(np.asarray(values, np.float64).T).tolist()


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
        sigma, there = None, set(reader.fieldnames or ())
        if set(ERRORS) <= there:
            sigma = np.array([[row[name] for name in ERRORS] for row in rows], np.float64)
        return FrameTable(
            np.array([int(row["frame"]) for row in rows], np.intp),
            [readable(from_cell(row["file"])) for row in rows],
            np.array([[row["dy"], row["dx"]] for row in rows], np.float64).reshape(-1, 2),
            np.array([row["quality"] for row in rows], np.float64),
            np.array([row["selected"].strip() == "1" for row in rows], bool),
            (float(y), float(x)),
            read_history(comments),
            None if sigma is None else sigma.reshape(-1, 2),
            times_of([row["time"] for row in rows]) if "time" in there else None,
            exposures_of([row["exposure"] for row in rows]) if "exposure" in there else None,
        )
    except (OSError, KeyError, TypeError, ValueError, OverflowError, csv.Error) as error:
        raise LuckyError(
            f"{path}: this is not a table of frames ({error}); expected CSV with the columns "
            f"{', '.join(COLUMNS)}."
        ) from error


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

    # such columns hold ASCII alone
    names = [name.encode("unicode_escape").decode("ascii") for name in table.file]
    width = max(map(len, names), default=1) or 1
    sigma = [] if table.sigma is None else zip(ERRORS, table.sigma.T, strict=True)
    taken = []
    if table.time is not None:
        times = np.array([time_text(time) for time in table.time], "U26")
        taken.append(fits.Column("time", "26A", array=times))
    if table.exposure is not None:
        taken.append(fits.Column("exposure", "D", "s", array=table.exposure))
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column("frame", "K", array=table.frame),
            fits.Column("file", f"{width}A", array=np.array(names, str)),
            fits.Column("dy", "D", "pixel", array=table.shifts[:, 0]),
            fits.Column("dx", "D", "pixel", array=table.shifts[:, 1]),
            fits.Column("quality", "D", array=table.quality),
            fits.Column("selected", "L", array=table.selected),
            *(fits.Column(name, "D", "pixel", array=values) for name, values in sigma),
            *taken,
        ],
    )
    put_name(hdu.header, name)
    hdu.header["REF_Y"] = (table.reference[0], "[pixel] row where the star lands, from 0")
    hdu.header["REF_X"] = (table.reference[1], "[pixel] column where the star lands, from 0")
    for card in history_cards(table.history):
        hdu.header.add_history(card)
    return hdu


def table_from_hdu(hdu: Any) -> FrameTable:
    """Read back what `table_to_hdu` made."""
    data, header = hdu.data, hdu.header
    errors = [data[name] for name in ERRORS if name in data.names]
    check_numbers(map(int, data["frame"]))
    return FrameTable(
        np.array(data["frame"], np.intp),
        [str(name).encode("ascii").decode("unicode_escape") for name in data["file"]],
        np.column_stack([data["dy"], data["dx"]]).astype(np.float64),
        np.array(data["quality"], np.float64),
        np.array(data["selected"], bool),
        (float(header["REF_Y"]), float(header["REF_X"])),
        read_history(str(card) for card in header.get("HISTORY", [])),
        np.column_stack(errors).astype(np.float64) if len(errors) == 2 else None,
        times_of(map(str, data["time"])) if "time" in data.names else None,
        np.array(data["exposure"], np.float64) if "exposure" in data.names else None,
    )
