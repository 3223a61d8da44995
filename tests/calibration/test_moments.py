import numpy as np
import pytest

from napari_lucky.calibration.moments import sample_moments
from napari_lucky.frames import ArrayFrames

RNG = np.random.default_rng(0)


def test_moments_leave_masked_pixels_out():
    frames = RNG.normal(100, 5, (10, 12, 12)).astype(np.float32)
    frames[:4, 3, 3] = np.nan
    frames[:, 5, 5] = np.nan
    mean, deviation = sample_moments(ArrayFrames(frames))
    assert mean[3, 3] == pytest.approx(frames[4:, 3, 3].mean(), rel=1e-5)
    assert deviation[3, 3] == pytest.approx(frames[4:, 3, 3].std(), rel=1e-3)
    assert np.isnan(mean[5, 5])


def test_blank_frames_are_no_part_of_the_moments():
    frames = RNG.normal(100, 5, (10, 12, 12)).astype(np.float32)
    expected = frames[2:].mean(axis=0)
    frames[0], frames[1] = 0, np.nan
    mean, _ = sample_moments(ArrayFrames(frames))
    np.testing.assert_allclose(mean, expected, rtol=1e-5)
