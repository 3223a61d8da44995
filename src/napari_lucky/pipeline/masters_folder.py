"""The masters of a flat and its dark as files, and their picture: `napari-lucky flat`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky.calibration.flat import (
    NORMALISED,
    SUBTRACTED,
    FlatField,
    check_frame_kind,
    flat_steps,
    header_history,
    kind_notes,
    made_flat,
)
from napari_lucky.calibration.masters import DEAD_BELOW, combined
from napari_lucky.calibration.step import Calibrate, Combine
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.run import Run
from napari_lucky.fits.run_files import open_like, open_run
from napari_lucky.fits.run_notes import file_notes, run_notes
from napari_lucky.fits.write import ignore_note, write_fits
from napari_lucky.frames.history import Record, checksum, open_step
from napari_lucky.pipeline.results_folder import check_out, write_folder
from napari_lucky.pipeline.summary import NAME, summary_of, write_summary
from napari_lucky.plots.flat import FlatDrawing
from napari_lucky.plots.page import page
from napari_lucky.stacking.stack_header import timed_header
from napari_lucky.text import percent

NAMES = ("master_flat.fits", "master_dark.fits", "flat.png", NAME)


def make_masters(
    flat: str | Path,
    out: str | Path,
    dark: str | Path | None = None,
    *,
    combine: Combine = "mean",
    clip_sigma: float = 4.0,
    dead_below: float = DEAD_BELOW,
    row: int | None = None,
    colour: str | None = None,
    overwrite: bool = False,
    job: Job = QUIET,
    notify: Callable[[str], None] = ignore_note,
) -> tuple[FlatField, list[Path]]:
    """Make a master flat, and the master dark if there is a dark, and write them with a picture.

    Used as flat and dark of a run they give what the frames they are made of would have given:
    their history says what is done already.

    Parameters
    ----------
    flat : path
        A file or a folder of frames, ADU.
    out : str or pathlib.Path
        A folder, for master_flat.fits (relative response, median 1, NaN where dead),
        master_dark.fits (ADU) and flat.png.
    dark : path, optional
        A file or a folder of frames of the same exposure, ADU.
    combine : {"mean", "median"}
        How many frames become one; see `master`.
    clip_sigma : float
        Clipping threshold in standard deviations; see `master`.
    dead_below : float
        See `master_flat`.
    row : int, optional
        Row from 0 whose profile is drawn; the middle one if None.
    colour : str, optional
        Of frames in colour; see `open_run`.
    overwrite : bool
        Whether older masters in the folder are replaced.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    notify : callable, optional
        Called with a sentence for the user: which files were left out.

    Returns
    -------
    field, files
        The `FlatField` and the files written.

    Raises
    ------
    LuckyError
        If something given cannot be used, the folder holds masters and `overwrite` is false, or
        one of them is an input; then nothing in it has changed.
    """
    out = Path(out)
    notices: list[str] = []

    def report(text: str) -> None:
        notices.append(text)
        notify(text)

    Calibrate(combine=combine, clip_sigma=clip_sigma, dead_below=dead_below)  # raises if wrong
    inputs = {"flat": flat, "dark": dark}
    check_out(out, overwrite, NAMES, inputs)
    run = open_run(flat, colour, kind="flat")
    dark_run = None if dark is None else open_like(dark, run, "dark")
    for text in run_notes(run) if run.colour else file_notes(run):
        report(text)
    for text in [] if dark_run is None else file_notes(dark_run):
        report(text)
    for text in (*kind_notes(flat, "flat", run), *kind_notes(dark, "dark", dark_run)):
        report(text)
    check_frame_kind(run, "flat")
    if dark_run is not None:
        check_frame_kind(dark_run, "dark")
    done = {step.name for step in header_history(run)}
    if NORMALISED in done:
        raise LuckyError(f"{flat}: this is a master flat already; use it as it is, as --flat.")
    level = None
    if dark_run is not None:
        level = combined(dark_run, combine, clip_sigma, job=job, what="dark")
    field = FlatField(*made_flat(run, level, combine, clip_sigma, dead_below, job=job))
    row = field.check_row(row)

    parameters = {"method": combine, "clip_sigma": clip_sigma, "frames": run.shape[0]}
    images = {}
    of_dark = None
    if dark_run is not None and level is not None:
        of_dark = {"name": Path(dark_run.name).name, "master_sha256": checksum(level)}
        step = Record("combine dark", {**parameters, "frames": dark_run.shape[0]})
        images["master_dark"] = _image(level, "master dark", dark_run, (step,))
    taken = None if SUBTRACTED in done else of_dark
    steps = flat_steps(field, {**parameters, "dead_below": dead_below}, taken)
    images["master_flat"] = _image(field.response, "master flat", run, steps)

    def write(folder: Path) -> None:
        for name, image in images.items():
            write_fits(folder / f"{name}.fits", [image])
        write_flat_picture(folder / "flat.png", field, row, run.name)
        made = summary_of(
            "flat",
            describe_flat(field),
            inputs=inputs,
            counts={"flats": run.shape[0], "darks": dark_run.shape[0] if dark_run else 0},
            figures={"median_adu": field.level, "rms": field.rms, "dead_pixels": field.dead},
            notices=notices,
        )
        write_summary(folder, made)

    return field, write_folder(out, write, NAMES, overwrite, inputs)


def describe_flat(field: FlatField) -> str:
    """Return the figures of a flat in a sentence."""
    return f"Flat: median {field.level:.5g} ADU, rms {percent(field.rms)}, {field.dead} dead pixels"


def _image(pixels: Any, name: str, run: Run, steps: tuple[Record, ...]) -> ImageResult:
    header = timed_header(run.header.copy(), run.header, run, np.arange(run.shape[0]))
    if name == "master flat":
        header["BUNIT"] = ("", "relative response")
    history = (*header_history(run), open_step(run), *steps)
    return ImageResult(pixels, name, header, history, combined=run.shape[0])


def write_flat_picture(path: Path, field: FlatField, row: int, name: str) -> None:
    """Draw the flat before and after its normalisation, a row of each, and a histogram.

    Raises
    ------
    LuckyError
        If the file cannot be written.
    """
    with page(path, (13, 7), name) as figure:
        FlatDrawing(figure, field, row, page=True)
