"""report.png and the graphs it shares with the ranking dock."""

from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from astropy.io import fits
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from napari_lucky import LuckyError, Recipe, Select, process
from napari_lucky.fits import ImageResult
from napari_lucky.pipeline.report_page import write_report
from napari_lucky.plots.panels import (
    KEPT,
    LEFT,
    draw_image,
    draw_quality,
    draw_shifts,
    draw_sorted,
    move_cut,
    recolour_kept,
)
from napari_lucky.steps import Input

QUALITY = np.array([3.0, np.nan, 9.0, 1.0, 7.0])
SELECTED = np.array([False, False, True, False, True])


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    y, x = np.indices((64, 128))
    at = np.random.default_rng(1).uniform(-5, 5, (10, 2))
    star = [np.exp(-((y - 30 - dy) ** 2 + (x - 30 - dx) ** 2) / 12) for dy, dx in at]
    frames = 100 + np.linspace(300, 600, 10)[:, None, None] * np.array(star)
    frames[4] = 100  # a frame without a star: NaN in the table
    path = tmp_path_factory.mktemp("run") / "cube.fits"
    fits.PrimaryHDU(frames.astype(np.float32)).writeto(path)
    recipe = Recipe((str(path),), Select(keep=3), focus=(30, 30, 24), defocus=(32, 96, 40))
    return process(recipe)


def drawn(result, path):
    write_report(path, result)
    return matplotlib.image.imread(path)[..., :3]


def test_frames_that_are_in_no_file_have_a_report_too(result, tmp_path):
    recipe = result.recipe.changed(Input, frames=())
    assert drawn(replace(result, recipe=recipe), tmp_path / "report.png").shape[0] > 300


def share(image, colour):
    return np.mean(np.abs(image - to_rgb(colour)).max(axis=-1) < 0.02)


def panel(image, row, column):
    height, width = image.shape[0] // 2, image.shape[1] // 3
    return image[row * height : (row + 1) * height, column * width : (column + 1) * width]


@pytest.fixture(scope="module")
def image(result, tmp_path_factory):
    return drawn(result, tmp_path_factory.mktemp("report") / "report.png")


def test_report_shows_the_curves_the_shifts_and_the_images(image):
    assert image.shape == (880, 1430, 3)
    for column in range(3):
        graph = panel(image, 0, column)
        assert share(graph, KEPT) > 2e-4  # kept frames, the cut, kept shifts
        assert share(graph, LEFT) > 2e-4
        picture = panel(image, 1, column)
        assert share(picture, "white") < 0.5
    # the long exposure is on the lucky stack's scale, so that the gain is seen
    assert panel(image, 1, 0).max(axis=-1).mean() > 0
    focus, long_exposure = (np.mean(panel(image, 1, c)[100:300, 150:330, 0] > 0.9) for c in (0, 2))
    assert focus > long_exposure


def test_same_result_same_bits(result, tmp_path):
    drawn(result, tmp_path / "a.png")
    drawn(result, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_no_panel_for_a_defocused_star_that_was_not_asked_for(result, tmp_path):
    images = {k: v for k, v in result.images.items() if k != "defocus"}
    image = drawn(replace(result, images=images), tmp_path / "report.png")
    assert share(panel(image, 1, 1)[60:, 60:-60], "white") == 1


@pytest.mark.parametrize("name", ["a$b_^$c", "星 été", "%s {}"])
def test_any_name_can_be_a_title(name, image, result, tmp_path):
    recipe = result.recipe.changed(Input, frames=(f"/data/{name}",))
    odd = drawn(replace(result, recipe=recipe), tmp_path / "odd.png")
    assert np.any(image[:40] != odd[:40])


def test_the_title_of_the_folder_one_stands_in(result, tmp_path, monkeypatch):
    """`process .` would have no name at all."""
    monkeypatch.chdir(tmp_path)
    here = replace(result, recipe=result.recipe.changed(Input, frames=(".",)))
    named = replace(result, recipe=result.recipe.changed(Input, frames=(str(tmp_path),)))
    np.testing.assert_array_equal(drawn(here, tmp_path / "a.png"), drawn(named, tmp_path / "b.png"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("focus", np.nan), ("defocus", np.nan), ("focus", -5.0)],
)
def test_an_image_without_contrast_is_drawn_too(name, value, result, tmp_path):
    """A window whose pixels are all masked, or all equal."""
    flat = ImageResult(np.full((24, 24), value, np.float32), name, combined=3)
    drawn(replace(result, images={**result.images, name: flat}), tmp_path / "report.png")


def test_a_report_that_cannot_be_written(result, tmp_path):
    with pytest.raises(LuckyError, match=r"report\.png: cannot be written"):
        write_report(tmp_path / "absent" / "report.png", result)


# --- the graphs


@pytest.fixture
def axes():
    return Figure().subplots()


def test_quality_over_frame_number(axes):
    points = draw_quality(axes, np.arange(10, 15), QUALITY, SELECTED)
    offsets = np.ma.filled(points.get_offsets(), np.nan)
    np.testing.assert_array_equal(offsets[:, 0][np.isfinite(QUALITY)], [10, 12, 13, 14])
    np.testing.assert_array_equal(offsets[:, 1], QUALITY)
    colours = points.get_facecolors()[:, :3]
    np.testing.assert_allclose(colours, [to_rgb(KEPT if s else LEFT) for s in SELECTED])
    recolour_kept(points, ~SELECTED)
    colours = points.get_facecolors()[:, :3]
    np.testing.assert_allclose(colours, [to_rgb(LEFT if s else KEPT) for s in SELECTED])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("frame", "quality")


def test_the_cut_lies_between_the_kept_and_the_others(axes):
    line, shade = cut = draw_sorted(axes, QUALITY, 2)
    curve = axes.lines[0]
    np.testing.assert_array_equal(curve.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(curve.get_ydata(), [9, 7, 3, 1])
    for count in (2, 3, 1):
        move_cut(cut, count)
        assert list(line.get_xdata()) == [count + 0.5] * 2
        assert shade.get_x() == 0.5
        assert shade.get_x() + shade.get_width() == count + 0.5


def test_shifts_are_drawn_as_in_the_image(axes):
    """dx to the right, dy downwards, kept ones apart."""
    shifts = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    draw_shifts(axes, shifts, SELECTED)
    left, kept = (np.ma.filled(c.get_offsets(), np.nan) for c in axes.collections)
    np.testing.assert_array_equal(kept, [[4, 3], [8, 7]])
    np.testing.assert_array_equal(left[[0, 2]], [[2, 1], [6, 5]])
    low, high = axes.get_ylim()
    assert low > high
    assert axes.get_aspect() == 1


def test_image_is_drawn_row_0_on_top_from_its_background_up(axes):
    image = np.arange(100, dtype=np.float32).reshape(10, 10)
    draw_image(axes, image, "title", 80.0)
    (drawn_image,) = axes.images
    assert drawn_image.origin == "upper"
    low, high = drawn_image.get_clim()
    assert low == pytest.approx(np.percentile(image, 5))
    assert high == 80
    assert axes.get_title() == "title"
