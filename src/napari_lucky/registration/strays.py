"""Brightest speckles that are not the star's, or not wholly: cosmic rays, neighbours, the edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.reading import read_beyond, spread_over
from napari_lucky.frames.window import MIN_SIDE, Window
from napari_lucky.imaging.brightest_speckle import track_brightest
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.significance import least_significance

COSMIC = "a cosmic ray outshines the star"
NEIGHBOUR = "a brighter neighbour is there besides the star"
CUT = "the star is cut by the sensor's edge"

SHARP, SPIKE = 2.0, 8.0
"""A cosmic ray is so many times sharper than speckles usually are, by so many sigmas of a pixel."""
LEAST_CORE, MOST_CORE = 1.5, 4.0
"""Half the width of a speckle at half its peak, over the smoothing, which is lambda/3D."""
LEAST_LIGHT = 0.5
"""A star near the sensor's edge with less than this part of the usual light is cut."""
FAR, NEAREST = 6.0, 6.0
"""A speckle jumps if it goes so many times as far as it usually does (1 sigma), and farther than
the smoothing so many times."""
LOOKS = 3
"""Frames on either side of a jump that are looked at."""
JUMPS = 10
"""Of more jumps than this, and in more than one frame in so many, none is a neighbour's coming."""
PRESENT = 0.3
"""The star is where it was if there is a peak of this part of its height."""
SAMPLE = 32
"""Frames, spread over the run, that tell the usual light."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def struck(found: Floats, noise: Noise) -> Flags:
    """Tell in which frames a cosmic ray was found instead of a speckle, (n,).

    Its light is in a pixel or a line, so it loses more by the smoothing than speckles do.

    Parameters
    ----------
    found : ndarray of float64, (n, 7)
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
        error = np.sqrt(noise.variance(as_float32(np.nan_to_num(usual * peak))))
        return np.asarray((sharp > SHARP * usual) & (spike > SPIKE * error))


def cut_by_edge(
    frames: Frames, focus: Window, points: Floats, sharp: Floats, smooth: float
) -> Flags:
    """Tell in which frames the star is cut by the sensor's edge, (n,).

    A star counts while its core is on the sensor: the brightest speckle's light over half its
    peak. It must also have half the light that it usually has in the window: else what was
    found is only the brightest of the speckles that are left.

    Parameters
    ----------
    frames : Frames
        In ADU, not moved.
    focus : Window
        Its size is that of the window around the star.
    points : ndarray of float64, (n, 2)
        (y, x) of the brightest speckles on the sensor; NaN where there is none.
    sharp : ndarray of float64, (n,)
        Their sharpness, from `track_brightest`, which tells how wide they are.
    smooth : float
        Standard deviation of the smoothing in pixels.
    """
    with np.errstate(invalid="ignore"):
        low, high = points + 0.5, np.array(frames.shape[1:]) - 0.5 - points
        room = np.minimum(low, high).min(axis=1)
        out = np.asarray(room < _core(sharp, smooth))
        near = np.flatnonzero(~out & (room < min(focus.shape) / 4))
    if len(near) == 0:
        return out
    others = np.setdiff1d(np.flatnonzero(np.isfinite(room) & ~out), near)
    if len(others) == 0:
        return out
    usual = np.median(
        _light_around(frames, focus, points, others[spread_over(len(others), SAMPLE)])
    )
    out[near] = _light_around(frames, focus, points, near) < LEAST_LIGHT * usual
    return out


def _core(sharp: Floats, smooth: float) -> float:
    """Return half the width of a speckle at half its peak in pixels.

    Smoothing takes a Gaussian's peak down by 1 + (smooth / sigma)².
    """
    if not np.isfinite(sharp).any():
        return LEAST_CORE * smooth
    lost = max(float(np.nanmedian(sharp)) - 1, 1e-3)
    return float(np.clip(1.18 * smooth / lost**0.5, LEAST_CORE * smooth, MOST_CORE * smooth))


