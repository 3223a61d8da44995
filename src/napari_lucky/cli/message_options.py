"""Options that every command has for its messages and their place, and the end of its help."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_lucky.errors import NOTHING, STATUSES
from napari_lucky.text import one_line

EXAMPLES = {
    "process": (
        "process run --dark dark.fits --keep 0.05 --report -o out",
        "process nights/* --each --skip-existing -o results",
    ),
    "flat": (
        "flat flats --dark darks -o masters",
        "flat flats --combine median --row 100 --overwrite -o masters",
    ),
    "figures": (
        "figures out --telescope IRSOL --report -o figures",
        "figures results --psf 7,0.3 --json -o figures",
    ),
    "wavefront": (
        "wavefront --recipe out/recipe.toml --defocus-pv 2 -o wf",
        "wavefront --stacks focus.fits defocus.fits --defocus-pv 2 -o wf",
    ),
    "export": (
        "export out/focus.fits out/defocus.fits --as tiff16 -o pictures",
        "export out/recipe.toml --as regions -o pictures",
    ),
    "telescope": (
        "telescope IRSOL --wavelength 633 --focal-ratio 58.6 --pixel-size 5.3",
        "telescope IRSOL --remove",
    ),
    "demo": ("demo", "demo -o demo"),
}
"""Two of each command."""


def add_message_options(command: str, parser: Any) -> None:
    """Add --json, --quiet, --log and, where there is an OUT, --skip-existing; end the help."""
    group = parser.add_argument_group("messages")
    has_summary = command not in ("export", "telescope", "demo")
    if has_summary:
        group.add_argument(
            "--json", action="store_true", help="print summary.json on stdout instead of text"
        )
        parser.add_argument(
            "--skip-existing",
            action="store_true",
            help="do nothing if OUT holds the results of this command already",
        )
    group.add_argument("--quiet", action="store_true", help="print only problems, on stderr")
    group.add_argument(
        "--log", type=Path, metavar="FILE", help="append all messages to a file, with times"
    )
    examples = [f"  napari-lucky {example}" for example in EXAMPLES[command]]
    statuses = [f"  {status}: {text}" for status, text in STATUSES.items()]
    parser.epilog = "\n".join(["examples:", *examples, "", "exit status:", *statuses])


def command_line(arguments: Sequence[str] | None) -> str:
    """Return a command line as it would be typed."""
    return one_line(
        shlex.join(["napari-lucky", *(sys.argv[1:] if arguments is None else arguments)])
    )


def skipped(given: argparse.Namespace) -> int | None:
    """Return the exit status if there is nothing to do; None if there is."""
    if not getattr(given, "skip_existing", False) or getattr(given, "each", False):
        return None
    from napari_lucky.cli.terminal import say, say_summary
    from napari_lucky.pipeline.summary import read_summary

    summary = read_summary(given.out, given.command)
    if summary is None:
        return None
    say(f"Nothing to do: {given.out} holds the results already.")
    say_summary({**summary, "status": NOTHING})
    return NOTHING
