"""Images of a whole sensor in little memory: masks in bits, and masters in a temporary file.

What the constants do is measured by ``benchmarks/memory.py``.
"""

from __future__ import annotations

import mmap
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.files.temporaries import write_all
from napari_lucky.frames.window import Window
from napari_lucky.pieces import pieces

LARGE = 1 << 23
"""Pixels of a sensor from which on whole images of it are not held in memory."""
BAND, BAND_ROWS = 1 << 18, 8
"""Pixels of a band of rows of a large sensor, and its rows, at least."""
READ = 1 << 22
"""Pixels of an ordinary sensor that are read of several frames together."""
SMALL = 256
"""Pixels a side, at most, of a window of a master whose memory pages may be held."""
BINS, HELD = 4096, 1 << 18
"""Bins in which the median is looked for, and values among which it is sorted out at last."""

At = tuple[slice, slice]
"""Rows and columns; see `napari_lucky.frames.window.Window.slices`."""


class SensorImage(Protocol):
    """An image of a sensor that is read by windows; numpy's arrays are as well."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, columns."""
        ...

    def __getitem__(self, at: Any, /) -> Any:
        """Return the pixels of a window."""
        ...

    def __array__(self, dtype: Any = None, /) -> NDArray[Any]:
        """Return the whole image."""
        ...


def is_large(shape: tuple[int, ...]) -> bool:
    """Return whether whole images of a sensor, (..., y, x), are too large to be held in memory."""
    return shape[-2] * shape[-1] > LARGE


