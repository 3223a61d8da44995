"""Damaged FITS files of every kind, opened and read here and by astropy.

    python benchmarks/mutated_files.py [--count 10000] [--seed 1] [--keep FOLDER]

Small files of every kind are made, and mutated: bits flipped, pieces cut out, zeroed, inserted or
repeated, cards changed, doubled or taken away, ends cut off. Each is opened and read by a process
of its own with a limit of time and of memory, and by astropy in another one. The exit status is 1
if any file hangs, aborts the process, takes too much memory, gives a traceback, or gives values
that differ from astropy's; `--keep` keeps such files.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import re
import resource
import select
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

SECONDS = 5.0
ASTROPYS = 1.0
"""Seconds that astropy is given: it hangs on some of these files."""
MEGABYTES = 500
SIDES = (3, 24, 32)
TOO_BIG = 1 << 25
"""Pixels that are not read: the file is one that asks for much, not one that is damaged."""
EXTREMES = (
    "0",
    "-1",
    "1",
    "2",
    "3",
    "7",
    "-64",
    "999",
    "1000",
    "65536",
    "2147483647",
    "-2147483648",
)
EXTREMES += (
    "2147483648",
    "1099511627776",
    "9223372036854775807",
    "9" * 30,
    "1E30",
    "NaN",
    "T",
    "F",
)
EXTREMES += ("'IMAGE   '", "'1PB(9)  '", "'1QB(9)  '", "'RICE_1  '", "'GZIP_1  '", "'PLIO_1  '")
EXTREMES += ("'HCOMPRESS_1'", "'        '", "")


def kinds() -> dict[str, bytes]:
    """Return a small file of every kind by its name."""
    from io import BytesIO

    from astropy.io import fits

    rng = np.random.default_rng(0)
    counts = rng.poisson(300.0, SIDES).astype("u2")
    smooth = rng.normal(100.0, 3.0, SIDES).astype("f4")

    def scaled(image, scale=0.5, zero=100.25, blank=None):
        hdu = fits.PrimaryHDU(image)
        hdu.header.update(BSCALE=scale, BZERO=zero)
        if blank is not None:
            hdu.header["BLANK"] = blank
        return [hdu]

    def packed(image, method, **options):
        return [fits.PrimaryHDU(), fits.CompImageHDU(image, compression_type=method, **options)]

    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("frame", "K", array=np.arange(5)),
            fits.Column("name", "8A", array=np.array(["a"] * 5)),
            fits.Column("many", "PJ()", array=np.array([np.arange(3)] * 5, object)),
        ]
    )
    signed = counts.astype("i2")
    made = {
        "u2.fits": [fits.PrimaryHDU(counts)],
        "single.fits": [fits.PrimaryHDU(counts[0])],
        "i2.fits": [fits.PrimaryHDU(signed)],
        "u1.fits": [fits.PrimaryHDU(counts.astype("u1"))],
        "i4.fits": [fits.PrimaryHDU(counts.astype("i4"))],
        "f4.fits": [fits.PrimaryHDU(smooth)],
        "f8.fits": [fits.PrimaryHDU(smooth.astype("f8"))],
        "scaled.fits": scaled(signed),
        "blank.fits": scaled(signed, 1.0, 0.0, 300),
        "extensions.fits": [fits.PrimaryHDU(), *(fits.ImageHDU(image) for image in counts)],
        "table.fits": [fits.PrimaryHDU(counts), table],
        "u2.fits.gz": [fits.PrimaryHDU(counts)],
        "scaled.fits.gz": scaled(signed),
        "extensions.fits.gz": [fits.PrimaryHDU(), *(fits.ImageHDU(image) for image in signed)],
        "rice.fits.fz": packed(counts, "RICE_1"),
        "rice_tiles.fits.fz": packed(counts, "RICE_1", tile_shape=(2, 7, 11)),
        "quantized.fits.fz": packed(smooth, "RICE_1"),
        "dithered.fits.fz": packed(smooth, "RICE_1", quantize_method=2, dither_seed=42),
        "gzip_1.fits.fz": packed(signed, "GZIP_1"),
        "gzip_2.fits.fz": packed(smooth, "GZIP_2", quantize_level=0),
        "hcompress.fits.fz": packed(signed, "HCOMPRESS_1", tile_shape=(1, 12, 32)),
        "hcompress_single.fits.fz": packed(signed[0], "HCOMPRESS_1", tile_shape=(24, 32)),
        "plio.fits.fz": packed(signed & 0xFF, "PLIO_1"),
    }
    written = {}
    for name, hdus in made.items():
        file = BytesIO()
        fits.HDUList(hdus).writeto(file)
        written[name] = file.getvalue()
    return written


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return a file with one to three mutations, most of them in its headers."""
    bad = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        rng.choice(
            [
                flip_bits,
                flip_bits,
                change_card,
                change_card,
                change_card,
                drop_card,
                cut,
                insert,
                zero,
            ]
        )(bad, rng)
    return bytes(bad)


