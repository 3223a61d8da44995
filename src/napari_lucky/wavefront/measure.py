"""The telescope's static wavefront, from frames with a focused and a defocused star."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.calibrate import calibrated_in
from napari_lucky.calibration.saturated_frames import saturated_frames
from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window
from napari_lucky.imaging.star_image import background
from napari_lucky.wavefront.check import check_figures
from napari_lucky.wavefront.correlation import likeness
from napari_lucky.wavefront.doubts import doubts
from napari_lucky.wavefront.many_frames import FitBlock, Fits, PairReader, fit_run
from napari_lucky.wavefront.observe import SensorNoise, measure_sensor_noise
from napari_lucky.wavefront.pair_model import bins_for, make_pair_model
from napari_lucky.wavefront.result import PerFrame, Pictures, Wavefront, open_pupil
from napari_lucky.wavefront.static import unknown
from napari_lucky.wavefront.task import WavefrontParameters


def measure_wavefront(
    frames: FramesLike,
    task: WavefrontParameters,
    *,
    quality: NDArray[np.float64] | None = None,
    job: Job = QUIET,
) -> Wavefront:
    """Measure the telescope's static wavefront.

    Each frame's pair of images is fitted with its own wavefront, maximum a posteriori with
    Kolmogorov turbulence (Noll 1976) as the prior; the turbulence averages out over the frames and
    the static aberration stays. See docs/background/wavefront.md.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated, not shifted; masked pixels NaN.
    task : WavefrontParameters
        Telescope, windows, and which frames.
    quality : ndarray, (n,), optional
        From `napari_lucky.rank`; only for frames chosen by rank.
    job : Job
        Progress, executor, checkpoint; see `Job`. What the executor is given can be pickled if the
        frames can.

    Returns
    -------
    Wavefront
        Coefficients in nm rms with standard errors, D/r0, and what each frame gave.

    Raises
    ------
    LuckyError
        If the task makes no sense for these frames, or no frame can be fitted.
    """
    frames = as_frames(frames)
    notes = list(task.check(frames.shape))
    index, saturated = frames_to_fit(frames, task, quality, job=job)
    if saturated:
        notes.append(f"{saturated} frames with saturated pixels in a window were left out.")
    windows = (task.focus, task.defocus)
    noise = measure_sensor_noise(
        frames, windows, task.sampling, task.gain, task.read_noise_e, task.noise_source
    )
    reader = PairReader(frames, windows, noise, bins_for(task.sampling), task.sampling)
    shapes = (task.focus.shape, task.defocus.shape)
    model = make_pair_model(shapes, task.sampling, task.obstruction, task.last_fitted, task.spider)
    static = unknown(task.last_fitted, task.d_over_r0, task.defocus_waves)
    nowhere = np.full((len(index), model.size), np.nan)
    fit = FitBlock(
        reader,
        model,
        static.prior(False),
        index,
        nowhere,
        0.0,
        1,
        task.seed,
        measures_noise=bool(np.isinf(noise.gain)),
    )
    fit, fits, good, static = fit_run(fit, static, task.fit_defocus, job=job)
    figures = check_figures(fit, task, fits, good, static, job=job)
    if failed := int((~good).sum()):
        notes.append(f"{failed} of {len(good)} frames could not be fitted and were left out.")
    if good.sum() < 20:
        notes.append(
            f"Only {int(good.sum())} frames are averaged: turbulence does not average out, and "
            "the standard errors are uncertain."
        )
    d_over_r0 = static.strength**0.6
    pedestal = pedestal_in(frames, windows, index[good], noise)
    notes += doubts(fits, good, d_over_r0, task.last_fitted, figures, pedestal)
    alike = likeness(static.samples, index[good])
    notes += alike.notes(int(good.sum()))
    sigma = np.sqrt(static.sigma**2 * alike.inflation + (figures.systematic**2 if figures else 0))
    slow = float(np.sqrt(alike.inflation[0]))
    reported, unit, usual = task.modes - 3, task.nm_per_rad, _usual_frame(fits, good)
    shown = fit.reader.observe(int(index[usual]))
    variance = fits.x[good, 4:-1].var(axis=0, ddof=min(int(good.sum()) - 1, 1))
    return Wavefront(
        task,
        static.mean[:reported] * unit,
        sigma[:reported] * unit,
        static.running[:, :reported] * unit,
        _per_frame(fits, good, index, task),
        (variance + np.diag(fits.posterior(good)))[:reported],
        d_over_r0,
        0.6 * d_over_r0 * static.strength_error * slow,
        static.defocus_waves,
        static.defocus_sigma * slow,
        saturated,
        str(fit.reader.noise),
        Pictures.of(shown, model, fits.x[usual], fit.reader.bins, int(index[usual])),
        tuple(notes),
        float(np.median(fits.chi2[good])),
        (float(np.median(fits.misfits[good, 0])), float(np.median(fits.misfits[good, 1]))),
        alike.independent(int(good.sum())),
        figures,
    )


SAMPLE = 5
"""Frames, spread over those fitted, that show the level of the windows."""


def pedestal_in(
    frames: Frames, windows: tuple[Window, Window], index: NDArray[np.intp], noise: SensorNoise
) -> float:
    """Return the level of windows, in ADU, if it may be a pedestal that spoils the noise assumed.

    It is 0 where a dark was taken off the frames, where the gain is measured in the fits, and
    where the photons of so much light are less noise than the reading.

    Parameters
    ----------
    frames : Frames
    windows : (Window, Window)
        Of the focused and the defocused star.
    index : ndarray of int
        The frames that were fitted.
    noise : SensorNoise
        As it was assumed.
    """
    calibrated = calibrated_in(frames)
    if (calibrated is not None and calibrated.dark is not None) or len(index) == 0:
        return 0.0
    some = index[spread_over(len(index), SAMPLE)]
    levels = [background(as_float32(frames.read(some, window))) for window in windows]
    level = float(np.nanmedian(levels))
    return level if level / noise.gain > noise.read_adu**2 else 0.0


def frames_to_fit(
    frames: Frames,
    task: WavefrontParameters,
    quality: NDArray[np.float64] | None = None,
    *,
    job: Job = QUIET,
) -> tuple[NDArray[np.intp], int]:
    """Return which frames a task chooses, in their order, and how many are saturated.

    Raises
    ------
    LuckyError
        If none is left, or they shall be ranked and there is no quality.
    """
    n = frames.shape[0]
    bad = np.zeros(n, bool)
    calibrated = calibrated_in(frames)
    if calibrated is not None:
        for window in (task.focus, task.defocus):
            bad |= saturated_frames(calibrated, window, job=job)
    left = np.flatnonzero(~bad)
    if len(left) == 0:
        raise LuckyError(
            f"Each of the {n} frames has saturated pixels in a window: a wavefront needs the "
            "whole star. Take shorter exposures, or check the saturation."
        )
    if task.choice == "ranked":
        if quality is None or len(quality) != n:
            raise LuckyError("To choose the best frames, rank this run first.")
        left = left[np.isfinite(quality[left])]
        left = left[np.argsort(-quality[left], kind="stable")][: task.count]
    elif task.choice == "random" and task.count < len(left):
        left = np.random.default_rng(task.seed).choice(left, task.count, replace=False)
    return np.sort(left), int(bad.sum())


def _per_frame(
    fits: Fits, good: NDArray[np.bool_], index: NDArray[np.intp], task: WavefrontParameters
) -> PerFrame:
    reported = task.modes - 3
    pupil = open_pupil(task, fits.x.shape[1] - 5)
    strehl = np.array([pupil.strehl(x[4:-1]) if np.isfinite(x).all() else np.nan for x in fits.x])
    middles = np.array([window.centre for window in (task.focus, task.defocus)])
    tilts = fits.x[:, :4].reshape(-1, 2, 2)[:, :, ::-1]  # (n, window, (y, x))
    return PerFrame(
        index,
        good,
        fits.x[:, 4 : 4 + reported] * task.nm_per_rad,
        middles + tilts * (2 / np.pi) * task.sampling,
        strehl,
        fits.chi2,
        fits.starts,
        fits.fluxes,
    )


def _usual_frame(fits: Fits, good: NDArray[np.bool_]) -> int:
    """Return the good frame whose chi2 is in the middle."""
    order = np.flatnonzero(good)[np.argsort(fits.chi2[good], kind="stable")]
    return int(order[len(order) // 2])
