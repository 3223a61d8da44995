"""SER: what planetary and occultation cameras record.

A header of 178 bytes, the frames one after the other, and a time stamp a frame at the end
(Wegmann et al., "SER file format", versions 2 and 3).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import Stamp, open_regular
from napari_lucky.frames.window import Window
from napari_lucky.sources.file_header import header_from
from napari_lucky.sources.kinds import source
from napari_lucky.sources.pixel_file import PixelFile
from napari_lucky.sources.plain_pixels import PlainPixels

MAGIC = b"LUCAM-RECORDER"
HEADER = struct.Struct("<14s7i40s40s40s2q")
MOSAICS = {8: "RGGB", 9: "GRBG", 10: "GBRG", 11: "BGGR", 16: "CYYM", 17: "YCMY", 18: "YMCY"}
MOSAICS[19] = "MYYC"
RGB, BGR = 100, 101
MOST_SIDE = 1 << 17
EPOCH, TICKS = 621_355_968_000_000_000, 10
"""Time stamps count 100 ns from the year 1: those at 1970-01-01, and of a microsecond."""
LATEST = EPOCH + 200 * 365 * 86400 * 10_000_000
UNLIKE = 2.0
"""In the wrong order of bytes neighbouring pixels differ far more: at least so many times."""
SAMPLE = 1 << 19
"""Pixels of a frame that are compared."""


@dataclass(frozen=True, eq=False)
class SerFile(PixelFile):
    """The frames of a SER file.

    Parameters
    ----------
    depth : int
        Bits of a number, 8 to 16, as the file gives them.
    begin : int
        Time at which it begins, in ticks; 0 if it does not say.
    stamps : int
        Byte at which the time stamps begin; 0 where there are none.
    """

    depth: int = 8
    begin: int = 0
    stamps: int = 0

    @property
    def read_as(self) -> str:
        """What the file is, for a history."""
        order = {"<": ", little-endian", ">": ", big-endian"}.get(self.pixels.stored[0], "")
        return f"SER, {self.depth} bits{order}, {self.colours or 'mono'}"

    def times(self) -> NDArray[np.datetime64] | None:
        """Return the time stamp of each plane, UTC; None if the file has none."""
        return None if self._times is None else np.repeat(self._times, len(self.pixels.used))

    @cached_property
    def _times(self) -> NDArray[np.datetime64] | None:
        if not self.stamps:
            return None
        count = len(self.pixels.places)
        with open_regular(self.path, self.stamp) as file:
            file.seek(self.stamps)
            stamps = file.read(8 * count)
        ticks = np.zeros(count, "<i8")  # no time where the stamps are cut off
        whole = np.frombuffer(stamps[: len(stamps) // 8 * 8], "<i8")
        ticks[: len(whole)] = whole
        times = stamp_times(ticks)
        return None if np.isnat(times).all() else times

    def header(self) -> Any:
        """Return an `astropy.io.fits.Header` with what the file says."""
        times = self.times()
        begin = stamp_times(np.array([self.begin]))[0] if times is None else times[0]
        begun = {} if np.isnat(begin) else {"DATE-OBS": (str(begin), "UTC")}
        return header_from({**self.cards, **begun}, self.read_as, self.colours)


def stamp_times(ticks: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Return times of the stamps of a SER file; NaT where one is not from 1970 to 2170."""
    known = (ticks > EPOCH) & (ticks < LATEST)
    since = np.where(known, (ticks - EPOCH) // TICKS, 0)
    return np.where(known, since.astype("datetime64[us]"), np.datetime64("NaT", "us"))


@source(".ser")
def open_ser(path: Path) -> list[SerFile]:
    """Open a SER file, reading only its header and a few frames.

    Raises
    ------
    LuckyError
        If it cannot be opened, is no SER file, or holds no whole frame.
    """
    try:
        with open_regular(path) as file:
            stamp, raw = Stamp.of(file), file.read(HEADER.size)
    except OSError as error:
        raise LuckyError(f"{path}: cannot be opened ({error.strerror or error}).") from error
    if len(raw) < HEADER.size or raw[:14] != MAGIC:
        raise LuckyError(
            f"{path}: this is not a SER file, although its name says so (it does not begin with "
            f"{MAGIC.decode()}). Remove it or choose another."
        )
    _, _, colour, little, nx, ny, depth, count, *names, _, utc = HEADER.unpack(raw)
    samples = 3 if colour in (RGB, BGR) else 1
    if not (0 < nx <= MOST_SIDE and 0 < ny <= MOST_SIDE and 1 <= depth <= 16):
        raise LuckyError(
            f"{path}: its header is damaged ({nx} x {ny} pixels of {depth} bits); leave it out."
        )
    if colour not in (0, RGB, BGR, *MOSAICS):
        raise LuckyError(f"{path}: its header is damaged (ColorID {colour}); leave it out.")
    each = nx * ny * samples * (1 if depth <= 8 else 2)
    whole = (stamp.size - HEADER.size) // each
    if whole == 0:
        raise LuckyError(f"{path}: truncated: it ends before its first frame does.")
    notes: list[str] = []
    stamps, announced = 0, count
    if 0 < count <= whole:
        after = HEADER.size + count * each
        stamps = after if stamp.size >= after + 8 else 0
    else:
        notes.append(_truncated(path, count, whole, stamp.size - HEADER.size - whole * each))
        count = whole
    pixels = PlainPixels(
        path.absolute(),
        stamp,
        HEADER.size + each * np.arange(count, dtype=np.int64),
        (ny, nx),
        "|u1",
        samples,
        {RGB: (0, 1, 2), BGR: (2, 1, 0)}.get(colour, (0,)),
    )
    if depth > 8:
        pixels = _in_order(pixels, depth, ">u2" if little else "<u2")
    texts = (name.split(b"\0")[0].decode("latin-1").strip() for name in names)
    cards = dict(zip(("OBSERVER", "INSTRUME", "TELESCOP"), texts, strict=True))
    colours = "RGB" if samples == 3 else MOSAICS.get(colour, "")
    missing = max(announced - count, 0)
    return [SerFile(pixels, colours, cards, tuple(notes), depth, utc, stamps, missing=missing)]


def _truncated(path: Path, count: int, whole: int, rest: int) -> str:
    more = f", and a part of one that is left out ({rest} bytes)" if rest else ""
    announced = f"{count} frames" if count > 0 else "no number of frames"
    return (
        f"{path.name}: the header says {announced}, but the file holds {whole}{more}. It was not "
        "closed, or is truncated: it has no time stamps."
    )


def _in_order(pixels: PlainPixels, depth: int, stated: str) -> PlainPixels:
    """Return the pixels in the order of bytes in which they make an image.

    By the specification the header's flag is 1 for little-endian. Nearly all programs have it the
    other way round, but not all of them, so the pixels decide: their high bytes vary smoothly over
    an image, their low bytes do not. Where the pixels cannot show it, the flag is taken as most
    programs write it.
    """
    ny, nx = pixels.shape
    height = min(ny, max(1, SAMPLE // nx))
    window = Window((ny - height) // 2, 0, height, nx)
    count = len(pixels.places) * len(pixels.used)
    planes = sorted({0, count // 2, count - 1})
    orders = [replace(pixels, stored=stored) for stored in ("<u2", ">u2")]
    steps, fits = [], []
    for one in orders:
        block = np.empty((len(planes), *window.shape), np.uint16)
        one.read_into(block, planes, window)
        wide = block.astype(np.int32)
        along = np.abs(wide[..., 2:] - wide[..., :-2]).sum()  # of one colour each
        steps.append(float(along + np.abs(wide[:, 2:] - wide[:, :-2]).sum()))
        fits.append(int(block.max()) < 1 << depth)
    if fits[0] != fits[1]:
        return orders[fits.index(True)]
    if max(steps) > UNLIKE * min(steps) and min(steps) > 0:
        return orders[steps.index(min(steps))]
    return orders[("<u2", ">u2").index(stated)]
