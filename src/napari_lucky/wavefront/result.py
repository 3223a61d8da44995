"""A measured wavefront, and what follows from it: image, rms, Strehl ratio, selection bias."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import as_float32
from napari_lucky.optics.pupil import SampledPupil, sample_pupil
from napari_lucky.optics.zernikes import zernike, zernike_name
from napari_lucky.text import ShortRepr, counted
from napari_lucky.wavefront.check import Figures
from napari_lucky.wavefront.frame_fit import Floats, fitted_images
from napari_lucky.wavefront.pair_model import PairModel
from napari_lucky.wavefront.search import TIGHT, Observed
from napari_lucky.wavefront.static import turbulence
from napari_lucky.wavefront.task import WavefrontParameters

MAP_SAMPLES = 126
"""Samples across the pupil in the image of the wavefront; it has a sample more at each side."""


@dataclass(frozen=True, eq=False)
class Pictures(ShortRepr):
    """One frame's images as measured and as the model has them, on the fit's bins.

    Attributes
    ----------
    frame : int
        Its number among the frames.
    bins : int
        Pixels that a bin is wide.
    measured, model : pair of ndarray of float32, (bins, bins)
        Focused and defocused window, ADU a pixel, background included; masked bins are NaN.
    """

    frame: int
    bins: int
    measured: tuple[NDArray[np.float32], NDArray[np.float32]]
    model: tuple[NDArray[np.float32], NDArray[np.float32]]

    @classmethod
    def of(
        cls, observed: Observed, model: PairModel, x: Floats, bins: int, frame: int = 0
    ) -> Pictures:
        """Return the images of a frame, and those that the model makes of x."""
        seen = [
            as_float32(np.where(masked, np.nan, image))
            for image, masked in zip(observed.images, observed.masked, strict=True)
        ]
        made = [as_float32(image) for image in fitted_images(model, observed.pair(TIGHT), x)]
        return cls(frame, bins, (seen[0], seen[1]), (made[0], made[1]))

    @property
    def residual(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Measured less model."""
        return self.measured[0] - self.model[0], self.measured[1] - self.model[1]


@dataclass(frozen=True, eq=False)
class PerFrame(ShortRepr):
    """What was found in each frame that was fitted, n of them.

    Attributes
    ----------
    frame : ndarray of int, (n,)
        Numbers among the frames given.
    good : ndarray of bool, (n,)
        Whether its fit is averaged.
    coefficients_nm : ndarray of float64, (n, k)
        Noll 4 and on, turbulence and telescope, nm rms; NaN where nothing was fitted.
    positions : ndarray of float64, (n, 2, 2)
        (y, x) of the focused and of the defocused star on the sensor, px, without its aberrations.
    strehl : ndarray of float64, (n,)
        Strehl ratio of the wavefront.
    chi2 : ndarray of float64, (n,)
        Weighted squares of the residuals over their number.
    starts : ndarray of int, (n,)
        How many starts were tried.
    fluxes : ndarray of float64, (n, 2)
        Of the star in the two windows, ADU.
    """

    frame: NDArray[np.intp]
    good: NDArray[np.bool_]
    coefficients_nm: Floats
    positions: Floats
    strehl: Floats
    chi2: Floats
    starts: NDArray[np.intp]
    fluxes: Floats


