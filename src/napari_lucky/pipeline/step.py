"""What a job declares beside its steps: input, shifts and times from files, output, acceptance."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_lucky.fits.integers import parse_integer_format
from napari_lucky.fits.where import parse_where
from napari_lucky.frames.window import Window
from napari_lucky.sources.colour import Colour
from napari_lucky.steps.declaration import Step, param, short
from napari_lucky.text import counted, percent

WindowSpec = Annotated[tuple[int, int, int], Field(strict=False, title="window")]
"""(y, x, size): the centre's row and column from 0, and the side, in pixels."""
FIND = "find"
"""In place of the defocused star's window."""
LostFraction = Annotated[
    float, Field(ge=0, le=1, title="fraction", json_schema_extra={"step": 0.01})
]
LostCount = Annotated[int, Field(ge=0, title="count")]


def window_spec(given: Any) -> Any:
    """Return the (y, x, size) of a square window; anything else as it is."""
    square = isinstance(given, Window) and given.height == given.width
    return (*given.centre, given.height) if square else given


class Input(Step, table="input", place=0):
    """Which frames of which run, and where the stars are."""

    frames: tuple[str, ...] = param(
        (), "A folder, a cube, or several files.", path=True, hand_made=True, strict=False
    )
    where: str | None = param(
        None,
        "Only the frames whose headers match, such as EXPTIME=0.01 or EXPTIME=0.01,FILTER=R.",
        option="--where",
        hand_made=True,
    )
    start: int | None = param(None, "The first frame that is used.", hand_made=True)
    stop: int | None = param(None, "One past the last frame that is used.", hand_made=True)
    step: int | None = param(None, "Step from one frame to the next.", hand_made=True, ge=1)
    colour: Colour | None = param(
        None,
        "What to use of frames in colour. Of three planes: luminance (their mean, the default), "
        "red, green or blue. Of a mosaic, used as it is by default: superpixel (the mean of each "
        "cell of 2 x 2 pixels), or the pixels of one colour. frames: each plane is a frame.",
        option="--colour",
        hand_made=True,
    )
    focus: WindowSpec | None = param(
        None,
        "Window of the focused star: its centre (y, x) and its side; found if not given.",
        "px",
        hand_made=True,
    )
    defocus: WindowSpec | Annotated[Literal["find"], Field(title="word")] | None = param(
        None,
        "Window of the defocused star: its centre (y, x) and its side; or find, to look for it.",
        "px",
        hand_made=True,
    )

    _specs = field_validator("focus", "defocus", mode="before")(window_spec)

    @field_validator("where")
    @classmethod
    def _is_choice(cls, where: str | None) -> str | None:
        if where is not None:
            parse_where(where)
        return where

    @model_validator(mode="after")
    def _windows_have_a_size(self) -> Self:
        for name in ("focus", "defocus"):
            self.window(name)
        return self

    def window(self, name: str) -> Window | None:
        """Return the window "focus" or "defocus", if it is given."""
        spec = getattr(self, name)
        return None if spec in (None, FIND) else Window.centred(*spec)


class ReadTimes(Step, table="times", place=64, optional=True):
    """Take the times of the frames from a table, for runs whose headers do not give them."""

    times_file: str = param(
        ...,
        "A CSV or ECSV file with a column time (ISO, UTC), a column frame or file unless there is "
        "one line a frame, and optionally exposure (s).",
        label="times",
        option="--times",
        path=True,
    )


class ReadShifts(Step, table="shifts", place=65, optional=True):
    """Take the shifts and the kept frames from an earlier job; nothing is registered or ranked."""

    table_file: str = param(
        ...,
        "The frames.csv of that job, or its table saved as ECSV.",
        label="shifts",
        option="--shifts",
        path=True,
    )


class Accept(Step, table="accept", place=190):
    """When a result is written, and when it counts as doubtful.

    Frames count as lost if their file is damaged or has another shape, or if they show no star.
    """

    min_frames: int = param(
        1, "Nothing is written if fewer frames show a star.", option="--min-frames", ge=1
    )
    max_lost: LostFraction | LostCount = param(
        0.5,
        "A result is doubtful if more frames are lost: a fraction (0.5) or a count (25).",
        option="--max-lost",
    )

    def lost_note(self, lost: int, of: int) -> str:
        """Return a sentence if too many frames are lost; else an empty text."""
        most = self.max_lost
        if lost <= (most * of if isinstance(most, float) else most):
            return ""
        allowed = percent(most) if isinstance(most, float) else str(most)
        return (
            f"Doubtful: {lost} of {counted(of, 'frame')} ({percent(lost / of)}) are damaged or "
            f"have no star; at most {allowed} may be (--max-lost {short(most)})."
        )


class Output(Step, table="output", place=200):
    """How images are written."""

    integers: str | None = param(
        None,
        "16-bit integers: scaled, or FULL[,BITS] for levels of a full scale in ADU; float32 if "
        "not given.",
        option="--integers",
    )
    plain: bool = param(
        False,
        "The image alone, without variance and coverage, for programs that read every extension "
        "as a frame.",
        option="--plain",
    )

    @field_validator("integers")
    @classmethod
    def _known(cls, integers: str | None) -> str | None:
        if integers is not None:
            parse_integer_format(integers)
        return integers
