"""Frames kept or dropped by hand, numbered as in the run."""

import numpy as np
import pytest

from napari_lucky import ByHand, LuckyError, kept_frames
from napari_lucky.ranking.selection import parse_numbers, tell_kept

FRAME = np.array([10, 12, 14, 16, 18])  # every second frame of the run, from the tenth
QUALITY = np.array([3.0, 5.0, np.nan, 1.0, 4.0])
CUT = np.array([1, 4])  # places, best first: the frames 12 and 18
KEPT = np.isin(np.arange(5), CUT)


@pytest.mark.parametrize(
    ("add", "drop", "kept"),
    [
        ((), (), [1, 4]),
        ((16,), (), [1, 4, 3]),
        ((10, 16), (), [1, 4, 0, 3]),
        ((), (12,), [4]),
        ((16,), (12,), [4, 3]),
        ((12,), (10,), [1, 4]),  # as the cut has it already
    ],
)
def test_frames_are_added_and_dropped_and_come_best_first(add, drop, kept):
    assert kept_frames(QUALITY, CUT, ByHand(add, drop), FRAME).tolist() == kept


@pytest.mark.parametrize(
    ("add", "drop", "told"),
    [
        ((11,), (), "Frame 11 .* not among the 5 frames used .10 to 18"),
        ((), (0,), "Frame 0 .* not among"),
        ((14,), (), "Frame 14 .* has no star"),
        ((), (14,), "Frame 14 .* has no star"),
        ((), (12, 18), "keep one"),
    ],
)
def test_frames_that_cannot_be_changed_are_told(add, drop, told):
    with pytest.raises(LuckyError, match=told):
        kept_frames(QUALITY, CUT, ByHand(add, drop), FRAME)


def test_a_frame_is_not_added_and_dropped_at_once():
    with pytest.raises(LuckyError, match="Frame 5 is both"):
        ByHand((3, 5), (5,))
    with pytest.raises(LuckyError, match="no frame -1"):
        ByHand(drop=(-1,))


def test_toggling_twice_leaves_nothing():
    once = ByHand().toggled([12, 16], KEPT, FRAME)
    assert once == ByHand((16,), (12,))
    assert once
    assert not once.toggled([12, 16], KEPT, FRAME)


def test_toggling_follows_what_is_kept_when_the_cut_has_moved():
    by_hand = ByHand().toggled([16], KEPT, FRAME)
    everything = np.ones(5, bool)
    assert by_hand.toggled([16], everything, FRAME) == ByHand(drop=(16,))
    nothing = np.zeros(5, bool)
    assert by_hand.toggled([16], nothing, FRAME) == ByHand()


def test_changes_between_a_cut_and_a_choice():
    kept = np.array([True, False, False, False, True])
    by_hand = ByHand.between(KEPT, kept, FRAME)
    assert by_hand == ByHand((10,), (12,))
    np.testing.assert_array_equal(by_hand.apply(KEPT, FRAME), kept)


def test_the_count_is_told():
    cut = np.arange(40) < 24
    kept = cut.copy()
    kept[[30, 31, 0]] = True, True, False
    assert tell_kept(cut, kept) == (
        "25 of 40 frames (62.5 %) kept: 24 by the cut, 2 added, 1 dropped"
    )
    assert tell_kept(cut, cut) == "24 of 40 frames (60 %) kept"
    assert tell_kept(cut[15:], cut[15:]) == "9 of 25 frames (36 %) kept; few for a stack"


def test_numbers_as_typed():
    assert parse_numbers("5") == (5,)
    assert parse_numbers("5, 17") == (5, 17)
    for text in ("", "5;17", "1.5", "five", "5,"):
        with pytest.raises(LuckyError, match="such as 5,17"):
            parse_numbers(text)
