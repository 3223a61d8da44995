"""Smoothing before tracking and ranking: lucky stacks against the best possible, as table rows.

    python benchmarks/smoothing.py

Runs are simulated (`napari_lucky.optics.atmosphere`): an obstruction of 0.3, von Karman turbulence
with tip-tilt, pixels that integrate, sky of 20 e and read noise of 5 e. The best 10 % of the frames
are stacked as `register` and `rank` say, and the noise-free frames are moved the same way. The
oracle chooses and moves by the noise-free frames, by their brightest points.
"""

import sys

import numpy as np

import napari_lucky as lucky
from napari_lucky.calibration.sampling import measure_sampling
from napari_lucky.imaging.shifts import Shifted
from napari_lucky.optics.atmosphere import make_pupil, phase_screens, psfs, screen_factor
from napari_lucky.optics.telescope import Telescope

FRAMES, SIDE = 120, 128
WINDOW = lucky.Window(0, 0, SIDE, SIDE)
CONDITIONS = [
    (2.0, 8, 1_000), (2.0, 8, 3_000), (2.0, 8, 30_000), (2.0, 12, 30_000),
    (3.0, 8, 30_000),
    (3.5, 8, 1_000), (3.5, 8, 3_000), (3.5, 8, 30_000), (3.5, 12, 30_000),
    (7.0, 5, 1_000), (7.0, 5, 3_000), (7.0, 8, 3_000), (7.0, 8, 30_000), (7.0, 12, 30_000),
]  # fmt: skip
FIXED = 1.0, 1.5, 2.0  # px


def main():
    """Print the table."""
    fixed = " | ".join(f"{smooth:g} px" for smooth in FIXED)
    print(f"| px per lambda/D | D/r0 | photons | measured | {fixed} | lambda/D/3 | auto | px |")
    print(f"|{'---:|' * (7 + len(FIXED))}")
    for sampling, d_over_r0, photons in CONDITIONS:
        light = stars(sampling, d_over_r0)
        rng = np.random.default_rng(1)
        noisy = rng.poisson(light * photons + 20) + rng.normal(0, 5, light.shape)
        frames = lucky.frames.ArrayFrames(np.rint(noisy + 100).astype(np.float32))
        best = peak(light, *lucky_frames(lucky.frames.ArrayFrames(light), sampling / 10, 0))
        found = measure_sampling(frames, WINDOW)
        tried = [*FIXED, max(1, sampling / 3), found.smooth]
        made = [peak(light, *lucky_frames(frames, smooth, smooth)) / best for smooth in tried]
        measured = "not known" if found.px is None else f"{found.px:.1f}"
        cells = " | ".join(f"{value:.3f}" for value in made)
        print(
            f"| {sampling:g} | {d_over_r0} | {photons} | {measured} | {cells} | {found.smooth:g} |",
            flush=True,
        )
    return 0


def stars(sampling, d_over_r0):
    """Return PSFs (n, y, x) of flux 1."""
    rng = np.random.default_rng(7)
    telescope = Telescope(0.45, 0.3, 633.0, sampling * 5.3 / 0.633, 5.3)
    pupil = make_pupil(telescope, 64)
    factor = d_over_r0 ** (5 / 6) * screen_factor(pupil, 20 / 0.45)
    out = np.zeros((FRAMES, SIDE, SIDE), np.float32)
    cut = min(SIDE, pupil.field)
    inner, outer = pupil.field // 2 - cut // 2, SIDE // 2 - cut // 2
    for start in range(0, FRAMES, 8):
        images = psfs(phase_screens(rng, 8, pupil, factor, rng), pupil)
        part = images[:, inner : inner + cut, inner : inner + cut]
        out[start : start + 8, outer : outer + cut, outer : outer + cut] = part
    return np.maximum(out, 0)


def lucky_frames(frames, smooth, rank_smooth):
    """Return the shifts of all frames and the best 10 % of those with a star."""
    found = lucky.register(frames, WINDOW, smooth=smooth)
    quality = lucky.rank(frames, WINDOW, smooth=rank_smooth)
    return found.shifts, lucky.select(np.where(found.found, quality, np.nan), FRAMES // 10)


def peak(light, shifts, kept):
    """Return the peak of the noise-free stack, where all frames have light."""
    moved = Shifted(lucky.frames.ArrayFrames(light), shifts).read(kept)
    return np.nanmax(np.mean(moved, axis=0))


if __name__ == "__main__":
    sys.exit(main())
