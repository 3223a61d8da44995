"""Pictures of PSF figures: profiles and encircled energy, or figures over the frame number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky.plots.comparison import COLOURS, shortened
from napari_lucky.plots.page import page
from napari_lucky.plots.panels import KEPT, LEFT
from napari_lucky.psf.result import PsfFigures
from napari_lucky.psf.table import FigureRow

MOST_CURVES = len(COLOURS)
"""More images than this are drawn as numbers over the frame, not as curves."""
LEAST = 1e-4
"""Of the diffraction-limited peak; below it a profile is noise."""


def draw_figures(figure: Any, rows: Sequence[FigureRow], *, page: bool = False) -> None:
    """Draw the figures of images on an empty matplotlib figure.

    Of a few images the radial profiles and the encircled energy beside the diffraction-limited
    ones, with bands of one standard deviation; of many the Strehl ratio and the FWHM over the
    frame number.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn on.
    rows : sequence of FigureRow
        Those without figures are left out.
    page : bool
        Whether there is a page's width, so that the two stand side by side.
    """
    axes = figure.subplots(*((1, 2) if page else (2, 1)))
    good = [row for row in rows if row.figures is not None]
    if len(good) <= MOST_CURVES:
        draw_profiles(axes[0], good)
        draw_encircled(axes[1], good)
    else:
        (draw_half_light if _unit(good) == PIXELS else draw_strehl)(axes[0], good)
        draw_fwhm(axes[1], good)


def draw_profiles(axes: Any, rows: Sequence[FigureRow]) -> None:
    """Draw radial profiles, beginning with the Strehl ratio, over the radius in lambda/D.

    Where the optics of an image are not known, over the radius in pixels, beginning with 1.
    """
    unit = _unit(rows)
    for colour, figures, title in _curves(axes, rows):
        r = _radius(figures, unit)
        if colour == COLOURS[0] and unit != PIXELS:
            axes.plot(r, figures.perfect_profile, color=LEFT, linestyle="--", label=PERFECT)
        value = "" if figures.diffraction is None else f": {figures.strehl:.3g}"
        axes.plot(r, figures.profile, color=colour, label=f"{title}{value}")
        if figures.errors is not None and figures.errors.resamples:
            _band(axes, r, figures.profile, figures.errors.profile, colour)
    axes.set_yscale("log")
    axes.set_ylim(LEAST, 2)
    axes.set_xlabel(f"radius ({unit})")
    axes.set_ylabel(
        "intensity over the peak" if unit == PIXELS else "intensity (Strehl ratio at 0)"
    )
    _legend(axes, "upper right")


def draw_encircled(axes: Any, rows: Sequence[FigureRow]) -> None:
    """Draw the light within a radius over that in the aperture."""
    unit = _unit(rows)
    for colour, figures, title in _curves(axes, rows):
        r = _radius(figures, unit)
        if colour == COLOURS[0] and unit != PIXELS:
            axes.plot(r, figures.perfect_encircled, color=LEFT, linestyle="--", label=PERFECT)
        axes.plot(r, figures.encircled, color=colour, label=title)
        if figures.errors is not None and figures.errors.resamples:
            _band(axes, r, figures.encircled, figures.errors.encircled, colour)
    axes.set_ylim(0, 1.05)
    axes.set_xlabel(f"radius ({unit})")
    axes.set_ylabel("encircled energy")
    _legend(axes, "lower right")


PERFECT = "diffraction-limited"
PIXELS = "px"
NAME = 0.42
"""Of the figure's width, for a name in a legend."""


def _unit(rows: Sequence[FigureRow]) -> str:
    """Return the unit of the radius: pixels if the optics of an image are not known."""
    known = all(row.figures.diffraction for row in rows if row.figures)
    return "λ/D" if known else PIXELS


def _radius(figures: PsfFigures, unit: str) -> Any:
    if unit == PIXELS or figures.diffraction is None:
        return figures.radius
    return figures.radius / figures.diffraction.sampling


def draw_strehl(axes: Any, rows: Sequence[FigureRow]) -> None:
    """Draw the Strehl ratio of each frame."""
    axes.plot(_numbers(rows), [row.figures.strehl for row in rows if row.figures], ".", color=KEPT)
    axes.set_xlabel("frame")
    axes.set_ylabel("Strehl ratio")


def draw_half_light(axes: Any, rows: Sequence[FigureRow]) -> None:
    """Draw the radius that holds half the light of each frame."""
    radii = [row.figures.radius_of(0.5) for row in rows if row.figures]
    axes.plot(_numbers(rows), radii, ".", color=KEPT)
    axes.set_xlabel("frame")
    axes.set_ylabel("radius of half the light (px)")


def draw_fwhm(axes: Any, rows: Sequence[FigureRow]) -> None:
    """Draw the FWHM of each frame, along both axes."""
    for name, colour in (("major", KEPT), ("minor", LEFT)):
        width = [getattr(row.figures, f"fwhm_{name}") for row in rows]
        axes.plot(_numbers(rows), width, ".", color=colour, label=name)
    axes.set_xlabel("frame")
    axes.set_ylabel("FWHM (px)")
    _legend(axes, "upper right")


def _numbers(rows: Sequence[FigureRow]) -> list[int]:
    return [k if row.frame is None else row.frame for k, row in enumerate(rows)]


def _curves(axes: Any, rows: Sequence[FigureRow]) -> list[tuple[str, Any, str]]:
    room = NAME * axes.figure.bbox.width
    return [(COLOURS[k], row.figures, shortened(row.title, room)) for k, row in enumerate(rows)]


def _band(axes: Any, r: Any, value: Any, error: Any, colour: str) -> None:
    low = np.maximum(value - error, LEAST / 10)
    axes.fill_between(r, low, value + error, color=colour, alpha=0.3, linewidth=0)


def _legend(axes: Any, place: str) -> None:
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        legend = axes.legend(loc=place, fontsize="small")
        legend.set_in_layout(False)  # a curve needs the room more than a name
        for text in legend.get_texts():
            text.set_parse_math(False)  # a name may hold a $


def write_figure_page(path: Path, rows: Sequence[FigureRow]) -> None:
    """Draw the figures on a page.

    Raises
    ------
    LuckyError
        If the file cannot be written.
    """
    with page(path, (13, 6)) as figure:
        draw_figures(figure, rows, page=True)