class PupilWavefront:
    """A wavefront as Zernike coefficients on the open pupil: what frames and stacks give alike."""

    task: WavefrontParameters
    coefficients_nm: Floats
    """Noll 4 and on, (k,), nm rms."""
    sigma_nm: Floats
    """Their errors, (k,)."""

    @property
    def noll(self) -> NDArray[np.intp]:
        """Noll indices of the coefficients, (k,)."""
        return np.arange(4, 4 + len(self.coefficients_nm))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modes."""
        return tuple(zernike_name(int(noll)) for noll in self.noll)

    @cached_property
    def pupil(self) -> OpenPupil:
        """The pupil that rms, Strehl ratio and image are of."""
        return open_pupil(self.task, len(self.coefficients_nm))

    @property
    def rms_nm(self) -> float:
        """Rms wavefront error over the open pupil, nm."""
        return self.pupil.rms(self.coefficients_nm)

    @property
    def strehl(self) -> float:
        """Strehl ratio that the wavefront alone would leave."""
        return self.pupil.strehl(self.coefficients_nm / self.task.nm_per_rad)

    @property
    def image_nm(self) -> NDArray[np.float32]:
        """The wavefront on the pupil, y down and x right, nm; NaN where it is shut."""
        return self.pupil.image(self.coefficients_nm)


@dataclass(frozen=True, eq=False)
class Wavefront(PupilWavefront):
    """The telescope's static wavefront, as the frames give it.

    Attributes
    ----------
    task : WavefrontParameters
        What was asked for.
    coefficients_nm, sigma_nm : ndarray of float64, (k,)
        Noll 4 to the last reported, nm rms, orthonormal on the full unit disk, and standard errors:
        the frames' scatter, how far neighbours are alike, and what the figures are off.
    running_nm : ndarray of float64, (m, k)
        Coefficients from the first 1, 2, ... m good frames.
    frames : PerFrame
    variance_rad2 : ndarray of float64, (k,)
        Variance of each mode over the frames, rad².
    d_over_r0, d_over_r0_sigma : float
        From the variances of Noll 4 to 21.
    defocus_waves, defocus_sigma : float
        Between the images; the error is 0 where it was not fitted.
    saturated : int
        Frames left out because a pixel of a window is saturated.
    noise : str
        Gain and read noise, and where they are from.
    pictures : Pictures
        Of a usual frame.
    notes : tuple of str
        What the user should know.
    chi2 : float
        Weighted squares of the residuals over their number, of a usual frame; 1 if model and noise
        are right.
    model_error : (float, float)
        Error of the model over the star's light in the focused and the defocused image, of a usual
        frame: speckles of higher orders than are fitted, and all that is wrong.
    independent : float
        As how many independent frames those averaged count.
    figures : Figures or None
        What the images say of the defocus, the focal ratio and the obstruction; None of under
        three frames.
    """

    task: WavefrontParameters
    coefficients_nm: Floats
    sigma_nm: Floats
    running_nm: Floats
    frames: PerFrame
    variance_rad2: Floats
    d_over_r0: float
    d_over_r0_sigma: float
    defocus_waves: float
    defocus_sigma: float
    saturated: int
    noise: str
    pictures: Pictures
    notes: tuple[str, ...]
    chi2: float = np.nan
    model_error: tuple[float, float] = (np.nan, np.nan)
    independent: float = np.nan
    figures: Figures | None = None

    def __repr__(self) -> str:
        rms = float(np.sqrt((self.coefficients_nm**2).sum()))
        notes = f", {counted(len(self.notes), 'note')}" if self.notes else ""
        return (
            f"<Wavefront: Noll 4 to {self.noll[-1]}, {rms:.3g} nm rms, D/r0 {self.d_over_r0:.3g}, "
            f"{counted(self.used, 'frame')}{notes}>"
        )

    @property
    def used(self) -> int:
        """How many frames are averaged."""
        return int(self.frames.good.sum())

    @property
    def failed(self) -> int:
        """How many frames were not fitted, and are not averaged."""
        return len(self.frames.good) - self.used

    @property
    def kolmogorov_rad2(self) -> Floats:
        """Variance of each mode in Kolmogorov turbulence of this D/r0, rad² (Noll 1976)."""
        return np.asarray(
            self.d_over_r0 ** (5 / 3) * np.diag(turbulence(len(self.coefficients_nm)))
        )

    @property
    def without(self) -> Floats:
        """Rms (nm) and Strehl ratio were each mode taken away, (k, 2)."""
        out = []
        for at in range(len(self.coefficients_nm)):
            rest = self.coefficients_nm.copy()
            rest[at] = 0
            rad = rest / self.task.nm_per_rad
            out.append((self.pupil.rms(rest), self.pupil.strehl(rad)))
        return np.array(out)

    def keep_curve(self, quality: Floats | None = None) -> tuple[Floats, Floats]:
        """Return fractions kept, and the rms (nm) that the best such fraction of frames gives.

        It shows the bias of selection: the less is kept, the smaller the wavefront seems; until the
        turbulence of the few that are left takes over.

        Parameters
        ----------
        quality : ndarray, (n,), optional
            Of the frames fitted, higher is better; their Strehl ratio by default.
        """
        worth = self.frames.strehl if quality is None else quality
        good = np.flatnonzero(self.frames.good & np.isfinite(worth))
        order = good[np.argsort(-worth[good], kind="stable")]
        count = np.arange(1, len(order) + 1)
        mean = self.frames.coefficients_nm[order].cumsum(axis=0) / count[:, None]
        rms = np.sqrt(np.einsum("nj,jk,nk->n", mean, self.pupil.products, mean))
        return count / max(len(order), 1), rms


@dataclass(frozen=True, eq=False)
class OpenPupil:
    """The pupil with its Zernikes from Noll 4 on, to turn coefficients into figures.

    Attributes
    ----------
    sampled : SampledPupil
    weight : ndarray, (s,)
        How much of each sample is open; samples that are more than half open.
    modes : ndarray of float32, (k, s)
    where : ndarray of bool, (n, n)
        Which samples they are.
    """

    sampled: SampledPupil
    weight: Floats
    modes: NDArray[np.float32]
    where: NDArray[np.bool_]

    @cached_property
    def products(self) -> Floats:
        """Covariances of the modes over the open pupil, (k, k): rms² = a·products·a."""
        level = np.average(self.modes, axis=1, weights=self.weight)
        about = self.modes - level[:, None]
        return np.asarray((about * self.weight) @ about.T / self.weight.sum())

    def rms(self, coefficients: Floats) -> float:
        """Return the rms about the mean over the open pupil, in the coefficients' unit."""
        phase = coefficients @ self.modes
        mean = np.average(phase, weights=self.weight)
        return float(np.sqrt(np.average((phase - mean) ** 2, weights=self.weight)))

    def strehl(self, rad: Floats) -> float:
        """Return |mean of exp(i phase)|² over the open pupil."""
        return float(np.abs(np.average(np.exp(1j * (rad @ self.modes)), weights=self.weight)) ** 2)

    def image(self, coefficients: Floats) -> NDArray[np.float32]:
        """Return the wavefront on the samples, (n, n), NaN where shut."""
        out = np.full(self.where.shape, np.nan, np.float32)
        out[self.where] = coefficients @ self.modes
        return out


def open_pupil(task: WavefrontParameters, k: int) -> OpenPupil:
    """Return the pupil of a telescope with k Zernikes from Noll 4 on."""
    pupil = sample_pupil(MAP_SAMPLES, task.obstruction, task.spider)
    where = pupil.amplitude > 0.5
    rho, theta = pupil.rho[where], pupil.theta[where]
    modes = np.stack([zernike(noll, rho, theta) for noll in range(4, 4 + k)])
    return OpenPupil(pupil, pupil.amplitude[where], modes, where)
