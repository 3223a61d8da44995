"""What a job came to, in a line: frames kept, how sharp the star is, frames left out."""

from __future__ import annotations

import math

from napari_lucky.pipeline.process import Result
from napari_lucky.text import counted


def result_line(result: Result, lucky: float = math.nan, mean: float = math.nan) -> str:
    """Return a line on a result, such as "Kept 12 of 120 frames (10 %). FWHM 7.3 px, …".

    Parameters
    ----------
    result : Result
    lucky, mean : float
        FWHM of the focused stack and of the long exposure in pixels of the sensor; NaN where they
        are not known.
    """
    lost = result.without_star + result.damaged
    sentences = [f"Kept {result.used}."]
    if math.isfinite(lucky):
        than = f", long exposure {mean:.3g} px" if math.isfinite(mean) else ""
        sentences.append(f"FWHM {lucky:.3g} px{than}.")
        if lucky >= mean:
            sentences.append("The stack is no sharper than the mean of all frames.")
    if lost:
        sentences.append(f"{counted(lost, 'frame')} left out.")
    return " ".join(sentences)
