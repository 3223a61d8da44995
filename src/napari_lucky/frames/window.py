"""A window: the rectangle of the sensor that holds one star."""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from typing import Any

from napari_lucky.errors import UsageError


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels on the sensor.

    Parameters
    ----------
    y0, x0 : int
        First row and first column, from 0.
    height, width : int
        Rows and columns, at least 1.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> window = lucky.Window.centred(60, 200, 64)
    >>> window
    Window(y0=28, x0=168, height=64, width=64)
    >>> window.shape
    (64, 64)
    """

    y0: int
    x0: int
    height: int
    width: int

    def __post_init__(self) -> None:
        for name, given in vars(self).items():
            try:
                object.__setattr__(self, name, index(given))
            except TypeError:
                raise UsageError(
                    f"A window's {name} is {given!r}; it must be a whole number of pixels."
                ) from None

    @classmethod
    def centred(cls, y: int, x: int, size: int) -> Window:
        """Return the square window of side `size` whose pixel [size // 2, size // 2] is (y, x)."""
        return cls(y - size // 2, x - size // 2, size, size)

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Window:
        """Return the window that is the whole frame of a (..., y, x) shape."""
        return cls(0, 0, shape[-2], shape[-1])

    @property
    def y1(self) -> int:
        """One past the last row."""
        return self.y0 + self.height

    @property
    def x1(self) -> int:
        """One past the last column."""
        return self.x0 + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def centre(self) -> tuple[int, int]:
        """The (y, x) pixel that `centred` would be given."""
        return self.y0 + self.height // 2, self.x0 + self.width // 2

    @property
    def slices(self) -> tuple[slice, slice]:
        """Slices that cut the window from a (..., y, x) array."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def clipped(self, shape: tuple[int, ...]) -> Window:
        """Return the part of the window that is on a frame of (..., y, x) `shape`."""
        y0, x0 = min(max(self.y0, 0), shape[-2]), min(max(self.x0, 0), shape[-1])
        y1, x1 = max(min(self.y1, shape[-2]), y0), max(min(self.x1, shape[-1]), x0)
        return Window(y0, x0, y1 - y0, x1 - x0)

    def grown(self, by: int) -> Window:
        """Return the window with so many pixels more on all sides."""
        return Window(self.y0 - by, self.x0 - by, self.height + 2 * by, self.width + 2 * by)

    def __contains__(self, other: Window) -> bool:
        """Return whether another window is wholly in this one."""
        part = other.within(self)
        return part.clipped(self.shape) == part

    def within(self, outer: Window) -> Window:
        """Return the window in an image that was cut to another one: (0, 0) is its first pixel."""
        return Window(self.y0 - outer.y0, self.x0 - outer.x0, *self.shape)

    def moved_inside(self, shape: tuple[int, ...]) -> Window:
        """Return a window of this size, or the frame's where that is less, moved onto the frame."""
        height, width = min(self.height, shape[-2]), min(self.width, shape[-1])
        y0 = min(max(self.y0, 0), shape[-2] - height)
        x0 = min(max(self.x0, 0), shape[-1] - width)
        return Window(y0, x0, height, width)

    def squared(self, shape: tuple[int, ...]) -> Window:
        """Return the square at the window's centre, with its longer side, on a frame of `shape`."""
        side = min(*shape[-2:], max(self.shape))
        return Window.centred(*self.centre, side).moved_inside(shape)

    def check_on(self, shape: tuple[int, ...], name: str = "window") -> None:
        """Raise unless the window is wholly on a frame of (..., y, x) `shape`.

        Raises
        ------
        LuckyError
            If the window is smaller than 8 pixels or reaches over the edge of the frame.
        """
        if min(self.shape) < MIN_SIDE:
            raise UsageError(
                f"The {name} is {self.height} x {self.width} pixels; it must be at least "
                f"{MIN_SIDE} x {MIN_SIDE} to hold a star and some background."
            )
        if self.clipped(shape) != self:
            raise UsageError(
                f"The {name} covers rows {self.y0} to {self.y1 - 1} and columns {self.x0} to "
                f"{self.x1 - 1}, but the frames have rows 0 to {shape[-2] - 1} and columns 0 to "
                f"{shape[-1] - 1}. Move it onto the sensor or make it smaller."
            )


def parse_window(text: str) -> Window:
    """Return the square window that a text says: Y,X,SIZE, its centre and its side in pixels.

    Raises
    ------
    UsageError
        If it says none.
    """
    try:
        y, x, size = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"{text!r} is not Y,X,SIZE: three whole numbers of pixels, such as 140,392,128"
        ) from None
    return Window.centred(y, x, size)


def window_text(window: Window) -> str:
    """Return Y,X,SIZE of a window; of an oblong one, with its longer side."""
    return ",".join(map(str, (*window.centre, max(window.shape))))


MIN_SIDE = 8
WindowLike = Any
"""A `Window`, or (y, x, size): its centre's row and column from 0, and its side, in pixels.

Or two slices, rows and columns, as `numpy.s_[28:92, 168:232]` gives them.
"""


def as_window(given: WindowLike) -> Window:
    """Return a window, or the square one that (y, x, size) means; see `Window.centred`.

    Raises
    ------
    LuckyError
        If it is neither.
    """
    if isinstance(given, Window):
        return given
    try:
        if all(isinstance(side, slice) and side.step in (None, 1) for side in given):
            rows, columns = given
            y0, y1, x0, x1 = map(index, (rows.start, rows.stop, columns.start, columns.stop))
            return Window(y0, x0, y1 - y0, x1 - x0)
        y, x, size = (
            int(number) if isinstance(number, float) and number.is_integer() else index(number)
            for number in given
        )
    except (TypeError, ValueError):
        raise UsageError(
            f"{given!r} is not a window. Give (y, x, size), three whole numbers: row and column of "
            "its centre and its side in pixels; or Window(y0, x0, height, width)."
        ) from None
    return Window.centred(y, x, size)
