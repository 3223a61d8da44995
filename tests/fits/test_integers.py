"""Pixels stored as 16-bit integers: what astropy and this program read back, and what is told."""

import errno
import os

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, open_run
from napari_lucky.fits import IntegerFormat
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.integers import MASKED_LEVEL, parse_integer_format
from napari_lucky.fits.read_back import read_saved
from napari_lucky.fits.write import write_fits
from napari_lucky.frames import Record
from napari_lucky.frames.frames import ArrayFrames

HISTORY = (Record("calibrate"), Record("stack", {"frames": 20}))
LEVELS = IntegerFormat(1000.0)


def image(shape=(40, 60), low=-30.0, high=1000.0) -> np.ndarray:
    pixels = np.random.default_rng(0).uniform(low, high, shape).astype(np.float32)
    pixels.flat[:4] = np.nan, low, high, 0.25 * low + 0.75 * high
    return pixels


def back(path):
    """Return the pixels of a file of one result, as this program reads it."""
    (found,) = read_saved(path)
    return found.data if len(found.shape) == 2 else found.data.read(slice(None))


def half_step(step, *pixels):
    """Half a step, and the rounding of float32 where the pixels are."""
    return 0.502 * step + 4e-7 * max(np.nanmax(np.abs(p)) for p in pixels)


# --- scaled


@pytest.mark.parametrize(
    ("low", "high"),
    [(-30, 1000), (0, 4095), (1e6, 1e6 + 1), (-1e-3, 2e-3), (-5e8, 7e8), (3, 3.000001)],
)
@pytest.mark.parametrize("shape", [(40, 60), (3, 8, 9)])
def test_every_reader_gets_adu_within_half_a_step(tmp_path, low, high, shape):
    pixels, path = image(shape, low, high), tmp_path / "x.fits"
    write_fits(
        path, [ImageResult(pixels, "focus", history=HISTORY)], IntegerFormat(), overwrite=True
    )
    with fits.open(path) as hdus:
        hdus.verify("exception")
        header = hdus[0].header.copy()
        step, judged = header["BSCALE"], hdus[0].data
    assert header["BITPIX"] == 16
    spread = float(np.nanmax(pixels)) - float(np.nanmin(pixels))
    assert step == pytest.approx(max(spread / 65533, 1e-9 * np.nanmax(np.abs(pixels))), rel=1e-9)
    ours, run = back(path), open_run(path).read(slice(None)).reshape(shape)
    for found in (judged, ours, run):
        assert found.dtype.newbyteorder("=") == np.float32
        np.testing.assert_array_equal(np.isnan(found), np.isnan(pixels))
        assert np.nanmax(np.abs(found - pixels.astype(float))) <= half_step(step, pixels)


def test_the_whole_range_of_16_bits_is_used(tmp_path):
    write_fits(tmp_path / "x.fits", [ImageResult(image())], IntegerFormat(), overwrite=True)
    with fits.open(tmp_path / "x.fits", do_not_scale_image_data=True) as hdus:
        stored = hdus[0].data
    assert stored.min() == stored.flat[0] == -32768  # the masked one
    assert np.ptp(np.sort(stored.ravel())[1:].astype(int)) >= 65532


@pytest.mark.parametrize("value", [0.0, 1.0, -7.25, 32768.0, 1e-12, 123456.7])
@pytest.mark.parametrize("integers", [IntegerFormat(), IntegerFormat(2e5, 16)])
def test_a_constant_image_comes_back(tmp_path, value, integers):
    pixels, path = np.full((5, 6), value, np.float32), tmp_path / "x.fits"
    pixels[2, 3] = np.nan
    write_fits(path, [ImageResult(pixels)], integers)
    if integers.full is None:
        for found in (fits.getdata(path), back(path)):
            np.testing.assert_array_equal(found, pixels)
    else:
        expected = np.where(np.isnan(pixels), np.nan, np.clip(pixels, 0, None))
        np.testing.assert_allclose(back(path), expected, atol=1e5 / 65534 * 1.001)


@pytest.mark.parametrize("integers", [IntegerFormat(), LEVELS])
def test_an_image_all_masked_stays_so(tmp_path, integers):
    pixels = np.full((5, 6), np.nan, np.float32)
    pixels[0] = np.inf  # which integers cannot hold either
    write_fits(tmp_path / "x.fits", [ImageResult(pixels)], integers)
    assert np.isnan(back(tmp_path / "x.fits")).all()


