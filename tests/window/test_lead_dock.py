"""From a folder to the saved pair in the lead dock, and from there to the command line and back."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from qtpy.QtWidgets import QApplication, QFileDialog

from made_files import write_masters, write_run
from napari_lucky import Recipe, Select, simulate_run
from napari_lucky.cli.main import main
from napari_lucky.docks.lead import LeadDock
from napari_lucky.pipeline.recipe import recipe_to_toml
from napari_lucky.registration.centroid import RegisterCentroid

IMAGES = ("focus", "defocus", "long_exposure")
ALL = {*(f"{name}.fits" for name in IMAGES), "frames.csv", "recipe.toml", "report.png"}
ALL.add("summary.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of files with dark and flat beside it."""
    run, simulated = tmp_path_factory.mktemp("night") / "run", simulate_run(12)
    header = fits.Header([("DATE-OBS", "2026-03-14T21:00:00.100"), ("EXPTIME", 0.005)])
    write_run(run, simulated.frames, header, name="AF_{:02d}.fits", first=0)
    write_masters(run, simulated)
    return run


def opened(viewer, hand, folder):
    viewer.open(str(folder), plugin="napari-lucky")
    dock = hand.dock("lead")
    hand.wait(lambda: not dock.looking)
    return dock


def pixels(out):
    return [fits.getdata(Path(out) / f"{name}.fits") for name in IMAGES]


def equal(one, other):
    return all(np.array_equal(*both, equal_nan=True) for both in zip(one, other, strict=True))


def test_six_inputs_make_the_saved_pair_of_the_command_line(
    viewer, hand, messages, folder, monkeypatch, tmp_path
):
    dock = opened(viewer, hand, folder)
    assert dock.masters["dark"].path == str(folder / "dark.fits")
    assert dock.masters["flat"].path == str(folder / "flat.fits")
    assert dock.found.text().startswith("Found dark.fits beside the run: a dark of 1 frame")
    focus, defocus = dock.stars.windows
    assert (focus.width, defocus.width) == (128, 192)
    before = [layer.name for layer in viewer.layers]
    assert before == ["run", "run windows"]
    hand.run(dock)
    assert dock.notes.text().startswith("Kept 10 of 12 frames (83.3 %). FWHM ")
    made = [layer.name for layer in viewer.layers if layer.name not in before]
    ends = ["calibrated", "long exposure", "defocus", "focus", "shifts"]
    assert made == [f"run {end}" for end in ends]
    shown = [layer.name for layer in viewer.layers if layer.visible]
    assert shown == ["run defocus", "run focus"]

    out = tmp_path / "saved"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", staticmethod(lambda *_: str(out)))
    hand.press(dock.results.save_button)
    hand.wait(lambda: not dock.busy)
    assert {path.name for path in out.iterdir()} == ALL
    typed = ["process", str(folder), "--defocus", "find"]
    for name in ("dark", "flat"):
        typed += [f"--{name}", str(folder / f"{name}.fits")]
    assert main([*typed, "-o", str(tmp_path / "typed")]) == 0
    assert equal(pixels(out), pixels(tmp_path / "typed"))
    for name in ("recipe.toml", "frames.csv"):
        assert (out / name).read_text() == (tmp_path / "typed" / name).read_text()

    hand.press(dock.recipes.command_button)
    _, *words = shlex.split(QApplication.clipboard().text())
    assert main([*words[:-1], str(tmp_path / "copied")]) == 0
    assert equal(pixels(out), pixels(tmp_path / "copied"))
    dock.keep.number.value = 4
    recipe = tmp_path / "my.toml"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_: (str(recipe), "")))
    hand.press(dock.recipes.save_button)
    hand.run(dock)
    assert main(["process", "--recipe", str(recipe), "-o", str(tmp_path / "replayed")]) == 0
    shown = [viewer.layers[f"run {name.replace('_', ' ')}"].data for name in IMAGES]
    assert equal(shown, pixels(tmp_path / "replayed"))
    assert dock.notes.text().startswith("Kept 4 of 12 frames (33.3 %).")
    assert [layer.name for layer in viewer.layers if layer.name not in before] == made
    dock.keep_old.value = True
    hand.run(dock)
    assert "run focus 2" in viewer.layers
    assert not any("[" in layer.name for layer in viewer.layers)
    ranking = hand.dock("ranking")
    smooth = ranking.forms["rank"]["smooth"]
    assert (smooth.value, smooth.native.text()[:8]) == (None, "auto: 2.")
    dock.results.adjust("registration")
    registration = hand.dock("registration")
    smooth = registration.forms["register"]["smooth"]
    assert smooth.native.text().startswith("auto: 2.")  # measured: another run has its own
    assert (smooth.value, registration.values.differ, registration.notes.text()) == (None, [], "")
    registration.windows.value = None
    assert smooth.native.text() == "auto"
    dock.results.adjust("ranking")
    assert ranking.cut.step().keep == 4
    assert "4 of 12 frames" in ranking.summary.text()  # shown without Run
    shifts = ranking.registration.value
    assert shifts.name == "run shifts 2"
    assert "run focus 2" in viewer.layers
    features = shifts.features.copy()
    features["selected"] = ~features["selected"]
    shifts.features = features  # as a cut that is moved does
    assert "run focus 2 (stale)" in viewer.layers
    viewer.layers["run focus 2 (stale)"].data = np.zeros((128, 128))  # as 4 Stack does
    hand.press(dock.results.save_button)
    hand.wait(lambda: not dock.busy)
    said = dock.notes.text().splitlines()
    assert said[0].endswith(f"to {out / 'run lucky'}.")
    assert said[1].startswith("What is saved is the pair that Process made.")
    assert said[2].startswith("Kept 4 of 12 frames")
    assert [text for severity, text in messages() if severity == "error"] == []


