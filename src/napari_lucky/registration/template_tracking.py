"""The template method: every frame fitted with a template learnt from good ones.

What the constants do is measured by ``benchmarks/registration.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import blocks_of, map_blocks_checkpointed
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.frames import Block, Frames, is_empty, numbers_in
from napari_lucky.frames.window import Window
from napari_lucky.frames.window_moves import Followed, Moves
from napari_lucky.imaging.robust_sigma import robust_sigma
from napari_lucky.registration.learn_template import SIGNIFICANT, learn, read_aligned
from napari_lucky.registration.step import Register, Tracked, Tracking
from napari_lucky.registration.strays import COSMIC, CUT, MASKED, NEIGHBOUR
from napari_lucky.registration.template import Template
from napari_lucky.registration.template_fit import (
    LARGEST_REST,
    Fit,
    fit,
    whole_shifts,
    without_cosmics,
)

SPOILED = 1.1
"""Frames whose chi-square is so many times the usual are looked through for cosmic rays."""
REREAD = 6
"""How often at most a frame is read again because its shift is another whole pixel."""
FAINT = 0.1
"""A star under a tenth of its usual flux is not registered, nor one under `SIGNIFICANT`."""
ODD = 8.0
"""Frames whose log chi-square is so many (robust) sigmas over the usual are not registered."""

NO_LIGHT = "all pixels there are equal or masked"
NO_STAR = "no star stands out of the noise"
TOO_FAINT = "the star has less than a tenth of its usual light, as behind a cloud"
NO_FIT = "the template does not fit at any shift"
UNLIKE = "the star is unlike the others (chi-square), as under a cosmic ray"


@dataclass(frozen=True, eq=False)
class TemplateFits:
    """Where the template is in each frame.

    Parameters
    ----------
    points : ndarray of float64, (n, 2)
        Its brightest point (y, x) in pixels of the moved window; NaN where `reasons` says why.
    sigma : ndarray of float64, (n, 2)
        1-sigma errors in pixels.
    reasons : tuple of str
        Why a frame is not registered; empty if it is.
    template : ndarray of float32, (y, x)
        The template in ADU.
    """

    points: NDArray[np.float64]
    sigma: NDArray[np.float64]
    reasons: tuple[str, ...]
    template: NDArray[np.float32]


def track_template(
    frames: Frames, focus: Window, moves: Moves, found: NDArray[np.float64], *, job: Job = QUIET
) -> TemplateFits:
    """Track a star by a template that is made of the run's good frames.

    Parameters
    ----------
    frames : Frames
        Calibrated, in ADU, masked pixels NaN.
    focus : Window
        Holds the star in every frame, moved by `moves`.
    moves, found
        From `napari_lucky.registration.drift.follow`.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    """
    learnt = learn(frames, focus, moves, found, job=job)
    template, usual = learnt.template, learnt.chi2
    reach = min(focus.shape) // (4 if moves.any() else 2)

    def one(block: slice) -> NDArray[np.float64]:
        index = numbers_in(block, frames.shape[0])
        return _fit_frames(frames, focus, moves, index, template, reach, usual)

    blocks = blocks_of(frames.shape[0], focus.height * focus.width)
    what = "fitting the template"
    done = map_blocks_checkpointed(one, blocks, job=job, what=what)
    table = np.concatenate(list(done))
    for members, others in learnt.apart():
        table[members] = _fit_frames(frames, focus, moves, members, others, reach, usual)
    place, sigma, (flux, error, chi2, seen, inside) = table[:, :2], table[:, 2:4], table[:, 4:].T
    reasons = _reasons(place, flux, error, chi2, seen, inside)
    good = np.array([not reason for reason in reasons])[:, None]
    points = np.where(good, template.point + place, np.nan)
    sigma = np.where(
        good, template.inflation * sigma * np.sqrt(np.maximum(chi2, 1))[:, None], np.nan
    )
    return TemplateFits(points, sigma, reasons, template.image)


def _fit_frames(
    frames: Frames,
    focus: Window,
    moves: Moves,
    index: NDArray[np.intp],
    template: Template,
    reach: int,
    usual: float,
) -> NDArray[np.float64]:
    """Return place, sigma (y, x), flux, its error, chi-square, light seen, light on the sensor.

    All are NaN for frames that are blank.
    """
    first = read_aligned(frames, focus, moves[index], index)
    whole = whole_shifts(first, template, reach)
    out, rest = np.full((len(index), 9), np.nan), np.zeros((len(index), 2))
    again = np.arange(len(index))
    for _ in range(REREAD):
        places = (moves[index] + whole)[again]
        block = read_aligned(frames, focus, places, index[again])
        made = _fit_without_cosmics(block, template, usual)
        out[again] = np.column_stack(
            [
                whole[again] + made.place,
                made.sigma,
                made.flux,
                made.flux_sigma,
                made.chi2,
                template.seen(np.isfinite(block)),
                _part_inside(template, focus, places, frames.shape),
            ]
        )
        rest[again] = made.place
        far = np.abs(np.nan_to_num(made.place)).max(axis=1) > LARGEST_REST
        if not far.any():
            break
        whole[again] += np.rint(np.nan_to_num(made.place)).astype(np.intp)
        again = again[far]
    out[(np.abs(rest) >= 1).any(axis=1), :2] = np.nan
    out[is_empty(first) | Followed(frames, moves).blank(index, focus)] = np.nan
    return out


def _fit_without_cosmics(block: Block, template: Template, usual: float) -> Fit:
    """Fit frames, and fit again those with cosmic rays, which are masked in the block."""
    made = fit(block, template)
    bad = np.flatnonzero(made.chi2 > SPOILED * usual)
    if len(bad):
        clean = without_cosmics(block[bad], template, made.part(bad))
        hit = (np.isfinite(clean) != np.isfinite(block[bad])).any(axis=(1, 2))
        if hit.any():
            block[bad[hit]] = clean[hit]
            made.take_over(bad[hit], fit(clean[hit], template))
    return made


def _part_inside(
    template: Template, focus: Window, moves: NDArray[np.intp], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the part of the template's light (squared) that is on the sensor, (k,)."""
    last = np.array([shape[1] - focus.y1, shape[2] - focus.x1])
    leaves = (moves < (-focus.y0, -focus.x0)) | (moves > last)
    part = np.ones(len(moves))
    for k in np.flatnonzero(leaves.any(axis=1)):
        y, x = moves[k]
        moved = Window(focus.y0 + int(y), focus.x0 + int(x), *focus.shape)
        on = moved.clipped(shape)
        good = np.zeros((1, *focus.shape), bool)
        good[0, *on.within(moved).slices] = True
        part[k] = template.seen(good)[0]
    return part


