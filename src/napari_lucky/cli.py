"""The command line: `napari-lucky` and its commands."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, get_args

from ._version import __version__
from .calibration import Combine
from .command_options import folder
from .errors import LuckyError, NoStarError
from .figures_command import add_figures, run_figures
from .process_command import add_process, run_process
from .telescope_command import add_telescope, run_telescope
from .terminal import Meter, has_display
from .wavefront_command import add_wavefront, run_wavefront


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status.

    0 done, 2 bad input, 3 no star in the run, 130 interrupted.
    """
    given = parser().parse_args(arguments)
    try:
        commands = {
            "process": run_process,
            "flat": run_flat,
            "figures": run_figures,
            "wavefront": run_wavefront,
            "telescope": run_telescope,
            "demo": run_demo,
        }
        status = commands[given.command](given)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # nobody listens any more; what was asked for is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except LuckyError as error:
        print(f"napari-lucky: {error}", file=sys.stderr)
        return 3 if isinstance(error, NoStarError) else 2
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

    add_process(commands)

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
        "-o", "--out", required=True, type=folder, metavar="OUT", help="folder for the masters"
    )

    add_figures(commands)
    add_wavefront(commands)
    add_telescope(commands)

    demo = commands.add_parser("demo", help="simulate a run and take it through the whole chain")
    demo.add_argument("-o", "--out", type=folder, metavar="OUT", help="folder for run and results")
    demo.add_argument("--overwrite", action="store_true", help="replace results in OUT")
    return top


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
