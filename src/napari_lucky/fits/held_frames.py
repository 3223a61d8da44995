"""A run that is in no file: frames of a layer or an array, with what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.fits.open_images import LeftOut
from napari_lucky.frames.array_like import ArrayLike
from napari_lucky.frames.frames import Frames, Index
from napari_lucky.frames.window import Window


@dataclass(frozen=True, eq=False)
class HeldFrames(ArrayLike):
    """Frames that stand in for a `Run` where no files are opened.

    Parameters
    ----------
    frames : Frames
    name : str
        What the run is called.
    files : list of str
        The name of each frame's file; empty where there is none.
    header : astropy.io.fits.Header, optional
        Of the first frame.
    """

    frames: Frames
    name: str
    files: list[str]
    header: Any = None
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    images: tuple[Any, ...] = ()
    inputs: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows, columns."""
        return self.frames.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the pixels."""
        return self.frames.dtype

    def header_with(self, text: bytes) -> Any:
        """Return the header, whatever it holds."""
        return self.header

    def read(self, frames: Index, window: Window | None = None) -> NDArray[Any]:
        """Return the frames asked for, (k, y, x), cut to the window."""
        return self.frames.read(frames, window)
