"""How certain the figures of a stack's PSF are: a bootstrap over its frames.

What the constants do is measured by ``benchmarks/figures.py``.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import blocks_of, map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.window import Window, WindowLike, as_window
from napari_lucky.imaging.alike import MOST, alike_over
from napari_lucky.optics.diffraction import DiffractionLike, as_diffraction
from napari_lucky.psf.figures import Measure
from napari_lucky.psf.recipe import PsfRecipe, PsfRequest, check_resamples
from napari_lucky.psf.result import FloatArray, PsfErrors, PsfFigures
from napari_lucky.stacking.mean import checked

PARTS, BRIGHTEST = 12, 12
"""Of each side of the window, and those whose light shows over how many frames they are alike."""
LONGER = 3.0
"""A block of frames, in lengths over which they are alike."""
ENDS = 1 / (3 * LONGER)
"""Of the variance, lost where blocks end: for a correlation that falls evenly to 0."""
NEAR = 0.6
"""Part of the way from the stack to a resample at which figures are measured."""
UNKNOWN_AXIS = 180 / math.sqrt(12)
"""Degrees: the standard deviation of an axis that may have any direction."""
FEWEST_BLOCKS = 6
"""Of a run; with fewer, errors are unsure."""
FEWEST_FRAMES = 5
"""A scatter of fewer says nothing."""
SUMS = 1 << 25
"""Sums held at a time, which take 256 MB; where there are more, frames are read again."""


def bootstrap_figures(
    frames: FramesLike,
    index: NDArray[np.intp],
    window: WindowLike,
    *,
    diffraction: DiffractionLike | None = None,
    recipe: PsfRecipe = PsfRecipe(),
    near: Window | None = None,
    resamples: int = PsfRequest().resamples,
    seed: int = 0,
    job: Job = QUIET,
) -> PsfFigures:
    """Measure the mean of some frames, with errors from means of frames drawn from them.

    Each resample is the mean of as many frames, drawn with replacement (Efron 1979). Figures are
    measured with the circles of the mean's, on the way from the mean to the resample, after 0.6
    of it; their scatter is scaled up by as much. So a width does not jump to a speckle that only
    the rougher resamples have at half of their peak. Frames that follow each other faster than the
    turbulence changes are alike. Over how many frames is measured first, on the light of the
    window's brightest parts; blocks of three times as many consecutive frames are then drawn
    instead of single ones (Künsch 1989, Ann. Statist. 17, 1217). In 48 simulated runs of 200 frames
    with frozen turbulence that moves by 0.05 D a frame, the error of the Strehl ratio was 0.87
    times the true scatter, that of the flux 0.90 times; with single frames 0.25 and 0.72 times.

    The errors hold the scatter of the frames, noise and turbulence alike. They hold neither what a
    selection favours, nor errors of the shifts, the calibration and the telescope's figures, nor
    light that the recipe loses.

    All resamples are summed up at once while the frames are read: `resamples` running sums of
    the window, 26 MB for 200 of 128 x 128 pixels, twice that with masked pixels. Of more than
    128 MB of sums, as many as that are made in one pass, and the frames are read once a pass.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated, and shifted where the stack is (`Shifted`): those of a run as they are give
        the figures of the long exposure.
    index : ndarray of int or bool
        The frames of the stack, 5 or more.
    window : Window or (y, x, size)
        What of them.
    diffraction : Telescope or Diffraction, optional
        See `psf_figures`.
    recipe : PsfRecipe
        Aperture, ring, pixel; see `psf_figures`.
    near : Window, optional
        Where in the window, counted from its first pixel, the star's peak is.
    resamples : int
        How many, 10 to 5000; with 200 an error is uncertain by 5 %.
    seed : int
        The same seed draws the same frames.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    PsfFigures
        Of the mean of the frames, with `errors`.

    Raises
    ------
    LuckyError
        If there are too few frames, or there is no star to measure.
    """
    frames, window = as_frames(frames), as_window(window)
    diffraction = as_diffraction(diffraction)
    index = checked(frames, index, window)
    n = len(index)
    check_resamples(resamples)
    if n < FEWEST_FRAMES:
        raise LuckyError(
            f"Errors come from the scatter of the frames, and the stack has {n}; it needs "
            f"{FEWEST_FRAMES} or more. Keep more frames, or measure without errors."
        )
    rng = np.random.default_rng(seed)
    alike = alike_over(_light(frames, index[:MOST], window, job), index[:MOST])
    side, blocks = round(LONGER * alike), math.inf
    if alike:
        blocks = (int(index[-1] - index[0]) + 1) / side
        drawn = _blocks(rng, index, side, resamples)
    else:
        drawn = rng.multinomial(n, np.full(n, 1 / n), resamples).astype(np.float32)
    moved = 1 + NEAR * (drawn * (n / drawn.sum(axis=1, keepdims=True)) - 1)
    weights = as_float32(np.concatenate([np.ones((1, n)), moved]))  # the stack itself comes first
    at_once = max(2, SUMS // 2 // (window.height * window.width))
    passes = [slice(k, k + at_once) for k in range(0, len(weights), at_once)]
    measure: Measure | None = None
    stack: PsfFigures | None = None
    made: list[PsfFigures] = []
    for number, some in enumerate(passes, start=1):
        what = "bootstrap" if len(passes) == 1 else f"bootstrap, pass {number} of {len(passes)}"
        means = _means(frames, index, window, weights[some], job, what)
        measure = measure or Measure(means[0], diffraction, recipe, near)
        stack = stack or measure.judged()
        made += _measured(measure, means, job)
    assert stack is not None
    part = max(1 - 1 / blocks, 1 / 2)  # of few blocks the mean is theirs as well
    if alike:
        part *= 1 - ENDS
    scatter = _scatter(made[1:], 1 / (NEAR * math.sqrt(part)))
    errors = replace(scatter, alike=alike, short=blocks < FEWEST_BLOCKS)
    return replace(stack, errors=errors)


def _light(
    frames: Frames, index: NDArray[np.intp], window: Window, job: Job
) -> NDArray[np.float64]:
    """Return the light of each frame in the brightest parts of the window, (n, k)."""
    rows, columns = (
        np.unique(np.linspace(0, side, PARTS, endpoint=False).astype(np.intp))
        for side in window.shape
    )

    def read(block: slice) -> NDArray[np.float32]:
        pixels = np.nan_to_num(as_float32(frames.read(index[block], window)))
        parts = np.add.reduceat(np.add.reduceat(pixels, rows, axis=1), columns, axis=2)
        return as_float32(parts.reshape(len(pixels), -1))

    pieces = blocks_of(len(index), window.height * window.width)
    what = "bootstrap: how far frames are alike"
    parts = map_blocks(read, pieces, job=job, what=what)
    light = np.concatenate(list(parts))
    brightest = np.argsort(light.mean(axis=0))[::-1][:BRIGHTEST]
    return np.asarray(light[:, brightest], np.float64)


def _blocks(
    rng: np.random.Generator, index: NDArray[np.intp], side: int, resamples: int
) -> NDArray[np.float32]:
    """Return how often each frame is in blocks of consecutive ones, (resamples, n).

    Blocks begin anywhere in the run, as many as make up its length; what is beyond its end comes
    from its beginning.
    """
    place = index - index[0]
    span = int(place[-1]) + 1
    side = min(side, span)
    count = np.zeros((resamples, len(index)), np.float32)
    for drawn in count:
        while not drawn.any():  # where frames are few, blocks may hold none
            for start in rng.integers(0, span, round(span / side)):
                drawn += (place - start) % span < side
    return count


def _means(
    frames: Frames,
    index: NDArray[np.intp],
    window: Window,
    weights: NDArray[np.float32],
    job: Job,
    what: str,
) -> NDArray[np.float64]:
    """Return the weighted means of the frames, (resamples, y, x), in one pass over them."""
    pixels = window.height * window.width
    sums = np.zeros((len(weights), pixels))
    masked = np.zeros((len(weights), 1))  # of each pixel, from the first masked one on

    def read(block: slice) -> tuple[slice, NDArray[np.float32]]:
        return block, as_float32(frames.read(index[block], window)).reshape(-1, pixels)

    blocks = blocks_of(len(index), pixels)
    for block, values in map_blocks(read, blocks, job=job, what=what):
        holes = ~np.isfinite(values)
        if holes.any():
            values = np.where(holes, np.float32(0), values)
            masked = masked + weights[:, block] @ as_float32(holes)
        sums += weights[:, block] @ values
    good = weights.sum(axis=1, keepdims=True, dtype=np.float64) - masked
    sums /= np.where(good > 0.5, good, np.nan)
    return sums.reshape(len(weights), *window.shape)


def _measured(measure: Measure, means: NDArray[np.float64], job: Job) -> list[PsfFigures]:
    def of(block: slice) -> list[PsfFigures]:
        return [measure.of(mean) for mean in means[block]]

    blocks, what = blocks_of(len(means), means[0].size), "PSF figures of the resamples"
    done = map_blocks(of, blocks, job=job, what=what)
    return [figures for some in done for figures in some]


def _scatter(made: list[PsfFigures], scale: float) -> PsfErrors:
    """Return the standard deviations of the resamples' figures, times a factor."""

    def over(name: str) -> FloatArray:
        values = np.array([getattr(figures, name) for figures in made], np.float64)
        return np.asarray(scale * values.std(axis=0, ddof=1))

    # angles of axes come again after 180 degrees
    axis = np.exp(2j * np.radians([figures.angle for figures in made])).mean()
    length = min(abs(complex(axis)), 1.0) if np.isfinite(axis) else math.nan
    angle = math.degrees(math.sqrt(-2 * math.log(length))) / 2 if length > 0 else math.nan
    angle = min(scale * angle, UNKNOWN_AXIS)
    return PsfErrors(
        len(made),
        float(over("strehl")),
        float(over("fwhm_major")),
        float(over("fwhm_minor")),
        angle,
        float(over("flux")),
        float(over("background")),
        over("encircled"),
        over("profile"),
    )