# --- levels


@pytest.mark.parametrize(("bits", "top"), [(8, 255), (12, 4095), (15, 32767), (16, 65534)])
def test_levels_are_unsigned_integers_of_a_stated_full_scale(tmp_path, bits, top):
    pixels, path, told = image(), tmp_path / "x.fits", []
    result = ImageResult(pixels, "focus", history=HISTORY)
    write_fits(path, [result], IntegerFormat(800.0, bits), told.append)
    levels, header = fits.getdata(path, header=True)  # astropy's own reading
    assert levels.dtype == np.uint16
    masked = np.isnan(pixels)
    expected = np.rint(np.clip(pixels[~masked].astype(float), 0, 800) / 800 * top)
    np.testing.assert_array_equal(levels[~masked], expected)
    assert (levels[masked] == MASKED_LEVEL).all()
    with fits.open(path, uint=False) as hdus:  # a reader that heeds BLANK
        np.testing.assert_array_equal(np.isnan(hdus[0].data), masked)
    assert (header["FULLADU"], header["TOPLEVEL"]) == (800, top)
    assert header.comments["FULLADU"] == "ADU = level * FULLADU / TOPLEVEL"
    assert "BUNIT" not in header
    under, over = int((pixels < 0).sum()), int((pixels > 800).sum())
    assert min(under, over) > 50
    (sentence,) = told
    assert f"focus: cut {under} pixels under 0 and {over} over the full scale of 800" in sentence
    (found,) = read_saved(path)
    *before, saved = found.history
    assert tuple(before) == HISTORY
    assert (saved.parameters["cut_under"], saved.parameters["cut_over"]) == (under, over)


def test_levels_come_back_as_adu(tmp_path):
    stack, path = image((3, 8, 9), 0, 1000), tmp_path / "x.fits"
    write_fits(path, [ImageResult(stack), ImageResult(stack[0])], LEVELS)
    cube, single = read_saved(path)
    limit = half_step(1000 / 4095, stack)
    run = open_run(path)
    assert run.dtype == np.float32
    for found in (cube.data.read(slice(None)), run.read(np.array([0, 1, 2])), single.data[None]):
        np.testing.assert_allclose(found, stack[: len(found)], atol=limit)
    np.testing.assert_array_equal(cube.data.read(np.array([2]))[0], run.read(slice(2, 3))[0])


def test_nothing_is_reported_where_nothing_was_cut(tmp_path):
    told = []
    write_fits(tmp_path / "x.fits", [ImageResult(image(low=0.0))], LEVELS, told.append)
    write_fits(tmp_path / "y.fits", [ImageResult(image())], IntegerFormat(), told.append)
    assert told == []


def test_levels_that_cannot_be_are_refused():
    for full in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(LuckyError, match=f"full scale is {full} ADU; it must be over 0"):
            IntegerFormat(full)
    for bits in (7, 17):
        with pytest.raises(LuckyError, match=f"{bits} bits; it must be 8 to 16"):
            IntegerFormat(4095.0, bits)
    assert [IntegerFormat(1.0, bits).top for bits in (8, 16)] == [255, 65534]


def test_a_folder_of_levels_of_different_full_scales_is_read_right(tmp_path):
    pixels = image(low=0.0, high=500.0)
    for number, full in enumerate((500.0, 2000.0)):
        write_fits(tmp_path / f"s_{number}.fits", [ImageResult(pixels)], IntegerFormat(full))
    run = open_run(tmp_path)
    assert run.shape[0] == 2
    for frame, full in zip(run.read(slice(None)), (500, 2000), strict=True):
        np.testing.assert_allclose(frame, pixels, atol=half_step(full / 4095, pixels))


def test_levels_that_others_packed_come_back_too(tmp_path):
    pixels = image(low=0.0)
    write_fits(tmp_path / "x.fits", [ImageResult(pixels)], LEVELS)
    levels, header = fits.getdata(tmp_path / "x.fits", header=True)
    header.remove("BLANK")
    packed = fits.CompImageHDU(levels, header)
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "x.fits.fz")
    found = open_run(tmp_path / "x.fits.fz").read(slice(None))[0]
    np.testing.assert_allclose(found, pixels, atol=half_step(1000 / 4095, pixels))


