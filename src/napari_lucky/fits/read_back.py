"""Images, tables and coordinates read back from the files that this program wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError, as_path
from napari_lucky.files.open_file import open_regular
from napari_lucky.fits.frame_table import FrameTable, table_from_hdu
from napari_lucky.fits.header_scan import signature
from napari_lucky.fits.image import FitsImage
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.layout import layouts, opened_quietly
from napari_lucky.fits.names import name_in, put_name
from napari_lucky.fits.numbers import FLOAT32, stored_as
from napari_lucky.fits.run import Run
from napari_lucky.fits.wcs import take_back
from napari_lucky.frames.frames import Frames
from napari_lucky.frames.history import History, history_cards, read_history
from napari_lucky.text import ShortRepr, readable

AXES = ("frame", "y", "x")


@dataclass(frozen=True, eq=False)
class Coordinates(ShortRepr):
    """The positions of a points layer, or the corners of each shape of a shapes layer.

    Parameters
    ----------
    kind : str
        "points" or "shapes".
    groups : sequence of ndarray, (k, 2) or (k, 3)
        (y, x) or (frame, y, x) in pixels: one row a point, or one row a corner.
    name : str
        The layer's.
    history : tuple of Record
        How they came about.
    """

    kind: str
    groups: Sequence[NDArray[np.float64]]
    name: str = ""
    history: History = field(default=())


def coordinates_to_hdu(coordinates: Coordinates) -> Any:
    """Return an `astropy.io.fits.BinTableHDU`: the number of the group, and its coordinates."""
    from astropy.io import fits

    groups = [np.atleast_2d(group) for group in coordinates.groups]
    if any(group.shape[1] > len(AXES) for group in groups):
        raise LuckyError(
            f"The layer “{coordinates.name}” has {groups[0].shape[1]} axes; what is saved as FITS "
            "has (y, x) or (frame, y, x)."
        )
    number = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    rows = np.concatenate(groups) if groups else np.empty((0, 2))
    columns = [fits.Column("number", "K", array=number)]
    for k, axis in enumerate(AXES[-rows.shape[1] :]):
        columns.append(fits.Column(axis, "D", "pixel", array=rows[:, k]))
    hdu = fits.BinTableHDU.from_columns(columns)
    put_name(hdu.header, coordinates.name)  # as `name` it would be in capitals
    hdu.header["LAYER"] = (coordinates.kind, "what the coordinates are of")
    for card in history_cards(coordinates.history):
        hdu.header.add_history(card)
    return hdu


def coordinates_from_hdu(hdu: Any) -> Coordinates:
    """Read back what `coordinates_to_hdu` made."""
    data, header = hdu.data, hdu.header
    rows = np.column_stack([data[axis] for axis in AXES if axis in data.names]).astype(float)
    number = np.asarray(data["number"])
    groups = [rows[number == k] for k in np.unique(number)]
    history = read_history(str(card) for card in header.get("HISTORY", []))
    return Coordinates(str(header["LAYER"]), groups, name_in(header), history)


def is_own_file(path: Path) -> bool:
    """Return whether this program wrote a FITS file (its CREATOR card says so)."""
    try:
        with open_regular(path) as file:
            return b"CREATOR = 'napari-lucky" in file.read(36 * 80 * 4)
    except OSError:
        return False


UNREADABLE = (OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
"""What damaged files give, beside the errors that astropy defines."""
Saved = ImageResult | FrameTable | Coordinates


def read_saved(path: str | Path) -> list[Saved]:
    """Read every image and table of a file that `napari_lucky.write_fits` wrote.

    Stacks of frames stay on disk and are read when they are looked at.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    list of ImageResult, FrameTable and Coordinates
        In the file's order.

    Raises
    ------
    LuckyError
        If the file is damaged, or holds none.
    """
    from astropy.io import fits

    found: list[Saved] = []
    path = as_path(path, "file to read")
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
    data: NDArray[Any] | Frames = frames
    exact = stored_as(frames.dtype, True).stored != FLOAT32
    if header["NAXIS"] == 2:
        data = np.asarray(frames.read(slice(1))[0], None if exact else np.float32)
    return ImageResult(
        data,
        name_in(header, readable(path.stem)),
        header,
        read_history(str(card) for card in header.get("HISTORY", [])),
        origin,
        header.get("NCOMBINE"),
        scale=scale,
        exact=exact,
        kind="labels" if header.get("LAYER") == "labels" else "",
    )


def _frames(path: Path, hdu: int) -> Run:
    layout = next(layout for layout in layouts(path) if layout.hdu == hdu)
    return Run((FitsImage(path, layout),), (), readable(path.stem))
