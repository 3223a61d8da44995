"""Write docs/reference/steps.md: every step with its parameters, read off the declarations.

Usage: python scripts/reference.py
"""

from collections.abc import Iterable
from pathlib import Path

from napari_lucky.ranking.metrics import METRICS
from napari_lucky.steps.declaration import Param, Step, params
from napari_lucky.steps.registry import (
    family_of,
    first_of,
    has_option,
    load_steps,
    shared_names,
)
from napari_lucky.steps.sentences import default_text, prose

DONE = ("psf", "wavefront")
"""Steps that cannot be turned off by an option: the commands that have them do them."""
PAGE = Path(__file__).parents[1] / "docs" / "reference" / "steps.md"
HEAD = """# Steps and parameters

Steps are done in this order. Each is a table of a [recipe](files.md#recipe), an option of
`napari-lucky process`, a class of the Python API, a form in a dock and a record in the history,
with the same names everywhere. A step that is *optional* is off unless it is given; the others are
done with their defaults. An option takes parameters by name, as
`--outliers sigma=5,action=replace`, or in order, as `--outliers 5,replace`; in order, those with an
option of their own come last.

The last four, from [telescope](#telescope-optional) on, say what to measure on the results.
`process` keeps them in its recipe, and uses *telescope* for the Strehl ratios of its summary.
`napari-lucky figures` uses *telescope* and *psf*; `napari-lucky wavefront` uses *telescope*,
*spider* and *wavefront*. Each command has the options of the steps that it uses.

This page is made by `scripts/reference.py`."""


def reference() -> str:
    """Return the page."""
    return "\n\n".join([HEAD, *(part for table in load_steps() for part in _step(table))]) + "\n"


def _step(table: str) -> list[str]:
    first, kinds, shared = first_of(table), load_steps()[table], shared_names(table)
    optional = " (optional)" if first.optional else ""
    parts = [f"## {table}{optional}", _text(family_of(table))]
    common = [one for one in params(first).values() if one.name in shared]
    if not first.kind:
        return [*parts, _faces(first), *_table(common), *(_metrics() if table == "rank" else [])]
    methods = ", ".join(f"`{kind}`" for kind in kinds)
    parts.append(f"`method` is one of {methods}; `{first.kind}` if not given. {_faces(first)}")
    if common:
        parts += ["All methods have", *_table(common)]
    for kind, model in kinds.items():
        own = [one for one in params(model).values() if one.name not in shared]
        parts += [f"### {table}: {kind}", _text(model), f"`{model.__name__}`", *_table(own)]
    return parts


def _text(model: type[Step]) -> str:
    return prose(model)


def _faces(model: type[Step]) -> str:
    table, made = model.table, "" if model.kind else f"`{model.__name__}`, "
    options = [f"`--{table}`"] if has_option(table) else []
    options += [f"`--no-{table}`"] if model.optional and table not in DONE else []
    return f"{made}`[{table}]`{', ' if options else ''}{', '.join(options)}"


def _table(shown: Iterable[Param]) -> list[str]:
    rows = [
        (
            f"`{one.name}`",
            default_text(one) or ("must be given" if one.required else "–"),
            one.allowed.removesuffix(f" {one.unit}").removesuffix(" in")
            if one.unit
            else one.allowed,
            one.unit,
            one.text,
            f"`{one.option}`" if one.option else "",
        )
        for one in shown
    ]
    return _rows(("parameter", "default", "allowed", "unit", "meaning", "option"), rows)


def _metrics() -> list[str]:
    rows = [
        (f"`{name}`", one.formula, "sampling" if one.needs_diffraction else "")
        for name, one in METRICS.items()
    ]
    return _rows(("metric", "formula", "needs"), rows)


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    shown = "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
    return [shown] if len(lines) > 2 else []


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
