"""Pixels read window by window against astropy's own."""

import gzip
import random
import re
import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky.errors import LuckyError
from napari_lucky.fits import open_images
from napari_lucky.fits.header_scan import signature
from napari_lucky.fits.image import is_fits_name
from napari_lucky.fits.layout import layouts, read_header
from napari_lucky.fits.run_files import open_run
from napari_lucky.frames.window import Window

SHAPE = (5, 23, 37)
WINDOW = Window(4, 9, 11, 20)
ORDER = np.array([3, 0, 4, 4, 1])
DTYPES = ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def pixels(dtype: str, shape=SHAPE, seed=1) -> np.ndarray:
    """Numbers over the whole range of a type, its ends among them."""
    rng, kind = np.random.default_rng(seed), np.dtype(dtype)
    if kind.kind == "f":
        return rng.normal(0, 1e3, shape).astype(kind)
    ends = np.iinfo(kind)
    values = rng.integers(ends.min, ends.max, shape, kind, endpoint=True)
    values.flat[:2] = values.flat[-2:] = ends.min, ends.max
    return values


def plain(dtype: str, shape=SHAPE) -> fits.HDUList:
    return fits.HDUList([fits.PrimaryHDU(pixels(dtype, shape))])


def scaled(bits: str, scale: float, zero: float, blank: int | None = None) -> fits.HDUList:
    """IntegerFormat with BSCALE and BZERO, blank in the last frame only."""
    stored = pixels(bits)
    hdu = fits.PrimaryHDU(stored)
    hdu.header.update(BSCALE=scale, BZERO=zero)
    if blank is not None:
        stored[stored == blank] += 1
        stored[-1, 3:9, 5:30] = blank
        hdu.header["BLANK"] = blank
    return fits.HDUList([hdu])


def packed(dtype: str, method: str, shape=SHAPE, **options) -> fits.HDUList:
    """Tile-compressed."""
    values = pixels(dtype, shape)
    if np.dtype(dtype).kind == "i" and np.dtype(dtype).itemsize > 2:
        values //= 1 << 10
    return fits.HDUList(
        [fits.PrimaryHDU(), fits.CompImageHDU(values, compression_type=method, **options)]
    )


def extensions(dtype: str) -> fits.HDUList:
    return fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(v) for v in pixels(dtype))])


KINDS: dict[str, Callable[[], fits.HDUList]] = {
    **{f"{dtype}.fits": lambda dtype=dtype: plain(dtype) for dtype in DTYPES},
    **{f"{dtype}.fits.gz": lambda dtype=dtype: plain(dtype) for dtype in DTYPES},
    "single.fits": lambda: plain("u2", SHAPE[1:]),
    "single.fits.gz": lambda: plain("u2", SHAPE[1:]),
    "four_axes.fits": lambda: plain("u2", (1, *SHAPE)),
    "four_axes.fits.gz": lambda: plain("u2", (1, *SHAPE)),
    "five_axes.fits": lambda: scaled_axes((1, 1, *SHAPE)),
    "scaled_i2.fits": lambda: scaled("i2", 0.5, 100.25),
    "scaled_i2.fits.gz": lambda: scaled("i2", 0.5, 100.25),
    "scaled_u1.fits": lambda: scaled("u1", 2.0, 0.0),
    "scaled_i4.fits": lambda: scaled("i4", 1e-3, -7.0),
    "offset_i2.fits": lambda: scaled("i2", 1.0, 100.0),
    "scaled_f4.fits": lambda: scaled("f4", 2.0, 1.5),
    "blank_i2.fits": lambda: scaled("i2", 1.0, 0.0, blank=-999),
    "blank_i2.fits.gz": lambda: scaled("i2", 1.0, 0.0, blank=-999),
    "blank_u1.fits": lambda: scaled("u1", 1.0, 0.0, blank=255),
    "blank_i4.fits": lambda: scaled("i4", 1.0, 0.0, blank=7),
    "blank_scaled.fits": lambda: scaled("i2", 0.25, 3.0, blank=5),
    "blank_u2.fits": lambda: scaled("i2", 1.0, 32768.0, blank=-32768),
    "rice_i2.fits.fz": lambda: packed("i2", "RICE_1"),
    "rice_u2.fits.fz": lambda: packed("u2", "RICE_1"),
    "rice_u1.fz": lambda: packed("u1", "RICE_1"),
    "rice_i4.fit.fz": lambda: packed("i4", "RICE_1"),
    "rice_tiles.fz": lambda: packed("u2", "RICE_1", tile_shape=(2, 7, 11)),
    "gzip_f4.fits.fz": lambda: packed("f4", "GZIP_1", quantize_level=0),
    "gzip_f8.fits.fz": lambda: packed("f8", "GZIP_2", quantize_level=0),
    "quantized_f4.fits.fz": lambda: packed("f4", "RICE_1"),
    "dithered_f4.fits.fz": lambda: packed("f4", "RICE_1", quantize_method=2, dither_seed=42),
    "hcompress.fits.fz": lambda: packed("i2", "HCOMPRESS_1", SHAPE[1:]),
    "plio.fits.fz": lambda: fits.HDUList(
        [fits.PrimaryHDU(), fits.CompImageHDU(pixels("i2") & 0xFFF, compression_type="PLIO_1")]
    ),
    "single_u2.fits.fz": lambda: packed("u2", "RICE_1", SHAPE[1:]),
    "named_fits_but_packed.fits": lambda: packed("u2", "RICE_1"),
    "extensions_u2.fits": lambda: extensions("u2"),
    "extensions_f4.fits.gz": lambda: extensions("f4"),
}


