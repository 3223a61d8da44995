"""The dark and the flat of a job opened: those that are named, or those beside the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_lucky.calibration.flat import kind_notes
from napari_lucky.calibration.step import MASTERS, Calibrate
from napari_lucky.errors import LuckyError
from napari_lucky.fits.beside import FoundCalibration, find_calibration, setting_notes
from napari_lucky.fits.file_names import one_place
from napari_lucky.fits.frame_kind import Kind
from napari_lucky.fits.plain_files import paths_of
from napari_lucky.fits.run import Run
from napari_lucky.fits.run_files import open_like, open_run
from napari_lucky.fits.run_notes import file_notes
from napari_lucky.frames.frames import Frames, chain_of
from napari_lucky.frames.history import History
from napari_lucky.notices import Notice
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.steps.option_text import OFF

AUTO = "auto"


def open_masters(
    recipe: Recipe, run: Any, held: dict[str, Frames | None], done: History
) -> tuple[dict[str, Frames | None], Recipe, list[str]]:
    """Open the dark and the flat that a recipe names.

    Parameters
    ----------
    recipe : Recipe
        auto takes what is found beside the run; see `find_calibration`.
    run : Run or HeldFrames
    held : dict of str to Frames
        What is open already: "dark", "flat".
    done : tuple of Record
        What was done to the frames.

    Returns
    -------
    masters : dict of str to Frames
        "dark" and "flat"; None where there is none.
    recipe : Recipe
        With the path that auto stood for, where one path names it.
    notes : list of str
        What was found, left out, or is there and not used.
    """
    by = recipe[Calibrate]
    given: dict[str, str | None] = {name: getattr(by, name) for name in MASTERS}
    found = _found(run, given, held, done)
    opened: dict[str, Frames | None] = {}
    notes: list[str] = []
    for name in MASTERS:
        beside: tuple[Path, ...] = getattr(found, name)
        if held.get(name) is not None:
            opened[name] = held[name]
            continue
        source: str | Sequence[Path] | None = given[name]
        if source == AUTO and beside:
            source = beside
            recipe = recipe.changed(Calibrate, **{name: path_for(beside, name)})
        elif source == AUTO:
            source = None
            text = f"No {name} that fits was found beside the run."
            notes.append(Notice(text, file=_place(run)))
        elif source is None and beside:
            text = f"A {name} that fits is beside the run and is not used ({_names(beside)}): give "
            notes.append(Notice(f"{text}--{name} auto to use it.", file=one_place(beside)))
        opened[name] = None if source in (None, OFF) else open_like(source, run, name)
        if isinstance(master := opened[name], Run):
            notes += [*kind_notes(given[name], name, master), *file_notes(master)]
            notes += misfit_notes(run, {name: master})
    automatic = found.notes if AUTO in given.values() else []
    return opened, recipe, [*automatic, *notes]


def _found(
    run: Any, given: dict[str, str | None], held: dict[str, Frames | None], done: History
) -> FoundCalibration:
    """Look beside the run, if anything found there could be used."""
    free = [name for name in MASTERS if given[name] in (None, AUTO) and held.get(name) is None]
    calibrated = any(record.name == "calibrate" for record in done)
    if not free or not isinstance(run, Run) or (calibrated and AUTO not in given.values()):
        return FoundCalibration()
    return find_calibration(run)


def _place(run: Any) -> str | Path:
    return one_place(paths_of(run.images)) if isinstance(run, Run) else ""


def _names(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} … {paths[-1].name}"


def path_for(files: Sequence[Path], kind: Kind) -> str:
    """Return the file or the folder that stands for some files; “auto” if there is none."""
    if len(files) == 1:
        return str(files[0])
    folder = files[0].parent
    try:
        alone = {image.path for image in open_run(folder, kind=kind).images} == set(files)
    except LuckyError:
        return AUTO
    return str(folder) if alone else AUTO


def find_auto(asked: Calibrate, frames: Frames) -> tuple[Calibrate, FoundCalibration]:
    """Return the step with paths for “auto”, and the files beside the run that they stand for."""
    names = [name for name in MASTERS if getattr(asked, name) == AUTO]
    *_, run = None, *chain_of(frames)
    if not names:
        return asked, FoundCalibration()
    found = find_calibration(run) if isinstance(run, Run) else FoundCalibration()
    files = {name: getattr(found, name) for name in names}
    for name in names:
        if not files[name]:
            raise LuckyError(
                f"No {name} that fits was found beside the run: choose one, or empty the line."
            )
    paths = {name: path_for(files[name], name) for name in names}
    return asked.changed(**paths), FoundCalibration(**files, notes=found.notes)


def misfit_notes(frames: Frames, masters: dict[Kind, Frames | None]) -> list[str]:
    """Return sentences on masters, opened from files, that were taken otherwise than the frames.

    Parameters
    ----------
    frames : Frames
        Views of a run, or the run.
    masters : dict of str to Frames
        "dark" and "flat".
    """
    *_, run = None, *chain_of(frames)
    if not isinstance(run, Run):
        return []
    return [
        note
        for kind, master in masters.items()
        if isinstance(master, Run)
        for note in setting_notes(run, master, kind)
    ]


def open_master(source: Frames | Sequence[Path] | str | None, frames: Frames, kind: Kind) -> Any:
    """Return the frames of a dark or a flat; None if there is none."""
    return open_like(source, frames, kind) if isinstance(source, (str, tuple)) else source
