"""From the frames' wavefronts to the telescope's: static mean, turbulence, and their errors.

The wavefront of frame i is a_i = m + turbulence, the turbulence Gaussian with covariance
t C, C Noll's at D/r0 = 1 and t = (D/r0)^(5/3). Fitted with that prior, a_i comes with a posterior
covariance P_i. Both m and t are then those that make the data likeliest (empirical Bayes):

    m' = m + (I - P (tC)^-1)^-1 <a_i - m>          undoes the pull of the prior
    t' = mean over modes j of (var a_j + P_jj) / C_jj

with P the mean of P_i: Newton's step of the likelihood, and EM's. The modes of the second are Noll
4 to 21; what is not modelled leaks into the highest.

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_lucky.optics.zernikes import kolmogorov_covariance, noll_orders
from napari_lucky.wavefront.frame_fit import Floats, Prior

LOOSE_TILT = 10.0
"""Standard deviation of the tilts' prior in rad rms: the star may be anywhere in its window."""
CALM = 1e-3
"""Least (D/r0)^(5/3): without turbulence at all nothing could be inverted."""
LAST_FOR_STRENGTH = 21
"""The last Noll index that D/r0 is measured on."""
DEFOCUS_SPREAD = 0.1
"""Standard deviation of the defocus between the images, over itself, where it is fitted."""


@dataclass(frozen=True, eq=False)
class Static:
    """What all frames have in common.

    Attributes
    ----------
    mean : ndarray, (k,)
        Static coefficients from Noll 4 on, in rad rms.
    strength : float
        (D/r0)^(5/3).
    defocus_waves : float
        Between the two images, peak-to-valley.
    samples : ndarray, (n, k)
        The frames' own coefficients, the prior's pull undone; their mean is `mean`.
    defocus_sigma : float
        Standard error; 0 where it is not fitted.
    strength_error : float
        Standard error of the strength, over itself.
    """

    mean: Floats
    strength: float
    defocus_waves: float
    samples: Floats
    defocus_sigma: float = 0.0
    strength_error: float = np.nan

    @property
    def sigma(self) -> Floats:
        """Standard errors of the mean from the frames' scatter, (k,); NaN for one frame."""
        n = len(self.samples)
        if n < 2:
            return np.full(len(self.mean), np.nan)
        return np.asarray(self.samples.std(axis=0, ddof=1) / np.sqrt(n))

    def _for_strength(self) -> slice:
        return slice(0, max(1, min(LAST_FOR_STRENGTH, len(self.mean) + 3) - 3))

    @property
    def running(self) -> Floats:
        """Mean of the first 1, 2, ... frames, (n, k)."""
        count = np.arange(1, len(self.samples) + 1)
        return np.asarray(self.samples.cumsum(axis=0) / count[:, None])

    def prior(self, fit_defocus: bool) -> Prior:
        """Return the prior for a frame."""
        k = len(self.mean)
        covariance = np.zeros((k + 5, k + 5))
        covariance[:4, :4] = LOOSE_TILT**2 * np.eye(4)
        covariance[4:-1, 4:-1] = self.strength * turbulence(k)
        if fit_defocus:
            covariance[-1, -1] = (DEFOCUS_SPREAD * self.defocus_waves) ** 2
        return Prior(np.concatenate([np.zeros(4), self.mean, [self.defocus_waves]]), covariance)

    def updated(self, x: Floats, posterior: Floats, defocus_variance: Floats) -> Static:
        """Return what follows from frames fitted with this as their prior.

        Parameters
        ----------
        x : ndarray, (n, size)
            Their fits; see `PairModel`.
        posterior : ndarray, (k, k)
            Mean posterior covariance of their Zernikes from Noll 4 on.
        defocus_variance : ndarray, (n,)
            Posterior variance of the defocus; 0 where it was not fitted.
        """
        n, unit = len(x), turbulence(len(self.mean))
        inverse = np.linalg.inv(unit)
        stiffness = inverse / self.strength
        off = x[:, 4:-1] - self.mean
        information = stiffness - stiffness @ posterior @ stiffness
        wide = np.diag(1 / (n * static_variance(len(self.mean))))
        pull = np.linalg.solve(information + wide, stiffness)
        shrunk = np.linalg.solve(information + wide, wide @ self.mean)
        samples = self.mean + off @ pull.T - shrunk
        mean = samples.mean(axis=0)
        some = self._for_strength()
        variance = x[:, 4:-1].var(axis=0, ddof=min(n - 1, 1)) + np.diag(posterior)
        strength = float((variance / np.diag(unit))[some].mean())
        made = replace(
            self,
            mean=mean,
            samples=samples,
            strength=max(strength, CALM) if n > 1 else self.strength,
            strength_error=float(np.sqrt(2 / (max(n - 1, 1) * len(mean[some])))),
        )
        return (
            made if not defocus_variance.any() else made._with_defocus(x[:, -1], defocus_variance)
        )

    def _with_defocus(self, fitted: Floats, variance: Floats) -> Static:
        """Return the same with the mean of the frames' defocus, the prior's pull undone."""
        prior = (DEFOCUS_SPREAD * self.defocus_waves) ** 2
        own = np.maximum(1 - variance / prior, 1e-3)
        waves = self.defocus_waves + (fitted - self.defocus_waves) / own
        weight = own / own.sum()  # as the variance of an own value is prior / own, nearly
        mean = float(weight @ waves)
        n = len(waves)
        sigma = float(np.sqrt((weight**2) @ (waves - mean) ** 2 * n / max(n - 1, 1)))
        return replace(self, defocus_waves=mean, defocus_sigma=sigma if n > 1 else np.nan)


def unknown(last_noll: int, d_over_r0: float, defocus_waves: float) -> Static:
    """Return what is taken for granted before a frame is seen."""
    k = last_noll - 3
    return Static(np.zeros(k), d_over_r0 ** (5 / 3), defocus_waves, np.zeros((0, k)))


def turbulence(k: int) -> Floats:
    """Return Noll's covariance of k Zernikes from Noll 4 on, in rad² at D/r0 = 1."""
    return kolmogorov_covariance(range(4, 4 + k))


def static_variance(k: int) -> NDArray[np.float64]:
    """Return how large static aberrations are expected to be, in rad²: (2 / n)^2 rad, n the order.

    As steep as turbulence, for polished glass is smooth as well; at low orders it is wide. It
    decides on what the images do not show: what the central obstruction hides.
    """
    return np.array([(2 / noll_orders(noll)[0]) ** 4 for noll in range(4, 4 + k)])
