"""Colours of layers in which masked pixels are not taken for bright ones."""

from __future__ import annotations

import sys
from typing import Any

DARK_FIRST = ("gray", "inferno")
"""Colours that begin with black: masked pixels are black too, as in a dark window."""


def colours_of(name: str) -> Any:
    """Return napari's colours of a name, with masked pixels in black.

    napari lets the canvas shine through a masked pixel. In the light theme that is white, like
    the brightest pixels.

    Parameters
    ----------
    name : str
        Of one of napari's colormaps.

    Returns
    -------
    Colormap or str
        The name, where napari is not running or its colours do not begin with black.
    """
    if name not in DARK_FIRST or "napari" not in sys.modules:
        return name
    from napari.utils.colormaps import Colormap, ensure_colormap

    known, own = ensure_colormap(name), f"{name}, masked black"
    return Colormap(
        known.colors,
        name=own,
        display_name=own,
        controls=known.controls,
        interpolation=known.interpolation,
        nan_color="black",
    )
