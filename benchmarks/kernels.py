"""How well kernels move a star by less than a pixel, against the star computed where it lands.

    python benchmarks/kernels.py

The star is an Airy pattern with an obstruction of 0.3, integrated over square pixels, with lambda
F#/pixel = 2 (sampled just well enough), 3, 5, 7 and 12; on a pixel, on a corner, and between
both. It is moved by fractions from -1/2 to 1/2 in steps of 1/4 in both directions. Given are the
greatest error anywhere, the core included, at each sampling (per cent of the peak), the greatest
error of the flux in the window (with 7), the noise of the result over that of the image (of white
noise, mean over all fractions), and the time for a window of 128 px. `napari_lucky.imaging.shifts`
uses the one that is marked.
"""

import time
from functools import cache

import numpy as np
from scipy import ndimage, special

from napari_lucky.imaging.interpolation import MARGIN as OURS_MARGIN
from napari_lucky.imaging.interpolation import interpolate

SIDE, AROUND = 128, 16
PHASES = np.linspace(-0.5, 0.5, 5)
SAMPLINGS = (2, 3, 5, 7, 12)
STARTS = ((0, 0), (0.5, 0.5), (0.25, -0.25))
OBSTRUCTION = 0.3


@cache
def airy(sampling, dy, dx, side):
    """Return the pattern of a star at (side // 2 + dy, side // 2 + dx), integrated."""
    nodes, weights = np.polynomial.legendre.leggauss(6)
    axis = np.arange(side) - side // 2
    y, x = (((axis - d)[:, None] + nodes / 2).ravel() for d in (dy, dx))
    v = np.maximum(np.pi * np.hypot(y[:, None], x) / sampling, 1e-9)
    light = (disk(v) - OBSTRUCTION**2 * disk(OBSTRUCTION * v)) / (1 - OBSTRUCTION**2)
    return np.einsum("yaxb,a,b->yx", (light**2).reshape(side, 6, side, 6), weights, weights) / 4


def disk(v):
    return 2 * special.j1(v) / v


def keys4(d):
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def keys6(d):
    parts = [
        4 / 3 * d**3 - 7 / 3 * d**2 + 1,
        -7 / 12 * d**3 + 3 * d**2 - 59 / 12 * d + 15 / 6,
        1 / 12 * d**3 - 2 / 3 * d**2 + 21 / 12 * d - 3 / 2,
    ]
    return np.select([d <= 1, d <= 2, d < 3], parts, 0.0)


def kaiser(taps, beta):
    """Return the sinc under a Kaiser window."""
    edge = special.i0(beta)

    def kernel(d):
        inside = np.sqrt(np.maximum(1 - (d / taps) ** 2, 0))
        return np.where(d < taps, np.sinc(d) * special.i0(beta * inside) / edge, 0)

    return kernel


def with_moments(kernel, reach, fraction):
    """Return weights whose middle three are changed so that a quadratic is kept exactly."""
    place = np.arange(-reach, reach + 1)
    weights = kernel(np.abs(place + fraction))
    weights /= weights.sum()
    slope, curvature = weights @ place + fraction, weights @ place**2 - fraction**2
    change = [(slope - curvature) / 2, curvature, -(slope + curvature) / 2]
    weights[reach - 1 : reach + 2] += change
    return weights


def lanczos(taps):
    return lambda d: np.where(d < taps, np.sinc(d) * np.sinc(d / taps), 0)


def lagrange(fraction, reach):
    """Return the weights of the polynomial through the 2 reach samples around -fraction."""
    first = -reach if fraction > 0 else 1 - reach
    nodes = np.arange(first, first + 2 * reach)
    weights = np.zeros(2 * reach + 1)
    for k, node in enumerate(nodes):
        others = np.delete(nodes, k)
        weights[node + reach] = np.prod((-fraction - others) / (node - others))
    return weights


def by_kernel(kernel, reach):
    def weights(fraction):
        w = kernel(np.abs(np.arange(-reach, reach + 1) + fraction))
        return w / w.sum()

    return by_weights(weights)


