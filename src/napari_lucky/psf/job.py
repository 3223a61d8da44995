"""`napari-lucky figures`: the figures of images, or of frames of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import blocks_of, map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.write import ignore_note
from napari_lucky.frames.window import Window
from napari_lucky.notices import info
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.optics.request import TelescopeRequest, known_telescope
from napari_lucky.optics.telescope import Telescope
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.psf.figures import psf_figures
from napari_lucky.psf.folders import Circles, measure_folders
from napari_lucky.psf.images import (
    OpenedImages,
    is_results,
    open_given,
    open_run_of,
    recipe_of_images,
    with_nights,
)
from napari_lucky.psf.optics import complete_telescope, optics_for
from napari_lucky.psf.recipe import PsfRecipe, PsfRequest
from napari_lucky.psf.stacks import on_finer, with_errors
from napari_lucky.psf.table import FigureRow, aperture_text, sentence

MOST_CAUTIONED = 3
"""Images whose cautions are listed one by one."""
PILOTS = 9
"""Frames of a run whose apertures are tried."""
NO_FLUX = ("fourier", "median")
"""Stacks that are no mean of their frames."""


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
    telescope : TelescopeRequest or None
        All that is known of it, the header's figures included; None where the PSF was given.
    request : PsfRequest
        As asked for; each row has the radii used.
    """

    rows: tuple[FigureRow, ...]
    inputs: tuple[str, ...]
    diffraction: Diffraction | None
    telescope: TelescopeRequest | None
    request: PsfRequest


def measure_psf_files(
    paths: Sequence[str | Path] = (),
    recipe: Recipe | None = None,
    *,
    chosen: slice = slice(None),
    job: Job = QUIET,
    notify: Callable[[str], None] = ignore_note,
) -> MeasuredImages:
    """Measure the figures of images in files, or of the stacks that `napari-lucky process` left.

    Parameters
    ----------
    paths : sequence of paths
        The folder of results of an earlier job: its focus.fits and long_exposure.fits are
        measured, with errors from the frames of the run they were made of; also several, or a
        folder of nights. Or images that this
        program saved, one a file or several. Or the frames of a run as they are: a folder, a cube,
        files. None: the recipe's run, calibrated and cleaned as it says, in its focus window.
    recipe : Recipe, optional
        Its `PsfRequest` and `TelescopeRequest` are used, with radii in pixels of the sensor; where
        the paths are a run, its `colour` and `where` as well. That of the folder of results, or
        else defaults, if not given. The FITS header fills in what is not known of the telescope.
        Without wavelength, focal ratio and pixel there is no Strehl ratio, which is said.
    chosen : slice
        Which frames, where the paths are a run.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    notify : callable, optional
        Called with a sentence for the user.

    Returns
    -------
    MeasuredImages
        A row for each image, with its figures or why there are none.

    Raises
    ------
    LuckyError
        If something given cannot be used, or nothing could be measured.
    """
    paths = with_nights(paths)
    recipe = recipe_of_images(paths) if recipe is None else recipe
    if len(paths) > 1 and all(is_results(Path(path)) for path in paths):
        return _measure_several(paths, recipe, job, notify)
    folder = Path(paths[0]) if len(paths) == 1 else None
    request = recipe.get(PsfRequest) or PsfRequest()
    window, asked, diffraction = request.near, request.recipe, request.diffraction
    if paths:
        opened = open_given(paths, folder, chosen, recipe.input)
    else:
        opened = open_run_of(recipe, job)
        window = window or recipe.window("focus")
    for note in opened.notes:
        notify(note)
    telescope: TelescopeRequest | None = None
    whole: Telescope | None = None
    doubts: tuple[str, ...] = ()
    if diffraction is None:
        given = known_telescope(recipe.get(TelescopeRequest))
        diffraction, whole, doubts = optics_for(opened.header, given)
        telescope = complete_telescope(opened.header, given)
    for image in opened.images:
        (window or Window.whole(image.shape)).check_on(image.shape)
    shared = _one_aperture(opened, window, diffraction, asked)
    if shared is not asked:
        aperture = aperture_text(shared.aperture or 0, diffraction)
        notify(info(f"All images have the same {aperture}."))
    rows = [_image_row(image, window, diffraction, shared) for image in opened.images]
    rows += _measure_run(opened, range(len(opened.numbers)), window, diffraction, shared, job)
    if folder is not None and is_results(folder) and request.resamples:
        rows = with_errors(folder, opened.images, rows, window, request.resamples, notify, job)
    rows = [replace(row, telescope=whole) for row in rows]
    lost = [row for row in rows if row.figures is None]
    if len(lost) == len(rows):
        raise LuckyError(f"{rows[0].title}: {rows[0].why}")
    for note in _caution_notes(rows):
        notify(note)
    for why in sorted({row.why for row in lost}):
        some = [row.title for row in lost if row.why == why]
        notify(f"Not measured: {', '.join(some[:3])}{' …' if some[3:] else ''}: {why}")
    for note in doubts:
        notify(note)
    if diffraction is not None and diffraction.sampling < 2:
        notify(
            f"The sampling is {diffraction.sampling:.3g} px per λ/D: under 2 the pixels do "
            f"not show the peak between them, and the Strehl ratio depends on where the star is on "
            "its pixel."
        )
    inputs = tuple(map(str, paths or recipe.input.frames))
    return MeasuredImages(tuple(rows), inputs, diffraction, telescope, request)


