"""How lucky each frame was, and which frames are kept."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Progress, blocks_of, silent
from .diffraction import Diffraction
from .errors import LuckyError
from .following import followed, moves_of
from .frames import Frames, as_float32
from .journal import Journal, remembered
from .light import Light, light_of
from .metrics import METRICS, check_metric
from .sampling import measure_sampling
from .separable import gaussian
from .spots import Block, check_smooth, without_slope
from .windows import Window

DEFAULT_METRIC = "peak"
RANK_SMOOTH = 1.0
"""Default smoothing before the metric, in pixels; less than for tracking, to keep the peak."""
LEAST_KEPT = 10
"""So many frames at least are kept, or all there are, unless a count or a quality is given."""


def rank_block(
    block: Block,
    metric: str = DEFAULT_METRIC,
    smooth: float = RANK_SMOOTH,
    diffraction: Diffraction | None = None,
) -> NDArray[np.float64]:
    """Return the quality of each frame of a block, (k,); NaN where all pixels are equal."""
    return quality_of(light_of(block), metric, smooth, diffraction)


def quality_of(
    light: Light,
    metric: str = DEFAULT_METRIC,
    smooth: float = RANK_SMOOTH,
    diffraction: Diffraction | None = None,
) -> NDArray[np.float64]:
    """Return the quality of the light of each frame, (k,); see `rank_block`."""
    image = gaussian(without_slope(light.pixels), smooth, "constant")
    quality = METRICS[metric](image, diffraction, light.level)
    quality[light.empty] = np.nan
    return quality


def rank(
    frames: Frames,
    focus: Window,
    metric: str = DEFAULT_METRIC,
    smooth: float | None = None,
    shifts: NDArray[np.float64] | None = None,
    reference: tuple[float, float] | None = None,
    *,
    diffraction: Diffraction | None = None,
    progress: Progress = silent,
    executor: Executor | None = None,
    journal: Journal | None = None,
) -> NDArray[np.float64]:
    """Measure the quality of every frame in the focused star's window.

    The background, a plane through the window's border, is taken off each frame (see
    `napari_lucky.spots.levelled`), and beyond the window there is nothing when it is smoothed.
    Pixels stay linear and on one scale for the whole run: stretching each frame first would
    make all peaks equal and the ranking void.

    Parameters
    ----------
    frames : Frames
        Calibrated, in ADU, masked pixels NaN.
    focus : Window
        The focused star's window.
    metric : str
        A key of `METRICS`.
    smooth : float, optional
        Standard deviation of the Gaussian smoothing before the metric, in pixels. Masked
        pixels are filled by what is around them. If not given, it goes by the sampling, as in
        `napari_lucky.register`.
    shifts : ndarray of float64, (n, 2), optional
        (dy, dx) in pixels, of a registration: where they take a star out of the window, the window
        moves with it, by whole pixels.
    reference : tuple of float, optional
        (y, x) where the shifts bring the star; see `napari_lucky.following.moves_of`.
    diffraction : Diffraction, optional
        The diffraction-limited PSF, which "encircled-energy" and "psf-correlation" need.
    progress, executor, journal
        See `napari_lucky.journal.remembered`.

    Returns
    -------
    ndarray of float64, (n,)
        Higher is better; NaN for a frame whose pixels are all equal or masked.

    Raises
    ------
    LuckyError
        If the metric is unknown or lacks what it needs, or the window is not on the sensor.
    """
    check_metric(metric, diffraction)
    focus.check_on(frames.shape, "focus window")
    if smooth is None:
        smooth = measure_sampling(frames, focus).rank_smooth
    check_smooth(smooth)
    if shifts is not None:
        frames = followed(frames, moves_of(shifts, focus, reference, frames.shape))

    def one(block: slice) -> NDArray[np.float64]:
        return rank_block(as_float32(frames.read(block, focus)), metric, smooth, diffraction)

    blocks = blocks_of(frames.shape[0], focus.height * focus.width)
    work: dict[str, Any] = {"progress": progress, "executor": executor}
    done = remembered(one, blocks, journal, what="ranking", **work)
    return np.concatenate(list(done))


def check_keep(keep: float | int) -> None:
    """Raise unless `keep` is a fraction, 0 < keep <= 1 (float), or a count of at least 1 (int).

    Raises
    ------
    LuckyError
        Telling what was given.
    """
    if isinstance(keep, bool) or not isinstance(keep, (int, float)):
        raise LuckyError(f"What to keep is a fraction or a count, not {keep!r}.")
    if isinstance(keep, int) and keep < 1:
        raise LuckyError(f"Keep {keep} frames: a count must be at least 1.")
    if isinstance(keep, float) and not 0 < keep <= 1:
        raise LuckyError(
            f"Keep {keep}: a fraction (written with a decimal point) must be over 0 and at most "
            "1; write a whole number to keep that many frames."
        )


def check_above(above: float) -> None:
    """Raise a `LuckyError` unless a quality to keep frames from is a number."""
    if not np.isfinite(above):
        raise LuckyError(f"The quality from which frames are kept is {above}; give a number.")


def select(
    quality: NDArray[np.float64], keep: float | int = 0.1, above: float | None = None
) -> NDArray[np.intp]:
    """Return the numbers of the frames to keep, best first.

    Parameters
    ----------
    quality : ndarray, (n,)
        Higher is better; frames with NaN are never kept.
    keep : float or int
        A float is a fraction of the frames that have a quality (0 < keep <= 1), but at least
        10 frames are kept, or all if there are fewer. An int is a count.
    above : float, optional
        Keep the frames of this quality and better, however many; `keep` then has no say.

    Raises
    ------
    LuckyError
        If `keep` or `above` is out of range, more frames are asked for than there are, or none
        is as good as `above`.
    """
    check_keep(keep)
    usable = int(np.isfinite(quality).sum())
    if usable == 0:
        raise LuckyError("No frame has a quality; there is nothing to keep.")
    if above is not None:
        count = _count_above(quality, above)
    elif isinstance(keep, int):
        if keep > usable:
            raise LuckyError(f"Keep {keep} frames: only {usable} frames have a star to rank.")
        count = keep
    else:
        count = min(usable, max(LEAST_KEPT, int(np.floor(keep * usable + 0.5))))
    return best_first(quality)[:count]


def _count_above(quality: NDArray[np.float64], above: float) -> int:
    check_above(above)
    count = int((quality >= above).sum())
    if count == 0:
        raise LuckyError(
            f"No frame has a quality of {above:g} or more; the best has {np.nanmax(quality):g}."
        )
    return count


def tell_count(kept: int, frames: int) -> str:
    """Return how many frames are kept, such as "12 of 120 frames (10 %)"."""
    return f"{kept} of {frames} frame{'' if frames == 1 else 's'} ({100 * kept / frames:.3g} %)"


def tell_few(kept: int, frames: int, keep: float | int, above: float | None) -> list[str]:
    """Return sentences on a choice of few frames: one that was made larger, or is under 10."""
    told = []
    if kept < LEAST_KEPT:
        told.append(
            f"Only {tell_count(kept, frames)} {'is' if kept == 1 else 'are'} kept: with fewer than "
            f"{LEAST_KEPT}, the stack is noisy and chance decides how sharp it is."
        )
    if above is None and isinstance(keep, float) and keep * frames + 0.5 < kept <= LEAST_KEPT:
        told.append(
            f"Kept {tell_count(kept, frames)} instead of {100 * keep:.3g} %: at least "
            f"{LEAST_KEPT} are kept unless you give a count."
        )
    return told


def best_first(quality: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return all frames' numbers by falling quality, those without one last."""
    return np.argsort(-np.where(np.isfinite(quality), quality, -np.inf), kind="stable")


def threshold(quality: NDArray[np.float64], count: int) -> float:
    """Return a quality, of few digits, that the `count` best frames reach and the next does not.

    Frames of equal quality cannot be told apart; then more are kept.
    """
    ranked = quality[best_first(quality)][: int(np.isfinite(quality).sum())]
    last = float(ranked[count - 1])
    following = float(ranked[count]) if count < len(ranked) else last - abs(last)
    for digits in range(3, 17):
        value = float(f"{(last + following) / 2:.{digits}g}")
        if following < value <= last:
            return value
    return last