def by_weights(weights):
    def move(image, shift):
        for axis, fraction in enumerate(shift):
            image = ndimage.correlate1d(image, weights(fraction), axis=axis, mode="constant")
        return image[AROUND:-AROUND, AROUND:-AROUND]

    return move


def by_spline(order):
    def move(image, shift):
        return ndimage.shift(image, shift, order=order, mode="mirror")[
            AROUND:-AROUND, AROUND:-AROUND
        ]

    return move


def by_fourier(image, shift):
    spectrum = ndimage.fourier_shift(np.fft.rfft2(image), shift, n=image.shape[1])
    return np.fft.irfft2(spectrum, image.shape)[AROUND:-AROUND, AROUND:-AROUND]


def ours(image, shift):
    cut = AROUND - OURS_MARGIN
    return interpolate(image[cut:-cut, cut:-cut], np.asarray(shift))


KERNELS = {
    "Keys cubic, 4 points": by_kernel(keys4, 2),
    "Keys cubic, 6 points": by_kernel(keys6, 3),
    "Lagrange quintic, 6 points": by_weights(lambda f: lagrange(f, 3)),
    "Lagrange septic, 8 points": by_weights(lambda f: lagrange(f, 4)),
    "Lanczos 3, normalised": by_kernel(lanczos(3), 3),
    "Lanczos 4, normalised": by_kernel(lanczos(4), 4),
    "Lanczos 5, normalised": by_kernel(lanczos(5), 5),
    "Lanczos 6, normalised": by_kernel(lanczos(6), 6),
    "Kaiser sinc, 8 points": by_kernel(kaiser(4, 4.0), 4),
    "Kaiser sinc, 10 points": by_kernel(kaiser(5, 4.0), 5),
    "Kaiser sinc, 12 points, taper 6": by_kernel(kaiser(6, 6.0), 6),
    "the same, slope and curvature kept": by_weights(lambda f: with_moments(kaiser(6, 6.0), 6, f)),
    "Kaiser sinc, 12 points, taper 7": by_kernel(kaiser(6, 7.0), 6),
    "B-spline, cubic": by_spline(3),
    "B-spline, quintic": by_spline(5),
    "Fourier, padded": by_fourier,
    "**ours**": ours,
}


def worst(move, sampling):
    """Return the greatest error over the peak, and of the flux."""
    error, flux = 0.0, 0.0
    for start in STARTS:
        image = airy(sampling, *start, SIDE + 2 * AROUND).astype(np.float32)
        for dy in PHASES:
            for dx in PHASES:
                truth = airy(sampling, start[0] + dy, start[1] + dx, SIDE)
                made = move(image, (dy, dx))
                error = max(error, np.abs(made - truth).max() / truth.max())
                flux = max(flux, abs(made.sum(dtype=float) / truth.sum() - 1))
    return error, flux


def noise(move):
    """Return the standard deviation of moved white noise of 1."""
    image = np.random.default_rng(1).normal(size=(SIDE + 2 * AROUND,) * 2).astype(np.float32)
    fractions = np.linspace(-0.45, 0.45, 7)
    return np.sqrt(np.mean([move(image, (dy, dx)).var() for dy in fractions for dx in fractions]))


def main():
    image = airy(7, 0, 0, SIDE + 2 * AROUND).astype(np.float32)
    print(f"| kernel | {' | '.join(map(str, SAMPLINGS))} | flux error | noise | ms a frame |")
    print("|---|" + "---:|" * (len(SAMPLINGS) + 3))
    for name, move in KERNELS.items():
        found = [worst(move, sampling) for sampling in SAMPLINGS]
        errors = " | ".join(f"{100 * error:.2g}" for error, _ in found)
        flux = found[SAMPLINGS.index(7)][1]
        start = time.perf_counter()
        for _ in range(50):
            move(image, (0.3, -0.4))
        ms = (time.perf_counter() - start) * 20
        print(f"| {name} | {errors} | {flux:.1e} | {noise(move):.3f} | {ms:.2f} |", flush=True)


if __name__ == "__main__":
    main()
