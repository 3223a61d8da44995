"""Windows: where they are, how they are cut and moved, and what is refused."""

import numpy as np
import pytest

from napari_lucky.errors import LuckyError
from napari_lucky.frames.window import Window, as_window

FRAME = (40, 50)


@pytest.mark.parametrize("size", [8, 9, 16, 17])
@pytest.mark.parametrize("centre", [(20, 30), (0, 0), (39, 1)])
def test_the_middle_pixel_of_a_centred_window_is_its_centre(centre, size):
    window = Window.centred(*centre, size)
    assert window.shape == (size, size)
    assert window.centre == centre
    assert (window.y0 + size // 2, window.x0 + size // 2) == centre


def test_slices_cut_the_window_from_frames():
    frames = np.arange(2 * 40 * 50).reshape(2, 40, 50)
    window = Window(3, 7, 10, 20)
    cut = frames[(..., *window.slices)]
    assert cut.shape == (2, 10, 20)
    assert cut[1, 0, 0] == frames[1, 3, 7]
    assert cut[1, -1, -1] == frames[1, window.y1 - 1, window.x1 - 1]


@pytest.mark.parametrize("shape", [FRAME, (7, *FRAME)])
def test_the_whole_window_is_the_frame(shape):
    assert Window.whole(shape) == Window(0, 0, 40, 50)
    Window.whole(shape).check_on(shape)


@pytest.mark.parametrize(
    ("window", "clipped", "moved"),
    [
        (Window(5, 6, 10, 12), Window(5, 6, 10, 12), Window(5, 6, 10, 12)),
        (Window(-3, -4, 10, 12), Window(0, 0, 7, 8), Window(0, 0, 10, 12)),
        (Window(35, 45, 10, 12), Window(35, 45, 5, 5), Window(30, 38, 10, 12)),
        (Window(-5, -5, 60, 70), Window(0, 0, 40, 50), Window(0, 0, 40, 50)),
        (Window(-30, 20, 10, 10), Window(0, 20, 0, 10), Window(0, 20, 10, 10)),
        (Window(90, 90, 10, 10), Window(40, 50, 0, 0), Window(30, 40, 10, 10)),
    ],
)
def test_a_window_over_the_edge_is_clipped_or_moved_inside(window, clipped, moved):
    assert window.clipped(FRAME) == clipped
    assert window.moved_inside((9, *FRAME)) == moved
    assert window.moved_inside(FRAME).clipped(FRAME) == moved


@pytest.mark.parametrize("window", [Window(0, 0, 40, 50), Window(32, 42, 8, 8)])
def test_a_window_on_the_frame_is_accepted(window):
    window.check_on(FRAME)


@pytest.mark.parametrize(
    ("window", "told"),
    [
        (Window(-1, 0, 10, 10), "rows -1 to 8 and columns 0 to 9"),
        (Window(31, 0, 10, 10), "rows 31 to 40"),
        (Window(0, 41, 10, 10), "columns 41 to 50"),
        (Window(100, 100, 10, 10), "rows 0 to 39 and columns 0 to 49"),
        (Window(0, 0, 41, 50), "rows 0 to 40"),
        (Window(0, 0, 7, 10), "7 x 10 pixels; it must be at least 8 x 8"),
        (Window(0, 0, 10, 0), "10 x 0 pixels"),
    ],
)
def test_a_window_off_the_frame_or_too_small_is_reported(window, told):
    with pytest.raises(LuckyError, match=f"^The focus window .*{told}"):
        window.check_on(FRAME, "focus window")


def test_three_numbers_are_centre_and_side():
    window = Window(120, 372, 40, 40)
    for given in ((140, 392, 40), [140, 392, 40], np.array([140, 392, 40]), window):
        assert as_window(given) == window
    assert as_window((140, 392, 41)) == Window.centred(140, 392, 41)


@pytest.mark.parametrize(
    "given", [(1, 2), (0, 0, 40, 40), (1.5, 2, 8), "140,392,128", 5, None, ("a", "b", "c")]
)
def test_what_is_no_window_is_refused_in_a_sentence(given):
    with pytest.raises(LuckyError, match=r"is not a window\. Give \(y, x, size\), three whole"):
        as_window(given)


def test_a_window_in_another():
    window, outer = Window(3, 5, 8, 10), Window(1, 2, 20, 20)
    image = np.arange(30 * 40).reshape(30, 40)
    cut = image[outer.slices][window.within(outer).slices]
    assert np.array_equal(cut, image[window.slices])
    assert window in outer
    assert window in window
    assert window.grown(2) in Window(1, 3, 12, 14)
    assert window.grown(3) not in Window(1, 3, 12, 14)
    assert Window(-1, 5, 8, 10) not in outer
