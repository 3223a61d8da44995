"""A table of times that the user gives, for frames whose headers do not give them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import open_text
from napari_lucky.fits.table_file import column_numbers, is_ecsv, read_ecsv, texts_of
from napari_lucky.fits.times import DAYS, UNKNOWN, exposures_of, header_time, times_of
from napari_lucky.text import counted, from_cell, readable

TIMES = ("time", "mjd", "jd")
SEPARATORS = ",;\t"


@dataclass(frozen=True, eq=False)
class TakenTimes:
    """When the frames of a run were taken.

    Parameters
    ----------
    time : ndarray of datetime64[us], (n,)
        Beginning of the exposure, UTC; NaT where the table has none.
    exposure : ndarray of float64, (n,)
        Seconds; NaN where the table has none.
    """

    time: NDArray[np.datetime64]
    exposure: NDArray[np.float64]


def read_times(path: str | Path, files: Sequence[str]) -> TakenTimes:
    """Read when the frames of a run were taken from a CSV or ECSV file.

    A column `time` (ISO, UTC), `mjd` or `jd`, and if not each frame has a line, in order, a column
    `frame` (its number in the run, from 0) or `file`. A column `exposure` holds seconds. A file of
    times alone, one a line, needs no heading. The frames.csv of an earlier job is such a table.

    Parameters
    ----------
    path : str or pathlib.Path
    files : sequence of str
        Name of each frame's file in the run.

    Raises
    ------
    LuckyError
        If it is not such a table, or of other frames.
    """
    path = Path(path)
    try:
        column = _columns(path)
        times = _times(column)
        exposures = exposures_of(column.get("exposure", [""] * len(times)))
        place = _places(column, len(times), files)
    except OSError as error:
        raise LuckyError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (ValueError, OverflowError, csv.Error) as error:
        raise LuckyError(
            f"{path}: this is not a table of times ({error}); expected CSV with a column time, "
            "such as 2026-11-27T21:03:04.125 (UTC), or one time a line."
        ) from error
    time, exposure = np.full(len(files), UNKNOWN), np.full(len(files), np.nan)
    time[place], exposure[place] = times, exposures
    return TakenTimes(time, exposure)


def _columns(path: Path) -> dict[str, list[str]]:
    if is_ecsv(path):
        table = read_ecsv(path)
        column = {name.lower(): texts_of(table[name]) for name in table.colnames}
        if not set(column) & set(TIMES):
            raise ValueError(f"its columns are {', '.join(column)[:80]}")
        if "exposure" in column:
            column["exposure"] = [
                repr(float(one)) for one in column_numbers(table["exposure"], "s")
            ]
        return column
    with open_text(path) as file:
        lines = [line for line in file if line.strip() and not line.startswith("#")]
    head, rows = _rows(lines)
    if any(len(row) < len(head) for row in rows):
        raise ValueError("a line has fewer columns than the heading")
    return {name: [row[k].strip() for row in rows] for k, name in enumerate(head)}


def _rows(lines: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    if not lines:
        raise ValueError("it is empty")
    separator = max(SEPARATORS, key=lines[0].count)
    rows = list(csv.reader(lines, delimiter=separator))
    head = [name.strip().lower() for name in rows[0]]
    if set(head) & set(TIMES):
        return head, rows[1:]
    if any(len(row) > 1 for row in rows):
        raise ValueError(f"its columns are {', '.join(head)[:80]}")
    return ["time"], rows


def _times(column: dict[str, list[str]]) -> NDArray[np.datetime64]:
    name = next(name for name in TIMES if name in column)
    if name == "time":
        return times_of(column["time"])
    days = [float(text) if text else None for text in column[name]]
    keyword = name.upper()
    assert keyword in DAYS
    return np.array([header_time({keyword: day}) for day in days], "datetime64[us]")


def _places(column: dict[str, list[str]], n: int, files: Sequence[str]) -> NDArray[np.intp]:
    """Return which frame of the run each line is of."""
    if "frame" in column:
        if wrong := [text for text in column["frame"] if not text.isdecimal()]:
            raise ValueError(f"{wrong[0]!r} is not a frame number")
        place = np.array(column["frame"], np.intp)
        if outside := [k for k in place.tolist() if not 0 <= k < len(files)]:
            raise ValueError(f"it has frame {outside[0]}, the run has {len(files)}, from 0")
    elif "file" in column:
        known = {name: k for k, name in enumerate(files)}
        names = [readable(from_cell(text)) for text in column["file"]]
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"it names {unknown[0]}, which is not in the run")
        place = np.array([known[name] for name in names], np.intp)
    elif n == len(files):
        place = np.arange(n)
    else:
        raise ValueError(
            f"it has {counted(n, 'time')}, the run has {counted(len(files), 'frame')}; add a "
            "column frame"
        )
    if len(set(place.tolist())) < n:
        raise ValueError("a frame is in it twice")
    return place
