"""The folder of results of a job, its files, and a recipe, opened in a window."""

import numpy as np
import pytest
from astropy.io import fits

from made_files import write_run
from napari_lucky import Calibrate, Recipe, process, recipe_to_toml, simulate_run, write_results
from napari_lucky.cleaning.noise_cut import CutNoise
from napari_lucky.ranking.step import Select


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder of a job, and its result."""
    folder = tmp_path_factory.mktemp("night")
    simulated = simulate_run(12, (128, 192), focus_size=64, defocus_size=64)
    write_run(folder / "run", simulated.frames, name="AF_{:02d}.fits", first=0)
    fits.PrimaryHDU(simulated.dark).writeto(folder / "dark.fits")
    recipe = Recipe(
        folder / "run",
        Calibrate(dark=str(folder / "dark.fits"), clip_sigma=3.25),
        Select(keep=3),
        focus=simulated.focus,
        defocus=simulated.defocus,
    )
    result = process(recipe)
    write_results(result, folder / "OUT", report=True)
    return folder / "OUT", result


def test_the_folder_of_results_opens_as_its_layers_and_fills_the_docks(viewer, hand, out, messages):
    folder, result = out
    calibration = hand.dock("calibration")
    layers = viewer.open(str(folder), plugin="napari-lucky")
    assert [severity for severity, _ in messages()] == ["info"]
    shown = [layer.name for layer in layers if layer.visible]
    assert shown == ["long_exposure", "defocus", "focus", "frames"]
    assert {"focus variance", "defocus coverage"} <= {layer.name for layer in layers}
    assert not any("[" in layer.name for layer in layers)
    for layer in layers[:-1]:
        if layer.visible:
            made = result.images[layer.name].data
            assert np.array_equal(layer.data, made, equal_nan=True), layer.name
    assert np.array_equal(layers[-1].features["selected"], result.table.selected)
    assert calibration.forms["calibrate"]["clip_sigma"].value == 3.25
    assert calibration.dark_path.line.value == str(folder.parent / "dark.fits")


def test_files_of_it_open_one_by_one_and_together(viewer, out, messages):
    folder, _ = out
    files = [str(folder / name) for name in ("long_exposure.fits", "focus.fits")]
    together = viewer.open(files, stack=True, plugin="napari-lucky")
    shown = [layer.name for layer in together if layer.visible]
    assert shown == ["long_exposure", "focus"]
    files += [str(folder / name) for name in ("frames.csv", "recipe.toml")]
    assert len(viewer.open(files, plugin="napari-lucky")) == len(together) + 1
    assert all(severity == "info" for severity, _ in messages())


def test_a_recipe_fills_docks_that_are_opened_before_and_after_it(viewer, hand, tmp_path, messages):
    path = tmp_path / "my recipe.toml"
    path.write_text(recipe_to_toml(Recipe("/runs/night", Select(keep=7), CutNoise())))
    cleaning = hand.dock("cleaning")
    assert viewer.open(str(path), plugin="napari-lucky") == []
    ranking = hand.dock("ranking")
    assert cleaning.forms["noise-cut"].on.value
    hand.wait(lambda: ranking.forms["select"]["keep"].value == 7)
    assert messages() == [
        ("info", "Filled the open docks from my recipe.toml. Its frames: /runs/night.")
    ]


def test_a_recipe_with_a_mistake_is_reported_and_other_files_are_left_to_others(tmp_path, messages):
    from napari_lucky.viewer.reader import get_reader

    (tmp_path / "bad.toml").write_text("[select]\nkeep = 'many'\n")
    (tmp_path / "other.toml").write_text("[project]\nname = 'x'\n")
    assert get_reader(str(tmp_path / "other.toml")) is None
    (tmp_path / "nights.csv").write_text("")
    assert get_reader(str(tmp_path)) is None
    (tmp_path / "summary.json").write_text("")  # of this program: it says what is missing
    assert get_reader(str(tmp_path)) is not None
    read = get_reader(str(tmp_path / "bad.toml"))
    assert read(str(tmp_path / "bad.toml")) == [(None,)]
    assert "bad.toml" in messages()[0][1]


def test_a_damaged_result_is_reported_and_the_others_open(viewer, out, tmp_path, messages):
    folder, _ = out
    broken = tmp_path / "OUT"
    broken.mkdir()
    for name in ("focus.fits", "long_exposure.fits"):
        (broken / name).write_bytes((folder / name).read_bytes())
    (broken / "focus.fits").write_bytes((folder / "focus.fits").read_bytes()[:9000])
    layers = viewer.open(str(broken), plugin="napari-lucky")
    assert "long_exposure" in [layer.name for layer in layers]
    told = messages()
    assert [severity for severity, _ in told] == ["error"]
    assert "focus.fits" in told[0][1]


def test_frames_that_this_program_saved_one_by_one_are_a_run(viewer, tmp_path):
    from napari_lucky import write_fits

    for k in range(3):
        write_fits(tmp_path / f"AF_{k}.fits", np.full((8, 9), k, np.float32))
    (layer,) = viewer.open(str(tmp_path), plugin="napari-lucky")
    assert layer.data.shape == (3, 8, 9)
