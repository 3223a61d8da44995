"""Points and shapes as a FITS table with their history, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fits_output import header_text
from .history import History, history_cards, read_history

AXES = ("frame", "y", "x")


@dataclass(frozen=True, eq=False)
class Coordinates:
    """The positions of a points layer, or the corners of each shape of a shapes layer.

    Parameters
    ----------
    kind : str
        "points" or "shapes".
    groups : sequence of ndarray, (k, 2) or (k, 3)
        (y, x) or (frame, y, x) in pixels: one row a point, or one row a corner.
    name : str
        The layer's.
    history : tuple of Step
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
    number = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    rows = np.concatenate(groups) if groups else np.empty((0, 2))
    columns = [fits.Column("number", "K", array=number)]
    for k, axis in enumerate(AXES[-rows.shape[1] :]):
        columns.append(fits.Column(axis, "D", "pixel", array=rows[:, k]))
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header["EXTNAME"] = header_text(coordinates.name)  # as `name` it would be in capitals
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
    return Coordinates(str(header["LAYER"]), groups, str(header.get("EXTNAME", "")), history)
