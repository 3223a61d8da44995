"""All steps, by table and kind, in the order in which they are done."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from napari_lucky.errors import UsageError
from napari_lucky.steps.declaration import Param, Request, Step, params, quoted

STEPS: dict[str, dict[str, type[Step]]] = {}
"""Table → kind → model; a step that is done in one way has the kind ""."""
HOMES = (
    *("calibration.step", "cleaning", "registration", "ranking", "stacking", "pipeline.step"),
    *("optics.request", "psf.recipe", "wavefront.request"),
)
"""Modules that declare steps, and rooms whose modules do: a new file in one of these is a new step,
kind or metric."""


def add_step(model: type[Step]) -> None:
    """Add a declared step; `Step` calls this. Of several kinds the default comes first."""
    kinds = STEPS.get(model.table, {}) | {model.kind: model}
    order = sorted(kinds, key=lambda kind: (kind != model.default, kind))
    STEPS[model.table] = {kind: kinds[kind] for kind in order}
    for table in sorted(STEPS, key=lambda table: first_of(table).place):
        STEPS[table] = STEPS.pop(table)


@cache
def load_steps() -> dict[str, dict[str, type[Step]]]:
    """Import all modules that declare steps, and return the steps in order."""
    for home in HOMES:
        room = import_module(f"napari_lucky.{home}")
        for module in iter_modules(getattr(room, "__path__", ())):
            import_module(f"{room.__name__}.{module.name}")
    return STEPS


def requests() -> tuple[str, ...]:
    """Return the tables of what is measured on the results, which `process` does not do."""
    return tuple(table for table in load_steps() if issubclass(first_of(table), Request))


def first_of(table: str) -> type[Step]:
    """Return the step of a table, of its default kind."""
    kinds = STEPS[table]
    first = next(iter(kinds.values()))
    return kinds.get(first.default, first)


def family_of(table: str) -> type[Step]:
    """Return the class whose docstring describes a step, whatever its kind."""
    first = first_of(table)
    base: type[Step] = first.__mro__[1] if first.kind else first
    return base


def title_of_step(table: str) -> str:
    """Return what the docks call a step: Noise cut."""
    return table.replace("-", " ").capitalize()


def make_step(table: str, values: Mapping[str, Any]) -> Step:
    """Return the step that plain values mean, of a recipe, a history or an option.

    Raises
    ------
    LuckyError
        If a value cannot be used, or no step has this name.
    """
    known = load_steps()
    if table not in known:
        near = get_close_matches(table, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f", only {', '.join(known)}."
        raise UsageError(f"There is no step {quoted(table)}{hint}")
    kinds, values = known[table], dict(values)
    kind = "" if "" in kinds else values.pop("method", first_of(table).kind)
    if kind not in kinds:
        allowed = ", ".join(kinds)
        raise UsageError(f"{table}: the method is {quoted(kind)}; it must be one of {allowed}.")
    return kinds[kind](**values)


def shared_names(table: str) -> set[str]:
    """Return the names of the parameters that all kinds of a step have."""
    return set.intersection(*(set(params(model)) for model in load_steps()[table].values()))


def own_options() -> dict[str, tuple[str, Param]]:
    """Return the parameters with their own option: option → table, parameter."""
    return {
        one.option: (table, one)
        for table, kinds in load_steps().items()
        for model in kinds.values()
        for one in params(model).values()
        if one.option
    }


def has_option(table: str) -> bool:
    """Return whether a step has an option with its name, which takes all its parameters.

    The input has none; nor has a step one of whose parameters has that option for its own, or
    whose only parameter has another.
    """
    kinds = list(STEPS[table].values())
    own = [one.option for one in params(kinds[0]).values()] if len(kinds) == 1 else []
    return table != "input" and f"--{table}" not in own and not (len(own) == 1 and own[0])
