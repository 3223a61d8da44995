"""Peak memory and time of `napari-lucky process` on a short and on a long run of full-size frames.

    python benchmarks/memory.py [--frames 200 2000] [--folder /tmp]
    python benchmarks/memory.py --large [--folder /tmp]
    python benchmarks/memory.py --processes [--frames 2000 20000] [--folder /tmp]

Twenty frames of 1280 x 1024 are simulated and written; the rest of each run are hard links to
them, which cost no disk but are opened, read and stacked like any other file. Each run is
processed twice by processes of its own: timed, and then watched (on Linux) for the memory that
they hold together.

With --large, runs of large sensors instead: 12 frames of 8.3 Mpx, the largest sensor that is not
worked on in bands, 6 of 24 Mpx and 2 of 400 Mpx, in files that are empty but for a star (sparse
where the file system allows it), and masters of 24 Mpx (480 MB). Masters of the program's own may
take another 300 MB in the system's temporary folder.

With --processes, what the process that waits for its copies takes of the processor for itself, and
what its copies take: the least of three turns, and the slope between the two lengths.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DISTINCT = 20
TURNS = 3
SPENT = """import json, resource
from napari_lucky.cli.main import main
status = main()
took = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps([one.ru_utime + one.ru_stime for one in took]))
raise SystemExit(status)"""
"""A job that says at its end what it and its copies took, in CPU seconds."""
EVERY = 0.005
"""Seconds from one look at the memory to the next."""
LIMIT_MB = 100
LARGE_LIMIT_MB = 300


def make(folder: Path) -> tuple[list[Path], list[str]]:
    """Write the distinct frames, dark and flat; return the frames and the options of a job."""
    from astropy.io import fits

    from napari_lucky import simulate_run

    def write(name, image):
        fits.PrimaryHDU(image).writeto(folder / name)
        return folder / name

    run = simulate_run(DISTINCT, (1024, 1280), focus_size=128, defocus_size=256)
    frames = [write(f"frame_{k}.fits", frame) for k, frame in enumerate(run.frames)]
    options = [
        f"--dark={write('dark.fits', run.dark)}",
        f"--flat={write('flat.fits', run.flat)}",
        f"--focus={run.focus[0]},{run.focus[1]},128",
        f"--defocus={run.defocus[0]},{run.defocus[1]},256",
    ]
    return frames, options


def link_run(folder: Path, frames: list[Path], n: int) -> Path:
    """Make a run of n files, hard links to the distinct frames; return its folder."""
    run = folder / f"run_{n}"
    run.mkdir()
    for k in range(n):
        os.link(frames[k % len(frames)], run / f"AF_{k:05d}.fits")
    return run


def measure(folder: Path, frames: list[Path], n: int, options: list[str]) -> tuple[float, float]:
    """Process a run of n frames twice; return the peak of its memory in MB, and seconds."""
    run = link_run(folder, frames, n)
    seconds = measure_time(run, folder / f"out_{n}", options)
    return measure_memory(run, folder / f"again_{n}", options), seconds


def start_job(run: Path, out: Path, options: list[str]) -> subprocess.Popen:
    """Begin to process a run."""
    command = [sys.executable, "-m", "napari_lucky.cli.main", "process", str(run), *options]
    return subprocess.Popen(
        [*command, "-o", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def measure_time(run: Path, out: Path, options: list[str]) -> float:
    """Process a run; return the seconds from start to exit."""
    start = time.perf_counter()
    if start_job(run, out, options).wait() != 0:
        raise SystemExit(f"processing {run} failed")
    return time.perf_counter() - start


def measure_memory(run: Path, out: Path, options: list[str]) -> float:
    """Process a run; return the peak of its memory in MB, that of all its processes together.

    What several of them share counts once (their proportional set sizes). They are asked every
    few milliseconds, so it takes longer than it would.
    """
    job = start_job(run, out, options)
    most = 0.0
    while job.poll() is None:
        most = max(most, sum(map(share_of, family_of(job.pid))))
        time.sleep(EVERY)
    if job.returncode != 0:
        raise SystemExit(f"processing {run} failed")
    return most


def family_of(pid: int) -> list[int]:
    """Return a process and those that it has started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has just ended
        return []
    return [pid, *(one for child in children for one in family_of(int(child)))]


def share_of(pid: int) -> float:
    """Return a process's memory in MB, what it shares with others in parts."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    (pss,) = (line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(pss) * 1024 / 1e6


def measure_processes(folder: Path, runs: list[Path], options: list[str]) -> None:
    """Print the CPU time of a job's own process and of its copies, for two lengths of a run."""
    took: dict[Path, list[list[float]]] = {run: [] for run in runs}
    for _ in range(TURNS):
        for run in runs:
            job = ["process", str(run), *options, "--keep=0.01", "-o", str(folder / "out")]
            command = [sys.executable, "-c", SPENT, *job, "--overwrite"]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            took[run].append(json.loads(printed.splitlines()[-1]))
    few, many = ([min(turns) for turns in zip(*took[run], strict=True)] for run in runs)
    n = [len(list(run.iterdir())) for run in runs]
    print(f"| process | {n[0]} frames (CPU s) | {n[1]} frames (CPU s) | each more (ms) |")
    print("|---|---:|---:|---:|")
    for name, one, other in zip(("its own", "its copies"), few, many, strict=True):
        slope = 1e3 * (other - one) / (n[1] - n[0])
        print(f"| {name} | {one:.2f} | {other:.2f} | {slope:.3f} |")


