"""Pixels that may be hot under the tracked star of a run without a dark."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.calibrate import calibrated_in
from napari_lucky.calibration.hot_in_star import hot_in_star
from napari_lucky.frames.frames import Frames
from napari_lucky.frames.window import Window
from napari_lucky.imaging.noise import Noise


def hot_pixel_notes(
    frames: Frames, focus: Window, found: NDArray[np.float64], noise: Noise
) -> tuple[str, ...]:
    """Return a sentence if pixels under the star are probably hot, and not masked; else nothing.

    Parameters
    ----------
    frames : Frames
        In ADU. Those calibrated with a dark are not looked at.
    focus : Window
        Holds the star.
    found : ndarray of float64, (n, 9)
        From `napari_lucky.imaging.brightest_speckle.track_brightest`.
    noise : Noise
        If it is not known, the star may be smaller than a pixel: then the light around has to vary.
    """
    calibrated = calibrated_in(frames)
    points = found[np.isfinite(found[:, 0]), :2]
    if len(points) == 0 or (calibrated is not None and calibrated.dark is not None):
        return ()
    places, count = np.unique(np.rint(points).astype(int), axis=0, return_counts=True)
    y, x = places[count.argmax()].tolist()
    hot = hot_in_star(frames, (focus.y0 + y, focus.x0 + x))
    if hot is None or not (hot.star_varies or noise.known):
        return ()
    names = ", ".join(f"({y}, {x})" for y, x in hot.pixels)
    pixels = "The pixel" if len(hot.pixels) == 1 else "The pixels"
    stand = "stands" if len(hot.pixels) == 1 else "stand"
    return (
        f"{pixels} {names} (y, x) {stand} {hot.height:.3g} ADU or more out of the star in every "
        "frame, as hot pixels do: shifts and stacks may be wrong. Give a dark (--dark), which "
        "masks them.",
    )
