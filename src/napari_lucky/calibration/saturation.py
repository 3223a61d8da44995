"""The level at which a camera clips, found in the frames where no header gives it.

What the constants do is measured by ``benchmarks/masks.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.bad_pixels import lone_pixels
from napari_lucky.calibration.calibrate import Calibrated, calibrated_in, clipped_from
from napari_lucky.execution.blocks import blocks_of, one_by_one
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.frames import Frames, as_float32, chain_of
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window
from napari_lucky.text import percent

SAMPLE, FEWEST, SAMPLE_PIXELS = 256, 8, 1 << 22
"""Frames at most and at least, and pixels of all of them, that are looked at."""
TOP, WIDE_TOP = 64, 2048
"""So many of the greatest values of each frame are compared; of a plateau, so many."""
BELOW = 0.02
"""Of the light's range: how far below the maximum values are counted to compare with."""
MANY, PILED = 5, 5.0
"""Values at the maximum at least, and over the usual number at a level just below."""
ALL, SINGLE = 0.9, 1.5
"""Frames that each have their own brightest pixel at one value were stretched, not clipped."""
PLATEAU_WIDTHS = 0.01, 0.02, 0.04, 0.08, 0.12
"""Of the light's range: the pixels of a plateau that is not all even are within one of these."""
FLATTER, FLAT_PIXELS = 3.0, 12
"""They are so many times as many as those as far below, and so many more a frame. Of a star's round
top they are as many, of a ring of light 2.4 times; where pixels sample either, a few more."""
MIDDLE_STEP = 7
"""One of so many pixels gives the median."""
FEW = 64
"""Frames at most in which a plateau is looked for."""
FLAT_FRAMES = 0.15
"""Part of the frames, at least, that have a plateau of `MANY` pixels."""
STEADY = 2.0
"""Levels; light that varies less from frame to frame may well have one maximum."""


def clipping_level(calibrated: Calibrated, window: Window, *, job: Job = QUIET) -> float | None:
    """Return the raw ADU at which the light in a window is clipped, or None if it is not.

    A clipped star has many values at the greatest one of the run, far more than at any level
    just below. Of a star that is not clipped the greatest value is a single pixel's of a single
    frame; of few grey levels, fewer pixels have the greatest than the next one. Bad pixels,
    and those that stand alone and bright in every frame, do not count. Where a pixel is the
    mean of several numbers in the file, the greatest of them counts.

    Parameters
    ----------
    calibrated : Calibrated
        Its raw frames are looked at, 256 of them at most.
    window : Window
        Holds the light.
    job : Job
        Its progress is reported, and may cancel.
    """
    top, _ = _tops(calibrated, window, job=job)
    if len(top) > 0 and top.min() == top.max():  # all may be clipped
        top, _ = _tops(calibrated, window, FEW, job=job)
    top = np.unique(top, axis=0)  # a copy of a frame has the same maximum
    if len(top) == 0:
        return None
    level = float(top.max())
    return level if _is_piled_up(top, level) else None


def plateau_notes(calibrated: Calibrated, window: Window, *, job: Job = QUIET) -> tuple[str, ...]:
    """Return a sentence if the light has a flat top whose pixels differ a little.

    A clipped star has one where clipped pixels were divided by a flat, or read with noise. But so
    has a disc of even light, so nothing is masked.

    Parameters
    ----------
    calibrated : Calibrated
        Its raw frames are looked at, 64 of them at most.
    window : Window
        Holds the light.
    job : Job
        Its progress is reported, and may cancel.
    """
    top, sky = _tops(calibrated, window, FEW, job=job)
    if len(top) == 0 or top.size <= MANY:
        return ()
    ordered = np.sort(top, axis=None)
    highest = float(ordered[-MANY])  # but for what stands alone
    for part in PLATEAU_WIDTHS:
        least = highest - part * (highest - sky)
        if least >= calibrated.saturation:
            continue  # masked
        flat = top > least
        below = int(((top > 2 * least - highest) & ~flat).sum())
        have = flat.sum(axis=1) >= MANY
        more = flat.sum() - MANY - FLATTER * below
        if have.mean() > FLAT_FRAMES and more > FLAT_PIXELS * have.sum():
            level = float(np.median(top[flat]))
            return (
                f"The light has a flat top: many pixels are within {percent(part, '.0f')} of "
                f"{level:.4g} ADU, and hardly any is brighter. A clipped star looks like this, "
                "or an even disc. If the star is clipped, mask these pixels "
                f"(--saturation {np.floor(least):g}).",
            )
    return ()


