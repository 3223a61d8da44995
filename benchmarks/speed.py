"""Speed of `napari-lucky process` over that of reading the same files once, and of whole frames.

    python benchmarks/speed.py [--folder /tmp] [--repeats 5] [--frames 2000 8000]

Twenty frames of 1280 x 1024 (uint16) are simulated; two hundred copies of them are written and the
rest are hard links to those (560 MB in a temporary folder), all in the page cache after the first
reading. Everything is timed in turns within one run, and ratios are of what was timed beside each
other: the least time of each, and the median of the ratios. The exit status is 1 if a bound
is missed.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memory import make, measure_memory, measure_time

COPIES = 200
WHOLE = 600
"""Frames that are registered whole."""
KINDS = "fft", "read", "correlate", "register", "stack"
WHOLE_JOB, EACH_FRAME_MS, MORE_MB, MOST_MB = 0.5, 0.25, 20, 300


def copies(folder: Path, frames: list[Path]) -> list[Path]:
    """Copy the distinct frames until there are `COPIES`."""
    out = folder / "copies"
    out.mkdir()
    return [shutil.copyfile(frames[k % len(frames)], out / f"{k}.fits") for k in range(COPIES)]


def link_run(folder: Path, frames: list[Path], n: int) -> Path:
    """Make a run of n files, hard links; return its folder."""
    run = folder / f"run_{n}"
    run.mkdir()
    for k in range(n):
        os.link(frames[k % len(frames)], run / f"AF_{k:05d}.fits")
    return run


def seconds(command: list[str], **how) -> float:
    """Return how long a process takes from start to exit."""
    start = time.perf_counter()
    subprocess.run(command, check=True, **how)
    return time.perf_counter() - start


def read_once(run: Path) -> float:
    """Return the time to read all files of a run."""
    return seconds(["sh", "-c", f"cat {run}/*.fits > /dev/null"])


def whole_job(folder: Path, runs: list[Path], options: list[str], repeats: int) -> int:
    """Print what the command line takes; return how many bounds are missed."""
    names = ["cat", "start-up", *[f"process {run.name[4:]}" for run in runs]]
    times: dict[str, list[float]] = {name: [] for name in names}
    peaks: dict[str, float] = {}
    start_up = [sys.executable, "-c", "import numpy, astropy.io.fits"]
    for turn in range(repeats):
        times["cat"].append(read_once(runs[0]))
        times["start-up"].append(seconds(start_up))
        for run in runs:
            name = f"process {run.name[4:]}"
            times[name].append(measure_time(run, folder / f"out_{turn}_{run.name}", options))
    for run in runs:
        watched = [measure_memory(run, folder / f"again_{k}_{run.name}", options) for k in range(3)]
        peaks[f"process {run.name[4:]}"] = statistics.median(watched)
    few, many = names[2:]
    n = [int(run.name[4:]) for run in runs]
    pairs = zip(times[few], times["cat"], strict=True)
    ratio = statistics.median(job / cat for job, cat in pairs)
    slope = 1e3 * (min(times[many]) - min(times[few])) / (n[1] - n[0])
    print("| what | least (s) | median (s) | peak memory (MB) |\n|---|---:|---:|---:|")
    labels = ["`cat` the run", "start Python, import numpy and astropy", f"`{few}`", f"`{many}`"]
    for name, text in zip(names, labels, strict=True):
        peak = f"{peaks[name]:.0f}" if name in peaks else ""
        took = times[name]
        print(f"| {text} | {min(took):.2f} | {statistics.median(took):.2f} | {peak} |")
    more = peaks[many] - peaks[few]
    bounds = [
        (f"whole job of {n[0]} frames over `cat`", ratio, WHOLE_JOB),
        ("each further frame (ms)", slope, EACH_FRAME_MS),
        (f"memory for {n[1] - n[0]} frames more (MB)", more, MORE_MB),
        ("peak memory (MB)", max(peaks.values()), MOST_MB),
    ]
    return report(bounds)


def whole_frames(folder: Path) -> int:
    """Print what whole frames of 1024 x 1024 take; return how many bounds are missed."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    import scipy.fft

    import napari_lucky as lucky
    from napari_lucky.execution.blocks import cores
    from napari_lucky.pipeline.measure import survey

    run = lucky.open_run(folder / "run_2000")
    frames = lucky.frames.Subset(run, np.arange(WHOLE))
    square = lucky.Window(0, 128, 1024, 1024)
    calibrated = lucky.calibrate(
        frames, lucky.open_run(folder / "dark.fits"), lucky.open_run(folder / "flat.fits")
    )
    some = calibrated.read(slice(0, 8), square)
    blocks = [slice(k, k + 4) for k in range(0, WHOLE, 4)]

    def pooled(function) -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(function, blocks))
        return time.perf_counter() - start

    def transform(block: slice) -> None:
        for k in range(block.start, block.stop):
            scipy.fft.rfft2(some[k % 8])

    def read(block: slice) -> None:  # and keep nothing
        calibrated.read(block, square)

    kept = np.arange(0, WHOLE, 10)
    found = survey(calibrated, square, 2.0, "peak", 1.0)
    seen = found.noise, found.found, found.sampling
    timed: dict[str, list[float]] = {name: [] for name in KINDS}
    for _ in range(3):
        timed["fft"].append(pooled(transform))
        timed["read"].append(pooled(read))
        start = time.perf_counter()
        registration = lucky.register(calibrated, square, method="correlation")
        timed["register"].append(time.perf_counter() - start)
        start = time.perf_counter()
        lucky.register(calibrated, square, method="correlation", seen=seen)
        timed["correlate"].append(time.perf_counter() - start)
        start = time.perf_counter()
        lucky.stack(calibrated, registration.shifts, kept, square)
        timed["stack"].append(time.perf_counter() - start)
    fft, reading, correlate, register, stack = (min(took) for took in timed.values())
    each = 1e3 * register / WHOLE
    print(f"\n| whole frames of 1024 x 1024, {WHOLE} of them | a frame (ms) |\n|---|---:|")
    print(f"| one `scipy.fft.rfft2`, float32 | {1e3 * fft / WHOLE:.2f} |")
    print(f"| read and calibrate | {1e3 * reading / WHOLE:.2f} |")
    print(f"| read, calibrate and correlate | {1e3 * correlate / WHOLE:.2f} |")
    print(f"| the same after a look for the brightest speckle of each frame | {each:.2f} |")
    print(f"| stack a tenth of them, a frame stacked | {1e3 * stack / len(kept):.2f} |")
    return report(
        [
            ("calibrating and correlating over a transform", correlate / fft, 3),
            ("stacking a tenth over reading and calibrating all", stack / reading, 1),
        ]
    )


def report(bounds: list[tuple[str, float, float]]) -> int:
    """Print figures beside their bounds; return how many are missed."""
    print("\n| figure | measured | wanted at most |\n|---|---:|---:|")
    for name, figure, bound in bounds:
        print(f"| {name} | {figure:.2f} | {bound:g} |")
    return sum(figure > bound for _, figure, bound in bounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where 560 MB of files may be put")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--frames", type=int, nargs=2, default=[2000, 8000], metavar="N")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        with multiprocessing.get_context("spawn").Pool(1) as other:
            frames, options = other.apply(make, (folder,))
        frames = copies(folder, frames)
        runs = [link_run(folder, frames, n) for n in given.frames]
        missed = whole_job(folder, runs, [*options, "--keep=0.01"], given.repeats)
        missed += whole_frames(folder)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
