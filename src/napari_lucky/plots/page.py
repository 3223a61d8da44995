"""A page of plots in a PNG file: the same drawing gives the same bits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_lucky.fits.write import written_whole


@contextmanager
def page(path: Path, size: tuple[float, float], title: str = "") -> Iterator[Any]:
    """Give an empty matplotlib figure, which is written when it was drawn, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        An existing file is replaced.
    size : tuple of float
        Width and height in inches.
    title : str
        Over all plots; a $ in it is no mathematics.

    Yields
    ------
    matplotlib.figure.Figure
        With a constrained layout.

    Raises
    ------
    LuckyError
        If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    yield figure
    if title:
        figure.suptitle(title, parse_math=False)
    with written_whole(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name may be in any script
        # no date and no program version of the plotter in the file
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
