"""A recipe is saved from the layers of a run, replays it, and fills the docks again."""

import numpy as np
import pytest
from hands import newest
from napari.layers import Layer
from qtpy.QtWidgets import QFileDialog

import napari_lucky as lucky
from napari_lucky import Calibrate, Select, read_recipe
from napari_lucky.docks.recipe_files import recipe_of_layer
from napari_lucky.fits.run_files import open_run
from napari_lucky.frames.history import Record
from napari_lucky.frames.window import Window
from napari_lucky.pipeline.recipe import Recipe, recipe_to_toml
from napari_lucky.ranking.step import Rank
from napari_lucky.registration.step import Register
from napari_lucky.registration.wide_correlation import RegisterCorrelation
from napari_lucky.stacking.drizzle import StackDrizzle
from napari_lucky.stacking.step import StackFrames
from napari_lucky.steps import (
    LowPassFilter,
    PsfRequest,
    RemoveDust,
    RemoveOutliers,
    Spider,
    TelescopeRequest,
    WavefrontRequest,
)
from napari_lucky.viewer.from_layers import history_of, windows_of
from napari_lucky.viewer.to_layers import image_tuple


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    """The file that dialogs give; what they were asked with is kept."""
    path = tmp_path / "my recipe.toml"
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, name, staticmethod(lambda *_: (str(path), "")))
    return path


def wait(hand, dock):
    hand.wait(lambda: not dock.busy)


@pytest.fixture
def stacked(viewer, hand, folder):
    """Run all docks on files, with parameters that are not the defaults."""
    viewer.open(str(folder), plugin="napari-lucky")
    calibration = hand.dock("calibration")
    calibration.dark_path.line.value = str(folder.parent / "dark.fits")
    calibration.flat_path.line.value = str(folder.parent / "flat.fits")
    calibration.frames.value = "1:12"
    calibration.forms["calibrate"]["clip_sigma"].value = 3.5
    hand.run(calibration)
    registration = hand.dock("registration")
    hand.press(registration.place_button)
    wait(hand, registration)
    cleaning = hand.dock("cleaning")
    cleaning.forms["outliers"].on.value = True
    cleaning.forms["outliers"]["sigma"].value = 7.25
    hand.run(cleaning)
    registration.forms["register"].method.value = "correlation"
    registration.reference_frame.value = "the frame shown"
    viewer.dims.set_current_step(0, 4)
    hand.run(registration)
    ranking = hand.dock("ranking")
    ranking.forms["rank"]["metric"].value = "gradient"
    ranking.forms["select"]["keep"].value = 5
    hand.run(ranking)
    worst = int(newest(viewer, "shifts").features["quality"].argmin())
    ranking.toggle(worst)
    stacking = hand.dock("stacking")
    stacking.forms["stack"].method.value = "drizzle"
    stacking.forms["stack"]["scale"].value = 1.5
    hand.run(stacking)
    return stacking, worst


def test_a_recipe_saved_replays_the_stack(viewer, hand, messages, folder, stacked, chosen):
    dock, worst = stacked
    figures = hand.dock("figures")
    figures.telescope.boxes["wavelength_nm"].value = 550
    figures.forms["psf"]["aperture"].value = 12.5
    messages()
    hand.press(dock.save_button)
    assert messages() == []
    recipe = read_recipe(chosen)
    assert recipe[PsfRequest] == PsfRequest(aperture=12.5)
    assert recipe[TelescopeRequest].wavelength_nm == 550
    assert recipe.input.frames == (str(folder),)
    assert (recipe.input.start, recipe.input.stop) == (1, 12)
    parent = folder.parent
    by = Calibrate(dark=str(parent / "dark.fits"), flat=str(parent / "flat.fits"), clip_sigma=3.5)
    assert recipe[Calibrate] == by
    assert recipe[RemoveOutliers] == RemoveOutliers(sigma=7.25)
    assert recipe.get(LowPassFilter) is None
    assert recipe[RegisterCorrelation].reference_frame == "5"
    assert recipe[Rank].metric == "gradient"
    assert (recipe[Select].keep, recipe[Select].add) == (5, (worst + 1,))
    assert recipe[StackFrames] == StackDrizzle(scale=1.5)
    (focus,) = windows_of(newest(viewer, "windows"), newest(viewer, "cleaned"))
    assert recipe.window("focus") == focus
    result = lucky.process(recipe)
    np.testing.assert_array_equal(result.images["focus"].data, newest(viewer, "focus").data)