def _light_around(frames: Frames, focus: Window, points: Floats, index: NDArray[np.intp]) -> Floats:
    """Return the light in windows around points, in ADU, (k,)."""
    out = np.empty(len(index))
    side = min(focus.shape) // 2
    for k, frame in enumerate(index):
        y, x = np.rint(points[frame]).astype(int)
        block = read_beyond(frames, np.array([frame]), Window.centred(int(y), int(x), side))
        out[k] = np.nansum(
            block - np.nanmedian(np.concatenate([b.ravel() for b in _rim(block[0])]))
        )
    return out


def _rim(image: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    return image[:2], image[-2:], image[:, :2], image[:, -2:]


def jumps(frames: Frames, focus: Window, found: Floats, smooth: float, noise: Noise) -> Flags:
    """Tell in which frames a brighter neighbour was found instead of the star, (n,).

    Where the brightest speckle goes much farther than usual from one frame to the next, these
    frames are looked at again: if the star is still where it was, something brighter has come
    in, and stays until the speckle jumps back. If it is not, the star has moved. Where
    both are there before and after, as a double star's are, neither is a neighbour.

    Parameters
    ----------
    frames : Frames
        In ADU.
    focus : Window
        Holds the star.
    found : ndarray of float64, (n, 7)
        From `track_brightest` in this window.
    smooth : float
        Standard deviation of the smoothing in pixels.
    noise : Noise
        Of a pixel.
    """
    out = np.zeros(len(found), bool)
    least = least_significance(focus, smooth)
    with np.errstate(invalid="ignore"):
        clear = np.flatnonzero(found[:, 5] >= least)
    if len(clear) < 2:
        return out
    points = found[clear, :2]
    step = np.diff(points, axis=0)
    usual = float(np.median(np.abs(step))) / 0.6745  # of one axis
    reach = max(FAR * usual, NEAREST * smooth)
    starts = np.flatnonzero(np.hypot(*step.T) > reach) + 1
    if len(starts) == 0 or len(starts) > max(JUMPS, len(clear) // JUMPS):
        return out
    parts = np.split(np.arange(len(clear)), starts)

    def is_there(part: NDArray[np.intp], place: Floats, peak: float) -> bool:
        seen = [
            _peak_near(frames, focus, int(clear[k]), place, reach / 2, smooth, noise) for k in part
        ]
        return float(np.median(seen)) > PRESENT * peak

    height, stray = found[clear, 2], np.zeros(len(parts), bool)
    for k in range(1, len(parts)):
        known = stray[:k].any() and not stray[:k].all()  # which of the two the star is
        home = parts[int(np.flatnonzero(~stray[:k])[-1])] if known else parts[k - 1]
        before, after = home[-LOOKS:], parts[k][:LOOKS]
        old, new = points[before[-1]], points[after[0]]
        if known and np.hypot(*(new - old)) <= reach:
            continue
        stays = is_there(after, old, float(np.median(height[before])))
        was = not known and is_there(before, new, float(np.median(height[after])))
        if stays and not was:
            stray[k] = True
        elif was and not stays and len(home) < len(clear) / 2:
            stray[k - 1] = True
    for part, is_stray in zip(parts, stray, strict=True):
        out[clear[part]] = is_stray
    return out


def _peak_near(
    frames: Frames,
    focus: Window,
    frame: int,
    place: Floats,
    reach: float,
    smooth: float,
    noise: Noise,
) -> float:
    """Return the peak of a star near a place (y, x) in a window; 0 if there is none."""
    side = max(MIN_SIDE, 2 * int(np.ceil(reach + 3 * smooth)) + 1)
    y, x = np.rint(place).astype(int)
    part = Window.centred(int(y), int(x), side).clipped(focus.shape)  # what is beyond was not seen
    near = Window(focus.y0 + part.y0, focus.x0 + part.x0, part.height, part.width)
    if min(near.shape) < MIN_SIDE:
        return 0.0
    block = as_float32(frames.read(np.array([frame]), near))
    found = track_brightest(block, smooth, noise)[0]
    middle = place - (part.y0, part.x0)
    is_top = np.isfinite(found[3])  # not the flank of something brighter beside
    return float(found[2]) if is_top and np.hypot(*(found[:2] - middle)) <= reach else 0.0
