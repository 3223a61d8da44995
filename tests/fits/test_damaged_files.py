"""Damaged headers and files: a sentence at once, whatever they ask for."""

import gzip
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, open_run
from napari_lucky.fits.header_scan import CARD
from napari_lucky.fits.header_units import BLOCK, MOST_BLOCKS
from napari_lucky.fits.read_back import read_saved
from napari_lucky.fits.run_notes import run_notes
from systems import on_posix

ROOT = Path(__file__).parents[2]
IMAGE = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32)


def plain(image=IMAGE) -> bytes:
    file = BytesIO()
    fits.PrimaryHDU(image).writeto(file)
    return file.getvalue()


def packed(method: str = "RICE_1", image=IMAGE, **options) -> bytes:
    file = BytesIO()
    hdu = fits.CompImageHDU(image, compression_type=method, **options)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(file)
    return file.getvalue()


def with_card(content: bytes, keyword: str, value: object) -> bytes:
    """Return a file with another value in its last card of this keyword."""
    at = content.rindex(keyword.ljust(8).encode() + b"=")
    card = f"{keyword:8}= {value!s:>20}".ljust(CARD).encode()
    return content[:at] + card + content[at + CARD :]


def without_end(content: bytes) -> bytes:
    return content.replace(b"END".ljust(CARD), b" " * CARD, 1)


RICE = packed()
TALL = packed(image=IMAGE[None].repeat(3, 0))
HCOMPRESS = packed("HCOMPRESS_1", IMAGE.astype("i2"), tile_shape=(8, 32))
ONE_TILE = packed("HCOMPRESS_1", IMAGE.astype("i2"), tile_shape=(24, 32))
QUANTIZED = packed(image=IMAGE.astype("f4"), quantize_method=2, dither_seed=7)
CASES = {
    "negative side": with_card(plain(), "NAXIS1", -64),
    "both negative": with_card(with_card(plain(), "NAXIS1", -64), "NAXIS2", -24),
    "side of 30 digits": with_card(plain(), "NAXIS2", "9" * 30),
    "side beyond the file": with_card(plain(), "NAXIS2", 1 << 40),
    "no whole number": with_card(plain(), "NAXIS2", "2E9"),
    "axes": with_card(plain(), "NAXIS", 1_000_000_000),
    "negative axes": with_card(plain(), "NAXIS", -2),
    "bits": with_card(plain(), "BITPIX", 17),
    "not standard": with_card(plain(), "SIMPLE", "F"),
    "two sizes": plain().replace(b"EXTEND  =" + b" " * 20 + b"T", b"NAXIS1  = " + b"31".rjust(20)),
    "no end": without_end(plain()) + b" " * BLOCK,
    "columns": with_card(RICE, "TFIELDS", 1 << 40),
    "negative heap": with_card(RICE, "PCOUNT", -1000),
    "rows": with_card(RICE, "NAXIS2", 23),
    "frames": with_card(TALL, "ZNAXIS3", (1 << 31) - 1),
    "frames in one tile": with_card(
        with_card(TALL, "ZNAXIS3", (1 << 31) - 1), "ZTILE3", (1 << 31) - 1
    ),
    "tile": with_card(HCOMPRESS, "ZTILE2", 24),
    "smaller tile": with_card(HCOMPRESS, "ZTILE2", 4),
    "image in one tile": with_card(ONE_TILE, "ZNAXIS2", 23),
    "greater image in one tile": with_card(
        with_card(ONE_TILE, "ZNAXIS2", 9999), "ZTILE2", 9999
    ),
    "negative tile": with_card(RICE, "ZTILE1", -32),
    "no tile": with_card(RICE, "ZTILE1", 0),
    "compressed axes": with_card(RICE, "ZNAXIS", 1 << 40),
    "bytes of a pixel": with_card(RICE, "ZVAL2", 8),
    "pixels of a block": with_card(RICE, "ZVAL1", 0),
    "dither": with_card(QUANTIZED, "ZDITHER0", -100_000_000),
    "kind": with_card(RICE, "ZCMPTYPE", "'MAGIC'"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_file_is_reported_when_it_is_opened(tmp_path, name):
    path = tmp_path / "a.fits"
    path.write_bytes(CASES[name])
    with pytest.raises(LuckyError, match=r"a\.fits: "):
        open_run(path)


def test_the_made_files_are_whole(tmp_path):
    """Each of the above is one card away from a file that opens."""
    for content in (plain(), RICE, TALL, HCOMPRESS, ONE_TILE, QUANTIZED):
        path = tmp_path / "a.fits"
        path.write_bytes(content)
        assert np.allclose(open_run(path).read(slice(None))[-1], IMAGE, atol=0.5)


@on_posix
@pytest.mark.parametrize("kind", ["pipe", "device", "broken link", "damaged"])
def test_one_bad_file_does_not_stop_a_folder(tmp_path, kind):
    for k in range(3):
        (tmp_path / f"f_{k}.fits").write_bytes(plain(IMAGE + k))
    bad = tmp_path / "f_3.fits"
    if kind == "pipe":
        os.mkfifo(bad)
    elif kind == "damaged":
        bad.write_bytes(CASES["negative side"])
    else:
        bad.symlink_to("/dev/zero" if kind == "device" else tmp_path / "nothing")
    run = open_run(tmp_path)
    assert run.shape[0] == 3
    (told,) = run_notes(run)
    assert told.startswith("Left out f_3.fits: ")
    with pytest.raises(LuckyError, match=r"f_3\.fits"):
        open_run(bad)


def test_a_header_without_an_end_in_a_great_file_is_reported_at_once(tmp_path):
    """The file has holes where it would be read on."""
    for name, begin in (("a.fits", without_end(plain())), ("b.fits", plain())):
        with open(tmp_path / name, "wb") as file:
            file.write(begin)
            file.truncate(20 << 30)
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_CPU)
    with pytest.raises(LuckyError, match=rf"a\.fits.*no END in {MOST_BLOCKS * 36} cards"):
        open_run(tmp_path / "a.fits")
    assert np.array_equal(open_run(tmp_path / "b.fits").read(slice(None))[0], IMAGE)
    assert resource.getrlimit(resource.RLIMIT_CPU) == limits


def test_a_great_header_opens(tmp_path):
    header = fits.Header([(f"KEY{k}", k) for k in range(5000)])
    fits.PrimaryHDU(IMAGE, header).writeto(tmp_path / "a.fits")
    run = open_run(tmp_path / "a.fits")
    assert np.array_equal(run.read(slice(None))[0], IMAGE)
    assert run.header["KEY4999"] == 4999


def test_a_gzipped_file_cannot_ask_for_more_than_it_can_hold(tmp_path):
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(with_card(plain(), "NAXIS2", 1 << 24)))
    with pytest.raises(LuckyError, match=r"a\.fits\.gz: truncated: it has \d+ packed bytes"):
        open_run(path)


