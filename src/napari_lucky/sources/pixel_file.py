"""A file of frames that is no FITS file: its pixels, and what its header says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.files.open_file import Stamp
from napari_lucky.frames.window import Window
from napari_lucky.sources.file_header import camera_cards, header_from
from napari_lucky.sources.plain_pixels import StoredPixels
from napari_lucky.sources.source_image import HeaderCards, PixelForm


@dataclass(frozen=True, eq=False)
class PixelFile(ABC):
    """The frames of a file, as a `SourceImage`.

    Parameters
    ----------
    pixels : StoredPixels
    colours : str
        "RGB", the pattern of a mosaic, or "".
    cards : dict
        What its header gives, by FITS keywords: camera, telescope, observer.
    notes : tuple of str
        What the user should know.
    missing : int
        Frames at the end of a truncated file that are not whole.
    """

    pixels: StoredPixels
    colours: str
    cards: dict[str, Any]
    notes: tuple[str, ...] = ()
    missing: int = field(default=0, kw_only=True)

    @property
    def path(self) -> Path:
        """The file."""
        return self.pixels.path

    @property
    def stamp(self) -> Stamp:
        """What the file was when its run was opened."""
        return self.pixels.stamp

    @property
    def layout(self) -> PixelForm:
        """Planes, rows and columns of which type there are."""
        return self.pixels.form

    @property
    def header_cards(self) -> HeaderCards:
        """The camera's name."""
        return camera_cards(self.cards)

    @property
    @abstractmethod
    def read_as(self) -> str:
        """What the file is, for a history."""

    def read_into(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        """Read some planes, cut to a window, into an array (k, height, width)."""
        self.pixels.read_into(out, planes, window)

    def times(self) -> NDArray[np.datetime64] | None:
        """Return when each plane was taken, UTC; None where that is not known."""
        return None

    def header(self) -> Any:
        """Return an `astropy.io.fits.Header` with what the file says."""
        return header_from(self.cards, self.read_as, self.colours)
