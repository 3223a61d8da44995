"""One FITS file of frames: where its pixels are, and a window of them read straight from there.

Most cameras write plain images, for which a window is a seek and a read. Everything else
(scaled, blanked, compressed) goes through astropy, which gets a small file in memory for each
read: the cards that matter and the bytes asked for. So no damaged file leads it astray, and its
sections, which are not safe to share between threads, are not shared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import Stamp, descriptor_of, open_regular, read_at
from napari_lucky.files.read_ahead import fetch
from napari_lucky.fits.colours import header_colours, said_in_colour
from napari_lucky.fits.gzip_file import Unpacked, most_packed, unpacked_begin
from napari_lucky.fits.header_units import (
    ReadAt,
    Unit,
    units,
    units_of,
)
from napari_lucky.fits.integers import levels_to_adu
from napari_lucky.fits.layout import Layout, clean_header, read_header, scaled_rows, unit_at
from napari_lucky.fits.tiles import Tiles, compressed
from napari_lucky.frames.window import Window
from napari_lucky.sources.source_image import NOTHING, HeaderCards, missing_note

PLAIN, PACKED = (".fits", ".fit", ".fts"), ("", ".gz", ".fz", ".bz2", ".xz")
SUFFIXES = (*(plain + packed for packed in PACKED for plain in PLAIN), ".fz")


@dataclass(frozen=True, eq=False, slots=True)
class FitsImage:
    """A file and the layout of one image or cube in it.

    Parameters
    ----------
    path : pathlib.Path
    layout : Layout
    unpacked : Unpacked, optional
        What holds the pixels of a gzipped cube.
    stamp : Stamp, optional
        What the file was when its run was opened: with another stamp, it is another file by now.
    header_cards : HeaderCards
        What its headers say of its frames.
    packed : bool
        Whether it is packed as a whole.
    missing : int
        Frames at the end of a truncated file that are not whole.
    """

    path: Path
    layout: Layout
    unpacked: Unpacked | None = None
    stamp: Stamp | None = None
    header_cards: HeaderCards = NOTHING
    packed: bool = False
    missing: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        path = self.path.absolute()  # another process may work elsewhere
        own = (self.unpacked, self.stamp, self.header_cards, self.packed, self.missing)
        return FitsImage, (path, self.layout, *own)

    @property
    def colours(self) -> str:
        """What its header says of colours; see `header_colours`."""
        own = header_colours(self.header_cards.settings, self.layout.shape)
        return "RGB" if self.layout.in_colour else own

    @property
    def notes(self) -> tuple[str, ...]:
        """What is read of a fourth axis, and of a truncated file."""
        if self.layout.shape[0] == 1 and self.layout.axis is None and not self.missing:
            return ()
        notes = [] if self.layout.axis is None else [self.layout.axis.note]
        if said_in_colour(self.header_cards.settings, self.layout.shape[0]):
            notes.append(
                f"{self.path.name}: its header says that its planes are colours, but there are "
                f"{self.layout.shape[0]}: they are read as frames."
            )
        if self.missing:
            notes.append(missing_note(self.path.name, self.missing))
        return tuple(notes)

    @property
    def read_as(self) -> str:
        """As a FITS file."""
        return ""

    def header(self) -> Any:
        """Return its `astropy.io.fits.Header`, with the primary header's cards."""
        return read_header(self.path, self.layout.hdu)

    def times(self) -> None:
        """Return None: the cards of its headers say what is known of times."""

    def read(self, planes: Sequence[int], window: Window) -> NDArray[Any]:
        """Return some planes, (k, height, width), cut to a window; see `read_into`."""
        out = np.empty((len(planes), *window.shape), self.layout.dtype)
        self.read_into(out, planes, window)
        return out

    def read_into(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        """Read some planes, cut to a window, into an array (k, height, width).

        Raises
        ------
        LuckyError
            If the file is gone, was changed, is damaged, or ends before the pixels asked for.
        """
        layout = self.layout
        planes = layout.planes_in_file(planes)
        try:
            if layout.offset is None:
                pixels = self._read_with_astropy(planes, window)
            elif out.dtype == layout.read_as:
                return self._read_straight(out, planes, window)
            else:
                pixels = np.empty(out.shape, layout.read_as)
                self._read_straight(pixels, planes, window)
            out[:] = levels_to_adu(pixels, layout.level_step) if layout.level_step else pixels
        except LuckyError:
            raise
        except Exception as error:  # of damaged pixels astropy may raise anything
            raise LuckyError(f"{self.path}: the pixels cannot be read ({error}).") from error

    def fetch(self, planes: Sequence[int], window: Window) -> None:
        """Let the system fetch what `read_into` will read, if it can be read straight."""
        layout = self.layout
        if layout.offset is None or self.packed or self.unpacked is not None:
            return
        _, ny, nx = layout.shape
        row = nx * np.dtype(layout.stored).itemsize
        for plane in layout.planes_in_file(planes):
            fetch(self.path, layout.offset + (plane * ny + window.y0) * row, window.height * row)

    def _read_straight(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        layout = self.layout
        assert layout.offset is not None
        _, ny, nx = layout.shape
        stored = np.dtype(layout.stored)
        native = out.view(stored.newbyteorder("="))
        count = window.height * nx
        with self._numbers(stored, count) as read:
            for k, plane in enumerate(planes):
                rows = read(layout.offset + (plane * ny + window.y0) * nx * stored.itemsize)
                if rows.size < count:
                    raise EOFError("it is truncated")
                native[k] = rows.reshape(window.height, nx)[:, window.x0 : window.x1]
        if layout.flip:
            bits = out.view(f"u{stored.itemsize}")
            bits ^= bits.dtype.type(layout.flip)

    @contextmanager
    def _numbers(
        self, stored: np.dtype[Any], count: int
    ) -> Iterator[Callable[[int], NDArray[Any]]]:
        """Give what returns numbers of the file from a byte on, until the next are asked for."""
        size = count * stored.itemsize
        if self.unpacked is not None:
            unpacked = self.unpacked
            yield lambda offset: unpacked.read(stored, count, offset)
        elif self.packed:
            yield lambda offset: self._unpacked_numbers(stored, offset, offset + size)
        else:
            rows = scratch(size)
            with descriptor_of(self.path, self.stamp) as file:

                def numbers(offset: int) -> NDArray[Any]:
                    read = read_at(file, rows.data, offset)
                    return rows[: read - read % stored.itemsize].view(stored)

                yield numbers

    def _unpacked_numbers(self, stored: np.dtype[Any], offset: int, end: int) -> NDArray[Any]:
        piece = memoryview(unpacked_begin(self.path, end, self.stamp))[offset:]
        return np.frombuffer(piece, stored, len(piece) // stored.itemsize)

    def _read_with_astropy(self, planes: Sequence[int], window: Window) -> NDArray[Any]:
        out = np.empty((len(planes), *window.shape), self.layout.read_as)
        with self._units() as (read, found):
            unit = unit_at(found, self.layout.hdu)
            tiles = Tiles(unit, clean_header(unit)) if compressed(unit) else None
            for k, plane in enumerate(planes):
                if tiles is not None:
                    out[k] = tiles.section(read, plane, window)
                else:
                    out[k] = scaled_rows(read, unit, plane, self.layout.shape, window)
        return out

    @contextmanager
    def _units(self) -> Iterator[tuple[ReadAt, Iterator[Unit]]]:
        if self.unpacked is None:
            with units_of(self.path, self.stamp, cut=self.missing > 0) as opened:
                yield opened
            return
        unpacked = self.unpacked

        def read(offset: int, size: int) -> bytes:
            return unpacked.read(np.dtype(np.uint8), size, offset).tobytes()

        with open_regular(self.path, self.stamp) as file:
            size, holds = Stamp.of(file).size, most_packed(file)
        yield read, units(read, -1, size, holds)


_scratch = threading.local()


def scratch(size: int) -> NDArray[np.uint8]:
    """Return so many bytes of memory, the same for each call from one thread.

    New memory for every read costs as much as the read.
    """
    held: NDArray[np.uint8] | None = getattr(_scratch, "held", None)
    if held is None or len(held) < size:
        held = _scratch.held = np.empty(size, np.uint8)
    return held[:size]


def is_fits_name(name: str) -> bool:
    """Return whether a file's name is one of a FITS file."""
    return name.lower().endswith(SUFFIXES)
