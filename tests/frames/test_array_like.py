"""A run and its views handled like an array."""

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import Window, calibrate, open_run
from napari_lucky.frames import ArrayFrames, Subset
from napari_lucky.imaging import Shifted

CUBE = np.random.default_rng(1).integers(90, 110, (6, 10, 12)).astype(np.uint16)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("array") / "AF"
    folder.mkdir()
    for k, frame in enumerate(CUBE):
        fits.PrimaryHDU(frame).writeto(folder / f"AF_{k}.fits")
    fits.PrimaryHDU(CUBE[0]).writeto(folder / "dark.fits")
    return open_run(folder)


@pytest.mark.parametrize("kind", ["run", "array", "view", "subset"])
def test_length_frames_slices_and_all_pixels(run, kind):
    frames = {
        "run": run,
        "array": ArrayFrames(CUBE),
        "view": Shifted(ArrayFrames(CUBE), np.zeros((6, 2))),
        "subset": Subset(ArrayFrames(CUBE[::-1]), np.arange(6)[::-1]),
    }[kind]
    assert len(frames) == 6
    for key in (0, 5, -1, np.int64(2), (3, slice(2, 6), 4), (slice(None), 0), ...):
        np.testing.assert_array_equal(frames[key], CUBE[key])
    for key in (slice(1, 5, 2), slice(None, None, -1), [4, 1], np.arange(6) % 2 == 0):
        some = frames[key]
        assert isinstance(some, Subset)
        np.testing.assert_array_equal(np.asarray(some), CUBE[key])
        np.testing.assert_array_equal(some[0], CUBE[key][0])
    np.testing.assert_array_equal(np.array(list(frames)), CUBE)
    np.testing.assert_array_equal(np.asarray(frames, np.float64), CUBE)
    np.testing.assert_array_equal(np.max(frames, axis=0), CUBE.max(axis=0))
    with pytest.raises(IndexError):
        frames[6]


def test_a_frame_alone_is_read():
    class Counted(ArrayFrames):
        def read(self, frames, window=None):
            asked.append(np.arange(6)[frames].tolist())
            return super().read(frames, window)

    asked = []
    frames = Counted(CUBE)
    assert frames[1:4].shape == (3, 10, 12)
    assert asked == []
    _ = frames[4], frames[1:4][1]
    assert next(iter(frames)).shape == (10, 12)
    assert asked == [[4], [2], [0]]


def test_a_slice_of_a_run_is_calibrated_and_registered_like_a_run(run):
    part = calibrate(run[2:5], dark=run[:1])
    assert part.read(slice(None), Window(0, 0, 10, 12)).shape == (3, 10, 12)


def test_texts_are_one_line(run):
    """A view of a large array or of many files shows none of it."""
    assert repr(run) == "<Run 'AF': 6 frames of 10 x 12 px, uint16, 6 files, 1 file left out>"
    calibrated = calibrate(run)
    assert repr(calibrated) == "<Calibrated of Run 'AF': 6 frames of 10 x 12 px, float32>"
    shifted = Shifted(calibrated, np.zeros((6, 2)))
    assert repr(shifted) == "<Shifted of Calibrated of Run 'AF': 6 frames of 10 x 12 px, float32>"
    one = ArrayFrames(CUBE[0])
    assert repr(one) == "<ArrayFrames: 1 frame of 10 x 12 px, uint16>"
    assert repr(run[1:3]) == "<Subset of Run 'AF': 2 frames of 10 x 12 px, uint16>"
