"""Frames with a cosmic ray in place of the star, or on its core.

What the constants do is measured by ``benchmarks/stray_light.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.window import Window
from napari_lucky.frames.window_moves import Moves, _moved, _whole
from napari_lucky.imaging.fine_detail import REACH
from napari_lucky.imaging.noise import Noise

SHARP, SPIKE = 2.0, 8.0
"""A cosmic ray is so many times sharper than speckles usually are, by so many sigmas of a pixel."""
FINE, USUAL = 0.14, 3.5
"""Detail finer than optics pass is a cosmic ray's if it has this part of the star's peak, and so
many times what is usual: of such a peak, and of the noise of such a peak."""
LEVEL, MOST = 0.1, 3
"""Pixels at most that are within this part of the star's peak of the brightest; clipped light has
more, and fine detail at its edge."""
FEWEST = 8
"""Fewer frames do not show what is usual."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def struck(found: Floats, noise: Noise) -> Flags:
    """Return in which frames a cosmic ray was found instead of a speckle, (n,).

    Its light is in a pixel or a line, so it loses more by the smoothing than speckles do.

    Parameters
    ----------
    found : ndarray of float64, (n, 9)
        From `track_brightest`.
    noise : Noise
        Of a pixel.
    """
    peak, sharp = found[:, 2], found[:, 6]
    if not np.isfinite(sharp).any():
        return np.zeros(len(found), bool)
    usual = float(np.nanmedian(sharp))
    with np.errstate(invalid="ignore"):
        spike = (sharp - usual) * peak
        return np.asarray((sharp > SHARP * usual) & (spike > SPIKE * _error(usual * peak, noise)))


def struck_in_core(
    frames: Frames, focus: Window, found: Floats, moves: Moves, noise: Noise
) -> Flags:
    """Return in which frames a cosmic ray has hit the star's core, (n,).

    The frame then has more detail that is finer than optics pass than the others have. Of stars
    of less than 2 px per lambda/D all have it. Frames with masked pixels there are not looked at.

    Parameters
    ----------
    frames : Frames
        In ADU, not moved.
    focus : Window
        Of the star.
    found : ndarray of float64, (n, 9)
        From `track_brightest` in the moved window.
    moves : ndarray of int, (n, 2)
        How the window has moved.
    noise : Noise
        Of a pixel.
    """
    out = np.zeros(len(found), bool)
    seen = np.flatnonzero(np.isfinite(found[:, [2, 6, 7]]).all(axis=1))
    if len(seen) < FEWEST:
        return out
    _, _, peak, _, _, _, sharp, fine, _ = found[seen].T
    top = np.median(sharp) * peak
    error = _error(top, noise)
    usual = np.maximum(np.median(fine / top) * top, np.median(fine / error) * error)
    for k in np.flatnonzero(fine > np.maximum(FINE * top, USUAL * usual)):
        frame = seen[k]
        window = _moved(focus, moves[frame])
        y, x = _whole(found[frame, :2]) + np.array([window.y0, window.x0])
        box = Window.centred(int(y), int(x), 2 * REACH + 1).clipped(frames.shape)
        image = as_float32(frames.read(np.array([frame]), box))
        if np.isfinite(image).all():  # else some are guessed
            bright = image > image.max() - LEVEL * top[k]
            out[frame] = np.count_nonzero(bright) <= MOST
    return out


def _error(light: Floats, noise: Noise) -> Floats:
    """Return the standard deviation of a pixel with so much light by its noise."""
    return np.sqrt(noise.variance(as_float32(np.nan_to_num(light))))
