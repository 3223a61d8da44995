"""The header of a stack: whose coordinates and times it has."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.fits.run import Run
from napari_lucky.fits.wcs import move_wcs
from napari_lucky.frames.frames import Frames, Subset
from napari_lucky.imaging.shifts import applied_shifts

TIMES = re.compile(
    r"(DATE|TIME|UTC?|MJD|JD|HJD|BJD|LST|ST)([-_](OBS|BEG|END|AVG|MID|LOC|UTC|START|STRT|STOP))?"
)
"""Keywords of the time when a frame was taken."""
ENDS, MIDDLES = ("END", "STOP"), ("AVG", "MID")


def moved_header(
    header: Any, frames: Frames, shifts: NDArray[np.float64], subpixel: bool = True
) -> Any:
    """Return the header of frames that are moved by their shifts, and of stacks of them.

    It is that of the first frame that has a shift, its coordinates on the sky moved with it: the
    star keeps the coordinates that it has in that frame, and all other frames are moved onto it.

    Parameters
    ----------
    header : astropy.io.fits.Header or other
        The run's, which is its first file's. What is no FITS header is given back.
    frames : Frames
        Not shifted. Where they come from several files, each frame's own header is read.
    shifts : ndarray, (n, 2)
        (dy, dx) in pixels; NaN where a frame has none.
    subpixel : bool
        Whether the fraction of a pixel is applied, or the shift rounded.
    """
    from astropy.io import fits

    found = np.flatnonzero(np.isfinite(shifts).all(axis=1))
    if not isinstance(header, fits.Header) or len(found) == 0:
        return header
    made = _header_of(frames, int(found[0]), header).copy()
    dy, dx = applied_shifts(shifts[found[0]], subpixel)
    move_wcs(made, float(dy), float(dx))
    return made


def timed_header(header: Any, run: Any, frames: Frames, index: NDArray[np.intp]) -> Any:
    """Return a stack's header with the times of its frames: first one's beginning, last one's end.

    Parameters
    ----------
    header : astropy.io.fits.Header or other
        The stack's. What is no FITS header is given back.
    run : astropy.io.fits.Header
        The run's, which is its first file's.
    frames : Frames
        All of them.
    index : ndarray of int
        The frames that are stacked.
    """
    from astropy.io import fits

    if not isinstance(header, fits.Header) or len(index) == 0:
        return header
    made = header.copy()
    first, last = (_header_of(frames, int(k), run) for k in (np.min(index), np.max(index)))
    for keyword in {keyword for keyword in made if TIMES.fullmatch(keyword)}:
        own = last if keyword.endswith(ENDS) else first
        if keyword in own and (first is last or not keyword.endswith(MIDDLES)):
            made[keyword] = own[keyword]
        else:
            made.remove(keyword, remove_all=True)
    return made


def _header_of(frames: Any, frame: int, header: Any) -> Any:
    """Return a frame's own header; that of the first file, and of what is no file, is given."""
    while frames is not None and not isinstance(frames, Run):
        if isinstance(frames, Subset):
            frame = int(frames.index[frame])
        frames = getattr(frames, "frames", None)
    if frames is None or frame < frames.images[0].layout.shape[0]:
        return header
    with suppress(LuckyError):  # a file gone since: the stack is made, and has a header
        return frames.header_of(frame)
    return header
