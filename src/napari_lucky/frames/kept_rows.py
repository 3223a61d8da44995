"""What was measured of single frames, kept where all copies of this process find it."""

from __future__ import annotations

import mmap
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


class KeptRows:
    """A row of numbers for each frame, or none yet, in memory that forked processes share.

    What one copy of this process measures is there for all of them in the next pass over the run.
    Only rows that are put in take memory.

    Parameters
    ----------
    n : int
        Frames.
    width : int
        Numbers of each.
    """

    is_sent_once: ClassVar[bool] = True  # a worker keeps what it has measured

    def __init__(self, n: int, width: int) -> None:
        self._rows = np.frombuffer(mmap.mmap(-1, max(n * width, 1) * 8)).reshape(-1)[: n * width]
        self._rows = self._rows.reshape(n, width)
        self._known = np.frombuffer(mmap.mmap(-1, max(n, 1)), bool)

    def __reduce__(self) -> tuple[Any, ...]:
        return KeptRows, self._rows.shape

    def get(self, frame: int) -> NDArray[np.float64] | None:
        """Return a frame's row, if it is known."""
        return self._rows[frame] if self._known[frame] else None

    def put(self, frame: int, row: NDArray[np.float64]) -> None:
        """Keep a frame's row."""
        self._rows[frame] = row
        self._known[frame] = True
