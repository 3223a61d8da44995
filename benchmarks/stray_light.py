"""What is left out, and said, where other light than the star's is in the window.

    python benchmarks/stray_light.py [--runs 24] [--seed 23] [--clean 60] [--close 120]

Stars in turbulence (D/r0 0.5 to 8, 2.5 to 7 px per lambda/D, 1e4 to 1e6 photons, windows of 64 to
160 px, a third of them drifting), 40 frames a run. Four frames of each have stray light from one
side, a slope, a satellite's trail or a bright blob, of 0.5 to 20 times the star's peak. Printed are
frames whose tracked point is far from the star and that are kept, and good frames left out; then
good frames left out of clean runs, a third of them with a gust, and their notes.

Then a neighbour comes into view 6 to 12 px beside a star that shakes by up to 4 px, in 3 to 15 % of
60 to 160 frames; and cosmic rays hit the star's core, 1 to 3 px of 0.5 to 3 times its peak, in 5 of
100 frames.
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


def shaking_star(n, d_over_r0, sampling, rng):
    """Return images of a star of light 1 that scintillates, its phases and places."""
    phases, reach = screens(n, d_over_r0, rng), rng.choice([0.5, 1, 2, 3, 4])
    places = rng.uniform(-reach, reach, (n, 2))
    light = np.maximum(1 + rng.choice([0, 0.1]) * rng.normal(size=(n, 1, 1)), 0.3)
    return light * stars(phases, sampling, 96, places), phases, places


def close_neighbours(runs, rng):
    """Print how many frames with a neighbour are left out, said to be in doubt, or neither."""
    methods = ("brightest", "correlation")
    counts = {ratio: dict.fromkeys(methods, (0, 0, 0)) for ratio in (0, 1.5, 2, 3, 5)}
    for _ in range(runs):
        ratio, n = rng.choice(list(counts)), int(rng.integers(60, 161))
        sampling, d_over_r0 = rng.choice([2, 2.5, 3, 4, 7]), rng.choice([1, 3, 5, 8])
        images, phases, places = shaking_star(n, d_over_r0, sampling, rng)
        bad = rng.choice(n, max(3, round(rng.uniform(0.03, 0.15) * n)), replace=False)
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(6, 12)
        beside = places + distance * np.array([np.sin(angle), np.cos(angle)])
        images[bad] += ratio * stars(phases[bad], sampling, 96, beside[bad])
        frames = exposed(images, 10 ** rng.uniform(3.7, 6), rng)
        for method in methods:
            made = register(ArrayFrames(frames), Window.centred(48, 48, 96), method=method)
            lost = int((~made.found[bad]).sum())
            said = any("the light of the others" in note for note in made.notes)
            new = (len(bad), lost, said * (len(bad) - lost))
            counts[ratio][method] = tuple(np.add(counts[ratio][method], new).tolist())
    print("\n| method | times as bright | frames | left out | said | silent |")
    print("|---|---:|---:|---:|---:|---:|")
    for method in methods:
        for ratio, made in counts.items():
            frames, lost, said = made[method]
            print(f"| {method} | {ratio:g} | {frames} | {lost} | {said} | {frames - lost - said} |")


def cosmic_rays(runs, rng):
    """Print how many frames whose star is hit are kept, and good ones left out."""
    print("\n| px per lambda/D | hit | kept | hit, under 200 e- | kept | good left out |")
    print("|---|---:|---:|---:|---:|---:|")
    for sampling in (1.5, 2, 2.5, 3, 4, 7):
        counts = np.zeros(5, int)
        for _ in range(runs):
            images, _, _ = shaking_star(100, rng.choice([0.1, 1, 3, 5, 8]), sampling, rng)
            photons = 10 ** rng.uniform(3.7, 6)
            frames, bad = exposed(images, photons, rng), rng.choice(100, 5, replace=False)
            for k in bad:
                middle = np.array(np.unravel_index(images[k].argmax(), (96, 96)))
                hit = middle + rng.integers(-1, 2, 2) * (rng.random(2) < 0.5)
                for part in (1, *rng.uniform(0.3, 1, rng.integers(3))):
                    y, x = np.clip(hit, 0, 95)
                    frames[k, y, x] += part * rng.uniform(0.5, 3) * photons * images[k].max()
                    hit = hit + rng.permutation([rng.choice([-1, 1]), rng.integers(-1, 2)])
            made = register(ArrayFrames(frames), Window.centred(48, 48, 96))
            faint = 2 * (photons * np.median(images.max(axis=(1, 2))) < 200)
            counts[faint : faint + 2] += len(bad), made.found[bad].sum()
            good = np.delete(np.array(made.reasons), bad)
            counts[4] += sum(why.startswith("a cosmic ray") for why in good)
        print(f"| {sampling:g} | {' | '.join(map(str, counts))} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--clean", type=int, default=60)
    parser.add_argument("--close", type=int, default=120)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    spoiled_runs(given.runs, rng)
    clean_runs(given.clean, rng)
    close_neighbours(5 * given.close, np.random.default_rng(given.seed))
    cosmic_rays(given.close // 3, np.random.default_rng(given.seed))


if __name__ == "__main__":
    main()
