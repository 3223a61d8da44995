"""Files that cameras record, made by the book."""

import struct

import numpy as np
import pytest

EPOCH = np.datetime64("0001-01-01T00:00:00", "us")


def ticks(times):
    """Time stamps of a SER file: 100 ns since the year 1."""
    return (np.asarray(times, "datetime64[us]") - EPOCH).astype("i8") * 10


def ser_bytes(frames, *, colour=0, flag=0, order="<", depth=None, count=None, times=None, begin=0):
    """Return a SER file of frames (n, y, x) or (n, y, x, 3), 8 or 16 bits."""
    n, ny, nx = frames.shape[:3]
    depth = depth or 8 * frames.dtype.itemsize
    texts = (b"A. Observer", b"ZWO ASI290MM", b"C11")
    count = n if count is None else count
    head = struct.pack(
        "<14s7i40s40s40s2q",
        *(b"LUCAM-RECORDER", 0, colour, flag, nx, ny, depth, count),
        *(*texts, begin, begin),
    )
    stored = frames if frames.dtype == np.uint8 else frames.astype(f"{order}u2")
    return head + stored.tobytes() + (b"" if times is None else ticks(times).tobytes())


@pytest.fixture
def made_ser(tmp_path):
    """Return a function that writes a SER file and returns its path."""

    def make(frames, name="a.ser", **how):
        path = tmp_path / name
        path.write_bytes(ser_bytes(frames, **how))
        return path

    return make


@pytest.fixture
def stars():
    """Return frames of a star that looks like one: noise of a few levels on smooth light."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:20, :30]
    star = 3000 * np.exp(-((y - 9) ** 2 + (x - 14) ** 2) / 20) + 300
    return rng.poisson(star, (5, 20, 30)).astype(np.uint16)
