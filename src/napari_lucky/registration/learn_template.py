"""The template of the template method, learnt from a run's good frames.

What the constants do is measured by ``benchmarks/registration.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.calibrate import calibrated_in
from napari_lucky.calibration.saturated_frames import bright_frames
from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import blocks_of
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.frames import Block, Frames, as_float32
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import MIN_SIDE, Window
from napari_lucky.frames.window_moves import Followed, Moves
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.quantisation import quantisation
from napari_lucky.imaging.robust_sigma import median_of_frames
from napari_lucky.registration.template import Template, aliased_detail, make_template
from napari_lucky.registration.template_fit import (
    Fit,
    fit,
    noise_of_residuals,
    whole_shifts,
    without_background,
    without_cosmics,
)

SAMPLE = 64
"""The template is made of so many frames; its noise then adds next to nothing."""
SAMPLE_PIXELS = 1 << 23
"""Pixels of the frames that a template is made of, at most: they are held in memory."""
BEST = 0.5
"""The part of the frames, by their peaks, that the template is made of."""
PARTS = 4
"""Each frame of the sample is fitted with a template of the other parts of it: with its own noise
in the template, it would stay where it is."""
ROUNDS, SETTLED = 5, 0.003
"""Align, average, align again: as often at most, and until shifts change by less, in pixels.
From 5 to 12 rounds errors are the same; with 4, those of 40 very bright frames are 5 % greater."""
MOST_CLIPPED = 0.25
"""Of the frames; with the core masked in more, shifts come out wrong by pixels."""
SIGNIFICANT = 5.0
"""Sigmas of its light; a fainter star is not fitted."""
SEEN = 0.8
"""Rows and columns that this part of the frames show are in the mean without an edge."""
CORRELATIONS = 3
"""The first of them begin with a correlation."""


@dataclass(frozen=True, eq=False)
class Learnt:
    """A template and the frames that it was made of.

    Parameters
    ----------
    template : Template
    chi2 : float
        The usual reduced chi-square.
    frames : ndarray of int, (k,)
        Numbers of the frames.
    block : ndarray of float32, (k, y, x)
        Aligned by whole pixels, background off, ADU.
    place : ndarray of float64, (k, 2)
        What is left of their shifts, in pixels.
    noise : Noise
        Of a pixel in a frame.
    """

    template: Template
    chi2: float
    frames: NDArray[np.intp]
    block: Block
    place: NDArray[np.float64]
    noise: Noise

    def apart(self) -> Iterator[tuple[NDArray[np.intp], Template]]:
        """Give parts of the frames, each with the template of the others."""
        for part in _parts(len(self.frames)):
            yield self.frames[part], _template_of(self.block, self.place, self.noise, ~part)


def learn(
    frames: Frames, focus: Window, moves: Moves, found: NDArray[np.float64], *, job: Job = QUIET
) -> Learnt:
    """Make a template: align, average, align again.

    Frames are taken evenly from the half with the higher peaks. They are aligned by their
    brightest speckles, and their median, which no cosmic ray spoils, is the first template;
    then by correlation with it; then by fits, each with the mean of the last. No frame is in
    the template that it is fitted with: its own noise there would hold it where it is.
    """
    _check_clipping(frames, focus, moves, found[:, 2])
    chosen = _sample(found[:, 2], focus)
    whole = np.floor(found[chosen, :2] - np.median(found[chosen, :2], axis=0) + 0.5)
    whole = whole.astype(np.intp)
    block = read_aligned(frames, focus, moves[chosen] + whole, chosen)
    least = quantisation(frames, focus)
    noise = Noise(max(_border_variance(block), least))
    place, last = np.zeros(whole.shape), np.full(whole.shape, np.inf)
    clean, good = block.copy(), np.ones(len(block), bool)
    mean = _median(clean, good)
    template = make_template(mean, place, noise)
    for turn in range(ROUNDS):
        job.progress(turn, ROUNDS, "making the template")
        fits = []
        for part in _parts(len(block)):
            how = _mean if turn else _median
            others = _template_of(clean, place, noise, good & ~part, how)
            if turn < CORRELATIONS:
                step = whole_shifts(block[part], others, min(focus.shape) // 4)
            else:
                step = np.rint(np.nan_to_num(place[part])).astype(np.intp)
            moved = step.any(axis=1)
            if moved.any():
                some = np.flatnonzero(part)[moved]
                whole[some] += step[moved]
                places = moves[chosen[some]] + whole[some]
                block[some] = read_aligned(frames, focus, places, chosen[some])
            fits.append(fit(block[part], others, errors=False))
        made = _joined(fits)
        good = _trusted(made)
        if not good.any():
            break
        place = made.place
        clean = without_cosmics(block, template, made)  # and hot pixels
        noise = noise_of_residuals(clean[good], template, made.part(good), least)
        mean = _mean(clean, good)
        template = make_template(mean, place[good], noise)
        change = np.abs(whole + place - last)[good]
        if turn >= CORRELATIONS and change.max() < SETTLED:
            break
        last = whole + place
    calm = replace(noise, speckle=0.0)
    seen = np.isfinite(block).mean(axis=0)
    _check_sampling(
        mean[_inner(seen, 0), _inner(seen, 1)], float(calm.variance(mean).mean()) / len(block)
    )
    kept = np.flatnonzero(good)
    if good.any():
        usual = float(np.median(fit(clean[kept], template, errors=False).chi2))
        return Learnt(template, usual, chosen[kept], clean[kept], place[kept], noise)
    if turn == 0:  # each frame's reason says so
        return Learnt(template, 1.0, chosen[kept], clean[kept], place[kept], noise)
    raise LuckyError(
        "The template method does not fit this run: no frame agrees with the mean of the others. "
        "Use the method correlation instead, or choose frames that show the same star."
    )


def _parts(count: int) -> list[NDArray[np.bool_]]:
    """Return which of so many frames are in each part of them, (count,) a part."""
    parts = np.arange(count) % PARTS
    return [parts == part for part in range(min(PARTS, count))]


def _mean(block: Block, some: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the mean of some frames, 0 where a pixel is masked in all."""
    total, count = np.zeros(block.shape[1:]), np.zeros(block.shape[1:], np.intp)
    for k in np.flatnonzero(some):
        frame = block[k]
        seen = np.isfinite(frame)
        total += np.where(seen, frame, np.float32(0))
        count += seen
    return as_float32(total / np.maximum(count, 1))


