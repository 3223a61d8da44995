"""The folder of results that the command line leaves."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from .errors import LuckyError
from .fits_output import write_fits, write_text
from .pipeline import Result
from .recipe import recipe_to_toml
from .table import table_to_csv

NAMES = (
    "focus.fits",
    "defocus.fits",
    "long_exposure.fits",
    "frames.csv",
    "recipe.toml",
    "report.png",
)


def check_out(out: Path, overwrite: bool = False) -> None:
    """Raise, before any work is done, if results could not be put into a folder.

    Raises
    ------
    LuckyError
        If it holds results and `overwrite` is false, or cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise LuckyError(f"{out}: this is a file; OUT must be a folder.")
    present = [name for name in NAMES if (out / name).exists()]
    if present and not overwrite:
        raise LuckyError(
            f"{out} already holds results ({', '.join(present)}); they are kept. "
            "Choose another folder, or give --overwrite to replace them."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise LuckyError(f"{out}: cannot be written ({error.strerror}).") from error


def write_results(result: Result, out: Path, *, report: bool = False) -> list[Path]:
    """Write a result into a folder; older results there are replaced, all or none.

    Parameters
    ----------
    result : Result
        What `napari_lucky.process` returned.
    out : pathlib.Path
        The folder; made if need be.
    report : bool
        Whether report.png is drawn.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Raises
    ------
    LuckyError
        If something cannot be written; then nothing in the folder has changed.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".napari-lucky-", dir=out))
    except OSError as error:
        raise LuckyError(f"{out}: cannot be written ({error.strerror}).") from error
    try:
        for name, image in result.images.items():
            write_fits(work / f"{name}.fits", [image])
        write_text(work / "frames.csv", table_to_csv(result.table))
        write_text(work / "recipe.toml", recipe_to_toml(result.recipe))
        if report:
            from .report import write_report

            write_report(work / "report.png", result)
        made = [name for name in NAMES if (work / name).exists()]
        for name in made:
            os.replace(work / name, out / name)
        for name in set(NAMES) - set(made):
            (out / name).unlink(missing_ok=True)  # of an older job, and not of this one
    except OSError as error:
        raise LuckyError(f"{out}: cannot be written ({error.strerror}).") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return [out / name for name in made]