def place(bad: bytearray, rng: random.Random) -> int:
    """Return a byte: of a header, or of all."""
    if rng.random() < 0.5:
        card = rng.choice(cards(bad) or [0])
        return min(card + rng.randrange(80), max(len(bad) - 1, 0))
    return rng.randrange(max(len(bad), 1))


def cards(bad: bytearray) -> list[int]:
    """Return where there are cards with values."""
    return [
        k for k in range(0, len(bad) - 79, 80) if re.match(rb"[A-Z][A-Z0-9_]*\s*=", bad[k : k + 10])
    ]


def flip_bits(bad: bytearray, rng: random.Random) -> None:
    """Flip one to twenty bits."""
    for _ in range(rng.choice([1, 1, 1, 3, 20])):
        if bad:
            bad[place(bad, rng)] ^= 1 << rng.randrange(8)


def change_card(bad: bytearray, rng: random.Random) -> None:
    """Give a card another value."""
    if found := cards(bad):
        card = rng.choice(found)
        old = bytes(bad[card + 10 : card + 30]).strip()
        near = [str(int(old) + step) for step in (-1, 1, 8)] if old.isdigit() else []
        bad[card + 10 : card + 80] = rng.choice([*EXTREMES, *near]).rjust(20).ljust(70).encode()


def drop_card(bad: bytearray, rng: random.Random) -> None:
    """Blank a card, take the END away, double a card over another, or swap two."""
    if not (found := cards(bad)):
        return
    a, b = rng.choice(found), rng.choice(found)
    how = rng.randrange(4)
    end = bad.find(b"END".ljust(80))
    if how == 0:
        bad[a : a + 80] = b" " * 80
    elif how == 1 and end >= 0:
        bad[end : end + 80] = b" " * 80
    elif how == 2:
        bad[a : a + 80] = bad[b : b + 80]
    else:
        bad[a : a + 80], bad[b : b + 80] = bad[b : b + 80], bad[a : a + 80]


def cut(bad: bytearray, rng: random.Random) -> None:
    """Cut off the end, or take a piece out."""
    begin = rng.randrange(max(len(bad), 1))
    del bad[begin : (begin + rng.choice([1, 80, 2880])) if rng.random() < 0.5 else len(bad)]


def insert(bad: bytearray, rng: random.Random) -> None:
    """Insert random bytes, or a piece of the file again."""
    at, size = rng.randrange(len(bad) + 1), rng.choice([1, 80, 2880, 10000])
    bad[at:at] = rng.randbytes(size) if rng.random() < 0.5 else bad[at : at + size]


def zero(bad: bytearray, rng: random.Random) -> None:
    """Overwrite a piece by zeros, as a lost sector of a disk."""
    at = place(bad, rng)
    size = min(rng.choice([1, 8, 80, 512, 4096]), len(bad) - at)
    bad[at : at + size] = bytes(size)


def make(name: str, content: bytes, rng: random.Random) -> bytes:
    """Return a mutated file; a gzipped one is mutated before or after it is packed."""
    if not name.endswith(".gz"):
        return mutated(content, rng)
    if rng.random() < 0.7:
        return gzip.compress(mutated(content, rng), 1)
    return mutated(gzip.compress(content, 1), rng)


def digest(pixels: np.ndarray) -> str:
    """Return a checksum of pixels, of their type and of their sides."""
    native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
    if native.dtype.kind == "f":
        native = np.where(np.isnan(native), native.dtype.type(np.nan), native)
    return f"{native.dtype} {native.shape} {hashlib.sha256(native.tobytes()).hexdigest()[:12]}"


