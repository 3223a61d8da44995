"""The options of the steps, read off their declarations, and the recipe that they ask for."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from napari_lucky.cli.terminal import say, warn
from napari_lucky.errors import UsageError
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.pipeline.recipe_source import history_in, notes_on_tables, open_recipe, run_in
from napari_lucky.pipeline.step import Input
from napari_lucky.steps.declaration import Param, Step, params
from napari_lucky.steps.option_text import OFF, changed_step, option_values, plain_value
from napari_lucky.steps.registry import (
    STEPS,
    family_of,
    first_of,
    has_option,
    load_steps,
    make_step,
    own_options,
    shared_names,
)
from napari_lucky.steps.sentences import default_text, summary

CHOICE = ("--keep", "--keep-above", "--add", "--drop")
"""Options that say which frames are kept."""
FEW = 5
"""So many choices are too many to be named in an option."""
WORDS = {str: "TEXT", int: "N", float: "NUMBER", bool: "true|false"}


def add_step_options(parser: Any, tables: Sequence[str], *, done: Sequence[str] = ()) -> None:
    """Add the options of steps: a group each, with its parameters in the help.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of a command.
    tables : sequence of str
        The steps.
    done : sequence of str
        Steps that the command does in any case, though a recipe may be without them.
    """
    parser.prepare = with_values
    for table in tables:
        first = first_of(table)
        optional = first.optional and table not in done
        off = " (off unless you ask for it)" if optional else ""
        group = parser.add_argument_group(table + off, _escaped(summary(family_of(table))))
        if has_option(table):
            metavar = "METHOD[,NAME=VALUE,…]" if first.kind else "NAME=VALUE,…"
            alone: dict[str, Any] = {"nargs": "?", "const": ""} if first.optional else {}
            group.add_argument(f"--{table}", metavar=metavar, help=_help(table), **alone)
        add_own_options(group, table)
        if optional:
            said = "leave out what a recipe asks for"
            no = f"--no-{table}"
            group.add_argument(no, action="store_true", default=None, help=said)


def add_own_options(group: Any, table: str, *, skip: Sequence[str] = ()) -> None:
    """Add the options that parameters of a step have for their own."""
    for option, (of, one) in own_options().items():
        if of == table and one.name not in skip:
            default = "" if (text := default_text(one)) == "" else f" (default {text})"
            said = _escaped(_sentence(one) + default)
            if one.type is bool:
                yes_no = argparse.BooleanOptionalAction
                group.add_argument(option, action=yes_no, default=None, help=_escaped(one.text))
            else:
                group.add_argument(option, metavar=_metavar(one), help=said)


def _help(table: str) -> str:
    """Return the parameters of a step: those that all methods have, then each method's own."""
    first, shared, lines = first_of(table), shared_names(table), []
    for model in STEPS[table].values() if first.kind else ():
        default = " (default)" if model is first else ""
        lines.append(f"{model.kind}{default}: {summary(model)}")
        lines += [f"  {_line(one)}" for one in params(model).values() if one.name not in shared]
    if lines and shared:
        lines.append("with each method:")
    indent = "  " if lines else ""
    named = [one for one in params(first).values() if one.name in shared]
    named.sort(key=lambda one: bool(one.option))  # the order in which values are given
    lines += [indent + _line(one) for one in named if one.option or not one.many]
    return _escaped("\n".join(lines))


def _line(one: Param) -> str:
    if one.option:
        return f"{one.name}: the same as {one.option}"
    default = default_text(one)
    return f"{one.name}{f'={default}' if default else ''}: {_sentence(one)}"


def _sentence(one: Param) -> str:
    text = one.text.rstrip(".")
    return text if one.allowed in ("a path", "text") else f"{text}; {one.allowed}"


