"""Pixels in a file; plain ones are read straight from there, only the rows of a window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import Stamp, open_regular
from napari_lucky.frames.window import Window
from napari_lucky.sources.source_image import PixelForm


@dataclass(frozen=True, eq=False)
class StoredPixels(ABC):
    """Frames of pixels in a file.

    Parameters
    ----------
    path : pathlib.Path
    stamp : Stamp
        What the file was when its run was opened.
    places : sequence of int, (n,)
        Where each frame is in the file: the byte at which it begins, or the number of its page.
    shape : tuple of int
        Rows, columns of a frame.
    stored : str
        Number type in the file, such as "<u2".
    samples : int
        Numbers a pixel.
    used : tuple of int
        Which of them are planes of the run, in this order.
    apart : bool
        Whether each sample has its own plane in the file.
    """

    path: Path
    stamp: Stamp
    places: Sequence[int] | NDArray[np.int64]
    shape: tuple[int, int]
    stored: str
    samples: int = 1
    used: tuple[int, ...] = (0,)
    apart: bool = False

    @property
    def form(self) -> PixelForm:
        """How many planes, rows and columns of which type there are."""
        dtype = np.dtype(self.stored).newbyteorder("=")
        return PixelForm((len(self.places) * len(self.used), *self.shape), dtype)

    @abstractmethod
    def read_into(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        """Read some planes, cut to a window, into an array (k, height, width).

        Raises
        ------
        LuckyError
            If the file is gone, was changed or is damaged, or ends before the pixels asked for.
        """


class PlainPixels(StoredPixels):
    """Pixels as they are, from the byte on at which each frame begins."""

    def read_into(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        """Read some planes; see `StoredPixels`."""
        try:
            self._read_into(out, planes, window)
        except (OSError, EOFError) as error:
            reason = getattr(error, "strerror", None) or error
            raise LuckyError(f"{self.path}: the pixels cannot be read ({reason}).") from error

    def _read_into(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        ny, nx = self.shape
        stored = np.dtype(self.stored)
        each = 1 if self.apart else self.samples
        line = nx * each * stored.itemsize
        rows = np.empty((window.height, nx, each), stored)
        held = None
        with open_regular(self.path, self.stamp) as file:
            for k, plane in enumerate(planes):
                frame, colour = divmod(plane, len(self.used))
                sample = self.used[colour]
                offset = int(self.places[frame]) + window.y0 * line
                if self.apart:
                    offset, sample = offset + sample * ny * line, 0
                if offset != held:  # of samples side by side, once for all of them
                    file.seek(offset)
                    if file.readinto(rows.data) < rows.nbytes:
                        raise EOFError("it is truncated")
                    held = offset
                out[k] = rows[:, window.x0 : window.x1, sample]
