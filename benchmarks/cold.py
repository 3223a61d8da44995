"""Time runs whose files are not in memory: fetched ahead, one after the other, and by `cat`.

    python benchmarks/cold.py FOLDER [--frames 600]

FOLDER is on the storage that is measured; some 2.6 MB a frame are written there, and removed. The
files are dropped from the page cache before each turn, which only Linux can do.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memory import make
from napari_lucky import Window, open_run
from napari_lucky.files import read_ahead

BLOCK = 30
"""Frames that are read in one call."""


def drop(files: list[Path]) -> None:
    """Take files out of the page cache."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def read_rows(files: list[Path], offset: int, size: int) -> None:
    """Read the windows' rows alone, one file after the other: what `cat` would do."""
    for file in files:
        with open(file, "rb", buffering=0) as opened:
            os.pread(opened.fileno(), size, offset)


def read_window(run, window: Window, ahead: int) -> None:
    """Read a window of all frames, block by block."""
    read_ahead.AHEAD = ahead
    for first in range(0, len(run), BLOCK):
        run.read(slice(first, first + BLOCK), window)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    usual = read_ahead.AHEAD
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        made, options = make(folder)
        (folder / "run").mkdir()
        files = [folder / "run" / f"f_{k:05d}.fits" for k in range(given.frames)]
        for k, file in enumerate(files):
            shutil.copyfile(made[k % len(made)], file)
        os.sync()
        run, window = open_run(folder / "run"), Window(448, 576, 128, 128)
        _, _, nx = run.shape
        layout = run.images[0].layout
        rows = layout.offset + window.y0 * nx * 2, window.height * nx * 2
        job = [sys.executable, "-m", "napari_lucky", "process", folder / "run", "--quiet"]
        job += [*options, "--overwrite", "-o", folder / "out"]
        jobs = {
            "the window's rows, one file after the other": lambda: read_rows(files, *rows),
            "the window, no file fetched": lambda: read_window(run, window, 0),
            "the window": lambda: read_window(run, window, usual),
            "process": lambda: subprocess.run(job, check=True),
        }
        times: dict[tuple[str, bool], list[float]] = {}
        for _ in range(given.repeats):
            for what, work in jobs.items():
                for cold in (True, False):
                    if cold:
                        drop(files)
                    start = time.perf_counter()
                    work()
                    times.setdefault((what, cold), []).append(time.perf_counter() - start)
        print("| what | not in memory (s) | in memory (s) |\n|---|---:|---:|")
        for what in jobs:
            print(f"| {what} | {min(times[what, True]):.2f} | {min(times[what, False]):.2f} |")


if __name__ == "__main__":
    main()
