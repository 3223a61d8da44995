"""Results written as FITS and read back: pixels, header, history, and nothing left half-done."""

import errno
import os
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.nddata import CCDData, VarianceUncertainty
from astropy.wcs import WCS

from napari_lucky.errors import LuckyError
from napari_lucky.fits.frame_table import FrameTable, table_to_hdu
from napari_lucky.fits.image_result import ImageResult, float32_holds
from napari_lucky.fits.read_back import (
    Coordinates,
    coordinates_to_hdu,
    is_own_file,
    read_saved,
)
from napari_lucky.fits.run_files import open_run
from napari_lucky.fits.write import write_fits, write_text
from napari_lucky.frames.frames import ArrayFrames
from napari_lucky.frames.history import Record

HISTORY = (Record("calibrate", {"dark": "master dark.fits"}), Record("stack", {"frames": 20}))


def image(shape=(40, 60), seed=0) -> np.ndarray:
    """Floats of every size, with NaN, infinities, −0 and denormals."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 1 << 32, shape, np.uint32).view(np.float32).copy()
    values.flat[:5] = np.nan, np.inf, -np.inf, -0.0, 1e-45
    return np.where(np.isnan(values), np.float32(np.nan), values)


def same_bits(one, two) -> bool:
    return one.shape == two.shape and one.dtype == two.dtype and one.tobytes() == two.tobytes()


def write_and_verify(path: Path, *results) -> None:
    """Write, and let astropy check every header and its own reading of the file."""
    write_fits(path, results, overwrite=True)
    with fits.open(path, memmap=False) as hdus:
        hdus.verify("exception")
        assert len(hdus) == len(results) + (not isinstance(results[0], ImageResult))
        last = hdus[-1].fileinfo()
        assert path.stat().st_size == last["datLoc"] + last["datSpan"]


def table() -> FrameTable:
    n = 5
    return FrameTable(
        np.arange(n), [f"AF_{k}.fits" for k in range(n)], np.ones((n, 2)), np.ones(n),
        np.ones(n, bool), (3.0, 4.0), HISTORY,
    )  # fmt: skip


# --- pixels


@pytest.mark.parametrize("shape", [(40, 60), (1, 1), (24, 30), (3, 8, 9)])
def test_an_image_comes_back_to_the_bit(tmp_path, shape):
    pixels = image(shape)
    write_and_verify(tmp_path / "x.fits", ImageResult(pixels, "stack", history=HISTORY))
    assert same_bits(fits.getdata(tmp_path / "x.fits").astype("=f4"), pixels)
    (found,) = read_saved(tmp_path / "x.fits")
    data = found.data if len(shape) == 2 else found.data.read(slice(None))
    assert same_bits(data, pixels)
    assert (found.name, found.history) == ("stack", HISTORY)


def test_a_big_image_comes_back_to_the_bit(tmp_path):
    pixels = image((2048, 2500))
    write_and_verify(tmp_path / "x.fits", ImageResult(pixels))
    assert same_bits(read_saved(tmp_path / "x.fits")[0].data, pixels)


class Counting(ArrayFrames):
    """Notes how many frames are read at once."""

    def read(self, frames, window=None):
        pixels = super().read(frames, window)
        object.__setattr__(self, "counts", [*getattr(self, "counts", []), len(pixels)])
        return pixels


def test_a_stack_of_frames_is_streamed_and_comes_back_to_the_bit(tmp_path):
    pixels = image((70, 256, 300))
    frames = Counting(pixels)
    write_and_verify(tmp_path / "x.fits", ImageResult(frames, history=HISTORY))
    assert sum(frames.counts) == 70
    assert max(frames.counts) < 30
    (found,) = read_saved(tmp_path / "x.fits")
    assert found.shape == pixels.shape
    assert same_bits(found.data.read(slice(None)), pixels)
    assert same_bits(found.data.read(np.array([69, 0])), pixels[[69, 0]])
    assert same_bits(open_run(tmp_path / "x.fits").read(slice(3, 5)), pixels[3:5])


@pytest.mark.parametrize("dtype", ["u2", "u1", "i4", "f8", ">f4", "?"])
def test_numbers_of_any_type_are_written_as_float32(tmp_path, dtype):
    pixels = np.random.default_rng(0).integers(0, 2 if dtype == "?" else 200, (9, 10)).astype(dtype)
    for data in (pixels, ArrayFrames(pixels[np.newaxis].repeat(2, 0)), pixels.T, pixels[::-1]):
        write_and_verify(tmp_path / "x.fits", ImageResult(data))
        found = fits.getdata(tmp_path / "x.fits")
        assert found.dtype == np.dtype(">f4")
        expected = data if isinstance(data, np.ndarray) else data.array
        np.testing.assert_array_equal(found, expected.astype(float))


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "u8", "f8", ">f8"])
def test_numbers_that_float32_does_not_hold_are_kept_if_asked(tmp_path, dtype):
    kind = np.dtype(dtype)
    pixels = np.array([[1 / 3, -1e300, np.nan], [0, 1, 2]], dtype) if kind.kind == "f" else None
    if pixels is None:
        limits = np.iinfo(kind)
        pixels = np.array([[limits.min, limits.max, 0], [1, 16777217, limits.max - 1]], kind)
    for data in (pixels, ArrayFrames(pixels[np.newaxis].repeat(2, 0))):
        write_and_verify(tmp_path / "x.fits", ImageResult(data, exact=True))
        np.testing.assert_array_equal(fits.getdata(tmp_path / "x.fits"), np.asarray(data))
        (found,) = read_saved(tmp_path / "x.fits")
        np.testing.assert_array_equal(np.asarray(found.data), np.asarray(data))
    write_and_verify(tmp_path / "y.fits", found)
    again = fits.getdata(tmp_path / "y.fits")
    np.testing.assert_array_equal(again, fits.getdata(tmp_path / "x.fits"))
    assert not float32_holds(pixels)
    assert float32_holds(np.array([[0.5, np.nan]]))


# --- several in one file


def test_images_stacks_and_tables_in_one_file_come_back(tmp_path):
    first, second, stack = image(seed=1), image((8, 9), seed=2), image((3, 8, 9), seed=3)
    corners = [np.arange(12.0).reshape(4, 3), np.arange(9.0).reshape(3, 3) / 7]
    write_and_verify(
        tmp_path / "x.fits",
        ImageResult(first, "focus", history=HISTORY),
        ImageResult(ArrayFrames(stack), "kept", history=HISTORY[:1]),
        table_to_hdu(table()),
        ImageResult(second, "long exposure"),
        coordinates_to_hdu(Coordinates("shapes", corners, "Stars", HISTORY)),
    )
    focus, kept, frames, long_exposure, shapes = read_saved(tmp_path / "x.fits")
    assert (shapes.kind, shapes.name, shapes.history) == ("shapes", "Stars", HISTORY)
    assert [group.tolist() for group in shapes.groups] == [group.tolist() for group in corners]
    assert same_bits(focus.data, first)
    assert same_bits(kept.data.read(slice(None)), stack)
    assert same_bits(long_exposure.data, second)
    assert [r.name for r in (focus, kept, long_exposure)] == ["focus", "kept", "long exposure"]
    assert [r.history for r in (focus, kept, long_exposure)] == [HISTORY, HISTORY[:1], ()]
    assert (frames.reference, frames.history) == ((3.0, 4.0), HISTORY)
    assert is_own_file(tmp_path / "x.fits")


def test_a_table_may_come_first(tmp_path):
    write_and_verify(tmp_path / "x.fits", table_to_hdu(table()), ImageResult(image(), "focus"))
    frames, focus = read_saved(tmp_path / "x.fits")
    assert list(frames.file) == [f"AF_{k}.fits" for k in range(5)]
    assert same_bits(focus.data, image())
    assert is_own_file(tmp_path / "x.fits")


def test_tables_of_other_things_do_not_keep_the_images_from_being_read(tmp_path):
    points = fits.BinTableHDU.from_columns([fits.Column("y", "D", array=np.arange(3.0))])
    write_and_verify(tmp_path / "x.fits", ImageResult(image(), "focus"), points)
    (focus,) = read_saved(tmp_path / "x.fits")
    assert same_bits(focus.data, image())
    write_and_verify(tmp_path / "y.fits", points)
    with pytest.raises(LuckyError, match=r"y\.fits.*no image and no table that can be shown"):
        read_saved(tmp_path / "y.fits")


# --- headers


def source() -> fits.Header:
    """Return a camera's header as it is read from a file, with all that a header may hold."""
    header = fits.Header()
    header["TELESCOP"] = ("ATCA", "the telescope")
    header["EXPTIME"] = (0.03, "[s] exposure")
    header["GAIN"] = 2
    header["COOLED"] = True
    header["DATE-OBS"] = "2024-01-02T03:04:05.678"
    header["OBSERVER"] = "O'Neill & " + "a long text that goes on " * 8
    header["ZD"] = (34.5, "[deg] zenith distance")
    header["ZENITH"] = "up"
    header["HIERARCH ESO DET CHIP ID"] = "a chip"
    header["PCTEMP3"] = -20.5
    header["BSCALE"], header["BZERO"], header["BLANK"] = 1, 32768, 7
    header["CHECKSUM"], header["DATASUM"] = "abc", "123"
    header["DATAMIN"], header["DATAMAX"], header["SATURATE"] = 0, 65535, 4095
    header["EXTNAME"], header["EXTVER"] = "RAW", 3
    header["NCOMBINE"] = 7
    header["DATE"], header["FRAMENUM"], header["DATAMEAN"] = "2020-02-02", 17, 20.5
    header["BUNIT"] = "electron"
    header.add_comment("a comment")
    header.add_comment(
        "another comment, longer than fits into a single card of a header: " + "x" * 90
    )
    header.add_history("bias taken off by another program")
    header.add_blank("a blank card's text")
    header.add_history("and its second card")
    header["CREATOR"] = "camera software 1.2"
    return header


