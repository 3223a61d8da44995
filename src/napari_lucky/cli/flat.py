"""The command line `napari-lucky flat`."""

from __future__ import annotations

import argparse
from typing import Any, get_args

from napari_lucky.calibration.step import Combine
from napari_lucky.cli.options import add_colour, folder
from napari_lucky.cli.terminal import Meter, names_of, say, say_summary, warn
from napari_lucky.errors import DONE
from napari_lucky.execution.job import Job
from napari_lucky.steps.option_text import OFF


def add_flat(flat: Any) -> None:
    """Add the options of `napari-lucky flat`."""
    add = flat.add_argument
    add("flat", metavar="FLAT", help="flat: a file or a folder of frames")
    add("--dark", metavar="F", help="dark of the same exposure: a file or a folder")
    add(
        "--combine",
        choices=get_args(Combine),
        default="mean",
        help="how frames are combined (mean)",
    )
    add("--row", type=int, metavar="N", help="row whose profile is drawn, from 0 (the middle one)")
    add_colour(flat)
    add("--overwrite", action="store_true", help="replace masters in OUT")
    add("-o", "--out", required=True, type=folder, metavar="OUT", help="folder for the masters")


def run_flat(given: argparse.Namespace) -> int:
    """Do `napari-lucky flat`."""
    from napari_lucky.pipeline.masters_folder import describe_flat, make_masters
    from napari_lucky.pipeline.summary import read_summary

    notes: list[str] = []
    with Meter() as meter:
        field, files = make_masters(
            given.flat,
            given.out,
            given.dark,
            combine=given.combine,
            row=given.row,
            colour=None if given.colour == OFF else given.colour,
            overwrite=given.overwrite,
            job=Job(progress=meter),
            notify=notes.append,
        )
    for note in notes:
        warn(note)
    say(f"{describe_flat(field)}; wrote {names_of(files)} to {given.out}")
    say_summary(read_summary(given.out))
    return DONE
