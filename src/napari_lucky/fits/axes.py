"""Which axes of a FITS image are rows, columns and frames, and what its others are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from napari_lucky.errors import LuckyError

STOKES = {1: "I", 2: "Q", 3: "U", 4: "V", -1: "RR", -2: "LL", -3: "RL", -4: "LR"}
STOKES |= {-5: "XX", -6: "YY", -7: "XY", -8: "YX"}
"""Their numbers, as FITS has them."""
OF_FRAMES = re.compile(r"TIME.*|UTC|TAI|FRAME.*|IMAGE.*|N?DIT.*|SEQ.*", re.I)
COLOURS = ("RGB", "SRGB", "COLOR", "COLOUR")


@dataclass(frozen=True)
class Axis:
    """An axis beside rows, columns and frames, of which one place is read.

    Parameters
    ----------
    name : str
        Such as "STOKES".
    places : tuple of str
        What its places are called.
    step : int
        Planes from one place to the next.
    chosen : int
        Which place is read, from 0.
    """

    name: str
    places: tuple[str, ...]
    step: int
    chosen: int = 0

    @property
    def note(self) -> str:
        """Say which of its places is read, and how to choose another."""
        names = ", ".join(self.places[:8]) + (" …" if len(self.places) > 8 else "")
        return (
            f"The image has an axis {self.name} of {len(self.places)} positions ({names}); "
            f'{self.places[self.chosen]} is read. Choose with --where "{self.name}='
            f'{self.places[(self.chosen + 1) % len(self.places)]}".'
        )

    def place_of(self, text: str) -> int:
        """Return the place, from 0, that a text names.

        Raises
        ------
        LuckyError
            If none is called so.
        """
        for k, name in enumerate(self.places):
            if name.casefold() == text.strip().casefold():
                return k
        raise LuckyError(f"{self.name} is {', '.join(self.places)}, not {text.strip()}.")


class Planes(NamedTuple):
    """How an image is cut into frames.

    Parameters
    ----------
    shape : tuple of int
        Frames, rows, columns.
    step : int
        Planes from one frame to the next.
    axis : Axis or None
        What is left.
    in_colour : bool
        Whether each frame has three planes.
    """

    shape: tuple[int, int, int]
    step: int = 1
    axis: Axis | None = None
    in_colour: bool = False


def planes_of(axes: tuple[int, ...], header: Any) -> Planes:
    """Return how an image is cut into frames.

    Axes of length 1 do not count, wherever they are. Of two axes beside rows and columns the one
    that the header calls a time or a frame is that of the frames, or else the one that it does not
    name STOKES or the like, or else the faster one; a faster one of three places without a name is
    that of colours. An axis called STOKES is never that of frames.

    Parameters
    ----------
    axes : tuple of int
        Sides, the slowest first; at least two.
    header : mapping
        With CTYPEk and the like.

    Raises
    ------
    LuckyError
        If there are more.
    """
    long = [k for k, side in enumerate(axes) if side > 1]
    extra = [k for k in long if k < len(axes) - 2]
    if len(extra) == 1 and len(long) == 3 and _name(header, len(axes) - extra[0]) == "STOKES":
        places = _places(header, len(axes) - extra[0], axes[extra[0]], "STOKES")
        return Planes((1, axes[-2], axes[-1]), 1, Axis("STOKES", places, 1))
    if len(axes) < 4 and len(long) != 2:
        return Planes((axes[-3] if len(axes) > 2 else 1, axes[-2], axes[-1]))
    if len(long) < 2:  # a line or a point
        return Planes((1, axes[-2], axes[-1]) if all(n == 1 for n in axes[:-2]) else _last(axes))
    *lead, y, x = long
    if len(lead) > 2:
        raise LuckyError(
            f"its image has {len(axes)} axes {axes}; expected frames, rows and columns, and one "
            "more at most"
        )
    sides = axes[y], axes[x]
    if len(lead) < 2:
        return Planes((axes[lead[0]] if lead else 1, *sides))
    slow, fast = lead
    names = [_name(header, len(axes) - k) for k in lead]
    in_colour = not any(names) and axes[fast] == 3 != axes[slow]
    if in_colour or names[1].upper() in COLOURS:
        return Planes((axes[slow] * axes[fast], *sides), in_colour=in_colour)
    frames_are_slow = bool(OF_FRAMES.fullmatch(names[0])) or bool(
        names[1] and not names[0] and not OF_FRAMES.fullmatch(names[1])
    )
    other = fast if frames_are_slow else slow
    name = names[lead.index(other)] or f"AXIS{len(axes) - other}"
    places = _places(header, len(axes) - other, axes[other], name)
    if frames_are_slow:
        return Planes((axes[slow], *sides), axes[fast], Axis(name, places, 1))
    return Planes((axes[fast], *sides), 1, Axis(name, places, axes[fast]))


def _last(axes: tuple[int, ...]) -> tuple[int, int, int]:
    frames = max(axes[:-2])
    return frames, axes[-2], axes[-1]


def _name(header: Any, number: int) -> str:
    return str(header.get(f"CTYPE{number}", "")).strip().partition("-")[0].upper()


def _places(header: Any, number: int, count: int, name: str) -> tuple[str, ...]:
    if name in COLOURS and count == 3:
        return "red", "green", "blue"
    if name == "STOKES":
        first, step, at = (
            float(header.get(f"{word}{number}", otherwise))
            for word, otherwise in (("CRVAL", 1.0), ("CDELT", 1.0), ("CRPIX", 1.0))
        )
        found = [STOKES.get(round(first + (k + 1 - at) * step)) for k in range(count)]
        if all(found) and len(set(found)) == count:
            return tuple(str(one) for one in found)
    return tuple(str(k + 1) for k in range(count))
