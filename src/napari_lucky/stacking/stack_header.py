"""The header of a stack: whose coordinates and times it has."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.fits.run import Run
from napari_lucky.fits.wcs import forget_mosaic, move_wcs
from napari_lucky.frames.frames import Frames, Subset
from napari_lucky.frames.times import frame_exposures, frame_times, short_time
from napari_lucky.imaging.shifts import applied_shifts

TIMES = re.compile(
    r"(DATE|TIME|UTC?|MJD|JD|HJD|BJD|LST|ST)([-_]?(OBS|BEG|END|AVG|MID|LOC|UTC|START|STRT|STA|STOP))?"
)
"""Keywords of the time when a frame was taken."""
ENDS, MIDDLES = ("END", "STOP"), ("AVG", "MID")
TOTALS = ("XPOSURE", "TOTALEXP")
ELAPSED = ("TELAPSE", "ELAPTIME", "TEXPTIME")
"""Durations of one frame, from its beginning to its end."""
REWRITTEN = ("DATE", "MJD-")
MJD = np.datetime64("1858-11-17", "us")


def moved_header(
    header: Any,
    frames: Frames,
    shifts: NDArray[np.float64],
    subpixel: bool = True,
    index: NDArray[np.intp] | None = None,
) -> Any:
    """Return the header of frames that are moved by their shifts, and of stacks of them.

    It is that of the first frame that has a shift, its coordinates on the sky moved with it: the
    star keeps the coordinates that it has in that frame, and all other frames are moved onto it.
    Where shifts are rounded, frames are a fraction of a pixel off each other: then it is their
    mean, which is where the star is in a stack of them, that has these coordinates.

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
    index : ndarray of int, optional
        The frames that are stacked, each with a shift; by default all that have one.
    """
    from astropy.io import fits

    found = np.flatnonzero(np.isfinite(shifts).all(axis=1))
    if not isinstance(header, fits.Header) or len(found) == 0:
        return header
    made = _header_of(frames, int(found[0]), header).copy()
    some = shifts[found if index is None else index]
    rounded_off = (applied_shifts(some, subpixel) - some).mean(axis=0)
    dy, dx = shifts[found[0]] + rounded_off
    move_wcs(made, float(dy), float(dx))
    forget_mosaic(made)
    return made


def timed_header(
    header: Any,
    run: Any,
    frames: Frames,
    index: NDArray[np.intp],
    times: NDArray[np.datetime64] | None = None,
    exposures: NDArray[np.float64] | None = None,
) -> Any:
    """Return a stack's header with the times of its frames.

    DATE-OBS and DATE-BEG are the beginning of the first, DATE-END the end of the last, DATE-AVG
    the mean of their middles; EXPTIME is of a frame, XPOSURE and TOTALEXP are of all. Other cards
    of the time are the first frame's. Where it is not known when the frames of a cube were taken,
    the cube's own cards stay.

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
    times : ndarray of datetime64, (n,), optional
        Beginning of each frame's exposure, UTC; by the headers if not given.
    exposures : ndarray of float64, (n,), optional
        Seconds; by the headers if not given.
    """
    from astropy.io import fits

    if not isinstance(header, fits.Header) or len(index) == 0:
        return header
    times = frame_times(frames) if times is None else times
    exposures = frame_exposures(frames) if exposures is None else exposures
    begin = np.full(len(index), np.datetime64("NaT", "us")) if times is None else times[index]
    known = ~np.isnat(begin)
    most = 2 * known.sum() > len(index)
    order = index[known][np.argsort(begin[known], kind="stable")] if most else np.sort(index)
    made = header.copy()
    _put_cards_of(made, frames, run, order)
    if exposures is not None:
        _put_exposures(made, exposures[index])
    if most:
        seconds = np.full(len(known), np.nan) if exposures is None else exposures[index]
        _put_times(made, begin[known], seconds[known], len(index))
    return made


def _put_cards_of(made: Any, frames: Frames, run: Any, order: NDArray[np.intp]) -> None:
    """Put the cards of the time of the first and the last frame."""
    first, last = (_header_of(frames, int(frame), run) for frame in order[[0, -1]])
    whole = first is last and len(order) in (1, frames.shape[0])  # all that one header is of
    for keyword in {keyword for keyword in made if TIMES.fullmatch(keyword)}:
        own = last if keyword.endswith(ENDS) else first
        if keyword in own and (whole or not keyword.endswith(MIDDLES)):
            made[keyword] = own[keyword]
        else:
            made.remove(keyword, remove_all=True)
    for keyword in () if whole else ELAPSED:
        made.remove(keyword, ignore_missing=True, remove_all=True)


def _put_exposures(made: Any, seconds: NDArray[np.float64]) -> None:
    """Put the exposure of a frame and of all."""
    if np.isnan(seconds).any():
        for keyword in TOTALS:
            made.remove(keyword, ignore_missing=True, remove_all=True)
        return
    alike = float(np.ptp(seconds)) <= 1e-6 * float(seconds.max())
    one = float(seconds[0] if alike else seconds.mean())
    made["EXPTIME"] = (_rounded(one), f"[s] of a frame{'' if alike else ', on average'}")
    if "EXPOSURE" in made:
        made["EXPOSURE"] = _rounded(one)
    for keyword in TOTALS:
        made[keyword] = (_rounded(float(seconds.sum())), "[s] of all frames together")


def _put_times(
    made: Any, begin: NDArray[np.datetime64], seconds: NDArray[np.float64], count: int
) -> None:
    """Put when the first frame begins, when the last one ends, and the mean of their middles."""
    of = "" if len(begin) == count else f" ({len(begin)} of {count} known)"
    if str(made.get("TIMESYS", "UTC")).strip().upper() != "UTC":  # then so are these
        for keyword in [one for one in made if TIMES.fullmatch(one) and one[:4] not in REWRITTEN]:
            made.remove(keyword, remove_all=True)
    made["TIMESYS"] = "UTC"
    found = {"BEG": begin.min()}
    comments = {
        "BEG": f"first frame begins{of}",
        "AVG": "mean of middles",
        "END": "last frame ends",
    }
    known = np.isfinite(seconds).all()
    if not known:
        comments |= {"AVG": "mean of beginnings, no exposure", "END": "last begins, no exposure"}
    if known or "DATE-END" not in made:  # else the last one's own header says it
        spans = np.rint(1e6 * seconds if known else np.zeros(len(begin)))
        exposed = spans.astype("timedelta64[us]")
        since = (begin - begin.min()) + exposed // 2
        found["END"] = (begin + exposed).max()
        found["AVG"] = begin.min() + since.astype(np.int64).mean().astype("timedelta64[us]")
    for part, time in found.items():
        made[f"DATE-{part}"] = (short_time(time), comments[part])
        if part == "BEG":
            made["DATE-OBS"] = made["DATE-BEG"]
        for keyword in (f"MJD-{part}", "MJD-OBS" if part == "BEG" else ""):
            if keyword in made:
                made[keyword] = (time - MJD) / np.timedelta64(1, "D")


def _rounded(value: float) -> float:
    return float(f"{value:.12g}")


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
