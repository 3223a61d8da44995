"""What a run needs to know of a file of frames, whatever its kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_lucky.files.open_file import Stamp
from napari_lucky.frames.window import Window


class HeaderCards(NamedTuple):
    """What a file's headers say of its frames: raw cards, one after the other.

    Parameters
    ----------
    settings : bytes
        Those that say what a frame is of, with which settings, and its colours: alike in most
        files of a run.
    times : bytes
        Those that say when it was taken.
    damaged : bytes
        Those that are not as FITS has them.
    """

    settings: bytes = b""
    times: bytes = b""
    damaged: bytes = b""


NOTHING = HeaderCards()


class Pixels(Protocol):
    """What is known of an image's pixels before they are read."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Planes, rows, columns. A frame of three colours has three planes, one after the other."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the pixels, native."""
        ...

    @property
    def family(self) -> str:
        """What images of one file have in common if they are frames of one run."""
        ...


def alike(images: Sequence[SourceImage]) -> list[tuple[SourceImage, int]]:
    """Return images that stand for others that differ in file and time alone, and how many.

    Each for itself, unless the sequence knows better: it then has them as an attribute `alike`.
    """
    known: list[tuple[SourceImage, int]] | None = getattr(images, "alike", None)
    return [(image, 1) for image in images] if known is None else known


def missing_note(name: str, missing: int) -> str:
    """Say how many frames at the end of a truncated file are not whole."""
    frames = "frame is" if missing == 1 else f"{missing} frames are"
    return f"{name}: truncated: its last {frames} not whole and left out."


class PixelForm(NamedTuple):
    """What is known of the pixels of a file that is no FITS file; see `Pixels`."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    family: str = ""


class SourceImage(Protocol):
    """A file of frames, or the frames of one kind in it; its pixels are read when asked for."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def stamp(self) -> Stamp | None:
        """What the file was when its run was opened."""
        ...

    @property
    def layout(self) -> Pixels:
        """How many pixels of which type it has."""
        ...

    @property
    def header_cards(self) -> HeaderCards:
        """What its headers say of its frames."""
        ...

    @property
    def read_as(self) -> str:
        """What kind of file it was read as, for a history; "" of FITS."""
        ...

    @property
    def colours(self) -> str:
        """Of frames of three planes "RGB", of a mosaic its pattern such as "RGGB", or else ""."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the file."""
        ...

    def read_into(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        """Read some planes, cut to a window, into an array (k, height, width)."""
        ...

    def header(self) -> Any:
        """Return the `astropy.io.fits.Header` of the file's first frame."""
        ...

    def times(self) -> NDArray[np.datetime64] | None:
        """Return when each plane was taken, UTC; None where the headers say all that is known."""
        ...
