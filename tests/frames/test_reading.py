import numpy as np
import pytest

from napari_lucky import LuckyError, Window, calibrate
from napari_lucky.frames import ArrayFrames
from napari_lucky.frames.reading import read_around, read_beyond, spread_over

FRAMES = np.arange(3 * 10 * 12, dtype=np.float32).reshape(3, 10, 12)


@pytest.mark.parametrize(
    ("n", "most", "expected"), [(5, 3, [0, 2, 4]), (3, 10, [0, 1, 2]), (100, 2, [0, 99])]
)
def test_frames_are_spread_over_the_run(n, most, expected):
    assert spread_over(n, most).tolist() == expected


@pytest.mark.parametrize(
    "window", [Window(2, 3, 4, 5), Window(-2, -3, 5, 6), Window(8, 9, 5, 6), Window(20, 0, 4, 4)]
)
def test_what_lies_beyond_the_edge_is_nan(window):
    wide = np.pad(FRAMES, ((0, 0), (30, 30), (30, 30)), constant_values=np.nan)
    rows, columns = (slice(s.start + 30, s.stop + 30) for s in window.slices)
    found = read_beyond(ArrayFrames(FRAMES), np.array([2, 0]), window)
    np.testing.assert_array_equal(found, wide[[2, 0], rows, columns])


def test_a_margin_is_mirrored_beyond_the_edge():
    wide = np.pad(FRAMES, ((0, 0), (3, 3), (3, 3)), mode="reflect")
    for y, x in ((0, 0), (6, 8), (3, 4)):
        found = read_around(ArrayFrames(FRAMES), slice(1, 3), Window(y, x, 4, 4), 3)
        np.testing.assert_array_equal(found, wide[1:3, y : y + 10, x : x + 10])


@pytest.mark.parametrize(("scale", "how"), [(1e30, "large"), (1e-35, "small")])
def test_numbers_that_cannot_be_squared_are_refused(scale, how, monkeypatch):
    with pytest.raises(LuckyError, match=f"which is too {how} for ADU"):
        calibrate(FRAMES * np.float32(scale))
    some = np.full((3, 20, 12), np.float32(scale))
    some[:, :4] = FRAMES[:, :4]  # a star beside the wings of a model, or damaged rows
    monkeypatch.setattr("napari_lucky.frames.reading.bands_of", lambda shape: [slice(0, 4)])
    calibrate(some)
