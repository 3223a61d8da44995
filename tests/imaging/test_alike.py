"""Over how many frames neighbours are alike."""

import numpy as np

from napari_lucky.imaging.alike import alike_over


def test_values_that_go_together_count_once():
    """Twelve copies of one series are no twelve witnesses: independent frames are not alike."""
    for seed in range(20):
        one = np.random.default_rng(seed).normal(size=(200, 1))
        assert alike_over(np.tile(one, 12), np.arange(200)) == 0


def test_equal_frames_have_no_scatter():
    assert alike_over(np.ones((30, 4)), np.arange(30)) == 0
    assert alike_over(np.ones((1, 4)), np.arange(1)) == 0


def test_numbers_not_places_tell_the_distance():
    steps = np.random.default_rng(0).normal(size=(2020, 6)).cumsum(axis=0)
    samples = steps[20:] - steps[:-20]
    assert 10 < alike_over(samples[:400], np.arange(400)) < 30
    every = np.arange(0, 2000, 25)
    assert alike_over(samples[every], every) == 0
