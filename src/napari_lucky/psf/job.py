"""`napari-lucky figures`: which images are measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import blocks_of, map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.inputs import Inputs, inputs_of_recipe
from napari_lucky.fits.read_back import is_ours, read_saved
from napari_lucky.fits.run import open_run
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.fits.write import BESIDE, ImageResult, ignore_note
from napari_lucky.frames.frames import Frames, frames_in
from napari_lucky.frames.window import Window
from napari_lucky.notices import info
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.optics.telescope import Telescope
from napari_lucky.optics.telescope_header import header_doubts, header_telescope
from napari_lucky.optics.telescope_store import (
    diffraction_of,
    known_optics,
    no_strehl,
    telescope_notes,
    telescope_of,
)
from napari_lucky.pipeline.recipe import read_recipe
from napari_lucky.psf.bootstrap import RESAMPLES, check_resamples
from napari_lucky.psf.figures import psf_figures
from napari_lucky.psf.folders import Circles, measure_folders
from napari_lucky.psf.recipe import PsfRecipe
from napari_lucky.psf.stacks import on_finer, with_errors
from napari_lucky.psf.table import FigureRow, sentence

MOST_CAUTIONED = 3
"""Images whose cautions are listed one by one."""
PILOTS = 9
"""Frames of a run whose apertures are tried."""
NO_FLUX = ("fourier", "median")
"""Stacks that are no mean of their frames."""
STACKS = ("focus", "long_exposure")
"""Of a folder of results, what is a focused star."""


@dataclass(frozen=True, eq=False)
class MeasuredImages:
    """What `measure_psf_files` makes.

    Parameters
    ----------
    rows : tuple of FigureRow
        A row an image or frame.
    inputs : tuple of str
        The files.
    diffraction : Diffraction or None
        The diffraction-limited PSF on the sensor; None where the optics are not known.
    telescope : Telescope, optional
        None where not all of it is known.
    recipe : PsfRecipe
        As asked for; each row has the radii used.
    """

    rows: tuple[FigureRow, ...]
    inputs: tuple[str, ...]
    diffraction: Diffraction | None
    telescope: Telescope | None
    recipe: PsfRecipe


def measure_psf_files(
    paths: Sequence[str | Path],
    recipe: PsfRecipe = PsfRecipe(),
    *,
    telescope: Mapping[str, float | None] | None = None,
    diffraction: Diffraction | None = None,
    window: Window | None = None,
    chosen: slice = slice(None),
    resamples: int = RESAMPLES,
    colour: str | None = None,
    where: str | None = None,
    job: Job = QUIET,
    notify: Callable[[str], None] = ignore_note,
) -> MeasuredImages:
    """Measure the figures of images in files, or of the stacks that `napari-lucky process` left.

    Parameters
    ----------
    paths : sequence of paths
        The folder of results of an earlier job: its focus.fits and long_exposure.fits are
        measured, with errors from the frames of the run they were made of. Or images that this
        program saved, one a file or several. Or the frames of a run: a folder, a cube, files.
    recipe : PsfRecipe
        Aperture, ring, pixel, in pixels of the image; of a drizzled image, of the sensor.
    telescope : mapping, optional
        What is known of it (`telescope_of`); the FITS header tells the rest. Without wavelength,
        focal ratio and pixel there is no Strehl ratio, which is said.
    diffraction : Diffraction, optional
        The diffraction-limited PSF instead.
    window : Window, optional
        Where on the images the star is.
    chosen : slice
        Which frames, where they are a run's.
    resamples : int
        Of the bootstrap, where there are frames; 0 for no errors.
    colour : str, optional
        Of frames in colour; see `open_run`.
    where : str, optional
        Only the frames whose headers say so; see `open_run`.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    notify : callable, optional
        Called with a sentence for the user.

    Raises
    ------
    LuckyError
        If something given cannot be used, or nothing could be measured.
    """
    if resamples:
        check_resamples(resamples)
    if len(paths) > 1 and all(_is_results(Path(path)) for path in paths):
        return _measure_several(
            paths, recipe, telescope or {}, diffraction, window, resamples, job, notify
        )
    folder = Path(paths[0]) if len(paths) == 1 else None
    images, frames, numbers, header = _open(paths, folder, chosen, (colour, where), notify)
    known: Telescope | None = None
    doubts: tuple[str, ...] = ()
    if diffraction is None:
        diffraction, known, doubts = optics_for(header, telescope or {})
    for image in images:
        (window or Window.whole(image.shape)).check_on(image.shape)
    shared = _one_aperture(images, frames, numbers, window, diffraction, recipe)
    if shared is not recipe:
        px = f"{shared.aperture or 0:.4g} px"
        if diffraction is not None:
            px = f"{(shared.aperture or 0) / diffraction.sampling:.3g} lambda/D ({px})"
        notify(info(f"All were measured with one aperture, {px}."))
    rows = [_image_row(image, window, diffraction, shared) for image in images]
    rows += _measure_run(frames, numbers, window, diffraction, shared, str(paths[0]), job)
    if folder is not None and _is_results(folder) and resamples:
        rows = with_errors(folder, images, rows, window, resamples, notify, job)
    rows = [replace(row, telescope=known) for row in rows]
    lost = [row for row in rows if row.figures is None]
    if len(lost) == len(rows):
        raise LuckyError(f"{rows[0].title}: {rows[0].why}")
    for note in _told_cautions(rows):
        notify(note)
    for why in sorted({row.why for row in lost}):
        some = [row.title for row in lost if row.why == why]
        notify(f"Not measured: {', '.join(some[:3])}{' …' if some[3:] else ''}: {why}")
    for note in doubts:
        notify(note)
    if diffraction is not None and diffraction.sampling < 2:
        notify(
            f"lambda F#/pixel is {diffraction.sampling:.3g}: under 2 the pixels do not tell the "
            "peak between them, and the Strehl ratio depends on where the star is on its pixel."
        )
    return MeasuredImages(tuple(rows), tuple(map(str, paths)), diffraction, known, recipe)


def _measure_several(
    paths: Sequence[str | Path],
    recipe: PsfRecipe,
    telescope: Mapping[str, float | None],
    diffraction: Diffraction | None,
    window: Window | None,
    resamples: int,
    job: Job,
    notify: Callable[[str], None],
) -> MeasuredImages:
    """Measure the stacks of several jobs, with errors, at one aperture for all."""
    made: dict[Path, MeasuredImages] = {}

    def measure(
        folder: Path, circles: Circles | None, errors: bool, told: Callable[[str], None]
    ) -> Sequence[FigureRow]:
        by = recipe if circles is None else with_circles(recipe, circles)
        made[folder] = measure_psf_files(
            [folder],
            by,
            telescope=telescope,
            diffraction=diffraction,
            window=window,
            resamples=resamples if errors else 0,
            job=job,
            notify=told,
        )
        return made[folder].rows

    rows = measure_folders(paths, measure, one_aperture=recipe.aperture is None, notify=notify)
    if all(row.figures is None for row in rows):
        raise LuckyError(f"{rows[0].title}: {rows[0].why}")
    optics = {one.diffraction for one in made.values()}
    scopes = {one.telescope for one in made.values()}
    return MeasuredImages(
        tuple(rows),
        tuple(map(str, paths)),
        optics.pop() if len(optics) == 1 else None,
        scopes.pop() if len(scopes) == 1 else None,
        recipe,
    )


def with_circles(recipe: PsfRecipe, circles: Circles) -> PsfRecipe:
    """Return a recipe with these radii, but for a ring or a background that was given."""
    aperture, ring = circles
    if recipe.ring is not None or recipe.background is not None:
        ring = recipe.ring
    return replace(recipe, aperture=aperture, ring=ring)


def figures_of_folder(
    folder: Path, telescope: Mapping[str, float | None], circles: Circles | None
) -> tuple[FigureRow, ...]:
    """Return the figures of a job's stacks, without errors."""
    by = PsfRecipe() if circles is None else with_circles(PsfRecipe(), circles)
    return measure_psf_files([folder], by, telescope=telescope, resamples=0).rows


