"""Where a mask is set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def places_of(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], ...]:
    """Return where a mask is set, as `numpy.nonzero`; several times as fast if that is seldom."""
    found: tuple[NDArray[Any], ...] = np.unravel_index(np.flatnonzero(mask), mask.shape)
    return found
