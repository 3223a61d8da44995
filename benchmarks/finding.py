"""Whether stars are found where they are, and nothing is found where there is none.

    python benchmarks/finding.py [--runs 12] [--seed 3]

1. `find_star` and `find_defocused` on sensors of 240 x 400 with a star in turbulence (D/r0 0.1 to
   8, 2 to 7 px per lambda/D), its defocused image, hot pixels and a slope; on sensors of hot pixels
   and noise, even or on a slope; and of a star without a defocused image.
2. `register` in windows of noise alone: frames in which a star is found.
3. Two stars in the window, 8 to 30 px apart, of about the same or of a fifth of the light, and one
   star alone: runs in which a note says that there is another one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from made_stars import exposed, screens, stars
from napari_lucky import LuckyError, Window, find_star, register
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    find(given.runs, rng)
    noise_alone(given.runs, rng)
    two_stars(given.runs, rng)


if __name__ == "__main__":
    main()
