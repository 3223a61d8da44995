"""What steps cost a frame, over the least work on the same data: their floors.

    python benchmarks/floors.py [--frames 200] [--repeats 3] [--folder /tmp] [--only median gz]
        [--one-processor]

The run is that of `memory.py`: twenty frames of 1280 x 1024 (uint16), the rest hard links to them.
A floor reads the same bytes, calibrates them, moves them with a kernel of the same length and adds
or sorts them: loops in C, compiled by `cc` as the script starts (with numpy where there is no
compiler), transforms of scipy. It has no masks, checks, notes or weights. Given are CPU seconds of
all threads (and, for whole jobs, of all processes), never wall time, the least of some turns in
which floor and program follow each other; the first turn, which fills caches, does not count.
OpenBLAS works on one thread, as on the command line: others would only busy-wait. The floors work
on one thread, too; with --one-processor so does the program, and no two threads slow each other.
"""

import argparse
import ctypes
import gzip
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import fft

import napari_lucky as lucky
from memory import link_run, make
from napari_lucky.calibration.bad_pixels import standing_pixels
from napari_lucky.execution.blas_threads import one_blas_thread
from napari_lucky.execution.blocks import cores
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.execution.processes import fork_executor
from napari_lucky.imaging.interpolation import kernel

READ = "read and calibrate the pair"
NX, NY, HEAD, ROOM = 1280, 1024, 2880, 6
C = r"""
#include <stdint.h>
void calibrate(const uint16_t *rows, long nx, long x0, long h, long w,
               const float *dark, const float *gain, float *out) {
    for (long y = 0; y < h; y++)
        for (long x = 0; x < w; x++) {
            uint16_t v = rows[y * nx + x0 + x];
            v = (uint16_t)((v >> 8 | v << 8) ^ 0x8000);
            out[y * w + x] = ((float)v - dark[y * w + x]) * gain[y * w + x];
        }
}
void move(const float *in, long h, long w, const float *down, const float *across, long taps,
          float *part, float *out) {
    long made_h = h - taps + 1, made_w = w - taps + 1;
    for (long y = 0; y < made_h; y++) {
        for (long x = 0; x < w; x++) part[x] = 0;
        for (long k = 0; k < taps; k++)
            for (long x = 0; x < w; x++) part[x] += down[k] * in[(y + k) * w + x];
        for (long x = 0; x < made_w; x++) out[y * made_w + x] = 0;
        for (long k = 0; k < taps; k++)
            for (long x = 0; x < made_w; x++) out[y * made_w + x] += across[k] * part[x + k];
    }
}
"""


