"""The command lines `napari-lucky figures` and `napari-lucky telescope`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .errors import LuckyError
from .frames import parse_range
from .options import from_text
from .terminal import Meter
from .windows import Window

TELESCOPE = {
    "wavelength_nm": ("--wavelength", "NM", "wavelength in nm"),
    "focal_ratio": ("--focal-ratio", "RATIO", "focal length over diameter, at the camera"),
    "pixel_um": ("--pixel-size", "UM", "side of a pixel in um"),
    "diameter_m": ("--diameter", "M", "of the pupil, in m"),
    "focal_length_m": ("--focal-length", "M", "in m, instead of the focal ratio"),
    "obstruction": ("--obstruction", "E", "its diameter over the pupil's (0)"),
}


def add_telescope_options(parser: Any) -> None:
    """Add the options that tell a telescope; what is not given is None."""
    for name, (option, metavar, told) in TELESCOPE.items():
        parser.add_argument(option, dest=name, type=float, metavar=metavar, help=told)


def given_telescope(given: argparse.Namespace) -> dict[str, float | None]:
    """Return what the options tell of the telescope."""
    if given.focal_ratio is not None and given.focal_length_m is not None:
        raise LuckyError("--focal-ratio and --focal-length: each tells the other; give one.")
    return {name: getattr(given, name) for name in TELESCOPE}


def add_figures(commands: Any, folder: Any, window: Any, psf: Any) -> None:
    """Add the parser of `napari-lucky figures`; windows and PSFs are read as `process` does."""
    figures = commands.add_parser(
        "figures", help="Strehl ratio, FWHM, encircled energy and profile of stacks or frames"
    )
    add = figures.add_argument
    add(
        "images",
        nargs="+",
        metavar="IMAGES",
        help="the OUT of process (errors come from its run), FITS images, or a run",
    )
    add("--telescope", metavar="NAME", help="a telescope that was saved; see telescope")
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
    add("--pixel", type=float, metavar="SIDE", default=1.0, help="that integrates; 0: none (1)")
    add(
        "--bootstrap",
        type=int,
        metavar="N",
        help="resamples of the frames for the errors of process's stacks; 0: no errors (200)",
    )
    add(
        "--frames",
        dest="range",
        type=from_text(parse_range),
        metavar="START:STOP[:STEP]",
        help="of a run, only these",
    )
    add("--report", action="store_true", help="draw figures.png too")
    add("--overwrite", action="store_true", help="replace figures that OUT already holds")
    add("-o", "--out", required=True, type=folder, metavar="OUT", help="folder for the figures")


def add_telescope(commands: Any) -> None:
    """Add the parser of `napari-lucky telescope`."""
    telescope = commands.add_parser(
        "telescope", help="save a telescope under a name, list those saved, or remove one"
    )
    telescope.add_argument("name", nargs="?", metavar="NAME", help="none: list all")
    add_telescope_options(telescope)
    telescope.add_argument("--remove", action="store_true", help="forget the one of this name")
    telescope.add_argument("--overwrite", action="store_true", help="replace the one of this name")


def _ring(text: str) -> tuple[float, float]:
    try:
        inner, outer = (float(part) for part in text.split(","))
    except ValueError:
        raise LuckyError(f"{text!r} is not INNER,OUTER: two radii in pixels, as 56,63") from None
    return inner, outer


def run_figures(given: argparse.Namespace) -> int:
    """Do `napari-lucky figures`."""
    from dataclasses import asdict

    from .diffraction import Diffraction
    from .figure_errors import RESAMPLES
    from .figure_recipe import FigureRecipe
    from .figures_job import measure_files
    from .figures_output import NAMES, write_figures
    from .outputs import check_out
    from .telescopes import named_telescope

    told: dict[str, float | None] = {}
    if given.telescope is not None:
        told.update(asdict(named_telescope(given.telescope)))
    options = {k: v for k, v in given_telescope(given).items() if v is not None}
    if given.psf is not None and (told or options):
        raise LuckyError("--psf says what the telescope would; leave the telescope's options out.")
    if "focal_length_m" in options:
        told.pop("focal_ratio", None)
    recipe = FigureRecipe(given.aperture, given.ring, given.level, given.pixel)
    check_out(given.out, given.overwrite, NAMES)
    meter = Meter()
    notes: list[str] = []
    try:
        measured = measure_files(
            given.images,
            recipe,
            telescope={**told, **options},
            diffraction=None if given.psf is None else Diffraction(*given.psf),
            window=None if given.window is None else Window.centred(*given.window),
            chosen=given.range or slice(None),
            resamples=RESAMPLES if given.bootstrap is None else given.bootstrap,
            progress=meter,
            tell=notes.append,
        )
    finally:
        meter.clear()
    files = write_figures(measured, given.out, report=given.report, overwrite=given.overwrite)
    for note in notes:
        print(note, file=sys.stderr)
    good = [row for row in measured.rows if row.figures is not None]
    for row in good[:3]:
        assert row.figures is not None
        of, errors = row.figures, row.figures.errors
        error = "" if errors is None else f" ± {errors.strehl:.2g}"
        print(
            f"{row.title}: Strehl ratio {of.strehl:.4g}{error}, FWHM {of.fwhm_major:.4g} x "
            f"{of.fwhm_minor:.4g} px"
        )
    more = f"{len(good)} images; " if len(good) > 3 else ""
    print(f"{more}wrote {', '.join(file.name for file in files)} to {given.out}")
    return 0


def run_telescope(given: argparse.Namespace) -> int:
    """Do `napari-lucky telescope`."""
    from .telescopes import (
        remove_telescope,
        save_telescope,
        saved_telescopes,
        telescope_of,
        telescopes_file,
    )

    options = {k: v for k, v in given_telescope(given).items() if v is not None}
    if given.name is None:
        if options or given.remove:
            raise LuckyError("Give the telescope a NAME.")
        saved = saved_telescopes()
        for name, one in saved.items():
            print(f"{name}: {tell_telescope(one)}")
        if not saved:
            print(f"No telescope was saved yet; they are kept in {telescopes_file()}")
        return 0
    if given.remove:
        print(f"Removed {given.name} from {remove_telescope(given.name)}")
        return 0
    if not options:
        saved = saved_telescopes()
        if given.name not in saved:
            raise LuckyError(f"There is no telescope {given.name!r}; give its figures to save it.")
        print(f"{given.name}: {tell_telescope(saved[given.name])}")
        return 0
    telescope = telescope_of(options)
    path = save_telescope(given.name, telescope, overwrite=given.overwrite)
    print(f"Saved {given.name}: {tell_telescope(telescope)}; in {Path(path)}")
    return 0


def tell_telescope(telescope: Any) -> str:
    """Return a telescope's figures in a line."""
    return (
        f"{telescope.wavelength_nm:g} nm, f/{telescope.focal_ratio:g}, pixel "
        f"{telescope.pixel_um:g} um, diameter {telescope.diameter_m:g} m, obstruction "
        f"{telescope.obstruction:g}; lambda F#/pixel {telescope.px_per_lambda_over_d:.4g} px"
    )
