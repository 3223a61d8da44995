"""Options that several commands share, and what makes values of their texts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from napari_lucky.cli.terminal import warn
from napari_lucky.errors import LuckyError
from napari_lucky.execution.processes import fork_executor
from napari_lucky.fits.gzip_file import is_packed
from napari_lucky.fits.where import parse_where
from napari_lucky.frames.frames import parse_range
from napari_lucky.frames.window import parse_window
from napari_lucky.optics.request import TelescopeRequest
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.sources.colour import CHOICES
from napari_lucky.steps.option_text import OFF


def telescope_input(recipe: Recipe) -> dict[str, Path]:
    """Return the file that a recipe's telescope is read from, if it is named."""
    from napari_lucky.optics.telescope_store import telescopes_file

    asked = recipe.get(TelescopeRequest)
    return {} if asked is None or asked.name is None else {"telescopes": telescopes_file()}


def add_run_options(parser: Any, *, finds: bool = False) -> None:
    """Add the options of a run: its frames and the stars' windows, which it may find."""
    add = parser.add_argument
    add("frames", nargs="*", metavar="FRAMES", help="a folder, a cube, or several files")
    where = "star: centre (row, column, from 0) and side in pixels, or a .reg file of DS9"
    words = f"focused {where}{'; found if not given' if finds else ''}"
    focus, defocus = window_named("focus"), window_named("defocus")
    if finds:
        add("--focus", type=from_text(or_word(focus, OFF)), metavar="Y,X,SIZE", help=words)
        words = f"defocused {where}; find: look for it"
        found = or_word(defocus, "find", OFF)
        add("--defocus", type=from_text(found), metavar="Y,X,SIZE|find", help=words)
    else:
        add("--focus", type=from_text(focus), metavar="Y,X,SIZE", help=words)
        add("--defocus", type=from_text(defocus), metavar="Y,X,SIZE", help=f"defocused {where}")
    add_colour(parser)
    add_where(parser)


def add_where(parser: Any) -> None:
    """Add the option that chooses frames by their headers."""
    parser.add_argument(
        "--where",
        type=from_text(where),
        metavar="KEYWORD=VALUE",
        help="use only the frames whose headers match, such as EXPTIME=0.01 or "
        "EXPTIME=0.01,FILTER=R",
    )


def add_colour(parser: Any) -> None:
    """Add the option that says what is used of frames in colour."""
    parser.add_argument(
        "--colour",
        choices=(*CHOICES, OFF),
        metavar="COLOUR",
        help="for frames in colour: luminance (the mean of three planes; the default), red, green "
        "or blue; superpixel: the mean of each 2 x 2 cell of a mosaic, otherwise used as it is; "
        "frames: planes are frames",
    )


def from_text(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let argparse show a converter's own sentence for a value that cannot be used."""

    def converted(text: str) -> Any:
        try:
            return convert(text)
        except LuckyError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return converted


def folder(text: str) -> Path:
    """Return the folder OUT."""
    if not text.strip():
        raise argparse.ArgumentTypeError("give a folder; . is the current one")
    return Path(text)


def window(text: str) -> tuple[int, int, int]:
    """Return (y, x, size) of Y,X,SIZE."""
    found = parse_window(text)
    return (*found.centre, found.width)


def window_named(name: str) -> Callable[[str], tuple[int, int, int]]:
    """Return what takes Y,X,SIZE, or a file of DS9 regions with a window of this name."""

    def named(text: str) -> tuple[int, int, int]:
        if not text.lower().endswith(".reg"):
            return window(text)
        from napari_lucky.fits.regions import read_windows

        windows = read_windows(text)
        if name not in windows:
            raise LuckyError(f"{text}: no region has the text {name}, only {', '.join(windows)}.")
        found = windows[name]
        size = max(found.height, found.width)
        if found.height != found.width:
            warn(
                f"{text}: the region {name} is {found.width} pixels wide and {found.height} high. "
                f"Windows are square: this one has {size} x {size} pixels, with the same centre."
            )
        return (*found.centre, size)

    return named


def or_word(convert: Callable[[str], Any], *words: str) -> Callable[[str], Any]:
    """Return what takes a word as it is, and converts any other text."""
    return lambda text: text if text in words else convert(text)


def where(text: str) -> str:
    """Return a choice of frames by their headers, which can be read."""
    parse_where(text)
    return text


def executor_on(
    scheduler: str | None, frames: Sequence[str], meanwhile: Callable[[], None] | None = None
) -> AbstractContextManager[Executor | None]:
    """Return where the work on these files is done: on the cluster of a scheduler, or here.

    What is needed at the end, astropy by default, is imported meanwhile.
    """
    if scheduler is not None:
        from napari_lucky.execution.cluster import cluster_executor

        return cluster_executor(scheduler)
    if len(frames) == 1 and is_packed(Path(frames[0])):
        return nullcontext()  # threads: a cube that one process unpacks for all
    return fork_executor(meanwhile=meanwhile or import_astropy)


def import_astropy() -> None:
    """Import what takes long and is needed in the end."""
    import astropy.io.fits  # noqa: F401


def add_frames(parser: Any) -> None:
    """Add the option that says which frames of the run are used."""
    parser.add_argument(
        "--frames",
        dest="range",
        type=from_text(parse_range),
        metavar="START:STOP[:STEP]",
        help="use only these frames of the run, numbered from 0",
    )


def add_scheduler(parser: Any) -> None:
    """Add the option that names a cluster."""
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="work on the dask.distributed cluster with this scheduler, such as tcp://host:8786",
    )