def test_windows_are_typed_drawn_and_of_one_run_alone(viewer, hand, messages, folder, tmp_path):
    dock = opened(viewer, hand, folder)
    windows = viewer.layers["run windows"]
    windows.data = [windows.data[0] + 10, windows.data[1]]
    y, x, _ = (int(part) for part in dock.stars.lines["focus"].value.split(","))
    assert dock.stars.windows[0].centre == (y, x)
    line = dock.stars.lines["focus"]
    hand.qtbot.keyClicks(line.native, "")
    line.native.setText("100, 390, 64")
    line.native.setModified(True)
    line.native.editingFinished.emit()
    corners = windows.data[0]
    assert corners.min(axis=0).tolist() == [67.5, 357.5]
    hand.press(dock.recipes.command_button)
    assert "--focus=100,390,64" in QApplication.clipboard().text()
    windows.add_ellipses([[[20, 20], [20, 60], [60, 60], [60, 20]]])
    messages()
    hand.press(dock.run_button)
    ((severity, text),) = messages()
    assert (severity, "holds an ellipse: a window is a rectangle" in text) == ("error", True)
    other = tmp_path / "other"
    other.mkdir()
    for k in range(9):
        noise = np.random.default_rng(k).normal(100, 3, (64, 64)).astype(np.float32)
        fits.PrimaryHDU(noise).writeto(other / f"B_{k}.fits")
    viewer.open(str(other), plugin="napari-lucky")  # selected, and so chosen
    assert dock.run_layer.value.name == "other"
    hand.wait(lambda: not dock.looking)
    assert [line.value for line in dock.stars.lines.values()] == ["", ""]
    assert dock.masters["dark"].path is None
    assert "No star was found" in dock.notes.text()


def test_the_sample_and_a_recipe_with_more_than_the_page_shows(viewer, hand, messages, tmp_path):
    viewer.open_sample("napari-lucky", "simulated")
    dock = viewer.window.dock_widgets["Lucky imaging (Lucky imaging)"]  # it opens with the sample
    hand.wait(lambda: not dock.looking)
    assert dock.keep.percent.value == 16.7  # ten are kept at least
    assert [edit.path for edit in dock.masters.values()] == ["sample dark", "sample flat"]
    assert [window.centre for window in dock.stars.windows] == [(120, 400), (132, 144)]
    recipe = Recipe(None, RegisterCentroid(smooth=2.5), Select(keep=20, drop=(3,)))
    dock.fill(recipe.changed(type(recipe.input), focus=(120, 400, 128), defocus=(132, 144, 192)))
    assert "Register (centroid, smoothing 2.5 px), Select (drop 3)" in dock.with_recipe.text()
    dock.masters["dark"].line.value = "sample dark"
    dock.masters["flat"].line.value = "sample flat"
    hand.run(dock)
    assert dock.notes.text().startswith("Kept 20 of 60 frames")
    hand.press(dock.recipes.command_button)
    assert "are not in a file" in messages()[-1][1]
    text = recipe_to_toml(dock.recipe())
    assert 'method = "centroid"' in text
    assert "drop = [\n    3,\n]" in text


def test_several_runs_and_one_that_fails(viewer, hand, messages, folder, monkeypatch, tmp_path):
    dock = hand.dock("lead")
    dock.several.setChecked(True)
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    for run in (folder, empty, folder):
        dock.several.add_run(str(run))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", staticmethod(lambda *_: str(out)))
    dock.keep.number.value = 4
    hand.press(dock.several.process_button)
    hand.wait(lambda: not dock.busy)
    table = dock.several.table
    rows = [
        [table.item(row, column).text() for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]
    assert [row[1:3] for row in rows] == [["run", "4 of 12"], ["empty", ""]]
    assert "no FITS file in this folder" in rows[1][-1] or "it is empty" in rows[1][-1]
    assert {path.name for path in (out / "run").iterdir()} == ALL
    assert dock.notes.text().startswith(f"Processed 2 runs into {out}.")
    messages()
    hand.press(dock.several.process_button)
    assert "already holds results (nights.csv" in messages()[-1][1]
    assert "--" not in dock.notes.text()


def test_there_is_nothing_to_do_without_a_run(viewer, hand, messages):
    dock = LeadDock(viewer)
    for button in (dock.run_button, dock.results.save_button, dock.recipes.command_button):
        messages()
        hand.press(button)
        ((severity, text),) = messages()
        assert severity == "error"
        assert text.startswith(("Open a run first", "There is no result"))
    dock.close()
