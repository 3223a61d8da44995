"""The folder of results that the command line leaves."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky.errors import (
    DONE,
    DOUBTFUL,
    LuckyError,
    OccupiedError,
    UsageError,
    as_path,
    check_kind,
)
from napari_lucky.files.temporaries import clear_leftovers, locked, temporary_folder
from napari_lucky.fits.frame_table import table_to_csv
from napari_lucky.fits.inputs import NO_INPUTS, Inputs, check_not_inputs, inputs_of_recipe
from napari_lucky.fits.integers import parse_integer_format
from napari_lucky.fits.times import header_time
from napari_lucky.fits.write import ignore_note, write_fits, write_text
from napari_lucky.frames.times import short_time
from napari_lucky.pipeline import summary
from napari_lucky.pipeline.process import Result
from napari_lucky.pipeline.recipe import recipe_to_toml
from napari_lucky.pipeline.step import Output

NAMES = (
    "focus.fits",
    "defocus.fits",
    "long_exposure.fits",
    "frames.csv",
    "recipe.toml",
    "report.png",
    summary.NAME,
)
"""The summary comes last: where it is, the others are."""


UNSAFE = r"[^\w .+-]"
"""What a folder's name had better not have on some system."""


def check_out(
    out: Path,
    overwrite: bool = False,
    names: Sequence[str] = NAMES,
    inputs: Inputs = NO_INPUTS,
    beside: Sequence[Path] = (),
) -> None:
    """Raise, before any work is done, if results could not be put into a folder.

    Parameters
    ----------
    out : str or pathlib.Path
        The folder.
    overwrite : bool
        Whether older results may be replaced.
    names : sequence of str
        Of all files that may be written or removed.
    inputs : mapping
        What the job reads; see `check_not_inputs`.
    beside : sequence of pathlib.Path
        Further files that may be written or removed.

    Raises
    ------
    LuckyError
        If one of these files is an input, the folder holds results and `overwrite` is false, or
        it cannot be written.
    """
    try:
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out}: this is a file; OUT must be a folder.")
        _check_names(out, overwrite, names, inputs, beside)
        with made_folder(out), tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}).") from error


def _check_names(
    out: Path,
    overwrite: bool,
    names: Sequence[str],
    inputs: Inputs,
    beside: Sequence[Path] = (),
) -> None:
    check_not_inputs([*(out / name for name in names), *beside], inputs)
    present = [name for name in names if (out / name).exists()]
    if present and not overwrite:
        raise OccupiedError(
            f"{out} already holds results ({', '.join(present)}); they are kept. "
            "Choose another folder, or give --overwrite to replace them."
        )
    for name in present:
        if (out / name).is_dir():
            raise UsageError(
                f"{out / name}: this is a folder, but a result needs a file of that name. Move it "
                "away, or choose another folder for the results."
            )


def place_for_results(folder: str | Path, name: str = "") -> Path:
    """Return where results go if this folder is chosen: it, if it is empty, or else one in it.

    The frames of a run, or what else is in a folder, are never mixed with results.

    Parameters
    ----------
    folder : path
    name : str
        Of the run; the folder made is called "NAME lucky", with a number if that is there.
    """
    folder = Path(folder)
    with suppress(OSError):
        if not folder.exists() or all(one.name.startswith(".") for one in folder.iterdir()):
            return folder
    stem = f"{re.sub(UNSAFE, '_', name).strip(' .') or 'run'} lucky"
    place, number = folder / stem, 2
    while place.exists():
        place, number = folder / f"{stem} {number}", number + 1
    return place


