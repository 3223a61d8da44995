"""Frames with more light than the others: a neighbour beside the star, or no cloud before it.

What the constants do is measured by ``benchmarks/stray_light.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Frames
from napari_lucky.imaging.robust_sigma import robust_sigma
from napari_lucky.registration.copies import frame_names
from napari_lucky.text import counted

MORE, SURE = 1.4, 6.0
"""More light is so many times the usual, and so many sigmas of the frames more than it."""
PART = 0.25
"""Of the frames; more light in more of them is usual."""
FEWEST = 8
"""Fewer frames do not show what is usual."""
NEIGHBOURS = 16
"""The star's usual place is the median of so many other frames, the nearest in time."""
OFF, LEAST_OFF = 4.0, 2.0
"""With a neighbour the mean place is so many sigmas, and pixels, off the usual one."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def with_more_light(light: Floats) -> Flags:
    """Return which frames have clearly more light than usual, if they are few, (n,).

    Behind clouds the light is less, and uneven; then no frame has clearly more.

    Parameters
    ----------
    light : ndarray of float64, (n,)
        Of each frame, ADU; NaN where there is no star.
    """
    seen = np.isfinite(light)
    none = np.zeros(len(light), bool)
    if np.count_nonzero(seen) < FEWEST:
        return none
    usual = float(np.median(light[seen]))
    spread = float(robust_sigma(light[seen], usual))
    with np.errstate(invalid="ignore"):
        more = light > max(MORE * usual, usual + SURE * spread)
    return more if usual > 0 and more.sum() <= PART * seen.sum() else none


def is_off(points: Floats, some: Flags) -> bool:
    """Return whether the star's place in some frames is off where it is in the others.

    Parameters
    ----------
    points : ndarray of float64, (n, 2)
        (y, x) of the brightest speckles; NaN where there is none.
    some : ndarray of bool, (n,)
        Those frames.
    """
    others = np.flatnonzero(~some & np.isfinite(points[:, 0]))
    inside = np.flatnonzero(some)

    def off(frames: NDArray[np.intp]) -> Floats:
        """Return by how much each frame's place is off that of the others near it in time."""
        out = np.empty((len(frames), 2))
        for k, frame in enumerate(frames):
            away = np.abs(others - frame)
            near = others[np.argsort(np.where(away == 0, len(points), away))[:NEIGHBOURS]]
            out[k] = points[frame] - np.median(points[near], axis=0)
        return out

    spread = robust_sigma(off(others), axis=0).max() / len(inside) ** 0.5
    away = float(np.linalg.norm(off(inside).mean(axis=0)))
    return bool(away > max(OFF * spread, LEAST_OFF))


def more_light_note(frames: Frames, light: Floats, some: Flags) -> tuple[str, ...]:
    """Return a sentence on frames with more light than the others, (n,); nothing if there is none.

    Parameters
    ----------
    frames : Frames
    light : ndarray of float64, (n,)
        Of each frame, ADU.
    some : ndarray of bool, (n,)
        Those frames.
    """
    if not some.any():
        return ()
    more = float(np.median(light[some]) / np.nanmedian(light[~some]))
    which = np.flatnonzero(some)
    return (
        f"{counted(len(which), 'frame')} ({frame_names(frames, which)}) "
        f"{'has' if len(which) == 1 else 'have'} about {more:.1f} times the light of the others: "
        "another star beside this one, or thinner clouds. Look at them, and drop them (--drop) if "
        "another star is tracked there.",
    )
