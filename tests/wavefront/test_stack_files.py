"""Stacks as files: variance and coverage beside them, and a drizzled one's place."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from napari_lucky import Recipe, Select, open_run, process, stack, write_fits, write_results
from napari_lucky.cli.main import main
from napari_lucky.fits import ImageResult
from napari_lucky.fits.read_back import read_saved
from napari_lucky.pipeline.recipe import read_recipe
from napari_lucky.stacking.methods import stack_method
from napari_lucky.stacking.step import StackFrames
from napari_lucky.steps.registry import load_steps
from napari_lucky.viewer.reader import get_reader
from written_files import contents

STACKS = list(load_steps()["stack"])
RNG = np.random.default_rng(13)


@pytest.fixture
def cube(tmp_path):
    """Return a cube with coordinates, of a star that moves."""
    y, x = np.mgrid[:64, :72]
    at = RNG.uniform(-4, 4, (24, 2))
    stars = [600 * np.exp(-((y - 32 - dy) ** 2 + (x - 36 - dx) ** 2) / 12) for dy, dx in at]
    frames = (np.array(stars) + RNG.normal(100, 3, (24, 64, 72))).astype(np.float32)
    header = fits.Header()
    header.update(CRPIX1=30.0, CRPIX2=20.0, CRVAL1=10.0, CRVAL2=20.0, PIXSIZE1=5.3)
    header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CDELT1=-1e-5, CDELT2=1e-5)
    fits.PrimaryHDU(frames, header).writeto(tmp_path / "cube.fits")
    return tmp_path / "cube.fits"


@pytest.mark.parametrize("method", STACKS)
def test_the_command_line_stacks_by_each_method(method, cube, tmp_path):
    out = tmp_path / "out"
    options = ["--focus", "32,36,40", "--keep", "0.5", "--stack", method, "-o", str(out)]
    assert main(["process", str(cube), *options]) == 0
    recipe = read_recipe(out / "recipe.toml")
    assert recipe[StackFrames] == stack_method(method)
    result = process(recipe)
    with fits.open(out / "focus.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["focus", "VARIANCE", "COVERAGE"]
        for hdu in hdus:
            hdu.verify("exception")
            assert hdu.data.dtype == np.dtype(">f4")
        assert [hdu.header["BUNIT"] for hdu in hdus] == ["adu", "adu**2", ""]
        image, variance, coverage = (hdu.data for hdu in hdus)
    table = result.table
    index = np.arange(24) if method == "fourier" else np.flatnonzero(table.selected)
    window = result.recipe.window("focus")
    run = open_run((cube,))
    made = stack(run, table.shifts, index, window, method=method, quality=table.quality)
    np.testing.assert_allclose(image, made.image, rtol=1e-5)
    np.testing.assert_allclose(variance, made.variance, rtol=1e-3)
    np.testing.assert_allclose(coverage, made.coverage, rtol=1e-6)
    assert fits.getheader(out / "long_exposure.fits")["NCOMBINE"] == 24
    write_results(result, tmp_path / "again")
    one, two = contents(tmp_path / "again"), contents(out)
    for name in ("focus.fits", "long_exposure.fits", "frames.csv", "recipe.toml"):
        assert one[name] == two[name]


def test_what_is_no_method_is_reported_on_the_command_line(cube, tmp_path, capsys):
    assert main(["process", str(cube), "--stack", "sum", "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "stack: the method is 'sum'; it must be one of mean, clipped, drizzle" in said


def test_who_opens_a_stack_sees_it_first_and_nothing_else(cube, tmp_path):
    result = process(Recipe((str(cube),), Select(keep=0.5), focus=(32, 36, 40)))
    write_results(result, tmp_path / "out")
    path = tmp_path / "out" / "focus.fits"
    layers = get_reader(str(path))(str(path))
    assert [meta["name"] for _, meta, _ in layers] == ["focus", "focus variance", "focus coverage"]
    assert [meta.get("visible", True) for _, meta, _ in layers] == [True, False, False]
    np.testing.assert_array_equal(layers[0][0], result.images["focus"].data)
    run = open_run((path,))
    assert run.shape == (1, 40, 40)
    np.testing.assert_array_equal(run.read(slice(1))[0], result.images["focus"].data)


@pytest.mark.parametrize("scale", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("cards", ["CDELT", "CD"])
def test_a_place_on_sensor_and_sky_holds_whatever_the_scale(scale, cards, cube, tmp_path):
    header = fits.getheader(cube)
    if cards == "CD":
        for axis in (1, 2):
            header[f"CD{axis}_{axis}"] = header.pop(f"CDELT{axis}")
    result = ImageResult(np.ones((30, 30), np.float32), "x", header, origin=(6, 9), scale=scale)
    write_fits(tmp_path / "x.fits", [result])
    written = fits.getheader(tmp_path / "x.fits")
    # 0-based: the sensor's pixel p is at scale * (p - origin + 1/2) - 1/2
    for y, x in ((6, 9), (11.3, 20.7)):
        on_image = scale * (x - 9 + 0.5) - 0.5, scale * (y - 6 + 0.5) - 0.5
        sky = WCS(header, naxis=2).all_pix2world([[x, y]], 0)
        np.testing.assert_allclose(WCS(written).all_pix2world([on_image], 0), sky, atol=1e-10)
        ltm, ltv = written.get("LTM1_1", 1), written["LTV1"]
        assert ltm * (x + 1) + ltv == pytest.approx(on_image[0] + 1)
    assert written["PIXSIZE1"] == pytest.approx(5.3 / scale)
    (back,) = read_saved(tmp_path / "x.fits")
    assert (back.origin, back.scale) == ((6, 9), scale)
    write_fits(tmp_path / "y.fits", [back])
    again = fits.getheader(tmp_path / "y.fits")
    for keyword in ("CRPIX1", "CRPIX2", "PIXSIZE1", f"{cards}1{'_1' if cards == 'CD' else ''}"):
        assert again[keyword] == pytest.approx(written[keyword], rel=1e-12)
