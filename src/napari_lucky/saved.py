"""Reading back what this program wrote: images and tables with their history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .coordinates import Coordinates, coordinates_from_hdu
from .errors import LuckyError
from .fits_image import opened_quietly
from .fits_output import ImageResult
from .fits_place import take_back
from .fits_signature import signature
from .frames import Frames
from .history import read_history
from .input_files import open_regular
from .names import readable
from .run import Run
from .table import FrameTable, table_from_hdu


def is_ours(path: Path) -> bool:
    """Tell whether this program wrote a FITS file (its CREATOR card says so)."""
    try:
        with open_regular(path) as file:
            return b"CREATOR = 'napari-lucky" in file.read(36 * 80 * 4)
    except OSError:
        return False


UNREADABLE = (OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
"""What damaged files give, beside what astropy calls an error of its own."""
Saved = ImageResult | FrameTable | Coordinates


def read_saved(path: Path) -> list[Saved]:
    """Read every image and table of a file that `napari_lucky.write_fits` wrote.

    Stacks of frames stay on disk and are read when they are looked at.

    Raises
    ------
    LuckyError
        If the file is damaged, or holds none.
    """
    from astropy.io import fits

    found: list[Saved] = []
    signature(path)
    try:
        with opened_quietly(path) as hdus:
            for number, hdu in enumerate(hdus):
                if not isinstance(hdu, fits.BinTableHDU):
                    if hdu.header["NAXIS"] >= 2:
                        found.append(_image(path, number, hdu))
                elif "REF_Y" in hdu.header:
                    found.append(table_from_hdu(hdu))
                elif "LAYER" in hdu.header:
                    found.append(coordinates_from_hdu(hdu))
    except (*UNREADABLE, fits.VerifyError) as error:
        raise LuckyError(f"{path}: cannot be read back ({error}).") from error
    if not found:
        raise LuckyError(f"{path}: this file holds no image and no table that can be shown.")
    return found


def _image(path: Path, number: int, hdu: Any) -> ImageResult:
    header = hdu.header.copy()
    origin, scale = take_back(header)
    frames = _frames(path, number)
    data: NDArray[np.float32] | Frames = frames
    if header["NAXIS"] == 2:
        data = np.asarray(frames.read(slice(1))[0], np.float32)
    return ImageResult(
        data,
        str(header.get("EXTNAME", readable(path.stem))),
        header,
        read_history(str(card) for card in header.get("HISTORY", [])),
        origin,
        header.get("NCOMBINE"),
        scale=scale,
    )


def _frames(path: Path, hdu: int) -> Run:
    from . import fits_image

    layout = next(layout for layout in fits_image.layouts(path) if layout.hdu == hdu)
    return Run((fits_image.FitsImage(path, layout),), (), readable(path.stem))
