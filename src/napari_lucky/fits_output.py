"""Results written as FITS, whole or not at all, with the source's header and the history."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._version import __version__
from .blocks import blocks_of
from .errors import LuckyError
from .frames import Frames
from .history import History, history_cards, is_ours

CREATOR = f"napari-lucky {__version__}"
STALE = [
    "SIMPLE",
    "XTENSION",
    "EXTEND",
    "BITPIX",
    "BSCALE",
    "BZERO",
    "BLANK",
    "PCOUNT",
    "GCOUNT",
    "GROUPS",
    "TFIELDS",
    "CHECKSUM",
    "DATASUM",
    "DATAMIN",
    "DATAMAX",
    "SATURATE",
    "EXTNAME",
    "EXTVER",
    "EXTLEVEL",
    "INHERIT",
    "CREATOR",
    "NCOMBINE",
    "LTV1",
    "LTV2",
    "LTM1_1",
    "LTM2_2",
]

"""What the header of raw integers says that does not hold for a result."""
WCS = ("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT", "CD", "PC")


@dataclass(frozen=True, eq=False)
class ImageResult:
    """An image or a stack of frames to be written.

    Parameters
    ----------
    data : ndarray, (y, x), or Frames
        Pixels in ADU; written as float32.
    name : str
        Becomes EXTNAME.
    header : astropy.io.fits.Header, optional
        The source's.
    history : tuple of Step
        What was done to the pixels.
    origin : tuple of int
        (y, x) on the sensor of the first pixel; into LTV2, LTV1, and taken off CRPIX.
    combined : int, optional
        Number of frames in each pixel; into NCOMBINE.
    """

    data: NDArray[Any] | Frames
    name: str = ""
    header: Any = None
    history: History = field(default=())
    origin: tuple[int, int] = (0, 0)
    combined: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return tuple(self.data.shape)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, moved there when all went well, else removed.

    Raises
    ------
    LuckyError
        If the disk is full or the place cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise LuckyError(
            f"{path}: cannot be written ({error.strerror or error}). Free some space or choose "
            "another place; nothing was left there."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_fits(path: Path, results: Iterable[ImageResult | Any]) -> None:
    """Write images and tables into one FITS file, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        An existing file is replaced.
    results : iterable of ImageResult or astropy.io.fits.BinTableHDU
        The first image becomes the primary one if it comes first.

    Raises
    ------
    LuckyError
        If the file cannot be written.
    """
    from astropy.io import fits

    with written_whole(path) as temporary, open(temporary, "wb") as file:
        for number, result in enumerate(results):
            if isinstance(result, ImageResult):
                _write_image(file, result, primary=number == 0)
                continue
            if number == 0:
                primary = fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0)])
                primary["EXTEND"] = True
                primary["CREATOR"] = CREATOR
                file.write(primary.tostring().encode("ascii"))
            whole = io.BytesIO()
            fits.HDUList([fits.PrimaryHDU(), result]).writeto(whole)
            file.write(whole.getbuffer()[2880:])  # without astropy's own primary header
        file.flush()
        os.fsync(file.fileno())


def _write_image(file: Any, result: ImageResult, *, primary: bool) -> None:
    file.write(image_header(result, primary=primary).tostring().encode("ascii"))
    size = 0
    for block in _blocks(result.data):
        size += file.write(np.ascontiguousarray(block, ">f4").data)
    file.write(b"\0" * (-size % 2880))


def _blocks(data: NDArray[Any] | Frames) -> Iterator[NDArray[Any]]:
    if isinstance(data, np.ndarray):
        yield data
        return
    n, ny, nx = data.shape
    for block in blocks_of(n, ny * nx):
        yield data.read(block)


def image_header(result: ImageResult, *, primary: bool = True) -> Any:
    """Return the `astropy.io.fits.Header` that a result is written with."""
    from astropy.io import fits

    first = ("SIMPLE", True) if primary else ("XTENSION", "IMAGE")
    header = fits.Header([first, ("BITPIX", -32), ("NAXIS", len(result.shape))])
    for axis, side in enumerate(reversed(result.shape), start=1):
        header[f"NAXIS{axis}"] = side
    if primary:
        header["EXTEND"] = True
    else:
        header["PCOUNT"], header["GCOUNT"] = 0, 1
    header.extend(source_cards(result), end=True)
    for text in history_cards(result.history):
        header.add_history(text)
    return header


def source_cards(result: ImageResult) -> Any:
    """Return the source's cards that still hold, and those that tell what the result is."""
    from astropy.io import fits

    header = fits.Header() if result.header is None else result.header.copy(strip=True)
    for keyword in {card.keyword for card in header.cards}:
        if keyword in STALE or keyword.startswith(("NAXIS", "Z", "TTYPE", "TFORM")):
            _remove(header, keyword)
        elif len(result.shape) == 2 and keyword.startswith(WCS) and "3" in keyword[2:]:
            _remove(header, keyword)  # of the frame axis, which is gone
    ours = [str(text) for text in header.get("HISTORY", [])]
    if ours:
        _remove(header, "HISTORY")
        for text in ours:
            if not is_ours(text):
                header.add_history(text)
    y, x = result.origin
    for keyword, first in (("CRPIX1", x), ("CRPIX2", y)):
        if keyword in header:
            header[keyword] -= first
    header["CREATOR"] = (CREATOR, "program that wrote this file")
    if result.name:
        header["EXTNAME"] = result.name
    header.setdefault("BUNIT", "adu")
    if result.combined is not None:
        header["NCOMBINE"] = (result.combined, "number of frames averaged")
    if result.origin != (0, 0):
        header["LTV1"] = (-x, "sensor column = x - LTV1")
        header["LTV2"] = (-y, "sensor row = y - LTV2")
    return header


def _remove(header: Any, keyword: str) -> None:
    header.remove(keyword, ignore_missing=True, remove_all=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises
    ------
    LuckyError
        If the file cannot be written.
    """
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