def scaled_axes(shape: tuple[int, ...]) -> fits.HDUList:
    hdus = scaled("i2", 0.5, 100.25)
    hdus[0].data = pixels("i2", shape)
    hdus[0].header.update(BSCALE=0.5, BZERO=100.25)
    return hdus


def astropys(path: Path) -> np.ndarray:
    """All images of a file as astropy reads them, (n, y, x)."""
    with fits.open(path, memmap=False) as hdus:
        found = [hdu.data for hdu in hdus if hdu.is_image and hdu.data is not None]
    return np.concatenate([image.reshape(-1, *image.shape[-2:]) for image in found])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    for name, make in KINDS.items():
        make().writeto(folder / name)
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_values_and_type_are_astropys_for_any_frames_and_window(folder, name):
    run, truth = open_run(folder / name), astropys(folder / name)
    assert run.shape == truth.shape
    assert run.dtype == truth.dtype.newbyteorder("=")
    order = ORDER % len(truth)
    rows, columns = WINDOW.slices
    for found, expected in [
        (run.read(slice(None)), truth),
        (run.read(slice(None, None, -2), WINDOW), truth[::-2, rows, columns]),
        (run.read(order), truth[order]),
        (run.read(order, WINDOW), truth[order][:, rows, columns]),
        (run.read(np.array([], int), WINDOW), truth[:0, rows, columns]),
    ]:
        assert found.dtype == run.dtype
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, expected)


def test_the_kinds_above_hold_what_they_say(folder):
    assert fits.getheader(folder / "u2.fits")["BZERO"] == 32768
    assert fits.getheader(folder / "i1.fits")["BZERO"] == -128
    assert fits.getheader(folder / "scaled_i2.fits")["BSCALE"] == 0.5
    for name in KINDS:
        if name.startswith("blank") and "u2" not in name:
            blank = np.isnan(fits.getdata(folder / name))
            assert blank[-1].any()
            assert not blank[:-1].any()


@pytest.mark.parametrize(
    "name", ["u2.fits", "u2.fits.gz", "scaled_i2.fits", "scaled_i2.fits.gz", "rice_u2.fits.fz",
             "quantized_f4.fits.fz", "blank_i2.fits", "extensions_f4.fits.gz", "single.fits.gz"],
)  # fmt: skip
def test_eight_threads_at_once_read_the_right_values(folder, name):
    run, truth = open_run(folder / name), astropys(folder / name)

    def read(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        frames = rng.integers(0, len(truth), 3)
        y, x = (int(v) for v in rng.integers(0, 10, 2))
        window = Window(y, x, 12, 25)
        expected = truth[frames][:, y : y + 12, x : x + 25]
        return np.array_equal(run.read(frames, window), expected, equal_nan=True)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(100)))


ASTROPYS_OWN = sorted(
    path
    for pattern in ("*.fits", "*.fz", "*.fits.gz")
    for path in (Path(fits.__file__).parent / "tests" / "data").glob(pattern)
)


@pytest.mark.parametrize("path", ASTROPYS_OWN, ids=lambda path: path.name)
def test_astropys_own_test_files_give_its_values_or_a_sentence(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=False) as hdus:
            truth = {
                number: hdu.data
                for number, hdu in enumerate(hdus)
                if hdu.is_image and hdu.data is not None and hdu.data.ndim >= 2 and hdu.data.size
            }
    if not truth:
        with pytest.raises(LuckyError, match=path.name):
            open_run(path)
        return
    run = open_run(path)
    start = 0
    for image in run.images:
        expected = truth[image.layout.hdu]
        expected = expected.reshape(-1, *expected.shape[-2:])
        found = run.read(slice(start, start + len(expected)))
        np.testing.assert_array_equal(found, expected)
        assert image.layout.dtype == expected.dtype.newbyteorder("=")
        start += len(expected)
    assert start == run.shape[0]


