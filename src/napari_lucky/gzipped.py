"""Gzipped files: the beginning of one unpacked in memory, or a cube as far as it was asked for."""

from __future__ import annotations

import gzip
import os
import threading
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray


def is_gzipped(path: Path) -> bool:
    """Tell whether a file's name says that it is gzipped as a whole."""
    return path.name.lower().endswith(".gz")


def gunzip(path: Path, size: int) -> memoryview:
    """Return the first bytes of what a gzipped file holds, in one piece.

    In one call of zlib for each member of the file, so that other threads run meanwhile.
    """
    packed, pieces, have = path.read_bytes(), [], 0
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

    So the first frame of a long cube is there at once, and none is ever unpacked twice.
    """

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _packed: Any = None
    _plain: Any = None
    _process: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return Unpacked, (self.path.absolute(),)  # whoever gets it unpacks for himself

    def __del__(self) -> None:
        for file in (self._packed, self._plain):
            if file is not None:
                file.close()

    def read(self, dtype: np.dtype[Any], count: int, offset: int) -> NDArray[Any]:
        """Return `count` numbers found at a byte offset of the unpacked file; fewer at its end."""
        end = offset + count * dtype.itemsize
        with self._lock:
            if self._process != os.getpid():  # a copy of the process must not share the handles
                self._process = os.getpid()
                self._packed = gzip.open(self.path)  # noqa: SIM115
                self._plain = TemporaryFile()  # noqa: SIM115
            have = self._plain.seek(0, os.SEEK_END)
            while have < end and (piece := self._packed.read(1 << 20)):
                have += self._plain.write(piece)
            self._plain.seek(offset)
            piece = self._plain.read(max(min(end, have) - offset, 0))
        return np.frombuffer(piece, dtype, len(piece) // dtype.itemsize)
