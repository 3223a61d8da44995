"""Shifts that an earlier job saved: with its dark and flat, or a note on what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_lucky.calibration.step import MASTERS, Calibrate
from napari_lucky.cleaning.step import CleaningStep
from napari_lucky.errors import LuckyError
from napari_lucky.fits.table_file import read_table
from napari_lucky.frames.history import History
from napari_lucky.pipeline.recipe import Recipe, read_recipe
from napari_lucky.pipeline.step import ReadShifts
from napari_lucky.steps.declaration import NO_PATHS
from napari_lucky.steps.option_text import OFF
from napari_lucky.steps.registry import first_of, load_steps, make_step


def with_calibration(recipe: Recipe) -> tuple[Recipe, list[str]]:
    """Return a recipe with the dark and the flat that its shifts were found with.

    Where it names neither, those count that the table of shifts records, or the recipe.toml
    beside it.

    Returns
    -------
    recipe : Recipe
    notes : list of str
        What was taken, and what is not there any more.
    """
    by, own = recipe.get(ReadShifts), recipe[Calibrate]
    if by is None or own.dark is not None or own.flat is not None:
        return recipe, []
    path = Path(by.table_file)
    earlier = _earlier(path)
    named = {} if earlier is None else {name: getattr(earlier, name) for name in MASTERS}
    given = {name: path for name, path in named.items() if path not in (None, OFF)}
    if earlier is None or not given:
        return recipe, []
    there = {name: file for name, file in given.items() if _is_there(file)}
    notes = [
        f"The shifts of {path.name} were found with the {name} {file}, which is missing: give "
        f"--{name}."
        for name, file in given.items()
        if name not in there
    ]
    if there:
        said = " and ".join(f"the {name} {Path(file).name}" for name, file in there.items())
        notes.insert(0, f"Took {said}, as when the shifts of {path.name} were found.")
    usual = earlier if own == Calibrate() else own
    return recipe.with_steps(usual.changed(**{name: there.get(name) for name in MASTERS})), notes


def _is_there(file: str) -> bool:
    return file in NO_PATHS or Path(file).exists()


def _earlier(path: Path) -> Calibrate | None:
    """Return the calibration that shifts were found with, as far as that is known."""
    for record in read_table(path).history:
        if record.name == "calibrate":
            try:
                step = make_step("calibrate", record.parameters)
            except LuckyError:
                return None  # an edited header
            return step if isinstance(step, Calibrate) else None
    beside = path.with_name("recipe.toml")
    if path.name != "frames.csv" or not beside.is_file():
        return None
    try:
        return read_recipe(beside)[Calibrate]
    except LuckyError:
        return None


def shifts_doubts(path: Path, then: History, now: History) -> list[str]:
    """Return sentences where frames are treated otherwise than when their shifts were found.

    Parameters
    ----------
    path : pathlib.Path
        The table of shifts.
    then, now : tuple of Record
        Of the table, empty if it does not say, and of the frames.
    """
    if not then:
        return []
    notes, what = [], f"The shifts of {path.name} were found"
    inputs: list[dict[str, Any]] = [
        next((step.inputs for step in history if step.name == "calibrate"), {})
        for history in (then, now)
    ]
    for name in MASTERS:
        before, after = (some.get(name) for some in inputs)
        if before and not after:
            notes.append(f"{what} with a {name}, and these frames have none: give --{name}.")
        elif after and not before:
            notes.append(f"{what} without a {name}, and these frames have one.")
        elif before and after and before.get("master_sha256") != after.get("master_sha256"):
            notes.append(f"{what} with another {name} ({before.get('name')}).")
    cleaning = {t for t in load_steps() if issubclass(first_of(t), CleaningStep)}
    done, doing = ({step.name for step in some} & cleaning for some in (then, now))
    notes += [
        f"{what} in frames cleaned by {name}, and these are not: give --{name}."
        for name in sorted(done - doing)
    ]
    return notes
