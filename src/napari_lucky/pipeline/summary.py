"""summary.json: what a job did, for scripts; in every folder of results, and with --json."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky._version import __version__
from napari_lucky.errors import DONE
from napari_lucky.fits.inputs import Inputs
from napari_lucky.fits.write import write_text
from napari_lucky.notices import Notice, level_of
from napari_lucky.text import readable

NAME = "summary.json"
SCHEMA = 1
"""Raised when a key changes its meaning or goes away; new keys may come without."""


def summary_of(
    command: str,
    done: str,
    *,
    status: int = DONE,
    inputs: Inputs | None = None,
    counts: Mapping[str, Any] | None = None,
    figures: Mapping[str, Any] | None = None,
    notices: Iterable[str] = (),
    **more: Any,
) -> dict[str, Any]:
    """Return the summary of a job, in plain values: what is not known is None.

    Parameters
    ----------
    command : str
        Of the command line: "process", "figures" …
    done : str
        What was done, in a sentence; or why it was not.
    status : int
        See `napari_lucky.errors.STATUSES`.
    inputs : mapping
        What was read, by what it is.
    counts, figures : mapping
        Numbers; figures are measured, with their units in their names.
    notices : iterable of str
        See `Notice`.
    **more
        Further keys.
    """
    return {
        "schema": SCHEMA,
        "program": "napari-lucky",
        "version": __version__,
        "command": command,
        "status": status,
        "done": readable(done),
        "input": {name: _paths(given) for name, given in (inputs or {}).items() if given},
        "counts": plain_values(counts or {}),
        "figures": plain_values(figures or {}),
        **plain_values(more),
        "notices": [_notice(text) for text in notices],
    }


def plain_values(value: Any) -> Any:
    """Return a value as JSON knows it; NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(name): plain_values(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain_values(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bool, int)) or value is None:
        return value
    return readable(str(value))


def _paths(given: Any) -> Any:
    if isinstance(given, (str, Path)):
        return readable(str(Path(given).absolute()))
    return [_paths(path) for path in given]


def _notice(text: str) -> dict[str, str | None]:
    file = text.file if isinstance(text, Notice) else ""
    return {
        "level": level_of(text),
        "text": readable(text),
        "file": _paths(file) if file else None,
    }


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write summary.json into a folder, with the names of the files that are there."""
    files = sorted([*(path.name for path in folder.iterdir()), NAME])
    made = {**plain_values(summary), "files": files}
    text = json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / NAME, text + "\n")


def read_summary(folder: Path, command: str = "") -> dict[str, Any] | None:
    """Return the summary that a job left in a folder; None if there is none of the command."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / NAME).read_bytes())
        ours = isinstance(found, dict) and found.get("program") == "napari-lucky"
        if ours and found.get("schema") == SCHEMA and command in ("", found.get("command")):
            return dict(found)
    return None
