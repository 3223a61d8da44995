"""The command line: `napari-lucky process`, `flat`, `figures`, `telescope` and `demo`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NoReturn, get_args

from ._version import __version__
from .by_hand import parse_numbers
from .calibration import Combine
from .diffraction import Diffraction
from .errors import LuckyError
from .figures_command import add_figures, add_telescope, run_figures, run_telescope
from .frames import parse_range
from .integers import parse_integers
from .metrics import METRICS
from .options import add_cleaning_options, from_text, recipe_of
from .ranking import DEFAULT_METRIC, check_above, check_keep
from .registration import METHODS
from .stack_methods import parse_stack
from .terminal import Meter, has_display


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status: 0 done, 2 bad input, 130 interrupted."""
    given = parser().parse_args(arguments)
    try:
        commands = {
            "process": run_process,
            "flat": run_flat,
            "figures": run_figures,
            "telescope": run_telescope,
            "demo": run_demo,
        }
        return commands[given.command](given)
    except LuckyError as error:
        print(f"napari-lucky: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        left = " ".join(map(str, interrupt.args)) or "nothing was written."
        print(f"napari-lucky: interrupted; {left}", file=sys.stderr)
        return 130


class Parser(argparse.ArgumentParser):
    """A parser that answers bad input as the rest of the program does: with a sentence."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        if found := re.fullmatch(r"argument (.*/)?(-\S+): expected one argument", message):
            message += f"; if it begins with a minus, write it with =, as {found[2]}=-5…"
        self.exit(2, f"{self.prog}: {message}\n")


def parser() -> Parser:
    """Return the parser of the command line."""
    top = Parser(
        prog="napari-lucky",
        description="Lucky imaging: from a run of FITS frames to the lucky pair.",
    )
    top.add_argument("--version", action="version", version=f"napari-lucky {__version__}")
    commands = top.add_subparsers(dest="command", required=True)

    process = commands.add_parser("process", help="calibrate, register, rank and stack a run")
    add = process.add_argument
    add("frames", nargs="*", metavar="FRAMES", help="a folder, a cube, or several FITS files")
    add("--recipe", metavar="FILE", help="a recipe.toml to replay; options given beside it win")
    add("--dark", metavar="F", help="dark: a file or a folder of frames")
    add("--flat", metavar="F", help="flat: a file or a folder of frames")
    add(
        "--saturation",
        type=float,
        metavar="ADU",
        help="raw pixels of this and more are masked, such as 4095 for 12 bits (the header's "
        "SATURATE, or the greatest number that the file can hold)",
    )
    where = "star: centre (row, column, from 0) and side in pixels"
    add(
        "--focus",
        type=from_text(_window),
        metavar="Y,X,SIZE",
        help=f"focused {where}; found if not given",
    )
    add("--defocus", type=from_text(_window), metavar="Y,X,SIZE", help=f"defocused {where}")
    add("--register", choices=METHODS, help="how the star is tracked (brightest)")
    add(
        "--reference",
        dest="reference_frame",
        metavar="best|first|mean|N",
        help="what correlation compares with (best)",
    )
    add("--rank", choices=METRICS, help=f"what makes a frame a good one ({DEFAULT_METRIC})")
    add(
        "--psf",
        type=from_text(_psf),
        metavar="SAMPLING[,OBSTRUCTION]",
        help="diffraction-limited PSF, for metrics that need it: lambda F#/pixel in pixels, and "
        "the obstruction's diameter over the pupil's (0)",
    )
    add(
        "--keep",
        type=from_text(_keep),
        metavar="0.01|25",
        help="a fraction, or a count, of frames (0.1)",
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
    add(
        "--frames",
        dest="range",
        type=from_text(parse_range),
        metavar="START:STOP[:STEP]",
        help="use only these",
    )
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
    add(
        "--scheduler",
        metavar="ADDRESS",
        help="work on the dask.distributed cluster with this scheduler, such as tcp://host:8786",
    )
    add("-o", "--out", required=True, type=_folder, metavar="OUT", help="folder for the results")
    add_cleaning_options(process)

    flat = commands.add_parser("flat", help="make a master flat and dark, and their picture")
    flat.add_argument("flat", metavar="FLAT", help="flat: a file or a folder of frames")
    flat.add_argument("--dark", metavar="F", help="dark of the same exposure: a file or a folder")
    flat.add_argument(
        "--combine", choices=get_args(Combine), default="mean", help="how frames become one (mean)"
    )
    flat.add_argument(
        "--row", type=int, metavar="N", help="row from 0 whose profile is drawn (the middle one)"
    )
    flat.add_argument("--overwrite", action="store_true", help="replace masters in OUT")
    flat.add_argument(
        "-o", "--out", required=True, type=_folder, metavar="OUT", help="folder for the masters"
    )

    add_figures(commands, _folder, _window, _psf)
    add_telescope(commands)

    demo = commands.add_parser("demo", help="simulate a run and take it through the whole chain")
    demo.add_argument("-o", "--out", type=_folder, metavar="OUT", help="folder for run and results")
    demo.add_argument("--overwrite", action="store_true", help="replace results in OUT")
    return top


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("give a folder; a dot is the one you are in")
    return Path(text)


def _window(text: str) -> tuple[int, int, int]:
    try:
        y, x, size = (int(part) for part in text.split(","))
    except ValueError:
        raise LuckyError(
            f"{text!r} is not Y,X,SIZE: three whole numbers of pixels, such as 140,392,128"
        ) from None
    return y, x, size


def _psf(text: str) -> tuple[float, float]:
    try:
        sampling, *more = (float(part) for part in text.split(","))
        (obstruction,) = more or [0.0]
    except ValueError:
        raise LuckyError(
            f"{text!r} is not SAMPLING or SAMPLING,OBSTRUCTION, such as 7 or 7,0.3"
        ) from None
    Diffraction(sampling, obstruction)  # raises if they make no sense
    return sampling, obstruction


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
    from .journal import Journal, beside
    from .outputs import check_out, write_results
    from .pipeline import process

    recipe = recipe_of(given)
    check_out(given.out, given.overwrite)
    meter = Meter()
    notes: list[str] = []
    journal = Journal(beside(given.out))
    try:
        with journal, _executor(given.scheduler) as executor:
            try:
                result = process(recipe, progress=meter, executor=executor, journal=journal)
            finally:
                meter.clear()
            notes += result.notes
            files = write_results(
                result, given.out, report=given.report, overwrite=given.overwrite, tell=notes.append
            )
    except KeyboardInterrupt:
        if journal.kept:
            raise KeyboardInterrupt(
                f"no result was written. What was measured is kept in {journal.path}: the same "
                "command goes on from there."
            ) from None
        raise
    for note in notes:
        print(note, file=sys.stderr)
    table = result.table
    print(
        f"Stacked {int(table.selected.sum())} of {len(table.frame)} frames; wrote "
        f"{', '.join(file.name for file in files)} to {given.out}"
    )
    return 0


def _executor(scheduler: str | None) -> AbstractContextManager[Executor | None]:
    if scheduler is None:
        return nullcontext()
    from .cluster import on_cluster

    return on_cluster(scheduler)


def run_flat(given: argparse.Namespace) -> int:
    """Do `napari-lucky flat`."""
    from .flat_output import make_masters

    meter = Meter()
    notes: list[str] = []
    try:
        field, files = make_masters(
            given.flat,
            given.out,
            given.dark,
            combine=given.combine,
            row=given.row,
            overwrite=given.overwrite,
            progress=meter,
            tell=notes.append,
        )
    finally:
        meter.clear()
    for note in notes:
        print(note, file=sys.stderr)
    print(
        f"Flat: median {field.level:.5g} ADU, rms {100 * field.rms:.3g} %, {field.dead} dead "
        f"pixels; wrote {', '.join(file.name for file in files)} to {given.out}"
    )
    return 0


def run_demo(given: argparse.Namespace) -> int:
    """Do `napari-lucky demo`."""
    from .demo import make_demo, show_demo

    window = has_display()
    out = given.out or Path("napari-lucky-demo")
    meter = Meter()
    if given.out is None and window:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="napari-lucky-demo-") as folder:
            made = make_demo(Path(folder), progress=meter)
            meter.clear()
            show_demo(*made)
        return 0
    try:
        run, result = make_demo(out, overwrite=given.overwrite, progress=meter)
    finally:
        meter.clear()
    print(f"The simulated run and its results are in {out.absolute()}")
    if window:
        show_demo(run, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
