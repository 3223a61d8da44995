"""What a stack's figures need beside its image: the frames that it is made of, and its scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.fits.frame_table import FrameTable, table_from_csv
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.frames.frames import Frames
from napari_lucky.frames.history import History
from napari_lucky.frames.window import Window
from napari_lucky.imaging.shifts import Shifted
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.pipeline.build import build_chain
from napari_lucky.pipeline.recipe import read_recipe
from napari_lucky.psf.bootstrap import bootstrap_figures
from napari_lucky.psf.recipe import PsfRecipe
from napari_lucky.psf.table import FigureRow


def on_finer(
    diffraction: Diffraction | None, recipe: PsfRecipe, scale: float
) -> tuple[Diffraction | None, PsfRecipe]:
    """Return PSF and recipe in pixels of an image that has `scale` pixels a pixel of the sensor."""
    if scale == 1:
        return diffraction, recipe
    finer = diffraction and replace(diffraction, sampling=diffraction.sampling * scale)
    return finer, recipe.changed(
        aperture=None if recipe.aperture is None else recipe.aperture * scale,
        ring=None if recipe.ring is None else (recipe.ring[0] * scale, recipe.ring[1] * scale),
        integration=recipe.integration * scale,
    )


def stacked_frames(
    frames: Frames, table: FrameTable, history: History
) -> tuple[Frames, NDArray[np.intp], Window]:
    """Return the frames that a stack is the mean of, shifted as it says, and its window.

    Parameters
    ----------
    frames : Frames
        Calibrated, not shifted.
    table : FrameTable
        A row for each of them.
    history : tuple of Record
        The stack's.

    Raises
    ------
    LuckyError
        If it is no mean, or of other frames.
    """
    made = [step.parameters | step.facts for step in history if step.name == "stack"]
    if not made:
        raise LuckyError("This image is not a stack: errors come from the frames of a stack.")
    step = made[-1]
    if step["method"] != "mean":
        raise LuckyError(
            f"Errors are those of a mean of frames, and this is a stack by {step['method']}. "
            "Stack the mean, or measure without errors."
        )
    window = Window(*step["window"])
    found = table.found
    choices = [table.selected & found, found] if step["shifted"] else [found]
    for some in choices:
        if some.sum() == step["frames"]:
            shifted = Shifted(frames, table.shifts, step["subpixel"]) if step["shifted"] else frames
            return shifted, np.flatnonzero(some), window
    raise LuckyError(
        f"The stack was made of {step['frames']} frames, but {choices[0].sum()} are kept now. "
        "Stack again, or choose the shifts that it was made with."
    )


def with_errors(
    folder: Path,
    images: Sequence[ImageResult],
    rows: list[FigureRow],
    window: Window | None,
    resamples: int,
    notify: Callable[[str], None],
    job: Job,
) -> list[FigureRow]:
    """Return the rows with errors from the frames that the images are stacks of."""
    recipe = read_recipe(folder / "recipe.toml")
    try:
        chain = build_chain(recipe, job=job)
    except LuckyError as error:
        raise LuckyError(
            f"Errors come from the frames of the run. {error} Give --bootstrap 0 to measure "
            "without errors."
        ) from error
    saved = table_from_csv(folder / "frames.csv")
    if len(saved.frame) != len(chain.chosen) or (saved.frame != chain.chosen).any():
        raise LuckyError(
            f"{folder}: frames.csv belongs to other frames than recipe.toml; errors need both as "
            "`napari-lucky process` left them. Give --bootstrap 0 to measure without errors."
        )
    made = []
    for image, row in zip(images, rows, strict=True):
        try:
            if row.figures is None:
                raise LuckyError("it was not measured.")
            frames, index, place = stacked_frames(chain.frames, saved, image.history)
            mean = bootstrap_figures(
                frames,
                index,
                place,
                diffraction=row.figures.diffraction,
                recipe=row.figures.recipe,
                near=window,
                resamples=resamples,
                job=job,
            )
            row = replace(row, figures=replace(row.figures, errors=mean.errors))
        except LuckyError as error:
            notify(f"{row.name} has no errors: {error}")
        made.append(row)
    return made
