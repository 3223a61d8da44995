"""Runs opened: which files of a folder, or of a list, are the frames of one run."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.choose_frames import choose_frames
from napari_lucky.fits.file_names import FolderFiles, is_frames_name, stem_of
from napari_lucky.fits.frame_kind import Kind
from napari_lucky.fits.image import is_fits_name
from napari_lucky.fits.open_images import LeftOut
from napari_lucky.fits.run import Run
from napari_lucky.fits.run_notes import notes_of
from napari_lucky.fits.where import Condition, parse_where
from napari_lucky.frames.frames import chain_of
from napari_lucky.sources.colour import (
    OfCells,
    has_planes,
)
from napari_lucky.sources.kinds import READ, count_kinds, foreign_note, load_sources, source_of
from napari_lucky.sources.source_image import SourceImage, alike
from napari_lucky.text import counted, readable

LEVELS = 3
"""Folders in folders in folders are listed where a folder holds no frames."""


def open_run(
    source: str | Path | Sequence[str | Path],
    colour: str | None = None,
    *,
    where: str | None = None,
    kind: Kind = "light",
    job: Job = QUIET,
) -> Run:
    """Open the frames of a run, reading only headers.

    Frames come in natural order (AF_2 before AF_10). In a folder, the run is the largest
    set of files whose names differ only in their numbers; other files (dark.fits, flat.fits,
    another run) and odd ones (damaged, of another shape) are left out and listed with their
    reason in `Run.left_out`. From a list of files, such as `*.fits`, darks are left out,
    but a mismatching frame is an error.

    Parameters
    ----------
    source : path or sequence of paths
        A folder, one file (a cube, a multi-extension file, a single image) or several files:
        FITS, SER or TIFF. In a folder with FITS files, others are ignored.
    colour : str, optional
        Of frames of three planes "luminance" (their mean, the default), "red", "green" or
        "blue". Of mosaics, used as they are by default, "superpixel": the
        mean of each cell of 2 x 2 pixels; or "red", "green", "blue": the pixels of one colour.
        "frames" reads three planes as three frames.
    where : str, optional
        Only frames whose header matches: "EXPTIME=0.01" or "EXPTIME=0.01, FILTER=R";
        also a position on a fourth axis: "STOKES=Q".
    kind : str
        "dark" or "flat": only these, from a folder that holds others too.
    job : Job
        Progress, executor; see `Job`.

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
        run = _open_folder(paths[0], conditions, kind, job)
        return replace(run.in_colour(colour), where=where or "")
    for path in paths:  # by os.path, which takes any name for one that is not there
        if os.path.isdir(path):
            raise LuckyError(
                f"{path} is a folder; give one folder alone, or files. The command line takes "
                "several runs with --each."
            )
        if not os.path.exists(path):
            raise LuckyError(f"{path}: there is no such file or folder.")
    choice = choose_frames(paths, conditions, kind, job=job)
    if choice.odd:
        raise LuckyError(_reasons(choice.odd))
    images, odd_shapes = _of_one_shape(choice.images)
    if strange := _of_other_files(odd_shapes, images):
        raise LuckyError(_reasons(strange))
    left_out = [*choice.left_out, *odd_shapes]  # other extensions of the frames' own files
    name = stem_of(paths[0]) if len(paths) == 1 else paths[0].resolve().parent.name
    run = Run(images, tuple(left_out), readable(name), notes_of(images))
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


def _open_folder(folder: Path, conditions: tuple[Condition, ...], kind: Kind, job: Job) -> Run:
    try:
        with os.scandir(folder) as inside:  # which knows files from folders without a look
            there = [e for e in inside if not e.name.startswith(".")]
            names = [e.name for e in there if e.is_file()]
            more = [] if len(names) == len(there) else [e for e in there if not e.is_file()]
            folders = [e.name for e in more if e.is_dir()]
            others = [e.name for e in more if not e.is_dir()]
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
    choice = choose_frames(named, conditions, kind, job=job)
    if not choice.images:
        raise LuckyError(_reasons(choice.odd))
    images, odd_shapes = _of_one_shape(choice.images)
    lost = _of_other_files(odd_shapes, images)
    odd_shapes = [one._replace(is_lost=one in lost) for one in odd_shapes]
    left_out = (*choice.left_out, *other_kinds, *no_files, *choice.odd, *odd_shapes)
    return Run(images, left_out, readable(folder.resolve().name), notes_of(images))


def _of_one_kind(folder: Path, names: list[str]) -> tuple[list[LeftOut], FolderFiles]:
    """Return the files of frames of other kinds, and those of the first kind that there is."""
    kinds: dict[Any, list[str]] = {None: []}  # FITS
    kinds |= {opens: [] for opens in load_sources().values()}
    for name in names:
        if is_fits_name(name):
            kinds[None].append(name)
        elif opens := source_of(name):
            kinds[opens].append(name)
    first, *others = [of for of in kinds.values() if of] or [[]]
    reason = f"the frames are read from {Path(first[0]).suffix} files" if first else ""
    left_out = [LeftOut(folder / name, reason) for of in others for name in sorted(of)]
    return left_out, FolderFiles(folder, first)


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


def _of_other_files(odd: Sequence[LeftOut], images: Sequence[SourceImage]) -> list[LeftOut]:
    """Return what was left out of files other than those of some images."""
    of_run = {image.path for image in images} if odd else set()
    return [one for one in odd if one.path not in of_run]


def _of_one_shape(
    images: Sequence[SourceImage],
) -> tuple[Sequence[SourceImage], list[LeftOut]]:
    """Keep the images of the shape and extension family that most frames have."""
    frames: Counter[tuple[Any, ...]] = Counter()
    for image, n in alike(images):
        frames[_kind(image)] += n * (image.layout.shape[0] // (3 if image.colours == "RGB" else 1))
    kind = max(frames, key=lambda k: (frames[k], math.prod(k[0])))
    if len(frames) == 1:
        return images, []
    kinds = [_kind(image) for image in images]
    of_kind = {image.path for image, one in zip(images, kinds, strict=True) if one == kind}
    # previews and masks beside the frames, in the same files, are no other run
    others = sum(image.layout.shape[0] for image in images if image.path not in of_kind)
    shapes = {k[0] for k in frames}
    if len(shapes) > 1 and frames[kind] <= others:
        raise LuckyError(
            f"{images[0].path.parent}: the frames have different shapes, and no shape is "
            f"the usual one: {', '.join(f'{y} x {x}' for y, x in sorted(shapes))}. Give the files "
            "of one run as a list."
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
