"""The calibration dock's picture of the flat: its profile's numbers, and the row one chooses."""

import numpy as np
import pytest

from napari_lucky.calibration import FlatField


def only(viewer, ending):
    (found,) = [la for la in viewer.layers if la.name.endswith(ending)]
    return found


@pytest.fixture
def dock(viewer, hand):
    """The dock after Run on the sample, whose dark and flat it finds by name."""
    viewer.open_sample("napari-lucky", "simulated")
    dock = hand.dock("calibration")
    assert not dock.graph.isVisible()
    hand.run(dock)
    return dock


def profiles(dock):
    lines = [dock.graph.drawing.axes[f"{name} row"].lines[0] for name in ("light", "response")]
    return [line.get_ydata() for line in lines]


def test_the_profile_is_drawn_and_the_row_changes_it_live(viewer, hand, dock):
    assert dock.graph.isVisible()
    light = only(viewer, "master flat before normalisation")
    response = only(viewer, "master flat")
    assert not light.visible
    raw = only(viewer, "sample flat").data - only(viewer, "sample dark").data
    np.testing.assert_allclose(light.data, raw, rtol=1e-5)
    good = np.isfinite(response.data)
    expected = light.data / np.median(light.data)
    np.testing.assert_allclose(response.data[good], expected[good], rtol=1e-5)

    rows = light.data.shape[0]
    assert dock.graph.row.value == rows // 2
    assert (dock.graph.row.min, dock.graph.row.max) == (0, rows - 1)
    for row in (rows // 2, 7, rows - 1):
        dock.graph.row.value = row
        for drawn, image in zip(profiles(dock), (light.data, response.data), strict=True):
            np.testing.assert_array_equal(drawn, image[row])
    field = FlatField(response.data, light.data)
    title = dock.graph.drawing.axes["response"].get_title()
    assert f"rms {100 * field.rms:.3g} %" in title
    assert f"{field.dead} dead pixels" in title

    from qtpy.QtCore import Qt

    dock.graph.row.value = 7
    hand.qtbot.keyClick(dock.graph.row.native, Qt.Key.Key_Up)  # as a hand does it
    assert dock.graph.row.value == 8
    np.testing.assert_array_equal(profiles(dock)[0], light.data[8])

    hand.run(dock)  # again: the row that was chosen stays
    assert dock.graph.row.value == 8
    np.testing.assert_array_equal(profiles(dock)[0], light.data[8])


@pytest.mark.parametrize("which", ["master flat", "master flat before normalisation"])
def test_a_master_layer_chosen_as_flat_loses_the_dark_once(viewer, hand, dock, which):
    first, flat = only(viewer, "sample run calibrated"), only(viewer, "sample run master flat")
    names = {la.name for la in viewer.layers}
    dock.flat.value = only(viewer, which)
    dock.keep_old.value = True
    hand.run(dock)
    added = {la.name.removesuffix(" 2"): la for la in viewer.layers if la.name not in names}
    again = added["sample run master flat"]
    np.testing.assert_allclose(again.data, flat.data, rtol=1e-6)
    np.testing.assert_allclose(
        added["sample run calibrated"].data[3], first.data[3], rtol=1e-5, atol=1e-3
    )
    assert ("sample run master flat before normalisation" in added) == (which != "master flat")
    before = dock.graph.drawing.axes["light"].get_title()
    assert ("given normalised" in before) == (which == "master flat")


def test_a_master_saved_and_given_as_path_loses_the_dark_once(viewer, hand, dock, tmp_path):
    flat = only(viewer, "sample run master flat")
    names = {la.name for la in viewer.layers}
    viewer.layers.selection = {flat}
    viewer.layers.save(str(tmp_path / "master.fits"), selected=True)
    dock.flat_path.value = str(tmp_path / "master.fits")
    dock.keep_old.value = True
    hand.run(dock)
    added = {la.name.removesuffix(" 2"): la for la in viewer.layers if la.name not in names}
    np.testing.assert_array_equal(added["sample run master flat"].data, flat.data)


def test_what_is_chosen_as_input_is_not_replaced_by_the_result(viewer, hand, dock):
    flat = only(viewer, "sample run master flat")
    data, dock.flat.value = flat.data, flat
    hand.run(dock)
    assert flat.data is data
    assert "sample run master flat 2" in viewer.layers
    assert "sample run calibrated 2" not in viewer.layers


def test_without_a_flat_the_picture_goes(hand, dock):
    dock.flat.value = None
    hand.run(dock)
    assert not dock.graph.isVisible()


def test_the_picture_follows_the_theme(viewer, dock):
    for theme in ("light", "dark"):
        viewer.theme = theme
        colour = dock.graph.canvas.figure.get_facecolor()
        assert (np.mean(colour[:3]) > 0.5) == (theme == "light")
