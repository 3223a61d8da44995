"""The command line `napari-lucky wavefront`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_lucky.cli.options import (
    add_frames,
    add_run_options,
    add_scheduler,
    executor_on,
    folder,
    telescope_input,
)
from napari_lucky.cli.recipe_options import (
    add_step_options,
    options_of_steps,
    recipe_of,
    recipe_of_run,
    table_named,
)
from napari_lucky.cli.terminal import Meter, names_of, say, say_summary, warn
from napari_lucky.errors import UsageError
from napari_lucky.execution.job import Job
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.steps.registry import load_steps

if TYPE_CHECKING:
    from napari_lucky.wavefront.job import MeasuredWavefront

SMOOTHING = ("noise-cut", "low-pass")
"""Steps that a wavefront's model knows nothing of."""
UNUSED = ("shifts", "register", "select", "stack", "accept", "output", "psf")
"""Steps that no wavefront is made with."""
OF_STACKS = ("telescope", "spider", "wavefront")
"""Steps that a wavefront of a pair of stacks is made with."""
OF_A_RUN = {"recipe": "--recipe", "range": "--frames", "scheduler": "--scheduler"}
"""What says nothing of a pair of stacks, beside the options of other steps."""
OF_FRAMES = ("--choose", "--count", "--gain", "--read-noise")
"""Options of a wavefront that say nothing of a pair of stacks."""


def add_wavefront(wavefront: Any) -> None:
    """Add the options of `napari-lucky wavefront`."""
    wavefront.usage = (
        "napari-lucky wavefront FRAMES… [options] -o OUT\n"
        "       napari-lucky wavefront --recipe FILE [FRAMES…] [options] -o OUT\n"
        "       napari-lucky wavefront --stacks FOCUS DEFOCUS [options] -o OUT"
    )
    add = wavefront.add_argument
    add_run_options(wavefront)
    add(
        "--recipe",
        metavar="FILE",
        help="a recipe, as for process: its frames, windows, dark, flat and cleaning are used, and "
        "its [telescope], [spider] and [wavefront]",
    )
    add_frames(wavefront)
    add(
        "--stacks",
        nargs=2,
        metavar=("FOCUS", "DEFOCUS"),
        help="fit one pair of stacks; less accurate, only if the frames are gone",
    )
    add("--report", action="store_true", help="draw report.png too")
    add("--overwrite", action="store_true", help="replace a wavefront that OUT already holds")
    add_scheduler(wavefront)
    add("-o", "--out", required=True, type=folder, metavar="OUT", help="folder for the results")
    tables = [one for one in load_steps() if one not in ("input", *SMOOTHING, *UNUSED)]
    add_step_options(wavefront, tables, done=("telescope", "wavefront"))


def run_wavefront(given: argparse.Namespace) -> int:
    """Do `napari-lucky wavefront`."""
    from napari_lucky.fits.inputs import inputs_of_recipe
    from napari_lucky.pipeline.results_folder import check_out
    from napari_lucky.pipeline.summary import read_summary
    from napari_lucky.wavefront.output import NAMES, describe_wavefront, write_wavefront
    from napari_lucky.wavefront.summary import sign_note

    recipe = _of_stacks(given) if given.stacks else _of_run(given)
    read = {"stacks": given.stacks} if given.stacks else inputs_of_recipe(recipe)
    inputs = {**read, "recipe": given.recipe, **telescope_input(recipe)}
    check_out(given.out, given.overwrite, NAMES, inputs)
    with Meter() as meter:
        measured = _measure(given, recipe, meter)
    files = write_wavefront(measured, given.out, report=given.report, overwrite=given.overwrite)
    for note in measured.notes:
        warn(note)
    say(f"{describe_wavefront(measured)}; wrote {names_of(files)} to {given.out}")
    say(sign_note(measured.wavefront))
    say_summary(read_summary(given.out))
    return 0


def _of_stacks(given: argparse.Namespace) -> Recipe:
    of_run = ["FRAMES"] if given.frames else []
    of_run += [option for name, option in OF_A_RUN.items() if getattr(given, name) is not None]
    of_run += [
        option
        for option in options_of_steps(given)
        if table_named(option) not in OF_STACKS or option in OF_FRAMES
    ]
    if of_run:
        raise UsageError(
            f"{' and '.join(of_run)}: --stacks measures one pair of images, not a run; leave one "
            "out."
        )
    return recipe_of(given, None, "wavefront")


def _of_run(given: argparse.Namespace) -> Recipe:
    from napari_lucky.wavefront.request import WavefrontRequest

    recipe = recipe_of_run(given, "wavefront")
    if recipe[WavefrontRequest].choice == "all" and given.count is not None:
        raise UsageError("--choose all and --count: all frames are used; leave one of them out.")
    if smoothed := [table for table in SMOOTHING if recipe.table(table)]:
        warn(
            f"The recipe's {' and '.join(smoothed)} {'is' if len(smoothed) == 1 else 'are'} not "
            "used: a wavefront is fitted to frames as the camera took them."
        )
    return recipe.without(*SMOOTHING, *UNUSED)


def _measure(given: argparse.Namespace, recipe: Recipe, meter: Meter) -> MeasuredWavefront:
    from napari_lucky.wavefront.job import measure_wavefront_run, measure_wavefront_stack_files

    if given.stacks:
        focus, defocus = map(Path, given.stacks)
        return measure_wavefront_stack_files(focus, defocus, recipe, job=Job(progress=meter))
    with executor_on(given.scheduler, recipe.input.frames) as executor:
        return measure_wavefront_run(recipe, job=Job(progress=meter, executor=executor))
