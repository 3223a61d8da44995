"""The command line that does what a recipe says."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from napari_lucky.errors import LuckyError
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.pipeline.step import FIND, ReadShifts
from napari_lucky.steps.declaration import NO_PATHS, Param, Step, absolute, params
from napari_lucky.steps.registry import first_of, has_option, load_steps

LATER = ("spider", "psf", "wavefront")
"""Tables of a recipe that other commands take."""
DECIDED = ("register", "rank", "select")
"""Tables of a recipe that have no say where an earlier job's shifts are read."""


def command_of(recipe: Recipe, out: str = "OUT") -> str:
    """Return the command line that does what a recipe says, to be pasted into a terminal.

    Parameters
    ----------
    recipe : Recipe
    out : str
        The folder for the results.

    Raises
    ------
    LuckyError
        If the recipe names no frames, or holds what no option can say, such as dust spots.
    """
    words = words_of(recipe, out)
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def words_of(recipe: Recipe, out: str = "OUT") -> list[str]:
    """Return the words of `command_of`."""
    given = recipe.input
    if not given.frames:
        raise LuckyError(
            "These frames are not in a file, so a command line cannot name them. Save them first."
        )
    words = ["napari-lucky", "process", *given.values()["frames"]]
    if (given.start, given.stop, given.step) != (None, None, None):
        chosen = ["" if part is None else str(part) for part in (given.start, given.stop)]
        chosen += [] if given.step is None else [str(given.step)]
        words.append(f"--frames={':'.join(chosen)}")
    for name in ("where", "colour"):
        if (text := getattr(given, name)) is not None:
            words.append(f"--{name}={text}")
    for name in ("focus", "defocus"):
        spec = getattr(given, name)
        if spec is not None:
            words.append(f"--{name}={spec if spec == FIND else _list(spec)}")
    for table in load_steps():
        step = recipe.table(table)
        if table == "input" or table in LATER or step is None:
            continue
        if table not in DECIDED or recipe.get(ReadShifts) is None:
            words += _options(step)
    return [*words, "-o", out]


def _options(step: Step) -> list[str]:
    """Return the options that make a step of the one that is done by default."""
    usual = first_of(step.table)
    chosen = {
        name: (one, getattr(step, name))
        for name, one in params(type(step)).items()
        if one.required or getattr(step, name) != one.default
    }
    if getattr(step, "above", None) is not None:
        chosen.pop("keep", None)  # which is ignored then
    named = [
        f"{name}={_text(one, value)}" for name, (one, value) in chosen.items() if not one.option
    ]
    if step.kind != usual.kind:
        named.insert(0, step.kind)
    own = [_own_option(one, value) for one, value in chosen.values() if one.option]
    if named:
        return [f"--{step.table}={','.join(named)}", *own]
    return [f"--{step.table}", *own] if usual.optional and has_option(step.table) else own


def _own_option(one: Param, value: Any) -> str:
    if one.type is bool:  # which stands alone
        return one.option if value else one.option.replace("--", "--no-", 1)
    text = _list(value) if one.many and not one.path else _plain(one, value)
    return f"{one.option}={text}"


def _text(one: Param, value: Any) -> str:
    """Return a value as it is written among others, with commas between them."""
    if one.many and value and not any(isinstance(part, (tuple, list)) for part in value):
        return "/".join(_plain(one, part) for part in value)
    text = _plain(one, value)
    if "," in text or (isinstance(value, str) and text != text.strip()):
        raise LuckyError(
            f"No option can say the {one.label} {text!r}: save the recipe, and give it to "
            "napari-lucky process --recipe."
        )
    return text


def _plain(one: Param, value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if one.path and value not in NO_PATHS:
        return str(absolute(value))
    return value if isinstance(value, str) else repr(value)


def _list(values: Sequence[int]) -> str:
    return ",".join(map(repr, values))