def read_here(path: Path) -> dict:
    """Open and read a file with this program."""
    from napari_lucky import LuckyError, open_run
    from napari_lucky.frames.window import Window

    images = {}
    try:
        run = open_run(path)
        _ = run.header
        for image in run.images:
            planes, *sides = image.layout.shape
            if planes * sides[0] * sides[1] <= TOO_BIG:
                pixels = image.read(range(planes), Window(0, 0, *sides))
                images[str(image.layout.hdu)] = digest(pixels)
    except LuckyError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                return {"outcome": "memory", "says": str(error)}
            cause = cause.__cause__ or cause.__context__
        return {"outcome": "refused", "says": str(error), "images": images}
    except MemoryError:
        return {"outcome": "memory", "says": ""}
    except Exception as error:
        return {"outcome": "traceback", "says": repr(error)}
    return {"outcome": "read", "images": images}


def read_with_astropy(path: Path) -> dict:
    """Open and read a file with astropy."""
    from astropy.io import fits

    images = {}
    try:
        with fits.open(path, memmap=False) as hdus:
            for number, hdu in enumerate(hdus):
                if hdu.is_image and hdu.header["NAXIS"] >= 2 and np.prod(hdu.shape) <= TOO_BIG:
                    pixels = hdu.data
                    images[str(number)] = digest(pixels.reshape(-1, *pixels.shape[-2:]))
    except (Exception, MemoryError) as error:
        return {"outcome": "refused", "says": repr(error), "images": images}
    return {"outcome": "read", "images": images}


def work(which: str) -> None:
    """Answer paths on stdin by a line of JSON each, under a limit of memory."""
    read = {"here": read_here, "astropy": read_with_astropy}[which]
    warnings.simplefilter("ignore")
    import astropy.io.fits

    astropy.io.fits.CompImageHDU(np.zeros((8, 8), "i2"))  # all imports are made
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    limit = now + MEGABYTES * (1 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(read(Path(line.rstrip("\n")))), flush=True)


class Worker:
    """A process that reads one file after the other, and is restarted when it dies or hangs."""

    def __init__(self, which: str) -> None:
        self.which = which
        self.process: subprocess.Popen | None = None

    def ask(self, path: Path) -> None:
        """Send a path."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "--work", self.which],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            self.process.stdout.readline()
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()

    def answer(self, seconds: float) -> dict:
        """Return what it found, or that it hangs or was aborted."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            self.end()
            return {"outcome": "hang", "images": {}}
        if not (line := self.process.stdout.readline()):
            self.end()
            return {"outcome": "abort", "images": {}}
        return json.loads(line)

    def end(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                pipe.close()
            self.process = None


def main() -> int:
    """Make, read and compare; print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for files that are not dealt with well")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work)
        return 0
    rng = random.Random(given.seed)
    files = kinds()
    here, astropy = Worker("here"), Worker("astropy")
    counts: Counter[str] = Counter()
    bad: list[str] = []
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.count):
            name = rng.choice(list(files))
            content = make(name, files[name], rng)
            path = Path(folder) / name
            path.write_bytes(content)
            for worker in (here, astropy):
                worker.ask(path)
            ours, theirs = here.answer(SECONDS), astropy.answer(ASTROPYS)
            counts[f"here: {ours['outcome']}"] += 1
            counts[f"astropy: {theirs['outcome']}"] += 1
            both = ours.get("images", {}).keys() & theirs.get("images", {}).keys()
            differ = [k for k in both if ours["images"][k] != theirs["images"][k]]
            counts["images read by both"] += len(both)
            counts["images that differ"] += len(differ)
            if differ or ours["outcome"] not in ("read", "refused"):
                bad.append(f"{number} {name}: {ours} astropy: {theirs}")
                if given.keep:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    (given.keep / f"{number}_{name}").write_bytes(content)
    for worker in (here, astropy):
        worker.end()
    print(f"{given.count} mutated files, seed {given.seed}, {time.monotonic() - begun:.0f} s")
    for what, count in sorted(counts.items()):
        print(f"  {what}: {count}")
    for line in bad[:20]:
        print(line)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