def test_a_gzipped_tile_that_unpacks_without_end_is_not_unpacked(tmp_path):
    """A tile of 3 kB which says 24 rows, and holds 200 MB."""
    image = np.random.default_rng(0).integers(0, 1 << 15, (24, 3200)).astype("i2")
    whole = packed("GZIP_1", image, tile_shape=(24, 3200))
    bomb = gzip.compress(bytes(200 << 20))
    stream = int(re.search(rb"PCOUNT  = +([0-9]+)", whole)[1])
    begin = whole.rindex(b"END".ljust(CARD)) // BLOCK * BLOCK + BLOCK + 8
    assert stream < len(bomb)
    content = with_card(whole, "PCOUNT", len(bomb))[: begin - 8]
    path = tmp_path / "a.fits"
    path.write_bytes(content + np.array([len(bomb), 0], ">i4").tobytes() + bomb + bytes(BLOCK))
    with pytest.raises(LuckyError, match=r"a\.fits.*a compressed tile is damaged"):
        open_run(path)


@pytest.mark.parametrize("at", [0.3, 0.6, 0.95])
def test_a_short_hcompress_tile_is_reported_and_never_read_beyond(tmp_path, at):
    """Zeros or ones behind what is left must not make a picture."""
    image = np.random.default_rng(0).poisson(300, (24, 32)).astype("i2")
    whole = packed("HCOMPRESS_1", image, tile_shape=(24, 32))
    begin = whole.rindex(b"END".ljust(CARD)) // BLOCK * BLOCK + BLOCK
    count = int.from_bytes(whole[begin : begin + 4], "big")
    short = whole[:begin] + int(at * count).to_bytes(4, "big") + whole[begin + 4 :]
    path = tmp_path / "a.fits"
    path.write_bytes(short)
    with pytest.raises(LuckyError, match=r"a\.fits: "):
        open_run(path).read(slice(None))


def test_a_damaged_file_of_ones_own_is_reported(tmp_path):
    """What this program wrote is read back with astropy, once it is known to be within bounds."""
    path = tmp_path / "a.fits"
    hdu = fits.PrimaryHDU(IMAGE)
    hdu.header["CREATOR"] = "napari-lucky"
    hdu.writeto(path)
    good = path.read_bytes()
    assert read_saved(path)[0].data.shape == IMAGE.shape
    path.write_bytes(with_card(good, "NAXIS1", -64))
    with pytest.raises(LuckyError, match=r"a\.fits: its header is damaged"):
        read_saved(path)
    path.write_bytes(good + b"x" * 5000)
    with pytest.raises(LuckyError, match=r"a\.fits: .*more in it"):
        read_saved(path)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory as Linux has them")
def test_mutated_files_neither_hang_nor_abort_and_have_astropys_values():
    script = ROOT / "benchmarks" / "mutated_files.py"
    command = [sys.executable, str(script), "--count", "150", "--seed", "11"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
