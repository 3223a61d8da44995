"""How well kernels move a star by less than a pixel, against the star computed where it lands.

    python benchmarks/kernels.py

The star is an Airy pattern integrated over square pixels, with lambda F#/pixel = 2 (sampled just
well enough) and 7, moved by fractions from -1/2 to 1/2 in both directions. Told are the greatest
error of the flux in the window, the deepest value below zero, the deepest value below the truth
outside the first dark ring (both in per cent of the peak), the rms error (per cent of the peak),
and the time for a window of 128 px. `napari_lucky.shifting` uses the one that is marked.
"""

import time
from functools import cache

import numpy as np
from scipy import ndimage, special

from napari_lucky.shifting import MARGIN as OURS_MARGIN
from napari_lucky.shifting import interpolate

SIDE, AROUND = 128, 16
PHASES = np.linspace(-0.5, 0.5, 9)


@cache
def airy(sampling, dy, dx, side):
    """Return the Airy pattern of a star at (side // 2 + dy, side // 2 + dx), integrated."""
    nodes, weights = np.polynomial.legendre.leggauss(6)
    nodes, weights = nodes / 2, weights / 2
    axis = np.arange(side) - side // 2
    image = np.zeros((side, side))
    for node_y, weight_y in zip(nodes, weights, strict=True):
        for node_x, weight_x in zip(nodes, weights, strict=True):
            r = np.hypot((axis - dy + node_y)[:, None], axis - dx + node_x)
            v = np.maximum(np.pi * r / sampling, 1e-9)
            image += weight_y * weight_x * (2 * special.j1(v) / v) ** 2
    return image


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
    "Kaiser sinc, 12 points": by_kernel(kaiser(6, 6.0), 6),
    "B-spline, cubic": by_spline(3),
    "B-spline, quintic": by_spline(5),
    "Fourier, padded": by_fourier,
    "**ours**": ours,
}


def measure(move, sampling):
    """Return flux error, deepest below zero and below the truth, and rms error."""
    worst = np.zeros(4)
    image = airy(sampling, 0, 0, SIDE + 2 * AROUND).astype(np.float32)
    axis = np.arange(SIDE) - SIDE // 2
    for dy in PHASES:
        for dx in PHASES:
            truth = airy(sampling, dy, dx, SIDE)
            error = move(image, (dy, dx)) - truth
            outside = np.hypot((axis - dy)[:, None], axis - dx) > 1.22 * sampling
            peak = truth.max()
            found = [
                abs(error.sum() / truth.sum()),
                -(error + truth).min() / peak,
                -error[outside].min() / peak,
                error.std() / peak,
            ]
            worst = np.maximum(worst, found)
    return worst


def main():
    image = airy(7, 0, 0, SIDE + 2 * AROUND).astype(np.float32)
    for sampling in (2, 7):
        print(f"\nlambda F#/pixel = {sampling}\n")
        print("| kernel | flux error | below zero (%) | below truth (%) | rms (%) | ms a frame |")
        print("|---|---:|---:|---:|---:|---:|")
        for name, move in KERNELS.items():
            flux, zero, below, rms = measure(move, sampling)
            start = time.perf_counter()
            for _ in range(50):
                move(image, (0.3, -0.4))
            ms = (time.perf_counter() - start) * 20
            print(
                f"| {name} | {flux:.1e} | {100 * max(zero, 0):.3f} | {100 * below:.3f} "
                f"| {100 * rms:.4f} | {ms:.2f} |"
            )


if __name__ == "__main__":
    main()
