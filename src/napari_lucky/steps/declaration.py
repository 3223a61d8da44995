"""A step of the job is one frozen model, declared once.

Recipe, command line, forms, checks, history and the reference page are read off it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from napari_lucky.errors import UsageError
from napari_lucky.frames.history import Record
from napari_lucky.steps.plain_number import plain_number
from napari_lucky.text import readable

NO_PATHS = ("mean", "auto", "off")
"""Words in place of a path: the mean of the frames, what is found beside them, and none."""
LIMITS = ("gt", "ge", "lt", "le")
BOUNDS = {
    (): "",
    ("gt",): "above {gt:g}",
    ("ge",): "of at least {ge:g}",
    ("lt",): "below {lt:g}",
    ("le",): "of at most {le:g}",
    ("gt", "lt"): "above {gt:g} and below {lt:g}",
    ("gt", "le"): "above {gt:g}, at most {le:g}",
    ("ge", "lt"): "from {ge:g} to below {lt:g}",
    ("ge", "le"): "from {ge:g} to {le:g}",
}
"""What limits are called in a sentence."""
LONG = 60
"""Characters of a wrong value that a sentence shows."""


class Step(BaseModel):
    """A step: typed fields with limits, checked whenever one is made.

    ``class LowPassFilter(Step, table="low-pass", place=40, optional=True)`` declares a step.
    A step that can be done in several ways is a base with ``kinds=True`` and a subclass with
    ``kind=`` for each way.

    Parameters of the class
    -----------------------
    table : str
        Its name: a table of the recipe, an option, a record of the history.
    place : int
        Steps are done in the order of their places.
    optional : bool
        Whether it is off unless asked for.
    kind : str
        Which way of the step this is.
    default : str
        The kind that is taken if none is named.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True
    )
    table: ClassVar[str] = ""
    place: ClassVar[int] = 0
    optional: ClassVar[bool] = False
    kind: ClassVar[str] = ""
    default: ClassVar[str] = ""

    def __init__(self, *unnamed: Any, **values: Any) -> None:
        if unnamed:
            raise UsageError(
                f"{type(self).__name__} takes its parameters by name: "
                f"{', '.join(params(type(self)))}."
            )
        try:
            super().__init__(**values)
        except ValidationError as error:
            from napari_lucky.steps.sentences import sentences

            raise UsageError(sentences(type(self), values, error)) from None

    def __init_subclass__(cls, **_: Any) -> None:  # the arguments are for the method below
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        table: str = "",
        place: int = 0,
        optional: bool = False,
        kind: str = "",
        kinds: bool = False,
        default: str = "",
        **_: Any,
    ) -> None:
        if table:
            cls.table, cls.place, cls.optional, cls.default = table, place, optional, default
        cls.kind = kind
        if (table or kind) and not kinds:
            from napari_lucky.steps.registry import add_step

            add_step(cls)

    @model_validator(mode="before")
    @classmethod
    def _paths_as_text(cls, values: Any) -> Any:
        """Take paths as text, and one path for a list of them."""
        if not isinstance(values, dict):
            return values
        for name, one in params(cls).items():
            if one.path and name in values:
                given = values[name]
                if isinstance(given, Path):
                    given = str(given)
                if isinstance(given, str) and not given:
                    raise UsageError(f"The path of the {one.label} is empty; leave it out.")
                if one.many:
                    given = (given,) if isinstance(given, str) else given
                    if isinstance(given, (list, tuple)):
                        given = tuple(str(p) if isinstance(p, Path) else p for p in given)
                values = values | {name: given}
        return values

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        """Check choices that are known only at run time, such as those of a registry."""
        for name, one in params(type(self)).items():
            value = getattr(self, name)
            left_open = value is None and one.nullable
            if one.choices and value not in one.choices and not left_open:
                raise UsageError(f"{name} is {quoted(value)}; it must be {one.allowed}.")
        return self

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Show what differs from the defaults."""
        for name, one in params(type(self)).items():
            if (value := getattr(self, name)) != one.default:
                yield name, value

    def values(self) -> dict[str, Any]:
        """Return the plain values, as TOML and the history hold them; None is left out."""
        kind = {"method": self.kind} if self.kind else {}
        values = self.model_dump(mode="json", exclude_none=True)
        for name, one in params(type(self)).items():
            if one.path and name in values:
                values[name] = absolute(values[name])
        return kind | values

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values, checked."""
        return type(self)(**dict(self) | values)

    def record(
        self, facts: dict[str, Any] | None = None, inputs: dict[str, Any] | None = None
    ) -> Record:
        """Return what the history says of this step: its values, and what was found."""
        return Record(self.table, self.values(), inputs or {}, facts or {})


