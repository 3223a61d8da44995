"""Errors of the mean of frames that are alike, against means of runs of known correlation."""

import numpy as np
import pytest

from napari_lucky.wavefront.correlation import likeness


def runs(length, n=200, k=12, many=30):
    """Moving averages of white noise of variance 1 over some frames: alike over so many."""
    rng = np.random.default_rng(0)
    for _ in range(many):
        white = rng.standard_normal((n + length, k)).cumsum(axis=0)
        yield (white[length:] - white[:-length]) / np.sqrt(length)


@pytest.mark.parametrize("length", [1, 4, 20])
def test_errors_are_true_whatever_neighbours_have_in_common(length):
    pulls, lengths = [], []
    for samples in runs(length):
        found = likeness(samples, np.arange(200))
        sigma = samples.std(axis=0, ddof=1) / np.sqrt(200)
        pulls.append(samples.mean(axis=0) / (sigma * np.sqrt(found.inflation)))
        lengths.append(found.length)
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1, abs=0.25)
    if length == 1:
        assert max(lengths) == 0  # independent frames are not doubted
    else:
        assert np.median(lengths) == pytest.approx(length, rel=0.5)


def test_frames_far_apart_are_independent():
    (samples,) = runs(4, n=2000, many=1)
    every = np.arange(0, 2000, 20)
    found = likeness(samples[every], every)
    assert found.length == 0
    assert found.notes(100) == ()


def test_zernikes_of_one_radial_order_share_their_inflation():
    """Noll 4 to 6, 7 to 10 and 11 to 15: the coarser ones are alike over a longer time."""
    slow, medium, white = (next(runs(length, many=1)) for length in (20, 8, 1))
    samples = np.concatenate([slow[:, :3], medium[:, :4], white[:, :5]], axis=1)
    made = likeness(samples, np.arange(200)).inflation
    orders = made[:3], made[3:7], made[7:]
    assert [len(set(order)) for order in orders] == [1, 1, 1]
    assert made[0] > 1.3 * made[3] > 1.3**2 * made[7]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_few_frames_to_tell_are_taken_as_independent(n):
    found = likeness(np.ones((n, 12)), np.arange(n))
    assert (found.inflation == 1).all()
    assert found.independent(n) == n
    assert found.notes(n) == ()


def test_what_is_said():
    (samples,) = runs(20, many=1)
    found = likeness(samples, np.arange(200))
    (note,) = found.notes(200)
    assert f"count as {found.independent(200):.0f} independent" in note
    assert found.independent(200) < 30
    (short,) = likeness(samples[:60], np.arange(60)).notes(60)
    assert "too short" in short
