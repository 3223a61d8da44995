"""What is left out, and said, where other light than the star's is in the window.

    python benchmarks/stray_light.py [--runs 24] [--seed 23] [--clean 60]

Stars in turbulence (D/r0 0.5 to 8, 2.5 to 7 px per lambda/D, 1e4 to 1e6 photons, windows of 64 to
160 px, a third of them drifting), 40 frames a run. Four frames of each have stray light from one
side, a slope, a satellite's trail or a bright blob, of 0.5 to 20 times the star's peak. Printed are
frames whose tracked point is far from the star and that are kept, and good frames left out; then
good frames left out of clean runs, a third of them with a gust, and their notes.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from made_stars import exposed, screens, stars
from napari_lucky import LuckyError, Window, register
from napari_lucky.frames import ArrayFrames

METHODS = ("brightest", "centroid", "correlation", "template")
SIDE = 160
KINDS = ("stray light", "slope", "trail", "blob")
Y, X = np.mgrid[:SIDE, :SIDE] - SIDE / 2


def other_light(kind, top, rng):
    """Return light that is not the star's, whose peak is `top`."""
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(5, 60)
    across = X * np.cos(angle) + Y * np.sin(angle)
    if kind == "stray light":
        return top * np.exp(-(across + SIDE / 2) / length)
    if kind == "slope":
        return top * np.clip(across / (SIDE / 2) + 0.5, 0, None)
    if kind == "trail":
        return top * np.exp(-(((across - rng.uniform(-40, 40)) / 2.5) ** 2) / 2)
    y, x = rng.uniform(-45, 45, 2)
    return top * np.exp(-((X - x) ** 2 + (Y - y) ** 2) / 2 / (3 + length / 4) ** 2)


def star(n, d_over_r0, sampling, rng, drift=0, gust=False):
    """Return images of a star of light 1, and where it is, off the middle."""
    places = rng.normal(0, 1, (n, 2)) + drift * np.linspace(-10, 10, n)[:, None] * (1, 0.5)
    if gust:
        places[n // 2 : n // 2 + 6] += rng.normal(0, 12, 2)
    return stars(screens(n, d_over_r0, rng), sampling, SIDE, places), places


def off_star(made, places, good):
    """Return how far the tracked points are from where they usually are on the star, and that."""
    away = made.points - SIDE // 2 - places
    away = np.linalg.norm(away - np.nanmedian(away[good], axis=0), axis=1)
    return away, float(np.nanmedian(away[good]))


def spoiled_runs(runs, rng):
    counts = {method: [0, 0, 0] for method in METHODS}
    for _ in range(runs):
        d_over_r0, sampling = rng.choice([0.5, 3, 5, 8]), rng.choice([2.5, 4, 7])
        photons, n = 10 ** rng.uniform(4, 6), 40
        images, places = star(n, d_over_r0, sampling, rng, drift=rng.choice([0, 0, 1]))
        frames, top = exposed(images, photons, rng), photons * np.median(images.max(axis=(1, 2)))
        window = Window.centred(SIDE // 2, SIDE // 2, int(rng.choice([64, 96, 128, 160])))
        bad = rng.choice(np.arange(3, n - 3), 4, replace=False)
        for k in bad:
            height = top * 10 ** rng.uniform(-0.3, 1.3)
            frames[k] += rng.poisson(other_light(rng.choice(KINDS), height, rng))
        good = np.setdiff1d(np.arange(n), bad)
        for method in METHODS:
            try:
                made = register(ArrayFrames(frames), window, method=method)
            except LuckyError:
                continue
            away, usual = off_star(made, places, good)
            counts[method][0] += len(bad)
            counts[method][1] += int((made.found[bad] & (away[bad] > max(6, 6 * usual))).sum())
            counts[method][2] += int((~made.found[good]).sum())
    print("| method | spoiled frames | kept far from the star | good frames left out |")
    print("|---|---:|---:|---:|")
    for method, (frames, kept, lost) in counts.items():
        print(f"| {method} | {frames} | {kept} | {lost} |")


def clean_runs(runs, rng):
    frames = lost = notes = 0
    for _ in range(runs):
        d_over_r0 = rng.choice([0.1, 1, 3, 5, 8, 12])
        images, _ = star(60, d_over_r0, rng.choice([2.2, 3.5, 5, 7]), rng, gust=rng.random() < 0.3)
        seen = ArrayFrames(exposed(images, 10 ** rng.uniform(3.3, 6), rng))
        for method in METHODS:
            try:
                made = register(seen, Window.centred(SIDE // 2, SIDE // 2, 96), method=method)
            except LuckyError:
                continue
            frames += 60
            lost += sum("draws the tracking off" in why for why in made.reasons)
            notes += sum("nother star" in note for note in made.notes)
    print(f"\n{frames} clean frames: {lost} left out for other light, {notes} notes of a star.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--clean", type=int, default=60)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    spoiled_runs(given.runs, rng)
    clean_runs(given.clean, rng)


if __name__ == "__main__":
    main()