def test_a_file_that_is_there_is_replaced_whole_or_kept(hand, messages, folder, stacked, chosen):
    dock, _ = stacked
    chosen.write_text("older")
    hand.press(dock.save_button)  # the dialog has asked
    assert chosen.read_text().startswith("[napari-lucky]")
    flat = folder.parent / "flat.fits"
    before = flat.read_bytes()
    chosen.unlink()
    chosen.symlink_to(flat)
    messages()
    hand.press(dock.save_button)
    ((severity, text),) = messages()
    assert severity == "error"
    assert "this file is read" in text
    assert flat.read_bytes() == before


def test_what_is_in_no_file_is_said(viewer, hand, messages, chosen):
    viewer.open_sample("napari-lucky", "simulated")
    for name in ("calibration", "registration", "ranking"):
        hand.run(hand.dock(name))
    messages()
    hand.press(hand.dock("stacking").save_button)
    ((severity, text),) = messages()
    assert severity == "warning"
    assert "The run is not in a file" in text
    assert "The dark “sample dark” is not in a file" in text
    recipe = read_recipe(chosen)
    assert recipe.input.frames == ()
    focus, defocus = windows_of(newest(viewer, "windows"), newest(viewer, "calibrated"))
    assert (recipe.window("focus"), recipe.window("defocus")) == (focus, defocus)


def test_frames_that_were_calibrated_before_they_were_saved_are_no_raw_run(viewer, folder):
    by = Calibrate(clip_sigma=3.0)
    made = image_tuple(open_run(folder), "run", history=(by.record(),))
    layer = viewer.add_layer(Layer.create(*made))
    recipe, missing = recipe_of_layer(layer, history_of(layer))
    assert recipe.input.frames == ()
    assert recipe[Calibrate] == by
    assert "write the raw run's path" in " ".join(missing)
    recipe, missing = recipe_of_layer(layer, ())
    assert (recipe.input.frames, missing) == ((str(folder),), [])
    oblong = Record("register", {"method": "centroid"}, facts={"focus": [10, 20, 40, 60]})
    recipe, missing = recipe_of_layer(layer, (oblong,))
    assert recipe.window("focus") == Window(0, 20, 60, 60)  # around the same pixel
    assert "40 x 60 pixels" in missing[0]


def test_nothing_is_saved_without_shifts(hand, messages, chosen):
    hand.press(hand.dock("stacking").save_button)
    ((_, text),) = messages()
    assert "do 2 Register first" in text
    assert not chosen.exists()


FULL = Recipe(
    "/runs/night",
    Calibrate(dark="/runs/dark.fits", combine="median", saturation=4095.0),
    RemoveDust(spots=((30.0, 40.0, 7.5), (60.5, 70.25, 6.0)), action="mask"),
    LowPassFilter(cutoff=0.9, sampling=6.5),
    RegisterCorrelation(reference_frame="17", smooth=1.75),
    Rank(metric="fwhm", smooth=2.5),
    Select(keep=20, add=(3,), drop=(8,)),
    StackDrizzle(scale=3.0, drop=0.65, subpixel=False),
    TelescopeRequest(wavelength_nm=550, focal_length_m=20, diameter_m=0.5, pixel_um=4.5),
    Spider(vanes=3, width=0.02),
    PsfRequest(aperture=40.5, ring=(41.5, 50), resamples=0),
    WavefrontRequest(defocus_mm=-3.5, choice="all", modes=22),
    focus=(60, 80, 40),
    defocus=(60, 20, 30),
    start=10,
    step=2,
)


