"""Images and runs written as TIFF, for programs that read no FITS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_lucky.fits.image_result import CREATOR, pixel_blocks
from napari_lucky.fits.inputs import NO_INPUTS, Inputs
from napari_lucky.fits.integers import Coding, IntegerFormat, coding_of
from napari_lucky.fits.names import header_text
from napari_lucky.fits.write import written_whole

Bits = Literal[16, 32]
MIDDLE = 32768
"""Level of the stored integer 0."""


def write_tiff(
    path: str | Path, data: Any, bits: Bits = 32, name: str = "", *, inputs: Inputs = NO_INPUTS
) -> None:
    """Write an image, or a run with a page a frame, as TIFF.

    With 32 bits pixels are float32, as they are. With 16 bits the levels span the pixels from the
    least to the greatest, level 0 is masked, and the description says how levels become ADU.

    Parameters
    ----------
    path : str or pathlib.Path
        An existing file is replaced.
    data : ndarray, (y, x) or (n, y, x), or Frames
        Pixels in ADU.
    bits : int
        16 or 32.
    name : str
        For the description.
    inputs : mapping
        What must not be replaced; see `napari_lucky.fits.inputs.check_not_inputs`.

    Raises
    ------
    LuckyError
        If the file cannot be written, or is an input.
    """
    import tifffile

    whole = np.asarray(data) if len(data.shape) == 2 else data
    coding = coding_of(pixel_blocks(whole), IntegerFormat(), name) if bits == 16 else None
    description = [header_text(name)] if name else []
    if coding is not None:
        description.append(
            f"ADU = {coding.zero!r} + {coding.step!r} * (level - {MIDDLE}); level 0 is masked"
        )
    with written_whole(Path(path), inputs) as temporary:
        tifffile.imwrite(
            temporary,
            _pages(whole, coding),
            shape=tuple(whole.shape),
            dtype=np.float32 if coding is None else np.uint16,
            photometric="minisblack",
            description="; ".join(description),
            metadata=None,
            software=CREATOR,
        )


def _pages(data: Any, coding: Coding | None) -> Iterator[NDArray[Any]]:
    for block in pixel_blocks(data):
        if coding is None:
            stored = block.astype(np.float32)
        else:
            stored = (coding.encode(block).astype(np.int32) + MIDDLE).astype(np.uint16)
        yield from stored if stored.ndim == 3 else (stored,)
