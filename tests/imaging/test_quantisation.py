"""The step between the values of digital frames."""

import numpy as np
import pytest

from napari_lucky.frames import ArrayFrames, Window
from napari_lucky.imaging.quantisation import quantisation, step_of


def test_the_step_of_numbers():
    assert step_of(np.array([3, 7, 11, 19, 5], np.uint16)) == 2
    assert step_of(np.array([0.5, 1.25, 2.0, np.nan, 3.5], np.float32)) == 0.75
    assert step_of(np.random.default_rng(0).normal(size=99)) == 0
    assert step_of(np.full(9, 7, np.int16)) == 1  # what whole numbers have
    for dtype in (np.float32, np.float64):  # of the far wings of a Gaussian
        tiny = float(np.nextafter(dtype(0), dtype(1)))
        assert step_of(np.array([0, tiny, 3 * tiny, 1, 1e30], dtype)) == 0
    frames = ArrayFrames(np.arange(64.0).reshape(1, 8, 8))
    assert quantisation(frames, Window(0, 0, 8, 8)) == pytest.approx(1 / 12)
    assert quantisation(frames, Window(20, 20, 8, 8)) == 0
