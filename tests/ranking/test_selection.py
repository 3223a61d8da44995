"""Frames kept or dropped by hand, numbered as in the run."""

import numpy as np
import pytest

from napari_lucky import LuckyError, select
from napari_lucky.fits.frame_table import FrameTable
from napari_lucky.frames.kept_count import describe_count
from napari_lucky.ranking import ManualSelection, apply_selection
from napari_lucky.ranking.selection import (
    few_frames_notes,
    select_record,
    select_record_now,
    selection_summary,
)
from napari_lucky.ranking.step import Select

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
    assert apply_selection(QUALITY, CUT, ManualSelection(add, drop), FRAME).tolist() == kept


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
def test_frames_that_cannot_be_changed_are_reported(add, drop, told):
    with pytest.raises(LuckyError, match=told):
        apply_selection(QUALITY, CUT, ManualSelection(add, drop), FRAME)


def test_a_frame_is_not_added_and_dropped_at_once():
    with pytest.raises(LuckyError, match="Frame 5 is both"):
        ManualSelection((3, 5), (5,))
    with pytest.raises(LuckyError, match="no frame -1"):
        ManualSelection(drop=(-1,))
    assert ManualSelection((0,)).add == (0,)  # the first frame has a number too


def test_toggling_twice_leaves_nothing():
    once = ManualSelection().toggled([12, 16], KEPT, FRAME)
    assert once == ManualSelection((16,), (12,))
    assert once
    assert not once.toggled([12, 16], KEPT, FRAME)
    many = ManualSelection().toggled([8, 1], np.ones(9, bool), np.arange(9))
    assert many == ManualSelection(drop=(1, 8))  # in order, as a recipe has them


def test_toggling_follows_what_is_kept_when_the_cut_has_moved():
    by_hand = ManualSelection().toggled([16], KEPT, FRAME)
    everything = np.ones(5, bool)
    assert by_hand.toggled([16], everything, FRAME) == ManualSelection(drop=(16,))
    nothing = np.zeros(5, bool)
    assert by_hand.toggled([16], nothing, FRAME) == ManualSelection()


def test_changes_between_a_cut_and_a_choice():
    kept = np.array([True, False, False, False, True])
    by_hand = ManualSelection.between(KEPT, kept, FRAME)
    assert by_hand == ManualSelection((10,), (12,))
    np.testing.assert_array_equal(by_hand.apply(KEPT, FRAME), kept)


def test_the_count_is_reported():
    cut = np.arange(40) < 24
    kept = cut.copy()
    kept[[30, 31, 0]] = True, True, False
    assert selection_summary(cut, kept) == (
        "25 of 40 frames (62.5 %) kept: 24 by the cut, 2 added, 1 dropped"
    )
    assert selection_summary(cut, cut) == "24 of 40 frames (60 %) kept"
    assert selection_summary(cut[15:], cut[15:]) == "9 of 25 frames (36 %) kept; few for a stack"


@pytest.mark.parametrize(
    ("kept", "frames", "keep", "above", "said"),
    [
        (10, 200, 0.1, None, []),  # the cut was moved since
        (10, 40, 0.1, None, ["10 % of 40 frames is fewer than 10, so the best 10 are kept"]),
        (10, 40, 10, None, []),
        (10, 40, 0.1, 3.0, []),
        (10, 95, 0.1, None, []),  # 9.5 is rounded to 10
        (10, 94, 0.1, None, ["10 % of 94 frames"]),
        (1, 40, 1, None, ["Only 1 of 40 frames (2.5 %) is kept"]),
        (9, 40, 9, None, ["Only 9 of 40 frames (22.5 %) are kept"]),
        (4, 4, 0.1, None, ["There are only 4 frames:", "so all with a star are kept"]),
        (1, 1, 1.0, None, ["There is only 1 frame:"]),
        (4, 30, 0.1, None, ["Only 4 of 30", "so all with a star are kept"]),
    ],
)
def test_a_choice_of_few_frames_is_said(kept, frames, keep, above, said):
    notes = few_frames_notes(kept, frames, keep, above)
    assert len(notes) == len(said)
    assert all(part in note for part, note in zip(said, notes, strict=True))


def test_the_summary_counts_each_way():
    cut = np.arange(20) < 10
    assert selection_summary(cut, cut) == "10 of 20 frames (50 %) kept"
    more = cut | (np.arange(20) == 15)
    assert selection_summary(cut, more) == "11 of 20 frames (55 %) kept: 10 by the cut, 1 added"
    assert describe_count(1, 1) == "1 of 1 frame (100 %)"


def test_the_record_follows_what_was_changed_by_hand():
    numbers = np.arange(20, 50)
    quality = np.arange(30.0)
    quality[3] = np.nan
    step = Select(keep=12)
    record = select_record(step, 12, 30)
    assert record.facts == {"kept": 12, "of": 30}
    selected = np.arange(30) >= 18

    def now(selected, quality=quality):
        return FrameTable(numbers, [""] * 30, np.zeros((30, 2)), quality, selected)

    assert select_record_now(record, now(selected), numbers) is record
    assert select_record_now(record, now(selected, quality * np.nan), numbers) is record
    by_hand = selected.copy()
    by_hand[[5, 7, 25]] = True, True, False
    made = select_record_now(record, now(by_hand), numbers)
    assert made.facts == {"kept": 13, "of": 30}
    changed = Select(**made.parameters)
    assert (changed.keep, changed.add, changed.drop) == (12, (25, 27), (45,))
    assert select_record_now(made, now(by_hand), numbers) is made


def test_one_frame_with_a_quality_can_be_kept():
    assert select(np.array([np.nan, 5.0]), 1).tolist() == [1]
    assert select(np.array([np.nan, 5.0]), 0.1).tolist() == [1]
