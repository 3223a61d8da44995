"""What a wavefront is refused for before a frame is read: 7 px per lambda/D, 1.3 waves."""

import pytest

from napari_lucky import LuckyError, Window
from napari_lucky.wavefront import WavefrontParameters, WavefrontRequest

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


def test_what_is_taken_if_nothing_is_asked_for():
    """As docs/background/wavefront.md and the reference have it."""
    request = WavefrontRequest()
    given = (request.modes, request.choice, request.count, request.seed, request.fit_defocus)
    assert given == (36, "random", 200, 0, False)
    optics = {"wavelength_nm": 600, "focal_ratio": 60, "pixel_um": 12, "defocus_waves": 1.0}
    bare = WavefrontParameters(focus=Window(0, 0, 9, 9), defocus=Window(0, 9, 9, 9), **optics)
    assert (bare.obstruction, bare.spider, bare.d_over_r0) == (0, None, 5.0)
    assert (bare.modes, bare.choice, bare.count, bare.seed, bare.fit_defocus) == given
    assert bare.sampling == pytest.approx(3.0)
    assert (bare.last_fitted, bare.changed(modes=78).last_fitted) == (66, 78)


def test_defocus_in_waves_and_in_mm_replace_each_other():
    in_mm = WavefrontRequest(defocus_waves=1.5).changed(defocus_mm=20.0)
    assert (in_mm.defocus_waves, in_mm.defocus_mm) == (None, 20.0)
    again = in_mm.changed(defocus_waves=-1.0)
    assert (again.defocus_waves, again.defocus_mm) == (-1.0, None)
    assert in_mm.changed(count=5).defocus_mm == 20.0
    with pytest.raises(LuckyError, match="in waves and in mm"):
        WavefrontRequest(defocus_waves=1.0, defocus_mm=1.0)


def test_windows_that_share_pixels_are_noted():
    """Touching ones share none."""
    focus = Window(100, 100, 96, 96)
    beside = [(100, 196), (196, 100), (0, 244), (100, 500)]
    over = [(100, 195), (195, 100), (0, 100), (60, 60)]
    for places, count in ((beside, 0), (over, 1)):
        for y, x in places:
            notes = task(focus=focus, defocus=Window(y, x, 144, 144)).check((5, 700, 700))
            assert len(notes) == count
