"""Whether the images agree with the figures that were given: defocus, focal ratio, obstruction.

The fits hold these figures fixed. Once the frames are fitted, the images are asked what they would
rather have: the squares are taken as quadratic about the fits, in the figures, the static mean and
each frame's wavefront together, and their minimum is a Gauss-Newton step away. What a wavefront can
take up of a wrong figure is so taken off, and what is left is the figure's own.

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blas_threads import one_blas_thread
from napari_lucky.execution.blocks import map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.wavefront.frame_fit import Floats, Prior, Singles, with_further
from napari_lucky.wavefront.many_frames import FitBlock, Fits
from napari_lucky.wavefront.pair_model import PairModel, make_pair_model
from napari_lucky.wavefront.static import Static, static_variance
from napari_lucky.wavefront.task import WavefrontParameters

FIGURES = ("defocus", "focal ratio", "obstruction")
STEPS = (0.01, 0.004, 0.02)
"""Of the difference quotients: defocus and focal ratio over themselves, and the obstruction."""
TOLERANCE = (0.02, 0.0075, 0.02)
"""What is not doubted: turbulence beyond the Zernikes that are fitted moves them by a third."""
PULLS, FEW = 4.0, 4.0
"""A change is doubted where it is over so many times its error, and by so much more for few frames,
whose scatter is itself unsure: PULLS (1 + FEW / (n - 1))."""
ASKED, FEWEST = 24, 3
"""Frames asked at most, and at least."""


@dataclass(frozen=True, eq=False)
class Figures:
    """What the images would rather have for the figures that were given.

    Attributes
    ----------
    given : ndarray, (3,)
        Defocus in waves, focal ratio, obstruction.
    change : ndarray, (3,)
        Of the defocus and the focal ratio over themselves, and of the obstruction.
    sigma : ndarray, (3,)
        Standard errors of the change, from the scatter of the frames.
    covariance : ndarray, (3, 3)
    slopes : ndarray, (k, 3)
        How the static coefficients from Noll 4 on, in rad rms, go with the change.
    gain : float
        What the weighted squares would lose by it.
    alone : ndarray, (3,)
        What they would lose by each figure's change alone.
    frames : int
        How many were asked.
    """

    given: Floats
    change: Floats
    covariance: Floats
    slopes: Floats
    gain: float
    alone: Floats
    frames: int

    @property
    def sigma(self) -> Floats:
        """Standard errors of the change, (3,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def preferred(self) -> Floats:
        """The figures that the images prefer, (3,)."""
        scale = np.append(self.given[:2], 1.0)
        return np.asarray(self.given + scale * self.change)

    @property
    def doubted(self) -> NDArray[np.bool_]:
        """Which of the figures are doubted, (3,)."""
        pulls = PULLS * (1 + FEW / (self.frames - 1))
        return np.asarray(np.abs(self.change) > np.maximum(TOLERANCE, pulls * self.sigma))

    @property
    def systematic(self) -> Floats:
        """Standard errors of the static coefficients from the figures alone, (k,), rad rms."""
        wrong = self.covariance + np.outer(self.change, self.change)
        return np.sqrt(np.einsum("ki,ij,kj->k", self.slopes, wrong, self.slopes))

    def notes(self) -> tuple[str, ...]:
        """Return a sentence about the figure that is doubted, and about others that may be wrong.

        One figure that is far off moves the others too. So only that is named whose change alone
        would mend the most, and the others may be right.
        """
        doubted = np.flatnonzero(self.doubted)
        if not len(doubted):
            return ()
        first = max(doubted, key=lambda k: self.alone[k])
        unit = (" waves", " (or another pixel or wavelength: their ratio counts)", "")[first]
        others = " and the ".join(FIGURES[k] for k in doubted if k != first)
        return (
            f"Check the {FIGURES[first]}: the images prefer about {self.preferred[first]:.3g}{unit}"
            f", but {self.given[first]:.4g} was given. "
            + (f"The {others} may be wrong too, or only seem so. " if others else "")
            + "Correct it and measure again; the first value is only rough if it is far off. The "
            "standard errors of the coefficients include the difference.",
        )


@dataclass(frozen=True, eq=False)
class CheckBlock:
    """Asks a block of fitted frames; called on the executor.

    Parameters
    ----------
    fit : FitBlock
        Its starts are the fits.
    models : tuple of PairModel
        With a greater and a lesser focal ratio, a greater and a lesser obstruction.
    steps : ndarray, (3,)
        The differences, from one to the other.
    """

    fit: FitBlock
    models: tuple[PairModel, ...]
    steps: Floats

    def __call__(self, block: slice) -> list[tuple[Floats, Floats] | None]:
        """Return of each frame matrix and right-hand side; see `with_further`."""
        return [self._ask(k) for k in range(block.start, block.stop)]

    def _ask(self, k: int) -> tuple[Floats, Floats] | None:
        fit, x = self.fit, self.fit.starts[k]
        try:
            pair = fit.reader.observe(int(fit.index[k])).pair(fit.errors)
        except LuckyError:
            return None
        return with_further(fit.model, pair, fit.prior, x, self._slopes(x))

    def _slopes(self, x: Floats) -> tuple[Singles, Singles]:
        """Return the derivatives of both images by the figures, (3, bins, bins)."""
        wide, narrow = x.copy(), x.copy()
        wide[-1] *= 1 + self.steps[0] / 2
        narrow[-1] *= 1 - self.steps[0] / 2
        at = [(self.fit.model, wide), (self.fit.model, narrow), *((m, x) for m in self.models)]
        images = [model.images(point) for model, point in at]
        focus, defocus = (
            np.stack(
                [
                    (images[2 * k][plane] - images[2 * k + 1][plane]) / step
                    for k, step in enumerate(self.steps)
                ]
            ).astype(np.float32)
            for plane in (0, 1)
        )
        return focus, defocus


def check_figures(
    fit: FitBlock,
    task: WavefrontParameters,
    fits: Fits,
    good: NDArray[np.bool_],
    static: Static,
    *,
    job: Job = QUIET,
) -> Figures | None:
    """Ask fitted frames what figures they would rather have; None if they are too few.

    Parameters
    ----------
    fit : FitBlock
        What the frames were fitted with.
    task : WavefrontParameters
    fits : Fits
    good : ndarray of bool, (n,)
        Which frames are fitted.
    static : Static
        Of these.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    """
    left = np.flatnonzero(good)
    if len(left) < FEWEST:
        return None
    some = left[np.unique(np.linspace(0, len(left) - 1, min(len(left), ASKED)).astype(np.intp))]
    prior = static.prior(False)
    asked = replace(fit, index=fit.index[some], starts=fits.x[some], prior=prior)
    models, steps = _variants(fit, task)
    block = CheckBlock(asked, models, steps)
    blocks = [slice(k, k + 1) for k in range(len(some))]
    with one_blas_thread():
        made = list(map_blocks(block, blocks, what="wavefront: figures", job=job))
    frames = [
        _without_own(one[0], one[1], x, prior)
        for [one], x in zip(made, asked.starts, strict=True)
        if one is not None
    ]
    if len(frames) < FEWEST:
        return None
    given = np.array([static.defocus_waves, task.focal_ratio, task.obstruction])
    return _together(frames, static, given)


def _variants(fit: FitBlock, task: WavefrontParameters) -> tuple[tuple[PairModel, ...], Floats]:
    shapes = (task.focus.shape, task.defocus.shape)
    low = max(task.obstruction - STEPS[2], 0.0)
    high = low + 2 * STEPS[2]
    scales = [(1 + STEPS[1], task.obstruction), (1 - STEPS[1], task.obstruction)]
    models = tuple(
        make_pair_model(
            shapes,
            task.sampling * scale,
            obstruction,
            task.last_fitted,
            task.spider,
            samples=len(fit.model.pupil.places) - 2,
            bins=fit.reader.bins,
        )
        for scale, obstruction in [*scales, (1.0, high), (1.0, low)]
    )
    return models, 2 * np.array(STEPS)


def _without_own(matrix: Floats, right: Floats, x: Floats, prior: Prior) -> tuple[Floats, Floats]:
    """Take a frame's own wavefront off; return matrix and right-hand side by (figures, mean)."""
    size, k = len(x), len(x) - 5
    own, figures, modes = np.arange(size - 1), np.arange(size, size + 3), slice(4, size - 1)
    stiff = np.linalg.inv(prior.covariance[:-1, :-1])
    off = stiff @ (x - prior.mean)[:-1]
    across = np.zeros((size - 1, 3 + k))
    across[:, :3] = matrix[np.ix_(own, figures)]
    across[:, 3:] = -stiff[:, modes]
    outer = np.zeros((3 + k, 3 + k))
    outer[:3, :3] = matrix[np.ix_(figures, figures)]
    outer[3:, 3:] = stiff[modes, modes]
    solved = np.linalg.solve(matrix[np.ix_(own, own)] + stiff, across)
    slope = np.concatenate([right[figures], off[modes]])
    return outer - across.T @ solved, slope - solved.T @ (right[own] - off)


def _together(frames: list[tuple[Floats, Floats]], static: Static, given: Floats) -> Figures:
    """Return where the squares of all frames are least."""
    matrices, slopes = (np.array(part) for part in zip(*frames, strict=True))
    weak = 1 / static_variance(len(static.mean))
    matrix, slope = matrices.sum(axis=0), slopes.sum(axis=0)
    matrix[3:, 3:] += np.diag(weak)
    slope[3:] -= weak * static.mean
    sensitivity = -np.linalg.solve(matrix[3:, 3:], matrix[3:, :3])
    reduced = matrix[:3, :3] + matrix[:3, 3:] @ sensitivity
    pull = slope[:3] + slope[3:] @ sensitivity
    change = np.linalg.solve(reduced, pull)
    own = change @ sensitivity.T + np.linalg.solve(matrix[3:, 3:], slope[3:])
    left = slopes - matrices @ np.concatenate([change, own])
    scatter = left[:, :3] + left[:, 3:] @ sensitivity
    inverse = np.linalg.inv(reduced)
    n = len(frames)
    covariance = inverse @ (scatter.T @ scatter) @ inverse * n / (n - 1)
    gain, alone = float(pull @ change), pull**2 / np.diag(reduced)
    return Figures(given, change, covariance + inverse, sensitivity, gain, alone, n)
