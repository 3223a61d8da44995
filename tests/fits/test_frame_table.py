"""The table of frames through CSV and FITS and back."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from astropy.time import Time

from napari_lucky.errors import LuckyError
from napari_lucky.fits.frame_table import (
    COLUMNS,
    FrameTable,
    is_table_csv,
    table_from_csv,
    table_from_hdu,
    table_to_csv,
    table_to_hdu,
)
from napari_lucky.fits.read_back import read_saved
from napari_lucky.fits.write import write_fits, write_text
from napari_lucky.frames.history import Record, read_history

NAMES = {
    "plain": "AF_{}.fits",
    "commas and quotes": "a,b \"c\" 'd' {}.fits",
    "accents": "Größe µ 星 🔭 {}.fits",
    "lines": "a\nb\r\nc\u2028d\x85e\x0bf {}.fits",
    "backslashes": r"a\x41\n\u0041 {}.fits",
    "hash": "# {}.fits",
    "none": "",
}
HISTORY = (Record("register", {"method": "brightest"}), Record("rank", {"note": "# a\nb  " * 20}))


def table(n: int = 12, name: str = NAMES["plain"], history=HISTORY) -> FrameTable:
    rng = np.random.default_rng(3)
    shifts = rng.normal(0, 20, (n, 2))
    quality = rng.lognormal(0, 30, n)
    odd = [np.nan, np.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1, -1 / 3]
    quality[: min(n, 7)] = odd[:n]
    if n > 3:
        shifts[2] = np.nan
        shifts[3] = -0.0, 1e-17
    return FrameTable(
        rng.permutation(10 * n)[:n],
        [name.format(k) for k in range(n)],
        shifts,
        quality,
        rng.random(n) > 0.5,
        (512.1234567890123, 1 / 3),
        history,
    )


def through_csv(given: FrameTable, folder: Path) -> FrameTable:
    write_text(folder / "t.csv", table_to_csv(given, with_history=True))
    return table_from_csv(folder / "t.csv")


def through_fits(given: FrameTable, folder: Path) -> FrameTable:
    write_fits(folder / "t.fits", [table_to_hdu(given)], overwrite=True)
    (found,) = read_saved(folder / "t.fits")
    return found


def through_hdu(given: FrameTable, folder: Path) -> FrameTable:
    return table_from_hdu(table_to_hdu(given))


def assert_same(found: FrameTable, expected: FrameTable) -> None:
    for name in ("frame", "shifts", "quality", "selected", "time", "exposure"):
        one, two = getattr(found, name), getattr(expected, name)
        if two is None:
            assert one is None
            continue
        assert (one.shape, one.dtype) == (two.shape, two.dtype)
        assert one.tobytes() == two.tobytes()  # to the bit: −0 and NaN too
    assert list(found.file) == list(expected.file)
    assert found.reference == expected.reference
    assert found.history == expected.history


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("through", [through_csv, through_fits, through_hdu])
def test_a_table_comes_back_to_the_bit_whatever_the_files_are_called(tmp_path, through, name):
    given = table(name=name)
    assert_same(through(given, tmp_path), given)


@pytest.mark.parametrize("through", [through_csv, through_fits, through_hdu])
def test_times_and_exposures_come_back(tmp_path, through):
    time = np.datetime64("2026-11-27T21:03:04.000001", "us") + np.arange(12) * 999_999
    time[3] = np.datetime64("NaT", "us")
    given = replace(table(), time=time, exposure=np.where(np.arange(12) == 3, np.nan, 0.01))
    assert_same(through(given, tmp_path), given)
    assert_same(through(replace(given, exposure=None), tmp_path), replace(given, exposure=None))
    made = Time(list(given.to_qtable()["time"][:3]), scale="utc")  # astropy reads them
    np.testing.assert_array_equal(made.datetime64.astype("datetime64[us]"), time[:3])


@pytest.mark.parametrize(
    ("cell", "told"),
    [("27.11.2026", "27.11.2026"), ("2026-11-27", "not a date with a time"), ("0", "over 0")],
)
def test_a_time_that_is_none_is_reported(tmp_path, cell, told):
    column = "exposure" if cell == "0" else "time"
    text = f"frame,file,dy,dx,quality,selected,{column}\n0,a.fits,1,2,3,1,{cell}\n"
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(LuckyError, match=told):
        table_from_csv(tmp_path / "t.csv")


def test_names_that_are_no_text_come_back_from_fits(tmp_path):
    given = table(name=r"M\xfcller_{}.fits")
    assert_same(through_fits(given, tmp_path), given)


def test_a_csv_in_another_encoding_is_read(tmp_path):
    text = table_to_csv(table(name="Müller_{}.fits"), with_history=True)
    (tmp_path / "t.csv").write_bytes(text.encode("latin-1"))
    assert is_table_csv(tmp_path / "t.csv")
    assert_same(table_from_csv(tmp_path / "t.csv"), table(name=r"M\xfcller_{}.fits"))


@pytest.mark.parametrize("n", [0, 1, 3, 500])
@pytest.mark.parametrize("through", [through_csv, through_fits])
def test_tables_of_any_length_come_back(tmp_path, through, n):
    given = table(n, history=())
    assert_same(through(given, tmp_path), given)


def test_a_table_without_any_star_keeps_its_reference(tmp_path):
    given = table()
    given.shifts[:] = np.nan
    for through in (through_csv, through_fits):
        assert through(given, tmp_path).reference == given.reference


def test_the_tracked_point_is_the_reference_less_the_shift():
    given = table()
    moved = given.points + given.shifts
    found = np.isfinite(moved).all(axis=1)
    assert found.sum() == 11
    np.testing.assert_allclose(moved[found], np.tile(given.reference, (11, 1)), rtol=1e-12)


def test_the_plain_csv_has_the_six_columns_and_nothing_else(tmp_path):
    given = table()
    text = table_to_csv(given)
    rows = list(csv.reader(text.splitlines()))
    assert rows[0] == ["frame", "file", "dy", "dx", "quality", "selected"] == list(COLUMNS)
    assert len(rows) == 13
    for k, (frame, file, dy, dx, quality, selected) in enumerate(rows[1:]):
        assert (int(frame), file) == (given.frame[k], f"AF_{k}.fits")
        np.testing.assert_array_equal([float(dy), float(dx)], given.shifts[k])
        np.testing.assert_array_equal(float(quality), given.quality[k])
        assert selected == str(int(given.selected[k]))
    write_text(tmp_path / "t.csv", text)
    assert is_table_csv(tmp_path / "t.csv")
    found = table_from_csv(tmp_path / "t.csv")
    assert found.history == ()
    assert found.shifts.tobytes() == given.shifts.tobytes()


def test_the_csv_with_history_also_holds_the_tracked_point():
    given = table()
    lines = [line for line in table_to_csv(given, True).splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    points = [[float(row["y"]), float(row["x"])] for row in rows]
    np.testing.assert_array_equal(points, given.points)


def test_a_csv_that_a_spreadsheet_saved_again_is_read(tmp_path):
    given = table()
    text = table_to_csv(given, with_history=True).replace("\n", "\r\n")
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert is_table_csv(tmp_path / "t.csv")
    assert_same(table_from_csv(tmp_path / "t.csv"), given)


def test_the_fits_table_is_one_that_astropy_verifies(tmp_path):
    given = table()
    write_fits(tmp_path / "t.fits", [table_to_hdu(given, "SHIFTS")], overwrite=True)
    with fits.open(tmp_path / "t.fits") as hdus:
        hdus.verify("exception")
        assert len(hdus) == 2
        assert hdus[1].name == "SHIFTS"
        assert hdus[1].columns["dy"].unit == "pixel"
        assert hdus[1].columns.names == list(COLUMNS)
        np.testing.assert_array_equal(hdus[1].data["dx"], given.shifts[:, 1])


@pytest.mark.parametrize(
    ("content", "ours"),
    [
        (b"frame,file,dy,dx,quality,selected\n", True),
        (b"# lucky> {}\n#\nframe,file,dy,dx,quality,selected,y,x\n", True),
        (b"frame,file,dy,dx,quality\n0,a,1,2,3\n", False),
        (b"index,axis-0,axis-1\n0,1,2\n", False),
        (b"file,frame,dy,dx,quality,selected\n", False),
        (b"", False),
        (b"# only a comment\n", False),
        (bytes(range(256)), False),
    ],
)
def test_which_csv_files_are_tables_of_frames(tmp_path, content, ours):
    (tmp_path / "t.csv").write_bytes(content)
    assert is_table_csv(tmp_path / "t.csv") is ours


def test_no_file_and_a_folder_are_no_tables(tmp_path):
    assert not is_table_csv(tmp_path / "nothing.csv")
    assert not is_table_csv(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"index,axis-0,axis-1\n0,1,2\n",
        b"frame,file,dy,dx,quality,selected\n0,a.fits,1,two,3,1\n",
        b"frame,file,dy,dx,quality,selected\n0,a.fits,1\n",
        b"frame,file,dy,dx,quality,selected\n0.5,a.fits,1,2,3,1\n",
        b"frame,file,dy,dx,quality,selected\n0,a.fits,1,2,,1\n",
        b"# reference here\nframe,file,dy,dx,quality,selected\n0,a.fits,1,2,3,1\n",
        b"# reference 1\nframe,file,dy,dx,quality,selected\n0,a.fits,1,2,3,1\n",
        b"",
        bytes(range(256)) * 40,
        b"a" * 200_000,
        b'frame,file,dy,dx,quality,selected\n0,"' + b"a" * 200_000,
        None,
    ],
)
def test_a_foreign_csv_is_reported(tmp_path, content):
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    said = "cannot be read .No such file" if content is None else "this is not a table of frames"
    with pytest.raises(LuckyError, match=rf"t\.csv: {said}"):
        table_from_csv(tmp_path / "t.csv")


@pytest.mark.parametrize("through", [through_csv, through_fits, through_hdu])
def test_errors_of_the_shifts_come_back(tmp_path, through):
    sigma = np.random.default_rng(0).uniform(0, 1, (12, 2))
    sigma[3] = np.nan
    given = replace(table(), sigma=sigma)
    np.testing.assert_array_equal(through(given, tmp_path).sigma, sigma)
    assert through(table(), tmp_path).sigma is None


def test_errors_are_the_last_columns():
    first, *_ = table_to_csv(replace(table(), sigma=np.ones((12, 2)))).splitlines()
    assert first == "frame,file,dy,dx,quality,selected,sigma_dy,sigma_dx"


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("frame", "3", "frame 3 is in it twice"),
        ("frame", "9" * 30, "is not a frame number"),
        ("frame", "-1", "is not a frame number"),
        ("selected", "2", "selected is '2', and must be 0 or 1"),
        ("selected", "yes", "selected is 'yes'"),
        ("selected", "", "selected is ''"),
        ("selected", "-1", "selected is '-1'"),
        ("selected", "True", "selected is 'True'"),
        ("selected", "1.0", "selected is '1.0'"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path, column, value, says):
    names = ["frame", "file", "dy", "dx", "quality", "selected"]
    rows = [[str(k), "a.fits", "0.5", "-0.5", "1.0", "1"] for k in range(5)]
    rows[1][names.index(column)] = value
    path = tmp_path / "frames.csv"
    path.write_text("\n".join(map(",".join, [names, *rows])))
    with pytest.raises(LuckyError, match=re.escape(says)):
        table_from_csv(path)


def test_a_saved_table_with_a_frame_twice_is_refused(tmp_path):
    table = FrameTable(
        np.array([0, 2, 2]), ["", "", ""], np.zeros((3, 2)), np.ones(3), np.ones(3, bool)
    )
    path = tmp_path / "table.fits"
    write_fits(path, [table_to_hdu(table)], overwrite=True)
    with pytest.raises(LuckyError, match="frame 2 is in it twice"):
        read_saved(path)
    path.write_bytes(path.read_bytes().replace(b"TFORM2  = '", b"TFORM2  = \x00"))
    with pytest.raises(LuckyError, match="cannot be read back"):
        read_saved(path)


@pytest.mark.parametrize("name", ["plain", "commas and quotes", "accents", "none"])
def test_a_qtable_keeps_units_reference_and_history_through_ecsv(tmp_path, name):
    given = replace(table(name=NAMES[name]), sigma=np.full((12, 2), 0.1))
    given.to_qtable().write(tmp_path / "frames.ecsv")
    read = QTable.read(tmp_path / "frames.ecsv")
    assert read.colnames == [*COLUMNS, "sigma_dy", "sigma_dx"]
    assert [str(read[column].unit) for column in ("dy", "dx", "sigma_dy")] == ["pix"] * 3
    np.testing.assert_array_equal(np.column_stack([read["dy"], read["dx"]]).value, given.shifts)
    np.testing.assert_array_equal(read["quality"], given.quality)
    np.testing.assert_array_equal(read["selected"], given.selected)
    np.testing.assert_array_equal(read["frame"], given.frame)
    assert [str(one) for one in np.ma.filled(read["file"], "")] == list(given.file)
    assert tuple(read.meta["reference"]) == given.reference
    assert read_history(read.meta["history"]) == given.history


@pytest.mark.parametrize(
    ("n", "shown"), [(10, [*range(10)]), (11, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10])]
)
def test_a_notebook_shows_the_first_and_the_last_five_rows(n, shown):
    made = table(n)
    rows = re.findall("<tr>(.*?)</tr>", made._repr_html_(), re.DOTALL)[1:]
    cells = [re.findall("<td.*?>(.*?)</td>", row) for row in rows]
    assert [row[0] for row in cells if row[0] != "…"] == [str(made.frame[k]) for k in shown]
    assert [k for k, row in enumerate(cells) if row[0] == "…"] == [5] * (n > 10)
