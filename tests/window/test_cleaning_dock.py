"""The cleaning dock, pressed in a real window."""

import numpy as np
import pytest
from napari.layers import Points

from napari_lucky import clean
from napari_lucky.steps import (
    CutNoise,
    LowPassFilter,
    RemoveBackground,
    RemoveFlicker,
    RemoveOutliers,
)
from napari_lucky.viewer.from_layers import frames_of, spots_of, windows_of


@pytest.fixture
def dock(viewer, hand):
    viewer.open_sample("napari-lucky", "simulated")
    return hand.dock("cleaning")


def newest(viewer, words):
    return [layer for layer in viewer.layers if words in layer.name][-1]


def dial(dock, **steps):
    """Tick steps and set their numbers."""
    for table, values in steps.items():
        form = dock.forms[table.replace("_", "-")]
        form.on.value = True
        for name, value in values.items():
            form[name].value = value


def calibrate(viewer, hand):
    hand.run(hand.dock("calibration"))
    return newest(viewer, "calibrated")


def test_a_background_is_taken_off_and_shown(viewer, hand, dock):
    dock.forms["background"].on.value = True
    hand.run(dock)
    clean, model = newest(viewer, "cleaned"), newest(viewer, "background")
    assert clean.metadata["history"][-1].name == "background"
    assert 200 < np.nanmedian(model.data[0]) < 350  # stray light of 180 ADU on a dark of 98
    assert abs(np.nanmedian(clean.data[0])) < 5


def test_everything_on_is_what_the_core_does(viewer, hand, dock, messages):
    calibrated = calibrate(viewer, hand)
    assert dock.image.value is calibrated
    dial(
        dock,
        outliers={"sigma": 6, "action": "replace"},
        flicker={"sigma": 6, "action": "replace"},
        background={"order": 3, "radius": 70, "centre": "speckle"},
        noise_cut={"sigma": 2},
        low_pass={"cutoff": 1, "sampling": 7},
    )
    hand.run(dock)
    cleaned = newest(viewer, "cleaned")
    windows = windows_of(newest(viewer, "windows"), calibrated)
    cleaning = [
        RemoveOutliers(sigma=6.0, action="replace"),
        RemoveFlicker(sigma=6.0, action="replace"),
        RemoveBackground(order=3, radius=70, centre="speckle"),
        CutNoise(sigma=2.0),
        LowPassFilter(cutoff=1.0, sampling=7.0),
    ]
    expected = clean(frames_of(calibrated), cleaning, windows=windows)
    np.testing.assert_array_equal(cleaned.data[5], expected.frames.read(slice(5, 6))[0])
    assert cleaned.metadata["history"] == (*calibrated.metadata["history"], *expected.history)
    assert any("outlier pixels in the windows of 60 frames" in text for _, text in messages())
    assert hand.dock("registration").image.value is cleaned


def test_dust_is_found_on_the_flat_and_the_points_can_be_edited(viewer, hand, dock):
    dock.light.value = newest(viewer, "flat")
    dial(dock, dust={"count": 3, "radius": 8})
    hand.press(dock.find_button)
    hand.wait(lambda: not dock.busy)
    points = dock.spots.value
    assert isinstance(points, Points) and points.name == "sample run dust"
    assert len(points.data) == 3
    run = dock.image.value
    for spot in spots_of(points, run):
        assert spot.radius == pytest.approx(8)
    points.selected_data = {0}
    points.remove_selected()
    assert points.current_size == 16
    points.current_size = 24
    points.add([[30, 40]])
    assert [round(s.radius) for s in spots_of(points, run)] == [8, 8, 12]
    dock.forms["dust"]["action"].value = "mask"
    hand.run(dock)
    cleaned = newest(viewer, "cleaned")
    step = cleaned.metadata["history"][-1]
    assert step.parameters["spots"][-1] == [30, 40, 12]
    assert len(step.parameters["spots"]) == 3
    masked = np.isnan(cleaned.data[0])
    rows, columns = np.mgrid[: masked.shape[0], : masked.shape[1]]
    assert masked[np.hypot(rows - 30, columns - 40) <= 12].all()
    inside = np.zeros(masked.shape, bool)
    for y, x, radius in step.parameters["spots"]:
        inside |= np.hypot(rows - y, columns - x) <= radius + 0.5
    assert not masked[~inside].any()


def test_dust_is_divided_out(viewer, hand, dock):
    dock.light.value = newest(viewer, "flat")
    dial(dock, dust={"count": 5, "radius": 8})
    hand.press(dock.find_button)
    hand.wait(lambda: not dock.busy)
    assert len(dock.spots.value.data) == 5
    spots = spots_of(dock.spots.value, dock.image.value)
    hand.run(dock)
    raw, cleaned = dock.image.value, newest(viewer, "cleaned")
    brighter = []
    for spot in spots:
        y, x = round(spot.y), round(spot.x)
        here = (slice(y - 2, y + 3), slice(x - 2, x + 3))
        brighter.append(np.nanmean(cleaned.data[0][here]) / np.nanmean(raw.data[0][here]))
    assert min(brighter) > 1.01


def test_nothing_chosen_is_reported(viewer, hand, dock, messages):
    hand.press(dock.run_button)
    assert any("Everything is off" in text for _, text in messages())
    assert not [layer for layer in viewer.layers if "cleaned" in layer.name]


def test_the_flat_that_calibrated_is_not_divided_by_again(viewer, hand, dock, messages):
    calibrate(viewer, hand)
    dock.light.value = viewer.layers["sample flat"]
    dial(dock, dust={})
    hand.press(dock.find_button)
    hand.wait(lambda: not dock.busy)
    messages()
    hand.press(dock.run_button)
    ((_, told),) = messages()
    assert "was divided by this flat" in told
    assert not [layer for layer in viewer.layers if "cleaned" in layer.name]
