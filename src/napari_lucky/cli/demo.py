"""The command line `napari-lucky demo`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_lucky.cli.options import folder
from napari_lucky.cli.terminal import Meter, has_display, say
from napari_lucky.execution.interruption import signals_left_alone
from napari_lucky.execution.job import Job


def add_demo(demo: Any) -> None:
    """Add the options of `napari-lucky demo`."""
    add = demo.add_argument
    add("-o", "--out", type=folder, metavar="OUT", help="folder for run and results")
    add("--overwrite", action="store_true", help="replace results in OUT")


def run_demo(given: argparse.Namespace) -> int:
    """Do `napari-lucky demo`."""
    from napari_lucky.viewer.demo import make_demo

    window = has_display()
    out = given.out or Path("napari-lucky-demo")
    if given.out is None and window:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="napari-lucky-demo-") as folder:
            with Meter() as meter:
                made = make_demo(Path(folder), job=Job(progress=meter))
            _show(*made)
        return 0
    with Meter() as meter:
        run, result = make_demo(out, overwrite=given.overwrite, job=Job(progress=meter))
    say(f"The simulated run and its results are in {out.absolute()}")
    if window:
        _show(run, result)
    else:
        say("napari cannot open a window here; report.png in that folder shows the results.")
    return 0


def _show(*made: Any) -> None:
    """Open napari, which sees to signals itself."""
    from napari_lucky.viewer.demo import show_demo

    with signals_left_alone():
        show_demo(*made)
