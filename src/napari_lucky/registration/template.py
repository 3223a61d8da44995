"""The star's template: its image from many frames, its derivatives, and the noise about it.

A frame is modelled as f T(r - s) + b: the template T moved by s, times the flux f, on a level b.
By the whole pixels of s the window is moved; for the rest, T is expanded into its derivatives

    T(r - s) = sum over j + k <= 4 of (-s_y)^j (-s_x)^k / (j! k!) d_y^j d_x^k T(r),

so that a frame enters the fit by its products with 16 images alone. T is limited to the band
in which it has signal, so that at half a pixel the expansion is as good as exact.

What the constants do is measured by ``benchmarks/pulls.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import as_float32
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.star_image import peaks

ORDER = 4
POWERS = [(j, k) for j in range(ORDER + 1) for k in range(ORDER + 1 - j)]
BORDER = 4
"""Pixels at the window's edge that are not used: there the derivatives do not hold."""
PAD = 16

FINEST = 0.5
"""Cycles/px: the finest detail along an axis that pixels can hold."""
NEAR, FAR = 0.05, 0.66
"""Beyond the finest detail: the width of the ring where light is looked for, in cycles/px, and
where there is none for over 1.5 px per lambda/D."""
ALIASED, LEAST_ALIASED, COARSE = 2.5, 1e-5, 0.1
"""A star is undersampled if the power just beyond the finest detail is so many times the noise's,
and so much of that in details coarser than this, in cycles/px."""
FULL, LEAST_FULL = 10.0, 1e-3
"""The same beyond all details of stars of over 1.5 px per lambda/D."""

MOST_NOISE = 0.3
"""Of the power of the template's slopes; with more, errors are not known."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Template:
    """The star's image, ready to be fitted; from `make_template`.

    Parameters
    ----------
    image : ndarray of float32, (y, x)
        Band-limited, background off, ADU.
    basis : ndarray of float32, (16, y x)
        Its derivatives in the order of `POWERS`, and 1 for the level.
    weighted : ndarray of float32, (16, y x)
        The same times the weights.
    weight : ndarray of float32, (y x)
        1 / variance in 1/ADU², or one for all where turbulence rules; 0 at the border.
    variance : ndarray of float32, (y x)
        Of a pixel in a frame, ADU².
    gram : ndarray of float64, (16, 16)
        Products of `basis` with `weighted`.
    noise : Noise
        Of a pixel of a single frame.
    inflation : ndarray of float64, (2,)
        By how much errors (y, x) are greater than with a template without noise. The fit takes
        the template's slopes, of power S + N, for the star's, S: (S + N) / S. NaN if most of
        them is noise.
    """

    image: NDArray[np.float32]
    basis: NDArray[np.float32]
    weighted: NDArray[np.float32]
    weight: NDArray[np.float32]
    variance: NDArray[np.float32]
    gram: Floats
    noise: Noise
    inflation: Floats

    @property
    def point(self) -> Floats:
        """(y, x) of its brightest point, in pixels of the window."""
        points, _ = peaks(self.image[np.newaxis])
        return np.asarray(points[0])

    @cached_property
    def variances(self) -> NDArray[np.float32]:
        """Of a pixel, (6, y x), ADU².

        In frames where the template is, half a pixel down, up, right and left of there; and by the
        noise of floor and photons alone.
        """
        moved = [(0.0, 0.0), (0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.0, -0.5)]
        images = as_float32(expansion(np.array(moved))) @ self.basis[: len(POWERS)]
        light = [self.noise.variance(image) for image in images]
        return as_float32(np.stack([*light, self._calm_variance]))

    @cached_property
    def _calm_variance(self) -> Floats:
        return replace(self.noise, speckle=0.0).variance(self.image.ravel())

    @cached_property
    def spreads(self) -> Floats:
        """Covariance of the products of `weighted` with frames, (5, 16, 16), by noise as modelled.

        Of frames where the template is, and half a pixel down, up, right and left of there.
        """
        return _covariances(self.weighted, self.variances[:5])

    @cached_property
    def calm(self) -> Floats:
        """The first of the `spreads` for the noise of floor and photons alone, (16, 16)."""
        return _covariances(self.weighted, as_float32(self._calm_variance)[np.newaxis])[0]

    def spread(self, s: Floats) -> Floats:
        """Return the covariance of the products for frames that are off by s (k, 2), (k, 16, 16).

        A parabola along each axis through the `spreads`: where a star is bright, its noise moves
        with it, and the weights do not.
        """
        return _between(self.spreads, s)

    def hidden_spread(self, hole: NDArray[Any], s: Floats) -> Floats:
        """Return what masked pixels (flat) take from `spread`, for a frame off by s, (16, 16)."""
        lost = _covariances(self.weighted[:, hole], self.variances[:5, hole])
        return _between(lost, s[np.newaxis])[0]

    def hidden_calm(self, hole: NDArray[Any]) -> Floats:
        """Return what masked pixels (flat) take from `calm`, (16, 16)."""
        return _covariances(self.weighted[:, hole], self.variances[5:, hole])[0]

    def seen(self, good: NDArray[np.bool_]) -> Floats:
        """Return the part of the template's light (squared) in the good pixels, (k, y, x)."""
        power = (self.image.ravel() ** 2).astype(np.float64)
        return np.asarray(good.reshape(len(good), -1) @ power / max(power.sum(), 1e-300))


