"""The command line `napari-lucky process`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from napari_lucky.cli.options import (
    add_frames,
    add_run_options,
    add_scheduler,
    executor_on,
    folder,
    import_astropy,
    telescope_input,
)
from napari_lucky.cli.recipe_options import add_step_options, recipe_of_run
from napari_lucky.cli.terminal import Meter, names_of, say, say_summary, warn
from napari_lucky.errors import DONE, DOUBTFUL, NOTHING
from napari_lucky.execution.job import Job
from napari_lucky.optics.request import TelescopeRequest, known_telescope
from napari_lucky.steps.registry import load_steps, requests

if TYPE_CHECKING:
    from napari_lucky.pipeline.recipe import Recipe

ABOUT = """Calibrate, register, rank and stack a run, and the defocused star with it.

Steps are done in the order below, and each has an option with its parameters: by name \
(--outliers sigma=5,action=replace) or in order (--outliers 5,replace). Alone (--outliers) it \
turns an optional step on. Parameters that are not given keep the value of the recipe, or the \
default shown after the =. --no-NAME and --NAME off undo what a recipe says: \
--no-dark, --defocus off."""


def add_process(process: Any) -> None:
    """Add the options of `napari-lucky process`; those of the steps are their own."""
    process.usage = (
        "napari-lucky process FRAMES… [options] -o OUT\n"
        "       napari-lucky process RUN… --each [options] -o OUT\n"
        "       napari-lucky process --recipe FILE [FRAMES…] [options] -o OUT"
    )
    process.description = ABOUT
    add = process.add_argument
    add_run_options(process, finds=True)
    add(
        "--each",
        action="store_true",
        help="each of FRAMES is a separate run: OUT has a folder of results for each, and a "
        "table of all, nights.csv",
    )
    add(
        "--recipe",
        metavar="FILE",
        help="a recipe to replay: a recipe.toml, the folder of an earlier OUT, or a result in it; "
        "options given beside it win",
    )
    add_frames(process)
    add("--report", action="store_true", help="draw report.png too")
    add("--overwrite", action="store_true", help="replace results that OUT already holds")
    add_scheduler(process)
    add("-o", "--out", required=True, type=folder, metavar="OUT", help="folder for the results")
    others = ("input", *(table for table in requests() if table != "telescope"))
    tables = [table for table in load_steps() if table not in others]
    add_step_options(process, tables)


def run_process(given: argparse.Namespace) -> int:
    """Do `napari-lucky process`."""
    from napari_lucky.execution.checkpoint import Checkpoint, checkpoint_path
    from napari_lucky.fits.inputs import inputs_of_recipe
    from napari_lucky.pipeline.process import process
    from napari_lucky.pipeline.results_folder import check_out, write_results
    from napari_lucky.pipeline.summary import read_summary

    recipe = recipe_of_run(given)
    telescope = known_telescope(recipe.get(TelescopeRequest))
    if given.each:
        return _run_each(given, recipe, telescope)
    inputs = {**inputs_of_recipe(recipe), "recipe": given.recipe, **telescope_input(recipe)}
    kept = checkpoint_path(given.out)
    check_out(given.out, given.overwrite, inputs=inputs, beside=[kept])
    notes: list[str] = []
    checkpoint = Checkpoint(kept)
    try:
        with checkpoint, _work(given, recipe.input.frames) as executor:
            with Meter() as meter:
                result = process(
                    recipe, job=Job(progress=meter, executor=executor, checkpoint=checkpoint)
                )
            notes += result.notes
            from napari_lucky.psf.nights import result_figures  # imported by now, as a rule

            figures = result_figures(result, telescope)
            done = figures.pop("done")
            files = write_results(
                result,
                given.out,
                report=given.report,
                overwrite=given.overwrite,
                notify=notes.append,
                inputs=inputs,
                figures=figures,
                done=done,
            )
    except KeyboardInterrupt as interrupt:
        if checkpoint.kept:
            interrupt.args = (
                f"no result was written. The measurements are kept in {checkpoint.path}: the same "
                "command continues from there.",
            )
        raise
    for note in notes:
        warn(note)
    say(f"{done} Wrote {names_of(files)} to {given.out}")
    say_summary(read_summary(given.out))
    return DOUBTFUL if result.doubt else DONE


def _work(
    given: argparse.Namespace, frames: Sequence[str]
) -> AbstractContextManager[Executor | None]:
    return executor_on(given.scheduler, frames, meanwhile=_import_figures)


def _import_figures() -> None:
    """Import what measures the stacks, which takes long."""
    import_astropy()
    import napari_lucky.psf.nights  # noqa: F401


def _run_each(given: argparse.Namespace, recipe: Recipe, telescope: dict[str, float]) -> int:
    from napari_lucky.pipeline.nights import TABLE, Night, nights_before, process_each
    from napari_lucky.pipeline.results_folder import check_out
    from napari_lucky.pipeline.summary import NAME, read_summary
    from napari_lucky.psf.nights import (
        night_rows,
        nights_to_text,
        result_figures,
        status_of_nights,
        write_nights,
    )

    runs = recipe.input.frames
    inputs = {"runs": runs, "recipe": given.recipe, **telescope_input(recipe)}
    again = given.overwrite or given.skip_existing
    check_out(given.out, again, (TABLE, NAME), inputs)
    meter = Meter()
    nights: list[Night] = []
    notices: list[str] = []

    def report(text: str) -> None:
        meter.clear()
        notices.append(text)
        warn(text)

    try:
        for night in process_each(
            runs,
            recipe,
            given.out,
            report=given.report,
            overwrite=given.overwrite,
            skip_existing=given.skip_existing,
            measure=lambda result: result_figures(result, telescope),
            work=lambda frames: _work(given, frames),
            job=Job(progress=meter),
            notify=report,
        ):
            meter.clear()
            nights.append(night)
            if not night.why:  # which was said
                done = "done before" if night.status == NOTHING else night.summary.get("done", "")
                say(f"{night.name}: {done}")
    except KeyboardInterrupt as interrupt:
        meter.clear()
        interrupt.args = (
            f"{len(nights)} of {len(runs)} runs were done; the same command with --skip-existing "
            "continues from there.",
        )
        raise
    rows = night_rows([*nights_before(given.out, nights), *nights], telescope, report)
    files = write_nights(rows, given.out, notices)
    for line in nights_to_text(rows):
        say(line)
    say(f"Wrote {names_of(files)} to {given.out}")
    say_summary(read_summary(given.out))
    return status_of_nights(nights)
