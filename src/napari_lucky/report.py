"""The page that tells a job at a glance: report.png."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from .fits_output import written_whole
from .pipeline import Result
from .plots import draw_image, draw_quality, draw_shifts, draw_sorted


def write_report(path: Path, result: Result) -> None:
    """Draw the quality curve with its cut, the shifts, the stacks and the long exposure.

    Raises
    ------
    LuckyError
        If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    table, recipe = result.table, result.recipe
    figure = Figure(figsize=(13, 8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    draw_quality(axes[0, 0], table.frame, table.quality, table.selected)
    draw_sorted(axes[0, 1], table.quality, int(table.selected.sum()))
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
        draw_image(panel, image, f"{name.replace('_', ' ')}: mean of {made.combined}, {peak}", high)
    figure.suptitle(
        f"{Path(recipe.frames[0]).resolve().name}: {len(table.frame)} frames, "
        f"{table.selected.sum()} kept by {recipe.rank}, registered by {recipe.register}",
        parse_math=False,  # a name may hold a $
    )
    with written_whole(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name may be in any script
        # no date and no program version of the plotter in the file: same recipe, same bits
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
