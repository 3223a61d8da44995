"""A run: the frames of a folder, of one cube or of a list of FITS files, as `Frames`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_lucky.files.read_ahead import read_ahead
from napari_lucky.fits.file_names import names_of, one_place
from napari_lucky.fits.image import FitsImage
from napari_lucky.fits.open_images import LeftOut
from napari_lucky.fits.plain_files import PlainFiles, paths_of, planes_of_each, stamps_of
from napari_lucky.fits.plain_header import header_bytes
from napari_lucky.fits.settings import cards_of_each, header_exposure
from napari_lucky.fits.times import UNKNOWN, cards_times
from napari_lucky.fits.wcs import place_image
from napari_lucky.frames.array_like import ArrayLike, size_text
from napari_lucky.frames.frames import Index, numbers_in
from napari_lucky.frames.window import Window
from napari_lucky.sources.colour import (
    OfCells,
    OfColour,
    as_in_file,
    coloured,
    is_mosaic,
)
from napari_lucky.sources.source_image import SourceImage, alike
from napari_lucky.text import ODD, changed_where, counted, readable


@dataclass(frozen=True, eq=False)
class Run(ArrayLike):
    """The frames of a run, read from their files when they are asked for.

    Parameters
    ----------
    images : sequence of SourceImage
        The files, or images in files, in the order of their frames.
    left_out : tuple of LeftOut
        Neighbours that are not frames of the run.
    name : str
        The folder's or the file's name.
    notes : tuple of str
        What headers and names make worth saying; see `run_notes`.
    colour : str
        What the pixels are of frames in colour, such as "luminance"; see `Colour`.
    where : str
        By which the frames were chosen; see `open_run`.
    """

    is_sent_once: ClassVar[bool] = True  # a cluster's workers keep it

    images: Sequence[SourceImage]
    left_out: tuple[LeftOut, ...]
    name: str
    notes: tuple[str, ...] = ()
    colour: str = ""
    where: str = ""

    def __repr__(self) -> str:
        text = f"<Run {self.name!r}: {size_text(self)}, {counted(len(self.images), 'file')}"
        left_out = f", {counted(len(self.left_out), 'file')} left out" if self.left_out else ""
        return f"{text}{left_out}>"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, rows, columns."""
        return (int(self._starts[-1]), *self.images[0].layout.shape[1:])

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the pixels, as astropy gives them."""
        return np.result_type(*{image.layout.dtype for image, _ in alike(self.images)})

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        return np.concatenate([[0], np.cumsum(planes_of_each(self.images))])

    @cached_property
    def header(self) -> Any:
        """The `astropy.io.fits.Header` of the first frame."""
        return _header(self.images[0])

    def header_of(self, frame: int) -> Any:
        """Return the `astropy.io.fits.Header` of the file that a frame is in."""
        number = int(np.searchsorted(self._starts, frame, side="right")) - 1
        if number == 0:
            return self.header
        return _header(self.images[number])

    def header_with(self, text: bytes) -> Any:
        """Return the header if its cards hold a text, or else None; parsed only if they do."""
        image = as_in_file(self.images[0])
        if not isinstance(image, FitsImage):
            return self.header
        offset = 0 if image.packed else image.layout.offset
        with suppress(OSError):  # reported where the header is read
            if (
                image.layout.hdu == 0
                and offset
                and text.upper() not in header_bytes(image.path, offset).upper()
            ):
                return None
        return self.header

    def times(self) -> NDArray[np.datetime64] | None:
        """Return when each frame was taken, (n,), UTC to the microsecond; None if no header says.

        That is the beginning of the exposure where a header gives it (DATE-OBS and the like). Of
        the frames of a cube the header gives the first one's alone; the others are NaT.
        """
        times, _ = self._taken
        return None if np.isnat(times).all() else times

    def exposures(self) -> NDArray[np.float64] | None:
        """Return how long each frame was exposed, (n,), in seconds; None if no header says."""
        _, exposures = self._taken
        return None if np.isnan(exposures).all() else exposures

    @cached_property
    def _taken(self) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
        settings, cards = cards_of_each(self.images)
        known = {one: header_exposure(one) for one in dict.fromkeys(settings)}
        exposures = np.repeat([known[one] for one in settings], planes_of_each(self.images))
        times = np.full(self.shape[0], UNKNOWN)
        times[self._starts[:-1]] = cards_times(cards)
        if not isinstance(self.images, PlainFiles):
            for k, image in enumerate(self.images):
                if (own := image.times()) is not None:
                    times[self._starts[k] : self._starts[k + 1]] = own
        return times, exposures

    @cached_property
    def files(self) -> list[str]:
        """The name of each frame's file."""
        names = changed_where(ODD, readable, names_of(paths_of(self.images)))
        planes = planes_of_each(self.images).tolist()
        return [name for name, n in zip(names, planes, strict=True) for _ in range(n)]

    @property
    def inputs(self) -> dict[str, Any]:
        """What identifies the run in a history: names, and a checksum of names and sizes."""
        paths = paths_of(self.images)
        names, where = names_of(paths), one_place(paths)
        sizes = [stamp.size if stamp else "" for stamp in stamps_of(self.images)]
        listed = "\n".join(f"{name} {size}" for name, size in zip(names, sizes, strict=True))
        how = {"read_as": self.images[0].read_as, "colour": self.colour, "where": self.where}
        return {
            "name": self.name,
            "path": readable(str(where.absolute())),
            "first": names[0],
            "last": names[-1],
            "frames": self.shape[0],
            "names_and_sizes_sha256": hashlib.sha256(os.fsencode(listed)).hexdigest()[:16],
            **{name: value for name, value in how.items() if value},
        }

    def read(self, frames: Index, window: Window | None = None) -> NDArray[Any]:
        """Return the frames asked for, (k, y, x), cut to the window."""
        window = window or Window.whole(self.shape)
        wanted = numbers_in(frames, self.shape[0])
        which = np.searchsorted(self._starts, wanted, side="right") - 1
        planes = (wanted - self._starts[which]).tolist()
        out = np.empty((len(wanted), *window.shape), self.dtype)
        bounds = [0, *(np.flatnonzero(np.diff(which)) + 1).tolist(), len(which)]
        parts = [slice(*pair) for pair in pairwise(bounds)] if len(which) else []
        images = [self.images[which[part.start]] for part in parts]

        def fetch_of(k: int) -> None:
            image = images[k]
            if isinstance(image, FitsImage):
                image.fetch(planes[parts[k]], window)

        for k in read_ahead(len(images), fetch_of):
            images[k].read_into(out[parts[k]], planes[parts[k]], window)
        return out

    @property
    def missing(self) -> int:
        """Frames at the end of truncated files that are not whole."""
        return sum(n * getattr(as_in_file(image), "missing", 0) for image, n in alike(self.images))

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """Number type in the files, of which the pixels of frames in colour are means."""
        return np.result_type(*{as_in_file(image).layout.dtype for image, _ in alike(self.images)})

    def clipped_from(self, level: float) -> Run:
        """Return the run whose files are clipped at a level; see `OfColour`."""
        if not any(isinstance(image, OfColour) for image, _ in alike(self.images)):
            return self
        means = [replace(one, level=level) for one in self.images if isinstance(one, OfColour)]
        return replace(self, images=means)

    def in_colour(self, colour: str | None, pattern: str = "") -> Run:
        """Return the run with pixels of another colour; see `open_run`.

        Parameters
        ----------
        colour : str, optional
        pattern : str
            Of a mosaic whose files do not name it, such as "RGGB".
        """
        images, used = coloured(self.images, colour, pattern)
        return replace(self, images=images, colour=used)

    @property
    def pattern(self) -> str:
        """Colours of 2 x 2 pixels, row by row, where the files hold a mosaic; or else ""."""
        colours = as_in_file(self.images[0]).colours
        return colours if is_mosaic(colours) else ""


def _header(image: SourceImage) -> Any:
    """Return the header of an image; one of superpixels says that they are larger."""
    header = image.header()
    if isinstance(image, OfCells):
        place_image(header, (0, 0), 0.5)
    return header