def optics_for(
    header: Any, given: Mapping[str, float | None]
) -> tuple[Diffraction | None, Telescope | None, tuple[str, ...]]:
    """Return the diffraction-limited PSF, the telescope, and what is doubtful or lacks.

    Parameters
    ----------
    header : mapping or astropy.io.fits.Header, optional
        Of the images.
    given : mapping
        What is known of the telescope (`telescope_of`); it wins over the header.
    """
    told = header_telescope(header)
    diffraction = diffraction_of(told, given)
    if diffraction is None:
        return None, None, (*header_doubts(header), no_strehl(told, given))
    whole = "diameter_m" in known_optics(told, given)
    return (
        diffraction,
        telescope_of(told, given) if whole else None,
        telescope_notes(header, given),
    )


def inputs_of_images(paths: Sequence[str | Path]) -> Inputs:
    """Return what is read to measure images: of a job's results, what the job read as well."""
    files: list[str | Path] = list(paths)
    inputs: dict[str, Any] = {"images": files}
    if len(files) > 1 and all(_is_results(Path(file)) for file in files):
        return {
            f"{what} of {file}": given
            for file in files
            for what, given in inputs_of_images([file]).items()
        }
    if len(files) == 1 and _is_results(folder := Path(files[0])):
        names = ("recipe.toml", "frames.csv", *(f"{name}.fits" for name in STACKS))
        inputs = {"results": [folder / name for name in names]}
        with suppress(LuckyError):  # told where it is read
            inputs.update(inputs_of_recipe(read_recipe(folder / "recipe.toml")))
    return inputs


