"""When frames were taken, by their headers."""

import gzip
import pickle

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import calibrate, open_run
from napari_lucky.fits.run_notes import run_notes
from napari_lucky.fits.times import UNKNOWN, cards_time, header_time, times_of
from napari_lucky.frames.times import frame_exposures, frame_times

PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4)


def utc(text):
    return np.datetime64(text, "us")


@pytest.mark.parametrize(
    ("cards", "time"),
    [
        ({"DATE-OBS": "2026-05-12T21:03:04.125"}, "2026-05-12T21:03:04.125"),
        ({"DATE-OBS": "2026-05-12 21:03:04,5Z"}, "2026-05-12T21:03:04.5"),
        ({"DATE-OBS": "2026-05-12", "TIME-OBS": "21:03:04.000001"}, "2026-05-12T21:03:04.000001"),
        ({"DATE-OBS": "12/05/98", "UT": "21:03"}, "1998-05-12T21:03"),
        ({"DATE-OBS": "2026-05-12T00:03:04+01:00"}, "2026-05-11T23:03:04"),
        ({"DATE-OBS": "2026-05-12T21:03:04.5 -0330"}, "2026-05-13T00:33:04.5"),
        ({"DATE-OBS": "2026-05-12", "UT": "9:03:04"}, "2026-05-12T09:03:04"),
        ({"DATE-OBS": "2026-05-12", "UTC": 75784.25}, "2026-05-12T21:03:04.25"),
        ({"DATE-OBS": "2026-05-12", "UT": 12.5}, "NaT"),  # hours, perhaps
        ({"DATE-OBS": "2026-05-12T25:03:04"}, "NaT"),
        ({"DATE-BEG": "2026-05-12T21:03:04", "TIMESYS": "TAI"}, "2026-05-12T21:02:27"),
        ({"MJD-OBS": 61172.5}, "2026-05-12T12:00"),
        ({"JD": 2461173.0}, "2026-05-12T12:00"),
        ({"DATE-OBS": "2026-13-12T21:03:04"}, "NaT"),
        ({"DATE-OBS": "2026-13-12T21:03", "DATE-BEG": "2026-12-13T21:03"}, "2026-12-13T21:03"),
        ({"DATE-OBS": "2026-05-12"}, "NaT"),
        ({"DATE-OBS": 7, "MJD-OBS": "late"}, "NaT"),
        ({}, "NaT"),
    ],
)
def test_a_header_tells_the_beginning_of_the_exposure(cards, time, tmp_path):
    header = fits.Header(list(cards.items()))
    assert np.array_equal(header_time(header), utc(time), equal_nan=True)
    fits.PrimaryHDU(PIXELS, header).writeto(tmp_path / "a.fits")
    times = open_run(tmp_path / "a.fits").times()
    assert times is None if time == "NaT" else times.tolist() == [utc(time).item()]


def test_each_frame_has_its_own_time_in_every_view(tmp_path):
    told = [f"2026-05-12T21:03:0{k}" for k in range(4)]
    for k, time in enumerate(told[:3]):
        path = tmp_path / f"a_{k}.fits"
        fits.PrimaryHDU(PIXELS, fits.Header([("DATE-OBS", time)])).writeto(path)
    cube = fits.PrimaryHDU(np.stack([PIXELS] * 2), fits.Header([("DATE-OBS", told[3])]))
    cube.writeto(tmp_path / "a_3.fits")
    run = pickle.loads(pickle.dumps(open_run(tmp_path)))  # as the helper of the window has it
    expected = [utc(time) for time in told] + [UNKNOWN]
    assert np.array_equal(run.times(), expected, equal_nan=True)
    some = calibrate(run[[3, 1]])
    assert np.array_equal(frame_times(some), [utc(told[3]), utc(told[1])])
    assert frame_times(run[[4]]) is None
    packed = tmp_path / "b.fits.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a_1.fits").read_bytes()))
    assert open_run(packed).times() == utc(told[1])


def test_exposures_and_times_of_extensions(tmp_path):
    """Each extension's own, the primary header's where it has none."""
    hdus = [fits.PrimaryHDU(header=fits.Header([("EXPTIME", 1.0)]))]
    for k in range(3):
        cards = [("DATE-OBS", f"2026-05-12T21:03:0{k}"), *([("EXPTIME", 0.02)] if k == 2 else [])]
        hdus.append(fits.ImageHDU(PIXELS, fits.Header(cards)))
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    run = open_run(tmp_path / "a.fits")
    np.testing.assert_array_equal(run.exposures(), [1.0, 1.0, 0.02])
    assert [str(time)[17:19] for time in run.times()] == ["00", "01", "02"]
    assert frame_exposures(run[[2]]).tolist() == [0.02]
    cube = fits.PrimaryHDU(np.stack([PIXELS] * 2), fits.Header([("EXPOSURE", "0,5")]))
    cube.writeto(tmp_path / "c.fits")
    assert open_run(tmp_path / "c.fits").exposures().tolist() == [0.5, 0.5]
    for value in (0, -1.0, "long", True):
        fits.PrimaryHDU(PIXELS, fits.Header([("EXPTIME", value)])).writeto(
            tmp_path / "d.fits", overwrite=True
        )
        assert open_run(tmp_path / "d.fits").exposures() is None


def test_the_time_in_the_bytes_of_a_header_is_that_of_its_cards():
    """Wherever it stands; the first of two counts, and nothing behind END."""
    cards = [("OBJECT", "M 15"), ("DATE-OBS", "2026-05-12"), ("GAIN", 3), ("UT", "21:03:04.5 ")]
    header = fits.Header([*cards, ("DATE-OBS", "2030-01-01"), ("EXPTIME", 1.0)])
    raw = header.tostring(padding=False).encode("ascii")
    assert cards_time(raw) == utc("2026-05-12T21:03:04.5") == header_time(header)
    late = fits.Header(cards[:2]).tostring(padding=False) + "END".ljust(80)
    late += fits.Header(cards[3:]).tostring(padding=False)
    assert np.isnat(cards_time(late.encode("ascii")))
    number = b"MJD-OBS =              61172.5 / [d] of the beginning".ljust(80)
    assert cards_time(number) == utc("2026-05-12T12:00")
    assert np.isnat(cards_time(number.replace(b"=", b" ")))


def test_the_times_of_a_table_are_in_utc():
    texts = ["2026-05-12T00:03:04+01:00", "", " 2026-05-12 21:03:04,5Z", "NaT"]
    expected = [utc("2026-05-11T23:03:04"), UNKNOWN, utc("2026-05-12T21:03:04.5"), UNKNOWN]
    assert np.array_equal(times_of(texts), expected, equal_nan=True)
    with pytest.raises(ValueError, match="'late' is not a date with a time"):
        times_of(["late"])


def test_frames_of_one_time_are_in_order(tmp_path):
    """However it is written: 04.5 is 04.50."""
    for k, second in enumerate(("04.50", "04.5", "04.500", "03")):
        header = fits.Header([("DATE-OBS", f"2026-05-12T21:03:{second}")])
        fits.PrimaryHDU(PIXELS, header).writeto(tmp_path / f"a_{k}.fits")
    paths = sorted(tmp_path.iterdir())
    assert not any("order of the names" in note for note in run_notes(open_run(paths[:3])))
    (told,) = (note for note in run_notes(open_run(paths)) if "order of the names" in note)
    assert "a_3.fits was taken before a_2.fits" in told