def test_astropys_own_files_are_there():
    assert len(ASTROPYS_OWN) > 20


@pytest.mark.parametrize("cards", [{}, {"ZTENSION": 1}], ids=["plain", "for astropy"])
def test_files_of_one_run_are_parsed_once(tmp_path, monkeypatch, cards):
    for k in range(6):
        hdu = fits.PrimaryHDU(pixels("u2", (20, 30), seed=k))
        hdu.header.update(cards)
        hdu.writeto(tmp_path / f"AF_{k}.fits")
    parsed = []
    monkeypatch.setattr(open_images, "layouts", lambda path: parsed.append(path) or layouts(path))
    run = open_run(tmp_path)
    assert len(parsed) == bool(cards)
    np.testing.assert_array_equal(
        run.read(slice(None)), [pixels("u2", (20, 30), seed=k) for k in range(6)]
    )


def test_plain_pixels_are_read_without_astropy(folder, monkeypatch):
    runs = {f"{dtype}.fits": open_run(folder / f"{dtype}.fits") for dtype in DTYPES}
    truth = {name: astropys(folder / name) for name in runs}
    monkeypatch.setattr(fits, "open", None)
    for name, run in runs.items():
        np.testing.assert_array_equal(
            run.read(ORDER, WINDOW), truth[name][ORDER][(..., *WINDOW.slices)]
        )


def test_frames_whose_headers_are_of_different_lengths_are_read_right(tmp_path):
    for k in range(4):
        header = fits.Header([(f"KEY{i}", i) for i in range(40 * k)])
        fits.PrimaryHDU(pixels("u2", (20, 30), seed=k), header).writeto(tmp_path / f"AF_{k}.fits")
    truth = [pixels("u2", (20, 30), seed=k) for k in range(4)]
    np.testing.assert_array_equal(open_run(tmp_path).read(slice(None)), truth)


def test_the_heap_of_packed_pixels_may_begin_behind_a_gap(tmp_path):
    path = tmp_path / "x.fits.fz"
    packed("u2", "RICE_1").writeto(path)
    with fits.open(path, disable_image_compression=True) as hdus:
        header, place = hdus[1].header.copy(), hdus[1].fileinfo()
    whole = path.read_bytes()
    rows = header["NAXIS1"] * header["NAXIS2"]
    table = whole[place["datLoc"] :][: rows + header["PCOUNT"]]
    moved = table[:rows] + b"gap " * 25 + table[rows:]
    header["PCOUNT"] += 100
    header["THEAP"] = rows + 100
    moved += bytes(-len(moved) % 2880)
    path.write_bytes(whole[: place["hdrLoc"]] + header.tostring().encode() + moved)
    truth = packed("u2", "RICE_1")[1].data
    np.testing.assert_array_equal(astropys(path), truth)
    np.testing.assert_array_equal(
        open_run(path).read(ORDER, WINDOW), truth[ORDER][:, *WINDOW.slices]
    )


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
def test_files_that_differ_after_their_first_image_do_not_share_a_layout(tmp_path, suffix):
    """Same first image, but one file has one more, and one unsigned numbers in the second."""
    hdu = fits.CompImageHDU if suffix == ".fits.fz" else fits.ImageHDU
    for k, more in enumerate([["i2"], ["i2", "i2"], ["i2", "u2"], ["i2"]]):
        images = [hdu(pixels(dtype, (20, 30), seed=k)) for dtype in more]
        fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / f"AF_{k}{suffix}")
    run = open_run(tmp_path)
    truth = np.concatenate([astropys(tmp_path / f"AF_{k}{suffix}") for k in range(4)])
    np.testing.assert_array_equal(run.read(slice(None)), truth)


def test_a_change_of_type_within_a_run_gives_right_values(tmp_path):
    values = [pixels(dtype, (20, 30)) for dtype in ("i2", "u2", "i2", "u1")]
    for k, frame in enumerate(values):
        fits.PrimaryHDU(frame).writeto(tmp_path / f"AF_{k}.fits")
    run = open_run(tmp_path)
    assert run.dtype == np.int32
    told = "The frames differ in number type: int16 (2 frames), uint16 (1 frame), uint8 (1 frame)."
    assert run.notes[-1].startswith(told)
    np.testing.assert_array_equal(run.read(slice(None)), np.array(values, np.int32))


