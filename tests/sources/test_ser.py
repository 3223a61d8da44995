"""SER files, against what numpy reads by the book."""

import pickle

import numpy as np
import pytest
import tifffile
from astropy.io import fits

from napari_lucky import LuckyError, Window, open_run
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.frames.times import frame_times

WINDOW = Window(3, 5, 11, 17)
TIMES = np.datetime64("2026-05-12T21:03:04.000125", "us") + np.arange(5) * np.timedelta64(
    2500, "us"
)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("flag", [0, 1])
@pytest.mark.parametrize("depth", [10, 12, 16])
def test_the_pixels_decide_on_the_order_of_bytes_whatever_the_flag(
    made_ser, stars, order, flag, depth
):
    frames = stars >> 2 if depth == 10 else stars
    run = open_run(made_ser(frames, order=order, flag=flag, depth=depth))
    assert run.dtype == np.uint16
    assert np.array_equal(run.read(slice(None)), frames)
    cut = run.read(np.array([4, 0, 2]), WINDOW)
    assert np.array_equal(cut, frames[[4, 0, 2]][:, 3:14, 5:22])
    assert run_notes(run) == []
    assert "little" in run.inputs["read_as"] if order == "<" else "big" in run.inputs["read_as"]


@pytest.mark.parametrize(("flag", "order"), [(0, "<"), (1, ">")])
def test_where_pixels_cannot_tell_the_flag_is_taken_as_programs_write_it(made_ser, flag, order):
    noise = np.random.default_rng(0).integers(0, 65536, (3, 20, 30)).astype(np.uint16)
    run = open_run(made_ser(noise, order=order, flag=flag))
    assert np.array_equal(run.read(slice(None)), noise)


def test_eight_bits_and_left_aligned_ones(made_ser, stars):
    small = (stars >> 4).astype(np.uint8)
    run = open_run(made_ser(small))
    assert (run.dtype, run.shape) == (np.uint8, (5, 20, 30))
    assert np.array_equal(run[2], small[2])
    high = stars << 4
    assert np.array_equal(open_run(made_ser(high, depth=12)).read(slice(None)), high)


@pytest.mark.parametrize(("colour", "planes"), [(100, (0, 1, 2)), (101, (2, 1, 0))])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_are_planes_of_a_frame(made_ser, stars, colour, planes, dtype):
    parts = [stars >> 4, stars >> 5, stars >> 6]
    frames = np.stack(parts, axis=-1).astype(dtype)
    path = made_ser(frames, colour=colour, times=TIMES)
    truth = {"red": frames[..., planes[0]], "green": frames[..., 1], "blue": frames[..., planes[2]]}
    for name, expected in truth.items():
        run = open_run(path, name)
        assert run.dtype == dtype
        assert np.array_equal(run.read(slice(None)), expected), name
        assert np.array_equal(run.read(slice(3, 5), WINDOW), expected[3:5, 3:14, 5:22])
    mean = open_run(path)
    assert np.allclose(mean.read(slice(None)), frames.mean(axis=-1), atol=1e-3)
    assert np.array_equal(mean.times(), TIMES)
    assert "three planes each; their mean (luminance) is used" in run_notes(mean)[0]


def test_what_the_file_tells_is_in_header_times_and_history(made_ser, stars):
    run = open_run(made_ser(stars, colour=8, times=TIMES, depth=12))
    assert np.array_equal(run.times(), TIMES)
    assert np.array_equal(frame_times(run[[3, 1]]), TIMES[[3, 1]])
    header = run.header
    assert isinstance(header, fits.Header)
    assert header["DATE-OBS"] == "2026-05-12T21:03:04.000125"
    assert (header["INSTRUME"], header["TELESCOP"]) == ("ZWO ASI290MM", "C11")
    assert header["OBSERVER"] == "A. Observer"
    assert header["BAYERPAT"] == "RGGB"
    assert run.inputs["read_as"] == "SER, 12 bits, little-endian, RGGB"
    assert "a mosaic (RGGB), not debayered" in run_notes(run)[0]
    cells = run.in_colour("superpixel")
    assert np.allclose(cells[0], stars[0].reshape(10, 2, 15, 2).mean(axis=(1, 3)))
    again = pickle.loads(pickle.dumps(run))
    assert np.array_equal(again[4], stars[4])


@pytest.mark.parametrize("count", [0, -1, 9])
def test_a_file_that_was_not_closed_is_read_as_far_as_it_goes(made_ser, stars, count):
    path = made_ser(stars, count=count)
    path.write_bytes(path.read_bytes()[:-100])
    run = open_run(path)
    assert np.array_equal(run.read(slice(None)), stars[:4])
    assert run.times() is None
    assert run.missing == max(count - 4, 0)
    (told,) = run_notes(run)
    assert "a.ser" in told
    assert "holds 4, and a part of one that is left out" in told


def test_stamps_that_are_none_are_no_times(made_ser, stars):
    zero = np.full(5, np.datetime64("0001-01-01", "us"))
    assert open_run(made_ser(stars, times=zero)).times() is None
    some = TIMES.copy()
    some[2] = zero[2]
    times = open_run(made_ser(stars, times=some)).times()
    assert np.isnat(times).tolist() == [False, False, True, False, False]
    path = made_ser(stars, times=TIMES)
    path.write_bytes(path.read_bytes()[:-1])  # the last stamp is cut
    times = open_run(path).times()
    assert np.array_equal(times[:4], TIMES[:4])
    assert np.isnat(times[4])


@pytest.mark.parametrize(
    ("at", "value", "told"),
    [
        (0, b"LUCKY", "this is not a SER file"),
        (18, b"\x07\0\0\0", "ColorID 7"),
        (26, b"\0\0\0\0", "0 x 20 pixels"),
        (34, b"\x40\0\0\0", "64 bits"),
        (30, b"\0\0\1\0", "truncated"),
    ],
)
def test_damaged_files_are_reported(made_ser, stars, at, value, told):
    path = made_ser(stars)
    whole = bytearray(path.read_bytes())
    whole[at : at + len(value)] = value
    path.write_bytes(whole)
    with pytest.raises(LuckyError, match=rf"a\.ser: .*{told}"):
        open_run(path)
    path.write_bytes(b"LUCAM-RECORDER")
    with pytest.raises(LuckyError, match="not a SER file"):
        open_run(path)


def test_a_file_that_changes_is_reported(made_ser, stars):
    path = made_ser(stars)
    run = open_run(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(LuckyError, match="open the run again"):
        run.read(slice(None))


def test_in_a_folder_fits_files_come_first(made_ser, stars, tmp_path):
    made_ser(stars, "night_1.ser")
    (tmp_path / "night_1.txt").write_text("settings")
    assert open_run(tmp_path).shape == (5, 20, 30)
    made_ser(stars[:2], "night_2.ser")
    assert np.array_equal(open_run(tmp_path).read(slice(5, 7)), stars[:2])
    made_ser(stars, "dark.ser")
    assert open_run(tmp_path).shape[0] == 7
    tifffile.imwrite(tmp_path / "preview.tif", stars[0, ::2], photometric="minisblack")
    run = open_run(tmp_path)
    assert run.shape[0] == 7
    assert "Left out preview.tif: the frames are read from .ser files." in run_notes(run)
    fits.PrimaryHDU(stars[0]).writeto(tmp_path / "a_1.fits")
    run = open_run(tmp_path)
    assert run.shape[0] == 1
    assert "the frames are read from .fits files" in "".join(run_notes(run))