def _measure_several(
    paths: Sequence[str | Path], recipe: Recipe, job: Job, notify: Callable[[str], None]
) -> MeasuredImages:
    """Measure the stacks of several jobs, with errors, at one aperture for all.

    Where the recipe says nothing of the telescope, each job's own recipe does.
    """
    request = recipe.get(PsfRequest) or PsfRequest()
    made: dict[Path, MeasuredImages] = {}

    def measure(
        folder: Path, circles: Circles | None, errors: bool, report: Callable[[str], None]
    ) -> Sequence[FigureRow]:
        by = request if circles is None else with_circles(request, circles)
        by = by if errors else by.changed(resamples=0)
        known = recipe.get(TelescopeRequest) or recipe_of_images([folder]).get(TelescopeRequest)
        asked = Recipe(None, by, *([] if known is None else [known]))
        made[folder] = measure_psf_files([folder], asked, job=job, notify=report)
        return made[folder].rows

    rows = measure_folders(paths, measure, one_aperture=request.aperture is None, notify=notify)
    if all(row.figures is None for row in rows):
        raise LuckyError(f"{rows[0].title}: {rows[0].why}")
    optics = {one.diffraction for one in made.values()}
    scopes = {one.telescope for one in made.values()}
    return MeasuredImages(
        tuple(rows),
        tuple(map(str, paths)),
        optics.pop() if len(optics) == 1 else None,
        scopes.pop() if len(scopes) == 1 else None,
        request,
    )


def with_circles(request: PsfRequest, circles: Circles) -> PsfRequest:
    """Return a request with these radii, but for a ring or a background that was given."""
    aperture, ring = circles
    if request.ring is not None or request.background is not None:
        ring = request.ring
    return request.changed(aperture=aperture, ring=ring)


def figures_of_folder(
    folder: Path, telescope: Mapping[str, float | None], circles: Circles | None
) -> tuple[FigureRow, ...]:
    """Return the figures of a job's stacks, without errors."""
    plain = PsfRequest(resamples=0)
    by = plain if circles is None else with_circles(plain, circles)
    figures: dict[str, Any] = dict(telescope)
    known = [TelescopeRequest(**figures)] if figures else []
    return measure_psf_files([folder], Recipe(None, by, *known)).rows


def _caution_notes(rows: Sequence[FigureRow]) -> list[str]:
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
    opened: OpenedImages,
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
    images, n = opened.images, len(opened.numbers)
    rows = [(_image_row(image, window, diffraction, recipe), image.scale) for image in images]
    if n > 1:
        some = np.linspace(0, n - 1, min(PILOTS, n)).astype(int).tolist()
        made = _measure_run(opened, some, window, diffraction, recipe, QUIET)
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
    aperture, ring, scale = found[0 if images else len(found) // 2]
    if ring is not None:
        ring = (ring[0] / scale, ring[1] / scale)
    return recipe.changed(aperture=aperture, ring=ring)


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
    opened: OpenedImages,
    places: Sequence[int],
    window: Window | None,
    diffraction: Diffraction | None,
    recipe: PsfRecipe,
    job: Job,
) -> list[FigureRow]:
    """Measure frames of a run, by their places among those opened."""
    if opened.frames is None:
        return []
    run, name = opened.frames, opened.name
    near = window or Window.whole(run.shape)
    near.check_on(run.shape)
    # circles around a star at the window's edge reach half a window beyond it
    seen = Window(
        near.y0 - near.height // 2, near.x0 - near.width // 2, 2 * near.height, 2 * near.width
    ).clipped(run.shape)
    inside = near.within(seen)

    def measure(block: slice) -> list[FigureRow]:
        some = places[block]
        pixels = run.read(np.array(some, np.intp), seen)
        return [
            _moved(_row(name, opened.numbers[k], image, inside, diffraction, recipe), seen)
            for k, image in zip(some, pixels, strict=True)
        ]

    blocks = blocks_of(len(places), seen.height * seen.width)
    return [
        row for made in map_blocks(measure, blocks, what="PSF figures", job=job) for row in made
    ]


def _moved(row: FigureRow, seen: Window) -> FigureRow:
    """Return figures of what a window holds with the peak's place on the whole frame."""
    if row.figures is None:
        return row
    y, x = row.figures.centre
    return replace(row, figures=replace(row.figures, centre=(y + seen.y0, x + seen.x0)))
