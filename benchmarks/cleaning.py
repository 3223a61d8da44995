"""Time a frame and peak memory of `napari-lucky process` with each step of the cleaning, and all.

    python benchmarks/cleaning.py [--frames 100 500] [--folder /tmp]

The runs are those of `memory.py`. The time a frame is the slope between the short run and the
long one, so that what is done once (imports, masters, where dust is) does not count; it is given
apart, as the time of the short run less its frames'.
"""

import argparse
import multiprocessing
import tempfile
from pathlib import Path

from memory import link_run, make, measure_memory, measure_time

STEPS = {
    "off": [],
    "dust (5 spots)": ["--dust=5,8"],
    "outliers": ["--outliers=6"],
    "flicker": ["--flicker=6"],
    "background, order 4": ["--background=4"],
    "noise cut": ["--noise-cut=3"],
    "low-pass": ["--low-pass=1,7"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs=2, default=[100, 500], metavar="N")
    parser.add_argument("--folder", type=Path, help="where some 60 MB of files may be put")
    given = parser.parse_args()
    few, many = given.frames
    steps = {**STEPS, "all on": [option for step in STEPS.values() for option in step]}
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        with multiprocessing.get_context("spawn").Pool(1) as other:
            frames, options = other.apply(make, (folder,))
        runs = [link_run(folder, frames, n) for n in (few, many)]
        print(f"| step | a frame (ms) | once (s) | peak memory, {many} frames (MB) |")
        print("|---|---:|---:|---:|")
        for number, (step, more) in enumerate(steps.items()):
            short, long = (
                measure_time(run, folder / f"out_{number}_{run.name}", [*options, *more])
                for run in runs
            )
            peak = measure_memory(runs[1], folder / f"again_{number}", [*options, *more])
            each = (long - short) / (many - few)
            once = short - few * each
            print(f"| {step} | {1e3 * each:.2f} | {once:.1f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
