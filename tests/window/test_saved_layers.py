"""Any layer saved, opened in a new window, and the next step started from it."""

import gc

import numpy as np
import pytest
from astropy.io import fits
from hands import Hand
from napari.layers import Image, Points, Shapes, Vectors

from napari_lucky import Calibrate, Recipe, Select, process, simulate_run, write_results

STEPS = ["simulate", "calibrate", "register", "rank", "select", "stack"]


@pytest.fixture
def fresh(make_napari_viewer, qtbot):
    """Return a function that closes the window and opens a new one, with some files."""
    hands = []

    def again(*paths):
        for hand in hands:
            hand.viewer.close()
        hands.clear()
        gc.collect()
        hands.append(Hand(make_napari_viewer(show=True), qtbot))
        for path in paths:
            hands[0].viewer.open(str(path), plugin="napari-lucky")
        return hands[0]

    return again


def layer(hand, ending, kind=Image):
    (found,) = [la for la in hand.viewer.layers if la.name.endswith(ending) and type(la) is kind]
    return found


def save(hand, saved, path):
    hand.viewer.layers.selection = {saved}
    assert hand.viewer.layers.save(str(path), selected=True) == [str(path)]
    return path


def run_dock(hand, name, **values):
    dock = hand.dock(name)
    for parameter, value in values.items():
        getattr(dock, parameter).value = value
    hand.run(dock)
    return dock


def pixels(image):
    return np.array(image.data)


def same(one, other):
    """Compare what (pixels, history) pairs hold, bit for bit."""
    return np.array_equal(one[0], other[0], equal_nan=True) and one[1] == other[1]


def made(hand, *endings):
    return {
        end: (pixels(la), la.metadata["history"]) for end in endings for la in [layer(hand, end)]
    }


STACKS = ("run focus", "run defocus", "long exposure")


def go_through(hand, folder, suffix, frames=""):
    """Do the four docks on the sample, save what each makes, and return the results."""
    run_dock(hand, "calibration", frames=frames)
    results = {}
    for name in ("calibrated", "master dark"):
        save(hand, layer(hand, f" {name}"), folder / f"{name}.fits")
    run_dock(hand, "registration")
    save(hand, layer(hand, "windows", Shapes), folder / "windows.fits")
    save(hand, layer(hand, "tracked", Points), folder / "tracked.fits")
    shifts = layer(hand, "shifts", Vectors)
    save(hand, shifts, folder / f"shifts.{suffix}")
    results["shifts"] = shifts.data.copy(), shifts.features.copy(), shifts.metadata["history"]
    run_dock(hand, "ranking")
    save(hand, shifts, folder / f"ranked.{suffix}")
    results["ranked"] = shifts.data.copy(), shifts.features.copy(), shifts.metadata["history"]
    run_dock(hand, "stacking")
    names = ("calibrated", "master dark", "registered", "kept, best first", *STACKS)
    results |= made(hand, *names)
    for name in names[2:]:
        save(hand, layer(hand, name), folder / f"{name}.fits")
    return results


def check_shifts(shifts, expected, without=()):
    data, features, history = expected
    assert np.array_equal(shifts.data, data)
    assert shifts.features.drop(columns=[*without]).equals(features.drop(columns=[*without]))
    assert shifts.metadata["history"] == history


@pytest.mark.parametrize(("suffix", "frames"), [("fits", ""), ("csv", "0:20:2")])
def test_every_step_starts_from_what_was_saved(fresh, tmp_path, messages, suffix, frames):
    hand = fresh()
    hand.viewer.open_sample("napari-lucky", "simulated")
    straight = go_through(hand, tmp_path, suffix, frames)
    steps = [STEPS[0], "choose frames", *STEPS[1:]] if frames else STEPS
    assert [step.name for step in straight["run focus"][1]] == steps
    if frames:
        assert list(straight["ranked"][1]["frame"]) == list(range(0, 20, 2))
        assert np.array_equal(straight["ranked"][0][:, 0, 0], np.arange(10))
    messages()

    # register from the saved calibrated frames and the saved windows
    calibrated = tmp_path / "calibrated.fits"
    hand = fresh(calibrated, tmp_path / "windows.fits")
    windows = layer(hand, "sample run windows", Shapes)
    assert list(windows.features["window"]) == ["focus", "defocus"]
    run_dock(hand, "registration")
    check_shifts(layer(hand, "shifts", Vectors), straight["shifts"], without=["file"])
    assert same(*(d["registered"] for d in (straight, made(hand, "registered"))))

    # rank, and then stack, from the saved calibrated frames and the saved shifts
    hand = fresh(calibrated, tmp_path / f"shifts.{suffix}")
    run_dock(hand, "ranking")
    shifts = layer(hand, "shifts", Vectors)
    check_shifts(shifts, straight["ranked"])
    assert same(*(d["kept, best first"] for d in (straight, made(hand, "kept, best first"))))
    run_dock(hand, "stacking")
    again = made(hand, *STACKS)
    assert all(same(straight[name], again[name]) for name in STACKS)
    assert [step.name for step in again["run focus"][1]] == steps

    # stack at once from the saved ranking
    hand = fresh(calibrated, tmp_path / f"ranked.{suffix}")
    check_shifts(layer(hand, "ranked", Vectors), straight["ranked"])
    run_dock(hand, "stacking")
    again = made(hand, *STACKS)
    assert all(same(straight[name], again[name]) for name in STACKS)
    assert messages() == []

    # results open as they were
    names = ("registered", "kept, best first", *STACKS)
    hand = fresh(*(tmp_path / f"{name}.fits" for name in names))
    again = made(hand, *names)
    assert all(same(straight[name], again[name]) for name in names)
    assert tuple(layer(hand, "run focus").translate) == (56, 336)

    # calibrate with the saved master dark
    hand = fresh()
    hand.viewer.open_sample("napari-lucky", "simulated")
    hand.viewer.open(str(tmp_path / "master dark.fits"), plugin="napari-lucky")
    run_dock(hand, "calibration", dark=layer(hand, "master dark"), frames=frames)
    assert np.array_equal(
        pixels(layer(hand, " calibrated")), straight["calibrated"][0], equal_nan=True
    )


