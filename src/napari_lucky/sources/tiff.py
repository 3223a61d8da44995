"""TIFF: frames as pages or series, one file or many, through tifffile.

Plain pixels are read straight from the file, only the rows of a window; packed ones page by page.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.files.open_file import Stamp, open_regular
from napari_lucky.frames.window import Window
from napari_lucky.notices import info
from napari_lucky.sources.kinds import source
from napari_lucky.sources.pixel_file import PixelFile
from napari_lucky.sources.plain_pixels import PlainPixels, StoredPixels
from napari_lucky.sources.source_image import missing_note

MOST_PACKED = 1032
"""Bytes that one packed byte can hold at most."""
KEPT = 3
"""Pages that each thread keeps unpacked: the planes of a frame in colour."""
KINDS = "iuf"


class PackedPages(StoredPixels):
    """Frames whose pages are packed or tiled: tifffile unpacks them, a page at a time."""

    def read_into(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        """Read some planes; see `StoredPixels`."""
        try:
            with open_regular(self.path, self.stamp):
                pass
            for k, plane in enumerate(planes):
                frame, colour = divmod(plane, len(self.used))
                page = self._page(self.places[frame])
                sample = self.used[colour]
                out[k] = (page[sample] if self.apart else page[..., sample])[window.slices]
        except LuckyError:
            raise
        except Exception as error:  # of damaged pixels tifffile may raise anything
            raise LuckyError(f"{self.path}: the pixels cannot be read ({_said(error)}).") from error

    def _page(self, number: int) -> NDArray[Any]:
        """Return a page, (y, x, samples) or (samples, y, x)."""
        file: OpenTiff | None = getattr(_opened, "file", None)
        if file is None or file.of != (self.path, self.stamp, os.getpid()):
            file = _opened.file = OpenTiff(self.path, self.stamp)
        if number not in file.held:
            pixels = file.tiff.pages[number].asarray()
            sides = (self.samples, *self.shape) if self.apart else (*self.shape, self.samples)
            file.held = dict(list(file.held.items())[1 - KEPT :]) | {number: pixels.reshape(sides)}
        return file.held[number]


class OpenTiff:
    """A file that stays open for its next page, and the pages unpacked last.

    Parameters
    ----------
    path : pathlib.Path
    stamp : Stamp
        What the file was when its run was opened.
    """

    def __init__(self, path: Path, stamp: Stamp) -> None:
        from tifffile import TiffFile

        self.of = path, stamp, os.getpid()  # a copy of a process must not move its parent's place
        self.held: dict[int, NDArray[Any]] = {}
        self.tiff = TiffFile(path)

    def __del__(self) -> None:
        if hasattr(self, "tiff"):
            self.tiff.close()


_opened = threading.local()
"""Each thread has its own open file: reading moves its place."""
logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what matters is reported here


class TiffFrames(PixelFile):
    """The frames of a TIFF file; their times are not known, since TIFF has local time, if any."""

    @property
    def read_as(self) -> str:
        """What the file is, for a history."""
        return f"TIFF, {self.layout.dtype}, {self.colours or 'mono'}"


@source(".tif", ".tiff")
def open_tiff(path: Path) -> list[TiffFrames]:
    """Open a TIFF file, reading only its tags.

    Of several series in a file (previews beside the frames) that of most pixels is taken, with
    all that are like it.

    Raises
    ------
    LuckyError
        If it cannot be opened, is no TIFF file, or holds no image of numbers.
    """
    from tifffile import TiffFile, TiffFileError

    try:
        with open_regular(path) as file:
            stamp = Stamp.of(file)
        with TiffFile(path) as tiff:
            return [_frames(path.absolute(), stamp, tiff)]
    except OSError as error:
        raise LuckyError(f"{path}: cannot be opened ({error.strerror or error}).") from error
    except TiffFileError as error:
        raise LuckyError(
            f"{path}: this is not a TIFF file, although its name says so ({error}). Remove it or "
            "choose another."
        ) from error
    except LuckyError:
        raise
    except Exception as error:  # of damaged tags tifffile may raise anything
        raise LuckyError(
            f"{path}: not readable as TIFF ({error}). It may be damaged or truncated."
        ) from error


def _frames(path: Path, stamp: Stamp, tiff: Any) -> TiffFrames:
    kinds: Counter[Any] = Counter()
    for series in tiff.series:
        kinds[_kind(series)] += prod(series.shape)
    if not kinds:
        raise LuckyError(f"{path}: this TIFF file holds no image.")
    kind = kinds.most_common(1)[0][0]
    chosen = [series for series in tiff.series if _kind(series) == kind]
    first, notes = chosen[0], _others_note(tiff.series, kind)
    if first.is_multifile:
        raise LuckyError(f"{path}: its frames are in other files; give these files, or the folder.")
    page = first.keyframe
    ny, nx, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    if np.dtype(first.dtype).kind not in KINDS or page.photometric == 3:
        what = "colours of a palette" if page.photometric == 3 else f"{first.dtype}"
        raise LuckyError(f"{path}: its pixels are {what}; expected numbers of 8 to 64 bits.")
    if len(first.shape) < 2 or page.imagedepth != 1:
        raise LuckyError(f"{path}: it holds volumes, axes {first.axes}; expected frames.")
    if prod(page.shape) * np.dtype(first.dtype).itemsize > MOST_PACKED * stamp.size:
        raise EOFError(f"its tags say {ny} x {nx} pixels, but it has {stamp.size} bytes")
    apart = samples > 1 and page.planarconfig == 2
    used = (0, 1, 2) if samples >= 3 else (0,)
    channels = _channels(first, tiff)
    count = sum(prod(series.shape) // (ny * nx * samples) for series in chosen)
    if count > stamp.size:
        raise EOFError(f"its tags say {count} frames, but it has {stamp.size} bytes")
    numbers = np.arange(count)
    if channels > 1:
        numbers = numbers.reshape(_leading(first) * len(chosen))
        numbers = np.moveaxis(numbers, first.axes.index("C"), -1)
        if channels != 3:
            numbers = numbers[..., 0]
            notes.append(
                f"{path.name}: it has {channels} channels, and the first is read; save the others "
                "as separate files."
            )
        numbers = numbers.ravel()
    order = "<" if tiff.byteorder == "<" else ">"
    stored = np.dtype(first.dtype).newbyteorder(order).str
    how: dict[str, Any] = {"stored": stored, "samples": samples, "used": used, "apart": apart}
    each, missing = ny * nx * samples * np.dtype(stored).itemsize, 0
    offsets = _offsets(chosen, each)
    pixels: PlainPixels | PackedPages
    if offsets is not None:
        places = _whole_frames(offsets[numbers], each, stamp.size, 3 if channels == 3 else 1)
        missing = (len(numbers) - len(places)) // (3 if channels == 3 else 1)
        notes += [missing_note(path.name, missing)] if missing else []
        pixels = PlainPixels(path, stamp, places, (ny, nx), **how)
    else:
        found = [int(p.index) for series in chosen for p in series.pages]
        if len(found) != len(numbers) and channels in (0, 1, 3):
            raise LuckyError(f"{path}: its numbers of pages and frames differ; it may be damaged.")
        packed = tuple(found[k] for k in numbers)
        pixels = PackedPages(path, stamp, packed, (ny, nx), **how)
        _check_packing(pixels, page)
    colours = "RGB" if len(used) == 3 or (samples == 1 and channels == 3) else ""
    return TiffFrames(pixels, colours, _cards(page), tuple(notes), missing=missing)


def _others_note(series: Sequence[Any], kind: tuple[Any, ...]) -> list[str]:
    """Say which images of a file are left out, in the same words for each file of a run."""
    others = [one for one in series if _kind(one) != kind]
    if not others:
        return []
    shapes = dict.fromkeys(" x ".join(map(str, one.shape)) for one in others)
    return [info(f"Left out other images in the TIFF file ({', '.join(shapes)}).")]


def _kind(series: Any) -> tuple[Any, ...]:
    page = series.keyframe
    return page.shape, series.dtype, page.photometric


def _leading(series: Any) -> tuple[int, ...]:
    """Return the sides of the axes that count frames and channels."""
    pairs = zip(series.axes, series.shape, strict=True)
    return tuple(side for axis, side in pairs if axis not in "YXS")


def _channels(series: Any, tiff: Any) -> int:
    """Return the number of channels of a hyperstack; 0 where what it counts are frames.

    ImageJ calls any stack of unknown axes channels; those of a composite are.
    """
    sides = dict(zip(series.axes, series.shape, strict=True))
    count = int(sides.get("C", 0))
    others = [side for axis, side in sides.items() if axis not in "CYXS" and side > 1]
    written = tiff.imagej_metadata or {}
    composite = written.get("mode") in ("composite", "color") or series.kind == "ome"
    return count if count > 1 and (others or composite) else 0


def _whole_frames(
    places: NDArray[np.int64], each: int, size: int, planes: int
) -> NDArray[np.int64]:
    """Return the places of frames, of so many planes, up to the first that is not whole."""
    cut = np.flatnonzero(places + each > size)
    if len(cut) == 0:
        return places
    if cut[0] < planes:
        raise EOFError("it ends before its first frame does")
    return places[: cut[0] // planes * planes]


def _offsets(chosen: Sequence[Any], each: int) -> NDArray[np.int64] | None:
    """Return where the frames of series begin, if their pixels are plain; or else None."""
    starts: list[int] = []
    for series in chosen:
        if series.dataoffset is not None:
            count = prod(series.shape) * np.dtype(series.dtype).itemsize // each
            starts += [series.dataoffset + k * each for k in range(count)]
        elif all(p is not None and p.is_memmappable for p in series.pages):
            starts += [p.dataoffsets[0] for p in series.pages]
        else:
            return None
    return np.array(starts, np.int64)


def _check_packing(pixels: PackedPages, page: Any) -> None:
    """Raise if tifffile cannot unpack a file here."""
    out = np.empty((1, 1, 1), np.dtype(pixels.stored).newbyteorder("="))
    try:
        pixels.read_into(out, [0], Window(0, 0, 1, 1))
    except LuckyError as error:
        if "imagecodecs" not in str(error):
            raise
        name = getattr(page.compression, "name", page.compression)
        raise LuckyError(
            f"{pixels.path}: its pixels are compressed ({name}, {page.bitspersample} bits). "
            "Install "
            "the package imagecodecs to read them, or save the file without compression."
        ) from error
    finally:
        _opened.file = None


def _cards(page: Any) -> dict[str, Any]:
    """Return what a page's tags give, by FITS keywords."""
    tags = page.tags
    found = {"INSTRUME": tags.valueof("Model"), "OBSERVER": tags.valueof("Artist")}
    return {key: value.strip("\0 ") for key, value in found.items() if isinstance(value, str)}


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
