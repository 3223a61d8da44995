"""Options that several commands share, and what makes values of their texts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.execution.processes import fork_executor
from napari_lucky.fits.gzip_file import is_packed
from napari_lucky.fits.where import parse_where
from napari_lucky.frames.frames import parse_range
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.sources.colour import CHOICES
from napari_lucky.steps.option_text import OFF

TELESCOPE = {
    "wavelength_nm": ("--wavelength", "NM", "wavelength in nm"),
    "focal_ratio": ("--focal-ratio", "RATIO", "focal length over diameter, at the camera"),
    "pixel_um": ("--pixel-size", "UM", "side of a pixel in um"),
    "diameter_m": ("--diameter", "M", "of the pupil, in m"),
    "focal_length_m": ("--focal-length", "M", "in m, instead of the focal ratio"),
    "obstruction": ("--obstruction", "E", "diameter of the central one over the pupil's"),
}


def add_telescope_options(parser: Any) -> None:
    """Add the options that tell a telescope; what is not given is None."""
    for name, (option, metavar, told) in TELESCOPE.items():
        parser.add_argument(option, dest=name, type=float, metavar=metavar, help=told)


def add_named_telescope(parser: Any) -> None:
    """Add the option that names a saved telescope."""
    parser.add_argument(
        "--telescope", metavar="NAME", help="a telescope that was saved; see telescope"
    )


def given_telescope(given: argparse.Namespace) -> dict[str, float]:
    """Return what the options tell of the telescope."""
    if given.focal_ratio is not None and given.focal_length_m is not None:
        raise UsageError("--focal-ratio and --focal-length: each tells the other; give one.")
    return {name: getattr(given, name) for name in TELESCOPE if getattr(given, name) is not None}


def whole_telescope(given: argparse.Namespace) -> dict[str, float]:
    """Return what the saved telescope that is named and the options tell; these win."""
    from dataclasses import asdict

    from napari_lucky.optics.telescope_store import named_telescope

    options = given_telescope(given)
    told = {} if given.telescope is None else asdict(named_telescope(given.telescope))
    if "focal_length_m" in options:
        told.pop("focal_ratio", None)
    return {**told, **options}


def telescope_input(given: argparse.Namespace) -> dict[str, Path]:
    """Return the file that the telescope named is read from."""
    from napari_lucky.optics.telescope_store import telescopes_file

    return {} if given.telescope is None else {"telescopes": telescopes_file()}


def add_run(parser: Any, *, finds: bool = False) -> None:
    """Add the options of a run: its frames and the stars' windows, which it may find."""
    add = parser.add_argument
    add("frames", nargs="*", metavar="FRAMES", help="a folder, a cube, or several files")
    where = "star: centre (row, column, from 0) and side in pixels, or a .reg file of DS9"
    told = f"focused {where}{'; found if not given' if finds else ''}"
    focus, defocus = window_named("focus"), window_named("defocus")
    if finds:
        add("--focus", type=from_text(or_word(focus, OFF)), metavar="Y,X,SIZE", help=told)
        told = f"defocused {where}; find looks for it"
        found = or_word(defocus, "find", OFF)
        add("--defocus", type=from_text(found), metavar="Y,X,SIZE|find", help=told)
    else:
        add("--focus", type=from_text(focus), metavar="Y,X,SIZE", help=told)
        add("--defocus", type=from_text(defocus), metavar="Y,X,SIZE", help=f"defocused {where}")
    add_colour(parser)
    add_where(parser)


def add_where(parser: Any) -> None:
    """Add the option that chooses frames by their headers."""
    parser.add_argument(
        "--where",
        type=from_text(where),
        metavar="KEYWORD=VALUE",
        help="use only the frames whose headers say so, such as EXPTIME=0.01 or "
        "EXPTIME=0.01,FILTER=R",
    )


def add_colour(parser: Any) -> None:
    """Add the option that says what is used of frames in colour."""
    parser.add_argument(
        "--colour",
        choices=CHOICES,
        metavar="COLOUR",
        help="of frames in colour: luminance (the mean of three planes; the default), red, green "
        "or blue; superpixel: the mean of each 2 x 2 cell of a mosaic, which is else taken as it "
        "is; frames: planes are frames",
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
        raise argparse.ArgumentTypeError("give a folder; a dot is the one you are in")
    return Path(text)


def window(text: str) -> tuple[int, int, int]:
    """Return (y, x, size) of Y,X,SIZE."""
    try:
        y, x, size = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"{text!r} is not Y,X,SIZE: three whole numbers of pixels, such as 140,392,128"
        ) from None
    return y, x, size


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
        return (*found.centre, max(found.height, found.width))

    return named


def or_word(convert: Callable[[str], Any], *words: str) -> Callable[[str], Any]:
    """Return what takes a word as it is, and converts any other text."""
    return lambda text: text if text in words else convert(text)


def where(text: str) -> str:
    """Return a choice of frames by their headers, which can be read."""
    parse_where(text)
    return text


def psf(text: str) -> tuple[float, float]:
    """Return (sampling, obstruction) of SAMPLING[,OBSTRUCTION]."""
    try:
        sampling, *more = (float(part) for part in text.split(","))
        (obstruction,) = more or [0.0]
    except ValueError:
        raise UsageError(
            f"{text!r} is not SAMPLING or SAMPLING,OBSTRUCTION, such as 7 or 7,0.3"
        ) from None
    Diffraction(sampling, obstruction)  # raises if they make no sense
    return sampling, obstruction


def executor_on(
    scheduler: str | None, frames: Sequence[str]
) -> AbstractContextManager[Executor | None]:
    """Return where the work on these files is done: on the cluster of a scheduler, or here."""
    if scheduler is not None:
        from napari_lucky.execution.cluster import cluster_executor

        return cluster_executor(scheduler)
    if len(frames) == 1 and is_packed(Path(frames[0])):
        return nullcontext()  # threads: a cube that one process unpacks for all
    return fork_executor(meanwhile=import_astropy)


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