def unmasked_notes(frames: Frames, window: Window, *, job: Job = QUIET) -> tuple[str, ...]:
    """Return a sentence if frames have a clipped star whose pixels are not masked.

    Calibrated ones, or integers, which are raw.
    """
    calibrated = calibrated_in(frames)
    if calibrated is None:
        *_, source = chain_of(frames)
        if getattr(source, "stored_dtype", source.dtype).kind not in "iu":
            return ()
        calibrated = Calibrated(source)
    level = clipping_level(calibrated, window, job=job)
    if level is None:
        return plateau_notes(calibrated, window, job=job)
    if level >= calibrated.saturation:
        return ()
    return (clipping_note(level, masked=False),)


def clipping_note(level: float, masked: bool) -> str:
    """Return a sentence on a level that was found, and whether pixels of it are masked."""
    clipped = (
        f"The star is clipped: many of its pixels are at {level:g} ADU, the greatest value there."
    )
    if masked:
        return (
            f"{clipped} They are masked (--saturation {level:g}); give a higher value if they are "
            "valid."
        )
    return (
        f"{clipped} They are not masked: set the saturation to {level:g} ADU in the calibration "
        f"(--saturation {level:g})."
    )


def _tops(
    calibrated: Calibrated, window: Window, most: int = SAMPLE, *, job: Job
) -> tuple[NDArray[np.float64], float]:
    """Return the greatest values in a window of each frame looked at (k, m), and the median.

    They are `TOP`, but `WIDE_TOP` where few frames are looked at.
    """
    window = window.clipped(calibrated.shape)
    pixels = window.height * window.width
    count = int(np.clip(SAMPLE_PIXELS // max(pixels, 1), FEWEST, most))
    chosen = spread_over(calibrated.shape[0], count)
    bad = _not_light(calibrated, window)
    many = min(TOP if most == SAMPLE else WIDE_TOP, int((~bad).sum()) - 1)
    if many < TOP:
        return np.empty((0, 0)), 0.0
    frames = clipped_from(calibrated.frames, -np.inf)
    tops, middles = [], []
    what = "looking for clipped light" if most == SAMPLE else "looking for a flat top"
    for part in one_by_one(blocks_of(len(chosen), pixels), what, job):
        values = np.asarray(frames.read(chosen[part], window))[:, ~bad]
        tops.append(np.partition(values, -many, axis=1)[:, -many:].astype(np.float64))
        middles.append(np.median(values[:, ::MIDDLE_STEP]))
    top = np.sort(np.concatenate(tops), axis=1)
    return top[np.isfinite(top).all(axis=1)], float(np.median(middles))


def _is_piled_up(top: NDArray[np.float64], level: float) -> bool:
    """Return whether the greatest values (frame, rank) pile up at a level, as clipped ones do."""
    at = top == level
    each = at.sum(axis=1)
    steps = np.diff(np.unique(top))
    if len(steps) == 0 or each.sum() < MANY:
        return False
    step = float(steps.min())
    below = max(BELOW * (level - float(np.median(top[:, 0]))), step)
    near = int(((top < level) & (top >= level - below)).sum())
    if each.sum() <= PILED * (1 + near * step / below):
        return False
    reached = each > 0
    if reached.mean() < ALL:
        return True
    rest = np.where(at, -np.inf, top).max(axis=1)
    varies = rest[np.isfinite(rest)]
    if each.mean() >= MANY or len(varies) == 0:
        return True
    return bool(each.mean() >= SINGLE and varies.std() > STEADY * step)


def _not_light(calibrated: Calibrated, window: Window) -> NDArray[np.bool_]:
    """Return which pixels of a window are bad, or bright alone in all of a few frames."""
    some = spread_over(calibrated.shape[0], 2 * FEWEST)
    raw = as_float32(calibrated.frames.read(some, window))
    with np.errstate(invalid="ignore"):
        alone = lone_pixels(raw.mean(axis=0), raw.std(axis=0))
    bad = calibrated.bad
    return alone if bad is None else alone | bad[window.slices]
