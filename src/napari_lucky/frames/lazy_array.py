"""Frames as an array that napari can slice, one read at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Frames
from napari_lucky.frames.window import Window


class LazyArray:
    """Frames in an array's clothes: what a viewer's layer holds.

    Indexing reads just the frames and rows asked for, so a slider moved over a run of any
    length costs one frame. Nothing is kept.

    Parameters
    ----------
    frames : Frames
        What is read.
    """

    ndim = 3

    def __init__(self, frames: Frames) -> None:
        self.frames = frames

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows, columns."""
        return self.frames.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the elements."""
        return self.frames.dtype

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"LazyArray({type(self.frames).__name__}, shape={self.shape}, dtype={self.dtype})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        array = self.frames.read(slice(None))
        return array if dtype is None else array.astype(dtype, copy=False)

    def astype(self, dtype: Any, copy: bool = True) -> NDArray[Any]:
        """Return the whole run as numbers of another type; it must fit into memory."""
        return np.asarray(self).astype(dtype, copy=copy)

    def max(self, *args: Any, **kwargs: Any) -> Any:
        """Return numpy's `max` of the whole run; it must fit into memory."""
        return np.asarray(self).max(*args, **kwargs)

    def min(self, *args: Any, **kwargs: Any) -> Any:
        """Return numpy's `min` of the whole run; it must fit into memory."""
        return np.asarray(self).min(*args, **kwargs)

    def mean(self, *args: Any, **kwargs: Any) -> Any:
        """Return numpy's `mean` of the whole run; it must fit into memory."""
        return np.asarray(self).mean(*args, **kwargs)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = key if isinstance(key, tuple) else (key,)
        for at, k in enumerate(keys):
            if k is Ellipsis:
                keys = keys[:at] + (slice(None),) * (4 - len(keys)) + keys[at + 1 :]
                break
        frame, *sides = keys or (slice(None),)
        index = np.arange(self.shape[0])[frame if np.ndim(frame) < 2 else None]
        plain = all(isinstance(k, (int, np.integer, slice)) for k in sides)
        if index.ndim > 1 or len(sides) > 2 or not plain:
            return np.asarray(self)[key]  # rare and odd: numpy knows best
        y, x = (*sides, slice(None), slice(None))[:2]
        y0, height, y = _span(y, self.shape[1])
        x0, width, x = _span(x, self.shape[2])
        block = self.frames.read(np.atleast_1d(index), Window(y0, x0, height, width))
        return np.asarray(block[(slice(None) if index.ndim else 0), y, x])


def _span(key: int | slice, side: int) -> tuple[int, int, int | slice]:
    """Return what to read of an axis (first, number) and the key that is left to apply."""
    if not isinstance(key, slice):
        return int(range(side)[key]), 1, 0
    start, stop, step = key.indices(side)
    if step == 1:
        return start, max(stop - start, 0), slice(None)
    return 0, side, key