def write_large(path: Path, shape: tuple[int, int], rng, level: float | None = None) -> None:
    """Write a FITS file of uint16: a star on emptiness, or noise on a level all over."""
    import numpy as np

    ny, nx = shape
    cards = ("SIMPLE", "T"), ("BITPIX", 16), ("NAXIS", 2), ("NAXIS1", nx), ("NAXIS2", ny)
    lines = [f"{key:<8}= {value:>20}" for key, value in (*cards, ("BZERO", 32768), ("BSCALE", 1))]
    header = "".join(line.ljust(80) for line in (*lines, "END")).ljust(2880).encode()
    with path.open("wb") as file:
        file.write(header)
        file.truncate(2880 + -(-2 * ny * nx // 2880) * 2880)
        if level is not None:
            file.seek(2880)
            for _ in range(ny):
                file.write((rng.normal(level, 20, nx) - 32768).astype(">i2").tobytes())
            return
        y, x = np.mgrid[-64:64, -64:64]
        dy, dx = rng.normal(0, 2, 2)
        star = 3000 * np.exp(-((y - dy) ** 2 + (x - dx) ** 2) / 18) + rng.normal(20, 5, y.shape)
        for k, row in enumerate(star.astype(">i2")):
            file.seek(2880 + 2 * ((ny // 4 - 64 + k) * nx + nx // 3 - 64))
            file.write(row.tobytes())


def make_large(folder: Path) -> None:
    """Write runs of large sensors, and masters of the smaller one."""
    import numpy as np

    rng = np.random.default_rng(0)
    for name, shape, n, level in (
        ("run_8", (2880, 2880), 12, None),
        ("run_24", (4000, 6000), 6, None),
        ("run_400", (20_000, 20_000), 2, None),
        ("dark", (4000, 6000), 5, 500.0),
        ("flat", (4000, 6000), 5, 30_000.0),
    ):
        (folder / name).mkdir()
        for k in range(n):
            write_large(folder / name / f"{k}.fits", shape, rng, level)


def measure_large(folder: Path) -> float:
    """Print a table of the peaks of large runs; return the greatest, in MB."""
    dark, flat = folder / "dark", folder / "flat"
    one = [f"--dark={dark / '0.fits'}", f"--flat={flat / '0.fits'}"]
    many = [f"--dark={dark}", f"--flat={flat}"]
    dust = ["--dust=3,20", f"--dust-on={flat}"]
    near, far = ["--focus=1000,2000,64"], ["--focus=5000,6666,64"]
    print("| run | peak memory (MB) |\n|---|---:|")
    most = 0.0
    for k, (run, label, options) in enumerate(
        (
            ("run_8", "12 x 8.3 Mpx, star looked for", []),
            ("run_24", "6 x 24 Mpx, window given", near),
            ("run_24", "6 x 24 Mpx, star looked for", []),
            ("run_24", "6 x 24 Mpx, window given, a dark and a flat", [*near, *one]),
            ("run_24", "6 x 24 Mpx, window given, 5 darks and 5 flats", [*near, *many]),
            ("run_24", "6 x 24 Mpx, star looked for, 5 darks and 5 flats", many),
            ("run_24", "6 x 24 Mpx, window given, dust looked for on 5 flats", [*near, *dust]),
            ("run_24", "6 x 24 Mpx, window given, a background", [*near, "--background=2"]),
            ("run_400", "2 x 400 Mpx, window given", far),
            ("run_400", "2 x 400 Mpx, star looked for", []),
        )
    ):
        peak = measure_memory(folder / run, folder / f"out_{k}", options)
        print(f"| {label} | {peak:.0f} |", flush=True)
        most = max(most, peak)
    return most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs=2, metavar="N")
    parser.add_argument("--folder", type=Path, help="where some 60 MB of files may be put")
    parser.add_argument("--large", action="store_true", help="measure runs of large sensors")
    parser.add_argument("--processes", action="store_true", help="CPU time of them, on Linux")
    given = parser.parse_args()
    given.frames = given.frames or ([2000, 20_000] if given.processes else [200, 2000])
    if given.large:
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            make_large(Path(name))
            most = measure_large(Path(name))
        print(f"\n{most:.0f} MB at most; {LARGE_LIMIT_MB} MB are wanted at most.")
        return int(most > LARGE_LIMIT_MB)
    peaks = []
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        with multiprocessing.get_context("spawn").Pool(1) as other:
            frames, options = other.apply(make, (Path(name),))
        if given.processes:
            runs = [link_run(Path(name), frames, n) for n in given.frames]
            measure_processes(Path(name), runs, options)
            return 0
        print("| frames | peak memory (MB) | time (s) | a frame (ms) |")
        print("|---:|---:|---:|---:|")
        for n in given.frames:
            peak, seconds = measure(Path(name), frames, n, options)
            print(f"| {n} | {peak:.0f} | {seconds:.1f} | {1e3 * seconds / n:.2f} |", flush=True)
            peaks.append(peak)
    more = peaks[1] - peaks[0]
    few, many = given.frames
    print(f"\n{more:+.0f} MB from {few} to {many} frames; {LIMIT_MB} MB are allowed.")
    return int(more > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