class Request(Step):
    """What `process` does not do: a recipe keeps it for what is measured on the results.

    Numbers may be quantities with a unit, such as `633 * astropy.units.nm`.
    """

    @model_validator(mode="before")
    @classmethod
    def _plain_numbers(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        found = {
            name: plain_number(values[name], UNITS.get(one.unit, one.unit), name)
            for name, one in params(cls).items()
            if hasattr(values.get(name), "to_value")
        }
        return values | found


UNITS = {"px": "pix", "ADU": "adu", "°": "deg", "µm": "um"}
"""Units as astropy writes them."""


def param(
    default: Any,
    text: str,
    unit: str = "",
    label: str = "",
    *,
    empty: str = "none",
    step: float = 1.0,
    choices: Callable[[], Sequence[Any]] | None = None,
    option: str = "",
    path: bool = False,
    hand_made: bool = False,
    **limits: Any,
) -> Any:
    """Declare a parameter of a step.

    Parameters
    ----------
    default
        Its value if nothing is given.
    text : str
        One plain sentence that says what it does.
    unit : str
        Such as "px" or "σ".
    label : str
        In forms; the field's name if empty.
    empty : str
        What stands for a value that is left open, in a form and as a word of an option: "auto" if
        it is found then.
    step : float
        By how much an arrow of its box changes it.
    choices : callable, optional
        Returns what may be chosen, where that is known only at run time.
    option : str
        Its own option of the command line, such as "--keep", beside its step's.
    path : bool
        Whether it names a file or folder: made absolute in a recipe.
    hand_made : bool
        Whether the docks show it in their own way, not in the form.
    **limits
        gt, ge, lt, le and whatever else `pydantic.Field` knows.
    """
    shown: dict[str, Any] = {
        "unit": unit,
        "empty": empty,
        "step": step,
        "choices": choices,
        "option": option,
        "path": path,
        "hand_made": hand_made,
    }
    return Field(default, description=text, title=label or None, json_schema_extra=shown, **limits)


@dataclass(frozen=True)
class Param:
    """What a face needs to know of a parameter; see `param`."""

    name: str
    label: str
    text: str
    unit: str
    default: Any
    type: Any
    limits: dict[str, float] = field(default_factory=dict)
    step: float = 1.0
    choose: Callable[[], Sequence[Any]] | None = None
    nullable: bool = False
    empty: str = "none"
    option: str = ""
    path: bool = False
    hand_made: bool = False
    either: tuple[Param, ...] = ()
    """Of a union of numbers: one for each."""

    @property
    def choices(self) -> tuple[Any, ...]:
        """What may be chosen; empty if it is free."""
        return tuple(self.choose()) if self.choose else ()

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is PydanticUndefined

    @property
    def many(self) -> bool:
        """Whether it is a list of values."""
        return get_origin(self.type) is tuple

    @property
    def allowed(self) -> str:
        """Say what may be given."""
        if self.either:
            return ", or ".join(f"{one.allowed} ({one.label})" for one in self.either)
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        if self.path and not self.many:
            return "a path"
        if self.many:
            item, *more = get_args(self.type)
            item = get_args(item)[0] if get_origin(item) is Annotated else item
            many = "" if ... in more else f", {1 + len(more)} in all"
            return f"a list of {LISTS.get(item, 'lists')}{many}"
        words = {float: "a number", int: "a whole number", bool: "true or false"}
        bounds = BOUNDS[tuple(k for k in LIMITS if k in self.limits)].format(**self.limits)
        unit = self.unit and (self.unit if bounds else f"in {self.unit}")
        return " ".join(filter(None, [words.get(self.type, "text"), bounds, unit]))


def absolute(path: Any) -> Any:
    """Return a path in full, as a recipe and the history hold it; words are none."""
    if isinstance(path, (list, tuple)):
        return [absolute(one) for one in path]
    return path if path in NO_PATHS else readable(str(Path(path).absolute()))


def quoted(value: Any) -> str:
    """Return a value as a sentence shows it, a long one cut."""
    text = repr(value)
    return text if len(text) <= LONG else f"{text[:LONG]}…"


def short(value: Any) -> str:
    """Return a value as it is typed: true, 6, 0.1, mask."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


LISTS: dict[Any, str] = {str: "paths", int: "whole numbers", float: "numbers"}


@cache
def params(model: type[BaseModel]) -> dict[str, Param]:
    """Return the parameters of a step by name."""
    return {name: _param(name, field) for name, field in model.model_fields.items()}


def _param(name: str, field: FieldInfo) -> Param:
    shown: Any = field.json_schema_extra or {}
    kind: Any = field.annotation
    made: dict[str, Any] = {
        "limits": {k: getattr(m, k) for m in field.metadata for k in LIMITS if hasattr(m, k)},
        "step": shown.get("step", 1.0),
        "choose": shown.get("choices"),
        **{key: shown[key] for key in ("empty", "option", "path", "hand_made") if key in shown},
    }
    if get_origin(kind) in (Union, types.UnionType):
        parts = [FieldInfo.from_annotation(a) for a in get_args(kind) if a is not type(None)]
        made["nullable"] = len(parts) < len(get_args(kind))
        kind = parts[0].annotation
        if len(parts) > 1:
            made["either"] = tuple(_param(name, part) for part in parts)
    if get_origin(kind) is Literal:
        words = get_args(kind)
        kind, made["choose"] = str, lambda: words
    label = field.title or name.replace("_", " ")
    text, unit = field.description or "", shown.get("unit", "")
    return Param(name, label, text, unit, field.default, kind, **made)
