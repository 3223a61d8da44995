"""A step written as a short text: "drizzle,scale=2", "6,replace", "sigma=6"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_lucky.errors import UsageError
from napari_lucky.steps.declaration import Param, Step, params, quoted
from napari_lucky.steps.registry import first_of, load_steps, make_step, shared_names

OFF = "off"
"""In place of a value, or of a step's: as if it were not given."""


def parse_option(table: str, text: str) -> Step:
    """Return the step that a text means.

    Parameters
    ----------
    table : str
        Of the step.
    text : str
        Values with commas between them, "NAME=VALUE" or in the order of the parameters: first the
        method, if the step has several, then its own parameters, then those that all have.
        Parameters with their own option come last, and a word that can only be one
        parameter's choice is that parameter's: "2,speckle".

    Raises
    ------
    LuckyError
        If it means none.
    """
    return make_step(table, option_values(table, text))


def option_values(table: str, text: str, last: Step | None = None) -> dict[str, Any]:
    """Return the values that a text gives, not checked yet; see `parse_option`."""
    kinds = load_steps()[table]
    items = [item.strip() for item in text.split(",") if item.strip()]
    given: dict[str, Any] = {}
    if "" not in kinds and items and ("=" not in items[0] or items[0].startswith("method=")):
        given["method"] = items.pop(0).removeprefix("method=")
    model = kinds.get(given.get("method", last.kind if last else ""), first_of(table))
    known, shared = params(model), shared_names(table) if "" not in kinds else set()
    order = [one for one in known.values() if one.option or not one.many]
    order.sort(key=lambda one: (bool(one.option), one.name in shared))
    for item in items:
        name, equals, value = item.partition("=")
        name, value = (name.strip(), value.strip()) if equals else ("", item)
        if not name:
            free = [one for one in order if one.name not in given]
            if not free:
                names = ", ".join(one.name for one in order) or "no parameters"
                raise UsageError(
                    f"{table}: {quoted(item)} is one value too many; there are {names}."
                )
            name = next((one for one in free if item in map(str, one.choices)), free[0]).name
        if name in given:
            raise UsageError(f"{table}: {name} is given twice.")
        given[name] = plain_value(known.get(name), value)
    return given


def changed_step(table: str, given: Mapping[str, Any], last: Step | None) -> Step:
    """Return a step with the values given; what is not given stays as it was.

    Of another method, what both have stays.
    """
    if last is None:
        return make_step(table, given)
    if given.get("method", last.kind) == last.kind:
        return last.changed(**{name: given[name] for name in given if name != "method"})
    kept = {name: value for name, value in last.values().items() if name in shared_names(table)}
    return make_step(table, kept | dict(given))


def plain_value(param: Param | None, text: str) -> Any:
    """Return what a text means, as in TOML: 1 is a count, and 1.0 a fraction.

    "auto", "none" and "off" leave a value open where that may be, as does the word that forms show;
    of a path, "auto" is what is found beside the run, and "off" none, whatever is there.
    """
    if param is not None and param.nullable and text in ("auto", "none", OFF, param.empty):
        return text if param.path and text in ("auto", OFF) else None
    if param is not None and param.type is str:
        return text
    if param is not None and param.many:
        return [plain_value(None, part.strip()) for part in text.replace("/", ",").split(",")]
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
