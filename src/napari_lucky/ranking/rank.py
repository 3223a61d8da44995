"""How lucky each frame was, and which frames are kept.

What the constants do is measured by ``benchmarks/smoothing.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.sampling import measure_sampling
from napari_lucky.execution.blocks import blocks_of, map_blocks_checkpointed
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Block, as_float32
from napari_lucky.frames.window import WindowLike, as_window
from napari_lucky.frames.window_moves import followed, moves_of
from napari_lucky.imaging.shifts import ShiftsLike, as_shifts
from napari_lucky.imaging.star_image import Light, check_smooth, light_of
from napari_lucky.optics.diffraction import Diffraction, DiffractionLike, as_diffraction
from napari_lucky.ranking.metrics import METRICS, check_metric
from napari_lucky.ranking.step import DEFAULT_METRIC

RANK_SMOOTH = 1.0
"""Default smoothing before the metric, in pixels; less than for tracking, to keep the peak."""


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
    image = light.smoothed_without_slope(smooth)
    quality = METRICS[metric](image, diffraction, light.level)
    quality[light.empty] = np.nan
    return quality


def rank(
    frames: FramesLike,
    focus: WindowLike,
    *,
    metric: str = DEFAULT_METRIC,
    smooth: float | None = None,
    shifts: ShiftsLike | None = None,
    reference: tuple[float, float] | None = None,
    diffraction: DiffractionLike | None = None,
    job: Job = QUIET,
) -> NDArray[np.float64]:
    """Measure the quality of every frame in the focused star's window.

    The background, a plane through the window's border, is subtracted from each frame (see
    `napari_lucky.imaging.star_image.levelled`), and for the smoothing, pixels beyond the window
    are 0. Pixels stay linear and on one scale for the whole run: stretching each frame first
    would make all peaks equal and the ranking void.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated, in ADU, masked pixels NaN.
    focus : Window or (y, x, size)
        The focused star's window.
    metric : str
        A key of `METRICS`.
    smooth : float, optional
        Standard deviation of the Gaussian smoothing before the metric, in pixels. Masked
        pixels are filled by what is around them. If not given, it goes by the sampling, as in
        `napari_lucky.register`.
    shifts : ndarray, (n, 2), Registration or FrameTable, optional
        (dy, dx) in pixels, of a registration: where they take a star out of the window, the window
        moves with it, by whole pixels.
    reference : tuple of float, optional
        (y, x) where the shifts bring the star; see `napari_lucky.frames.window_moves.moves_of`.
    diffraction : Telescope or Diffraction, optional
        The diffraction-limited PSF, which "encircled-energy" and "psf-correlation" need.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    ndarray of float64, (n,)
        Higher is better; NaN for a frame whose pixels are all equal or masked.

    Raises
    ------
    LuckyError
        If the metric is unknown or misses what it needs, or the window is not on the sensor.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_lucky as lucky
    >>> run = lucky.simulate_run(12, (128, 256), d_over_r0=2, focus_size=64, defocus_size=96)
    >>> frames = lucky.calibrate(run.frames, run.dark, run.flat)
    >>> quality = lucky.rank(frames, run.focus, metric="peak")
    >>> int(np.argmax(quality)) == int(np.argmax(run.truth.strehl))
    True
    """
    frames, focus = as_frames(frames), as_window(focus)
    diffraction = as_diffraction(diffraction)
    if shifts is not None:
        reference = reference or getattr(shifts, "reference", None)
        shifts = as_shifts(shifts, frames.shape[0])
    check_metric(metric, diffraction)
    focus.check_on(frames.shape, "focus window")
    if smooth is None:
        smooth = measure_sampling(frames, focus, job=job).smooth
    check_smooth(smooth)
    if shifts is not None:
        frames = followed(frames, moves_of(shifts, focus, reference, frames.shape))

    def one(block: slice) -> NDArray[np.float64]:
        return rank_block(as_float32(frames.read(block, focus)), metric, smooth, diffraction)

    blocks = blocks_of(frames.shape[0], focus.height * focus.width)
    done = map_blocks_checkpointed(one, blocks, what="ranking", job=job)
    return np.concatenate(list(done))
