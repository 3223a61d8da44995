"""How well each metric ranks frames: Spearman's rank correlation with the true Strehl ratio.

    python benchmarks/ranking.py [--frames 60] [--seeds 2] [--run shared/data/simulated_run]

Runs are simulated at D/r0 of 3, 5, 7 and 10 with stars of 1e4, 1e5 and 1e6 photons a frame, on
7 and on 3 pixels across lambda/D, and calibrated with their dark and flat; stray light with its
slope stays in. The camera has 16 bits, so that the brightest star does not saturate. A frame that
a metric gives no quality counts as the worst. The gain of the selection is the Strehl ratio of the
stack of the best 10 % by the metric, from noise-free images with their true shifts, over that of
the truly best 10 %.

Then, without noise, the Strehl ratio of the keep-fraction curve over the true one of that stack.

With --run, the correlations for a run of files with dark.fits, flat.fits and truth.npz (strehl).
"""

import argparse
import itertools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

import napari_lucky as lucky
from napari_lucky import Calibrate
from napari_lucky.optics.simulation import SIMULATED, Camera
from napari_lucky.pipeline.build import build_chain
from napari_lucky.ranking.rank import RANK_SMOOTH, rank_block

D_OVER_R0 = (3, 5, 7, 10)
PHOTONS = (1e4, 1e5, 1e6)
SMOOTHS = (0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0)  # px
PIXELS_UM = {7: 5.3, 3: 12.36}  # px across lambda/D: pixel
KEEP = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=60, help="of each run")
    parser.add_argument("--seeds", type=int, default=2, help="runs at each point")
    parser.add_argument("--run", type=Path, help="a run of files with its truth")
    parser.add_argument("--sampling", type=int, nargs="+", default=[7, 3], choices=PIXELS_UM)
    given = parser.parse_args()
    for sampling in given.sampling:
        telescope = replace(SIMULATED, pixel_um=PIXELS_UM[sampling])
        rho, gain = over_the_range(given.frames, given.seeds, telescope)
        print(f"\n{sampling} px across lambda/D, each metric at its best smoothing\n")
        tell_table(rho, gain)
        print(f"\nmean correlation over the smoothing (px), {sampling} px across lambda/D\n")
        smoothing_note(rho)
    tell_curve(given.frames)
    if given.run:
        tell_run(given.run)


def over_the_range(frames, seeds, telescope):
    """Return correlation and gain: dicts of (metric, smoothing) to (D/r0, photons) arrays."""
    names = list(itertools.product(lucky.ranking.METRICS, SMOOTHS))
    shape = (len(D_OVER_R0), len(PHOTONS), seeds)
    rho, gain = ({name: np.zeros(shape) for name in names} for _ in range(2))
    for place in np.ndindex(shape):
        run = lucky.simulate_run(
            frames,
            (200, 400),
            d_over_r0=D_OVER_R0[place[0]],
            photons=PHOTONS[place[1]],
            seed=place[2],
            telescope=telescope,
            camera=Camera(saturation_adu=65535),
        )
        block, psf = calibrated(run), diffraction(telescope)
        images = lucky.frames.ArrayFrames(run.truth.focus_images)
        moved = lucky.imaging.Shifted(images, run.truth.shifts).read(slice(None))
        best = stack_peak(moved, run.truth.strehl)
        for metric, smooth in names:
            quality = quality_of(block, metric, smooth, psf)
            rho[metric, smooth][place] = spearmanr(quality, run.truth.strehl).statistic
            gain[metric, smooth][place] = stack_peak(moved, quality) / best
    return tuple({name: runs.mean(axis=2) for name, runs in part.items()} for part in (rho, gain))


def calibrated(run):
    arrays = (lucky.frames.ArrayFrames(some) for some in (run.frames, run.dark, run.flat))
    return lucky.calibrate(*arrays).read(slice(None), lucky.Window.centred(*run.focus))


def diffraction(telescope):
    return lucky.optics.Diffraction(telescope.px_per_lambda_over_d, telescope.obstruction)