def _is_results(path: Path) -> bool:
    return all(os.path.isfile(path / name) for name in ("recipe.toml", "frames.csv"))


def _open(
    paths: Sequence[str | Path],
    folder: Path | None,
    chosen: slice,
    choice: tuple[str | None, str | None],
    notify: Callable[[str], None],
) -> tuple[list[ImageResult], Frames | None, NDArray[np.intp], Any]:
    """Return saved images, or the frames of a run and their numbers; and a header."""
    none = np.array([], np.intp)
    if folder is not None and _is_results(folder):
        files = [folder / f"{name}.fits" for name in STACKS]
        images = [_first_image(file) for file in files if os.path.isfile(file)]
        if not images:
            raise LuckyError(f"{folder}: these results hold neither {' nor '.join(STACKS)}.")
        return images, None, none, images[0].header
    files = [Path(path) for path in paths]
    if all(os.path.isfile(file) and is_ours(file) for file in files):
        images = [
            replace(image, name=file.name if number == 0 else f"{file.name} {image.name}")
            for file in files
            for number, image in enumerate(_images(file))
        ]
        if images:
            return images, None, none, images[0].header
    colour, where = choice
    run = open_run(paths, colour, where=where)
    for text in run_notes(run):
        notify(text)
    numbers = frames_in(run.shape[0], chosen)
    return [], run, numbers, run.header


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


def _told_cautions(rows: Sequence[FigureRow]) -> list[str]:
    """Return a sentence for each caution, or one for all where there are many images."""
    doubtful = [row for row in rows if row.figures is not None and row.figures.cautions]
    if len(doubtful) > MOST_CAUTIONED:
        return [
            f"Strehl ratios of {len(doubtful)} of {len(rows)} images are doubtful: see the column "
            "cautions."
        ]
    return [
        f"{row.title}: {sentence(caution)}"
        for row in doubtful
        if row.figures is not None
        for caution in row.figures.cautions
    ]


