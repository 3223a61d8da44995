"""Frames with a cache of what was read last, for steps that ask for the same frames in turn."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Frames, Index, View
from napari_lucky.frames.window import Window


def cached(frames: Any) -> Any:
    """Return the same views of a source with a cache; see `CachedFrames`."""
    if isinstance(frames, View):
        made = replace(frames, frames=cached(frames.frames))
        made.take_over(frames)
        return made
    return CachedFrames(frames)


class CachedFrames:
    """Frames with a cache of what each thread read last: several steps may ask for the same.

    Parameters
    ----------
    frames : Frames
        The source.
    """

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self._last = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return CachedFrames, (self.frames,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows, columns."""
        return self.frames.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the source."""
        return self.frames.dtype

    def read(self, frames: Index, window: Window | None = None) -> NDArray[Any]:
        """Return the frames asked for, (k, y, x), cut to the window; not to be changed."""
        if not isinstance(frames, slice):
            return self.frames.read(frames, window)
        if getattr(self._last, "key", None) != (frames, window):
            self._last.block = self.frames.read(frames, window)
            self._last.key = frames, window
        block: NDArray[Any] = self._last.block
        return block
