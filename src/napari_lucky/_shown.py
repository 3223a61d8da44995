"""What a layer of a run holds: frames that are read when napari shows them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import LuckyError
from .frames import Frames, LazyArray

MOST_TOLD = 3
"""Frames of a layer that are told of: where a folder is gone, all others are as well."""


class ShownArray(LazyArray):
    """Frames as a layer shows them: one that cannot be read is empty, and the user is told once.

    napari asks for a frame in the middle of drawing, where an exception would stop its slider.
    What computes takes `frames`, which raise.

    Parameters
    ----------
    frames : Frames
        What is read.
    """

    def __init__(self, frames: Frames) -> None:
        super().__init__(frames)
        self._ahead: tuple[int, NDArray[Any]] | None = None
        self._told: set[str] = set()

    def read_ahead(self, frame: int) -> None:
        """Read a frame now, on a thread, for a layer that is to show it; kept until another is."""
        try:
            self._ahead = frame, self.frames.read(slice(frame, frame + 1))[0]
        except (LuckyError, OSError):
            self._ahead = None  # told when it is shown

    def __getitem__(self, key: Any) -> NDArray[Any]:
        frame, *rest = key if isinstance(key, tuple) and key else (key,)
        ahead = self._ahead
        if ahead is not None and isinstance(frame, (int, np.integer)) and frame == ahead[0]:
            return np.array(ahead[1][tuple(rest)])
        self._ahead = None
        try:
            return super().__getitem__(key)
        except (LuckyError, OSError) as error:
            self._tell(str(error))
            nothing = np.nan if self.dtype.kind == "f" else 0
            return np.array(np.broadcast_to(np.array(nothing, self.dtype), self.shape)[key])

    def _tell(self, text: str) -> None:
        from napari.utils.notifications import show_error

        if text not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(text)
            show_error(f"{text} The frame is shown empty.")


def read_ahead(frames: Frames, frame: int) -> ShownArray:
    """Return what a layer of a run holds, with the frame read that it will show first."""
    shown = ShownArray(frames)
    shown.read_ahead(frame)
    return shown
