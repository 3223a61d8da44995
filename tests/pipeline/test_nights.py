"""Several runs with one recipe: their folders' names, and the evening of a time."""

import json
from pathlib import Path

import pytest

from napari_lucky.errors import UsageError
from napari_lucky.pipeline.nights import evening, folders_of, names_apart, process_each
from napari_lucky.pipeline.recipe import Recipe
from napari_lucky.ranking.step import Select


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/run1", "/a/run2"], ["run1", "run2"]),
        (["/1/star", "/2/star", "/2/moon"], ["1_star", "2_star", "moon"]),
        (["/x/1/star", "/y/1/star"], ["x_1_star", "y_1_star"]),
        (["/1/Star", "/2/star"], ["1_Star", "2_star"]),
        (["/1/star", "/1_star"], ["star", "1_star"]),
        (["/a/b_c", "/a_b/c", "/d/c"], ["b_c", "a_b_c", "d_c"]),
        (["/b/a_c", "/a/c", "/d/c"], ["a_c", "a_c_2", "d_c"]),
        (["/"], ["run"]),
        ([], []),
        (["/1/cube.fits.gz", "/2/cube.fits", "/2/x.ser"], ["1_cube", "2_cube", "x"]),
    ],
)
def test_names_are_reported_apart(paths, names):
    assert names_apart([Path(path) for path in paths]) == names


@pytest.mark.parametrize(
    ("date", "night"),
    [
        ("2026-11-01T23:50:00", "2026-11-01"),
        ("2026-11-02T04:10:00.5", "2026-11-01"),
        ("2026-11-02", "2026-11-01"),
        ("2026-03-01T00:00:00", "2026-02-28"),
        ("01/11/26", ""),
        ("", ""),
        (None, ""),
        ("0001-01-01T00:00:00", ""),
    ],
)
def test_the_evening_of_a_time(date, night):
    assert evening(date) == night


def test_results_stay_where_they_are(tmp_path):
    """A night of the same name that comes later does not move, nor replace, an earlier one."""
    out = tmp_path / "out"
    first = folders_of([str(tmp_path / "1" / "star")], out)
    assert first == [out / "star"]
    first[0].mkdir(parents=True)
    told = {"schema": 1, "program": "napari-lucky", "command": "process"}
    told["input"] = {"frames": [str(tmp_path / "1" / "star")]}
    (first[0] / "summary.json").write_text(json.dumps(told))
    runs = [str(tmp_path / night / "star") for night in "12"]
    assert folders_of(runs, out) == [out / "star", out / "2_star"]
    assert folders_of(runs[1:], out) == [out / "star_2"]


def test_results_are_not_put_among_the_frames(tmp_path):
    runs = [str(tmp_path / name) for name in "ab"]
    assert folders_of(runs, tmp_path) == [tmp_path / "a_2", tmp_path / "b_2"]


def test_what_holds_for_one_run_is_refused_before_any_work(tmp_path):
    with pytest.raises(UsageError, match="--add and --drop"):
        process_each(["a"], Recipe(None, Select(add=(3,))), tmp_path)
    with pytest.raises(UsageError, match="given twice"):
        process_each(["a", "./a"], Recipe(), tmp_path)
