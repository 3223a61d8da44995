"""What each way to stack reaches: time and memory, Strehl ratio, truth of its variance.

    python benchmarks/stacking.py [--runs 2] [--frames 200] [--only cost|strehl|pulls]

Cost: each method stacks 200 and 2,000 frames of 128 x 128 px that are made as they are read, in a
process of its own.

Strehl: runs are simulated at several D/r0, processed, and the 10 % stacks compared with the best
possible: the truly best tenth of the noise-free frames, brought together by their true brightest
points. Fourier-lucky's fraction is chosen so that the noise of its background, far from the
star, is that of the mean of the best tenth, and their Strehl ratios are compared.

Pulls: a still star in noise is stacked again and again, with the same shifts; given is the scatter
of the stacks over the error bar, in the star and in the sky.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
from scipy import ndimage

from napari_lucky import Window, calibrate, rank, register, select, simulate_run, stack, stack_mean
from napari_lucky.frames import ArrayFrames

METHODS = ("mean", "median", "clipped,3", "weighted,1", "fourier,0.1", "drizzle,2,0.7")


def strehl(image):
    """Return peak over flux within 48 px, background from the ring of 52 to 56 px."""
    image = np.where(np.isfinite(image), image, ndimage.median_filter(np.nan_to_num(image), 5))
    y, x = np.unravel_index(ndimage.gaussian_filter(image, 1).argmax(), image.shape)
    rows, columns = np.indices(image.shape)
    radius = np.hypot(rows - y, columns - x)
    light = image.astype(float) - np.median(image[(radius > 52) & (radius <= 56)])
    dy, dx = (axis.ravel() for axis in np.mgrid[-2:3, -2:3])
    terms = np.stack([np.ones(25), dy, dx, dy * dy, dy * dx, dx * dx], axis=1)
    c = np.linalg.lstsq(terms, light[y - 2 : y + 3, x - 2 : x + 3].ravel(), rcond=None)[0]
    slope, bend = c[1:3], np.array([[2 * c[3], c[4]], [c[4], 2 * c[5]]])
    return (c[0] - slope @ np.linalg.solve(bend, slope) / 2) / light[radius <= 48].sum()


def background_noise(image):
    """Return the noise of single pixels 56 to 64 px from the middle: what a plane leaves."""
    rows, columns = np.indices(image.shape) - len(image) // 2
    ring = (np.hypot(rows, columns) > 56) & np.isfinite(image)
    high = image - ndimage.gaussian_filter(np.nan_to_num(image), 2)
    return 1.4826 * np.median(np.abs(high[ring] - np.median(high[ring])))


def prepared(d_over_r0, frames, seed):
    """Return a run's truth, its calibrated frames, window, shifts and kept frames."""
    run = simulate_run(frames, d_over_r0=d_over_r0, seed=seed, focus_size=192, defocus_size=192)
    calibrated = calibrate(
        ArrayFrames(run.frames), ArrayFrames(run.dark), ArrayFrames(run.flat), saturation=4095
    )
    window = Window.centred(*run.focus[:2], 128)
    shifts = register(calibrated, window).shifts
    quality = rank(calibrated, window)
    return run.truth, calibrated, window, shifts, select(quality, 0.1), quality


def best_possible(truth, count):
    best = np.argsort(-truth.strehl)[:count]
    moved = [ndimage.shift(truth.focus_images[k].astype(float), truth.shifts[k]) for k in best]
    return np.mean(moved, axis=0)[32:-32, 32:-32]


def at_equal_noise(calibrated, shifts, window, noise, n):
    """Return Fourier-lucky's stack with the least fraction whose noise is no more than that."""
    low, high = 1 / n, 1.0
    for _ in range(7):
        middle = (low + high) / 2
        made = stack(calibrated, shifts, np.arange(n), window, method=f"fourier,{middle}").image
        low, high = (middle, high) if background_noise(made) > noise else (low, middle)
    made = stack(calibrated, shifts, np.arange(n), window, method=f"fourier,{high}").image
    return high, made


