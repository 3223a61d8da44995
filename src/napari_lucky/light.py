"""A star's light in its window: without the background, masked pixels filled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .frames import is_empty
from .holes import fill
from .spots import Block, background, smoothed

FILL = 2.0
"""Pixels; what is masked so widely that it cannot be told from its neighbours is smoothed over."""


@dataclass(frozen=True, eq=False)
class Light:
    """What tracking and ranking both begin with.

    Parameters
    ----------
    pixels : ndarray of float32, (k, y, x)
        Background off, masked pixels filled; 0 far within masked regions.
    excess : ndarray of float32, (1 or k, y, x), or None
        See `napari_lucky.holes.fill`.
    empty : ndarray of bool, (k,)
        Whether all pixels of a frame are equal or masked: it has no light.
    level : ndarray of float32, (k,)
        The background that was taken off, ADU.
    """

    pixels: Block
    excess: NDArray[np.float32] | None
    empty: NDArray[np.bool_]
    level: NDArray[np.float32]


def light_of(block: Block) -> Light:
    """Return the light in a block of frames, (k, y, x), masked pixels NaN."""
    return light_over(block, background(block), is_empty(block))


def light_over(block: Block, level: NDArray[np.float32], empty: NDArray[np.bool_]) -> Light:
    """Return the light in a block of frames whose background (k,) and emptiness are known."""
    pixels, excess = fill(block - level[:, None, None])
    if excess is not None and (deep := ~np.isfinite(pixels)).any():
        pixels = np.where(deep, smoothed(pixels, FILL), pixels)
    return Light(pixels, excess, empty, level)
