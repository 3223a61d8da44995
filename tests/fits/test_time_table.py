"""Times of frames that the user gives in a table."""

import numpy as np
import pytest
from astropy.time import Time

from napari_lucky.errors import LuckyError
from napari_lucky.fits.time_table import read_times

FILES = ["a_1.fits", "a_2.fits", "a_3.fits"]
TOLD = ["2026-11-27T21:03:04.5", "2026-11-27T21:03:04.6", "2026-11-27T21:03:04.7"]
TIMES = np.array(TOLD, "datetime64[us]")
MJD = [repr(float(day)) for day in Time(TOLD, scale="utc").mjd]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(TOLD),
        "time\n" + "\n".join(TOLD) + "\n\n",
        "\ufeffTime;exposure\r\n" + "\r\n".join(f"{time}Z;0.02" for time in TOLD),
        "frame,time,exposure\n2,{2},0.02\n0,{0},0.02\n1,{1},0.02".format(*TOLD),
        "file\ttime\na_2.fits\t{1}\na_1.fits\t{0}\na_3.fits\t{2}".format(*TOLD),
        "# a comment\nmjd\n" + "\n".join(MJD),
        "time\n2026-11-27 22:03:04.5+01:00\n2026-11-27T21:03:04,6\n{2}".format(*TOLD),
    ],
)
def test_each_frame_gets_its_time(text, tmp_path):
    (tmp_path / "t.csv").write_bytes(text.replace(",6", ".6").encode())
    found = read_times(tmp_path / "t.csv", FILES)
    np.testing.assert_allclose((found.time - TIMES).astype(int), 0, atol=1)
    expected = 0.02 if "exposure" in text else np.nan
    np.testing.assert_array_equal(found.exposure, np.full(3, expected))


def test_frames_without_a_line_have_no_time(tmp_path):
    (tmp_path / "t.csv").write_text(f"frame,time\n1,{TOLD[1]}\n2,\n")
    found = read_times(tmp_path / "t.csv", FILES)
    assert np.isnat(found.time).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is empty"),
        ("\n".join(TOLD[:2]), "it has 2 times, the run has 3 frames; add a column frame"),
        ("frame,time\n3," + TOLD[0], "it has frame 3, the run has 3"),
        ("frame,time\n1,{}\n1,{}".format(*TOLD[:2]), "a frame is in it twice"),
        ("frame,time\nx," + TOLD[0], "'x' is not a frame number"),
        ("file,time\nb.fits," + TOLD[0], "it names b.fits"),
        ("frame,date\n0,1", "its columns are frame, date"),
        ("yesterday\ntoday\nnow", "'yesterday' is not a date with a time"),
        ("time\n21:03:04\n21:03:05\n21:03:06", "21:03:04"),
        ("time,exposure\n" + "\n".join(f"{time},-1" for time in TOLD), "not over 0"),
        ("frame,time\n0", "a line has fewer columns"),
        (f"frame,time\n0,{TOLD[0]}\n1\n2,{TOLD[2]}", "a line has fewer columns"),
        ("mjd\nlate\n1\n2", "late"),
    ],
)
def test_what_is_no_table_of_times_is_reported(text, told, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(LuckyError, match=rf"t\.csv: this is not a table of times .*{told}"):
        read_times(tmp_path / "t.csv", FILES)
    with pytest.raises(LuckyError, match=r"nothing\.csv: cannot be read"):
        read_times(tmp_path / "nothing.csv", FILES)
