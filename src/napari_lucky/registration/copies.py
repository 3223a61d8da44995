"""Frames that repeat another one: a camera that stood still, or a file saved twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Frames, Subset, chain_of
from napari_lucky.frames.history import number_ranges
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window
from napari_lucky.text import counted

LOOKED_AT = 8
"""Frames whose pixels are compared, once what was measured in them is alike to the last digit."""
LONGEST = 40
"""Letters of a list of frames."""


def copy_notes(frames: Frames, focus: Window, found: NDArray[np.float64]) -> tuple[str, ...]:
    """Return a sentence if frames are copies of earlier ones; nothing otherwise.

    Parameters
    ----------
    frames : Frames
        In ADU.
    focus : Window
        Holds the star.
    found : ndarray of float64, (n, 9)
        From `napari_lucky.imaging.brightest_speckle.track_brightest`, NaN for frames without light:
        noise lets no two frames have the same numbers.
    """
    rows = np.ascontiguousarray(found[:, [0, 1, 2, 5, 6]], np.float32)
    first: dict[bytes, int] = {}
    pairs = [
        (earlier, number)
        for number in np.flatnonzero(np.isfinite(rows).all(axis=1)).tolist()
        if (earlier := first.setdefault(rows[number].tobytes(), number)) != number
    ]
    for k in spread_over(len(pairs), LOOKED_AT):
        one, other = frames.read(np.array(pairs[k]), focus)
        if not np.array_equal(one, other, equal_nan=True):
            return ()
    if not pairs:
        return ()
    names = frame_names(frames, np.array([number for _, number in pairs]))
    return (
        f"Identical to an earlier frame, to the last bit: {len(pairs)} of "
        f"{counted(len(found), 'frame')} ({names}). The camera stopped, or files were copied. "
        "Copies add nothing, and errors come out too small: drop them (--drop).",
    )


def frame_names(frames: Frames, numbers: NDArray[np.intp]) -> str:
    """Return the numbers in the run of some frames as a short text, such as "0–4, 7, 9–11"."""
    for view in chain_of(frames):
        if isinstance(view, Subset):
            numbers = view.index[numbers]
    names = number_ranges(numbers)
    if len(names) > LONGEST:
        names = names[:LONGEST].rpartition(",")[0] + " …"
    return names.replace("-", "–").replace(",", ", ")