def _one_aperture(
    images: Sequence[ImageResult],
    frames: Frames | None,
    numbers: NDArray[np.intp],
    window: Window | None,
    diffraction: Diffraction | None,
    recipe: PsfRecipe,
) -> PsfRecipe:
    """Return the recipe with one aperture for all images, if none was given.

    It is the smallest that one of the images would have; of frames, the one in the middle of
    those that some of them, spread over the run, would have.
    """
    if recipe.aperture is not None:
        return recipe
    rows = [(_image_row(image, window, diffraction, recipe), image.scale) for image in images]
    if frames is not None and len(numbers) > 1:
        some = numbers[np.linspace(0, len(numbers) - 1, min(PILOTS, len(numbers))).astype(int)]
        made = _measure_run(frames, some, window, diffraction, recipe, "", QUIET)
        rows += [(row, 1.0) for row in made]
    if len(rows) < 2:
        return recipe
    found = sorted(
        (
            ((row.figures.recipe.aperture or 0) / scale, row.figures.recipe.ring, scale)
            for row, scale in rows
            if row.figures is not None
        ),
        key=lambda one: one[0],
    )
    if not found:
        return recipe
    aperture, ring, scale = found[0 if frames is None else len(found) // 2]
    if ring is not None:
        ring = (ring[0] / scale, ring[1] / scale)
    return replace(recipe, aperture=aperture, ring=ring)


def _image_row(
    image: ImageResult,
    window: Window | None,
    diffraction: Diffraction | None,
    recipe: PsfRecipe,
) -> FigureRow:
    """Measure a saved image."""
    row = _row(image.name, None, np.asarray(image.data), window, diffraction, recipe, image.scale)
    methods = [str(s.parameters.get("method")) for s in image.history if s.name == "stack"]
    if row.figures is None or not methods or methods[-1] == "mean":
        return row
    figures = row.figures
    if methods[-1] in (*NO_FLUX, "drizzle"):  # whose noise is not that of single pixels
        figures = replace(figures, errors=None)
    if methods[-1] in NO_FLUX:
        why = f"a stack by {methods[-1]} does not keep a star's light as a mean does"
        figures = replace(figures, cautions=(*figures.cautions, why))
    return replace(row, figures=figures)


def _row(
    name: str,
    frame: int | None,
    pixels: NDArray[Any],
    window: Window | None,
    diffraction: Diffraction | None,
    recipe: PsfRecipe,
    scale: float = 1.0,
) -> FigureRow:
    try:
        finer, recipe = on_finer(diffraction, recipe, scale)
        figures = psf_figures(pixels, finer, recipe=recipe, window=window)
    except LuckyError as error:
        return FigureRow(name, frame, None, str(error), scale)
    return FigureRow(name, frame, figures, "", scale)


def _measure_run(
    frames: Frames | None,
    numbers: NDArray[np.intp],
    window: Window | None,
    diffraction: Diffraction | None,
    recipe: PsfRecipe,
    source: str,
    job: Job,
) -> list[FigureRow]:
    """Measure each frame of a run."""
    if frames is None:
        return []
    name, run = Path(source).name or source, frames
    near = window or Window.whole(run.shape)
    near.check_on(run.shape)
    # circles around a star at the window's edge reach half a window beyond it
    seen = Window(
        near.y0 - near.height // 2, near.x0 - near.width // 2, 2 * near.height, 2 * near.width
    ).clipped(run.shape)
    inside = Window(near.y0 - seen.y0, near.x0 - seen.x0, near.height, near.width)

    def measure(block: slice) -> list[FigureRow]:
        pixels = run.read(numbers[block], seen)
        return [
            _moved(_row(name, int(number), image, inside, diffraction, recipe), seen)
            for number, image in zip(numbers[block], pixels, strict=True)
        ]

    blocks = blocks_of(len(numbers), seen.height * seen.width)
    rows = [
        row for made in map_blocks(measure, blocks, what="PSF figures", job=job) for row in made
    ]
    if run.shape[0] == 1:
        rows = [replace(row, frame=None) for row in rows]
    return rows


def _moved(row: FigureRow, seen: Window) -> FigureRow:
    """Return figures of what a window holds with the peak's place on the whole frame."""
    if row.figures is None:
        return row
    y, x = row.figures.centre
    return replace(row, figures=replace(row.figures, centre=(y + seen.y0, x + seen.x0)))