def quality_of(block, metric, smooth, psf):
    parts = np.array_split(block, max(1, len(block) // 16))
    quality = np.concatenate([rank_block(part, metric, smooth, psf) for part in parts])
    return np.where(np.isfinite(quality), quality, -np.inf)


def stack_peak(moved, quality):
    """Return the peak of the stack of the best frames, which is its Strehl ratio up to a factor."""
    kept = np.argsort(-quality, kind="stable")[: max(1, round(KEEP * len(quality)))]
    return np.fmax.reduce(moved[kept].mean(axis=0), axis=None)


def tell_table(rho, gain):
    points = [f"{d}, {p:.0e}".replace("e+0", "e") for d in D_OVER_R0 for p in PHOTONS]
    print(f"| metric | smoothing | {' | '.join(points)} | mean | gain |")
    print("|---|" + "---:|" * (len(points) + 3))
    for metric in lucky.ranking.METRICS:
        smooth = max(SMOOTHS, key=lambda s: rho[metric, s].mean())
        values = rho[metric, smooth]
        cells = " | ".join(f"{value:.2f}" for value in values.ravel())
        gained = gain[metric, smooth].mean()
        print(f"| {metric} | {smooth:g} | {cells} | {values.mean():.3f} | {gained:.3f} |")


def smoothing_note(rho):
    print(f"| metric | {' | '.join(f'{s:g}' for s in SMOOTHS)} |")
    print("|---|" + "---:|" * len(SMOOTHS))
    for metric in lucky.ranking.METRICS:
        print(f"| {metric} | {' | '.join(f'{rho[metric, s].mean():.3f}' for s in SMOOTHS)} |")


def tell_curve(frames):
    telescope = SIMULATED
    print("\nStrehl ratio of the keep-fraction curve over the true one, window of 128 px\n")
    print("| D/r0 | best frame | 10 % | all |\n|---:|---:|---:|---:|")
    for d_over_r0 in D_OVER_R0:
        truth = lucky.simulate_run(frames, (200, 400), d_over_r0=d_over_r0, seed=9).truth
        images = lucky.frames.ArrayFrames(truth.focus_images)
        window = lucky.Window.whole(images.shape)
        psf = diffraction(telescope)
        curve = lucky.keep_curve(images, truth.shifts, truth.strehl, window, diffraction=psf)
        order = np.argsort(-truth.strehl)
        shifted = lucky.imaging.Shifted(images, truth.shifts)
        # the peak of a truth image is its Strehl ratio, up to the one factor for all of them
        factor = truth.strehl[order[0]] / truth.focus_images[order[0]].max()
        cells = []
        for count in (1, max(1, round(KEEP * frames)), frames):
            image = lucky.stack_mean(shifted, order[:count], window).image
            cells.append(curve.strehl[count - 1] / (np.nanmax(image) * factor))
        print(f"| {d_over_r0} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")


def tell_run(folder):
    truth = np.load(folder / "truth.npz")
    telescope = SIMULATED  # the run's own figures
    recipe = lucky.Recipe(
        (str(folder),), Calibrate(dark=str(folder / "dark.fits"), flat=str(folder / "flat.fits"))
    )
    chain = build_chain(recipe)
    window = chain.recipe.window("focus")
    block = chain.frames.read(slice(None), window)
    print(f"\n{folder.name}, smoothing {RANK_SMOOTH:g} px, window {window.height} px\n")
    print("| metric | correlation | CPU time a frame (ms) |\n|---|---:|---:|")
    for metric in lucky.ranking.METRICS:
        start = time.thread_time()
        quality = quality_of(block, metric, RANK_SMOOTH, diffraction(telescope))
        each = 1e3 * (time.thread_time() - start) / len(block)
        rho = spearmanr(quality, truth["strehl"]).statistic
        print(f"| {metric} | {rho:.3f} | {each:.2f} |")


if __name__ == "__main__":
    main()