def test_the_sources_cards_are_kept_and_stale_ones_dropped(tmp_path):
    given = source()
    kept = given.copy()
    write_and_verify(
        tmp_path / "x.fits", ImageResult(image(), "stack", given, HISTORY, combined=20)
    )
    found = fits.getheader(tmp_path / "x.fits")
    for keyword in ("TELESCOP", "EXPTIME", "GAIN", "COOLED", "DATE-OBS", "OBSERVER", "ZD",
                    "ZENITH", "ESO DET CHIP ID", "PCTEMP3", "BUNIT"):  # fmt: skip
        assert found[keyword] == given[keyword]
        assert found.comments[keyword] == given.comments[keyword]
    for keyword in ("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM", "DATAMIN", "DATAMAX",
                    "SATURATE", "EXTVER", "FRAMENUM", "DATAMEAN"):  # fmt: skip
        assert keyword not in found
    assert list(found["COMMENT"]) == list(given["COMMENT"])
    assert [str(c) for c in found["HISTORY"]][:2] == [str(c) for c in given["HISTORY"]]
    assert (found["BITPIX"], found["NAXIS"]) == (-32, 2)
    assert (found["EXTNAME"], found["NCOMBINE"]) == ("stack", 20)
    assert found["CREATOR"].startswith("napari-lucky")
    written = datetime.fromisoformat(found["DATE"]).replace(tzinfo=UTC)
    assert timedelta() <= datetime.now(UTC) - written < timedelta(minutes=5)
    assert given == kept  # and nothing done to the source's own
    assert len(found) == len(set(found)) + sum(
        max(found.count(k) - 1, 0) for k in ("COMMENT", "HISTORY", "")
    )


