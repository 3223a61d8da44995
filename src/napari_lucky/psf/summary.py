"""What a job came to, in a line: frames kept, how sharp the star is, frames left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_lucky.errors import LuckyError
from napari_lucky.pipeline.process import Result
from napari_lucky.psf.figures import psf_figures
from napari_lucky.text import counted


def result_line(result: Result, widths: tuple[float, float] | None = None) -> str:
    """Return a line on a result, such as "Kept 12 of 120 frames (10 %). FWHM 7.3 px, …".

    Parameters
    ----------
    result : Result
    widths : (float, float), optional
        FWHM of the focused stack and of the long exposure in pixels of the sensor, NaN where they
        are not known; measured if not given.
    """
    lost = result.without_star + result.damaged
    sentences = [f"Kept {result.used}."]
    lucky, mean = widths or tuple(
        star_width(result.images.get(name)) for name in ("focus", "long_exposure")
    )
    if math.isfinite(lucky):
        than = f", long exposure {mean:.3g} px" if math.isfinite(mean) else ""
        sentences.append(f"FWHM {lucky:.3g} px{than}.")
        if lucky >= mean:
            sentences.append("The stack is no sharper than the mean of all frames.")
    if lost:
        sentences.append(f"{counted(lost, 'frame')} left out.")
    return " ".join(sentences)


def star_width(image: Any) -> float:
    """Return the FWHM of a star's stack in pixels of the sensor; NaN where it cannot be measured.

    The geometric mean of both axes; see `napari_lucky.psf_figures`.

    Parameters
    ----------
    image : ImageResult, optional
    """
    if image is None:
        return math.nan
    try:
        figures = psf_figures(np.asarray(image.data))
    except LuckyError:
        return math.nan
    return math.sqrt(figures.fwhm_major * figures.fwhm_minor) / image.scale
