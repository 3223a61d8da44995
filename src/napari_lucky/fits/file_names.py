"""Names of files: which belong together, and in which order frames come by their names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from napari_lucky.fits.image import SUFFIXES, is_fits_name
from napari_lucky.sources.kinds import source_of

SUFFIX = re.compile(rf"({'|'.join(re.escape(s) for s in SUFFIXES)})$", re.I)
"""Searched from the left, so the longest of those that a name ends with."""
DIGITS = re.compile(r"(\d+)")
SIGNED = r"[+\-−]?\d+(?:[.,]\d+)?"
TEMPERATURE = re.compile(
    rf"(?<![\d.]){SIGNED}[ _]?(?:°|º|deg)?[ _]?c(?![a-z])"
    rf"|(?<![a-z])(?:ccd|sensor|set|chip|det)?[-_ ]?t(?:emp(?:erature)?)?[-_=: ]?{SIGNED}(?!\d)"
    rf"|(?<![a-z])(?:ccd|sensor)[-_=: ]?{SIGNED}(?!\d)",
    re.I,
)
DECIMAL = r"[+\-−]{0,2}\d+[.,]\d+"
"""A number with a point, the sign before it, and a separator that looks like one."""
NUMBER = re.compile(rf"{DECIMAL}|(?:(?<=[_ =(\[])[+\-−])?\d+")
READING = re.compile(
    rf"{TEMPERATURE.pattern}"
    rf"|{DECIMAL}[a-z%]*|\d+(?:ms|us|µs|s|sec)(?![a-z])",
    re.I,
)
"""A measured number in a name, such as -0.3C, 10.0ms or HFR 2.31: no counter of frames."""
TIME = re.compile(r"\d[-:.]\d+$|\d{1,2}([-_.:h ])\d{2}\1\d{2}$")
"""The end of a name that is a time or a date."""
ONE_DIGIT = bytes.maketrans(b"123456789", b"0" * 9)


class FolderFiles(Sequence[Path]):
    """Files of one folder; the path of each is made when it is asked for.

    Parameters
    ----------
    folder : pathlib.Path
    names : list of str
    """

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, names

    def __len__(self) -> int:
        return len(self.names)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.folder.absolute(), self.names)  # see FitsImage

    def __contains__(self, path: object) -> bool:
        return isinstance(path, Path) and path.name in self._known and path.parent == self.folder

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    @property
    def texts(self) -> list[str]:
        """The paths as texts, which take less time."""
        begin = os.path.join(self.folder, "")
        return [begin + name for name in self.names]

    def __iter__(self) -> Iterator[Path]:
        return (self.folder / name for name in self.names)

    @overload
    def __getitem__(self, which: int) -> Path: ...
    @overload
    def __getitem__(self, which: slice) -> FolderFiles: ...
    def __getitem__(self, which: int | slice) -> Path | FolderFiles:
        if isinstance(which, slice):
            return type(self)(self.folder, self.names[which])
        return self.folder / self.names[which]


class NumberedFiles(FolderFiles):
    """Files of one folder whose names differ in digits alone, at the same places; in order.

    What is true of one name, but for numbers, is true of all: thousands need not be looked at.
    """


def numbered(paths: Sequence[Path]) -> Iterator[Sequence[Path]]:
    """Yield files in parts whose names differ in digits alone, at the same places; in order."""
    names = names_of(paths)
    parts: dict[bytes, list[int]] = {}
    for k, name in enumerate(names):
        parts.setdefault(os.fsencode(name).translate(ONE_DIGIT), []).append(k)
    for part in parts.values():
        part.sort(key=names.__getitem__)
        if isinstance(paths, FolderFiles):
            yield NumberedFiles(paths.folder, [names[k] for k in part])
        else:
            yield [paths[k] for k in part]


def names_of(paths: Iterable[Path]) -> list[str]:
    """Return the names of files."""
    return paths.names if isinstance(paths, FolderFiles) else [path.name for path in paths]


def is_frames_name(name: str) -> bool:
    """Return whether a file's name is one of a file that frames are read from."""
    return is_fits_name(name) or source_of(name) is not None


def one_place(paths: Sequence[Path]) -> Path:
    """Return the file, or the folder of several files."""
    return paths[0] if all(path == paths[0] for path in paths) else paths[0].parent


def stem_of(path: Path) -> str:
    """Return a file's name without the ending of FITS files."""
    name = path.name
    found = SUFFIX.search(name)
    return name[: found.start()] if found else path.stem


def name_family(stem: str) -> str:
    """Return what names of one family have in common: all but numbers and their signs."""
    return NUMBER.sub("#", TEMPERATURE.sub("#", stem.lower()))


def natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Return a key that sorts AF_2 before AF_10."""
    return _parts(path.name.lower()), path.name


def in_order(paths: Sequence[Path]) -> Sequence[Path]:
    """Return the files of a family in the order of their frames.

    That is by the number at the end of the names if it counts the frames; else by all their
    numbers, but for measured ones (temperatures, exposures), if the others distinguish them.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        In the order of `natural`.
    """
    ends = (paths[0], paths[-1]) if isinstance(paths, NumberedFiles) else paths
    stems = [stem_of(path) for path in ends]  # what begins both begins all between them
    if len(stems) < 2 or (not READING.search(stems[0]) and _same_but_the_last(stems)):
        return paths
    stems = [stem_of(path) for path in paths]
    last = [found[-1] if (found := DIGITS.findall(stem)) else "" for stem in stems]
    if all(last) and not any(map(TIME.search, stems)):
        index = [int(text) for text in last]
        if len(set(index)) == len(index) and max(index) - min(index) < 2 * len(index):
            return _by(index, paths)
    counters = [_parts(READING.sub("#", stem.lower())) for stem in stems]
    return paths if len(set(map(str, counters))) < len(stems) else _by(counters, paths)


def _same_but_the_last(stems: Sequence[str]) -> bool:
    """Return whether names differ in one number at their end alone, and are sorted by it."""
    first = stems[0].rstrip("0123456789")
    return first != stems[0] and all(stem.rstrip("0123456789") == first for stem in stems)


def _by(keys: Sequence[Any], paths: Sequence[Path]) -> Sequence[Path]:
    order = sorted(range(len(paths)), key=keys.__getitem__)
    if isinstance(paths, FolderFiles):
        return FolderFiles(paths.folder, [paths.names[k] for k in order])
    return [paths[k] for k in order]


def _parts(text: str) -> list[tuple[int, int, str]]:
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in DIGITS.split(text) if p]
