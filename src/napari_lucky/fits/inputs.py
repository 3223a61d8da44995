"""What a job reads is never written over, by whatever name or link."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.fits.file_names import is_frames_name
from napari_lucky.frames.frames import chain_of

Inputs = Mapping[str, str | Path | Sequence[str | Path] | None]
"""What a job reads, by what it is: a file, a folder of frames, or several files."""
NO_INPUTS: Inputs = {}
Mark = tuple[int, int]
"""Device and number of a file, the same by all its names."""


def check_not_inputs(outputs: Iterable[Path], inputs: Inputs) -> None:
    """Raise if a file that would be written or removed is one that is read.

    Parameters
    ----------
    outputs : iterable of pathlib.Path
        What would be written or removed; what is not there yet can be no input.
    inputs : mapping
        Of a folder, the frames in it count, and other FITS files that this program did not write:
        results of an earlier job may be replaced.

    Raises
    ------
    LuckyError
        It names both.
    """
    there = {mark: path for path in outputs if (mark := _mark(path)) is not None}
    if not there:
        return
    for what, given in inputs.items():
        paths = _paths(given)
        for file, mark in _files(paths, there):
            if _is_read(paths, file):
                path = there[mark]
                also = "" if path == file else f" (the same file as {file})"
                raise UsageError(
                    f"{path}{also}: this file is read ({what}), and a result would replace it. "
                    "Nothing was changed; choose another place for the results."
                )


def inputs_of_recipe(recipe: Any) -> Inputs:
    """Return the files that a recipe names."""
    return {"frames": recipe.input.frames, **recipe.paths()}


def files_of_frames(frames: Any) -> list[Path]:
    """Return the files that frames are read from when they are asked for."""
    *_, source = chain_of(frames)
    return list(dict.fromkeys(image.path for image in getattr(source, "images", ())))


def _paths(given: str | Path | Sequence[str | Path] | None) -> list[Path]:
    if given is None:
        return []
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(path) for path in given]


def _mark(path: str | Path) -> Mark | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # not there, or no name of a file
        return None
    return found.st_dev, found.st_ino


def _files(paths: Sequence[Path], wanted: Container[Mark]) -> Iterator[tuple[Path, Mark]]:
    """Yield those of wanted marks of the files that paths stand for, FITS files in a folder."""
    for path in paths:
        mark = _mark(path)
        if mark is None:
            continue
        if not path.is_dir():
            if mark in wanted:
                yield path, mark
            continue
        try:
            entries = list(os.scandir(path))
        except OSError:
            continue
        for entry in entries:
            found = _mark(entry.path) if entry.is_symlink() else (mark[0], entry.inode())
            if found is not None and found in wanted and is_frames_name(entry.name):
                yield Path(entry.path), found


def _is_read(paths: Sequence[Path], file: Path) -> bool:
    """Return whether a file among several is a frame, or another's file beside the frames."""
    from napari_lucky.fits.read_back import is_own_file
    from napari_lucky.fits.run_files import open_run

    if paths == [file] or not is_own_file(file):
        return True
    try:
        run = open_run(paths)
    except LuckyError:
        return True
    return any(image.path == file for image in run.images)
