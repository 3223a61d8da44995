"""What is masked, and what is masked wrongly: hot pixels, outliers, clipped light, dust.

    python benchmarks/masks.py [--runs 6] [--seed 5]

The truth is known: hot pixels put into a dark and into the frames of a star, cosmic rays, a
clipping level, shadows of dust on a flat. Stars are at 2 to 7 px per lambda/D, in turbulence of
D/r0 0.1 to 8. Printed are, for each rule, how many of how many were found, and what was masked or
stated where there was nothing.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from made_stars import R, exposed, screens, stars
from napari_lucky import LuckyError, Window, register
from napari_lucky.calibration import hot_pixels
from napari_lucky.calibration.bad_pixels import standing_pixels
from napari_lucky.calibration.calibrate import Calibrated
from napari_lucky.calibration.saturation import clipping_level, plateau_notes
from napari_lucky.cleaning import DustShadow, OutliersRemoved, find_dust, transmission
from napari_lucky.frames import ArrayFrames

SIDE, N = 128, 40
HOT_GROUPS = (
    (0.5, ((0, 0),)),
    (1.0, ((0, 0), (0, 1))),
    (1.0, ((0, 0), (1, 0))),
    (0.7, ((0, 0), (0, 1), (1, 0))),
)
"""Of the peak of the mean star, and pixels (y, x) that are hot together."""
SAMPLINGS, TURBULENCE = (2.0, 3.5, 7.0), (0.1, 3.0, 8.0)


def star(rng):
    """Return images of a star of light 1 in turbulence."""
    phases = screens(N, rng.choice(TURBULENCE), rng)
    return stars(phases, rng.choice(SAMPLINGS), SIDE, rng.normal(0, 1, (N, 2)))


def places(rng, count, shape):
    """Return a mask of so many pixels, none beside another."""
    mask = np.zeros(shape, bool)
    grid = mask[..., ::4, ::4]
    grid.flat[rng.choice(grid.size, count, replace=False)] = True
    return mask


def hot_in_dark(rng):
    dark = 100 + 0.02 * np.arange(400) + rng.normal(0, 2, (300, 400))
    hot = places(rng, 100, dark.shape)
    dark[hot] += rng.uniform(24, 400, hot.sum())
    found = hot_pixels(dark)
    return (found & hot).sum(), hot.sum(), (found & ~hot).sum()


def hot_in_run(rng):
    frames = exposed(star(rng), 10 ** rng.uniform(4, 6), rng)
    hot = places(rng, 40, frames.shape[1:])
    frames[:, hot] += rng.uniform(40, 2000, hot.sum())
    found = np.asarray(standing_pixels(ArrayFrames(frames)))
    return (found & hot).sum(), hot.sum(), (found & ~hot).sum()


def hot_beside(rng):
    """One to three touching hot pixels, one or two pixels from the star's middle."""
    phases = screens(N, rng.choice((0.1, 1, 3, 6)), rng)
    moves = rng.normal(0, rng.choice((0.1, 0.3, 1)), (N, 2)) + rng.uniform(-0.5, 0.5, 2)
    images = stars(phases, rng.choice((1.5, 2, 3, 4.5, 6)), 64, moves)
    photons = rng.choice((3e3, 2e5))
    clean = exposed(images, photons, rng)
    mean = photons * images.mean(axis=0)
    distance, angle = rng.choice((1, 2)), rng.uniform(0, 2 * np.pi)
    y, x = np.unravel_index(mean.argmax(), mean.shape)
    y, x = int(y + np.rint(distance * np.sin(angle))), int(x + np.rint(distance * np.cos(angle)))
    part, group = HOT_GROUPS[rng.integers(len(HOT_GROUPS))]
    hot = clean.copy()
    for down, across in group:
        hot[:, y + down, x + across] += part * mean.max()
    masked = all(np.asarray(standing_pixels(ArrayFrames(hot)))[y + a, x + b] for a, b in group)
    false = np.asarray(standing_pixels(ArrayFrames(clean))).any() or says_hot(clean)
    return masked or says_hot(hot), 1, false


def says_hot(frames):
    try:
        return "hot pixels do" in " ".join(
            register(ArrayFrames(frames), Window(0, 0, 64, 64)).notes
        )
    except LuckyError:
        return False


