"""The folder of results: all of it or nothing, and nobody's files lost."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from made_files import all_bytes
from napari_lucky import LuckyError, Recipe, Select, process, read_recipe, write_results
from napari_lucky.fits import table_from_csv
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.frames.history import read_history
from napari_lucky.pipeline.results_folder import NAMES, _date_of, check_out, made_folder
from napari_lucky.pipeline.step import Output
from systems import on_posix


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    y, x = np.indices((64, 128))
    star = np.exp(-((y - 30) ** 2 + (x - 30) ** 2) / 12) + np.exp(
        -((y - 32) ** 2 + (x - 96) ** 2) / 200
    )
    rng = np.random.default_rng(0)
    frames = rng.normal(200, 4, (8, 64, 128)) + star * np.linspace(300, 600, 8)[:, None, None]
    path = tmp_path_factory.mktemp("run") / "cube.fits"
    header = fits.Header([("EXPTIME", 0.005), ("CRPIX1", 50.0), ("DATE-OBS", "2020-02-02")])
    fits.PrimaryHDU(frames.astype(np.float32), header).writeto(path)
    recipe = Recipe((str(path),), Select(keep=2), focus=(30, 30, 24), defocus=(32, 96, 40))
    return process(recipe)


def test_what_is_written_is_what_was_made(result, tmp_path):
    out = tmp_path / "deep" / "out"
    files = write_results(result, out)
    assert [f.name for f in files] == [n for n in NAMES if n != "report.png"]
    assert sorted(p.name for p in out.iterdir()) == sorted(f.name for f in files)
    for name, image in result.images.items():
        with fits.open(out / f"{name}.fits") as hdus:
            assert hdus[0].data.dtype == np.dtype(">f4")
            np.testing.assert_array_equal(hdus[0].data, image.data)
            header = hdus[0].header
            assert (header["EXPTIME"], header["DATE-OBS"]) == (0.005, "2020-02-02")
            assert header["EXTNAME"] == name
            assert header["BUNIT"] == "adu"
            assert header["NCOMBINE"] == (8 if name == "long_exposure" else 2)
            y0, x0 = image.origin
            assert (-header["LTV2"], -header["LTV1"]) == (y0, x0)
            moved = 0 if name == "long_exposure" else result.table.shifts[0, 1]
            assert header["CRPIX1"] == 50.0 + moved - x0
            assert read_history(header["HISTORY"]) == image.history
    table = table_from_csv(out / "frames.csv")
    np.testing.assert_array_equal(table.shifts, result.table.shifts)
    np.testing.assert_array_equal(table.quality, result.table.quality)
    np.testing.assert_array_equal(table.selected, result.table.selected)
    assert read_recipe(out / "recipe.toml") == result.recipe


def test_older_results_are_replaced_and_others_files_are_not(result, tmp_path):
    write_results(result, tmp_path, report=True)
    (tmp_path / "mine.txt").write_text("mine")
    without = replace(result, images={k: v for k, v in result.images.items() if k != "defocus"})
    before = all_bytes(tmp_path)
    with pytest.raises(LuckyError, match="already holds results"):
        write_results(without, tmp_path)
    assert all_bytes(tmp_path) == before
    write_results(without, tmp_path, overwrite=True)
    left = {"focus.fits", "long_exposure.fits", "frames.csv", "recipe.toml", "summary.json"}
    assert {p.name for p in tmp_path.iterdir()} == left | {"mine.txt"}


def test_plain_images_have_no_extensions(result, tmp_path):
    plain = replace(result, recipe=result.recipe.changed(Output, plain=True))
    write_results(plain, tmp_path)
    for name, image in result.images.items():
        with fits.open(tmp_path / f"{name}.fits") as hdus:
            assert len(hdus) == 1
            np.testing.assert_array_equal(hdus[0].data, image.data)
    assert read_recipe(tmp_path / "recipe.toml") == plain.recipe


class Failing:
    """Frames that come to an end too early, as on a disk that is pulled out."""

    shape, dtype = (3, 24, 24), np.dtype(np.float32)

    def __init__(self, error):
        self.error = error

    def read(self, frames, window=None):
        raise self.error


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (OSError(5, "Input/output error"), LuckyError),
        (LuckyError("AF_3.fits: the pixels cannot be read."), LuckyError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_all_or_nothing(error, seen, again, result, tmp_path):
    out = tmp_path / "new" / "out"
    if again:
        write_results(result, out)
    before = all_bytes(tmp_path)
    images = {**result.images, "long_exposure": ImageResult(Failing(error))}
    with pytest.raises(seen) as caught:
        write_results(replace(result, images=images), out, report=True, overwrite=again)
    if isinstance(error, OSError):
        assert f"{out}/long_exposure.fits: cannot be written (Input/output error" in str(
            caught.value
        )
    assert all_bytes(tmp_path) == before
    assert out.parent.exists() == again


@pytest.mark.parametrize("name", NAMES)
def test_check_out_finds_any_older_result(name, tmp_path):
    (tmp_path / name).touch()
    with pytest.raises(LuckyError, match=f"already holds results \\({name}\\)"):
        check_out(tmp_path)
    check_out(tmp_path, overwrite=True)


def test_check_out_leaves_no_trace(tmp_path):
    check_out(tmp_path / "a" / "b" / "c")
    assert not list(tmp_path.iterdir())
    (tmp_path / "was").mkdir()
    check_out(tmp_path / "was")
    assert list(tmp_path.iterdir()) == [tmp_path / "was"]
    assert not list((tmp_path / "was").iterdir())


@on_posix
@pytest.mark.parametrize("out", ["file", "file/below", "x" * 300, "link"])
def test_check_out_tells_where_it_cannot_write(out, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "at all")
    for check in (check_out, lambda path: check_out(path, overwrite=True)):
        with pytest.raises(LuckyError, match=r"folder|cannot be written"):
            check(tmp_path / out)
    assert {p.name for p in tmp_path.iterdir()} == {"file", "link"}


def test_write_results_needs_no_check_before(result, tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(LuckyError, match=r"cannot be written|must be a folder"):
            write_results(result, out)


def test_made_folder_takes_away_only_what_it_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with made_folder(Path("a/b")):
        Path("a/kept.txt").touch()
    assert sorted(map(str, Path().rglob("*"))) == ["a", "a/kept.txt"]
    Path("empty").mkdir()
    with made_folder(Path("empty")):
        pass
    assert Path("empty").is_dir()


@pytest.mark.parametrize(
    ("stated", "date"),
    [
        ("2026-11-01T23:50:00.100", "2026-11-01T23:50:00.1"),
        ("2026-11-01T23:50:00.1", "2026-11-01T23:50:00.1"),
        ("2026-11-01", "2026-11-01"),
        (None, None),
    ],
)
def test_a_date_has_one_spelling_in_the_summary(stated, date):
    assert _date_of({"DATE-OBS": stated} if stated else {}) == date
