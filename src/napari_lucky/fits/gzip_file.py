"""Packed files: the beginning of one unpacked in memory, or a cube as far as it was asked for.

By gzip, bzip2 or xz, as their first bytes say: names may say what is not so.
"""

from __future__ import annotations

import bz2
import lzma
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.files.open_file import Stamp, check_unchanged, open_regular
from napari_lucky.files.temporaries import write_all

try:  # several times as fast, and the same bytes
    from isal import isal_zlib as zlib
except ImportError:
    import zlib  # type: ignore[no-redef]

DAMAGED: Any = (EOFError, zlib.error, lzma.LZMAError)
"""What packed bytes give that are cut short or changed."""
MOST_PACKED = 1032
"""Bytes that one gzipped byte can hold at most."""
MOST_BZIPPED = 1 << 19
"""Bytes that one byte of bzip2 or xz can hold at most."""
XZ_MEMORY = 1 << 28
"""Bytes of memory that unpacking xz may need; its highest level needs a fourth of it."""
PIECE = 1 << 20
GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"


def is_packed(path: Path) -> bool:
    """Return whether a file is packed as a whole, by gzip, bzip2 or xz; by its first bytes."""
    try:
        with open_regular(path) as file:
            return bool(most_packed(file))
    except OSError:
        return False  # reported where it is read


def most_packed(file: FileIO) -> int:
    """Return how many bytes one byte of an open file can hold at most; 0 if it is not packed."""
    file.seek(0)
    begin = file.read(len(XZ))
    file.seek(0)
    if begin.startswith(GZIP):
        return MOST_PACKED
    return MOST_BZIPPED if begin.startswith((BZIP2, XZ)) else 0


class PackedStream:
    """What a packed file holds, read from its beginning on; what is behind it is passed over.

    Parameters
    ----------
    file : FileIO
        Open; it is read from where it is.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._packed = b""
        self._unpack: Any = None
        self._at = 0

    def read_at(self, offset: int, size: int) -> bytes:
        """Return bytes found at an offset; fewer at the end."""
        if offset < self._at:
            self._file.seek(0)
            self._packed, self._unpack, self._at = b"", None, 0
        while self._at < offset:
            if not self.read(min(offset - self._at, PIECE)):
                return b""
        return self.read(size)

    def read(self, size: int) -> bytes:
        """Return the next bytes; fewer at the end.

        Raises
        ------
        EOFError
            If the file ends before what is packed does.
        """
        pieces, have = [], 0
        while have < size and (piece := self._piece(size - have)):
            pieces.append(piece)
            have += len(piece)
        self._at += have
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _piece(self, most: int) -> bytes:
        while True:
            if self._unpack is None and not self._begin_member():
                return b""
            piece: bytes = self._unpack.decompress(self._packed, most)
            if self._unpack.eof:
                self._packed, self._unpack = self._unpack.unused_data, None
            else:
                self._packed = getattr(self._unpack, "unconsumed_tail", b"")
            if piece:
                return piece
            if self._unpack is not None and not self._fill():
                raise EOFError("its compressed data have no end")

    def _begin_member(self) -> bool:
        """Begin what is packed next, if there is any: several may follow each other."""
        while len(self._packed) < len(XZ) and self._fill():
            pass
        self._packed = self._packed.lstrip(b"\0")  # which may pad a file's end
        if self._packed.startswith(GZIP):
            self._unpack = zlib.decompressobj(wbits=31)
        elif self._packed.startswith(BZIP2):
            self._unpack = bz2.BZ2Decompressor()
        elif self._packed.startswith(XZ):
            self._unpack = lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY)
        return self._unpack is not None

    def _fill(self) -> bool:
        more = self._file.read(PIECE)
        self._packed += more
        return bool(more)


def unpacked_begin(path: Path, size: int, stamp: Stamp | None = None) -> bytes:
    """Return the first bytes of what a packed file holds, in one piece.

    In few calls of zlib, so that other threads run meanwhile.
    """
    with open_regular(path, stamp) as file:
        return PackedStream(file).read(size)


@dataclass(eq=False)
class Unpacked:
    """A packed file, unpacked to a temporary file as far as it has been asked for.

    So the first frame of a long cube is there at once, and none is ever unpacked twice. If
    anything fails on the way, what was unpacked is dropped, and the next read starts again.
    """

    path: Path
    stamp: Stamp | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _file: Any = None
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
            self._file = open_regular(self.path, self.stamp)
            self._packed = PackedStream(self._file)
            self._plain = TemporaryFile(buffering=0)  # noqa: SIM115
        if self._have >= end:
            return
        check_unchanged(self._file, self.stamp)
        self._plain.seek(self._have)
        while self._have < end and (piece := self._packed.read(PIECE)):
            write_all(self._plain, piece, "it is unpacked into")
            self._have += len(piece)

    def _drop(self) -> None:
        """Close the handles and forget what was unpacked."""
        packed, plain = self._file, self._plain
        self._file, self._packed, self._plain = None, None, None
        self._have, self._process = 0, 0
        for file in (packed, plain):
            if file is not None:
                with suppress(OSError):
                    file.close()
