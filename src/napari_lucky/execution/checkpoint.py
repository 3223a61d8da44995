"""What a long job has measured, kept beside its results in case it is interrupted."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky.errors import LuckyError, OccupiedError
from napari_lucky.files.temporaries import clear_leftovers, temporary_file
from napari_lucky.notices import Notice, info

EVERY = 5.0
"""Seconds from one writing to the next, and before the first: short jobs never write."""
PART_OF_TIME = 0.05
"""Writing takes at most about this part of a job's time."""
HELD = 1 << 22
"""Bytes of results that are held singly before they are joined, or as many as were joined."""
MOST = 9
"""Files of measurements for one OUT: those of other jobs are left alone."""


def joined(parts: Sequence[Any]) -> Any:
    """Return arrays, or tuples of arrays, joined along the first axis."""
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return np.concatenate(list(parts))


class Checkpoint:
    """Measurements of a job in one file, rewritten every few seconds, whole or not at all.

    As a context: the file is removed if the job ends well, or finds other results in its place;
    else it is written a last time, and an error says so. A file that cannot be written does not end
    a job; a note says so. What another job, or the user, has put there stays as it is: the
    measurements then go into `name.2.npz` and so on.

    Parameters
    ----------
    path : pathlib.Path
        The file. It becomes the one that is used.
    every : float
        Seconds from one writing to the next, and before the first.
    """

    def __init__(self, path: Path, every: float = EVERY) -> None:
        self.path = path
        self.notes: list[str] = []
        self._names = [path, *(path.with_suffix(f".{k}{path.suffix}") for k in range(2, MOST + 1))]
        self._own: tuple[int, ...] | None = None  # the file as this job found or left it
        self._every = every
        self._due = np.inf
        self._key: Callable[[], str] = str
        self._passes: dict[str, tuple[int, Any]] = {}  # up to which frame, and the joined result
        self._found: dict[str, tuple[int, Any]] = {}  # those of the job that was interrupted
        self._now = ""  # the pass that is under way
        self._new: list[Any] = []  # its results that are not joined yet
        self._held = 0  # their bytes
        self._join: Callable[[Sequence[Any]], Any] = joined

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        if error is None or isinstance(error, OccupiedError):
            if self._is_own(self.path):
                with suppress(OSError):
                    self.path.unlink()
            return
        if self.frames and (self._is_own(self.path) or time.monotonic() >= self._due):
            self._write()
        if isinstance(error, LuckyError) and self.kept:
            error.args = (
                f"{error} The measurements are kept in {self.path}; run the command again to "
                "continue from there.",
            )

    def _is_own(self, path: Path) -> bool:
        """Return whether a file is there and is this job's, untouched by others."""
        return self._own is not None and _identity(path) == self._own

    @property
    def kept(self) -> bool:
        """Whether there is a file to go on from."""
        return bool(self.frames) and self._is_own(self.path)

    @property
    def frames(self) -> int:
        """How many frames the pass that is under way has measured."""
        return self._passes.get(self._now, (0, None))[0]

    def begin(self, key: Callable[[], str]) -> None:
        """Look for the measurements of a job of this key, and begin to keep new ones.

        Parameters
        ----------
        key : callable
            Returns what the measurements depend on; called only if need be, as it costs time.
        """
        self._key = cache(key)
        self._due = time.monotonic() + self._every
        clear_leftovers(self.path.parent)
        for path in self._names:
            there = _identity(path)
            if there is None:
                continue
            try:
                found, passes = _read(path)
            except Exception as error:  # whatever a damaged file may give
                why = str(error) if isinstance(error, LuckyError) else "damaged, or made elsewhere"
                text = (
                    f"{path}: not the measurements of an interrupted job ({why}); the file is kept."
                )
                self.notes.append(Notice(text, file=path))
                continue
            if found == self._key():
                self.path, self._own, self._found = path, there, passes
                return
            text = (
                f"{path}: measurements of a job with other frames or parameters, which was "
                "interrupted or still runs; they were not used. Remove the file if you no longer "
                "need it."
            )
            self.notes.append(Notice(text, file=path))

    def recall(
        self, name: str, blocks: list[slice], join: Callable[[Sequence[Any]], Any]
    ) -> tuple[int, Any]:
        """Begin a pass; return how many of its frames were measured already, and the result."""
        self._flush()
        again = sum(other.split("#")[0] == name for other in self._passes)
        self._now, self._join = (f"{name}#{again}" if again else name), join
        done, result = self._found.pop(self._now, (0, None))
        if done not in (block.stop for block in blocks):
            done, result = 0, None
        self._passes[self._now] = (done, result)
        if done and not self._found:  # the passes that follow had not begun
            text = (
                f"Continued from frame {done} of {blocks[-1].stop} ({name}): an earlier call of "
                f"this job saved its measurements in {self.path}."
            )
            self.notes.append(info(text, self.path))
        return done, result

    def add(self, done: int, result: Any) -> None:
        """Keep the result of one more block, which ends before frame `done`."""
        self._new.append(result)
        before = self._passes[self._now][1]
        self._passes[self._now] = (done, before)
        self._held += _bytes_of(result)
        if self._held > max(HELD, _bytes_of(before)):
            self._flush()
        if time.monotonic() >= self._due:
            self._write()

    def _flush(self) -> None:
        """Join the results held singly with those before."""
        if self._new:
            done, before = self._passes[self._now]
            parts = self._new if before is None else [before, *self._new]
            self._passes[self._now] = (done, self._join(parts))
            self._new, self._held = [], 0

    def _write(self) -> None:
        begun = time.monotonic()
        self._flush()
        begun_ones = {name: one for name, one in self._passes.items() if one[0]}
        free = (path for path in self._names if _identity(path) is None)
        try:
            if not self._is_own(self.path):
                self.path = next(free, self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with temporary_file(self.path.parent) as temporary:
                with open(temporary, "wb") as file:
                    _save(file, self._key(), {**begun_ones, **self._found})
                    file.flush()
                    os.fsync(file.fileno())
                if not self._is_own(self.path) and _identity(self.path) is not None:
                    raise FileExistsError(errno.EEXIST, "other files are in the way")
                os.replace(temporary, self.path)
                self._own = _identity(self.path)
        except OSError as error:
            text = f"{self.path}: measurements could not be saved ({error.strerror})."
            self.notes.append(Notice(text, file=self.path))
            self._due = np.inf
            return
        now = time.monotonic()
        self._due = now + max(self._every, (now - begun) / PART_OF_TIME)


def _identity(path: Path) -> tuple[int, ...] | None:
    """Return what changes whenever a file is rewritten; None where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _bytes_of(result: Any) -> int:
    arrays = result if isinstance(result, tuple) else (result,)
    return sum(array.nbytes for array in arrays if array is not None)


def _save(file: Any, key: str, passes: dict[str, tuple[int, Any]]) -> None:
    arrays: dict[str, Any] = {}
    listed = []
    for number, (name, (done, result)) in enumerate(passes.items()):
        several = isinstance(result, tuple)
        parts = result if several else (result,)
        listed.append([name, done, several, len(parts)])
        arrays.update({f"{number}_{k}": part for k, part in enumerate(parts)})
    np.savez(file, contents=np.array(json.dumps({"key": key, "passes": listed})), **arrays)


def _read(path: Path) -> tuple[str, dict[str, tuple[int, Any]]]:
    if not path.is_file():
        raise LuckyError("it is not a file")
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as saved:
        contents = json.loads(str(saved["contents"]))
        passes: dict[str, tuple[int, Any]] = {}
        for number, (name, done, several, count) in enumerate(contents["passes"]):
            parts = tuple(saved[f"{number}_{k}"] for k in range(count))
            passes[name] = (done, parts if several else parts[0])
    return contents["key"], passes


def checkpoint_path(out: Path) -> Path:
    """Return where the measurements of a job with this OUT are kept."""
    out = out.absolute() if out.name not in ("", "..") else out.resolve()
    return out.with_name(f"{out.name or 'root'}.measured.npz")
