"""The folder of results that the command line leaves."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import LuckyError
from .fits_output import tell_nobody, write_fits, write_text
from .integers import parse_integers
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


def check_out(out: Path, overwrite: bool = False, names: Sequence[str] = NAMES) -> None:
    """Raise, before any work is done, if results could not be put into a folder.

    Raises
    ------
    LuckyError
        If it holds results and `overwrite` is false, or cannot be written.
    """
    try:
        if out.exists() and not out.is_dir():
            raise LuckyError(f"{out}: this is a file; OUT must be a folder.")
        present = [name for name in names if (out / name).exists()]
        if present and not overwrite:
            raise LuckyError(
                f"{out} already holds results ({', '.join(present)}); they are kept. "
                "Choose another folder, or give --overwrite to replace them."
            )
        with made_folder(out), tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise LuckyError(f"{out}: cannot be written ({error.strerror}).") from error


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
    out: Path,
    *,
    report: bool = False,
    overwrite: bool = False,
    tell: Callable[[str], None] = tell_nobody,
) -> list[Path]:
    """Write a result into a folder; all of it or nothing.

    Parameters
    ----------
    result : Result
        What `napari_lucky.process` returned.
    out : pathlib.Path
        The folder; made if need be.
    report : bool
        Whether report.png is drawn.
    overwrite : bool
        Whether older results in the folder are replaced, all of them.
    tell : callable, optional
        Called with a sentence for the user; see `write_fits`.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Raises
    ------
    LuckyError
        If something cannot be written, or the folder holds results and `overwrite` is false;
        then nothing in it has changed.
    """

    def write(folder: Path) -> None:
        _write_into(folder, result, report, tell)

    return write_folder(out, write, NAMES, overwrite)


def write_folder(
    out: Path, write: Callable[[Path], None], names: Sequence[str], overwrite: bool
) -> list[Path]:
    """Let `write` put files of some names into a folder; all of them or none.

    Older files of these names, which `write` does not make, are removed. Raises as
    `write_results` does.
    """
    check_out(out, overwrite, names)
    try:
        with made_folder(out):
            work = Path(tempfile.mkdtemp(prefix=".napari-lucky-", dir=out))
            try:
                write(work)
                made = [name for name in names if (work / name).exists()]
                for name in made:
                    os.replace(work / name, out / name)
                for name in set(names) - set(made):
                    (out / name).unlink(missing_ok=True)  # of an older job, and not of this one
            except LuckyError as error:  # the passing folder's name would tell nobody anything
                raise LuckyError(str(error).replace(str(work), str(out))) from error
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise LuckyError(f"{out}: cannot be written ({error.strerror}).") from error
    except UnicodeEncodeError as error:
        name = error.object[: error.end].splitlines()[-1][-80:]
        raise LuckyError(
            f"A name is not text that can be written: {name!a}; rename the file or folder."
        ) from error
    return [out / name for name in made]


def _write_into(folder: Path, result: Result, report: bool, tell: Callable[[str], None]) -> None:
    written_as = result.recipe.integers
    integers = None if written_as is None else parse_integers(written_as)
    for name, image in result.images.items():
        write_fits(folder / f"{name}.fits", [image], integers, tell)
    write_text(folder / "frames.csv", table_to_csv(result.table))
    write_text(folder / "recipe.toml", recipe_to_toml(result.recipe))
    if report:
        from .report import write_report

        write_report(folder / "report.png", result)
