"""Pictures of a flat before and after its normalisation, for the dock and `flat.png` alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .flats import FlatField
from .plots import KEPT, LEFT

SMALL = "small"


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
    histogram : bool
        Whether the response's histogram is drawn too.
    """

    def __init__(self, figure: Any, field: FlatField, row: int, histogram: bool = False) -> None:
        rows = [["light", "response"], ["light row", "response row"]]
        layout = [[*names, "histogram"] for names in rows] if histogram else rows
        self.axes = figure.subplot_mosaic(layout)
        self.field = field
        self.images = {"light": (field.light, "ADU"), "response": (field.response, "response")}
        titles = {
            "light": f"combined, before normalisation\nmedian {field.level:.5g} ADU",
            "response": f"normalised: rms {100 * field.rms:.3g} %\ndead pixels: {field.dead}",
        }
        for name, (image, _) in self.images.items():
            if image is None:
                titles[name] = "given normalised:\nnothing before it"
            draw_flat(self.axes[name], image, titles[name])
        self.marks = [self.axes[name].axhline(row, color=KEPT, linewidth=1) for name in self.images]
        if histogram:
            draw_histogram(self.axes["histogram"], field.response)
        self.show_row(row)

    def show_row(self, row: int) -> None:
        """Draw the profiles of another row."""
        for mark in self.marks:
            mark.set_ydata([row, row])
        for name, (image, unit) in self.images.items():
            axes = self.axes[f"{name} row"]
            axes.clear()
            if image is None:
                axes.set_axis_off()
                continue
            axes.plot(image[row], color=LEFT, linewidth=0.8)
            axes.set_title(f"row {row} ({unit})", fontsize=SMALL)
            axes.set_xlabel("column (px)", fontsize=SMALL)
            axes.tick_params(labelsize=SMALL)


def draw_flat(axes: Any, image: NDArray[np.float32] | None, title: str) -> None:
    """Draw a flat, or what it is normalised to, over all but its darkest and brightest 1 %."""
    axes.set_title(title, fontsize=SMALL)
    axes.set_xticks([])
    axes.set_yticks([])
    if image is None or not np.isfinite(image).any():
        axes.set_axis_off()
        return
    low, high = np.nanpercentile(image, (1, 99))
    axes.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), origin="upper")


def draw_histogram(axes: Any, response: NDArray[np.float32]) -> None:
    """Draw how many pixels have which response."""
    good = response[np.isfinite(response)]
    axes.hist(good, bins=100, color=LEFT)
    axes.axvline(1, color=KEPT, linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("response")
    axes.set_ylabel("pixels")
