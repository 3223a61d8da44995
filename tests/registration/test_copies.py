"""Frames that repeat another one, of a star with noise; all frames are made here."""

import numpy as np
import pytest

from made_stars import gaussian
from napari_lucky import Window, register
from napari_lucky.frames.frames import ArrayFrames, Subset
from napari_lucky.registration.copies import copy_notes

WHOLE = Window(0, 0, 48, 48)


def frames(n=16, noise=3.0):
    rng = np.random.default_rng(1)
    places = 24 + rng.normal(0, 0.5, (n, 2))
    stars = np.array([gaussian((48, 48), y, x, 1.5, 400) for y, x in places])
    return np.rint(stars + 100 + noise * rng.standard_normal(stars.shape)).astype(np.float32)


def notes(made, subset=None):
    source = ArrayFrames(made)
    used = source if subset is None else Subset(source, subset)
    return [note for note in register(used, WHOLE, smooth=1.0).notes if "Identical" in note]


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_copies_are_said_and_frames_that_differ_are_not(noise):
    made = frames(noise=noise)
    assert notes(made) == []
    made[5:9] = made[4]
    made[14] = made[2]
    (said,) = notes(made)
    assert "5 of 16 frames (5–8, 14)." in said
    some = np.arange(3, 16)
    (said,) = notes(made, some)
    assert "4 of 13 frames (5–8)." in said  # numbered as in the run
    made[3] = made[3, 0, 0]  # blank
    made[12] = made[3]
    assert "5 of 16 frames (5–8, 14)." in notes(made)[0]


def test_frames_that_only_measure_alike_are_no_copies():
    found = np.ones((9, 7))
    assert copy_notes(ArrayFrames(frames(9)), WHOLE, found) == ()
    assert copy_notes(ArrayFrames(frames(9)), WHOLE, np.full((9, 7), np.nan)) == ()
    (said,) = copy_notes(ArrayFrames(np.repeat(frames(1), 9, axis=0)), WHOLE, found)
    assert "8 of 9 frames (1–8)." in said


def test_a_long_list_of_copies_is_cut():
    found, made = np.ones((60, 7)), np.repeat(frames(30), 2, axis=0)
    found[:, 0] = np.repeat(np.arange(30), 2)
    (said,) = copy_notes(ArrayFrames(made), WHOLE, found)
    assert "30 of 60 frames (1, 3, 5, 7" in said
    assert "27, 29 …)." in said
