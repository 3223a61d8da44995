"""What a layer of a run holds: frames that are read when napari shows them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import Frames
from napari_lucky.frames.lazy_array import LazyArray

MOST_MESSAGES = 3
"""Frames of a layer that are reported one by one; where a folder is gone, all are lost."""


class ShownArray(LazyArray):
    """Frames as a layer shows them: one that cannot be read is empty, and a message says so once.

    napari asks for a frame in the middle of drawing, where an exception would stop its slider.
    What computes takes `frames`, which raise.

    Parameters
    ----------
    frames : Frames
        What is read.
    """

    def __init__(self, frames: Frames) -> None:
        super().__init__(frames)
        self._ahead: dict[int, NDArray[Any]] = {}
        self._shown: set[str] = set()

    def read_ahead(self, frame: int) -> None:
        """Read a frame on the thread of a job, and keep it until another one is shown."""
        with suppress(LuckyError, OSError):  # reported when it is shown
            self._ahead[frame] = self.frames.read(slice(frame, frame + 1))[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        frame, *rest = key if isinstance(key, tuple) and key else (key,)
        for at, image in self._ahead.items():
            if frame == slice(at, at + 1):  # as napari asks when it makes the layer
                return np.array(image[np.newaxis][(slice(None), *rest)])
            if isinstance(frame, (int, np.integer)) and frame == at:
                return np.array(image[tuple(rest)])
        self._ahead = {}
        try:
            return super().__getitem__(key)
        except (LuckyError, OSError) as error:
            self._show(str(error))
            nothing = np.nan if self.dtype.kind == "f" else 0
            return np.array(np.broadcast_to(np.array(nothing, self.dtype), self.shape)[key])

    def _show(self, text: str) -> None:
        from napari_lucky.viewer.messages import show_error

        if text not in self._shown and len(self._shown) < MOST_MESSAGES:
            self._shown.add(text)
            show_error(f"{text} The frame is blank.")


def read_ahead(frames: Frames, *which: int) -> ShownArray:
    """Return what a layer of a run holds, with the frames read that it will show first."""
    shown = ShownArray(frames)
    for frame in which:
        shown.read_ahead(frame)
    return shown
