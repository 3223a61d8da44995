"""Functions packed for another process, with all that they hold; what is large is sent once."""

from __future__ import annotations

import hashlib
import io
import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pickle import PickleBuffer
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

LARGE = 1 << 16
"""Arrays of so many bytes travel apart from the functions that use them."""


class TooLarge(Exception):
    """What is to be packed has more bytes than may be sent."""


@dataclass(frozen=True, eq=False)
class Pickled:
    """Something pickled, and apart from it the arrays in it, which are not copied.

    A copy would be made under Python's lock, and napari's window would stand still meanwhile.

    Parameters
    ----------
    data : bytes or bytearray
    buffers : list of PickleBuffer
    """

    data: bytes | bytearray
    buffers: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, thing: Any) -> Pickled:
        """Pickle something."""
        buffers: list[PickleBuffer] = []
        return cls(pickle.dumps(thing, protocol=5, buffer_callback=buffers.append), buffers)

    def __len__(self) -> int:
        """Return the bytes to send."""
        return len(self.data) + sum(buffer.raw().nbytes for buffer in self.buffers)

    @property
    def key(self) -> str:
        """A text that nothing else has."""
        digest = hashlib.sha1(self.data, usedforsecurity=False)  # the fastest that there is
        for buffer in self.buffers:
            digest.update(buffer)
        return digest.hexdigest()

    def load(self) -> Any:
        """Return what was pickled."""
        return pickle.loads(self.data, buffers=self.buffers)


class Part:
    """Something large, as it is sent.

    A scheduler that knew its size would rather let workers idle than send it to them.
    """

    def __init__(self, pickled: Pickled) -> None:
        self.value = pickled.load()


@dataclass(frozen=True, eq=False)
class Packed:
    """A function packed.

    Parameters
    ----------
    data : bytes
        The function without what is large.
    large : dict of str to Any
        What is large, by key: arrays and runs.
    parts : dict of str to Pickled
        The same, as it is sent; without what the other process has.
    """

    data: bytes
    large: dict[str, Any]
    parts: dict[str, Pickled]


def pack(function: Any, known: Mapping[str, Any], most: float = math.inf) -> Packed:
    """Pickle a function, and apart from it what is large: arrays by their content, and runs.

    Parameters
    ----------
    function : callable
        Local functions with all that they hold, too; or a result.
    known : dict of str to Any
        What is large that the other process has, by key: it is not sent again, unless it is an
        array that was changed.
    most : float
        Bytes of all parts together.

    Raises
    ------
    TooLarge
        If there are more bytes.
    """
    file = io.BytesIO()
    packer = _packer()(file, known, most)
    packer.dump(function)
    return Packed(file.getvalue(), packer.large, packer.parts)


@cache
def _packer() -> Any:
    """Return a class of cloudpickle's; one made for each call would hold all until it is found."""
    from cloudpickle import Pickler

    class Packer(Pickler):  # type: ignore[misc]
        def __init__(self, file: io.BytesIO, known: Mapping[str, Any], most: float) -> None:
            super().__init__(file, protocol=5)
            self.large: dict[str, Any] = {}
            self.parts: dict[str, Pickled] = {}
            self._known, self._left = known, most
            self._keys = {id(thing): key for key, thing in known.items()}

        def persistent_id(self, thing: Any) -> str | None:
            key = self._keys.get(id(thing))
            if key in self._known and key not in self.large and not is_run(thing):
                key = key if _pickled(thing).key == key else None
            if key is None and is_run(thing):
                key = uuid4().hex
                self.parts[key] = Pickled.of(thing)
            elif key is None and _is_large(thing):
                self._left -= thing.nbytes
                if self._left < 0:
                    raise TooLarge
                one = _pickled(thing)
                self.parts[key := one.key] = one
            if key is not None:
                self._keys[id(thing)], self.large[key] = key, thing
            return key

        def reducer_override(self, thing: Any) -> Any:
            if isinstance(thing, np.ndarray) and _repeats(thing):
                return np.broadcast_to, (_once(thing), thing.shape)
            return super().reducer_override(thing)

    return Packer


class Sent:
    """What is large and was sent to another process, or by it; it is not held here for that.

    Parameters
    ----------
    most : int
        Bytes of arrays that the other process may hold for this one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: WeakValueDictionary[str, Any] = WeakValueDictionary()

    def add(self, things: Mapping[str, Any]) -> None:
        """Take note of what the other process has, by key."""
        self._things.update(things)

    def still_used(self) -> dict[str, Any]:
        """Return what is still used here, the newest of it, and take no more note of the rest."""
        used, left = dict[str, Any](), self._most
        for key, thing in reversed(list(self._things.items())):
            left -= getattr(thing, "nbytes", 0)
            if left >= 0:
                used[key] = thing
        used = dict(reversed(used.items()))  # the oldest first, as they were
        self._things = WeakValueDictionary(used)
        return used


def is_run(thing: Any) -> bool:
    """Return whether something is frames of files, which do not change."""
    return bool(getattr(thing, "is_sent_once", False))


def _is_large(thing: Any) -> bool:
    return isinstance(thing, np.ndarray) and thing.nbytes >= LARGE and not _repeats(thing)


def _pickled(array: NDArray[Any]) -> Pickled:
    return Pickled.of(array if array.flags.forc else np.ascontiguousarray(array))


def _repeats(array: NDArray[Any]) -> bool:
    """Return whether an image stands for many equal ones, which would be pickled as such."""
    return any(s == 0 and n > 1 for s, n in zip(array.strides, array.shape, strict=True))


def _once(array: NDArray[Any]) -> NDArray[Any]:
    return array[tuple(slice(None) if stride else slice(1) for stride in array.strides)].copy()


def unpack(data: bytes, parts: Mapping[str, Any]) -> Any:
    """Return what was packed, given its parts."""
    return _Unpickler(data, parts).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, parts: Mapping[str, Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._parts = parts

    def persistent_load(self, pid: str) -> Any:
        return self._parts[pid]
