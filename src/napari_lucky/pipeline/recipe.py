"""A recipe: everything that decides the result of a job, as a TOML file that replays it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from napari_lucky._version import __version__
from napari_lucky.errors import LuckyError, UsageError, as_path, check_kind
from napari_lucky.files.open_file import open_regular
from napari_lucky.files.toml import parse_toml
from napari_lucky.frames.history import History
from napari_lucky.frames.window import Window
from napari_lucky.pipeline.step import Input
from napari_lucky.steps.declaration import NO_PATHS, Step, params
from napari_lucky.steps.option_text import changed_step
from napari_lucky.steps.registry import first_of, load_steps, make_step
from napari_lucky.text import html_table, stored

MOST_RECIPE = 1 << 20
"""Bytes that are looked at to recognise a recipe."""
S = TypeVar("S", bound=Step)


class Recipe:
    """The steps of a job. Optional steps that are not given are off; the others have defaults.

    `Recipe("run", Calibrate(dark="dark.fits"), Select(keep=0.05), focus=(140, 392, 128))`.

    Parameters
    ----------
    frames : path, or sequence of paths
        A folder, a cube, or several files.
    *steps : Step
        In any order.
    **given : Any
        Of `Input`: start, stop, step, focus, defocus.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> recipe = lucky.Recipe("run", lucky.Calibrate(dark="dark.fits"), lucky.Select(keep=0.05))
    >>> recipe[lucky.Select].keep
    0.05
    >>> recipe.changed(lucky.Select, keep=25)[lucky.Select].keep
    25
    """

    def __init__(self, frames: Any = None, /, *steps: Step, **given: Any) -> None:
        load_steps()
        if frames is not None:
            given["frames"] = frames
        for step in steps:
            if not isinstance(step, Step):
                raise UsageError(
                    f"{step!r} is not a step; give steps such as Calibrate(dark='dark.fits')."
                )
        own = {step.table: step for step in steps}
        if len(own) < len(steps):
            twice = next(step.table for step in steps if own[step.table] is not step)
            raise UsageError(f"The step {twice} is given twice.")
        if given or "input" not in own:
            _check_of_input(given)
            own["input"] = Input(**given)
        whole = []
        for table in load_steps():
            if table in own or not first_of(table).optional:
                whole.append(own.get(table) or first_of(table)())
        self.steps: tuple[Step, ...] = tuple(whole)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.steps == other.steps

    def __hash__(self) -> int:
        return hash(self.steps)

    def __repr__(self) -> str:
        run, given = self.input.frames, dict(self.input.__repr_args__())
        few = run if len(run) < 2 else (run[0], "…", run[-1])
        texts = [repr(few[0] if len(few) == 1 else few)]
        given.pop("frames", None)
        texts += [
            repr(step)
            for step in self.steps
            if step is not self.input and (step.optional or step != first_of(step.table)())
        ]
        return f"Recipe({', '.join([*texts, *(f'{name}={of!r}' for name, of in given.items())])})"

    def _repr_html_(self) -> str:
        rows = []
        for step in self.steps:
            values = dict(step.__repr_args__())
            shown = ", ".join(f"{name} = {value}" for name, value in values.items())
            rows.append((step.table, step.kind, shown or "as by default"))
        return html_table(rows, ("step", "method", "parameters"))

    def get(self, kind: type[S]) -> S | None:
        """Return a step, whatever its method; None if it is off."""
        return next((step for step in self.steps if isinstance(step, kind)), None)

    def __getitem__(self, kind: type[S]) -> S:
        found = self.get(kind)
        if found is None:
            raise KeyError(kind.table)
        return found

    def table(self, table: str) -> Step | None:
        """Return the step of a table; None if it is off."""
        return next((step for step in self.steps if step.table == table), None)

    def with_steps(self, *steps: Step) -> Recipe:
        """Return the recipe with these steps in place of its own."""
        tables = {step.table for step in steps}
        return Recipe(None, *(s for s in self.steps if s.table not in tables), *steps)

    def without(self, *tables: str) -> Recipe:
        """Return the recipe with these optional steps off, and others at their defaults."""
        return Recipe(None, *(step for step in self.steps if step.table not in tables))

    def changed(self, kind: type[Step], **values: Any) -> Recipe:
        """Return the recipe with other values of a step, which is on then."""
        step = self.get(kind)
        return self.with_steps(kind(**values) if step is None else step.changed(**values))

    def updated(self, **tables: Mapping[str, Any] | None) -> Recipe:
        """Return the recipe with other values, by table: `recipe.updated(select={"keep": 3})`.

        An empty mapping turns an optional step on with its defaults, None turns it off. Tables
        are named as in the recipe, with an underscore for a hyphen.
        """
        recipe = self
        for name, values in tables.items():
            table = name.replace("_", "-")
            if values is None:
                recipe = recipe.without(table)
            else:
                recipe = recipe.with_steps(changed_step(table, values, recipe.table(table)))
        return recipe

    @property
    def input(self) -> Input:
        """Frames and windows."""
        return self[Input]

    def window(self, name: str) -> Window | None:
        """Return the window "focus" or "defocus", if it is given."""
        return self.input.window(name)

    def paths(self) -> dict[str, str]:
        """Return the files and folders that steps name, but the run's: by label."""
        return {
            one.label: getattr(step, name)
            for step in self.steps
            if step.table != "input"
            for name, one in params(type(step)).items()
            if one.path and getattr(step, name) not in (None, *NO_PATHS)
        }