def _metavar(one: Param) -> str:
    if one.path:
        return "PATH"
    if one.many:
        return "N,N,…" if ... in get_args(one.type) else ",".join("N" * len(get_args(one.type)))
    if one.choices and len(one.choices) < FEW:
        return "|".join(map(str, one.choices))
    if one.either:
        return "|".join(part.label.upper() for part in one.either)
    if one.type is str:
        return one.label.upper()
    return one.unit.upper() if one.unit.isalpha() else WORDS.get(one.type, "TEXT")


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def with_values(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with an empty value for an option that stands alone.

    `--outliers run` is the step with its defaults, and a run; `--outliers 6` gives a value.
    What undoes a recipe's is written in one way: `--no-dark` as `--dark=off`, `--outliers off` as
    `--no-outliers`.
    """
    optional = {f"--{table}" for table in load_steps() if first_of(table).optional}
    optional = {option for option in optional if has_option(option[2:])}
    closed = _with_off(arguments, optional)
    end = closed.index("--") if "--" in closed else len(closed)
    for k, word in enumerate(closed[:end]):
        following = closed[k + 1] if k + 1 < end else ""
        if word in optional and not _is_value(word[2:], following):
            closed[k] += "="
    return closed


def _with_off(arguments: Sequence[str], optional: set[str]) -> list[str]:
    open_ones = {option for option, (_, one) in own_options().items() if one.nullable}
    words = list(arguments)
    written: list[str] = []
    while words and words[0] != "--":
        word = words.pop(0)
        option, _, value = word.partition("=")
        if option in optional and (value == OFF or (word == option and words[:1] == [OFF])):
            words = words if value else words[1:]
            word = f"--no-{option[2:]}"
        elif word.startswith("--no-") and f"--{word[5:]}" in {*open_ones, "--focus", "--defocus"}:
            word = f"--{word[5:]}={OFF}"
        written.append(word)
    return [*written, *words]


def _is_value(table: str, text: str) -> bool:
    """Return whether a word is what an option may be given: a number, a choice, or NAME=VALUE."""
    first = text.split(",")[0].strip()
    if re.match(r"[a-z_]+=", first):
        return True
    try:
        float(first)
    except ValueError:
        words = {str(word) for one in params(first_of(table)).values() for word in one.choices}
        return first in words or (bool(first) and first in STEPS[table])
    return True


def table_named(option: str) -> str:
    """Return the step that an option is of."""
    own = own_options().get(option)
    return own[0] if own else option.removeprefix("--").removeprefix("no-")


def options_of_steps(given: argparse.Namespace) -> list[str]:
    """Return the options of steps that were given."""
    options = [f"--{no}{table}" for table in load_steps() for no in ("", "no-")]
    options += [option for option in own_options() if option not in options]
    return [option for option in options if _given(given, option) is not None]


def recipe_of(given: argparse.Namespace, start: Recipe | None = None, *done: str) -> Recipe:
    """Return the recipe that the command line asks for: that of --recipe, with the options over it.

    Parameters
    ----------
    given : argparse.Namespace
        The options.
    start : Recipe, optional
        What they go over if no recipe is given.
    *done : str
        Tables of optional steps that the command does in any case.

    Raises
    ------
    LuckyError
        If options do not go together.
    """
    named = _given(given, "recipe")
    recipe = open_recipe(named) if named else start or Recipe()
    changes: dict[str, Any] = {}
    if _given(given, "frames"):
        changes["frames"] = tuple(given.frames)
    if _given(given, "range") is not None:
        chosen = given.range
        changes.update(start=chosen.start, stop=chosen.stop, step=chosen.step)
    for name in ("where", "focus", "defocus"):
        if (value := _given(given, name)) is not None:
            changes[name] = None if value == OFF else value
    recipe = recipe.changed(Input, **changes)
    recipe = recipe.with_steps(*(make_step(table, {}) for table in done if not recipe.table(table)))
    asked = options_of_steps(given)
    if named:
        _warn_of_tables(named, asked)
    if "--keep" in asked and "--keep-above" in asked:
        raise UsageError("--keep and --keep-above both set the cut; give one.")
    _check_shifts(recipe, asked)
    for table in load_steps():
        recipe = with_options(recipe, table, given, asked)
    return recipe


def recipe_of_run(given: argparse.Namespace, *done: str) -> Recipe:
    """Return the recipe that the command line asks for, of a run; see `recipe_of`.

    Raises
    ------
    LuckyError
        If options do not go together, or no frames are given.
    """
    recipe = recipe_of(given, None, *done)
    if not recipe.input.frames:
        if named := _given(given, "recipe"):
            return _with_run_of(named, recipe, given.command)
        raise UsageError("No frames were given; give a folder, a cube, or several FITS files.")
    return recipe


def _with_run_of(named: str, recipe: Recipe, command: str) -> Recipe:
    """Return the recipe of a result with the run that it was made of, if it is still there."""
    history = None if Path(named).is_dir() else history_in(Path(named))
    run, there = run_in(history or ())
    if not there:
        was = f"; they were {run}" if run else ""
        raise UsageError(
            f"{named}: it does not say where the frames are{was}. Give the run too: napari-lucky "
            f"{command} RUN --recipe {named} …"
        )
    say(f"{named} was made of {run}: its frames are used.")
    return recipe.changed(Input, frames=(run,))


def _warn_of_tables(named: str, asked: Sequence[str]) -> None:
    """Say which tables a result was made with that are not read again."""
    history = None if Path(named).is_dir() else history_in(Path(named))
    for note in notes_on_tables(history or ()):
        if not any(option in note for option in asked):
            warn(f"{named}: {note}")


def _given(given: argparse.Namespace, option: str) -> Any:
    return getattr(given, option.removeprefix("--").replace("-", "_"), None)


def _check_shifts(recipe: Recipe, asked: Sequence[str]) -> None:
    """Refuse options that say what the shifts of an earlier job say already."""
    known = recipe.table("shifts") is not None and "--no-shifts" not in asked
    if "--shifts" not in asked and not known:
        return
    twice = [option for option in ("--register", "--rank", "--select") if option in asked]
    twice += [option for option in (*CHOICE, "--reference") if option in asked]
    if twice:
        raise UsageError(
            f"{' and '.join(twice)}: --shifts has this already. Leave one of them out, or edit "
            "the column selected of that table."
        )


def with_options(
    recipe: Recipe, table: str, given: argparse.Namespace, asked: Sequence[str]
) -> Recipe:
    """Return the recipe with what the options of one step say."""
    named = f"--{table}"
    own = {option: one for option, (of, one) in own_options().items() if of == table}
    own = {option: one for option, one in own.items() if option in asked}
    if f"--no-{table}" in asked:
        if also := [option for option in (named, *own) if option in asked]:
            raise UsageError(f"{also[0]} and --no-{table}: give one.")
        return recipe.without(table)
    last = recipe.table(table)
    values: dict[str, Any] = {}
    if has_option(table) and named in asked:
        values = option_values(table, _given(given, named), last)
    elif own and last is None and has_option(table):
        raise UsageError(f"{next(iter(own))} changes a step that is off: add --{table}.")
    model = STEPS[table].get(values.get("method", last.kind if last else ""), first_of(table))
    for option, one in own.items():
        if one.name in values:
            raise UsageError(f"{option} and {named} {one.name}=…: give one.")
        if one.name not in params(model):
            kinds = [kind for kind, other in STEPS[table].items() if one.name in params(other)]
            raise UsageError(
                f"{option} belongs to the method {' or '.join(kinds)}: add --{table} {kinds[0]}."
            )
        value = _given(given, option)
        values[one.name] = value if isinstance(value, bool) else plain_value(one, value)
    if not values and named not in asked:
        return recipe
    made: Step = changed_step(table, values, last)
    return recipe.with_steps(made)
