"""The chain follows a window that is moved; and all frames follow what was dialled in on some."""

import numpy as np
import pytest
from hands import newest

from napari_lucky import Window, rank, register, select, stack_mean
from napari_lucky.imaging.shifts import Shifted
from napari_lucky.viewer.from_layers import frames_of, windows_of
from napari_lucky.viewer.to_layers import rectangle

CHAIN = ("registration", "ranking", "stacking")


@pytest.fixture
def docks(viewer, hand):
    """All docks, run once on the sample."""
    viewer.open_sample("napari-lucky", "simulated")
    docks = {name: hand.dock(name) for name in ("calibration", "cleaning", *CHAIN)}
    return docks


def run(hand, docks, *names):
    for name in names:
        hand.run(docks[name])


def idle(docks):
    return lambda: (
        not any(
            dock.busy or (dock.auto_run and dock.auto_run._timer.isActive())
            for dock in docks.values()
        )
    )


def settle(hand, docks):
    """Wait until no dock runs or is about to, for longer than one waits for another."""
    for _ in range(6):
        hand.wait(idle(docks))
        hand.qtbot.wait(200)


def test_a_nudged_window_is_followed_by_the_whole_chain(viewer, hand, docks):
    run(hand, docks, "calibration", *CHAIN)
    windows, run_layer = newest(viewer, "windows"), newest(viewer, "run calibrated")
    count = len(viewer.layers)
    before = np.array(newest(viewer, "run focus").data)
    for name in CHAIN:
        docks[name].auto_run.box.value = True
    focus, defocus = windows_of(windows, run_layer)
    moved = Window(focus.y0 + 6, focus.x0 - 9, focus.height, focus.width)
    windows.data = [rectangle(moved), rectangle(defocus)]
    settle(hand, docks)
    assert len(viewer.layers) == count  # the results are put in place of the last ones
    frames = frames_of(run_layer)
    shifts = register(frames, moved).shifts
    kept = select(rank(frames, moved), 0.1)
    expected = stack_mean(Shifted(frames, shifts), kept, moved).image
    stack = newest(viewer, "run focus")
    np.testing.assert_array_equal(stack.data, expected)
    assert not np.array_equal(before, expected, equal_nan=True)
    assert tuple(stack.translate) == (moved.y0, moved.x0)
    assert stack.metadata["origin"] == (moved.y0, moved.x0)
    arrows = newest(viewer, "shifts")
    np.testing.assert_allclose(arrows.data[:, 1, 1:], shifts)
    assert set(np.flatnonzero(arrows.features["selected"])) == set(kept)
    np.testing.assert_allclose(newest(viewer, "tracked").data, arrows.data[:, 0])
    registered = newest(viewer, "registered")
    np.testing.assert_array_equal(registered.data[3], Shifted(frames, shifts).read(slice(3, 4))[0])


def test_what_was_chosen_by_hand_outlives_a_nudge_and_nothing_wrong_is_reported(
    viewer, hand, docks, messages
):
    run(hand, docks, "calibration", *CHAIN)
    docks["ranking"].toggle(3)
    for name in CHAIN:
        docks[name].auto_run.box.value = True
    messages()
    windows = newest(viewer, "windows")
    windows.data = [corners + 2 for corners in windows.data]
    settle(hand, docks)
    assert messages() == []
    assert newest(viewer, "shifts").features["selected"][3]
    assert newest(viewer, "run focus").metadata["history"][-2].parameters["add"] == [3]


def test_a_parameter_is_followed_and_so_is_the_contrast(viewer, hand, docks, messages):
    run(hand, docks, "calibration", *CHAIN)
    messages()
    hand.press(docks["stacking"].all_button)
    ((_, told),) = messages()
    assert "has all frames of its run already" in told
    stack, long = newest(viewer, "run focus"), newest(viewer, "long exposure")
    before, high = list(stack.contrast_limits), long.contrast_limits[1]
    long.contrast_limits = 0, 1000
    docks["stacking"].auto_run.box.value = True
    docks["stacking"].which.value = "all (shift-and-add)"
    settle(hand, docks)
    assert stack.contrast_limits[1] < 0.7 * before[1]
    assert list(long.contrast_limits) == [0, 1000] != [0, high]  # the user's own


