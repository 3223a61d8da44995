"""Tables of frames as ECSV: units and history are kept, and it is read wherever CSV is."""

from dataclasses import fields, replace

import numpy as np
import pytest
from astropy.table import QTable

from napari_lucky.errors import LuckyError
from napari_lucky.fits.frame_table import FrameTable, table_to_csv
from napari_lucky.fits.table_file import is_table, read_table, table_text
from napari_lucky.fits.time_table import read_times
from napari_lucky.frames.history import Record

NAMES = ["AF_{}.fits", "a,b \"c\" 'd' {}.fits", "Größe µ 星 🔭 {}.fits", "# {}.fits", "=1+{}", ""]
TIMES = np.array(["2026-11-27T21:03:04.125", "2026-11-27T21:03:05", "NaT"], "datetime64[us]")


def table(name=NAMES[0], **more):
    return FrameTable(
        np.array([7, 2, 30]),
        [name.format(k) for k in range(3)],
        np.array([[0.1, -1 / 3], [np.nan, np.nan], [5e-324, -0.0]]),
        np.array([np.inf, np.nan, 0.1]),
        np.array([True, False, True]),
        (512.1234567890123, 1 / 3),
        (Record("register", {"method": "brightest"}), Record("rank", {"note": "# a\nb  " * 20})),
        **more,
    )


FULL = {"sigma": np.full((3, 2), 0.1), "time": TIMES, "exposure": np.array([0.01, 0.02, np.nan])}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("more", [{}, FULL], ids=["least", "full"])
def test_a_table_comes_back_from_ecsv(tmp_path, name, more):
    given, path = table(name, **more), tmp_path / "t.ECSV"
    path.write_text(table_text(given, path), encoding="utf-8")
    assert is_table(path)
    found = read_table(path)
    for field in fields(FrameTable):
        told, meant = getattr(found, field.name), getattr(given, field.name)
        np.testing.assert_array_equal(told, meant, err_msg=field.name)
    astropys = QTable.read(path, format="ascii.ecsv")
    assert str(astropys["dy"].unit) == "pix"
    assert table_text(given, tmp_path / "t.csv") == table_to_csv(given, with_history=True)


def test_a_table_without_a_reference_has_the_sensors_first_pixel(tmp_path):
    path = tmp_path / "t.ecsv"
    path.write_text(table_text(table(), path), encoding="utf-8")
    made = QTable.read(path, format="ascii.ecsv")
    assert made.meta.pop("reference") is not None
    made.write(path, overwrite=True)
    assert read_table(path).reference == (0, 0)


def test_units_are_converted_and_times_are_read_whatever_separates_the_columns(tmp_path):
    given, path = table(**FULL), tmp_path / "frames.ecsv"
    written = given.to_qtable()
    written["exposure"] = written["exposure"].to("ms")
    written.write(path)  # as astropy does by default
    np.testing.assert_allclose(read_table(path).exposure, FULL["exposure"])
    taken = read_times(path, [f"{k}" for k in range(31)])
    np.testing.assert_array_equal(taken.time[[7, 2, 30]], TIMES)
    np.testing.assert_allclose(taken.exposure[[7, 2]], [0.01, 0.02])
    given.to_qtable()[["frame", "quality"]].write(path, overwrite=True)
    assert not is_table(path)
    with pytest.raises(LuckyError, match="not a table of times"):
        read_times(path, ["a"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.remove_column("dy"), "dy"),
        (lambda t: t.replace_column("frame", [7, 7, 30]), "frame 7 is in it twice"),
        (lambda t: t.replace_column("selected", [1, 0, 2]), "selected True or False"),
        (lambda t: t.replace_column("quality", ["a", "b", "c"]), "quality does not hold numbers"),
        (lambda t: t.replace_column("dx", t["exposure"]), "not convertible"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path, change, says):
    written, path = replace(table(**FULL)).to_qtable(), tmp_path / "frames.ecsv"
    change(written)
    written.write(path)
    with pytest.raises(LuckyError, match=says):
        read_table(path)


@pytest.mark.parametrize("text", ["", "frame,file\n1,2\n", "# %ECSV 1.0\n# ---\n# datatype: [\n"])
def test_what_is_no_ecsv_is_refused(tmp_path, text):
    path = tmp_path / "frames.ecsv"
    path.write_text(text)
    assert not is_table(path)
    with pytest.raises(LuckyError, match="not a table of frames"):
        read_table(path)
    with pytest.raises(LuckyError, match="not a table of times"):
        read_times(path, ["a"])


def test_what_is_a_table_by_its_name_and_columns(tmp_path):
    given = table()
    texts = {
        "t.csv": table_to_csv(given, with_history=True),
        "t.txt": table_to_csv(given, with_history=True),
        "plain.csv": "a,b\n1,2\n",
        "t.ecsv": table_text(given, tmp_path / "t.ecsv"),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = {name: is_table(tmp_path / name) for name in (*texts, "none.ecsv")}
    known = {"t.csv": True, "t.txt": False, "plain.csv": False, "t.ecsv": True}
    assert found == known | {"none.ecsv": False}