def test_two_types_are_said_and_one_is_not(tmp_path):
    for k, dtype in enumerate(("u2", "u2", "i2")):
        fits.PrimaryHDU(pixels(dtype, (20, 30))).writeto(tmp_path / f"AF_{k}.fits")
    (said,) = open_run(tmp_path).notes
    assert "number type: uint16 (2 frames), int16 (1 frame)." in said
    assert not open_run([tmp_path / "AF_0.fits", tmp_path / "AF_1.fits"]).notes


def test_the_header_of_an_extension_has_the_primary_cards_too(tmp_path):
    primary = fits.PrimaryHDU()
    primary.header.update(TELESCOP="ATCA", EXPTIME=0.03, GAIN=1)
    image = fits.ImageHDU(pixels("u2", (20, 30)), name="SCI")
    image.header["GAIN"] = 2
    fits.HDUList([primary, image]).writeto(tmp_path / "x.fits")
    header = read_header(tmp_path / "x.fits", 1)
    assert (header["TELESCOP"], header["EXPTIME"], header["GAIN"]) == ("ATCA", 0.03, 2)
    assert (header["EXTNAME"], header["NAXIS"], header["NAXIS1"]) == ("SCI", 2, 30)


@pytest.mark.parametrize("unpadded", [0, 2000])
def test_a_file_without_its_last_padding_is_whole(tmp_path, unpadded):
    values = pixels("u2", (40, 60))
    fits.PrimaryHDU(values).writeto(tmp_path / "x.fits")
    path = tmp_path / "x.fits"
    path.write_bytes(path.read_bytes()[: 2880 + values.nbytes + unpadded])
    np.testing.assert_array_equal(open_run(path).read(slice(None))[0], values)


def without_its_end(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


@pytest.mark.filterwarnings("ignore:File may have been truncated", "ignore:Error validating header")
@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
@pytest.mark.parametrize("name", ["i2.fits", "i2.fits.gz", "scaled_i2.fits", "scaled_i2.fits.gz",
                                  "single.fits.gz", "rice_u2.fits.fz", "extensions_u2.fits",
                                  "extensions_f4.fits.gz", "blank_i2.fits"])  # fmt: skip
def test_a_file_shortened_after_opening_gives_a_sentence(folder, tmp_path, name, share):
    path = Path(shutil.copy(folder / name, tmp_path))
    run = open_run(path)
    without_its_end(path, share)
    with pytest.raises(LuckyError, match=name):
        run.read(slice(None))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.55, 0.7])
@pytest.mark.parametrize("name", ["u2.fits.gz", "scaled_i2.fits.gz", "single.fits",
                                  "single.fits.gz", "rice_u2.fits.fz"])  # fmt: skip
def test_a_truncated_file_without_a_whole_frame_is_refused(folder, tmp_path, name, share):
    path = Path(shutil.copy(folder / name, tmp_path))
    without_its_end(path, share)
    with pytest.raises(LuckyError, match=name):
        open_run(path)


@pytest.mark.parametrize("share", [0.01, 0.4, 0.55, 0.7, 0.999])
@pytest.mark.parametrize("name", ["u2.fits", "scaled_i2.fits", "blank_i2.fits",
                                  "extensions_u2.fits"])  # fmt: skip
def test_of_a_truncated_file_the_whole_frames_are_read(folder, tmp_path, name, share):
    whole = open_run(folder / name)
    path = Path(shutil.copy(folder / name, tmp_path))
    without_its_end(path, share)
    size = path.stat().st_size
    image = whole.images[0]
    each = image.layout.shape[1] * image.layout.shape[2] * abs(whole.header["BITPIX"]) // 8
    if len(whole.images) == 1:
        count = max(size - 2880, 0) // each
    else:  # the primary header, and an extension a frame
        with fits.open(folder / name) as hdus:
            count = sum(hdu.fileinfo()["datLoc"] + each <= size for hdu in hdus[1:])
    if not count:
        with pytest.raises(LuckyError, match="truncated"):
            open_run(path)
        return
    run = open_run(path)
    assert run.shape == (count, *whole.shape[1:])
    np.testing.assert_array_equal(run.read(slice(None)), whole.read(slice(count)))
    if count < len(whole):
        assert run.missing == (len(whole) - count if len(whole.images) == 1 else 1)
        assert re.match(rf"{name}: truncated: its last (\d+ frames are|frame is) not", run.notes[0])
    assert run.header["BITPIX"] == whole.header["BITPIX"]


