"""The type of the numbers in a FITS file, where it is not float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT32 = ">f4"


@dataclass(frozen=True)
class NumberType:
    """How numbers are stored.

    Parameters
    ----------
    stored : str
        Type in the file, such as ">i4".
    zero : int
        BZERO of unsigned integers, or else 0.
    """

    stored: str = FLOAT32
    zero: int = 0

    @property
    def bitpix(self) -> int:
        """BITPIX of the file."""
        bits = 8 * int(self.stored[2])
        return -bits if self.stored[1] == "f" else bits

    def encode(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return numbers as they are stored; unsigned ones as signed ones, less `zero`."""
        if not self.zero:
            return block
        size = block.dtype.itemsize
        return (block ^ block.dtype.type(self.zero)).view(f"i{size}")


def stored_as(dtype: np.dtype[Any], exact: bool) -> NumberType:
    """Return how numbers of a type are stored.

    Parameters
    ----------
    dtype : numpy.dtype
    exact : bool
        Whether numbers that float32 does not hold keep their type, of 32 or 64 bits.
    """
    if not exact or dtype.itemsize < 4 or dtype.kind not in "iuf" or dtype == np.float32:
        return NumberType()
    if dtype.kind == "f":
        return NumberType(">f8")
    zero = 1 << (8 * dtype.itemsize - 1) if dtype.kind == "u" else 0
    return NumberType(f">i{dtype.itemsize}", zero)
