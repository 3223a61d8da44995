"""Runs that are not part of the project, in the folder that NAPARI_LUCKY_DATA names."""

import numpy as np
import pytest

from napari_lucky.viewer.from_layers import windows_of


@pytest.mark.parametrize("name", ["speckle_a258", "speckle_hu940/hu940_cube.fits"])
def test_real_runs_go_through_without_help(viewer, hand, real_data, messages, name):
    viewer.open(str(real_data / name), plugin="napari-lucky")
    registration = hand.dock("registration")
    hand.press(registration.place_button)
    hand.wait(lambda: not registration.busy)
    (window,) = windows_of(registration.windows.value, registration.image.value)
    assert window.shape == (128, 128)
    hand.run(registration)
    hand.run(hand.dock("ranking"))
    hand.run(hand.dock("stacking"))

    def layer(ending):
        (found,) = [one for one in viewer.layers if one.name.endswith(ending)]
        return found

    focus, long_exposure = layer(" focus"), layer("long exposure")
    assert np.nanmax(focus.data) > np.nanmax(long_exposure.data)
    assert {kind for kind, _ in messages()} <= {"info", "warning"}  # what is doubtful is said
