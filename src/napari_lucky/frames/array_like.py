"""Frames handled like an array: their length, single frames, slices, and a short text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.text import counted

if TYPE_CHECKING:
    from napari_lucky.frames.frames import Frames


class ArrayLike:
    """What a run and every view of it can do beside being read.

    `run[5]` is a frame, (y, x). `run[10:20]`, and a mask or an array of numbers, choose frames,
    which are read when they are used; `run[5, 10:20, :]` reads a part at once. `numpy.asarray(run)`
    reads all frames.
    """

    shape: Any
    dtype: Any
    read: Any

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        if "__repr__" not in vars(cls):  # a dataclass would write one that shows all pixels
            cls.__repr__ = ArrayLike.__repr__  # type: ignore[method-assign]

    def __len__(self) -> int:
        return int(self.shape[0])

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)):
            n = len(self)
            if not -n <= key < n:
                raise IndexError(f"There is no frame {key}: the run has {n}, 0 to {n - 1}.")
            return self.read(np.array([key % n], np.intp))[0]
        if isinstance(key, tuple) or key is Ellipsis:
            from napari_lucky.frames.lazy_array import LazyArray

            return LazyArray(self)[key]
        from napari_lucky.frames.frames import Subset

        return Subset(self, np.arange(len(self), dtype=np.intp)[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        array: NDArray[Any] = self.read(slice(None))
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"<{chain_text(self)}: {size_text(self)}>"


def chain_text(frames: Any) -> str:
    """Return what frames are made of, such as "Shifted of Calibrated of Run 'AF'"."""
    names = []
    while frames is not None and not isinstance(frames, np.ndarray):
        name = getattr(frames, "name", None)
        names.append(f"{type(frames).__name__}{f' {name!r}' if isinstance(name, str) else ''}")
        frames = getattr(frames, "frames", None)
    return " of ".join(names)


def size_text(frames: Frames) -> str:
    """Return how many frames of which size and type there are."""
    n, ny, nx = frames.shape
    return f"{counted(n, 'frame')} of {ny} x {nx} px, {frames.dtype}"