def test_the_history_follows_that_of_other_programs_and_is_not_doubled(tmp_path):
    path = tmp_path / "x.fits"
    write_and_verify(path, ImageResult(image(), "stack", source(), HISTORY[:1]))
    (found,) = read_saved(path)
    write_and_verify(path, ImageResult(found.data, found.name, found.header, HISTORY))
    texts = [str(card) for card in fits.getheader(path)["HISTORY"]]
    assert texts[:2] == [str(card) for card in source()["HISTORY"]]
    assert read_saved(path)[0].history == HISTORY
    assert sum(text.startswith("lucky>") for text in texts) == 2


def test_a_run_read_from_disk_hands_its_header_on(tmp_path):
    fits.PrimaryHDU(np.zeros((20, 30), "u2"), source()).writeto(tmp_path / "AF_1.fits")
    run = open_run(tmp_path / "AF_1.fits")
    write_and_verify(tmp_path / "x.fits", ImageResult(image(), "stack", run.header))
    found = fits.getheader(tmp_path / "x.fits")
    assert (found["TELESCOP"], found["ESO DET CHIP ID"]) == ("ATCA", "a chip")
    assert "BZERO" not in found


def test_a_compressed_run_hands_on_nothing_of_its_compression(tmp_path):
    fits.HDUList(
        [fits.PrimaryHDU(header=fits.Header([("OBJECT", "star")])),
         fits.CompImageHDU(np.zeros((20, 30), "u2"), source())]
    ).writeto(tmp_path / "AF_1.fits.fz")  # fmt: skip
    run = open_run(tmp_path / "AF_1.fits.fz")
    write_and_verify(tmp_path / "x.fits", ImageResult(image(), "stack", run.header))
    found = fits.getheader(tmp_path / "x.fits")
    assert (found["OBJECT"], found["ZD"]) == ("star", 34.5)
    assert not [k for k in found if k.startswith(("ZIMAGE", "ZNAXIS", "ZCMP", "TTYPE", "ZTILE"))]


