"""The options of the steps, read off their declarations, and the recipe that they ask for."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from napari_lucky.errors import UsageError
from napari_lucky.pipeline.recipe import Input, Recipe
from napari_lucky.pipeline.recipe_source import open_recipe
from napari_lucky.steps.declaration import Param, Step, params
from napari_lucky.steps.option_text import OFF, changed_step, option_values, plain_value
from napari_lucky.steps.registry import (
    STEPS,
    family_of,
    first_of,
    has_option,
    load_steps,
    own_options,
    shared_names,
)
from napari_lucky.steps.sentences import default_text, summary

CHOICE = ("--keep", "--keep-above", "--add", "--drop")
"""Options that say which frames are kept."""
WORDS = {str: "TEXT", int: "N", float: "NUMBER", bool: "true|false"}


def add_step_options(parser: Any, *, skip: Sequence[str] = ()) -> None:
    """Add the options of every step: a group each, with its parameters in the help."""
    parser.prepare = with_values
    for table in load_steps():
        if table == "input" or table in skip:
            continue
        first = first_of(table)
        off = " (off unless you ask for it)" if first.optional else ""
        group = parser.add_argument_group(table + off, _escaped(summary(family_of(table))))
        if has_option(table):
            metavar = "METHOD[,NAME=VALUE,…]" if first.kind else "NAME=VALUE,…"
            alone: dict[str, Any] = {"nargs": "?", "const": ""} if first.optional else {}
            group.add_argument(f"--{table}", metavar=metavar, help=_help(table), **alone)
        for option, (of, one) in own_options().items():
            if of != table:
                continue
            if one.type is bool:  # which stands alone
                said = _escaped(one.text.rstrip("."))
                group.add_argument(option, action="store_const", const="true", help=said)
                continue
            default = "" if (text := default_text(one)) == "" else f" (default {text})"
            said = _escaped(_sentence(one) + default)
            group.add_argument(option, metavar=_metavar(one), help=said)
        if first.optional:
            said = "leave out what a recipe asks for"
            group.add_argument(f"--no-{table}", action="store_true", help=said)


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
    lines += [indent + _line(one) for one in named if one.option or not one.hand_made]
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
        return "N,N,…"
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


def options_of_steps(given: argparse.Namespace) -> list[str]:
    """Return the options of steps that were given."""
    options = [f"--{no}{table}" for table in load_steps() for no in ("", "no-")]
    options += [option for option in own_options() if option not in options]
    return [option for option in options if _given(given, option) not in (None, False)]


def recipe_of(given: argparse.Namespace) -> Recipe:
    """Return the recipe that the command line asks for: that of --recipe, with the options over it.

    Raises
    ------
    LuckyError
        If options do not go together, or no frames are given.
    """
    recipe = open_recipe(given.recipe) if given.recipe else Recipe()
    changes: dict[str, Any] = {}
    if given.frames:
        changes["frames"] = tuple(given.frames)
    if given.range is not None:
        chosen = given.range
        changes.update(start=chosen.start, stop=chosen.stop, step=chosen.step)
    for name in ("where", "focus", "defocus"):
        if getattr(given, name) is not None:
            window = getattr(given, name)
            changes[name] = None if window == OFF else window
    recipe = recipe.changed(Input, **changes)
    asked = options_of_steps(given)
    if "--keep" in asked and "--keep-above" in asked:
        raise UsageError("--keep and --keep-above: each says where the cut is; give one.")
    _check_shifts(recipe, asked)
    for table in load_steps():
        recipe = _with_table(recipe, table, given, asked)
    if not recipe.input.frames:
        raise UsageError("No frames were given; give a folder, a cube, or several FITS files.")
    return recipe


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
            f"{' and '.join(twice)}: --shifts says already which frames, and where. Leave one out, "
            "or edit the column selected of that table."
        )


def _with_table(
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
                f"{option} is of the method {' or '.join(kinds)}: add --{table} {kinds[0]}."
            )
        values[one.name] = plain_value(one, _given(given, option))
    if not values and named not in asked:
        return recipe
    made: Step = changed_step(table, values, last)
    return recipe.with_steps(made)
