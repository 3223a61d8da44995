"""Pictures of a flat before and after its normalisation, for the dock and `flat.png` alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_lucky.calibration.flat import FlatField
from napari_lucky.frames.sensor_image import SensorImage, rows_of, thinned
from napari_lucky.plots.panels import KEPT, LEFT
from napari_lucky.text import percent

SMALL = "small"
BINS = 100
LONGEST = 500
"""Pixels: of a flat with a longer side, every second, third ... is drawn; no picture is larger."""
PAGE = [["light", "response", "histogram"], ["light row", "response row", "histogram"]]
DOCK = [["light"], ["light row"], ["response"], ["response row"]]


class FlatDrawing:
    """A flat drawn on a figure: both pictures, a row of each, and a histogram if asked for.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn on; it must be empty.
    field : FlatField
        What is drawn.
    row : int
        Whose profile is drawn, from 0.
    page : bool
        Whether there is a page's room, not a dock's: then the response's histogram is drawn too.
    """

    def __init__(self, figure: Any, field: FlatField, row: int, page: bool = False) -> None:
        rows = {} if page else {"height_ratios": (2, 1, 2, 1)}
        self.axes = figure.subplot_mosaic(PAGE if page else DOCK, **rows)
        self.field = field
        self.images = {"light": (field.light, "ADU"), "response": (field.response, "response")}
        titles = {
            "light": f"before: median {field.level:.5g} ADU",
            "response": f"normalised: rms {percent(field.rms)}, {field.dead} dead pixels",
        }
        for name, (image, _) in self.images.items():
            if image is None:
                titles[name] = "given normalised: nothing before it"
            draw_flat(self.axes[name], image, titles[name])
        self.marks = [self.axes[name].axhline(row, color=KEPT, linewidth=1) for name in self.images]
        if page:
            draw_histogram(self.axes["histogram"], field.response)
        self.show_row(row)

    def show_row(self, row: int) -> None:
        """Draw the profiles of another row."""
        from matplotlib import rcParams

        for mark in self.marks:
            mark.set_ydata([row, row])
        for name, (image, unit) in self.images.items():
            axes = self.axes[f"{name} row"]
            axes.clear()
            if image is None:
                axes.set_axis_off()
                continue
            axes.plot(image[row : row + 1, :][0], color=LEFT, linewidth=0.8)
            axes.set_title(f"row {row} ({unit})", fontsize=SMALL)
            axes.set_xlabel("column (px)", fontsize=SMALL)
            # ticks are made when they are drawn, with the colours of then if not given
            axes.tick_params(labelsize=SMALL, colors=rcParams["xtick.color"])


def draw_flat(axes: Any, image: SensorImage | None, title: str) -> None:
    """Draw a flat, or what it is normalised to, over all but its darkest and brightest 1 %."""
    axes.set_title(title, fontsize=SMALL)
    axes.set_xticks([])
    axes.set_yticks([])
    if image is None:
        axes.set_axis_off()
        return
    picture = thinned(image, max(1, max(image.shape) // LONGEST))
    if not np.isfinite(picture).any():
        axes.set_axis_off()
        return
    low, high = np.nanpercentile(picture, (1, 99))
    axes.imshow(
        picture,
        cmap="gray",
        vmin=low,
        vmax=max(high, low + 1e-6),
        origin="upper",
        extent=(-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5),
    )


def draw_histogram(axes: Any, response: SensorImage) -> None:
    """Draw how many pixels have which response."""
    ends = [
        (np.fmin.reduce(rows, axis=None), np.fmax.reduce(rows, axis=None))
        for rows in rows_of(response)
    ]
    edges = np.histogram_bin_edges(np.array(ends)[np.isfinite(ends)], bins=BINS)
    counts = sum(np.histogram(rows[np.isfinite(rows)], edges)[0] for rows in rows_of(response))
    axes.hist(edges[:-1], edges, weights=counts, color=LEFT)
    axes.axvline(1, color=KEPT, linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("response")
    axes.set_ylabel("pixels")
