"""Several runs with one recipe: a folder of results each, and names that distinguish them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from napari_lucky.errors import DONE, INPUT, NOTHING, LuckyError, UsageError
from napari_lucky.execution.checkpoint import Checkpoint, checkpoint_path
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.file_names import is_frames_name, natural, stem_of
from napari_lucky.fits.inputs import inputs_of_recipe
from napari_lucky.fits.write import ignore_note
from napari_lucky.notices import Notice, level_of
from napari_lucky.pipeline.process import Result, process
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.pipeline.results_folder import check_out, write_results
from napari_lucky.pipeline.step import Input, ReadShifts
from napari_lucky.pipeline.summary import read_summary
from napari_lucky.ranking.step import Select
from napari_lucky.text import readable

TABLE = "nights.csv"
MOST_NAMES = 1000


@dataclass(frozen=True)
class Night:
    """What came of one run.

    Parameters
    ----------
    run : str
        Its folder or file.
    out : pathlib.Path
        Its folder of results.
    status : int
        See `napari_lucky.errors.STATUSES`: done, doubtful, nothing to do, or why there is nothing.
    why : str
        Why there is no result; empty if there is one.
    summary : dict
        What summary.json holds; empty if there is no result.
    """

    run: str
    out: Path
    status: int
    why: str = ""
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its folder of results."""
        return readable(self.out.name)

    @property
    def date(self) -> str:
        """The date of the evening, of DATE-OBS less 12 hours; empty where it is not known."""
        return evening(self.summary.get("date"))


def evening(date: str | None) -> str:
    """Return the date on which the night of a time (UTC, as in DATE-OBS) began, at Greenwich."""
    try:
        return str((datetime.fromisoformat(str(date)) - timedelta(hours=12)).date())
    except (ValueError, OverflowError):
        return ""


def names_apart(paths: Sequence[Path]) -> list[str]:
    """Return a name for each path: its last part, with those before it where names collide.

    Letters of both cases count as one, as on many file systems.
    """
    full = [path.absolute() for path in paths]
    parts = [[p for p in path.parts if p != path.anchor] or ["run"] for path in full]
    for own, path in zip(parts, full, strict=True):
        if is_frames_name(path.name) and not path.is_dir():
            own[-1] = stem_of(path)
    deep, names = [1] * len(parts), list[str]()
    for _ in range(max(map(len, parts), default=0)):
        names = ["_".join(one[-n:]) for one, n in zip(parts, deep, strict=True)]
        folded = [name.casefold() for name in names]
        twice = [k for k, name in enumerate(folded) if folded.count(name) > 1]
        if not twice:
            return names
        for k in twice:
            deep[k] += 1
    taken: set[str] = set()
    return [_free(name, taken) for name in names]


