"""Which images are measured: of a folder of results, of files, or frames of a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.execution.job import Job
from napari_lucky.fits.file_names import natural
from napari_lucky.fits.image_result import BESIDE, ImageResult
from napari_lucky.fits.inputs import Inputs, inputs_of_recipe
from napari_lucky.fits.read_back import is_own_file, read_saved
from napari_lucky.fits.run_files import open_run
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.frames.frames import Frames, Subset, frames_in
from napari_lucky.pipeline.build import build_chain
from napari_lucky.pipeline.nights import TABLE as NIGHTS
from napari_lucky.pipeline.recipe import Recipe, read_recipe
from napari_lucky.pipeline.step import Input
from napari_lucky.pipeline.summary import NAME as SUMMARY

STACKS = ("focus", "long_exposure")
"""Of a folder of results, what is a focused star."""


@dataclass(frozen=True, eq=False)
class OpenedImages:
    """What is measured: saved images, or else frames of a run by their numbers in it."""

    images: Sequence[ImageResult]
    header: Any
    frames: Frames | None = None
    numbers: Sequence[int | None] = ()
    name: str = ""
    notes: Sequence[str] = ()


def recipe_of_images(paths: Sequence[str | Path]) -> Recipe:
    """Return the recipe that a folder of results holds; for other images all is as by default."""
    paths = with_nights(paths)
    if len(paths) == 1 and is_results(folder := Path(paths[0])):
        return read_recipe(folder / "recipe.toml")
    return Recipe()


def inputs_of_images(paths: Sequence[str | Path]) -> Inputs:
    """Return what is read to measure images: of a job's results, what the job read as well."""
    files = with_nights(paths)
    inputs: dict[str, Any] = {"images": files}
    if len(files) > 1 and all(is_results(Path(file)) for file in files):
        return {
            f"{what} of {file}": given
            for file in files
            for what, given in inputs_of_images([file]).items()
        }
    if len(files) == 1 and is_results(folder := Path(files[0])):
        names = ("recipe.toml", "frames.csv", *(f"{name}.fits" for name in STACKS))
        inputs = {"results": [folder / name for name in names]}
        with suppress(LuckyError):  # reported where it is read
            inputs.update(inputs_of_recipe(read_recipe(folder / "recipe.toml")))
    return inputs


def with_nights(paths: Sequence[str | Path]) -> list[str | Path]:
    """Return paths with the folders of results in place of a folder of several nights.

    Of all that is in such a folder (results/* of a shell), the tables are left out.
    """
    if any(is_results(Path(path)) for path in paths):
        paths = [path for path in paths if Path(path).name not in (NIGHTS, SUMMARY)]
    found: list[str | Path] = []
    for path in paths:
        of = Path(path)
        nights = sorted(of.iterdir(), key=natural) if os.path.isfile(of / NIGHTS) else []
        found += [night for night in nights if is_results(night)] or [path]
    return found


def is_results(path: Path) -> bool:
    """Return whether a path is a folder with the results of a job."""
    return all(os.path.isfile(path / name) for name in ("recipe.toml", "frames.csv"))


def open_given(
    paths: Sequence[str | Path], folder: Path | None, chosen: slice, given: Input
) -> OpenedImages:
    """Open saved images, or the frames of a run."""
    if folder is not None and is_results(folder):
        files = [folder / f"{name}.fits" for name in STACKS]
        images = [_first_image(file) for file in files if os.path.isfile(file)]
        if not images:
            raise LuckyError(f"{folder}: these results hold neither {' nor '.join(STACKS)}.")
        return OpenedImages(images, images[0].header)
    files = [Path(path) for path in paths]
    if all(os.path.isfile(file) and is_own_file(file) for file in files):
        images = [
            replace(image, name=file.name if number == 0 else f"{file.name} {image.name}")
            for file in files
            for number, image in enumerate(_images(file))
        ]
        if images:
            return OpenedImages(images, images[0].header)
    run = open_run(paths, given.colour, where=given.where)
    index = frames_in(run.shape[0], chosen)
    numbers = [None] if run.shape[0] == 1 else index.tolist()
    name = Path(paths[0]).name or str(paths[0])
    return OpenedImages([], run.header, Subset(run, index), numbers, name, run_notes(run))


def open_run_of(recipe: Recipe, job: Job) -> OpenedImages:
    """Open the frames of a recipe's run, calibrated and cleaned."""
    if not recipe.input.frames:
        raise UsageError("There is nothing to measure: the recipe names no frames.")
    chain = build_chain(recipe, job=job)
    name = Path(recipe.input.frames[0]).name
    return OpenedImages([], chain.header, chain.frames, chain.chosen.tolist(), name, chain.notes)


def _images(file: Path) -> list[ImageResult]:
    return [
        image
        for image in read_saved(file)
        if isinstance(image, ImageResult) and len(image.shape) == 2 and image.name not in BESIDE
    ]


def _first_image(file: Path) -> ImageResult:
    images = _images(file)
    if not images:
        raise LuckyError(f"{file}: this file holds no image.")
    return replace(images[0], name=file.name)