def test_a_header_with_cards_that_break_the_rules_can_still_be_written(tmp_path):
    path = tmp_path / "x.fits"
    cards = [
        "SIMPLE  =                    T", "BITPIX  =                   16",
        "NAXIS   =                    2", "NAXIS1  =                   30",
        "NAXIS2  =                   20", "EXPTIME = 0,03 s", "DATE-OBS= 2024-01-02T03:04:05",
        "lower   = 'case'", "TEMP    = nan", "CRPIX1  = 'middle'", "CRPIX2  =", "GAIN    = 2",
        "NOTE    = 'never closed", "OBSERVER= 'M\xfcller'", "COMMENT 5 \xb5m", "END",
    ]  # fmt: skip
    path.write_bytes(
        "".join(card.ljust(80) for card in cards).ljust(2880).encode("latin1") + b"\0" * 2880
    )
    header = open_run(path).header
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_fits(tmp_path / "y.fits", [ImageResult(image(), "stack", header, origin=(3, 4))])
        (found,) = read_saved(tmp_path / "y.fits")
    assert same_bits(found.data, image())
    assert found.header["GAIN"] == 2


@pytest.mark.parametrize(
    "name",
    [
        "Fokus µ – größer",
        "two\nlines",
        "🔭",
        "x" * 200,
        "it's",
        "a" * 68,
        "a 'b' / c",
        '\\u00e9 "&',
    ],
)
def test_any_layer_name_can_be_written(tmp_path, name):
    write_and_verify(
        tmp_path / "x.fits",
        ImageResult(image(), name, history=HISTORY),
        ImageResult(image(seed=2), name),
        table_to_hdu(table(), name),
    )
    first, second, frames = read_saved(tmp_path / "x.fits")
    assert same_bits(first.data, image())
    assert first.history == frames.history == HISTORY
    assert first.name == second.name == name


