"""Tables of frames by the name of their file: ECSV with units and history, else plain CSV."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import open_text
from napari_lucky.fits.frame_table import (
    COLUMNS,
    ERRORS,
    UNITS,
    FrameTable,
    is_table_csv,
    table_from_csv,
    table_of,
    table_to_csv,
)

ECSV, TABLES = ".ecsv", (".csv", ".ecsv")


def is_ecsv(path: Path) -> bool:
    """Return whether a file is ECSV by its name."""
    return path.suffix.lower() == ECSV


def is_table(path: Path) -> bool:
    """Return whether a file is a table of frames that this program wrote."""
    if not is_ecsv(path):
        return path.suffix.lower() in TABLES and is_table_csv(path)
    try:
        return set(COLUMNS) <= set(read_ecsv(path).colnames)
    except (OSError, ValueError):
        return False


def table_text(table: FrameTable, path: Path) -> str:
    """Return what a file of this name holds of a table, with its history."""
    if not is_ecsv(path):
        return table_to_csv(table, with_history=True)
    text = StringIO()
    table.to_qtable().write(text, format="ascii.ecsv", delimiter=",")
    return text.getvalue()


def read_table(path: str | Path) -> FrameTable:
    """Read a table of frames, of CSV or ECSV.

    Raises
    ------
    LuckyError
        If it is not such a file, or a frame is in it twice.
    """
    path = Path(path)
    if not is_ecsv(path):
        return table_from_csv(path)
    try:
        return _from_columns(read_ecsv(path))
    except OSError as error:
        raise LuckyError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise LuckyError(
            f"{path}: this is not a table of frames ({error}); expected ECSV with the columns "
            f"{', '.join(COLUMNS)}."
        ) from error


def read_ecsv(path: Path) -> Any:
    """Return an ECSV file as `astropy.table.Table`.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, or is something else.
    """
    from astropy.table import Table

    with open_text(path) as file:
        lines = file.read().split("\n")
    if not lines[0].startswith("# %ECSV"):
        raise ValueError("it does not begin with %ECSV")
    return Table.read(lines, format="ascii.ecsv")


def column_numbers(column: Any, unit: str = "") -> NDArray[np.float64]:
    """Return a column's numbers in a unit, NaN where it has none.

    Raises
    ------
    ValueError
        If it has no numbers, or its unit is of something else.
    """
    from astropy import units

    if column.dtype.kind not in "iuf":
        raise ValueError(f"the column {column.name} does not hold numbers")
    values: NDArray[np.float64] = np.ma.filled(column.astype(np.float64), np.nan)
    return np.asarray(values) * (units.Unit(column.unit).to(unit) if column.unit else 1)


def texts_of(column: Any) -> list[str]:
    """Return a column's cells as text, empty where it has none."""
    return ["" if one is np.ma.masked else str(one) for one in column]


def _from_columns(table: Any) -> FrameTable:
    there = set(table.colnames)
    if missing := sorted(set(COLUMNS) - there):
        raise KeyError(*missing)
    frame, selected = table["frame"], table["selected"]
    if frame.dtype.kind not in "iu" or selected.dtype.kind != "b":
        raise ValueError("frame must be whole numbers, and selected True or False")
    if np.ma.is_masked(frame) or np.ma.is_masked(selected):
        raise ValueError("frame or selected is empty in a row")
    columns: dict[str, Any] = {"frame": frame, "selected": selected}
    columns |= {name: texts_of(table[name]) for name in ("file", "time") if name in there}
    for name in ("dy", "dx", "quality", *ERRORS, "exposure"):
        if name in there:
            columns[name] = column_numbers(table[name], UNITS.get(name, ""))
    y, x = table.meta.get("reference", (0, 0))
    return table_of(columns, (float(y), float(x)), map(str, table.meta.get("history", ())))
