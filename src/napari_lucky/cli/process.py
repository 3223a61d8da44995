"""The command line `napari-lucky process`."""

from __future__ import annotations

import argparse
from typing import Any

from napari_lucky.cli.options import add_frames, add_run, add_scheduler, executor_on, folder
from napari_lucky.cli.recipe_options import add_step_options, recipe_of
from napari_lucky.cli.terminal import Meter, say, say_summary, warn
from napari_lucky.errors import DONE, DOUBTFUL
from napari_lucky.execution.job import Job

ABOUT = """Calibrate, register, rank and stack a run, and the defocused star with it.

Steps are done in the order below, and each has an option with its parameters: by name \
(--outliers sigma=5,action=replace) or in order (--outliers 5,replace). Alone (--outliers) it \
turns an optional step on. What is not given stays as in the recipe, or at its default, which \
stands after the =."""


def add_process(process: Any) -> None:
    """Add the options of `napari-lucky process`; those of the steps are their own."""
    process.usage = (
        "napari-lucky process FRAMES… [options] -o OUT\n"
        "       napari-lucky process --recipe FILE [FRAMES…] [options] -o OUT"
    )
    process.description = ABOUT
    add = process.add_argument
    add_run(process, finds=True)
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
    add_step_options(process)


def run_process(given: argparse.Namespace) -> int:
    """Do `napari-lucky process`."""
    from napari_lucky.execution.checkpoint import Checkpoint, beside
    from napari_lucky.fits.inputs import inputs_of_recipe
    from napari_lucky.pipeline.process import process
    from napari_lucky.pipeline.results_folder import check_out, write_results
    from napari_lucky.pipeline.summary import read_summary
    from napari_lucky.psf.summary import summary

    recipe = recipe_of(given)
    inputs = {**inputs_of_recipe(recipe), "recipe": given.recipe}
    kept = beside(given.out)
    check_out(given.out, given.overwrite, inputs=inputs, beside=[kept])
    meter = Meter()
    notes: list[str] = []
    checkpoint = Checkpoint(kept)
    try:
        with checkpoint, executor_on(given.scheduler, recipe.input.frames) as executor:
            try:
                result = process(
                    recipe, job=Job(progress=meter, executor=executor, checkpoint=checkpoint)
                )
            finally:
                meter.clear()
            notes += result.notes
            done = summary(result)
            files = write_results(
                result,
                given.out,
                report=given.report,
                overwrite=given.overwrite,
                notify=notes.append,
                inputs=inputs,
                done=done,
            )
    except KeyboardInterrupt as interrupt:
        if checkpoint.kept:
            interrupt.args = (
                f"no result was written. What was measured is kept in {checkpoint.path}: the same "
                "command goes on from there.",
            )
        raise
    for note in notes:
        warn(note)
    say(f"{done} Wrote {', '.join(file.name for file in files)} to {given.out}")
    say_summary(read_summary(given.out))
    return DOUBTFUL if result.doubt else DONE