@contextmanager
def made_folder(path: Path) -> Iterator[None]:
    """Make a folder and its parents; those of them that stay empty are removed at the end."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()


def write_results(
    result: Result,
    out: str | Path,
    *,
    report: bool = False,
    overwrite: bool = False,
    notify: Callable[[str], None] = ignore_note,
    inputs: Inputs = NO_INPUTS,
    kept: Inputs = NO_INPUTS,
    figures: Mapping[str, Any] | None = None,
    done: str = "",
) -> list[Path]:
    """Write a result into a folder, whole or not at all.

    Parameters
    ----------
    result : Result
        What `napari_lucky.process` returned.
    out : str or pathlib.Path
        The folder; made if need be.
    report : bool
        Whether report.png is drawn.
    overwrite : bool
        Whether older results in the folder are replaced, all of them.
    notify : callable, optional
        Called with a sentence for the user; see `write_fits`.
    inputs : mapping
        What was read beside the files that the recipe names; nothing that was read is replaced.
    kept : mapping
        Other files that must not be replaced.
    figures : mapping, optional
        What was measured on the stacks, for summary.json.
    done : str
        The line on the result that stands there; how many frames are kept if it is empty.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Raises
    ------
    LuckyError
        If something cannot be written, the folder holds results and `overwrite` is false, or
        one of them is an input; then nothing in it has changed.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> result = lucky.process(lucky.Recipe("run", lucky.Select(keep=4), focus=(60, 200, 64)))
    >>> sorted(path.name for path in lucky.write_results(result, "out"))
    ['focus.fits', 'frames.csv', 'long_exposure.fits', 'recipe.toml', 'summary.json']
    """
    check_kind(result, Result, "result", "what process returns")
    out = as_path(out, "folder of results")
    inputs = {**inputs_of_recipe(result.recipe), **inputs}

    def write(folder: Path) -> None:
        notices = list(result.notes)

        def report_and_keep(text: str) -> None:
            notices.append(text)
            notify(text)

        _write_into(folder, result, report, report_and_keep)
        summary.write_summary(folder, summary_of_result(result, notices, inputs, figures, done))

    return write_folder(out, write, NAMES, overwrite, {**inputs, **kept})


def write_folder(
    out: Path,
    write: Callable[[Path], None],
    names: Sequence[str],
    overwrite: bool,
    inputs: Inputs = NO_INPUTS,
) -> list[Path]:
    """Let `write` put files of some names into a folder; all of them or none.

    Older files of these names, which `write` does not make, are removed. Raises as
    `write_results` does.
    """
    check_out(out, overwrite, names, inputs)
    try:
        with made_folder(out):
            clear_leftovers(out)
            with temporary_folder(out) as work:
                try:
                    write(work)
                except LuckyError as error:  # the passing folder's name means nothing to anybody
                    raise type(error)(str(error).replace(str(work), str(out))) from error
                made = [name for name in names if (work / name).exists()]
                with locked(out):  # two jobs with one OUT do not mix their results
                    _check_names(out, overwrite, names, inputs)
                    for name in made:
                        os.replace(work / name, out / name)
                    for name in set(names) - set(made):
                        (out / name).unlink(missing_ok=True)  # of an older job, not of this one
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}).") from error
    return [out / name for name in made]


def summary_of_result(
    result: Result,
    notices: Sequence[str],
    inputs: Inputs = NO_INPUTS,
    figures: Mapping[str, Any] | None = None,
    done: str = "",
) -> dict[str, Any]:
    """Return the summary of a result; see `write_results`."""
    table, given = result.table, result.recipe.input
    header = next((image.header for image in result.images.values()), None)
    return summary.summary_of(
        "process",
        done or f"Stacked {result.used}",
        status=DOUBTFUL if result.doubt else DONE,
        inputs=inputs,
        counts={
            "frames": len(table.frame),
            "kept": int(table.selected.sum()),
            "without_star": result.without_star,
            "damaged": result.damaged,
        },
        figures=figures,
        notices=notices,
        date=None if header is None else _date_of(header),
        windows={"focus": given.focus, "defocus": given.defocus},
    )


def _date_of(header: Any) -> str | None:
    """Return DATE-OBS in one spelling, whether a camera wrote it or this program."""
    time, text = header_time(header), header.get("DATE-OBS")
    return text if np.isnat(time) else short_time(time)


def _write_into(folder: Path, result: Result, report: bool, notify: Callable[[str], None]) -> None:
    output = result.recipe[Output]
    integers = None if output.integers is None else parse_integer_format(output.integers)
    for name, image in result.images.items():
        if output.plain:
            image = replace(image, variance=None, coverage=None)
        write_fits(folder / f"{name}.fits", [image], integers, notify)
    write_text(folder / "frames.csv", table_to_csv(result.table))
    write_text(folder / "recipe.toml", recipe_to_toml(result.recipe))
    if report:
        from napari_lucky.pipeline.report_page import write_report

        write_report(folder / "report.png", result)
