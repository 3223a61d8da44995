"""`Frames`: a run of frames that is read lazily, window by window.

What the constants do is measured by ``benchmarks/speed.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import UsageError
from napari_lucky.frames.array_like import ArrayLike
from napari_lucky.frames.sensor_image import At
from napari_lucky.frames.window import Window

SPARSE = 8
"""One of so many rows and columns is looked at first: it shows of most frames that they vary."""
MANY = 1 << 12
"""Frames whose numbers cost more to list than a few are to check."""
Index = slice | NDArray[np.intp]
"""Which frames to read: a slice or an array of frame numbers."""


class Frames(Protocol):
    """A lazily read stack of frames; every view of the chain is one as well.

    A source keeps the number type of its file, so that what is shown is what the file says;
    everything computed from it is float32.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows, columns."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of what `read` returns."""
        ...

    def read(self, frames: Index, window: Window | None = None) -> NDArray[Any]:
        """Return the frames asked for, (k, y, x), cut to the window."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayFrames(ArrayLike):
    """Frames held by any array that can be indexed: numpy, memory map, dask, zarr.

    The masked pixels of a masked array are NaN, and its whole numbers float32.

    Parameters
    ----------
    array : array-like, (n, y, x) or (y, x)
        A single image counts as a run of one frame.
    """

    array: Any

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows, columns."""
        shape = tuple(int(side) for side in self.array.shape)
        return (1, *shape) if len(shape) == 2 else shape  # type: ignore[return-value]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the array."""
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        if dtype.kind != "f" and np.ma.isMaskedArray(getattr(self.array, "_meta", self.array)):
            return np.dtype(np.float32)
        return dtype

    def read(self, frames: Index, window: Window | None = None) -> NDArray[Any]:
        """Return the frames asked for, (k, y, x), cut to the window."""
        rows, columns = (window or Window.whole(self.shape)).slices
        if len(self.array.shape) == 2:
            return self._plain(self.array[rows, columns])[np.newaxis][frames]
        return self._plain(self.array[frames, rows, columns])

    def _plain(self, block: Any) -> NDArray[Any]:
        if hasattr(block, "compute"):  # dask's, which may be masked
            block = block.compute()
        if np.ma.isMaskedArray(block):
            return np.ma.filled(block.astype(self.dtype), np.nan)
        return np.asarray(block)