def expansion(s: Floats) -> Floats:
    """Return the coefficients of the derivatives in a template that is moved by s (k, 2)."""
    powers = (-s[:, :, None]) ** np.arange(ORDER + 1)  # (k, axis, power)
    return np.stack(
        [powers[:, 0, j] * powers[:, 1, k] / (factorial(j) * factorial(k)) for j, k in POWERS],
        axis=1,
    )


def _between(spreads: Floats, s: Floats) -> Floats:
    """Return the `spreads` of a template where frames are, off by s (k, 2), (k, 16, 16)."""
    at = np.repeat(spreads[:1], len(s), axis=0)
    for axis, (more, less) in enumerate((spreads[1:3], spreads[3:5])):
        part = s[:, axis, None, None]
        at += part * (more - less) + 2 * part**2 * (more + less - 2 * spreads[0])
    return at


def _covariances(weighted: NDArray[np.float32], variances: NDArray[np.float32]) -> Floats:
    """Return the covariance of the products of `weighted` with each noise, (m, 16, 16)."""
    weights = weighted.T.astype(np.float64)
    return np.stack([(weighted * one).astype(np.float64) @ weights for one in variances])


def make_template(mean: NDArray[np.float32], rests: Floats, noise: Noise) -> Template:
    """Make a template of the mean of frames that were brought together by whole pixels.

    That mean is T blurred by the rests of the shifts s_k; its spectrum is that of T times the
    mean of exp(-i q s_k), and is divided by it: nothing is interpolated. Noise is cut by
    a Wiener filter, S / (S + N), from the power in rings of frequency, N being that beyond
    0.5 cycles/px.

    Parameters
    ----------
    mean : ndarray of float32, (y, x)
        Mean of the frames, background off, ADU, no NaN.
    rests : ndarray of float64, (k, 2)
        Shifts beside the whole pixels.
    noise : Noise
        Of a pixel of a single frame.
    """
    from scipy import fft

    padded = np.pad(mean.astype(np.float64), PAD, mode="linear_ramp")
    qy = 2 * np.pi * fft.fftfreq(padded.shape[0])
    qx = 2 * np.pi * fft.rfftfreq(padded.shape[1])
    spectrum = fft.rfft2(padded)
    blur = np.exp(-1j * np.outer(qy, rests[:, 0])) @ np.exp(-1j * np.outer(rests[:, 1], qx))
    gain = _wiener(np.abs(spectrum) ** 2, qy, qx) / (blur / len(rests))
    spectrum *= gain
    # axis by axis: each derivative along y once, and no rows of the pad
    steps = np.arange(ORDER + 1)[:, None, None]
    down = np.concatenate(
        [spectrum * (1j * qy[:, None]) ** steps, spectrum[None] * blur / len(rests)]
    )
    down = fft.ifft(down, axis=1)[:, PAD:-PAD]

    def image_of(rows: NDArray[Any]) -> NDArray[np.float32]:
        return as_float32(fft.irfft(rows, padded.shape[1])[:, PAD:-PAD])

    derivatives = [image_of(down[j] * (1j * qx) ** k) for j, k in POWERS]
    image = derivatives[0]
    basis = np.stack([*derivatives, np.ones_like(image)])
    # frames are up to half a pixel off: their mean has the light that a pixel has as a rule
    variance = as_float32(noise.variance(image_of(down[-1])))
    weight = as_float32(np.full_like(variance, noise.floor) if noise.turbulent else variance) ** -1
    border = min(BORDER, min(image.shape) // 8)
    used = np.zeros(image.shape, bool)
    used[border:-border, border:-border] = True
    weight[~used] = 0
    flat = basis.reshape(len(basis), -1)
    weighted = flat * weight.ravel()
    gram = weighted.astype(np.float64) @ flat.astype(np.float64).T
    passed = _mean_power(gain * 1j * qy[:, None]), _mean_power(gain * 1j * qx)
    noisy = np.array(passed) * float((weight * variance).sum()) / len(rests)
    slopes = np.diag(gram)[[POWERS.index((1, 0)), POWERS.index((0, 1))]]
    with np.errstate(divide="ignore", invalid="ignore"):
        inflation = slopes / np.where(noisy < MOST_NOISE * slopes, slopes - noisy, np.nan)
    return Template(
        image,
        flat,
        weighted,
        weight.ravel(),
        variance.ravel(),
        gram,
        noise,
        inflation,
    )


def _mean_power(half: NDArray[Any]) -> float:
    """Return the mean of |z|² over all frequencies, of which one half is given."""
    power = np.abs(half) ** 2
    return float((2 * power.sum(axis=1) - power[:, 0]).mean() / (2 * half.shape[1] - 1))


def aliased_detail(mean: NDArray[np.float32], variance: float) -> float:
    """Return the finest detail of a star that its pixels cannot hold, in cycles/px, 0 for none.

    A telescope passes nothing finer than 1 / sampling cycles/px. Along the diagonals,
    pixels hold details of up to 0.7 cycles/px: with light in those of over 0.5 cycles/px,
    there is light that falls between the pixels along the axes, and is taken for coarser detail.

    Parameters
    ----------
    mean : ndarray of float32, (y, x)
        Mean of the frames, background off, no NaN.
    variance : float
        Of the noise of its pixels, ADU².
    """
    from scipy import fft

    down, across = (np.hanning(side + 2)[1:-1] for side in mean.shape)  # no edges: they are sharp
    tapered = mean * down[:, None] * across
    variance *= float((down**2).mean() * (across**2).mean())
    power = np.abs(fft.rfft2(tapered)) ** 2
    detail = np.hypot(fft.fftfreq(len(mean))[:, None], fft.rfftfreq(mean.shape[1]))
    far = float(power[detail > FAR].mean())
    noise = max(far, variance * mean.size)
    rings = np.arange(FINEST, FAR + NEAR, NEAR / 2)
    near = (detail > FINEST) & (detail < FINEST + NEAR)
    light, all_light = float(power[near].mean()), float(power[detail < COARSE].mean())
    if far > max(FULL * variance * mean.size, LEAST_FULL * all_light):
        return FAR
    if not light > max(ALIASED * noise, LEAST_ALIASED * all_light):
        return 0.0
    lit = [
        high
        for low, high in pairwise(rings.tolist())
        if power[(detail > low) & (detail <= high)].mean() > 2 * noise
    ]
    return max(lit)


def _wiener(power: Floats, qy: Floats, qx: Floats) -> Floats:
    """Return S / (S + N) for each frequency of a power spectrum S + N, 0 beyond the band."""
    ring = np.rint(np.hypot(qy[:, None], qx) / (2 * np.pi) * len(qy)).astype(np.intp)
    rings = np.bincount(ring.ravel(), power.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    beyond = power[np.hypot(qy[:, None], qx) > np.pi]
    floor = beyond.mean()
    gain = np.clip(1 - floor / np.maximum(rings, 1e-300), 0, 1)
    ends = np.flatnonzero(gain < 0.1)  # over twice the noise's own scatter in any ring
    if len(ends):
        gain[ends[0] :] = 0
    return np.asarray(gain[ring])