def bands_of(shape: tuple[int, ...], depth: int = 1) -> list[slice]:
    """Cut a sensor, (..., y, x), into bands of rows; of one frame, an ordinary one is one band.

    Where so many frames are read together (`depth`), the bands are narrower.
    """
    ny, nx = shape[-2:]
    if is_large(shape):
        rows = max(BAND_ROWS // depth, BAND // (nx * depth), 1)
    else:
        rows = max(ny if depth == 1 else READ // (nx * depth), 1)
    return pieces(ny, rows)


def rows_in(shape: tuple[int, ...], band: slice) -> Window:
    """Return the window that a band of rows of a sensor, (..., y, x), is."""
    return Window(band.start, 0, band.stop - band.start, shape[-1])


def window_at(at: At, shape: tuple[int, ...]) -> Window:
    """Return the window of a sensor, (..., y, x), that rows and columns stand for."""
    (y0, y1, _), (x0, x1, _) = (
        part.indices(side) for part, side in zip(at, shape[-2:], strict=True)
    )
    return Window(y0, x0, max(y1 - y0, 0), max(x1 - x0, 0))


def rows_of(image: SensorImage) -> Iterator[NDArray[Any]]:
    """Yield an image from top to bottom, in bands of rows."""
    for band in bands_of(image.shape):
        yield np.asarray(image[band, :])


def thinned(image: SensorImage, step: int) -> NDArray[Any]:
    """Return every `step`-th row and column of an image."""
    bands = bands_of(image.shape)
    # copied: a view would hold its whole band
    return np.concatenate(
        [image[band, :][-band.start % step :: step, ::step].copy() for band in bands]
    )


def median_of(read: Callable[[], Iterable[NDArray[Any]]]) -> float:
    """Return the median of the finite values that come in parts; NaN if there are none.

    Parameters
    ----------
    read : callable
        Returns the parts, as often as it is called; they are never held together.
    """
    first, *rest = islice(read(), 2)
    if not rest:
        values = first[np.isfinite(first)]
        # numpy need not copy them once more
        return float(np.median(values, overwrite_input=True)) if values.size else float("nan")
    low, high, number = np.inf, -np.inf, 0
    for part in read():
        values = part[np.isfinite(part)]
        number += values.size
        low = min(low, float(values.min(initial=np.inf)))
        high = max(high, float(values.max(initial=-np.inf)))
    if number == 0:
        return float("nan")
    total, rank = number, (number - 1) // 2
    least = 1e-12 * (high - low)
    while number > HELD and high - low > max(least, 1e-12 * max(abs(low), abs(high))):
        counts, scale, below = np.zeros(BINS, np.intp), BINS / (high - low), 0
        for part in read():
            below += int((part < low).sum())
            values = part[(part >= low) & (part <= high)].astype(np.float64)
            at = np.minimum((values - low) * scale, BINS - 1).astype(np.intp)
            counts += np.bincount(at, minlength=BINS)
        k = int(np.searchsorted(below + np.cumsum(counts), rank, side="right"))
        number = int(counts[k])
        # a little more than this bin, for what is rounded into it
        low, high = max(low, low + (k - 0.1) / scale), min(high, low + (k + 1.1) / scale)
    below, found, above = 0, [], np.inf
    for part in read():
        below += int((part < low).sum())
        found.append(np.unique(part[(part >= low) & (part <= high)], return_counts=True))
        above = min(above, float(part[(part > high)].min(initial=np.inf)))
    each, times = (np.concatenate(both) for both in zip(*found, strict=True))
    order = np.argsort(each)
    values, upto = np.append(each[order].astype(np.float64), above), below + np.cumsum(times[order])
    middle = np.searchsorted(upto, [rank, total // 2], side="right")
    return float(values[middle].mean())


class LazyImage:
    """An image of a sensor that is computed, or stored, by windows.

    Parameters
    ----------
    shape : tuple of int
        Rows, columns.
    """

    dtype: np.dtype[Any] = np.dtype(np.float64)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape[-2:]

    def __getitem__(self, at: At) -> NDArray[Any]:
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[slice(None), slice(None)]
        return whole if dtype is None else whole.astype(dtype)


class BitMask(LazyImage):
    """A mask of a sensor's pixels, a bit each.

    Parameters
    ----------
    shape : tuple of int
        Rows, columns. Nothing is masked at first.
    """

    dtype = np.dtype(np.bool_)

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self._bits = np.zeros((self.shape[0], -(-self.shape[1] // 8)), np.uint8)

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> BitMask:
        """Return a mask, (y, x), as bits."""
        bits = cls(mask.shape)
        bits.set_rows(slice(None), mask)
        return bits

    def set_rows(self, rows: slice, mask: NDArray[np.bool_]) -> None:
        """Mask pixels of some rows as a mask of these rows says."""
        self._bits[rows] = np.packbits(mask, axis=1)

    def __getitem__(self, at: At) -> NDArray[np.bool_]:
        rows, columns = at
        first, last, _ = columns.indices(self.shape[1])
        start = first // 8 * 8
        part = np.unpackbits(self._bits[rows, start // 8 : -(-last // 8)], axis=1)
        return part[:, first - start : max(last, first) - start].view(np.bool_)

    def any(self) -> bool:
        """Return whether any pixel is masked."""
        return bool(self._bits.any())


class StoredImage(LazyImage):
    """A float32 image of a large sensor, in a temporary file that has no name.

    Windows of it are read through a memory map, large ones through one of their own: what was
    read of them is not held.

    Parameters
    ----------
    shape : tuple of int
        Rows, columns. All pixels are 0 at first.

    Raises
    ------
    OSError
        If no temporary file can be made.
    LuckyError
        If there is no room for the pixels.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self._line = self.shape[1] * self.dtype.itemsize
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as the image
        weakref.finalize(self, self._file.close)
        self._file.truncate(self.shape[0] * self._line)

    @cached_property
    def _map(self) -> NDArray[np.float32]:
        return np.memmap(self._file, self.dtype, "r", shape=self.shape)

    def __setitem__(self, rows: slice, pixels: NDArray[np.float32]) -> None:
        first, _, _ = rows.indices(self.shape[0])
        self._file.seek(first * self._line)
        data = np.ascontiguousarray(pixels, self.dtype).data
        try:
            write_all(self._file, data, "A master of this large sensor is kept in")
        except OSError as error:
            raise LuckyError(f"{error}.") from error

    def __getitem__(self, at: At) -> NDArray[np.float32]:
        rows, columns = at
        first, last, _ = rows.indices(self.shape[0])
        if max(last - first, len(range(*columns.indices(self.shape[1])))) <= SMALL:
            return np.asarray(self._map[rows, columns])
        begin, end = first * self._line, max(last, first) * self._line
        if begin == end:
            return np.empty((0, self.shape[1]), self.dtype)[:, columns]
        start = begin - begin % mmap.ALLOCATIONGRANULARITY
        size = (last - first) * self.shape[1]
        with mmap.mmap(
            self._file.fileno(), end - start, access=mmap.ACCESS_READ, offset=start
        ) as pages:
            whole = np.frombuffer(pages, self.dtype, size, begin - start)
            part = whole.reshape(-1, self.shape[1])[:, columns].copy()
            del whole  # else its pages cannot be let go
        return part

    def __reduce__(self) -> tuple[Any, ...]:
        return np.asarray, (np.asarray(self),)  # another machine has no such file


def blank_image(shape: tuple[int, ...]) -> Any:
    """Return a float32 image to be filled by rows: an array, or stored if the sensor is large."""
    if is_large(shape):
        with suppress(OSError):  # no folder for it: then in memory
            return StoredImage(shape)
    return np.empty(shape[-2:], np.float32)


def put_together(
    shape: tuple[int, ...], bands: Sequence[slice], parts: Iterable[NDArray[Any]]
) -> SensorImage:
    """Return the image that bands of rows make; if there is one alone, that very array.

    Of several, those of a large sensor are not in memory, and the pixels are float32.
    """
    if len(bands) == 1:
        (whole,) = parts
        return whole
    made: SensorImage = blank_image(shape)
    for band, pixels in zip(bands, parts, strict=True):
        made[band] = pixels  # type: ignore[index]
    return made
