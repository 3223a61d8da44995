"""How sharp and how noisy the stack is, for every number of frames that could be kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.execution.blocks import blocks_of, map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames, as_numbers
from napari_lucky.frames.frames import as_float32
from napari_lucky.frames.kept_count import describe_count
from napari_lucky.frames.window import Window, WindowLike, as_window
from napari_lucky.imaging.shifts import Shifted, ShiftsLike, as_shifts
from napari_lucky.imaging.star_image import border, levelled
from napari_lucky.optics.diffraction import (
    DiffractionLike,
    as_diffraction,
    diffraction_psf,
)
from napari_lucky.ranking.metrics import METRICS, fwhm
from napari_lucky.ranking.selection import best_first


@dataclass(frozen=True, eq=False)
class KeepCurve:
    """Figures of the stack of the best 1, 2, ... n frames; element k is of k + 1 frames.

    Parameters
    ----------
    peak_over_flux : ndarray of float64, (n,)
        Greatest pixel over the sum of the window, background off: the Strehl ratio up to a factor.
    fwhm : ndarray of float64, (n,)
        In pixels; of the Gaussian with the same flux over half the peak.
    noise : ndarray of float64, (n,)
        Standard error of the stack's pixels in the window's border, in ADU; NaN for one frame.
    strehl : ndarray of float64, (n,), optional
        Strehl ratio, where the diffraction-limited PSF was given.
    """

    peak_over_flux: NDArray[np.float64]
    fwhm: NDArray[np.float64]
    noise: NDArray[np.float64]
    strehl: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        name, sharpness = self.sharpness
        return f"<KeepCurve: 1 to {len(self.noise)} frames, best {name} {sharpness.max():.3g}>"

    @property
    def count(self) -> NDArray[np.intp]:
        """Numbers of frames kept, (n,)."""
        return np.arange(1, len(self.noise) + 1)

    @property
    def fraction(self) -> NDArray[np.float64]:
        """Fractions of the frames with a quality, (n,)."""
        return self.count / len(self.noise)

    @property
    def sharpness(self) -> tuple[str, NDArray[np.float64]]:
        """What is drawn, and its name: the Strehl ratio if it is known, else peak over flux."""
        if self.strehl is not None:
            return "Strehl ratio", self.strehl
        return "peak/flux", self.peak_over_flux

    def describe(self, count: int) -> str:
        """Return what the stack of the best `count` frames is like, in two lines."""
        if not 1 <= count <= len(self.noise):
            raise UsageError(f"The curve is for 1 to {len(self.noise)} frames, not {count}.")
        at = count - 1
        name, sharpness = self.sharpness
        noise = f", noise {self.noise[at]:.2g} ADU" if np.isfinite(self.noise[at]) else ""
        return (
            f"{describe_count(count, len(self.noise))}: {name} {sharpness[at]:.3g}\n"
            f"FWHM {self.fwhm[at]:.3g} px{noise}"
        )


def keep_curve(
    frames: FramesLike,
    shifts: ShiftsLike,
    quality: NDArray[np.float64],
    focus: WindowLike,
    *,
    diffraction: DiffractionLike | None = None,
    subpixel: bool = True,
    job: Job = QUIET,
) -> KeepCurve:
    """Measure the stack of the best 1, 2, ... n frames, in one pass over them.

    The frames are shifted and summed from the best to the worst, and the running mean is
    measured after each: the very stacks that `stack_mean` makes. With I the mean, less a plane
    through its border (the window's outermost sixteenth;
    `napari_lucky.imaging.star_image.levelled`), and s² the variance over the m frames that were
    summed::

        peak/flux    = max I / sum I
        Strehl ratio = (max I / sum I) / (max P / sum P)
        noise        = sqrt(mean of s² / m over the border)

    P is the diffraction-limited PSF, integrated over the pixels, its peak in the middle of a
    window of the same size. No aperture is cut, and the peak is a whole pixel's. Light outside
    the window, or taken for background, is not in sum I, so that in a window of few lambda/D the
    Strehl ratio comes out too high. For the FWHM see `napari_lucky.ranking.metrics.fwhm`.

    The peak of a noisy frame is partly noise, and the best-ranked frames have the
    most of it: with a faint star, the left end of the curve is too high.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated, not shifted, masked pixels NaN.
    shifts : ndarray, (n, 2), Registration or FrameTable
        (dy, dx) in pixels.
    quality : ndarray, (n,)
        Higher is better; frames with NaN are not used, as `select` does.
    focus : Window or (y, x, size)
        The focused star's window.
    diffraction : Telescope or Diffraction, optional
        The diffraction-limited PSF; without it there is no Strehl ratio.
    subpixel : bool
        Whether frames are shifted by fractions of a pixel.
    job : Job
        Progress, executor, checkpoint; see `Job`. Memory does not grow with the number of frames.

    Returns
    -------
    KeepCurve
        A value of each figure for 1 to n frames kept.

    Raises
    ------
    LuckyError
        If no frame has a quality, or the window is not on the sensor.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> run = lucky.simulate_run(12, (128, 256), d_over_r0=2, focus_size=64, defocus_size=96)
    >>> frames = lucky.calibrate(run.frames, run.dark, run.flat)
    >>> tracked = lucky.register(frames, run.focus)
    >>> quality = lucky.rank(frames, run.focus)
    >>> curve = lucky.keep_curve(frames, tracked, quality, run.focus)
    >>> curve.noise.shape  # of the best 1, 2, ... 12 frames
    (12,)
    >>> bool(curve.noise[1] > curve.noise[11])
    True
    """
    frames, focus = as_frames(frames), as_window(focus)
    shifts, diffraction = as_shifts(shifts, frames.shape[0]), as_diffraction(diffraction)
    focus.check_on(frames.shape, "focus window")
    quality = as_numbers(quality, "quality")
    if len(quality) != frames.shape[0]:
        raise LuckyError(
            f"There are {len(quality)} qualities for {frames.shape[0]} frames; rank this run."
        )
    order = best_first(quality)[: int(np.isfinite(quality).sum())]
    if len(order) == 0:
        raise LuckyError("No frame has a quality; there is nothing to keep.")
    shifted = Shifted(frames, shifts, subpixel)

    def read(block: slice) -> NDArray[np.float32]:
        return as_float32(shifted.read(order[block], focus))

    blocks = blocks_of(len(order), focus.height * focus.width)
    sums = _RunningSums(focus)
    made = []
    for pixels in map_blocks(read, blocks, job=job, what="keep-fraction curve"):
        made.append([sums.add(image) for image in pixels])
    sharp, width, noise = np.concatenate(made).T
    strehl = None
    if diffraction is not None:
        perfect = diffraction_psf(diffraction, focus.shape)[np.newaxis]
        strehl = sharp / METRICS["peak-over-flux"](perfect)
    return KeepCurve(sharp, width, noise, strehl)


class _RunningSums:
    """Sums over the frames so far, and what follows from them."""

    def __init__(self, window: Window) -> None:
        self._edge = border(window.shape)
        self._total = np.zeros(window.shape)
        self._good = np.zeros(window.shape, np.int32)
        self._level = np.zeros(int(self._edge.sum()))
        self._squares = np.zeros_like(self._level)

    def add(self, image: NDArray[np.float32]) -> tuple[float, float, float]:
        """Add a frame; return the mean's peak over flux, FWHM and noise."""
        good = np.isfinite(image)
        pixels = np.where(good, image, np.float32(0))
        self._total += pixels
        self._good += good
        mean = np.where(self._good > 0, self._total / np.maximum(self._good, 1), np.nan)
        edge = mean[self._edge]
        if not self._level.any():  # squares are summed about the first frame to lose no digits
            self._level = np.nan_to_num(edge)
        self._squares += np.where(good[self._edge], pixels[self._edge] - self._level, 0) ** 2
        star = as_float32(mean)[np.newaxis]
        star = np.nan_to_num(levelled(star))
        return (
            float(METRICS["peak-over-flux"](star)[0]),
            1 / float(fwhm(star)[0]),
            self._noise(edge),
        )

    def _noise(self, edge: NDArray[np.float64]) -> float:
        """Return the standard error of the mean in the border, from the frames' scatter."""
        count = self._good[self._edge]
        some = count > 1
        if not some.any():
            return np.nan
        count = count[some]
        scatter = self._squares[some] - count * (edge - self._level)[some] ** 2
        return float(np.sqrt(np.mean(np.maximum(scatter, 0) / (count * (count - 1)))))
