"""Short exposures of a star through turbulence, made without the program."""

import numpy as np

SAMPLES = 48  # across the pupil


def speckles(sampling, d_over_r0, n=24, side=128, seed=0):
    """Return PSFs (n, side, side) of flux 1, integrated over pixels, of an open pupil."""
    rng = np.random.default_rng(seed)
    field = 2 * round(SAMPLES * sampling / 2)
    y, x = np.mgrid[:SAMPLES, :SAMPLES] - (SAMPLES - 1) / 2
    pupil = np.hypot(y, x) <= SAMPLES / 2
    screens = turbulence(rng, n, d_over_r0)[:, :SAMPLES, :SAMPLES] if d_over_r0 else np.zeros(1)
    wave = np.zeros((n, field, field), complex)
    wave[:, :SAMPLES, :SAMPLES] = pupil * np.exp(1j * screens)
    image = np.abs(np.fft.fft2(wave)) ** 2
    frequency = np.fft.fftfreq(field)
    pixel = np.sinc(frequency)[:, None] * np.sinc(frequency)
    image = np.fft.ifft2(np.fft.fft2(image) * pixel).real
    image = np.fft.fftshift(image, axes=(1, 2)) / image.sum(axis=(1, 2), keepdims=True)
    out = np.zeros((n, side, side))
    cut = min(side, field)
    inner, outer = ((whole - cut) // 2 for whole in (field, side))
    out[:, outer : outer + cut, outer : outer + cut] = image[
        :, inner : inner + cut, inner : inner + cut
    ]
    return out


def pattern():
    """Return one as a telescope makes it through a random phase, 7 px per lambda/D: (128, 128)."""
    rng = np.random.default_rng(4)
    rows, columns = np.mgrid[-64:64, -64:64] / 9.0
    pupil = np.hypot(rows, columns) < 1
    phase = sum(
        rng.normal(0, 0.6) * rows**j * columns**k for j in range(5) for k in range(5) if j + k < 5
    )
    light = np.abs(np.fft.fftshift(np.fft.fft2(pupil * np.exp(1j * phase)))) ** 2
    return light / light.max()


def turbulence(rng, n, d_over_r0):
    """Return Kolmogorov screens (n, 4 D, 4 D) in rad; what is slower than their side is missing."""
    side = 4 * SAMPLES
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) * SAMPLES  # per D
    frequency[0, 0] = np.inf
    power = 0.0229 * d_over_r0 ** (5 / 3) * frequency ** (-11 / 3) / 4**2  # rad² a coefficient
    noise = rng.standard_normal((n, side, side)) + 1j * rng.standard_normal((n, side, side))
    return (np.fft.fft2(noise * np.sqrt(power))).real


def exposed(light, photons, rng, read=5.0, sky=20.0):
    """Return frames in e-, rounded: light of so many photons a frame, sky, read noise, 100 ADU."""
    electrons = rng.poisson(np.maximum(light * photons, 0) + sky)
    return np.rint(electrons + rng.normal(0, read, light.shape) + 100).astype(np.float32)
