"""How many frames a fraction keeps, and how that is said."""

from __future__ import annotations

import numpy as np

from napari_lucky.text import counted, percent

LEAST_KEPT = 10
"""So many frames at least are kept, or all there are, unless a count or a quality is given."""
TOO_FEW = f"with fewer than {LEAST_KEPT}, the stack is noisy and chance decides how sharp it is"


def kept_of(fraction: float, usable: int) -> int:
    """Return how many of so many frames with a quality a fraction keeps."""
    return min(usable, max(LEAST_KEPT, int(np.floor(fraction * usable + 0.5))))


def describe_count(kept: int, frames: int) -> str:
    """Return how many frames are kept, such as "12 of 120 frames (10 %)"."""
    return f"{kept} of {counted(frames, 'frame')} ({percent(kept / frames)})"