def test_names_too_long_for_a_card_and_names_given_twice_come_back(tmp_path):
    """A card of 68 characters would be the standard's; fitsverify has room for fewer."""
    long = "it's-" * 50
    results = [ImageResult(image(seed=k), name) for k, name in enumerate([long, long, "A", "a"])]
    write_and_verify(tmp_path / "x.fits", *results, table_to_hdu(table(), long))
    found = read_saved(tmp_path / "x.fits")
    assert [one.name for one in found[:4]] == [long, long, "A", "a"]
    assert all(same_bits(one.data, image(seed=k)) for k, one in enumerate(found[:4]))
    with fits.open(tmp_path / "x.fits") as hdus:
        assert [hdu.ver for hdu in hdus] == [1, 2, 1, 2, 3]
        assert max(len(hdu.name.replace("'", "''")) for hdu in hdus) == 60


def test_the_variance_is_an_uncertainty_to_astropy(tmp_path):
    pixels = [np.full((4, 5), value, np.float32) for value in (7, 2, 9)]
    stack = ImageResult(pixels[0], "focus", variance=pixels[1], coverage=pixels[2])
    write_fits(tmp_path / "x.fits", stack)
    read = CCDData.read(tmp_path / "x.fits", hdu_uncertainty="VARIANCE")
    assert isinstance(read.uncertainty, VarianceUncertainty)
    assert (read.unit, read.uncertainty.unit) == (units.adu, units.adu**2)
    np.testing.assert_array_equal(read.uncertainty.array, pixels[1])
    saved = read_saved(tmp_path / "x.fits")  # and so it stays
    write_fits(tmp_path / "y.fits", saved, overwrite=True)
    utypes = [fits.getheader(tmp_path / "y.fits", k).get("UTYPE") for k in range(3)]
    assert utypes == [None, "VarianceUncertainty", None]


def test_a_pedestal_goes_with_the_dark(tmp_path):
    header = fits.Header([("PEDESTAL", -100)])
    for step in (Record("calibrate"), Record("calibrate", inputs={"dark": {"name": "d"}})):
        write_fits(tmp_path / "x.fits", ImageResult(image(), "a", header, (step,)), overwrite=True)
        assert ("PEDESTAL" in fits.getheader(tmp_path / "x.fits")) == ("dark" not in step.inputs)


@pytest.mark.parametrize("header", [{"EXPTIME": 3}, "a header", 7])
def test_what_is_no_fits_header_is_passed_over(tmp_path, header):
    write_and_verify(tmp_path / "x.fits", ImageResult(image(), "x", header))
    found = fits.getheader(tmp_path / "x.fits")
    assert "EXPTIME" not in found
    assert found["BUNIT"] == "adu"


def wcs_header(cube: bool = True) -> fits.Header:
    header = fits.Header()
    if cube:
        header["WCSAXES"] = 3
    for axis, (kind, value, pixel, step, unit) in enumerate(
        [("RA---TAN", 10.0, 100.5, -1e-5, "deg"), ("DEC--TAN", 20.0, 200.5, 1e-5, "deg"),
         ("TIME", 0.0, 1.0, 0.03, "s")][: 3 if cube else 2], 1
    ):  # fmt: skip
        header.update({
            f"CTYPE{axis}": kind, f"CRVAL{axis}": value, f"CRPIX{axis}": pixel,
            f"CDELT{axis}": step, f"CUNIT{axis}": unit,
        })  # fmt: skip
        header[f"PC{axis}_{axis}"] = 1.0
        header[f"CRPIX{axis}A"] = pixel
    if cube:
        header["PC1_3"] = 0.0
        header["CNAME3"] = "frame"
    return header