# --- both


@pytest.mark.parametrize("integers", [IntegerFormat(), LEVELS])
def test_a_run_is_streamed_in_two_passes(tmp_path, integers):
    pixels, counts = image((70, 128, 300), low=0.0), []

    class Counting(ArrayFrames):
        def read(self, frames, window=None):
            block = super().read(frames, window)
            counts.append(len(block))
            return block

    write_fits(tmp_path / "x.fits", [ImageResult(Counting(pixels))], integers)
    assert sum(counts) == 140
    assert max(counts) < 30
    np.testing.assert_allclose(back(tmp_path / "x.fits"), pixels, atol=half_step(0.25, pixels))


@pytest.mark.parametrize("integers", [IntegerFormat(), LEVELS])
def test_what_is_read_back_is_written_as_float32_again(tmp_path, integers):
    header = fits.Header([("EXPTIME", 0.005), ("SATURATE", 4095)])
    first = ImageResult(image(), "focus", header, HISTORY, (32, 48), 20)
    write_fits(tmp_path / "x.fits", [first], integers)
    (found,) = read_saved(tmp_path / "x.fits")
    assert (found.name, found.origin, found.combined) == ("focus", (32, 48), 20)
    assert [step.name for step in found.history] == ["calibrate", "stack", "save as integers"]
    write_fits(tmp_path / "y.fits", [found])
    pixels, again = fits.getdata(tmp_path / "y.fits", header=True)
    np.testing.assert_array_equal(pixels, found.data)
    assert again["EXPTIME"] == 0.005
    assert again["BUNIT"] == "adu"
    for keyword in ("BSCALE", "BZERO", "BLANK", "FULLADU", "TOPLEVEL"):
        assert keyword not in again


def test_integers_of_numbers_of_any_type(tmp_path):
    for dtype in ("u2", "?", "i4", ">f4", "f8"):
        pixels = np.array([[0, 1], [1, 0]]).astype(dtype)
        write_fits(tmp_path / "x.fits", [ImageResult(pixels)], IntegerFormat(), overwrite=True)
        np.testing.assert_allclose(back(tmp_path / "x.fits"), pixels.astype(float), atol=1e-5)


def test_a_full_disk_leaves_the_old_file_intact(tmp_path, monkeypatch):
    path = tmp_path / "x.fits"
    path.write_bytes(b"an older result")

    def full_disk(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full_disk)
    told = []
    for integers in (IntegerFormat(), IntegerFormat(10.0)):
        with pytest.raises(LuckyError, match="No space left"):
            write_fits(path, [ImageResult(image())], integers, told.append, overwrite=True)
    assert path.read_bytes() == b"an older result"
    assert [p.name for p in tmp_path.iterdir()] == ["x.fits"]


@pytest.mark.parametrize(
    ("text", "integers"),
    [
        ("scaled", IntegerFormat()),
        ("4095", IntegerFormat(4095.0, 12)),
        ("6e4,14", IntegerFormat(60000.0, 14)),
    ],
)
def test_what_is_typed(text, integers):
    assert parse_integer_format(text) == integers


@pytest.mark.parametrize(
    "text", ["", "float", "4095,", "4095,7", "4095,17", "0", "-1", "nan", "inf", "1,2,3", "4095,x"]
)
def test_what_is_refused(text):
    with pytest.raises(LuckyError, match=r"full scale|bits"):
        parse_integer_format(text)


def test_what_is_over_or_under_the_scale_is_cut_at_its_ends(tmp_path):
    """Level 0 of 0 ADU and under; the greatest for the full scale and over; one more is masked."""
    pixels = np.array([[-50.0, 0.0, 0.1, 999.9, 1000.0, 1e6, np.nan]], np.float32)
    said = []
    write_fits(tmp_path / "x.fits", ImageResult(pixels), LEVELS, notify=said.append)
    with fits.open(tmp_path / "x.fits", uint=True) as hdus:
        top = hdus[0].header["TOPLEVEL"]
        levels = hdus[0].data.ravel().astype(int)
    assert top == LEVELS.top
    assert levels.tolist() == [0, 0, round(0.1 * top / 1000), top, top, top, MASKED_LEVEL]
    assert "cut 1 pixels under 0 and 1 over the full scale of 1000 ADU" in said[0]