def _median(block: Block, some: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the median of some frames, 0 where a pixel is masked in all."""
    return np.nan_to_num(median_of_frames(block[some]))


def _template_of(
    block: Block,
    place: NDArray[np.float64],
    noise: Noise,
    some: NDArray[np.bool_],
    how: Callable[[Block, NDArray[np.bool_]], NDArray[np.float32]] = _mean,
) -> Template:
    """Return the template of some of the frames of a block; of all if there are none."""
    some = some if some.any() else np.ones(len(block), bool)
    return make_template(how(block, some), place[some], noise)


def _joined(fits: list[Fit]) -> Fit:
    """Return the fits of `_parts` in the order of the frames."""
    made = Fit(
        *(np.concatenate([getattr(one, field.name) for one in fits]) for field in fields(Fit))
    )
    count = len(made.flux)
    return made.part(np.argsort(np.concatenate([np.flatnonzero(part) for part in _parts(count)])))


def _check_clipping(frames: Frames, focus: Window, moves: Moves, peak: NDArray[np.float64]) -> None:
    """Raise a `LuckyError` if the star's core is masked, as clipped, in too many frames."""
    calibrated = calibrated_in(frames)
    if calibrated is None or not np.isfinite(calibrated.saturation):
        return
    blocks = blocks_of(len(peak), focus.height * focus.width)
    clipped = np.concatenate([bright_frames(calibrated, some, focus, moves) for some in blocks])
    if clipped.sum() > MOST_CLIPPED * np.isfinite(peak).sum():
        raise LuckyError(
            f"The template method needs the star's core. In {clipped.sum()} of {len(peak)} frames "
            f"it is clipped: pixels of {calibrated.saturation:g} ADU and more are masked. Use the "
            "method correlation instead, or centroid."
        )


def _inner(seen: NDArray[np.float64], axis: int) -> slice:
    """Return the rows or columns that are on the sensor in most frames, in one piece."""
    good = np.flatnonzero(seen.mean(axis=1 - axis) > SEEN)
    return slice(int(good[0]), int(good[-1]) + 1) if len(good) else slice(0)


def _check_sampling(mean: NDArray[np.float32], variance: float) -> None:
    """Raise a `LuckyError` if a star is too small for its template to be moved by parts of a pixel.

    The variance is that of the noise in the mean, without its edges.
    """
    finest = aliased_detail(mean, variance) if min(mean.shape) >= MIN_SIDE else 0
    if finest:
        raise LuckyError(
            f"The template method needs a star of at least 2 px per λ/D. The light here has "
            f"detail of {finest:.2f} cycles/px, which the pixels cannot hold: the star has less "
            f"than {1 / finest:.1f} px, or there are hot pixels side by side in it. Give a dark, "
            "or use the method correlation or centroid."
        )


def _sample(peak: NDArray[np.float64], focus: Window) -> NDArray[np.intp]:
    """Return the frames that the template is made of: evenly from those of high peaks."""
    lit = np.flatnonzero(np.isfinite(peak))
    high = lit[peak[lit] >= np.quantile(peak[lit], 1 - BEST)]
    most = int(np.clip(SAMPLE_PIXELS // (focus.height * focus.width), 4, SAMPLE))
    return high[spread_over(len(high), most)]


def read_aligned(frames: Frames, focus: Window, moves: Moves, index: NDArray[np.intp]) -> Block:
    """Read frames in the window moved for each, background off."""
    everywhere = np.zeros((frames.shape[0], 2), np.intp)
    everywhere[index] = moves
    return without_background(Followed(frames, everywhere).read(index, focus))


def _border_variance(block: Block) -> float:
    """Return the variance of the window's outermost pixels, ADU²: a first guess of the noise."""
    edge = np.concatenate([block[:, :2].ravel(), block[:, -2:].ravel()])
    return max(float(np.nanmedian(edge**2)) / 0.455, 1e-12)  # 0.455: median of chi-square


def _trusted(made: Fit) -> NDArray[np.bool_]:
    """Return which fits of a sample may go into the template."""
    with np.errstate(invalid="ignore"):
        good = np.isfinite(made.place).all(axis=1) & (made.flux > SIGNIFICANT * made.flux_sigma)
        good &= np.abs(made.place).max(axis=1) < 1
        if good.any():
            good &= made.flux > 0.2 * np.median(made.flux[good])
            good &= made.chi2 < np.median(made.chi2[good]) * 2
    return np.asarray(good)
