"""Steps in words: what one does, its defaults, and what is wrong with values given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from inspect import cleandoc
from typing import Any

from pydantic import ValidationError

from napari_lucky.steps.declaration import Param, Step, params, quoted, short


def summary(model: type[Step]) -> str:
    """Return the first line of a step's docstring, without references to the API."""
    first = (model.__doc__ or "").strip().split("\n")[0]
    return re.sub(r"[;,]? see `[^`]*`", "", first)


def prose(model: type[Step]) -> str:
    """Return a step's docstring up to its examples."""
    return cleandoc(model.__doc__ or "").partition("\n\nExamples\n---")[0]


def default_text(one: Param) -> str:
    """Return a parameter's default as it is written in an option; empty if it has none."""
    if one.required or one.default in (None, ()):
        return ""
    return short(one.default)


def sentences(model: type[Step], values: Mapping[str, Any], error: ValidationError) -> str:
    """Return a sentence for each parameter that is wrong: what was given, what is allowed."""
    known = params(model)
    said: dict[str, str] = {}
    at = " ".join(filter(None, [model.table, model.kind])) or model.__name__
    for one in error.errors(include_url=False):
        name = str(one["loc"][0]) if one["loc"] else ""
        if one["type"] == "extra_forbidden":
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"only {', '.join(known)}."
            said[name] = f"{at} has no {quoted(name)}; {hint}"
        elif one["type"] == "value_error":  # a validator's own sentence
            said[name] = f"{at}: {one['ctx']['error']}"
        elif one["type"] == "missing" and len(one["loc"]) == 1:
            said[name] = f"{at}: {name} is missing; it must be {known[name].allowed}."
        elif name in known:
            wrong = quoted(values.get(name))
            said[name] = f"{at}: {name} is {wrong}; it must be {known[name].allowed}."
        else:
            said[name] = f"{at}: {one['msg']}."
    return " ".join(said.values())
