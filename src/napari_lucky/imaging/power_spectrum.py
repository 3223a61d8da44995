"""The mean power spectrum of a run, and the frequency where the optics cut it off.

What the constants do is measured by ``benchmarks/smoothing.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lucky.frames.frames import Block

Floats = NDArray[np.float64]

FINEST, COARSEST, STEPS = 1.2, 25.0, 100
"""Pixels per lambda/D that are tried, and how many values."""
LOWEST = 3.0
"""Cycles over the window; what is slower is background."""
HIGHEST = 0.7
"""Cycles/px; the corners of the spectrum begin there."""
SEEING = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Widths of the long exposure's transfer function that are tried, over the cut-off."""
MODEL_ERROR, FLOOR_ERROR = 0.03, 0.005
"""The model is right to this fraction of the light's power, and the noise is as white as this."""
UNLIKELY = 9.0
"""Chi-square over the least from which a cut-off is excluded; 3 sigma."""


def mean_power(block: Block) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the power spectrum of frames in rings of equal frequency.

    Parameters
    ----------
    block : ndarray of float32, (k, y, x)
        Background off, no NaN.

    Returns
    -------
    frequency : ndarray, (rings,)
        In cycles/px.
    power : ndarray, (rings,)
        Mean of |DFT|² over the frames and the ring, in ADU².
    pixel : ndarray, (rings,)
        Transfer function of the pixel, squared.
    sigma : ndarray, (rings,)
        Error of the power, and of what a model can say of it.
    """
    ny, nx = block.shape[1:]
    tapered = block * np.outer(_taper(ny), _taper(nx)).astype(np.float32)
    power = np.zeros((ny, nx // 2 + 1))
    for image in tapered:
        power += np.abs(np.fft.rfft2(image)) ** 2
    y, x = np.fft.fftfreq(ny)[:, None], np.fft.rfftfreq(nx)
    radius = np.hypot(y, x)
    axes = (np.abs(y) < 1.5 / ny) | (np.abs(x) < 1.5 / nx)  # edges, and noise of rows and columns
    inside = ~axes & (radius > LOWEST / min(ny, nx)) & (radius < HIGHEST)
    ring = (radius[inside] * min(ny, nx, 128)).astype(np.intp)
    count = np.bincount(ring)

    def mean(values: Floats) -> Floats:
        return np.bincount(ring, values[inside])[count > 0] / count[count > 0]

    level = mean(power / len(block))
    scatter = level * np.sqrt(1 / (count[count > 0] * len(block)) + FLOOR_ERROR**2)
    sigma = np.hypot(scatter, MODEL_ERROR * (level - level.min(initial=np.inf)))
    return mean(radius), level, mean((np.sinc(y) * np.sinc(x)) ** 2), sigma


def cut_off(
    frequency: Floats, power: Floats, pixel: Floats, sigma: Floats
) -> tuple[float, float, float]:
    """Return the pixels per lambda/D, 1 / cut-off frequency, and their least and most.

    The power of a star is a sum, no term negative, of terms like those of Roddier (1981) at
    every cut-off: T and T² of speckles and of calm air, each as it is and times the transfer
    function of turbulence at several widths, on the floor of the noise. T(u) is the transfer
    function of a circular pupil. The cut-off is the one of least chi-square.

    Parameters
    ----------
    frequency, power, pixel, sigma
        From `mean_power`.
    """
    tried = np.geomspace(FINEST, COARSEST, STEPS)
    if len(frequency) == 0 or not (sigma > 0).all():
        return float("nan"), 0.0, float("inf")
    chi2 = np.array([_misfit(frequency * px, power, pixel, sigma) for px in tried])
    best = int(chi2.argmin())
    slack = UNLIKELY * max(1.0, chi2[best] / len(frequency))
    likely = tried[chi2 < chi2[best] + slack]
    return float(tried[best]), float(likely[0]), float(likely[-1])


def _misfit(u: Floats, power: Floats, pixel: Floats, sigma: Floats) -> float:
    """Return chi-square of the power, with u the frequencies over the cut-off."""
    inside = np.minimum(u, 1)
    pupil = 2 / np.pi * (np.arccos(inside) - inside * np.sqrt(1 - inside**2))
    calm = np.stack([pupil, pupil**2]) * pixel
    turbulent = [calm * np.exp(-((u / width) ** (5 / 3))) for width in SEEING]
    design = np.concatenate([np.ones((1, len(u))), calm, *turbulent]) / sigma
    size = np.linalg.norm(design, axis=1)
    used = size > 1e-9 * size.max()
    return _least_squares((design[used] / size[used, None]).T, power / sigma)


def _least_squares(design: Floats, value: Floats) -> float:
    """Return the squared residual of a fit with no negative term (Lawson & Hanson 1974)."""
    terms = np.zeros(design.shape[1])
    used = np.zeros(len(terms), bool)
    least = 1e-10 * float(np.abs(design.T @ value).max())
    for _ in range(3 * len(terms)):
        gain = np.where(used, 0, design.T @ (value - design @ terms))
        if gain.max() <= least:
            break
        used[gain.argmax()] = True
        while True:
            wanted = np.zeros_like(terms)
            wanted[used] = np.linalg.lstsq(design[:, used], value)[0]
            below = used & (wanted <= 0)
            if not below.any():
                break
            part = float((terms[below] / np.maximum(terms[below] - wanted[below], 1e-300)).min())
            terms += part * (wanted - terms)
            used &= terms > 1e-12 * terms.max()
            if not used.any():
                break
        terms = np.where(used, wanted, 0)
    return float(((value - design @ terms) ** 2).sum())


def _taper(side: int) -> Floats:
    """Return a window that falls to 0 in an eighth of the side at each end."""
    wide = max(side // 8, 1)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(wide) + 0.5) / wide)
    return np.concatenate([rise, np.ones(side - 2 * wide), rise[::-1]])
