"""The command line `napari-lucky process`."""

from __future__ import annotations

import argparse
from typing import Any

from napari_lucky.cli.options import add_frames, add_run, add_scheduler, executor_on, folder, psf
from napari_lucky.cli.recipe_options import add_cleaning_options, from_text, recipe_of, smoothing
from napari_lucky.cli.terminal import Meter, say, warn
from napari_lucky.errors import LuckyError
from napari_lucky.fits.integers import parse_integers
from napari_lucky.ranking.metrics import METRICS
from napari_lucky.ranking.rank import DEFAULT_METRIC
from napari_lucky.ranking.selection import (
    LEAST_KEPT,
    check_above,
    check_keep,
    parse_numbers,
    tell_count,
)
from napari_lucky.registration.register import METHODS
from napari_lucky.stacking.methods import parse_stack


def add_process(commands: Any) -> None:
    """Add the parser of `napari-lucky process`."""
    process = commands.add_parser("process", help="calibrate, register, rank and stack a run")
    add = process.add_argument
    add_run(process, "; found if not given")
    add("--recipe", metavar="FILE", help="a recipe.toml to replay; options given beside it win")
    add("--register", choices=METHODS, help="how the star is tracked (brightest)")
    add(
        "--reference",
        dest="reference_frame",
        metavar="best|first|mean|N",
        help="what correlation compares with (best)",
    )
    for use, what in (("smooth", "tracking"), ("rank-smooth", "ranking")):
        add(
            f"--{use}",
            type=from_text(smoothing),
            metavar="PX|auto",
            help=f"smoothing before {what}, in pixels (auto: a third of lambda/D, measured in the "
            "frames)",
        )
    add("--rank", choices=METRICS, help=f"what makes a frame a good one ({DEFAULT_METRIC})")
    add(
        "--psf",
        type=from_text(psf),
        metavar="SAMPLING[,OBSTRUCTION]",
        help="diffraction-limited PSF, for metrics that need it: lambda F#/pixel in pixels, and "
        "the obstruction's diameter over the pupil's (0)",
    )
    add(
        "--keep",
        type=from_text(_keep),
        metavar="0.01|25",
        help=f"a fraction of the frames, but {LEAST_KEPT} at least, or a count (0.1)",
    )
    add(
        "--keep-above",
        type=from_text(_quality),
        metavar="Q",
        help="keep the frames of quality Q and better instead",
    )
    numbers = from_text(parse_numbers)
    add("--add", type=numbers, metavar="N,N", help="keep these frames too, wherever the cut is")
    add("--drop", type=numbers, metavar="N,N", help="leave these out, wherever the cut is")
    add_frames(process)
    add(
        "--stack",
        type=from_text(_stack),
        metavar="METHOD",
        help="mean (default), median, clipped[,SIGMA], weighted[,POWER], fourier[,FRACTION] or "
        "drizzle[,SCALE[,DROP]]",
    )
    add("--shifts", metavar="CSV", help="shifts and kept frames from an earlier frames.csv")
    add(
        "--integers",
        type=from_text(_integers),
        metavar="scaled|FULL[,BITS]",
        help="write the images as 16-bit integers, scaled by BSCALE and BZERO, or as levels of "
        "BITS (12) with FULL ADU as the greatest; float32 if not given",
    )
    add("--report", action="store_true", help="draw report.png too")
    add("--overwrite", action="store_true", help="replace results that OUT already holds")
    add_scheduler(process)
    add("-o", "--out", required=True, type=folder, metavar="OUT", help="folder for the results")
    add_cleaning_options(process)


def _keep(text: str) -> float | int:
    try:
        keep = float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        raise LuckyError(f"{text!r} is neither a fraction (0.01) nor a count (25)") from None
    check_keep(keep)
    return keep


def _quality(text: str) -> float:
    try:
        above = float(text)
    except ValueError:
        raise LuckyError(f"{text!r} is not a quality: a number, as in frames.csv") from None
    check_above(above)
    return above


def _integers(text: str) -> str:
    parse_integers(text)
    return text


def _stack(text: str) -> str:
    parse_stack(text)
    return text


def run_process(given: argparse.Namespace) -> int:
    """Do `napari-lucky process`."""
    from napari_lucky.execution.checkpoint import Journal, beside
    from napari_lucky.fits.inputs import inputs_of_recipe
    from napari_lucky.pipeline.process import process
    from napari_lucky.pipeline.results_folder import check_out, write_results

    recipe = recipe_of(given)
    inputs = {**inputs_of_recipe(recipe), "recipe": given.recipe}
    kept = beside(given.out)
    check_out(given.out, given.overwrite, inputs=inputs, beside=[kept])
    meter = Meter()
    notes: list[str] = []
    journal = Journal(kept)
    try:
        with journal, executor_on(given.scheduler, recipe.frames) as executor:
            try:
                result = process(recipe, progress=meter, executor=executor, journal=journal)
            finally:
                meter.clear()
            notes += result.notes
            files = write_results(
                result,
                given.out,
                report=given.report,
                overwrite=given.overwrite,
                tell=notes.append,
                inputs=inputs,
            )
    except KeyboardInterrupt as interrupt:
        if journal.kept:
            interrupt.args = (
                f"no result was written. What was measured is kept in {journal.path}: the same "
                "command goes on from there.",
            )
        raise
    for note in notes:
        warn(note)
    table = result.table
    say(
        f"Stacked {tell_count(int(table.selected.sum()), len(table.frame))}; wrote "
        f"{', '.join(file.name for file in files)} to {given.out}"
    )
    return 0
