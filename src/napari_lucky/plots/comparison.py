"""Images side by side, linked, with their profiles below: drawn on a given matplotlib figure."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.fits.inputs import NO_INPUTS, Inputs
from napari_lucky.fits.write import written_whole
from napari_lucky.imaging.profiles import Profile, normalised_profile

COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#7a8ba3")
"""Okabe & Ito's, which the colour-blind can distinguish: those that show on dark and on light."""
DASHES = ("-", "--", ":", "-.")
DISTANCES = {"row": "x − peak (px)", "column": "y − peak (px)", "radial": "distance (px)"}
FIGURES = (".png", ".pdf", ".svg")

# all in pixels of a screen: places that do not depend on the numbers drawn do not jump as
# frames go by, and need no search for a layout, which takes longer than the drawing
LEFT, RIGHT, GAP, ABOVE, BELOW = 40, 10, 12, 20, 40
WIDEST, NARROWEST = 320, 110
PROFILE_LEFT, PROFILE_HEIGHT, PROFILE_BELOW = 60, 170, 40
LEGEND_WIDTH, LEGEND_LINE = 150, 16


@dataclass(frozen=True, eq=False)
class Compared:
    """What is shown of one layer.

    Parameters
    ----------
    name : str
        The layer's.
    image : ndarray of float32, (side, side), optional
        Cut around the peak; None if there is nothing to show.
    profile : Profile, optional
        Through the peak.
    note : str
        Which frame it is, or why there is nothing to show.
    """

    name: str
    image: NDArray[np.float32] | None = None
    profile: Profile | None = None
    note: str = ""


@dataclass(frozen=True)
class Look:
    """How layers are compared.

    Parameters
    ----------
    kind : str
        Of the profile: row, column or radial.
    log : bool
        Whether intensities of the profile are drawn on a logarithmic scale.
    normalise : bool
        Whether each profile is divided by its greatest value.
    same : bool
        Whether all images have one contrast, rather than each its own.
    side : int
        Of the images, in pixels.
    """

    kind: str = "row"
    log: bool = False
    normalise: bool = False
    same: bool = False
    side: int = 128


def limits_of(images: Sequence[NDArray[Any] | None], same: bool) -> list[tuple[float, float]]:
    """Return the contrast limits of each image: its 5th percentile and its maximum.

    Parameters
    ----------
    images : sequence of ndarray or None
        Masked pixels are NaN; limits of an image without pixels are NaN.
    same : bool
        Whether all have one scale: from the least of the lows to the greatest of the highs.
    """
    limits = [(np.nan, np.nan)] * len(images)
    for k, image in enumerate(images):
        values = image[np.isfinite(image)] if image is not None else np.empty(0)
        if values.size:
            limits[k] = (float(np.percentile(values, 5)), float(values.max()))
    if same and limits:
        lows, highs = zip(*limits, strict=True)
        limits = [(float(np.fmin.reduce(lows)), float(np.fmax.reduce(highs)))] * len(limits)
    return limits