def test_a_dust_spot_that_is_moved_is_followed(viewer, hand, docks):
    dust = docks["cleaning"].forms["dust"]
    docks["cleaning"].light.value = newest(viewer, "flat")
    dust.on.value, dust["action"].value = True, "mask"
    hand.press(docks["cleaning"].find_button)
    hand.wait(lambda: not docks["cleaning"].busy)
    run(hand, docks, "cleaning")
    docks["cleaning"].auto_run.box.value = True
    points, cleaned = newest(viewer, "dust"), newest(viewer, "cleaned")
    assert not np.isnan(cleaned.data[0][30, 40])
    places = points.data.copy()
    places[0] = 30, 40
    points.data = places
    settle(hand, docks)
    assert newest(viewer, "cleaned") is cleaned
    assert np.isnan(cleaned.data[0][30, 40])


def test_without_the_box_nothing_follows_and_a_new_registration_ends_an_old_ranking(
    viewer, hand, docks
):
    run(hand, docks, "calibration", "registration", "ranking")
    arrows = newest(viewer, "shifts").data.copy()
    windows = newest(viewer, "windows")
    windows.data = [corners + 8 for corners in windows.data]
    settle(hand, docks)
    np.testing.assert_array_equal(newest(viewer, "shifts").data, arrows)
    docks["registration"].auto_run.box.value = True
    windows.data = [corners + 8 for corners in windows.data]
    settle(hand, docks)
    assert np.isnan(newest(viewer, "shifts").features["quality"]).all()
    assert "press Run" in docks["ranking"].summary.text()


def test_all_frames_with_one_click(viewer, hand, docks, messages):
    docks["calibration"].frames.value = "10:40:3"
    background = docks["cleaning"].forms["background"]
    background.on.value = True
    background["order"].value, background["centre"].value = 1, "speckle"
    run(hand, docks, "calibration", "cleaning")
    docks["registration"].forms["register"].method.value = "correlation"
    docks["registration"].reference_frame.value = "the frame shown"
    viewer.dims.set_current_step(0, 4)  # frame 22 of the run
    docks["ranking"].forms["rank"]["metric"].value = "gradient"
    docks["ranking"].forms["select"]["keep"].value = 0.2
    run(hand, docks, *CHAIN)
    assert len(newest(viewer, "shifts").data) == 10
    messages()
    before = list(viewer.layers)
    hand.press(docks["stacking"].all_button)
    hand.wait(lambda: not docks["stacking"].busy)
    everything = newest(viewer, "all frames")
    frames = frames_of(everything)
    assert frames.shape[0] == 60
    assert "choose frames" not in [step.name for step in everything.metadata["history"]]
    focus, _ = windows_of(newest(viewer, "windows"), everything)
    shifts = register(frames, focus, method="correlation", reference_frame="22").shifts
    kept = select(rank(frames, focus, metric="gradient"), 0.2)
    expected = stack_mean(Shifted(frames, shifts), kept, focus).image
    stack = newest(viewer, "all frames focus")
    np.testing.assert_array_equal(stack.data, expected)
    steps = stack.metadata["history"]
    assert [step.name for step in steps][-4:] == ["register", "rank", "select", "stack"]
    assert steps[-4].parameters["reference_frame"] == "22"
    arrows = newest(viewer, "all frames shifts")
    assert len(arrows.data) == 60 and arrows.features["selected"].sum() == 12
    new = [layer.name.split("all frames")[-1] for layer in viewer.layers if layer not in before]
    own = {"", " long exposure", " defocus", " focus", " shifts"}
    assert set(new) == {
        *own,
        " kept, best first",
    }  # the last by 3 Rank, which was asked to
    assert "12 of 60 frames" in docks["ranking"].summary.text()
    assert messages() == []
