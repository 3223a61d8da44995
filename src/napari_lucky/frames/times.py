"""When frames were taken."""

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
    chain = list(chain_of(frames))
    times: NDArray[np.datetime64] | None = getattr(chain[-1], "times", lambda: None)()
    for view in reversed(chain[:-1]):
        if times is not None and isinstance(view, Subset):
            times = times[view.index]
    return None if times is None or np.isnat(times).all() else times