@pytest.mark.parametrize("origin", [(0, 0), (32, 48)])
def test_a_window_keeps_its_place_in_the_sky_and_on_the_sensor(tmp_path, origin):
    write_and_verify(
        tmp_path / "x.fits", ImageResult(image(), "focus", wcs_header(False), origin=origin)
    )
    header = fits.getheader(tmp_path / "x.fits")
    sky, whole = WCS(header), WCS(wcs_header(False))
    y, x = origin
    np.testing.assert_allclose(
        sky.all_pix2world([[5, 7]], 0), whole.all_pix2world([[5 + x, 7 + y]], 0), rtol=1e-14
    )
    assert header["CRPIX1A"] == 100.5 - x
    assert (header.get("LTV1", 0), header.get("LTV2", 0)) == (-x, -y)
    assert read_saved(tmp_path / "x.fits")[0].origin == origin


def test_an_image_of_a_cube_has_no_third_axis_in_its_coordinates(tmp_path):
    write_and_verify(tmp_path / "x.fits", ImageResult(image(), "focus", wcs_header()))
    header = fits.getheader(tmp_path / "x.fits")
    assert WCS(header).naxis == 2
    assert header["CTYPE1"] == "RA---TAN"
    assert not [k for k in header if k.startswith(("C", "P")) and "3" in k]


def test_a_stack_of_frames_keeps_its_third_axis(tmp_path):
    write_and_verify(tmp_path / "x.fits", ImageResult(image((3, 8, 9)), "kept", wcs_header()))
    header = fits.getheader(tmp_path / "x.fits")
    assert (header["CTYPE3"], header["CDELT3"], WCS(header).naxis) == ("TIME", 0.03, 3)


def test_what_is_read_back_and_written_again_is_the_same(tmp_path):
    header = source()
    header.update(wcs_header(False))
    first = ImageResult(image(), "focus", header, HISTORY, (32, 48), 20)
    write_and_verify(tmp_path / "x.fits", first)
    (found,) = read_saved(tmp_path / "x.fits")
    assert (found.name, found.history, found.origin, found.combined) == (
        "focus", HISTORY, (32, 48), 20
    )  # fmt: skip
    write_and_verify(tmp_path / "y.fits", found)
    assert fits.FITSDiff(
        str(tmp_path / "x.fits"), str(tmp_path / "y.fits"), ignore_keywords=["DATE"]
    ).identical


def test_a_window_of_a_saved_window_is_placed_on_the_sensor(tmp_path):
    write_fits(
        tmp_path / "x.fits",
        [ImageResult(image(), "a", wcs_header(False), origin=(32, 48))],
        overwrite=True,
    )
    (found,) = read_saved(tmp_path / "x.fits")
    cut = ImageResult(found.data[2:20, 3:30], "b", found.header, origin=(34, 51))
    write_and_verify(tmp_path / "y.fits", cut)
    header = fits.getheader(tmp_path / "y.fits")
    assert (header["CRPIX1"], header["CRPIX2"]) == (100.5 - 51, 200.5 - 34)


def test_which_files_are_ours(tmp_path):
    header = fits.Header([(f"KEY{k}", k) for k in range(900)])  # many blocks of cards
    write_fits(tmp_path / "ours.fits", [ImageResult(image(), "x", header)], overwrite=True)
    assert is_own_file(tmp_path / "ours.fits")
    fits.PrimaryHDU(np.zeros((20, 30), "i2"), source()).writeto(tmp_path / "camera.fits")
    (tmp_path / "text.fits").write_text("CREATOR")
    for name in ("camera.fits", "text.fits", "nothing.fits"):
        assert not is_own_file(tmp_path / name)


@pytest.mark.parametrize("length", [0, 100, 3000, 6000])
def test_a_damaged_result_is_reported_when_it_is_opened(tmp_path, length):
    path = tmp_path / "x.fits"
    for result in (ImageResult(image()), ImageResult(image((2, 40, 60)))):
        write_fits(path, [result], overwrite=True)
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(LuckyError, match=r"x\.fits"):
            read_saved(path)


# --- whole or not at all


