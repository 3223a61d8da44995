"""The command line `napari-lucky figures`."""

from __future__ import annotations

import argparse
from typing import Any

from napari_lucky.cli.options import (
    add_colour,
    add_frames,
    add_where,
    folder,
    telescope_input,
)
from napari_lucky.cli.recipe_options import (
    add_step_options,
    options_of_steps,
    recipe_of,
    table_named,
)
from napari_lucky.cli.terminal import Meter, names_of, say, say_summary, warn
from napari_lucky.errors import UsageError
from napari_lucky.execution.job import Job
from napari_lucky.pipeline.recipe import Recipe

FEW = 10
"""Of so many images all lines are printed; of more those of the first three."""


def add_figures(figures: Any) -> None:
    """Add the options of `napari-lucky figures`."""
    figures.usage = (
        "napari-lucky figures IMAGES… [options] -o OUT\n"
        "       napari-lucky figures --recipe FILE [IMAGES…] [options] -o OUT"
    )
    add = figures.add_argument
    add(
        "images",
        nargs="*",
        metavar="IMAGES",
        help="the OUT of process (errors come from its run), FITS images, or a run",
    )
    add(
        "--recipe",
        metavar="FILE",
        help="a recipe, as for process: its [telescope] and [psf] are used; without IMAGES the "
        "frames of its run, calibrated and cleaned. For the OUT of process, its own recipe by "
        "default",
    )
    add_frames(figures)
    add_colour(figures)
    add_where(figures)
    add("--report", action="store_true", help="draw figures.png too")
    add("--overwrite", action="store_true", help="replace figures that OUT already holds")
    add("-o", "--out", required=True, type=folder, metavar="OUT", help="folder for the figures")
    add_step_options(figures, ("telescope", "psf"), done=("telescope", "psf"))


def run_figures(given: argparse.Namespace) -> int:
    """Do `napari-lucky figures`."""
    from napari_lucky.fits.inputs import inputs_of_recipe
    from napari_lucky.pipeline.results_folder import check_out
    from napari_lucky.pipeline.summary import read_summary
    from napari_lucky.psf.images import inputs_of_images
    from napari_lucky.psf.job import measure_psf_files
    from napari_lucky.psf.output import NAMES, write_figures
    from napari_lucky.psf.table import describe_row

    recipe = _asked(given)
    read = inputs_of_images(given.images) if given.images else inputs_of_recipe(recipe)
    inputs = {**read, "recipe": given.recipe, **telescope_input(recipe)}
    check_out(given.out, given.overwrite, NAMES, inputs)
    notes: list[str] = []
    with Meter() as meter:
        measured = measure_psf_files(
            given.images,
            recipe,
            chosen=given.range or slice(None),
            job=Job(progress=meter),
            notify=notes.append,
        )
    files = write_figures(
        measured, given.out, report=given.report, overwrite=given.overwrite, notices=notes
    )
    for note in notes:
        warn(note)
    good = [row for row in measured.rows if row.figures is not None]
    for row in good if len(good) <= FEW else good[:3]:
        say(describe_row(row))
    more = f"{len(good)} images; " if len(good) > 3 else ""
    say(f"{more}wrote {names_of(files)} to {given.out}")
    say_summary(read_summary(given.out))
    return 0


def _asked(given: argparse.Namespace) -> Recipe:
    from napari_lucky.psf.images import recipe_of_images
    from napari_lucky.psf.recipe import PsfRequest

    recipe = recipe_of(given, None if given.recipe else recipe_of_images(given.images), "psf")
    if not given.images and not recipe.input.frames:
        raise UsageError(
            "There is nothing to measure: give the OUT of process, FITS images or a run, or a "
            "--recipe that names its frames."
        )
    telescope = [one for one in options_of_steps(given) if table_named(one) == "telescope"]
    if recipe[PsfRequest].sampling is not None and telescope:
        raise UsageError(
            f"{' and '.join(telescope)}: --psf gives the sampling already. Give only one of them; "
            "--psf sampling=none uses the telescope."
        )
    return recipe
