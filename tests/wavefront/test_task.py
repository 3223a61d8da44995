"""What a wavefront is refused for before a frame is read: 7 px per lambda/D, 1.3 waves."""

import pytest

from napari_lucky import LuckyError, Window
from napari_lucky.wavefront import WavefrontParameters

SHAPE = (5, 300, 600)


def task(**changes):
    given = {
        "focus": Window(0, 0, 96, 96),
        "defocus": Window(0, 200, 144, 144),
        "wavelength_nm": 633.0,
        "focal_ratio": 58.6,
        "pixel_um": 5.3,
        "defocus_waves": 1.3,
        "obstruction": 0.3,
    }
    return WavefrontParameters(**given | changes)


def test_the_shorter_side_of_the_window_holds_the_donut():
    """Its diameter is 8 waves x 7 px = 72.8 px; a lambda/D beside it at least, three are well."""
    assert task().check(SHAPE) == ()
    assert task(defocus=Window(0, 200, 116, 300)).check(SHAPE) == ()
    for shape in ((110, 300), (300, 110), (88, 300)):
        (note,) = task(defocus=Window(0, 200, *shape)).check(SHAPE)
        assert "donut of 73 pixels nearly fills" in note
    for shape in ((86, 300), (300, 86)):
        with pytest.raises(LuckyError, match="window is 86 pixels wide"):
            task(defocus=Window(0, 200, *shape)).check(SHAPE)
    with pytest.raises(LuckyError, match="window is 144 pixels wide"):
        task(defocus_waves=-2.5).check(SHAPE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"obstruction": 0.9}, "obstruction is 0.9"),
        ({"obstruction": -0.1}, "obstruction"),
        ({"defocus_waves": 0.05}, "0.05 waves"),
        ({"defocus_waves": float("nan")}, "defocus_waves is nan"),
        ({"defocus": Window(200, 200, 144, 144)}, "defocus window"),
        ({"focus": Window(0, 550, 96, 96)}, "focus window"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, said):
    with pytest.raises(LuckyError, match=said):
        task(**changes).check(SHAPE)


def test_without_an_obstruction_it_is_measured_too():
    assert task(obstruction=0.0).check(SHAPE) == ()
    assert task(obstruction=0.89).check(SHAPE) == ()
