"""The command line `napari-lucky export`."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_lucky.cli.options import folder
from napari_lucky.cli.terminal import names_of, say
from napari_lucky.errors import DONE, LuckyError, UsageError

FORMATS = {"tiff": ".tif", "tiff16": ".tif", "png": ".png", "regions": ".reg"}
"""Formats, and how their files are called."""
ABOUT = """Write images for programs that do not read FITS, or windows for DS9.

tiff has 32-bit floats, as exact as the FITS file. tiff16 has 16-bit integers: 0 is masked, \
and the image description says how levels become ADU. png is for viewing, with the contrast in \
which napari opens the image. A run becomes a TIFF of one page per frame, or a PNG of its first \
frame. regions writes the windows of a recipe.toml."""


def add_export(export: Any) -> None:
    """Add the options of `napari-lucky export`."""
    export.description = ABOUT
    add = export.add_argument
    add("files", nargs="+", metavar="FILES", help="files, a run, or OUT of process")
    add("--as", dest="format", required=True, choices=list(FORMATS), help="format")
    add("--limits", type=limits, metavar="LOW,HIGH", help="png: what is black and white, in ADU")
    add("--overwrite", action="store_true", help="replace files that OUT already holds")
    add("-o", "--out", required=True, type=folder, metavar="OUT", help="folder for the files")


def limits(text: str) -> tuple[float, float]:
    """Return (low, high) of LOW,HIGH."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise argparse.ArgumentTypeError(f"{text!r} is not LOW,HIGH, such as 100,4000")
    return low, high


def run_export(given: argparse.Namespace) -> int:
    """Do `napari-lucky export`."""
    from napari_lucky.pipeline.results_folder import write_folder

    if given.limits is not None and given.format != "png":
        raise UsageError("--limits is only for --as png.")
    given_paths = [Path(file) for file in given.files]
    sources = [one for path in given_paths for one in _expanded(path, given.format)]
    names = [_stem(source) + FORMATS[given.format] for source in sources]
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise UsageError(f"Several FILES would be written as {twice[0]}; export them one by one.")

    def write(work: Path) -> None:
        for source, name in zip(sources, names, strict=True):
            _writer(given)(source, work / name)

    inputs = {f"FILES {source}": source for source in sources}
    files = write_folder(given.out, write, names, given.overwrite, inputs)
    say(f"Wrote {names_of(files)} to {given.out}")
    return DONE


def _expanded(path: Path, form: str) -> list[Path]:
    """Return the files that are meant: of a folder of results its images, or its recipe."""
    recipe = path / "recipe.toml"
    if not recipe.is_file():
        return [path]
    images = [path / f"{name}.fits" for name in ("focus", "defocus", "long_exposure")]
    return [recipe] if form == "regions" else [image for image in images if image.is_file()]


def _stem(path: Path) -> str:
    from napari_lucky.fits.file_names import stem_of

    return stem_of(path.absolute())


def _writer(given: argparse.Namespace) -> Callable[[Path, Path], None]:
    def regions(source: Path, path: Path) -> None:
        from napari_lucky.fits.regions import region_file, window_region
        from napari_lucky.fits.write import write_text
        from napari_lucky.pipeline.recipe import read_recipe

        recipe = read_recipe(source)
        windows = {name: recipe.window(name) for name in ("focus", "defocus")}
        lines = [window_region(window, name) for name, window in windows.items() if window]
        if not lines:
            raise LuckyError(f"{source}: this recipe has no window.")
        write_text(path, region_file(lines))

    def tiff(source: Path, path: Path) -> None:
        from napari_lucky.fits.tiff import write_tiff

        write_tiff(path, _pixels(source), 16 if given.format == "tiff16" else 32, _stem(source))

    def png(source: Path, path: Path) -> None:
        from napari_lucky.frames.frames import ArrayFrames
        from napari_lucky.plots.picture import write_picture
        from napari_lucky.viewer.to_layers import contrast_of

        pixels = _pixels(source)
        image = pixels if len(pixels.shape) == 2 else pixels.read(slice(1))[0]
        write_picture(path, image, given.limits or contrast_of(ArrayFrames(image)))

    return {"regions": regions, "png": png}.get(given.format, tiff)


def _pixels(path: Path) -> Any:
    """Return the first image of a file of this program, or a run; of one frame, the image."""
    from napari_lucky.fits.image_result import ImageResult
    from napari_lucky.fits.read_back import is_own_file, read_saved
    from napari_lucky.fits.run_files import open_run

    if path.is_file() and is_own_file(path):
        images = [one.data for one in read_saved(path) if isinstance(one, ImageResult)]
        if not images:
            raise LuckyError(f"{path}: this file holds no image.")
        return images[0]
    run = open_run(path)
    return run.read(slice(1))[0] if run.shape[0] == 1 else run