def compiled(folder: Path):
    """Return the loops in C, or None where there is no compiler."""
    (folder / "floor.c").write_text(C)
    command = ["cc", "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", "floor.c"]
    try:
        subprocess.run([*command, "-o", "floor.so"], cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return ctypes.CDLL(str(folder / "floor.so"))


def at(array):
    return ctypes.c_void_p(array.ctypes.data)


class Floor:
    """The least work on a window of the run's frames, `ROOM` pixels around it with it."""

    def __init__(self, files, dark, flat, corner, side, code):
        self.files, self.code = files, code
        self.y, self.x, self.side = corner[0] - ROOM, corner[1] - ROOM, side + 2 * ROOM
        part = np.s_[self.y : self.y + self.side, self.x : self.x + self.side]
        self.dark = np.ascontiguousarray(dark[part], np.float32)
        self.gain = np.ascontiguousarray(1 / flat[part], np.float32)
        self.weights = np.asarray(kernel(0.3), np.float32)
        self.part = np.empty(self.side, np.float32)

    def bytes_of(self, k):
        with open(self.files[k], "rb", buffering=0) as file:
            return os.pread(file.fileno(), 2 * NX * self.side, HEAD + 2 * NX * self.y)

    def cut(self, rows):
        rows, out = np.frombuffer(rows, np.uint16), np.empty((self.side, self.side), np.float32)
        side = self.side
        if self.code is None:
            seen = rows.view(">i2").reshape(side, NX)[:, self.x : self.x + side]
            return ((seen + np.float32(32768)) - self.dark) * self.gain
        masters = at(self.dark), at(self.gain), at(out)
        sides = [ctypes.c_long(n) for n in (NX, self.x, side, side)]
        self.code.calibrate(at(rows), *sides, *masters)
        return out

    def moved(self, k):
        image, taps = self.cut(self.bytes_of(k)), len(self.weights)
        made = self.side - taps + 1
        out = np.empty((made, made), np.float32)
        if self.code is None:
            down = sum(w * image[j : j + made] for j, w in enumerate(self.weights))
            return sum(w * down[:, j : j + made] for j, w in enumerate(self.weights))
        side, kernels = ctypes.c_long(self.side), (at(self.weights), at(self.weights))
        self.code.move(at(image), side, side, *kernels, ctypes.c_long(taps), at(self.part), at(out))
        return out

    def mean(self, n):
        return sum(self.moved(k) for k in range(n)) / n

    def cube(self, n):
        return np.stack([self.moved(k) for k in range(n)]).reshape(n, -1)

    def median(self, n):
        pixels = np.ascontiguousarray(self.cube(n).T)
        return np.partition(pixels, n // 2, axis=1)[:, n // 2]

    def clipped(self, n):
        cube = self.cube(n)
        middle, sigma = cube.mean(axis=0), cube.std(axis=0)
        return cube.mean(axis=0, where=np.abs(cube - middle) < 3 * sigma)

    def fourier(self, n):
        side = self.side - len(self.weights) + 1
        spectra = fft.rfft2(self.cube(n).reshape(n, side, side)).reshape(n, -1)
        power = (spectra.real**2 + spectra.imag**2).T
        best = np.argpartition(power, n - n // 10, axis=1)[:, n - n // 10 :]
        return np.take_along_axis(spectra.T, best, axis=1).mean(axis=1)

    def correlation(self, n):
        for k in range(n):
            spectrum = fft.rfft2(self.cut(self.bytes_of(k)))
            fft.irfft2(spectrum * spectrum.conj(), (self.side, self.side)).argmax()


def background(files, dark, flat, discs, n):
    """Read whole frames, fit 15 terms to 20,000 pixels once, and take them off."""
    step = int((NX * NY / 20_000) ** 0.5)
    down, across = (
        np.polynomial.legendre.legvander(np.linspace(-1, 1, m), 4).astype(np.float32)
        for m in (NY, NX)
    )
    pairs = [(j, k) for j in range(5) for k in range(5) if j + k <= 4]
    basis = np.stack(
        [np.outer(down[::step, j], across[::step, k]).ravel() for j, k in pairs], axis=1
    )
    normal = np.linalg.inv((basis.T @ basis).astype(np.float64))
    gain = (1 / flat).astype(np.float32)
    for k in range(n):
        raw = np.fromfile(files[k], ">i2", NX * NY, offset=HEAD).reshape(NY, NX)
        image = (raw.astype(np.float32) + np.float32(32768) - dark) * gain
        terms = normal @ (basis.T @ image[::step, ::step].ravel())
        whole = np.zeros((5, 5), np.float32)
        for (j, i), term in zip(pairs, terms, strict=True):
            whole[j, i] = term
        image -= down @ whole @ across.T


def rice(floor, path, n):
    """Decompress the rows of a window, each by one call of cfitsio's code, and cut it out."""
    from astropy.io import fits
    from astropy.io.fits.hdu.compressed._compression import decompress_rice_1_c

    with fits.open(path, disable_image_compression=True) as opened:
        streams = [bytes(row[0]) for row in opened[1].data[floor.y : floor.y + floor.side]]
    for _ in range(n):
        rows = [decompress_rice_1_c(stream, 32, 2, NX) for stream in streams]
        np.stack([np.frombuffer(row, np.int16)[floor.x : floor.x + floor.side] for row in rows])


def gzipped(floor, path, n):
    """Decompress a frame as far as the end of a window."""
    from isal import isal_zlib

    packed, needed = path.read_bytes(), HEAD + 2 * NX * (floor.y + floor.side)
    for _ in range(n):
        isal_zlib.decompressobj(wbits=31).decompress(packed, needed)


def hot(files, n):
    """Add up frames and their squares, and take the median of 5 x 5 around each pixel."""
    from scipy import ndimage

    total, squares = np.zeros((2, NY, NX), np.float32)
    for k in range(n):
        image = np.fromfile(files[k], ">i2", NX * NY, offset=HEAD).astype(np.float32)
        total += image.reshape(NY, NX)
        squares += (image * image).reshape(NY, NX)
    ndimage.median_filter(total[::8, ::8], 5)


def packed_runs(folder, frames):
    """Write two of the frames gzipped and Rice-compressed; return the two folders."""
    from astropy.io import fits

    gz, fz = folder / "gz", folder / "fz"
    gz.mkdir()
    fz.mkdir()
    for k, frame in enumerate(frames):
        with gzip.open(gz / f"{k:02d}.fits.gz", "wb", 6) as file:
            file.write(frame.read_bytes())
        image = fits.CompImageHDU(fits.getdata(frame), compression_type="RICE_1")
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(fz / f"{k:02d}.fits.fz")
    return gz, fz


def job_seconds(run, out, options):
    """Return the CPU seconds of `napari-lucky process`, all its processes together."""
    command = [sys.executable, "-m", "napari_lucky.cli.main", "process", run, *options]
    command += ["-o", out, "--overwrite"]
    return spent(lambda: subprocess.run(command, check=True, capture_output=True))


def spent(work) -> float:
    """Return the CPU seconds of some work, in this process and in those that it makes."""
    start = seconds_so_far()
    work()
    return seconds_so_far() - start


def seconds_so_far() -> float:
    used = [resource.getrusage(one) for one in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def scenarios(folder, n):
    """Yield name, frames, floor and program of each line of the table."""
    with multiprocessing.get_context("spawn").Pool(1) as other:
        frames, options = other.apply(make, (folder,))
    asked = dict(option[2:].split("=") for option in options)
    windows = {}
    for name in ("focus", "defocus"):
        y, x, side = map(int, asked[name].split(","))
        windows[name] = lucky.Window.centred(y, x, side)
    path = link_run(folder, frames, max(5 * n, 1000))
    files = sorted(path.iterdir())
    run = lucky.open_run(path)
    dark, flat = (
        np.asarray(lucky.as_frames(asked[one])[0], np.float32) for one in ("dark", "flat")
    )
    calibrated = lucky.calibrate(run, asked["dark"], asked["flat"])
    code = compiled(folder)
    print(f"Floors by {'C' if code else 'numpy'}, numpy and scipy; {n} frames.\n")
    floor, far = (
        Floor(files, dark, flat - dark, (one.y0, one.x0), one.height, code)
        for one in windows.values()
    )
    focus = windows["focus"]
    shifts = np.random.default_rng(0).uniform(-2, 2, (*run.shape[:1], 2))

    def stack(method, count, window=focus, job=QUIET):
        given = shifts, np.arange(count), window
        return lambda: lucky.stack(calibrated, *given, method=method, job=job)

    for count in (400, 1000):
        method = "fourier,0.1"
        yield (
            f"Fourier-lucky, n = {count}",
            count,
            lambda c=count: floor.fourier(c),
            stack(method, count),
        )
    yield "mean of all, focus", n, lambda: floor.mean(n), stack("mean", n)

    def pair(count, job=QUIET):
        for window in windows.values():
            stack("mean", count, window, job)()

    def in_copies(work, few, many):  # as the command line does; without the making of the copies
        def copied(count):
            with fork_executor() as executor:
                assert executor is not None
                work(count, job=Job(executor=executor))

        return [lambda: copied(few), lambda: copied(many)]

    def read():
        for k in range(n):
            floor.cut(floor.bytes_of(k))
            far.cut(far.bytes_of(k))

    yield READ, n, read, None
    yield "mean of all, pair", n, lambda: (floor.mean(n), far.mean(n)), lambda: pair(n)
    if cores() > 1:
        yield (
            "mean of all, pair, in copies, each more",
            4 * n,
            lambda: (floor.mean(4 * n), far.mean(4 * n)),
            in_copies(pair, n, 5 * n),
        )
    yield "median", n, lambda: floor.median(n), stack("median", n)
    yield "clipped", n, lambda: floor.clipped(n), stack("clipped,3", n)
    few = 10
    sensor = lucky.Window.whole(run.shape)
    stars = list(windows.values())

    def cleaned(*steps):  # anew each time: what was fitted before is kept
        return lucky.clean(calibrated, steps, windows=stars).frames

    def read_background():
        made = cleaned(lucky.steps.RemoveBackground(order=4))
        for k in range(few):
            made.read(np.array([k]), sensor)

    yield (
        "background of order 4, whole frame",
        few,
        lambda: background(files, dark, flat - dark, None, few),
        read_background,
    )
    gz, fz = packed_runs(folder, frames[:few])
    for name, place, least in (("gzipped frames", gz, gzipped), ("Rice .fz, a window", fz, rice)):
        packed = lucky.open_run(place)
        first = next(place.iterdir())
        yield (
            name,
            few,
            lambda least=least, first=first: least(floor, first, few),
            lambda packed=packed: [
                packed.read(np.array([k]), lucky.Window(floor.y, floor.x, floor.side, floor.side))
                for k in range(few)
            ],
        )
    square = lucky.Window(0, 128, 1024, 1024)
    large = Floor(files, dark, flat - dark, (ROOM, 128 + ROOM), 1024 - 2 * ROOM, code)

    def tracked(window, method):
        def track(count, job=QUIET):
            some = lucky.frames.Subset(calibrated, np.arange(count))
            lucky.register(some, window, method=method, job=job)

        return track

    # some, and three times as many: their difference is without what is done once
    whole, by_template = tracked(square, "correlation"), tracked(focus, "template")
    yield (
        "whole-sensor correlation, 1024², each more",
        40,
        lambda: large.correlation(40),
        [lambda: whole(20), lambda: whole(60)],
    )
    yield (
        "template, each more",
        200,
        lambda: floor.correlation(200),
        [lambda: by_template(100), lambda: by_template(300)],
    )
    if cores() > 1:
        yield (
            "template, in copies, each more",
            200,
            lambda: floor.correlation(200),
            in_copies(by_template, 100, 300),
        )
    yield "without dark and flat, once", 1, lambda: hot(files, 24), lambda: standing_pixels(run)


def jobs(folder, repeats, floor):
    """Print what whole jobs take a frame, as slopes between two lengths, and a short one.

    `floor` (ms) is what reading and calibrating the pair takes a frame.
    """
    frames = sorted(folder.glob("frame_*.fits"), key=lambda one: int(one.stem[6:]))
    options = [f"--dark={folder / 'dark.fits'}", f"--flat={folder / 'flat.fits'}", "--focus="]
    shutil.rmtree(folder / "jobs", ignore_errors=True)
    (folder / "jobs").mkdir()
    lengths = 10, 200, 3000
    runs = [link_run(folder / "jobs", frames, n) for n in lengths]
    run = lucky.simulate_run(1, (NY, NX), focus_size=128, defocus_size=256)
    pair = [f"--focus={run.focus[0]},{run.focus[1]},128"]
    pair += [f"--defocus={run.defocus[0]},{run.defocus[1]},256"]
    options = [*options[:2], *pair, "--keep=0.01"]
    every = ["--dust=5,8", "--outliers=6", "--flicker=6", "--background=4", "--noise-cut=3"]
    took = {"numpy": [], "short": [], "few": [], "many": [], "clean": [], "clean_few": []}
    for turn in range(repeats):
        bare = [sys.executable, "-c", "import numpy"]
        took["numpy"].append(spent(lambda bare=bare: subprocess.run(bare, check=True)))
        out = str(folder / "jobs" / f"out_{turn}")
        for name, run in zip(("short", "few", "many"), runs, strict=True):
            took[name].append(job_seconds(str(run), out, options))
        for name, run in zip(("clean_few", "clean"), runs, strict=False):
            took[name].append(job_seconds(str(run), out, [*options, *every]))
    least = {name: min(values) for name, values in took.items()}
    job = (least["many"] - least["few"]) / (lengths[2] - lengths[1])
    clean = (least["clean"] - least["clean_few"]) / (lengths[1] - lengths[0])
    print(
        f"| main job, pair, keep 1 %, each more | {1e3 * job:.2f} "
        f"| {floor:.2f} | {1e3 * job / floor:.1f} |"
    )
    print(f"| all cleaning on | {1e3 * clean:.1f} | | |")
    ratio = least["short"] / least["numpy"]
    print(f"\n`process` on 10 frames: {least['short']:.2f} s, {ratio:.1f} times `import numpy`.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where some 100 MB of files may be put")
    parser.add_argument("--only", nargs="+", help="lines whose names have one of these in them")
    parser.add_argument("--one-processor", action="store_true", help="on Linux")
    given = parser.parse_args()
    if given.one_processor:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(dir=given.folder) as name, one_blas_thread():
        folder = Path(name)
        started = False
        for line, n, floor, program in scenarios(folder, given.frames):
            if not started:
                print(
                    "| CPU ms a frame | program | floor | program / floor |\n|---|---:|---:|---:|"
                )
                started = True
            if given.only and line != READ and not any(word in line for word in given.only):
                continue
            if line == READ:
                read = min(spent(floor) for _ in range(given.repeats + 1)) / n
                continue
            works = floor, *(program if isinstance(program, list) else [program])
            turns = [[spent(work) for work in works] for _ in range(given.repeats + 1)][1:]
            least, *took = (1e3 * min(values) / n for values in zip(*turns, strict=True))
            took = took[-1] - sum(took[:-1])  # of two, how many more the second takes
            print(f"| {line} | {took:.2f} | {least:.2f} | {took / least:.1f} |", flush=True)
        if not given.only or "job" in given.only:
            jobs(folder, given.repeats, 1e3 * read)


if __name__ == "__main__":
    main()
