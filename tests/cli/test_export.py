"""`napari-lucky export` as it is typed."""

import numpy as np
import pytest
import tifffile
from astropy.io import fits
from matplotlib.image import imread

from napari_lucky import Recipe, recipe_to_toml, write_fits
from napari_lucky.cli.main import main
from napari_lucky.cli.options import window_named
from napari_lucky.errors import INPUT, USAGE
from napari_lucky.fits.image_result import ImageResult

IMAGE = np.arange(48, dtype=np.float32).reshape(6, 8)


def export(*arguments):
    try:
        return main(["export", *map(str, arguments)])
    except SystemExit as end:
        return end.code


@pytest.fixture
def files(tmp_path):
    write_fits(tmp_path / "focus.fits", ImageResult(IMAGE, "focus", variance=IMAGE))
    fits.PrimaryHDU(np.stack([IMAGE, IMAGE + 1])).writeto(tmp_path / "cube.fits")
    recipe = Recipe("run", focus=(30, 40, 20), defocus=(70, 80, 32))
    (tmp_path / "recipe.toml").write_text(recipe_to_toml(recipe))
    return tmp_path


def test_images_and_windows(files, tmp_path, capsys):
    out = tmp_path / "out"
    two = (files / "focus.fits", files / "cube.fits")
    assert export(*two, "--as", "tiff", "-o", out) == 0
    np.testing.assert_array_equal(tifffile.imread(out / "focus.tif"), IMAGE)
    np.testing.assert_array_equal(tifffile.imread(out / "cube.tif"), [IMAGE, IMAGE + 1])
    assert export(files / "focus.fits", "--as", "png", "--limits", "10,20", "-o", out) == 0
    expected = np.rint(255 * np.clip((IMAGE - 10) / 10, 0, 1))
    np.testing.assert_array_equal(np.rint(255 * imread(out / "focus.png")[..., 0]), expected)
    assert export(files / "recipe.toml", "--as", "regions", "-o", out) == 0
    for name, window in {"focus": (30, 40, 20), "defocus": (70, 80, 32)}.items():
        assert window_named(name)(str(out / "recipe.reg")) == window
    assert export(files, "--as", "png", "--overwrite", "-o", out) == 0  # as of a job's OUT
    assert capsys.readouterr().out.splitlines()[-1] == f"Wrote focus.png to {out}"
    assert export(*two, "--as", "tiff16", "-o", out) == USAGE
    assert "already holds results" in capsys.readouterr().err
    assert export(*two, "--as", "tiff16", "-o", out, "--overwrite") == 0
    assert tifffile.imread(out / "focus.tif").dtype == np.uint16


@pytest.mark.parametrize(
    ("arguments", "told", "status"),
    [
        (["focus.fits", "--as", "jpeg"], "invalid choice", USAGE),
        (["focus.fits", "--as", "png", "--limits", "5,1"], "is not LOW,HIGH", USAGE),
        (["focus.fits", "--as", "tiff", "--limits", "1,5"], "--limits is only for --as png", USAGE),
        (["absent.fits", "--as", "tiff"], "no such file", INPUT),
        (["cube.fits", "--as", "regions"], "cube.fits", INPUT),
        (["focus.fits", "x/focus.fits", "--as", "tiff"], "Several FILES would be", USAGE),
    ],
)
def test_what_cannot_be_used_is_reported(
    arguments, told, status, files, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(files)
    assert export(*arguments, "-o", tmp_path / "out") == status
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