def print_strehl(runs, frames):
    print(
        "| D/r0 | 10 % mean over best possible | Fourier-lucky: fraction | its Strehl gain |",
        end="",
    )
    print(" weighted | median | clipped,3: flux lost (%) |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for d_over_r0 in (3, 5, 7, 10):
        rows = []
        for seed in range(runs):
            truth, calibrated, window, shifts, kept, quality = prepared(d_over_r0, frames, seed)
            mean = stack(calibrated, shifts, kept, window).image
            reached = strehl(mean)
            fraction, lucky = at_equal_noise(
                calibrated, shifts, window, background_noise(mean), frames
            )
            others = {
                by: stack(calibrated, shifts, kept, window, method=by, quality=quality).image
                for by in ("weighted,1", "median", "clipped,3")
            }
            sky = np.nanmedian(np.concatenate([mean[0], mean[-1], mean[:, 0], mean[:, -1]]))
            lost = np.nansum(mean - others["clipped,3"]) / np.nansum(mean - sky)
            rows.append(
                [
                    reached / strehl(best_possible(truth, len(kept))),
                    fraction,
                    strehl(lucky) / reached,
                    strehl(others["weighted,1"]) / reached,
                    strehl(others["median"]) / reached,
                    100 * lost,
                ]
            )
        low, high = np.min(rows, axis=0), np.max(rows, axis=0)
        cells = [f"{a:.3f}–{b:.3f}" for a, b in zip(low, high, strict=True)]
        print(f"| {d_over_r0} | {' | '.join(cells)} |", flush=True)


def print_pulls(runs=40):
    """Stack a still star in photon and read noise; compare the scatter over runs with the variance.

    Shifts and quality are the same in all runs: where frames sample a drizzled star is no noise.
    """
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:64, :64] - 32
    print("\n| method | frames | star | sky | flux error (%) |")
    print("|---|---:|---:|---:|---:|")
    for method in (*METHODS, "fourier,0.3", "drizzle,1.5,1", "drizzle,3,0.5"):
        for frames in (20, 100):
            shifts, quality = rng.uniform(-4, 4, (frames, 2)), rng.uniform(1, 2, frames)
            light = [100 + 5000 * np.exp(-((y + a) ** 2 + (x + b) ** 2) / 8) for a, b in shifts]
            window, every = Window.centred(32, 32, 40), np.arange(frames)
            made = []
            for _ in range(runs):
                noisy = ArrayFrames(rng.normal(light, np.sqrt(np.array(light) / 2 + 9)))
                made.append(stack(noisy, shifts, every, window, method=method, quality=quality))
            images = np.array([stack.image for stack in made], float)
            stated = np.mean([stack.variance for stack in made], axis=0)
            scale = made[0].scale
            radius = np.hypot(*((np.indices(stated.shape) + 0.5) / scale - 0.5 - 20))
            star, sky = (
                np.sqrt(images[:, part].var(axis=0, ddof=1).mean() / stated[part].mean())
                for part in (radius < 3, radius > 10)
            )
            flux = (images.mean(axis=0) - 100).sum() / scale**2 / (5000 * 2 * np.pi * 4) - 1
            found = f"{star:.3f} | {sky:.3f} | {100 * flux:+.3f}"
            print(f"| {method} | {frames} | {found} |", flush=True)


class Made:
    """A run without end: a star in noise, the same few frames again and again."""

    dtype = np.dtype(np.float32)

    def __init__(self, n):
        self.shape = (n, 224, 224)
        y, x = np.mgrid[:224, :224] - 112
        star = 1000 * np.exp(-(y**2 + x**2) / 50)
        rng = np.random.default_rng(0)
        self.some = (star + rng.normal(100, 10, (16, 224, 224))).astype(np.float32)

    def read(self, frames, window=None):
        index = np.arange(self.shape[0])[frames] % 16
        return self.some[(index, *(window or Window.whole(self.shape)).slices)]


def stack_once(method, n):
    """Stack made frames; print seconds and the peak of the memory in MB."""
    frames = Made(n)
    rng = np.random.default_rng(1)
    shifts, quality = rng.uniform(-4, 4, (n, 2)), rng.uniform(1, 2, n)
    window = Window(48, 48, 128, 128)
    stack_mean(frames, np.arange(4), window)  # imports
    before = time.perf_counter()
    stack(frames, shifts, np.arange(n), window, method=method, quality=quality)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    print(time.perf_counter() - before, peak)


def print_cost(few=200, many=2000):
    print(f"\n| method | ms a frame, {few} | {many} | peak memory (MB), {few} | {many} |")
    print("|---|---:|---:|---:|---:|")
    for method in METHODS:
        found = []
        for n in (few, many):
            command = [sys.executable, __file__, "--once", method, str(n)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            seconds, peak = map(float, output.split())
            found.append((1e3 * seconds / n, peak))
        (a, b), (c, d) = found
        print(f"| {method} | {a:.2f} | {c:.2f} | {b:.0f} | {d:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--once", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=("cost", "strehl", "pulls"))
    given = parser.parse_args()
    if given.once:
        stack_once(given.once[0], int(given.once[1]))
        return
    if given.only in (None, "cost"):  # first: a process inherits the peak of what starts it
        print_cost()
        print()
    if given.only in (None, "strehl"):
        print_strehl(given.runs, given.frames)
    if given.only in (None, "pulls"):
        print_pulls()


if __name__ == "__main__":
    main()