def _free(name: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    tries = (name if k == 1 else f"{name}_{k}" for k in range(1, MOST_NAMES))
    free = next(one for one in tries if one.casefold() not in taken)
    taken.add(free.casefold())
    return free


def folders_of(runs: Sequence[str], out: Path) -> list[Path]:
    """Return the folder of results of each run: where its results are already, or a new one.

    Raises
    ------
    UsageError
        If a run is given twice.
    """
    paths = [Path(run) for run in runs]
    known: dict[Path, str] = {}
    full = [path.resolve() for path in paths]
    for k, path in enumerate(full):
        if path in full[:k]:
            raise UsageError(f"{runs[k]}: this run is given twice.")
    taken = {path.name.casefold() for path in full if path.parent == out.resolve()}
    for folder in sorted(out.iterdir()) if out.is_dir() else []:
        summary = read_summary(folder, "process")
        if summary is not None:
            taken.add(folder.name.casefold())
            frames = summary.get("input", {}).get("frames") or []
            if len(frames) == 1:
                known.setdefault(Path(str(frames[0])).resolve(), folder.name)
    names = [known.get(path) for path in full]
    return [
        out / (have or _free(name, taken))
        for have, name in zip(names, names_apart(paths), strict=True)
    ]


def nights_before(out: Path, nights: Sequence[Night]) -> list[Night]:
    """Return the nights whose results are in a folder from before, but for those given."""
    given = {night.out for night in nights}
    found = []
    for folder in sorted(out.iterdir()) if out.is_dir() else []:
        summary = read_summary(folder, "process")
        if summary is not None and folder not in given:
            frames = summary.get("input", {}).get("frames") or [""]
            found.append(Night(str(frames[0]), folder, NOTHING, "", summary))
    return found


def by_date(nights: Iterable[Night]) -> list[Night]:
    """Return nights in the order of their dates, and of their names where dates are the same.

    Those without a date, which failed, stay behind the one before them; if none has a date, all
    are in the order of their names.
    """
    nights = list(nights)
    if not any(night.date for night in nights):
        return sorted(nights, key=lambda night: natural(night.out))
    keys: list[tuple[Any, ...]] = []
    last: tuple[Any, ...] = ("",)
    for night in nights:
        last = (night.date, natural(night.out)) if night.date else last
        keys.append((last, not night.date))
    return [nights[k] for k in sorted(range(len(nights)), key=keys.__getitem__)]


def check_each(recipe: Recipe) -> None:
    """Raise if a recipe says what can hold for one run alone.

    Raises
    ------
    UsageError
        If it takes shifts from a table, or changes frames by hand.
    """
    by = recipe[Select]
    if recipe.get(ReadShifts) is not None:
        raise UsageError("--shifts belongs to one run; leave it out with --each.")
    if by.add or by.drop:
        raise UsageError("--add and --drop choose frames of one run; leave them out with --each.")


def process_each(
    runs: Sequence[str],
    recipe: Recipe,
    out: str | Path,
    *,
    report: bool = False,
    overwrite: bool = False,
    skip_existing: bool = False,
    measure: Callable[[Result], dict[str, Any]] | None = None,
    work: Callable[[Sequence[str]], AbstractContextManager[Executor | None]] | None = None,
    job: Job = QUIET,
    notify: Callable[[str], None] = ignore_note,
) -> Iterator[Night]:
    """Process several runs with one recipe; one that fails does not stop the others.

    Parameters
    ----------
    runs : sequence of str
        A folder or a cube each.
    recipe : Recipe
        Its frames have no say; windows that are given hold for all.
    out : str or pathlib.Path
        A folder; each run gets one in it, named after the run.
    report, overwrite
        See `write_results`.
    skip_existing : bool
        Whether a run whose results are there already is left alone.
    measure : callable, optional
        Returns what is measured on the stacks, for summary.json, and the line on the result
        under "done".
    work : callable, optional
        Returns the executor on which a run's files are worked on, as a context.
    job : Job
        Progress; see `Job`. Each run has its own checkpoint.
    notify : callable, optional
        Called with each notice.

    Yields
    ------
    Night
        One a run, as soon as it is done.

    Raises
    ------
    UsageError
        If a run is given twice, or the recipe holds for one run alone; before any work.
    """
    check_each(recipe)
    runs = [str(Path(run).absolute()) for run in runs]
    folders = folders_of(runs, Path(out))

    def nights() -> Iterator[Night]:
        for run, folder in zip(runs, folders, strict=True):
            summary = read_summary(folder, "process")
            if skip_existing and summary is not None:
                yield Night(run, folder, NOTHING, "", summary)
                continue

            def notify_night(text: str, name: str = readable(folder.name)) -> None:
                file = text.file if isinstance(text, Notice) else ""
                notify(Notice(f"{name}: {text}", level_of(text), file))

            try:
                _process_one(
                    recipe.changed(Input, frames=(run,)),
                    folder,
                    report,
                    overwrite,
                    measure,
                    work or (lambda _: nullcontext()),
                    job,
                    notify_night,
                )
            except LuckyError as error:
                notify_night(Notice(str(error), "error", run))
                yield Night(run, folder, error.status, str(error))
            except Exception as error:  # the nights that follow are worth more than this one
                why = f"an error of the program: {type(error).__name__}: {error}"
                notify_night(Notice(why, "error", run))
                yield Night(run, folder, INPUT, why)
            else:
                made = read_summary(folder, "process") or {}
                yield Night(run, folder, int(made.get("status", DONE)), "", made)

    return nights()


def _process_one(
    recipe: Recipe,
    folder: Path,
    report: bool,
    overwrite: bool,
    measure: Callable[[Result], dict[str, Any]] | None,
    work: Callable[[Sequence[str]], AbstractContextManager[Executor | None]],
    job: Job,
    notify: Callable[[str], None],
) -> None:
    inputs, kept = inputs_of_recipe(recipe), checkpoint_path(folder)
    check_out(folder, overwrite, inputs=inputs, beside=[kept])
    checkpoint = Checkpoint(kept)
    with checkpoint, work(recipe.input.frames) as executor:
        result = process(recipe, job=replace(job, executor=executor, checkpoint=checkpoint))
        for note in result.notes:
            notify(note)
        figures = {} if measure is None else measure(result)
        write_results(
            result,
            folder,
            report=report,
            overwrite=overwrite,
            notify=notify,
            inputs=inputs,
            done=str(figures.pop("done", "")),
            figures=figures,
        )