def _check_of_input(given: Iterable[str]) -> None:
    """Raise for a parameter of another step, which that step must be given."""
    for name in given:
        of = [first_of(table) for table in load_steps() if name in params(first_of(table))]
        if name not in params(Input) and of:
            raise UsageError(
                f"{name} is a parameter of a step: give Recipe(frames, {of[0].__name__}({name}=…))."
            )


def recipe_to_toml(recipe: Recipe) -> str:
    """Return the recipe as TOML text, paths made absolute; a step that is off is absent.

    Parameters
    ----------
    recipe : Recipe
        What is written.

    Returns
    -------
    str
        The text of the file.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> text = lucky.recipe_to_toml(lucky.Recipe("run", lucky.Select(keep=25)))
    >>> "keep = 25" in text
    True
    """
    check_kind(recipe, Recipe, "recipe", "a Recipe")
    tables: dict[str, Any] = {"napari-lucky": {"version": __version__}}
    return tomli_w.dumps(tables | {step.table: step.values() for step in recipe.steps})


def read_recipe(path: str | Path) -> Recipe:
    r"""Read a recipe; relative paths in it are relative to the recipe's folder.

    A name that is not UTF-8 is written with its bytes as numbers, \xe9, and found by them.

    Parameters
    ----------
    path : path
        The TOML file, or a folder of results with its recipe.toml.

    Returns
    -------
    Recipe
        With defaults for what the file does not say.

    Raises
    ------
    LuckyError
        If the file cannot be read, is not TOML, or says something that is no recipe.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> from pathlib import Path
    >>> written = Path("recipe.toml").write_text("[select]\nkeep = 0.05\n")
    >>> lucky.read_recipe("recipe.toml")[lucky.Select].keep
    0.05
    """
    path = as_path(path, "recipe")
    if path.is_dir():
        path = path / "recipe.toml"
        if not path.exists():
            raise LuckyError(
                f"{path.parent}: there is no recipe.toml in this folder. If it holds the frames "
                "of a run, make a Recipe of it."
            )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LuckyError(f"{path}: the recipe cannot be read ({error.strerror}).") from error
    tables = parse_toml(path, content)
    tables.pop("napari-lucky", None)
    known = load_steps()
    steps = []
    for table, values in tables.items():
        if not isinstance(values, dict):
            raise UsageError(f"{path}: {table} is not in a table; a recipe has only tables.")
        if table not in known:
            raise UsageError(f"{path}: a recipe has no table [{table}], only {', '.join(known)}.")
        try:
            steps.append(_from_folder(make_step(table, values), path.parent))
        except LuckyError as error:
            raise type(error)(f"{path}: {error}") from error
    return Recipe(None, *steps)


def is_recipe(path: Path) -> bool:
    """Return whether a file looks like a recipe: it has a table that a recipe may have."""
    try:
        with open_regular(path) as file:
            content = file.read(MOST_RECIPE)
    except OSError:
        return False
    names = re.findall(rb"^\s*\[([a-z-]+)\]", content, re.M)
    return bool({name.decode() for name in names} & {"napari-lucky", *load_steps()})


def _from_folder(step: Step, folder: Path) -> Step:
    """Return a step whose relative paths count from a folder."""
    found: dict[str, Any] = {}
    for name, one in params(type(step)).items():
        value = getattr(step, name)
        if one.path and value not in (None, *NO_PATHS, ()):
            full = [
                stored(str(folder / p)) for p in ((value,) if isinstance(value, str) else value)
            ]
            found[name] = tuple(full) if one.many else full[0]
    return step.changed(**found) if found else step


def recipe_of_history(history: History, **given: Any) -> Recipe:
    """Return the recipe whose steps a history records.

    Parameters
    ----------
    history : tuple of Record
        Of a layer or a file.
    **given
        Of `Input`, what the history does not say.

    Returns
    -------
    Recipe
        It replays to the same result.
    """
    known = load_steps()
    steps = {r.name: make_step(r.name, r.parameters) for r in history if r.name in known}
    steps.pop("input", None)
    return Recipe(given.pop("frames", ()), *steps.values(), **given)
