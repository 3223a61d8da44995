"""Gzipped files: the beginning of one unpacked in memory, or a cube as far as it was asked for."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.files.open_file import Stamp, check_unchanged, open_regular
from napari_lucky.files.temporaries import write_all

try:  # several times as fast, and the same bytes
    from isal import igzip as gzip
    from isal import isal_zlib as zlib
except ImportError:
    import gzip
    import zlib  # type: ignore[no-redef]

MOST_PACKED = 1032
"""Bytes that one gzipped byte can hold at most."""
PIECE = 1 << 20


def is_gzipped(path: Path) -> bool:
    """Return whether a file's name says that it is gzipped as a whole."""
    return path.name.lower().endswith(".gz")


def gunzip(path: Path, size: int, stamp: Stamp | None = None) -> memoryview:
    """Return the first bytes of what a gzipped file holds, in one piece.

    In one call of zlib for each member of the file, so that other threads run meanwhile.
    """
    with open_regular(path, stamp) as file:
        packed, pieces, have = file.readall(), [], 0
    while packed and have < size:
        member = zlib.decompressobj(wbits=31)
        pieces.append(member.decompress(packed, size - have))
        have += len(pieces[-1])
        if not member.eof:
            break  # enough, or truncated
        packed = member.unused_data.lstrip(b"\0")  # which may pad a file's end
    return memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))


@dataclass(eq=False)
class Unpacked:
    """A gzipped file, unpacked to a temporary file as far as it has been asked for.

    So the first frame of a long cube is there at once, and none is ever unpacked twice. If
    anything fails on the way, what was unpacked is dropped, and the next read begins anew.
    """

    path: Path
    stamp: Stamp | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _packed: Any = None
    _plain: Any = None
    _have: int = 0
    _process: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return Unpacked, (self.path.absolute(), self.stamp)  # another process unpacks for itself

    def __del__(self) -> None:
        self._drop()

    def read(self, dtype: np.dtype[Any], count: int, offset: int) -> NDArray[Any]:
        """Return `count` numbers found at a byte offset of the unpacked file; fewer at its end.

        Raises
        ------
        OSError
            If the file cannot be read, or the temporary folder is full.
        """
        end = offset + count * dtype.itemsize
        with self._lock:
            try:
                self._unpack(end)
                self._plain.seek(offset)
                piece = self._plain.read(max(min(end, self._have) - offset, 0))
            except BaseException:
                self._drop()
                raise
        return np.frombuffer(piece, dtype, len(piece) // dtype.itemsize)

    def _unpack(self, end: int) -> None:
        """Unpack what comes before byte `end` and is not there yet."""
        if self._process != os.getpid():  # a copy of the process must not share the handles
            self._drop()
            self._process = os.getpid()
            self._packed = gzip.GzipFile(fileobj=open_regular(self.path, self.stamp), mode="rb")
            self._plain = TemporaryFile(buffering=0)  # noqa: SIM115
        if self._have >= end:
            return
        check_unchanged(self._packed.fileobj, self.stamp)
        self._plain.seek(self._have)
        while self._have < end and (piece := self._packed.read(PIECE)):
            write_all(self._plain, piece, "it is unpacked into")
            self._have += len(piece)

    def _drop(self) -> None:
        """Close the handles and forget what was unpacked."""
        packed, plain = self._packed, self._plain
        self._packed, self._plain, self._have, self._process = None, None, 0, 0
        for file in (packed and packed.fileobj, packed, plain):
            if file is not None:
                with suppress(OSError):
                    file.close()