class Broken(ArrayFrames):
    """Frames whose second block cannot be read."""

    error: Exception = LuckyError("AF_9.fits: the pixels cannot be read.")

    def read(self, frames, window=None):
        if 9 in np.arange(self.shape[0])[frames]:
            raise self.error
        return super().read(frames, window)


def full_disk(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("older", [b"an older result", None])
@pytest.mark.parametrize("how", ["unreadable frame", "bug", "full disk", "late result"])
def test_a_write_that_fails_leaves_nothing_and_the_old_file_intact(
    tmp_path, monkeypatch, older, how
):
    path = tmp_path / "x.fits"
    if older:
        path.write_bytes(older)
    results, error, told = [ImageResult(image())], LuckyError, "cannot be read"
    if how == "full disk":
        monkeypatch.setattr(os, "fsync", full_disk)
        told = r"x\.fits: cannot be written \(No space left on device\)"
    else:
        frames = Broken(np.zeros((64, 300, 300), np.uint8))
        if how == "bug":
            object.__setattr__(frames, "error", RuntimeError("cannot be read"))
            error = RuntimeError
        results += [ImageResult(frames)]
    if how == "late result":
        results = (ImageResult(frames) if k else ImageResult(image()) for k in range(2))
    with pytest.raises(error, match=told):
        write_fits(path, results, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ([path.name] if older else [])
    assert not older or path.read_bytes() == older


@pytest.mark.parametrize("write", [
    lambda path: write_fits(path, [ImageResult(image())]), lambda path: write_text(path, "text")
], ids=["fits", "text"])  # fmt: skip
def test_a_place_that_cannot_be_written_is_reported(tmp_path, write):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "no" / "x", tmp_path / "folder", tmp_path / "file" / "x"):
        with pytest.raises(LuckyError, match=f"{path.name}: cannot be written"):
            write(path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_file_written_twice_holds_the_second(tmp_path):
    for seed in (1, 2):
        write_fits(tmp_path / "x.fits", [ImageResult(image(seed=seed))], overwrite=True)
        assert same_bits(read_saved(tmp_path / "x.fits")[0].data, image(seed=seed))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("text", ["", "a\nb\r\nc", "µ 星 🔭"])
def test_text_is_written_as_it_is(tmp_path, text):
    write_text(tmp_path / "x.txt", text)
    assert (tmp_path / "x.txt").read_bytes().decode() == text
    assert len(list(tmp_path.iterdir())) == 1


def test_a_name_that_is_no_text_is_written_with_its_bytes_as_numbers(tmp_path):
    write_text(tmp_path / "x.csv", "frame,file\n0,M\udcfcller.fits\n1,b.fits\n")
    expected = b"frame,file\n0,M\\xfcller.fits\n1,b.fits\n"
    assert (tmp_path / "x.csv").read_bytes() == expected


def test_a_file_of_a_table_alone_says_that_extensions_follow(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "K", array=np.arange(3))], name="T")
    write_fits(tmp_path / "t.fits", [table, table])
    with fits.open(tmp_path / "t.fits") as hdus:
        hdus.verify("exception")
        assert hdus[0].header["EXTEND"] is True
        assert (hdus[0].header["NAXIS"], hdus[0].header["BITPIX"]) == (0, 8)
        assert hdus[0].header["CREATOR"].startswith("napari-lucky")
        assert [(hdu.name, hdu.header.get("EXTVER", 1)) for hdu in hdus[1:]] == [("T", 1), ("T", 2)]
        np.testing.assert_array_equal(hdus[2].data["a"], np.arange(3))


def test_a_header_that_is_given_stays_as_it_is(tmp_path):
    header = fits.Header([("OBJECT", "M 15"), ("LTV1", -3.0), ("BSCALE", 2.0), ("CRPIX1", 5.0)])
    before = header.tostring()
    write_fits(tmp_path / "a.fits", ImageResult(np.ones((4, 5), "f4"), "a", header, origin=(1, 2)))
    assert header.tostring() == before
    assert fits.getheader(tmp_path / "a.fits")["LTV1"] == -5.0
