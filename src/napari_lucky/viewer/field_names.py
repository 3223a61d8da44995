"""Sentences as a window shows them: fields of the docks in place of the command line's options."""

from __future__ import annotations

import re

from napari_lucky.pipeline.step import Input
from napari_lucky.steps.registry import first_of, load_steps, own_options, title_of_step

OPTION = re.compile(r'--([a-z]+(?:-[a-z]+)*)(?: (auto|"[^"]*"|[\d.]+(?![,\w])))?')
"""An option, and its value if that is "auto", a number or quoted."""
TYPED = re.compile(", or give --overwrite[^.]*")
"""What no dock does."""
COMMAND = "napari-lucky "
"""A line with a command to copy stays as it is."""
OTHERS = {
    "focus": "“focus”",
    "defocus": "“defocus”",
    "frames": "“frames”",
    "each": "“Several runs”",
}
"""Fields for options that no step declares."""


def with_fields(text: str) -> str:
    """Return a sentence for the window: “saturation” 900 in place of --saturation 900.

    What no dock has a field for is named as a recipe has it: where = "EXPTIME=0.01" in a recipe.
    """
    lines = TYPED.sub("", text).split("\n")
    return "\n".join(line if COMMAND in line else OPTION.sub(_field, line) for line in lines)


def _field(found: re.Match[str]) -> str:
    name, value = found.groups()
    table, one = own_options().get(f"--{name}", ("", None))
    after = f" {value}" if value else ""
    if one is not None and first_of(table).__module__ == Input.__module__:  # which has no dock
        return f"{one.name} = {value} in a recipe" if value else f"“{one.name}” in a recipe"
    if one is not None:
        return f"“auto” as “{one.label}”" if value == "auto" else f"“{one.label}”{after}"
    if name in load_steps():
        return f"{title_of_step(name)}:{after}"
    return OTHERS.get(name, found[0].removesuffix(after)) + after
