"""The command line `napari-lucky figures`."""

from __future__ import annotations

import argparse
from typing import Any

from napari_lucky.cli.options import (
    add_colour,
    add_frames,
    add_named_telescope,
    add_telescope_options,
    add_where,
    folder,
    from_text,
    psf,
    telescope_input,
    whole_telescope,
    window,
)
from napari_lucky.cli.terminal import Meter, say, say_summary, warn
from napari_lucky.errors import UsageError
from napari_lucky.execution.job import Job
from napari_lucky.frames.window import Window


def add_figures(figures: Any) -> None:
    """Add the options of `napari-lucky figures`."""
    add = figures.add_argument
    add(
        "images",
        nargs="+",
        metavar="IMAGES",
        help="the OUT of process (errors come from its run), FITS images, or a run",
    )
    add_named_telescope(figures)
    add_telescope_options(figures)
    add(
        "--psf",
        type=from_text(psf),
        metavar="SAMPLING[,OBSTRUCTION]",
        help="the diffraction-limited PSF, instead of the telescope",
    )
    add(
        "--window",
        type=from_text(window),
        metavar="Y,X,SIZE",
        help="where the star is on the image: centre (row, column, from 0) and side in pixels",
    )
    add("--aperture", type=float, metavar="RADIUS", help="of the circle of the flux, in pixels")
    add(
        "--ring",
        type=from_text(_ring),
        metavar="INNER,OUTER",
        help="radii of the ring of the background, in pixels",
    )
    add("--level", type=float, metavar="ADU", help="the background where it is known; no ring")
    add(
        "--integration",
        type=float,
        metavar="SIDE",
        default=1.0,
        help="side of the square that a pixel integrates over, in pixels; 0: none (1)",
    )
    add(
        "--bootstrap",
        type=int,
        metavar="N",
        help="resamples of the frames for the errors of process's stacks (200); 0: errors of the "
        "noise alone",
    )
    add_frames(figures)
    add_colour(figures)
    add_where(figures)
    add("--report", action="store_true", help="draw figures.png too")
    add("--overwrite", action="store_true", help="replace figures that OUT already holds")
    add("-o", "--out", required=True, type=folder, metavar="OUT", help="folder for the figures")


def _ring(text: str) -> tuple[float, float]:
    try:
        inner, outer = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{text!r} is not INNER,OUTER: two radii in pixels, as 56,63") from None
    return inner, outer


def run_figures(given: argparse.Namespace) -> int:
    """Do `napari-lucky figures`."""
    from napari_lucky.optics.diffraction import Diffraction
    from napari_lucky.pipeline.results_folder import check_out
    from napari_lucky.pipeline.summary import read_summary
    from napari_lucky.psf.bootstrap import RESAMPLES
    from napari_lucky.psf.job import inputs_of_images, measure_psf_files
    from napari_lucky.psf.output import NAMES, write_figures
    from napari_lucky.psf.recipe import PsfRecipe
    from napari_lucky.psf.table import tell_row

    telescope = whole_telescope(given)
    if given.psf is not None and telescope:
        raise UsageError("--psf says what the telescope would; leave the telescope's options out.")
    recipe = PsfRecipe(given.aperture, given.ring, given.level, given.integration)
    inputs = {**inputs_of_images(given.images), **telescope_input(given)}
    check_out(given.out, given.overwrite, NAMES, inputs)
    meter = Meter()
    notes: list[str] = []
    try:
        measured = measure_psf_files(
            given.images,
            recipe,
            telescope=telescope,
            diffraction=None if given.psf is None else Diffraction(*given.psf),
            window=None if given.window is None else Window.centred(*given.window),
            chosen=given.range or slice(None),
            resamples=RESAMPLES if given.bootstrap is None else given.bootstrap,
            colour=given.colour,
            where=given.where,
            job=Job(progress=meter),
            notify=notes.append,
        )
    finally:
        meter.clear()
    files = write_figures(
        measured, given.out, report=given.report, overwrite=given.overwrite, notices=notes
    )
    for note in notes:
        warn(note)
    good = [row for row in measured.rows if row.figures is not None]
    for row in good[:3]:
        say(tell_row(row))
    more = f"{len(good)} images; " if len(good) > 3 else ""
    say(f"{more}wrote {', '.join(file.name for file in files)} to {given.out}")
    say_summary(read_summary(given.out))
    return 0