class Comparison:
    """Panels side by side and the profiles below them.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        It is cleared.
    names : sequence of str
        Of the layers.
    look : Look
        How they are compared.
    width : float
        Of the figure, in pixels of the screen; `height` then says how high it must be.
    """

    def __init__(self, figure: Any, names: Sequence[str], look: Look, width: float) -> None:
        self.figure, self.look = figure, look
        width = max(width, LEFT + NARROWEST + RIGHT)
        columns = _fitting(width - LEFT - RIGHT, NARROWEST, len(names))
        rows = -(-len(names) // columns)
        cell = min((width - LEFT - RIGHT - (columns - 1) * GAP) / columns, WIDEST)
        keys = _fitting(width, LEGEND_WIDTH, len(names))
        legend = -(-len(names) // keys) * LEGEND_LINE
        below = PROFILE_BELOW + PROFILE_HEIGHT + legend + GAP
        self.height = round(rows * (ABOVE + cell + BELOW) + below)

        def axes_at(x: float, y: float, wide: float, high: float, like: Any = None) -> Any:
            place = (x / width, y / self.height, wide / width, high / self.height)
            return figure.add_axes(place, sharex=like, sharey=like)

        figure.clear()
        self.panels: list[_Panel] = []
        for k, name in enumerate(names):
            row, column = divmod(k, columns)
            x, y = (
                LEFT + column * (cell + GAP),
                self.height - row * BELOW - (row + 1) * (ABOVE + cell),
            )
            axes = axes_at(x, y, cell, cell, self.panels[0].axes if self.panels else None)
            axes.tick_params(labelleft=column == 0, labelbottom=k + columns >= len(names))
            self.panels.append(_Panel(axes, shortened(name, cell), look, _style(k)))
        wide = width - PROFILE_LEFT - RIGHT
        self.axes = axes_at(PROFILE_LEFT, PROFILE_BELOW, wide, PROFILE_HEIGHT)
        self.lines = [
            self._line(shortened(name, width / keys - 40), k) for k, name in enumerate(names)
        ]
        self._label(keys)

    def _line(self, name: str, number: int) -> Any:
        (line,) = self.axes.plot([], [], linewidth=1.3, label=name, **_style(number))
        return line

    def _label(self, keys: int) -> None:
        axes, look = self.axes, self.look
        axes.set_xlabel(DISTANCES[look.kind], fontsize="small")
        axes.set_ylabel("of its maximum" if look.normalise else "intensity", fontsize="small")
        axes.tick_params(labelsize="x-small")
        if look.log:
            axes.set_yscale("log", nonpositive="mask")
        else:
            axes.ticklabel_format(axis="y", scilimits=(-3, 4))
            axes.yaxis.get_offset_text().set_fontsize("x-small")
        legend = axes.legend(
            loc="lower right",
            bbox_to_anchor=(1, 1),
            ncols=keys,
            fontsize="x-small",
            frameon=False,
            handlelength=1.5,
            borderaxespad=0.1,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)  # a name may hold a $

    def show(self, layers: Sequence[Compared]) -> None:
        """Draw these pixels: of the layers that were named, in their order."""
        limits = limits_of([layer.image for layer in layers], self.look.same)
        for panel, layer, low_high in zip(self.panels, layers, limits, strict=True):
            panel.show(layer, *low_high)
        for line, layer in zip(self.lines, layers, strict=True):
            profile = layer.profile
            if profile is not None and self.look.normalise:
                profile = normalised_profile(profile)
            line.set_data(*([], []) if profile is None else (profile.offset, profile.value))
        values = [line.get_ydata() for line in self.lines]
        bright = any((np.asarray(value) > 0).any() for value in values)
        self.axes.set_autoscaley_on(bright or not self.look.log)
        self.axes.relim()
        self.axes.autoscale_view()

    @property
    def view(self) -> tuple[Any, Any]:
        """What part of the images is seen: limits in x and in y, of all panels alike."""
        axes = self.panels[0].axes
        return axes.get_xlim(), axes.get_ylim()

    @view.setter
    def view(self, limits: tuple[Any, Any]) -> None:
        self.panels[0].axes.set(xlim=limits[0], ylim=limits[1])

    @property
    def whole(self) -> tuple[Any, Any]:
        """The view that shows the whole images."""
        low, high = _edges(self.look.side)
        return (low, high), (high, low)


class _Panel:
    """One image over offsets from its peak, with its limits below.

    The frame has the colour of the layer's profile; a line shows where a row or column is cut.
    """

    def __init__(self, axes: Any, title: str, look: Look, style: dict[str, Any]) -> None:
        self.axes = axes
        edges = _edges(look.side)
        self.image = axes.imshow(
            np.full((look.side, look.side), np.nan, np.float32),
            cmap="inferno",
            extent=(*edges, *edges[::-1]),
            interpolation="nearest",
        )
        # plain texts: matplotlib places titles and labels again at every drawing
        self._note = _text(axes, 0.5, 0, "center", "small")
        self._below = _text(axes, 0, -15, "top", "x-small")
        _text(axes, 1, 4, "bottom", "small").set_text(title)
        axes.tick_params(labelsize="x-small")
        axes.locator_params(nbins=4)
        for spine in axes.spines.values():
            spine.set(**style, linewidth=2)
        if look.kind == "row":
            axes.axhline(0, color=style["color"], linewidth=0.7)
        elif look.kind == "column":
            axes.axvline(0, color=style["color"], linewidth=0.7)

    def show(self, layer: Compared, low: float, high: float) -> None:
        missing = layer.image is None
        self.image.set_visible(not missing)
        self._note.set_text(fill(layer.note, 20) if missing else "")
        self._below.set_text("" if missing else f"{layer.note}  {low:.4g} to {high:.4g}".strip())
        if layer.image is not None:
            self.image.set_data(layer.image)
            self.image.set_clim(low, max(high, low + 1e-6))


def _text(axes: Any, y: float, points: float, va: str, size: str) -> Any:
    """Return a text in the middle of the axes, at a height of theirs and some points above it."""
    return axes.annotate(
        "",
        (0.5, y),
        (0, points),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va=va,
        fontsize=size,
        parse_math=False,
    )


def _fitting(width: float, least: float, n: int) -> int:
    """Return how many of n things, each at least so wide, are put side by side."""
    return int(np.clip((width + GAP) // (least + GAP), 1, n))


def _edges(side: int) -> tuple[float, float]:
    """Return the edges of a cut, its peak on pixel side // 2, as offsets from the peak."""
    return -(side // 2) - 0.5, side - side // 2 - 0.5


def _style(number: int) -> dict[str, Any]:
    """Return colour and dashes of the n-th layer, from 0; the first 24 differ."""
    dashes = DASHES[number // len(COLOURS) % len(DASHES)]
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": dashes}


def shortened(name: str, width: float) -> str:
    """Return a name that fits into some pixels, its middle left out if need be."""
    most = max(int(width / 7), 8)
    if len(name) <= most:
        return name
    return f"{name[: most // 2 - 1]}…{name[len(name) - most + most // 2 :]}"


def save_figure(path: Path, figure: Any, inputs: Inputs = NO_INPUTS) -> None:
    """Write a figure, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        Ends in .png, .pdf or .svg; an existing file is replaced.
    figure : matplotlib.figure.Figure
        What is written.
    inputs : mapping
        What must not be replaced; see `check_not_inputs`.

    Raises
    ------
    LuckyError
        If the name ends otherwise, the file cannot be written, or is an input.
    """
    if path.suffix.lower() not in FIGURES:
        raise LuckyError(
            f"{path.name}: a figure is saved as {', '.join(FIGURES)}; end the name in one of them."
        )
    with written_whole(path, inputs) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name may be in any script
        figure.savefig(temporary, format=path.suffix.lower()[1:], dpi=200)