@pytest.fixture(scope="module")
def run_on_disk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night") / "run"
    folder.mkdir()
    run = simulate_run(n=24)
    for number, frame in enumerate(run.frames, start=1):
        fits.PrimaryHDU(frame).writeto(folder / f"AF_{number:03d}.fits")
    fits.PrimaryHDU(run.dark).writeto(folder / "dark.fits")
    fits.PrimaryHDU(run.flat).writeto(folder / "flat.fits")
    return folder, run


def processed(run_on_disk, out, **options):
    folder, run = run_on_disk
    recipe = Recipe(
        (str(folder),),
        Calibrate(dark=str(folder / "dark.fits"), flat=str(folder / "flat.fits")),
        Select(keep=0.2),
        focus=run.focus,
        defocus=run.defocus,
        **options,
    )
    result = process(recipe)
    write_results(result, out)
    return result


@pytest.mark.parametrize("frames", ["", "0:20:2"])
@pytest.mark.parametrize("calibrate_some", [False, True])
def test_frames_csv_of_the_command_line_serves_the_docks(
    fresh, run_on_disk, tmp_path, messages, frames, calibrate_some
):
    from napari.layers import Layer

    from napari_lucky import Window
    from napari_lucky.viewer.to_layers import windows_tuple

    folder, run = run_on_disk
    some = {"start": 0, "stop": 20, "step": 2} if frames else {}
    straight = processed(run_on_disk, tmp_path / "out", **some)
    hand = fresh(folder, tmp_path / "out" / "frames.csv")
    messages()
    windows = [Window.centred(*run.focus), Window.centred(*run.defocus)]
    drawn = hand.viewer.add_layer(Layer.create(*windows_tuple(windows)))
    dock = hand.dock("calibration")
    dock.frames.value = frames if calibrate_some else ""
    for name in ("dark", "flat"):
        getattr(dock, f"{name}_path").line.value = str(folder / f"{name}.fits")
    hand.run(dock)
    messages()

    run_dock(hand, "stacking", windows=drawn)
    assert messages() == []
    for name in ("focus", "defocus", "long exposure"):
        expected = straight.images[name.replace(" ", "_")].data
        assert np.array_equal(pixels(layer(hand, f"run {name}")), expected, equal_nan=True)
    steps = [step.name for step in layer(hand, "run focus").metadata["history"]]
    some_first = ["choose frames"] if frames and calibrate_some else []
    assert steps == ["open", *some_first, "calibrate", "read shifts", "stack"]

    hand.dock("ranking").forms["select"]["keep"].value = 0.2
    run_dock(hand, "ranking", windows=drawn)
    assert messages() == []
    features = layer(hand, "frames", Vectors).features
    assert np.array_equal(features["frame"], straight.table.frame)
    assert np.array_equal(features["quality"], straight.table.quality)
    assert np.array_equal(features["selected"], straight.table.selected)
    kept = layer(hand, "kept, best first")
    names = [step.name for step in kept.metadata["history"]]
    assert names[-4:] == ["read shifts", "shift", "rank", "select"]


def test_frames_csv_of_another_run_is_refused(fresh, run_on_disk, tmp_path, messages):
    processed(run_on_disk, tmp_path / "out")
    path = tmp_path / "out" / "frames.csv"
    path.write_text(path.read_text().replace("AF_", "BF_"))
    hand = fresh(run_on_disk[0], path)
    messages()
    run_dock(hand, "stacking")
    ((severity, text),) = messages()
    assert severity == "error"
    assert "BF_001.fits" in text
    assert "AF_001.fits" in text

    table, saved = layer(hand, "frames", Vectors), tmp_path / "again.ecsv"
    hand.viewer.layers.selection = {table}
    assert hand.viewer.layers.save(str(saved), selected=True) == [str(saved)]
    (back,) = hand.viewer.open(str(saved), plugin="napari-lucky")
    assert np.array_equal(back.data, table.data, equal_nan=True)
    assert back.features.equals(table.features)
    assert back.metadata["history"] == table.metadata["history"]
