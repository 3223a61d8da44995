"""The command line: `napari-lucky` and its commands."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, get_args

from napari_lucky._version import __version__
from napari_lucky.calibration.step import Combine
from napari_lucky.cli.figures import add_figures, run_figures
from napari_lucky.cli.options import HelpFormatter, folder
from napari_lucky.cli.process import add_process, run_process
from napari_lucky.cli.recipe_options import with_values
from napari_lucky.cli.telescope import add_telescope, run_telescope
from napari_lucky.cli.terminal import CannotPrintError, Meter, end_stdout, has_display, say, warn
from napari_lucky.cli.wavefront import add_wavefront, run_wavefront
from napari_lucky.errors import LuckyError, NoStarError
from napari_lucky.execution.interruption import ended_as_interrupted, signals_left_alone, status_of
from napari_lucky.execution.job import Job
from napari_lucky.text import one_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status.

    0 done; 1 done, but stdout cannot be written; 2 bad input; 3 no star in the run; 130, 143 and
    129 ended by Ctrl-C, SIGTERM and SIGHUP.
    """
    try:
        with ended_as_interrupted():
            return _run(arguments)
    except BrokenPipeError:  # nobody listens any more; what was asked for is done
        return 0
    except CannotPrintError as error:
        warn(f"napari-lucky: stdout cannot be written ({error}); what was asked for is done.")
        return 1
    except LuckyError as error:
        warn(f"napari-lucky: {error}")
        return 3 if isinstance(error, NoStarError) else 2
    except KeyboardInterrupt as interrupt:
        status, told = status_of(interrupt)
        left = " ".join(map(str, interrupt.args)) or "nothing was written."
        warn(f"napari-lucky: {told}; {left}")
        return status


def _run(arguments: Sequence[str] | None) -> int:
    try:
        given = parser().parse_args(with_values(sys.argv[1:] if arguments is None else arguments))
    except SystemExit:
        end_stdout()  # where --help was printed
        raise
    commands = {
        "process": run_process,
        "flat": run_flat,
        "figures": run_figures,
        "wavefront": run_wavefront,
        "telescope": run_telescope,
        "demo": run_demo,
    }
    status = commands[given.command](given)
    end_stdout()
    return status


class Parser(argparse.ArgumentParser):
    """A parser that answers bad input as the rest of the program does: with a sentence."""

    def __init__(self, **given: Any) -> None:
        super().__init__(allow_abbrev=False, **{"formatter_class": HelpFormatter} | given)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what a command does not know, with the option that it may be meant for."""
        given, rest = super().parse_known_args(args, namespace)
        if rest and self._subparsers is None:
            word, known = rest[0].partition("=")[0], list(self._option_string_actions)
            begun = [option for option in known if word[2:] and option.startswith(word)]
            near = begun or get_close_matches(word, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
        return given, rest

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        if found := re.fullmatch(r"argument (.*/)?(-\S+): expected one argument", message):
            message += f"; if it begins with a minus, write it with =, as {found[2]}=-5…"
        self.exit(2, f"{self.prog}: {one_line(message)}\n")


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
    from napari_lucky.pipeline.masters_folder import make_masters

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
            job=Job(progress=meter),
            notify=notes.append,
        )
    finally:
        meter.clear()
    for note in notes:
        warn(note)
    say(
        f"Flat: median {field.level:.5g} ADU, rms {100 * field.rms:.3g} %, {field.dead} dead "
        f"pixels; wrote {', '.join(file.name for file in files)} to {given.out}"
    )
    return 0


def run_demo(given: argparse.Namespace) -> int:
    """Do `napari-lucky demo`."""
    from napari_lucky.viewer.demo import make_demo

    window = has_display()
    out = given.out or Path("napari-lucky-demo")
    meter = Meter()
    if given.out is None and window:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="napari-lucky-demo-") as folder:
            made = make_demo(Path(folder), job=Job(progress=meter))
            meter.clear()
            _show(*made)
        return 0
    try:
        run, result = make_demo(out, overwrite=given.overwrite, job=Job(progress=meter))
    finally:
        meter.clear()
    say(f"The simulated run and its results are in {out.absolute()}")
    if window:
        _show(run, result)
    return 0


def _show(*made: Any) -> None:
    """Open napari, which sees to signals itself."""
    from napari_lucky.viewer.demo import show_demo

    with signals_left_alone():
        show_demo(*made)


if __name__ == "__main__":
    sys.exit(main())
