"""Whether stars are found where they are, and nothing is found where there is none.

    python benchmarks/finding.py [--runs 12] [--seed 3]

1. `find_star` and `find_defocused` on sensors of 240 x 400 with a star in turbulence (D/r0 0.1 to
   8, 2 to 7 px per lambda/D), its defocused image, hot pixels and a slope; on sensors of hot pixels
   and noise, even or on a slope; and of a star without a defocused image.
2. `register` in windows of noise alone: frames in which a star is found.
3. Two stars in the window, 8 to 30 px apart, of about the same or of a fifth of the light, and one
   star alone: runs in which a note says that there is another one.
4. Granulation that fills a window of 96 px, and stars: runs whose light is taken for a star's.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from made_stars import exposed, screens, stars
from napari_lucky import LuckyError, Window, find_star, register
from napari_lucky.calibration.sampling import measure_sampling
from napari_lucky.frames import ArrayFrames
from napari_lucky.registration.find_defocused import find_defocused

SIDE, N, SHAPE = 128, 24, (240, 400)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]


def star(rng, n=N, side=SIDE):
    """Return images of a star of light 1 in turbulence."""
    phases = screens(n, rng.choice([0.1, 3.0, 8.0]), rng)
    return stars(phases, rng.choice([2.0, 3.5, 7.0]), side, rng.normal(0, 1, (n, 2)))


def sensor(rng, focused=True, defocused=True, slope=0.3):
    """Return frames of a sensor and where the middles of the two images are."""
    light = np.zeros((N, *SHAPE))
    at = rng.integers(70, 170), rng.integers(70, 130)
    beside = rng.integers(70, 170), rng.integers(260, 330)
    if focused:
        y, x = (place - SIDE // 2 for place in at)
        light[:, y : y + SIDE, x : x + SIDE] += star(rng)
    if defocused:
        far = np.hypot(Y - beside[0], X - beside[1])
        ring = ((far < 30) & (far > 9)).astype(float)
        light += ring / ring.sum()
    frames = exposed(light, 10 ** rng.uniform(4.5, 6), rng) + slope * X
    frames[:, rng.integers(0, SHAPE[0], 30), rng.integers(0, SHAPE[1], 30)] += 2000
    return ArrayFrames(frames.astype(np.float32)), at, beside


def near(window, place, most=12):
    return window is not None and np.abs(np.subtract(window.centre, place)).max() <= most


def found_star(frames):
    try:
        return find_star(frames)
    except LuckyError:
        return None


def find(runs, rng):
    counts = np.zeros(5, int)
    for _ in range(runs):
        frames, at, beside = sensor(rng)
        window = found_star(frames)
        counts[0] += near(window, at) or near(window, beside)
        focus = Window.centred(*at, SIDE)
        counts[1] += near(find_defocused(frames, focus), beside)
        for at_slope, slope in enumerate((0, 0.3)):
            noise, *_ = sensor(rng, False, False, slope)
            counts[2 + at_slope] += found_star(noise) is not None
        frames, at, _ = sensor(rng, True, False)
        counts[4] += find_defocused(frames, Window.centred(*at, SIDE)) is not None
    print(f"of {runs} stars {counts[0]} are found, of their defocused images {counts[1]};")
    print(f"of {runs} sensors of noise a star is found on {counts[2]}, on a slope on {counts[3]},")
    print(f"and beside {runs} stars alone {counts[4]} defocused images.")


def noise_alone(runs, rng):
    found = 0
    for _ in range(runs):
        frames = ArrayFrames(rng.normal(100, 5, (100, 96, 96)).astype(np.float32))
        try:
            found += int(register(frames, Window(8, 8, 80, 80)).found.sum())
        except LuckyError:
            continue
    print(f"\nOf {100 * runs} frames of noise, a star is found in {found}.")


def two_stars(runs, rng):
    print("\n| stars | runs | runs with a note of another star |\n|---|---:|---:|")
    for name, share in (("one", 0.0), ("two, alike", 0.9), ("two, one of a fifth", 0.2)):
        notes = 0
        for _ in range(runs):
            images = star(rng, 60)
            angle, apart = rng.uniform(0, 2 * np.pi), rng.uniform(8, 30)
            off = np.rint(apart * np.array([np.sin(angle), np.cos(angle)])).astype(int)
            images = images + share * np.roll(images, off, axis=(1, 2))
            frames = ArrayFrames(exposed(images, 10 ** rng.uniform(4.5, 6), rng))
            made = register(frames, Window(8, 8, 112, 112))
            text = " ".join((*made.notes, *made.reasons))
            notes += any(word in text for word in ("another star", "nother star", "double star"))
        print(f"| {name} | {runs} | {notes} |", flush=True)


def granulation(rng):
    """Return 8 exposures (y, x) of a texture that moves and is blurred by turbulence."""
    side = 2 * 96
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) * rng.uniform(5, 35)
    texture = np.fft.ifft2(np.fft.fft2(rng.normal(size=f.shape)) * np.exp(-(((f - 1) / 0.5) ** 2)))
    light = 1 + rng.uniform(0.05, 0.2) * texture.real / texture.real.std()
    psf = stars(
        screens(8, rng.choice([0.1, 3.0, 8.0]), rng), rng.choice([2, 3.5, 7]), 96, [(0, 0)] * 8
    )
    blurred = np.fft.fft2(psf / psf.sum(axis=(1, 2), keepdims=True), (side, side)) * np.fft.fft2(
        light
    )
    return np.fft.ifft2(blurred).real[:, 76:172, 76:172]


def textures(runs, rng):
    window, called = Window(0, 0, 96, 96), np.zeros(2, int)
    for _ in range(runs):
        images = granulation(rng), star(rng, 8, 96)
        for k, (image, light) in enumerate(zip(images, (4, 4.5), strict=True)):
            photons = 10 ** rng.uniform(light, light + 1)
            frames = ArrayFrames(exposed(image, photons, rng))
            called[k] += measure_sampling(frames, window).star
    print(
        f"\nOf {runs} windows of granulation {called[0]} are taken for a star, of {runs} ", end=""
    )
    print(f"stars {called[1]}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    find(given.runs, rng)
    noise_alone(given.runs, rng)
    two_stars(given.runs, rng)
    textures(given.runs, rng)


if __name__ == "__main__":
    main()