@dataclass(frozen=True, eq=False)
class View(ArrayLike):
    """Frames computed from other frames, of the same shape, as float32.

    Parameters
    ----------
    frames : Frames
        What they are computed from.
    """

    frames: Frames

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows, columns."""
        return self.frames.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32."""
        return np.dtype(np.float32)

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the frames asked for, (k, y, x), cut to the window; each view says how."""
        raise NotImplementedError

    def thinned(self, at: At) -> Frames:
        """Return the frames with some rows and columns alone; see `thinned_frames`.

        A view each of whose pixels depends on that very pixel says how the others are not computed.
        """
        return Thinned(self, at)

    def take_over(self, other: View) -> None:
        """Use what the same view of the same frames has found; most views find nothing."""

    def scale(self, window: Window) -> float:
        """Return by how much raw pixels of a window are multiplied, as a rule."""
        return self.frames.scale(window) if isinstance(self.frames, View) else 1.0

    def blank(self, frames: Index, window: Window) -> NDArray[np.bool_]:
        """Return which frames have raw pixels all equal or NaN in a window: no light at all.

        Calibrated, such a frame shows the dark and the flat, which are no star.
        """
        if isinstance(self.frames, View):
            return self.frames.blank(frames, window)
        return is_empty(self.frames.read(frames, window))


@dataclass(frozen=True, eq=False)
class Subset(ArrayLike):
    """Some frames of a run, in a given order.

    Parameters
    ----------
    frames : Frames
        The run.
    index : ndarray of int, (k,)
        Frame numbers of the run.
    """

    frames: Frames
    index: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames chosen, rows, columns."""
        return (len(self.index), *self.frames.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the run."""
        return self.frames.dtype

    def read(self, frames: Index, window: Window | None = None) -> NDArray[Any]:
        """Return the frames asked for, (k, y, x), cut to the window."""
        return self.frames.read(self.index[frames], window)


@dataclass(frozen=True, eq=False)
class Thinned(ArrayLike):
    """Some rows and columns of frames that are read whole.

    Parameters
    ----------
    frames : Frames
    at : tuple of slice
        Rows and columns, such as every eighth.
    """

    frames: Frames
    at: At

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, and of rows and columns that are left."""
        n, *sides = self.frames.shape
        ny, nx = (len(range(side)[part]) for side, part in zip(sides, self.at, strict=True))
        return n, ny, nx

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the frames."""
        return self.frames.dtype

    def read(self, frames: Index, window: Window | None = None) -> NDArray[Any]:
        """Return the frames asked for, (k, y, x), cut to a window of the pixels that are left."""
        left = self.frames.read(frames)[:, *self.at]
        return left if window is None else left[:, *window.slices]


def thinned_frames(frames: Frames, at: At) -> Frames:
    """Return the same views of some rows and columns of a run, such as every eighth.

    Their pixels are the same to the bit, but the others are not computed where that can be
    spared. The sensor must not be a large one.
    """
    return frames.thinned(at) if isinstance(frames, View) else Thinned(frames, at)


def chain_of(frames: Any) -> Iterator[Any]:
    """Yield frames, what they are computed from, and so on down to their source."""
    while frames is not None:
        yield frames
        frames = getattr(frames, "frames", None)


def numbers_in(frames: Index, n: int) -> NDArray[np.intp]:
    """Return the numbers that a slice or an array chooses of n frames.

    As `numpy.arange(n)[frames]`, whose cost grows with n; of a long run a few are read at a time.
    """
    if isinstance(frames, slice):
        return np.arange(*frames.indices(n), dtype=np.intp)
    index = np.asarray(frames)
    if n > MANY and index.dtype.kind in "iu" and ((index >= 0) & (index < n)).all():
        return index.astype(np.intp)
    return np.arange(n, dtype=np.intp)[frames]


def blank_frames(frames: Frames, index: Index, window: Window) -> NDArray[np.bool_]:
    """Return which frames have raw pixels all equal or NaN in a window; see `View.blank`.

    Of frames that are no view nothing is known beside their pixels: none is called blank.
    """
    if isinstance(frames, View):
        return frames.blank(index, window)
    return np.zeros(len(numbers_in(index, frames.shape[0])), bool)


def whole_run(frames: Frames) -> Frames:
    """Return the same views of all frames of the run, where they are of some of it."""
    if isinstance(frames, Subset):
        return frames.frames
    if isinstance(frames, View):
        return replace(frames, frames=whole_run(frames.frames))
    return frames


def is_empty(block: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each frame of a block (k, y, x) whether all its pixels are equal or masked."""
    empty = _is_even(block[:, ::SPARSE, ::SPARSE])
    if empty.any():
        empty[empty] = _is_even(block[empty])
    return empty


def _is_even(block: NDArray[Any]) -> NDArray[np.bool_]:
    low = np.fmin.reduce(block, axis=(1, 2))
    return np.asarray(~(np.fmax.reduce(block, axis=(1, 2)) > low))


def parse_range(text: str) -> slice:
    """Return the slice that START:STOP[:STEP] means, frames counted from 0, STOP not included.

    Raises
    ------
    LuckyError
        If it means none.
    """
    try:
        parts = [int(part) if part.strip() else None for part in text.split(":")]
    except ValueError:
        parts = []
    if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] is not None and parts[2] < 1):
        raise UsageError(
            f"{text!r} is not START:STOP or START:STOP:STEP: whole numbers of frames from 0, such "
            "as 0:100 or 0:2000:10, with a step of at least 1."
        )
    return slice(*parts)


def frames_in(n: int, chosen: slice) -> NDArray[np.intp]:
    """Return the numbers of the frames that a slice chooses of n.

    Raises
    ------
    LuckyError
        If it chooses none.
    """
    index = numbers_in(chosen, n)
    if len(index) == 0:
        parts = (chosen.start, chosen.stop, chosen.step)
        text = ":".join("" if part is None else str(part) for part in parts).removesuffix(":")
        raise UsageError(f"The range {text} chooses none of the run's {n} frames.")
    return index


def as_float32(block: NDArray[Any]) -> NDArray[np.float32]:
    """Return the pixels as native float32, without a copy where they are that already."""
    return block.astype(np.float32, copy=False)


Block = NDArray[np.float32]