def _reasons(
    place: NDArray[np.float64],
    flux: NDArray[np.float64],
    error: NDArray[np.float64],
    chi2: NDArray[np.float64],
    seen: NDArray[np.float64],
    inside: NDArray[np.float64],
) -> tuple[str, ...]:
    """Say for each frame why it is not registered; nothing if it is."""
    reason = np.full(len(flux), "", object)
    with np.errstate(invalid="ignore", divide="ignore"):
        lit = flux > SIGNIFICANT * error
        usual = np.median(flux[lit]) if lit.any() else np.nan
        odd = np.log(chi2)
        middle = np.median(odd[lit]) if lit.any() else np.nan
        spread = robust_sigma(odd[lit], middle) if lit.any() else np.nan
        reason[odd > middle + np.maximum(ODD * spread, np.log(2))] = UNLIKE
        reason[~np.isfinite(place).all(axis=1)] = NO_FIT
        reason[flux < FAINT * usual] = TOO_FAINT
        reason[~lit & np.isfinite(flux)] = NO_STAR
        reason[(seen < 0.5) & (inside >= 0.5)] = MASKED
        reason[lit & (inside < 0.5)] = CUT
    reason[np.isnan(seen)] = NO_LIGHT
    return tuple(reason.tolist())


class RegisterTemplate(Register, kind="template"):
    """A least-squares fit of a template made from the run's frames; for 2 px per λ/D or more."""

    def track(self, start: Tracking) -> Tracked:
        """Return the fitted places; see `track_template`."""
        fitted = track_template(start.frames, start.focus, start.moves, start.found, job=start.job)
        reasons = np.array(fitted.reasons, object)
        known = (reasons == "") & np.isin(start.reasons, (COSMIC, CUT, NEIGHBOUR))
        sigma = fitted.sigma if start.noise.separate else np.full_like(fitted.sigma, np.nan)
        return Tracked(fitted.points, sigma, np.where(known, start.reasons, reasons))
