"""A run: the frames of a folder, of one cube or of a list of FITS files, as `Frames`."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.fits import image as fits_image
from napari_lucky.fits.choose_frames import choose_frames
from napari_lucky.fits.file_names import is_frames_name, stem_of
from napari_lucky.fits.frame_kind import Kind
from napari_lucky.fits.image import FitsImage
from napari_lucky.fits.open_images import LeftOut
from napari_lucky.fits.plain_header import header_bytes
from napari_lucky.fits.run_notes import notes_of
from napari_lucky.fits.settings import cards_of_each, header_exposure
from napari_lucky.fits.times import UNKNOWN, cards_time
from napari_lucky.fits.wcs import place_image
from napari_lucky.fits.where import Condition, parse_where
from napari_lucky.frames.array_like import ArrayLike, size_text
from napari_lucky.frames.frames import Index, chain_of, numbers_in
from napari_lucky.frames.window import Window
from napari_lucky.sources.colour import (
    OfCells,
    OfColour,
    as_in_file,
    coloured,
    has_planes,
    is_mosaic,
)
from napari_lucky.sources.kinds import READ, count_kinds, foreign_note, load_sources, source_of
from napari_lucky.sources.source_image import SourceImage
from napari_lucky.text import counted, readable

LEVELS = 3
"""Folders in folders in folders are listed where a folder holds no frames."""


@dataclass(frozen=True, eq=False)
class Run(ArrayLike):
    """The frames of a run, read from their files when they are asked for.

    Parameters
    ----------
    images : tuple of SourceImage
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

    images: tuple[SourceImage, ...]
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
        return np.result_type(*{image.layout.dtype for image in self.images})

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        return np.cumsum([0, *(image.layout.shape[0] for image in self.images)])

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
        times, exposures = np.full(self.shape[0], UNKNOWN), np.full(self.shape[0], np.nan)
        starts, known = self._starts.tolist(), dict[bytes, float]()
        cards_known: dict[bytes, np.datetime64] = {}  # most cameras write no time, or no fraction
        cards = cards_of_each([as_in_file(image) for image in self.images])
        for k, (image, one) in enumerate(zip(self.images, cards, strict=True)):
            of = slice(starts[k], starts[k + 1])
            if one.settings not in known:
                known[one.settings] = header_exposure(one.settings)
            exposures[of] = known[one.settings]
            if (own := image.times()) is not None:
                times[of] = own
            else:
                if one.times not in cards_known:
                    cards_known[one.times] = cards_time(one.times)
                times[starts[k]] = cards_known[one.times]
        return times, exposures

    @cached_property
    def files(self) -> list[str]:
        """The name of each frame's file."""
        return [
            readable(image.path.name) for image in self.images for _ in range(image.layout.shape[0])
        ]

    @property
    def inputs(self) -> dict[str, Any]:
        """What identifies the run in a history: names, and a checksum of names and sizes."""
        paths = [image.path for image in self.images]
        sizes = [image.stamp.size if image.stamp else "" for image in self.images]
        where = paths[0] if len(set(paths)) == 1 else paths[0].parent
        listed = "\n".join(f"{p.name} {size}" for p, size in zip(paths, sizes, strict=True))
        how = {"read_as": self.images[0].read_as, "colour": self.colour, "where": self.where}
        return {
            "name": self.name,
            "path": readable(str(where.absolute())),
            "first": paths[0].name,
            "last": paths[-1].name,
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
        k = 0
        for image, group in groupby(which.tolist()):
            count = len(list(group))
            self.images[image].read_into(out[k : k + count], planes[k : k + count], window)
            k += count
        return out

    @property
    def missing(self) -> int:
        """Frames at the end of truncated files that are not whole."""
        return sum(getattr(as_in_file(image), "missing", 0) for image in self.images)

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """Number type in the files, of which the pixels of frames in colour are means."""
        return np.result_type(*{as_in_file(image).layout.dtype for image in self.images})

    def clipped_from(self, level: float) -> Run:
        """Return the run whose files are clipped at a level; see `OfColour`."""
        means = [replace(one, level=level) for one in self.images if isinstance(one, OfColour)]
        return replace(self, images=tuple(means)) if means else self

    def in_colour(self, colour: str | None, pattern: str = "") -> Run:
        """Return the run with pixels of another colour; see `open_run`.

        Parameters
        ----------
        colour : str, optional
        pattern : str
            Of a mosaic whose files do not name it, such as "RGGB".
        """
        images, used = coloured(self.images, colour, pattern)
        return replace(self, images=tuple(images), colour=used)

    @property
    def pattern(self) -> str:
        """Colours of 2 x 2 pixels, row by row, where the files hold a mosaic; or else ""."""
        colours = as_in_file(self.images[0]).colours
        return colours if is_mosaic(colours) else ""


def open_run(
    source: str | Path | Sequence[str | Path],
    colour: str | None = None,
    *,
    where: str | None = None,
    kind: Kind = "light",
) -> Run:
    """Open the frames of a run, reading only headers.

    Frames come in natural order (AF_2 before AF_10). In a folder, the run is the greatest
    family of files named alike but for their numbers; other files (dark.fits, flat.fits,
    another run) and odd ones (damaged, of another shape) are left out and listed with their
    reason in `Run.left_out`. Of a list of files, as `*.fits` gives it, darks are left out,
    but an odd frame is an error.

    Parameters
    ----------
    source : path or sequence of paths
        A folder, one file (a cube, a multi-extension file, a single image) or several files:
        FITS, SER or TIFF. In a folder with FITS files, others are passed over.
    colour : str, optional
        Of frames of three planes "luminance" (their mean, the default), "red", "green" or
        "blue". Of mosaics, which are taken as they are if nothing is given, "superpixel": the
        mean of each cell of 2 x 2 pixels; or "red", "green", "blue": of those of one colour.
        "frames" takes three planes as three frames.
    where : str, optional
        Take the frames alone whose headers say so: "EXPTIME=0.01" or "EXPTIME=0.01, FILTER=R";
        also the place on a fourth axis: "STOKES=Q".
    kind : str
        "dark" or "flat" takes these of a folder that holds others too.

    Returns
    -------
    Run
        Frames (n, y, x) that are read when they are needed; a sequence of images.

    Raises
    ------
    LuckyError
        If nothing there is a run: no such path, no FITS file, no image, damaged files, frames
        of different shapes, no frame of which the header says what it should.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> run = lucky.open_run("run")
    >>> run.shape
    (12, 128, 256)
    >>> run[5].shape, run[10:].shape
    ((128, 256), (2, 128, 256))
    """
    conditions = parse_where(where) if where else ()
    try:
        paths = [Path(p) for p in ([source] if isinstance(source, (str, Path)) else source)]
    except TypeError:
        raise LuckyError(
            f"A run cannot be opened from a {type(source).__name__}; give a folder, a file or a "
            "list of files."
        ) from None
    if not paths or source == "":
        raise UsageError("No frames were given; give a folder, a cube, or several FITS files.")
    if len(paths) == 1 and os.path.isdir(paths[0]):
        run = _open_folder(paths[0], conditions, kind)
        return replace(run.in_colour(colour), where=where or "")
    for path in paths:  # by os.path, which takes any name for one that is not there
        if os.path.isdir(path):
            raise LuckyError(
                f"{path} is a folder; give one folder alone, or files. The command line takes "
                "several runs with --each."
            )
        if not os.path.exists(path):
            raise LuckyError(f"{path}: there is no such file or folder.")
    choice = choose_frames(paths, conditions, kind)
    if choice.odd:
        raise LuckyError(_reasons(choice.odd))
    images, odd_shapes = _of_one_shape(choice.images)
    of_run = {image.path for image in images}
    if strange := [o for o in odd_shapes if o.path not in of_run]:
        raise LuckyError(_reasons(strange))
    left_out = [*choice.left_out, *odd_shapes]  # other extensions of the frames' own files
    name = stem_of(paths[0]) if len(paths) == 1 else paths[0].resolve().parent.name
    run = Run(tuple(images), tuple(left_out), readable(name), notes_of(images))
    return replace(run.in_colour(colour), where=where or "")


def open_like(source: str | Path | Sequence[str | Path], run: Any, kind: Kind = "light") -> Run:
    """Open a dark or a flat of a run: of its colours, what is used of the run's.

    Parameters
    ----------
    source : path or sequence of paths
        See `open_run`.
    run : Frames
        Of other frames than a `Run`, and views of one, nothing is known.
    kind : str
        See `open_run`.

    Raises
    ------
    LuckyError
        As `open_run` does.
    """
    *_, like = None, *chain_of(run)
    if not isinstance(like, Run):
        return open_run(source, kind=kind)
    master = open_run(source, "frames", kind=kind)
    ny, nx = master.shape[1:]
    if isinstance(like.images[0], OfCells):
        return master if (ny, nx) == like.shape[1:] else master.in_colour(like.colour, like.pattern)
    if like.colour and has_planes(master.images, surely=True):
        return master.in_colour(like.colour)
    return master


def _open_folder(folder: Path, conditions: tuple[Condition, ...], kind: Kind) -> Run:
    try:
        with os.scandir(folder) as inside:  # which knows files from folders without a look
            there = [e for e in inside if not e.name.startswith(".")]
            entries = [e for e in there if not e.is_dir()]
            folders = [e.name for e in there if e.is_dir()]
            names = [e.name for e in entries if e.is_file()]
            others = [e.name for e in entries if not e.is_file()]
    except OSError as error:
        raise LuckyError(f"{folder}: the folder cannot be read ({error}).") from error
    other_kinds, named = _of_one_kind(folder, names)
    no_files = [
        LeftOut(folder / name, "a pipe, a device or a broken link, not a file")
        for name in sorted(others)
        if is_frames_name(name)
    ]
    if not named and (inside_them := _list_runs(folder, folders)):
        raise LuckyError(
            f"{folder}: no frames in this folder, but in folders in it: {inside_them}. "
            "Give one of them."
        )
    if not named:
        for name in sorted(names):
            if note := foreign_note(name):
                raise LuckyError(f"{folder}: no frames in this folder. {name}: {note}")
        found = f"there are {count_kinds(names)}" if names else "it is empty"
        raise LuckyError(f"{folder}: no frames in this folder ({found}). {READ}.")
    choice = choose_frames(named, conditions, kind)
    if not choice.images:
        raise LuckyError(_reasons(choice.odd))
    images, odd_shapes = _of_one_shape(choice.images)
    of_run = {image.path for image in images}
    odd_shapes = [one._replace(is_lost=one.path not in of_run) for one in odd_shapes]
    left_out = (*choice.left_out, *other_kinds, *no_files, *choice.odd, *odd_shapes)
    return Run(tuple(images), left_out, readable(folder.resolve().name), notes_of(images))


def _of_one_kind(folder: Path, names: list[str]) -> tuple[list[LeftOut], list[Path]]:
    """Return the files of frames of other kinds, and those of the first kind that there is."""
    kinds: dict[Any, list[Path]] = {None: []}  # FITS
    kinds |= {opens: [] for opens in load_sources().values()}
    for name in names:
        if is_frames_name(name):
            kinds[None if fits_image.is_fits_name(name) else source_of(name)].append(folder / name)
    first, *others = [paths for paths in kinds.values() if paths] or [[]]
    reason = f"the frames are read from {first[0].suffix} files" if first else ""
    return [LeftOut(path, reason) for paths in others for path in sorted(paths)], first


def _header(image: SourceImage) -> Any:
    """Return the header of an image; one of superpixels says that they are larger."""
    header = image.header()
    if isinstance(image, OfCells):
        place_image(header, (0, 0), 0.5)
    return header


def _list_runs(folder: Path, inside: list[str], most: int = 12) -> str:
    """Say which folders in a folder hold frames, and how many; down to folders in these."""
    lines = []
    for name in sorted(inside):
        held = _folders_with_frames(folder / name, LEVELS)
        lines += [
            f"{readable(str(of.relative_to(folder)))} ({counted(n, 'file')})" for of, n in held
        ]
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return ", ".join([*lines[:most], *more])


def _folders_with_frames(folder: Path, levels: int) -> list[tuple[Path, int]]:
    """Return a folder with its number of files of frames, or else those in it that have any."""
    with suppress(OSError), os.scandir(folder) as inside:
        entries = [entry for entry in inside if not entry.name.startswith(".")]
        if count := sum(is_frames_name(entry.name) for entry in entries):
            return [(folder, count)]
        names = sorted(e.name for e in entries if levels > 1 and e.is_dir(follow_symlinks=False))
        return [one for name in names for one in _folders_with_frames(folder / name, levels - 1)]
    return []


def _of_one_shape(images: list[SourceImage]) -> tuple[list[SourceImage], list[LeftOut]]:
    """Keep the images of the shape and extension family that most frames have."""
    frames: Counter[tuple[Any, ...]] = Counter()
    kinds = [_kind(image) for image in images]
    for image, one in zip(images, kinds, strict=True):
        frames[one] += image.layout.shape[0] // (3 if image.colours == "RGB" else 1)
    kind = max(frames, key=lambda k: (frames[k], math.prod(k[0])))
    if len(frames) == 1:
        return images, []
    of_kind = {image.path for image, one in zip(images, kinds, strict=True) if one == kind}
    # previews and masks beside the frames, in the same files, are no other run
    others = sum(image.layout.shape[0] for image in images if image.path not in of_kind)
    shapes = {k[0] for k in frames}
    if len(shapes) > 1 and frames[kind] <= others:
        raise LuckyError(
            f"{images[0].path.parent}: the frames have different shapes, and none is that of "
            f"most: {', '.join(f'{y} x {x}' for y, x in sorted(shapes))}. Give the files of one "
            "run as a list."
        )
    kept = [image for image, one in zip(images, kinds, strict=True) if one == kind]
    odd = [
        LeftOut(image.path, _difference(one, kind))
        for image, one in zip(images, kinds, strict=True)
        if one != kind
    ]
    return kept, odd


def _difference(odd: tuple[Any, ...], frames: tuple[Any, ...]) -> str:
    (shape, family, in_colour), (expected, of_frames, others_in_colour) = odd, frames
    if in_colour != others_in_colour:
        return "it is in colour, the frames are not" if in_colour else "it is not in colour"
    if shape == expected:
        return f"its {family or 'unnamed'} image; the frames are {of_frames or 'unnamed'} images"
    return (
        f"its image has {shape[0]} x {shape[1]} pixels, the frames are "
        f"{expected[0]} x {expected[1]}"
    )


def _kind(image: SourceImage) -> tuple[Any, ...]:
    return image.layout.shape[1:], image.layout.family, image.colours == "RGB"


def _reasons(odd: Sequence[LeftOut], most: int = 3) -> str:
    said = [f"{o.path}: {o.reason}".removesuffix(".") + "." for o in odd[:most]]
    if len(odd) > most:
        said.append(f"And {len(odd) - most} more files.")
    return " ".join(said)
