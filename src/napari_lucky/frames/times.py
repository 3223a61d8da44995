"""When frames were taken, and for how long they were exposed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Subset, chain_of


def frame_times(frames: Any) -> NDArray[np.datetime64] | None:
    """Return when each frame was taken, whatever views it went through.

    Parameters
    ----------
    frames : Frames
        A run, or a view of one.

    Returns
    -------
    ndarray of datetime64[us], (n,), or None
        UTC, as the run's `times` has it: NaT where it is not known; None where none is.
    """
    times = _of_source(frames, "times")
    return None if times is None or np.isnat(times).all() else times


def frame_exposures(frames: Any) -> NDArray[np.float64] | None:
    """Return how long each frame was exposed, in seconds, whatever views it went through.

    Parameters
    ----------
    frames : Frames
        A run, or a view of one.

    Returns
    -------
    ndarray of float64, (n,), or None
        As the run's `exposures` has it: NaN where it is not known; None where none is.
    """
    exposures = _of_source(frames, "exposures")
    return None if exposures is None or np.isnan(exposures).all() else exposures


def _of_source(frames: Any, what: str) -> NDArray[Any] | None:
    """Return what the source has of each frame, for the frames of a view."""
    chain = list(chain_of(frames))
    known: NDArray[Any] | None = getattr(chain[-1], what, lambda: None)()
    for view in reversed(chain[:-1]):
        if known is not None and isinstance(view, Subset):
            known = known[view.index]
    return known


def time_texts(times: NDArray[np.datetime64]) -> list[str]:
    """Return times as tables have them: ISO, to the microsecond; empty where not known."""
    texts = np.datetime_as_string(times.astype("datetime64[us]"))
    found: list[str] = np.where(np.isnat(times), "", texts).tolist()
    return found


def short_time(time: np.datetime64) -> str:
    """Return a time as headers have it: ISO, with as many digits as it needs."""
    (text,) = time_texts(np.array([time]))
    return text.rstrip("0").rstrip(".") if "." in text else text
