"""One FITS file of frames: where its pixels are, and a window of them read straight from there.

Most cameras write plain images, for which a window is a seek and a read. Everything else
(scaled, blanked, compressed) goes through astropy, on a handle of its own for each read, since
astropy's sections are not safe to share between threads.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import LuckyError
from .gzipped import Unpacked, gunzip, is_gzipped
from .integers import level_step, levels_to_adu
from .windows import Window

SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz", ".fits.fz", ".fit.fz", ".fz")
BITPIX = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


@dataclass(frozen=True)
class Layout:
    """Where one image, or one cube of images, lies in a file and how it is read.

    Parameters
    ----------
    hdu : int
        Number of the header-data unit.
    shape : tuple of int
        Planes, rows, columns.
    dtype : numpy.dtype
        Number type of the pixels, native, as astropy gives them; float32 of levels.
    offset : int or None
        Byte at which plain pixels begin; None where astropy must read them.
    stored : str
        Number type in the file, such as ">i2".
    flip : int
        What turns the stored integers into unsigned (or signed bytes) by exclusive or.
    family : str
        The extension's name with its digits taken out: images of one family are frames.
    level_step : float
        ADU of one level where the file holds levels of a stated full scale, or else 0.
    """

    hdu: int
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int | None = None
    stored: str = ""
    flip: int = 0
    family: str = ""
    level_step: float = 0.0

    @classmethod
    def plain(
        cls,
        hdu: int,
        shape: tuple[int, int, int],
        stored: np.dtype[Any],
        offset: int,
        flip: int,
        family: str = "",
    ) -> Layout:
        """Return the layout of pixels stored as they are, or as integers turned by `flip`."""
        kind = stored.kind if not flip else {"i": "u", "u": "i"}[stored.kind]
        dtype = np.dtype(f"={kind}{stored.itemsize}")
        return cls(hdu, shape, dtype, offset, stored.str, flip, family)

    @property
    def read_as(self) -> np.dtype[Any]:
        """Number type of the pixels before levels become ADU."""
        return np.dtype(np.uint16) if self.level_step else self.dtype


@dataclass(frozen=True, eq=False, slots=True)
class FitsImage:
    """A file and the layout of one image or cube in it.

    Parameters
    ----------
    path : pathlib.Path
    layout : Layout
    unpacked : Unpacked, optional
        What holds the pixels of a gzipped cube.
    size : int, optional
        Bytes of the file when it was opened: with another size, it is another file by now.
    """

    path: Path
    layout: Layout
    unpacked: Unpacked | None = None
    size: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        path = self.path.absolute()  # whoever gets it may be elsewhere
        return FitsImage, (path, self.layout, self.unpacked, self.size)

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
            If the file is gone, or ends before the pixels asked for.
        """
        layout = self.layout
        try:
            if layout.offset is None:
                pixels = self._read_with_astropy(planes, window)
            elif out.dtype == layout.read_as:
                return self._read_straight(out, planes, window)
            else:
                pixels = np.empty(out.shape, layout.read_as)
                self._read_straight(pixels, planes, window)
            out[:] = levels_to_adu(pixels, layout.level_step) if layout.level_step else pixels
        except Exception as error:  # of damaged pixels astropy may raise anything
            raise LuckyError(f"{self.path}: the pixels cannot be read ({error}).") from error

    def _read_straight(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        layout = self.layout
        assert layout.offset is not None
        _, ny, nx = layout.shape
        stored = np.dtype(layout.stored)
        native = out.view(stored.newbyteorder("="))
        count = window.height * nx
        for k, plane in enumerate(planes):
            offset = layout.offset + (plane * ny + window.y0) * nx * stored.itemsize
            rows = self._numbers(stored, count, offset)
            if rows.size < count:
                raise EOFError("it is truncated")
            native[k] = rows.reshape(window.height, nx)[:, window.x0 : window.x1]
        if layout.flip:
            bits = out.view(f"u{stored.itemsize}")
            bits ^= bits.dtype.type(layout.flip)

    def _numbers(self, stored: np.dtype[Any], count: int, offset: int) -> NDArray[Any]:
        """Return numbers of the file; those of a plain one only until the next are asked for."""
        if self.unpacked is not None:
            return self.unpacked.read(stored, count, offset)
        if is_gzipped(self.path):
            piece = gunzip(self.path, offset + count * stored.itemsize)[offset:]
            return np.frombuffer(piece, stored, len(piece) // stored.itemsize)
        rows = scratch(count * stored.itemsize)
        with FileIO(self.path) as file:
            size = os.fstat(file.fileno()).st_size
            if self.size is not None and size != self.size:
                raise EOFError(f"it has {size} bytes, and had {self.size} when it was opened")
            file.seek(offset)
            read = file.readinto(rows.data)
        return rows[: read - read % stored.itemsize].view(stored)

    def _read_with_astropy(self, planes: Sequence[int], window: Window) -> NDArray[Any]:
        from astropy.io import fits

        rows, columns = window.slices
        with fits.open(self.path, memmap=False) as hdus:
            hdu = hdus[self.layout.hdu]
            axes = int(hdu.header["NAXIS"])
            lead = (0,) * (axes - 3)
            out = np.empty((len(planes), *window.shape), self.layout.read_as)
            for k, plane in enumerate(planes):
                at = (*lead, plane) if axes > 2 else ()
                out[k] = hdu.section[(*at, rows, columns)]
        return out


_scratch = threading.local()


def scratch(size: int) -> NDArray[np.uint8]:
    """Return so many bytes of memory, the same for each call from one thread.

    New memory for every read costs as much as the read.
    """
    held: NDArray[np.uint8] | None = getattr(_scratch, "held", None)
    if held is None or len(held) < size:
        held = _scratch.held = np.empty(size, np.uint8)
    return held[:size]


def layouts(path: Path) -> list[Layout]:
    """Return the layout of every image in a file, parsed with astropy.

    Raises
    ------
    LuckyError
        If the file is not FITS, or holds no image.
    """
    found: list[Layout] = []
    try:
        with opened_quietly(path) as hdus:  # what matters of its warnings is checked below
            for number, hdu in enumerate(hdus):
                if hdu.is_image and hdu.header["NAXIS"] >= 2 and 0 not in hdu.shape:
                    found.append(_layout(path, number, hdu))
    except LuckyError:
        raise
    except Exception as error:  # of a damaged header astropy may raise anything
        raise LuckyError(
            f"{path}: not readable as FITS ({error}). It may be damaged or truncated."
        ) from error
    if not found:
        raise LuckyError(f"{path}: this FITS file holds no image (no data array of two axes).")
    return found


@contextmanager
def opened_quietly(path: Path) -> Iterator[Any]:
    """Open a file with astropy, without the warnings that it would give."""
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=False) as hdus:
            yield hdus


def _layout(path: Path, number: int, hdu: Any) -> Layout:
    from astropy.io import fits

    axes = tuple(int(side) for side in hdu.shape)
    if len(axes) > 3 and any(side != 1 for side in axes[:-3]):
        raise LuckyError(
            f"{path}: its image has {len(axes)} axes {axes}; a run has three (frame, y, x)."
        )
    shape = (axes[-3] if len(axes) > 2 else 1, axes[-2], axes[-1])
    header = hdu.header
    family = re.sub(r"\d+", "#", str(header.get("EXTNAME", "")))
    compressed = isinstance(hdu, fits.CompImageHDU)
    where = hdu.fileinfo()
    if step := level_step(header):  # astropy passes over the BLANK of unsigned integers
        offset, float32 = None if compressed else where["datLoc"], np.dtype(np.float32)
        return Layout(number, shape, float32, offset, ">i2", 0x8000, family, step)
    if not compressed:
        stored = np.dtype(BITPIX[header["BITPIX"]])
        flip = flip_of(header.get("BZERO", 0), header.get("BSCALE", 1), stored)
        if flip is not None and (stored.kind == "f" or "BLANK" not in header):
            return Layout.plain(number, shape, stored, where["datLoc"], flip, family)
    first = hdu.section[(0,) * (len(axes) - 1)]  # a row: astropy alone knows its final type
    return Layout(number, shape, np.asarray(first).dtype.newbyteorder("="), family=family)


def flip_of(zero: Any, scale: Any, stored: np.dtype[Any]) -> int | None:
    """Return the bit that makes stored integers unsigned, 0 for none, None where scaled."""
    if scale != 1:
        return None
    if zero == 0:
        return 0
    top = 1 << (8 * stored.itemsize - 1)
    if stored.kind == "f" or zero != (top if stored.kind == "i" else -top):
        return None
    return top


def read_header(path: Path, hdu: int) -> Any:
    """Return the `astropy.io.fits.Header` of an image, with its primary header's cards.

    Raises
    ------
    LuckyError
        If the file is gone or damaged.
    """
    try:
        with opened_quietly(path) as hdus:
            header = hdus[hdu].header.copy()
            if hdu:
                header.extend(hdus[0].header, unique=True, update=False, strip=True)
    except Exception as error:  # as above
        raise LuckyError(f"{path}: the header cannot be read ({error}).") from error
    return header


def is_fits_name(name: str) -> bool:
    """Tell whether a file's name is one of a FITS file."""
    return name.lower().endswith(SUFFIXES)
