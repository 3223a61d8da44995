"""An image as a picture for looking at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.fits.inputs import NO_INPUTS, Inputs
from napari_lucky.fits.write import written_whole

Colours = Callable[[NDArray[np.float64]], NDArray[Any]]
"""Takes brightness from 0 to 1, (n,), and gives red, green, blue and opacity, (n, 4)."""


def write_picture(
    path: str | Path,
    image: NDArray[Any],
    limits: tuple[float, float],
    gamma: float = 1.0,
    colours: Colours | None = None,
    *,
    inputs: Inputs = NO_INPUTS,
) -> None:
    """Write an image as PNG of 8 bits, its first row at the top, as napari shows it.

    Parameters
    ----------
    path : str or pathlib.Path
        An existing file is replaced.
    image : ndarray, (y, x)
        Masked pixels are the darkest.
    limits : tuple of float
        What is black and what is white.
    gamma : float
        Power of the brightness between them.
    colours : callable, optional
        See `Colours`; shades of grey if not given.
    inputs : mapping
        What must not be replaced; see `napari_lucky.fits.inputs.check_not_inputs`.

    Raises
    ------
    LuckyError
        If the file cannot be written, or is an input.
    """
    from matplotlib.image import imsave

    low, high = (float(limit) for limit in limits)
    span = high - low if high > low else 1.0
    shade = np.clip(np.nan_to_num((np.asarray(image, np.float64) - low) / span), 0, 1) ** gamma
    grey = np.stack([shade] * 3, axis=-1)
    shown = grey if colours is None else colours(shade.ravel())[:, :3].reshape(*shade.shape, 3)
    with written_whole(Path(path), inputs) as temporary:
        imsave(temporary, np.rint(255 * shown).astype(np.uint8), format="png")