def test_of_a_truncated_cube_in_colour_the_frames_are_whole(tmp_path):
    planes = pixels("u2", (12, 20, 30))
    path = tmp_path / "x.fits"
    fits.PrimaryHDU(planes, fits.Header({"CTYPE3": "RGB"})).writeto(path)
    path.write_bytes(path.read_bytes()[: 2880 + 2 * 20 * 30 * 8])
    run = open_run(path, "green")
    np.testing.assert_array_equal(run.read(slice(None)), planes[[1, 4]])
    assert run.missing == 2


@pytest.mark.parametrize("name", ["u2.fits", "u2.fits.gz", "scaled_i2.fits", "rice_u2.fits.fz"])
def test_a_file_gone_after_opening_gives_a_sentence(folder, tmp_path, name):
    path = Path(shutil.copy(folder / name, tmp_path))
    run = open_run(path)
    path.unlink()
    with pytest.raises(LuckyError, match=name):
        run.read(slice(1))
    with pytest.raises(LuckyError, match=name):
        _ = run.header


@pytest.mark.parametrize(
    "name", ["u2.fits", "u2.fits.gz", "scaled_i2.fits.gz", "blank_i2.fits", "rice_u2.fits.fz",
             "quantized_f4.fits.fz", "extensions_u2.fits"],
)  # fmt: skip
def test_damaged_bytes_give_a_sentence_or_pixels_but_never_a_traceback(folder, tmp_path, name):
    good = (folder / name).read_bytes()
    path = tmp_path / name
    rng = random.Random(name)
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(rng.choice([1, 4, 40])):
            bad[rng.randrange(min(len(bad), rng.choice([700, 9000])))] = rng.choice(
                [rng.randrange(256), rng.randrange(32, 127), 32]
            )
        path.write_bytes(bad)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                run = open_run(path)
                if np.prod(run.shape) < 1e6:
                    run.read(slice(None))
            except LuckyError as error:
                assert name in str(error)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("text.fits", b"These are my notes, not an image.\n" * 200, "not a FITS file"),
        ("empty.fits", b"", "not a FITS file"),
        ("text.fits.gz", b"not gzipped at all" * 300, "not a FITS file"),
        ("packed_text.fits.gz", gzip.compress(b"still not an image" * 300), "not a FITS file"),
    ],
)
def test_what_is_no_fits_file_is_reported(tmp_path, name, content, told):
    path = tmp_path / name
    path.write_bytes(content)
    for look in (signature, open_run):
        with pytest.raises(LuckyError, match=rf"{name}.*{told}"):
            look(path)


def test_a_header_without_pixels_holds_no_image(tmp_path):
    path = tmp_path / "x.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("a", "D", array=np.arange(3.0))])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    with pytest.raises(LuckyError, match=r"x\.fits.*no image"):
        layouts(path)


def test_a_gzipped_cube_is_unpacked_only_as_far_as_asked_for(tmp_path):
    path = tmp_path / "cube.fits.gz"
    values = pixels("u2", (40, 200, 300))  # 4.8 MB that do not compress
    path.write_bytes(gzip.compress(plain_bytes(values), 1))
    run = open_run(path)
    np.testing.assert_array_equal(run.read(slice(1)), values[:1])
    unpacked = run.images[0].unpacked
    assert unpacked._plain.seek(0, 2) < values.nbytes / 2
    np.testing.assert_array_equal(run.read(slice(None)), values)


def plain_bytes(values: np.ndarray) -> bytes:
    hdu = fits.PrimaryHDU(values)
    stored = (values ^ 0x8000).astype(">i2").tobytes()
    return hdu.header.tostring().encode() + stored + b"\0" * (-len(stored) % 2880)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("A.FITS", True), ("a.Fit", True), ("a.fts", True), ("a.fits.gz", True), ("a.fz", True),
     ("a.fits.FZ", True), ("a.fits.txt", False), ("fits", False), ("a.gz", False)],
)  # fmt: skip
def test_fits_names(name, is_one):
    assert is_fits_name(name) is is_one


def test_a_gzipped_file_of_several_members_is_read_through(tmp_path):
    """Such as `cat a.gz b.gz` or a parallel gzip makes."""
    fits.PrimaryHDU(np.arange(64, dtype=np.int16).reshape(8, 8)).writeto(tmp_path / "a.fits")
    whole = (tmp_path / "a.fits").read_bytes()
    packed = gzip.compress(whole[:2000]) + gzip.compress(whole[2000:]) + bytes(512)
    (tmp_path / "b.fits.gz").write_bytes(packed)
    assert np.array_equal(
        open_run(tmp_path / "b.fits.gz").read(slice(None))[0], np.arange(64).reshape(8, 8)
    )
