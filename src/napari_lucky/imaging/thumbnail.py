"""A small picture of an image for a notebook, without a plotting library."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.text import html

SIDE = 256
"""Pixels of the picture's longer side at most."""
SHOWN = 180
"""As large as it is shown on a page, in its pixels."""
KNEE = 0.05
"""Of the peak: what is brighter is shown by its logarithm."""


def thumbnail(image: NDArray[Any], caption: str = "") -> str:
    """Return HTML that shows an image (y, x) in grey, its first row on top; masked pixels black.

    From the median to the maximum, by the inverse hyperbolic sine. Only for a look: pixels of
    large images are left out.
    """
    every = max(1, -(-max(image.shape) // SIDE))
    pixels = np.asarray(image[::every, ::every], np.float64)
    low = np.nanmedian(pixels) if np.isfinite(pixels).any() else 0.0
    level = np.maximum(np.nan_to_num(pixels - low, nan=0.0, posinf=0.0, neginf=0.0), 0)
    top = level.max() or 1.0
    grey = np.arcsinh(level / (KNEE * top)) / np.arcsinh(1 / KNEE) * 255
    code = b64encode(png(grey.astype(np.uint8))).decode("ascii")
    height, width = (round(SHOWN * side / max(grey.shape)) for side in grey.shape)
    style = "display:inline-block;margin:0 1em 0 0;text-align:center"
    return (
        f'<figure style="{style}"><img style="image-rendering:pixelated" width="{width}" '
        f'height="{height}" src="data:image/png;base64,{code}">'
        f"<figcaption>{html(caption)}</figcaption></figure>"
    )


def png(grey: NDArray[np.uint8]) -> bytes:
    """Return an image of bytes, (y, x), as a PNG file (8-bit greyscale)."""
    height, width = grey.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter, none
    rows[:, 1:] = grey
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes())),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
