"""Stars simulated apart from the package: FFT phase screens, and a matrix Fourier transform."""

import numpy as np

PUPIL = 64  # pixels
R = (np.arange(PUPIL) - (PUPIL - 1) / 2) / PUPIL
IN = np.hypot(R[:, None], R) <= 0.5


def gaussian(shape, y, x, sigma, height=1.0):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))


def screens(n, d_over_r0, rng):
    """Return phases in rad over the pupil, (n, y, x), of von Karman turbulence, no tip-tilt."""
    side = 4 * PUPIL
    f = np.fft.fftfreq(side, 1 / PUPIL)
    density = 0.0229 * d_over_r0 ** (5 / 3) * (f[:, None] ** 2 + f**2 + 0.05**2) ** (-11 / 6)
    noise = rng.normal(size=(2, -(-n // 32), side, side))
    wide = np.fft.ifft2((noise[0] + 1j * noise[1]) * np.sqrt(density) / 4) * side**2
    cut = np.stack([wide.real, wide.imag]).reshape(-1, 4, PUPIL, 4, PUPIL)
    phases = cut.transpose(0, 1, 3, 2, 4).reshape(-1, PUPIL, PUPIL)[:n]
    tilts = np.stack([(R[:, None] + 0 * R)[IN], (R + 0 * R[:, None])[IN], np.ones(IN.sum())])
    fitted = phases[:, IN] @ np.linalg.pinv(tilts)
    return phases - fitted[:, :1, None] * R[:, None] - fitted[:, 1:2, None] * R


def stars(phases, sampling, side, places):
    """Return images (n, side, side) of total light 1 (over all the plane), off their middle.

    The sampling is lambda F# / pixel; a place (y, x) is in pixels from pixel side // 2.
    """
    x = np.arange(side) - side // 2
    matrix = np.exp(-2j * np.pi * np.outer(x / sampling, R))
    out = np.empty((len(phases), side, side))
    for image, phase, (down, across) in zip(out, phases, places, strict=True):
        tilted = phase + 2 * np.pi / sampling * (down * R[:, None] + across * R)
        field = matrix @ (IN * np.exp(1j * tilted)) @ matrix.T
        image[:] = np.abs(field) ** 2 / (IN.sum() * (PUPIL * sampling) ** 2)
    integrated = np.sinc(np.fft.fftfreq(side))  # over the pixels
    spectra = np.fft.fft2(out) * integrated[:, None] * integrated
    return np.maximum(np.fft.ifft2(spectra).real, 0)


def exposed(images, photons, rng, read=5.0, level=100.0):
    """Return frames in ADU, 1 e- each, with photon and read noise."""
    light = rng.poisson(photons * images) + rng.normal(level, read, images.shape)
    return light.astype(np.float32)
