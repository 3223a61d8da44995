"""The step between the values of digital frames, and the noise that rounding gives to a pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Frames, View, chain_of
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window

LEVELS = 1 << 16
"""Pixels that give the step between the values of digital frames."""
EXACT, FEWEST_STEPS = 0.01, 3
"""Differences are multiples of a step to so much of it, and so many different ones show it."""


def quantisation(frames: Frames, window: Window) -> float:
    """Return the variance that rounding gives to a pixel, ADU²: a twelfth of its step squared.

    The step is that of the raw pixels, times what calibration makes of it; 0 for pixels that
    have no steps.
    """
    scale = frames.scale(window) if isinstance(frames, View) else 1.0
    *_, source = chain_of(frames)
    on = window.clipped(source.shape)
    if 0 in on.shape:
        return 0.0
    few = spread_over(source.shape[0], max(1, LEVELS // (on.height * on.width)))
    return (step_of(source.read(few, on)) * scale) ** 2 / 12


def step_of(pixels: NDArray[Any]) -> float:
    """Return the step of which all differences between pixels are multiples, 0 if there is none."""
    values = np.unique(pixels[np.isfinite(pixels)])
    apart = np.diff(values.astype(np.float64))
    whole = pixels.dtype.kind in "iu"
    if len(apart) < FEWEST_STEPS:
        return float(whole)
    if whole:
        return float(np.gcd.reduce(apart.astype(np.int64)))
    step = float(apart.min())
    with np.errstate(over="ignore", invalid="ignore"):  # of a step next to nothing
        off = np.abs(apart / step - np.rint(apart / step))
        exact = np.finfo(pixels.dtype).eps * np.abs(values).max() / step
    return step if exact < EXACT and off.max() < EXACT else 0.0
