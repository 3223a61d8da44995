"""The classic way: the wavefront from one pair of stacks, with a blur for the turbulence left.

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.execution.blas_threads import one_blas_thread
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import ImageLike, as_image
from napari_lucky.frames.frames import ArrayFrames, as_float32
from napari_lucky.frames.window import Window
from napari_lucky.wavefront.frame_fit import Fitted, Floats, Prior
from napari_lucky.wavefront.observe import measure_sensor_noise, observe
from napari_lucky.wavefront.pair_model import bins_for, make_pair_model
from napari_lucky.wavefront.result import Pictures, PupilWavefront
from napari_lucky.wavefront.search import refit, search
from napari_lucky.wavefront.static import DEFOCUS_SPREAD, LOOSE_TILT, static_variance
from napari_lucky.wavefront.task import WavefrontParameters

STACK_FITTED = 36
"""The last Noll index fitted to stacks: the blur hides higher orders."""
WIDEST = 1.6
"""Largest blur in lambda/D."""
BLURS = 9


@dataclass(frozen=True, eq=False)
class StackWavefront(PupilWavefront):
    """The wavefront that a pair of stacks gives.

    Attributes
    ----------
    task : WavefrontParameters
    coefficients_nm : ndarray, (k,)
        Noll 4 and on, nm rms.
    sigma_nm : ndarray, (k,)
        Errors from the noise alone; the turbulence left is not in them.
    blur_px : float
        Standard deviation of the fitted Gaussian blur, px of the sensor.
    defocus_waves : float
        Between the images.
    chi2 : float
        Weighted squares of the residuals over their number.
    pictures : Pictures
        Stacks and model.
    """

    task: WavefrontParameters
    coefficients_nm: Floats
    sigma_nm: Floats
    blur_px: float
    defocus_waves: float
    chi2: float
    pictures: Pictures


@one_blas_thread()
def measure_wavefront_stacks(
    focus: ImageLike, defocus: ImageLike, task: WavefrontParameters, *, job: Job = QUIET
) -> StackWavefront:
    """Measure a wavefront on a focused and a defocused stack of the same frames.

    This is the lesser way, for when the frames are gone. A stack is no wavefront's image: it is the
    mean of many, and the model makes it a single one's, blurred by a Gaussian of a width that is
    fitted. What the turbulence leaves beyond that goes into the coefficients, and lucky frames are
    those whose turbulence happens to cancel the telescope's. Use `measure_wavefront` on the frames.

    Parameters
    ----------
    focus, defocus : array, (y, x), or path
        The stacks' windows, the same shifts for both, masked pixels NaN; ADU.
    task : WavefrontParameters
        Its telescope, defocus and modes (36 at most) are used; its windows and frames are not.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    StackWavefront
        Coefficients in nm rms, with the errors of noise alone.

    Raises
    ------
    LuckyError
        If the task makes no sense for these images, or nothing can be fitted.
    """
    focus, defocus = as_image(focus), as_image(defocus)
    windows = (Window.whole(focus.shape), Window.whole(defocus.shape))
    wide = max(focus.shape[0], defocus.shape[0]), focus.shape[1] + defocus.shape[1]
    beside = Window(0, focus.shape[1], *defocus.shape)
    task.changed(focus=windows[0], defocus=beside, choice="all").check((1, *wide))
    last = max(STACK_FITTED, min(task.modes, STACK_FITTED))
    bins, sampling = bins_for(task.sampling), task.sampling
    noise = measure_sensor_noise(
        ArrayFrames(_side_by_side(focus, defocus, wide)),
        (windows[0], beside),
        sampling,
        task.gain,
        task.read_noise_e,
    )
    observed = observe((as_float32(focus), as_float32(defocus)), noise, bins, sampling)
    prior = _static_prior(last, task)
    rng = np.random.default_rng(task.seed)
    best: tuple[Fitted, float] | None = None
    made: Fitted | None = None
    for number, blur in enumerate(np.linspace(WIDEST, 0, BLURS).tolist()):
        report = partial(job.progress, number, BLURS, "wavefront of the stacks")
        report()
        model = make_pair_model(
            (focus.shape, defocus.shape), sampling, task.obstruction, last, task.spider, blur=blur
        )
        try:
            made = (
                search(model, observed, prior, rng, between=report)[0]
                if made is None
                else refit(model, observed, prior, made.x)
            )
        except np.linalg.LinAlgError:
            continue
        if best is None or made.cost < best[0].cost:
            best = made, blur
    job.progress(BLURS, BLURS, "wavefront of the stacks")
    if best is None or min(best[0].fluxes) <= 0:
        raise LuckyError("The stacks hold no pair of a focused and a defocused star.")
    fitted, blur = best
    model = make_pair_model(
        (focus.shape, defocus.shape), sampling, task.obstruction, last, task.spider, blur=blur
    )
    reported = min(task.modes, last) - 3
    return StackWavefront(
        task,
        fitted.x[4 : 4 + reported] * task.nm_per_rad,
        np.sqrt(np.diag(fitted.covariance))[4 : 4 + reported] * task.nm_per_rad,
        blur * sampling,
        float(fitted.x[-1]),
        fitted.chi2,
        Pictures.of(observed, model, fitted.x, bins),
    )


def _static_prior(last: int, task: WavefrontParameters) -> Prior:
    """Return the prior of a static wavefront alone."""
    variances = np.concatenate([np.full(4, LOOSE_TILT**2), static_variance(last - 3), [0.0]])
    if task.fit_defocus:
        variances[-1] = (DEFOCUS_SPREAD * task.defocus_waves) ** 2
    mean = np.zeros(len(variances))
    mean[-1] = task.defocus_waves
    return Prior(mean, np.diag(variances))


def _side_by_side(
    focus: NDArray[np.float32], defocus: NDArray[np.float32], shape: tuple[int, int]
) -> NDArray[np.float32]:
    both = np.full((1, *shape), np.nan, np.float32)
    both[0, : focus.shape[0], : focus.shape[1]] = focus
    both[0, : defocus.shape[0], focus.shape[1] :] = defocus
    return both