def cosmic_rays(rng):
    images = star(rng)
    photons = 10 ** rng.uniform(4, 6)
    frames = exposed(images, photons, rng)
    rays = places(rng, 400, frames.shape)
    frames[rays] += rng.uniform(10, 100, rays.sum()) * np.sqrt(25 + photons * images[rays])
    found = OutliersRemoved(ArrayFrames(frames), sigma=6).found(slice(None))
    return (found & rays).sum(), rays.sum(), (found & ~rays).sum()


def clipped(rng):
    images, level, found, false = star(rng), 4095, 0, 0
    for height in (0.6, 1.3):  # of the brightest pixel, over the level
        frames = exposed(images, height * level / images.max(), rng)
        frames = np.minimum(np.rint(frames), level).astype(np.uint16)
        stated = clipping_level(Calibrated(ArrayFrames(frames)), Window(0, 0, SIDE, SIDE))
        found += height > 1 and stated == level
        false += height < 1 and stated is not None
    return found, 1, false


def flat_tops(rng):
    """Clip a star of few or many frames, in focus or not, and read it with more noise."""
    n, defocus = rng.choice([1, 4, 6, N]), 2 * np.pi * rng.choice([0, 0.5, 1, 2])  # peak to valley
    phases = rng.choice([0, 1]) * screens(n, rng.choice(TURBULENCE), rng)
    phases = phases + defocus * 4 * (R[:, None] ** 2 + R**2)
    images = stars(phases, rng.choice([*SAMPLINGS, 12.0]), SIDE, rng.normal(0, 1, (n, 2)))
    level, found, false = 4095, 0, 0
    for height in (0.6, 2):
        frames = np.minimum(exposed(images, height * level / images.max(), rng), level)
        frames += rng.normal(0, 0.005 * level, frames.shape) * (height > 1)
        seen = Calibrated(ArrayFrames(np.rint(frames).astype(np.uint16)))
        notes = plateau_notes(seen, Window(0, 0, SIDE, SIDE))
        found += height > 1 and len(notes) > 0
        false += height < 1 and len(notes) > 0
    return found, 1, false


def dust(rng):
    y, x = np.mgrid[:300, :400]
    radius = 12.0
    at = [(60 + 90 * k + rng.uniform(-8, 8), 60 + 90 * j + rng.uniform(-8, 8)) for k in range(3)
          for j in range(4)]  # fmt: skip
    light = 3000 * (1 - 0.3 * ((y - 140) ** 2 + (x - 215) ** 2) / 250**2)
    for spot in at:
        r = (np.hypot(y - spot[0], x - spot[1]) / radius).clip(0, 1)
        light = light * (1 - rng.uniform(0.01, 0.2) * (0.5 + 0.5 * np.cos(np.pi * r)))
    flat = (light * rng.normal(1, 0.003, light.shape)).astype(np.float32)
    spots = find_dust(flat, radius, 40)
    near = [min(np.hypot(s.y - a, s.x - b) for a, b in at) < 2 for s in spots]
    return sum(near), len(at), len(near) - sum(near)


def shadow_left(rng):
    """Return what is left of a shadow that is divided out, over its depth."""
    y, x = np.mgrid[:200, :200]
    left = []
    for depth in (0.05, 0.1, 0.2):
        r = (np.hypot(y - 100.3, x - 99.6) / 12).clip(0, 1)
        image = 3000 * (1 + 1e-3 * x) * (1 - depth * (0.5 + 0.5 * np.cos(np.pi * r)))
        image = (image * rng.normal(1, 0.003, image.shape)).astype(np.float32)
        even = image / transmission(image, [DustShadow(100.3, 99.6, 12.0)]) / (1 + 1e-3 * x)
        left.append(abs(even[r < 0.5].mean() / np.median(even[r == 1]) - 1) / depth)
    return max(left)


RULES = {
    "hot pixels of a dark": hot_in_dark,
    "hot pixels of a run": hot_in_run,
    "groups of hot pixels beside a star's middle": hot_beside,
    "cosmic rays": cosmic_rays,
    "clipping levels": clipped,
    "flat tops": flat_tops,
    "dust on a flat": dust,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    print("| what | there | found | masked or stated wrongly |\n|---|---:|---:|---:|")
    for name, rule in RULES.items():
        found, there, false = np.sum([rule(rng) for _ in range(given.runs)], axis=0)
        print(f"| {name} | {there} | {found} | {false} |", flush=True)
    print(f"\nof a shadow divided out, at most {shadow_left(rng):.1%} of its depth is left")


if __name__ == "__main__":
    main()
