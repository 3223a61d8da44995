"""Whether the errors of the shifts are true: widths of the pulls of every method, as table rows.

    python benchmarks/pulls.py [--frames 80] [--sampling 1.4 1.6 2 2.5 3.5 7]

A pull is the error of a shift over its stated error; true errors have pulls 1 wide. Stars and
a planet that do not change are moved by known fractions of a pixel and exposed, with photon noise,
sky of 20 e and read noise of 5 e. Each cell has one number for 500, 3,000 and 30,000 photons a
frame (the planet has 100 times as many): the width is half of what holds the middle 68 % of the
pulls; "-" stands for errors that are not known, and "none" for a star that is refused or not found.
"""

import argparse
import sys

import numpy as np
from scipy import ndimage

import napari_lucky as lucky
from napari_lucky import Window, register
from napari_lucky.frames import ArrayFrames

PUPIL, SIDE = 64, 96
PHOTONS = 500, 3_000, 30_000
METHODS = "brightest", "centroid", "correlation", "template"
SKY, READ, HOT = 20, 5, 0.002
R = (np.arange(PUPIL) - (PUPIL - 1) / 2) / PUPIL
OPEN = np.hypot(R[:, None], R) <= 0.5


def wave_front(d_over_r0, rng):
    """Return a phase over the pupil, rad, of Kolmogorov turbulence without tip-tilt."""
    side = 4 * PUPIL
    f = np.fft.fftfreq(side, 1 / PUPIL)
    density = 0.0229 * d_over_r0 ** (5 / 3) * (f[:, None] ** 2 + f**2 + 0.05**2) ** (-11 / 6)
    draws = rng.normal(size=(side, side)) + 1j * rng.normal(size=(side, side))
    phase = (np.fft.ifft2(draws * np.sqrt(density) / 4) * side**2).real[:PUPIL, :PUPIL]
    y, x = np.broadcast_arrays(R[:, None], R)
    planes = np.stack([y[OPEN], x[OPEN], np.ones(OPEN.sum())])
    down, across, _ = phase[OPEN] @ np.linalg.pinv(planes)
    return phase - down * y - across * x


def stars(phase, sampling, places):
    """Return images of a star of flux 1 at places (y, x) in pixels from the middle."""
    x = np.arange(SIDE) - SIDE // 2
    to_focus = np.exp(-2j * np.pi * np.outer(x / sampling, R))
    out = np.empty((len(places), SIDE, SIDE))
    for image, (down, across) in zip(out, places, strict=True):
        tilted = phase + 2 * np.pi / sampling * (down * R[:, None] + across * R)
        image[:] = np.abs(to_focus @ (OPEN * np.exp(1j * tilted)) @ to_focus.T) ** 2
    out /= OPEN.sum() * (PUPIL * sampling) ** 2
    f = np.fft.fftfreq(SIDE)
    pixel = np.sinc(f)[:, None] * np.sinc(f)
    return np.maximum(np.fft.ifft2(np.fft.fft2(out) * pixel).real, 0)


def planets(sampling, places, rng):
    """Return images of a planet of flux 1, with clouds and dark limb, as sharp as optics pass."""
    fine, side = 4, 4 * SIDE
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    radius = np.hypot(y, x) / (fine * 20)  # 20 px
    clouds = ndimage.gaussian_filter(rng.normal(size=(side, side)), fine * 1.5)
    disc = np.sqrt(np.clip(1 - radius**2, 0, 1)) * (1 + 0.1 * clouds / clouds.std())
    f = np.fft.fftfreq(side) * fine  # cycles/px
    u = np.minimum(np.hypot(f[:, None], f) * sampling, 1)
    passed = 2 / np.pi * (np.arccos(u) - u * np.sqrt(1 - u**2)) * np.sinc(f)[:, None] * np.sinc(f)
    spectrum = np.fft.fft2(disc) * passed
    out = []
    for down, across in places:
        moved = spectrum * np.exp(-2j * np.pi * (f[:, None] * down + f * across))
        out.append(np.fft.ifft2(moved).real[fine // 2 :: fine, fine // 2 :: fine])
    return np.maximum(out, 0) / np.sum(out[0])


def exposed(images, photons, rng):
    """Return frames in e-, rounded."""
    light = rng.poisson(photons * images + SKY) + rng.normal(100, READ, images.shape)
    return np.rint(light).astype(np.uint16)


def hot(frames, rng):
    """Add hot pixels that nobody took a dark of."""
    where = rng.random((SIDE, SIDE)) < HOT
    out = frames.astype(float)
    out[:, where] += rng.uniform(300, 3000, np.count_nonzero(where))
    return out.astype(np.uint16)


def coarse(images, photons, rng):
    """Return frames of 8 bits whose sky has one value: an e- is less than a number."""
    light = rng.poisson(photons * images) + rng.normal(0, READ, images.shape)
    step = max(20.0, photons * images.max() / 200)
    return np.clip(np.rint(light / step + 10), 0, 255).astype(np.uint8)


def runs(sampling, n):
    """Give name, places and frames for each number of photons of the conditions."""
    rng = np.random.default_rng(int(100 * sampling))
    places = rng.uniform(-4, 4, (n, 2))
    calm = stars(np.zeros((PUPIL, PUPIL)), sampling, places)
    speckled = stars(wave_front(5, rng), sampling, places)
    planet = planets(sampling, places, rng)
    yield "calm", places, [exposed(calm, each, rng) for each in PHOTONS]
    yield "D/r0 5", places, [exposed(speckled, each, rng) for each in PHOTONS]
    yield "planet", places, [exposed(planet, 100 * each, rng) for each in PHOTONS]
    yield "hot pixels", places, [hot(exposed(calm, each, rng), rng) for each in PHOTONS]
    yield "8 bits", places, [coarse(calm, each, rng) for each in PHOTONS]


def width(frames, places, method):
    """Return the width of the pulls as text."""
    try:
        made = register(ArrayFrames(frames), Window(0, 0, SIDE, SIDE), method=method)
    except lucky.LuckyError:
        return "none"
    error = made.points - places
    pulls = (error - np.nanmedian(error, axis=0)) / made.sigma
    if not np.isfinite(pulls).any():
        return "-"
    if np.isfinite(pulls).all(axis=1).sum() < 20:
        return "few"
    low, high = np.nanquantile(pulls, [0.16, 0.84])
    return f"{(high - low) / 2:.2f}"


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=80, metavar="N")
    parser.add_argument("--sampling", type=float, nargs="+", default=[1.4, 1.6, 2, 2.5, 3.5, 7])
    given = parser.parse_args()
    print(f"| px per lambda/D | light | {' | '.join(METHODS)} |")
    print("|---:|---|" + "---|" * len(METHODS))
    for sampling in given.sampling:
        for name, places, exposures in runs(sampling, given.frames):
            cells = [" ".join(width(e, places, method) for e in exposures) for method in METHODS]
            print(f"| {sampling:g} | {name} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
