"""The page that shows a job at a glance: report.png."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_lucky.pipeline.process import Result
from napari_lucky.pipeline.step import ReadShifts
from napari_lucky.plots.page import page
from napari_lucky.plots.panels import draw_image, draw_quality, draw_shifts, draw_sorted
from napari_lucky.ranking.selection import select
from napari_lucky.ranking.step import Rank, Select
from napari_lucky.registration.step import Register
from napari_lucky.stacking.step import StackFrames
from napari_lucky.text import readable


def write_report(path: Path, result: Result) -> None:
    """Draw the quality curve with its cut, the shifts, the stacks and the long exposure.

    Raises
    ------
    LuckyError
        If the file cannot be written.
    """
    table, recipe = result.table, result.recipe
    count, by_hand = _cut(result)
    changed = f" ({by_hand.sum()} changed by hand)" if by_hand.any() else ""
    frames = recipe.input.frames  # none if they were only in memory
    run = f"{readable(Path(frames[0]).resolve().name)}: " if frames else ""
    heading = (
        f"{run}{len(table.frame)} frames, "
        f"{table.selected.sum()} kept by {recipe[Rank].metric}{changed}, "
        f"registered by {recipe[Register].kind}"
    )
    with page(path, (13, 8), heading) as figure:
        axes = figure.subplots(2, 3)
        draw_quality(axes[0, 0], table.frame, table.quality, table.selected, by_hand)
        draw_sorted(axes[0, 1], table.quality, count)
        draw_shifts(axes[0, 2], table.shifts, table.selected)
        for panel, name in zip(axes[1], ("focus", "defocus", "long_exposure"), strict=True):
            if name not in result.images:
                panel.set_axis_off()
                continue
            made = result.images[name]
            image = np.asarray(made.data)
            # the long exposure on the lucky stack's scale: what selection gained is what is seen
            scale = image if name == "defocus" else np.asarray(result.images["focus"].data)
            top, high = (float(np.fmax.reduce(pixels, axis=None)) for pixels in (image, scale))
            peak = f"peak {top:.4g} ADU" if np.isfinite(top) else "all masked"
            how = "mean" if name == "long_exposure" else recipe[StackFrames].kind
            title = f"{name.replace('_', ' ')}: {how} of {made.combined}, {peak}"
            draw_image(panel, image, title, high)


def _cut(result: Result) -> tuple[int, NDArray[np.bool_]]:
    """Return where the cut is, and which frames were changed by hand after it."""
    table, recipe = result.table, result.recipe
    by = recipe[Select]
    if recipe.get(ReadShifts) is not None or not (by.add or by.drop):
        return int(table.selected.sum()), np.zeros(len(table.frame), bool)
    cut = select(table.quality, by.keep, above=by.above)
    return len(cut), table.selected != np.isin(np.arange(len(table.frame)), cut)