def test_a_recipe_fills_all_open_docks(viewer, hand, messages, chosen):
    viewer.open_sample("napari-lucky", "simulated")
    chosen.write_text(recipe_to_toml(FULL))
    names = ("calibration", "cleaning", "registration", "ranking", "stacking")
    names += ("wavefront", "figures")
    docks = {name: hand.dock(name) for name in names}
    calibration, cleaning, registration = (docks[name] for name in names[:3])
    cleaning.forms["flicker"].on.value = True
    hand.press(calibration.open_button)
    assert messages() == []
    assert (
        calibration.notes.text()
        == "Filled the open docks from my recipe.toml. Its frames: /runs/night."
    )
    assert calibration.frames.value == "10::2"
    assert calibration.dark_path.path == "/runs/dark.fits"
    assert (calibration.dark.value, calibration.flat.value, calibration.flat_path.path) == (
        None,
        None,
        None,
    )
    by = calibration.forms["calibrate"].step(dark="/runs/dark.fits")
    assert by == FULL[Calibrate]
    assert cleaning.forms["flicker"].step() is None
    run = cleaning.image.value
    made = {step.table: step for step in cleaning._steps(run, cleaning.spots.value, None)}
    assert set(made) == {"dust", "low-pass"}
    assert made["low-pass"] == FULL[LowPassFilter]
    assert made["dust"] == FULL[RemoveDust]
    by = registration.forms["register"].step(reference_frame=registration.reference_frame.value)
    assert by == FULL[Register]
    windows = windows_of(registration.windows.value, registration.image.value)
    assert windows == [FULL.window("focus"), FULL.window("defocus")]
    ranking = docks["ranking"]
    assert ranking.forms["rank"].step() == FULL[Rank]
    assert ranking.forms["select"].step(add=(3,), drop=(8,)) == FULL[Select]
    assert docks["stacking"].forms["stack"].step() == FULL[StackFrames]
    for name, asked in (("figures", {"psf"}), ("wavefront", {"spider", "wavefront"})):
        steps = {step.table: step for step in docks[name].requests()}
        assert set(steps) == {"telescope", *asked}
        assert all(steps[table] == FULL.table(table) for table in asked)
        assert steps["telescope"].known == {  # the obstruction is that of the sample's header
            **{"wavelength_nm": 550, "focal_ratio": 40, "pixel_um": 4.5, "diameter_m": 0.5},
            "obstruction": pytest.approx(0.3),
        }


def test_frames_that_a_recipe_adds_and_drops_are_so_in_the_next_ranking(viewer, hand, messages):
    viewer.open_sample("napari-lucky", "simulated")
    hand.run(hand.dock("registration"))
    dock = hand.dock("ranking")
    dock.fill(Recipe(None, Select(keep=20, add=(3,), drop=(8,))))
    hand.run(dock)
    step = newest(viewer, "shifts").metadata["history"][-1].parameters
    assert (step["keep"], step["add"], step["drop"]) == (20, [3], [8])
    hand.run(dock)
    step = newest(viewer, "shifts").metadata["history"][-1].parameters
    assert (step["add"], step["drop"]) == ([], [])


def test_a_file_that_is_no_recipe_is_said_and_fills_nothing(hand, messages, chosen):
    dock = hand.dock("calibration")
    chosen.write_text("[outliers]\nsigma = 1.0\n")
    hand.press(dock.open_button)
    ((severity, text),) = messages()
    assert severity == "error"
    assert "sigma is 1.0; it must be a number from 2 to 1000" in text


def test_auto_in_a_recipe_is_the_dark_beside_the_run(viewer, hand, messages, folder):
    viewer.open(str(folder), plugin="napari-lucky")
    dock = hand.dock("calibration")
    dock.fill(Recipe(None, Calibrate(dark="auto", flat="auto")))
    assert (dock.dark_path.path, dock.flat_path.path) == ("auto", "auto")
    hand.run(dock)
    (calibrated,) = [layer for layer in viewer.layers if layer.name.endswith("calibrated")]
    step = calibrated.metadata["history"][-1]
    for name in ("dark", "flat"):
        assert step.parameters[name] == str(folder.parent / f"{name}.fits")
        assert f"{name}.fits beside the run" in dock.notes.text()
    by_name = np.array(calibrated.data[3])
    for name in ("dark", "flat"):
        getattr(dock, f"{name}_path").line.value = step.parameters[name]
    hand.run(dock)
    (again,) = [layer for layer in viewer.layers if layer.name.endswith("calibrated")]
    np.testing.assert_array_equal(again.data[3], by_name)

    messages()
    (folder.parent / "dark.fits").rename(folder.parent / "other.fits.old")
    dock.fill(Recipe(None, Calibrate(dark="auto")))
    hand.run(dock)
    ((severity, text),) = messages()
    assert severity == "error"
    assert text.startswith("No dark that fits was found beside the run")
