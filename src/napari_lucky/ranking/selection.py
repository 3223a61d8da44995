"""Which frames are kept: a fraction, a count or a threshold, and changes by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.fits.arrays import as_numbers
from napari_lucky.fits.frame_table import FrameTable
from napari_lucky.frames.history import Record
from napari_lucky.frames.kept_count import LEAST_KEPT, TOO_FEW, describe_count, kept_of
from napari_lucky.notices import info
from napari_lucky.ranking.step import Select
from napari_lucky.text import counted, percent


def select(
    quality: NDArray[np.float64], keep: float | int = 0.1, *, above: float | None = None
) -> NDArray[np.intp]:
    """Return the numbers of the frames to keep, best first.

    Parameters
    ----------
    quality : ndarray, (n,)
        Higher is better; frames with NaN are never kept.
    keep : float or int
        A float is a fraction of the frames that have a quality (0 < keep <= 1), but at least
        10 frames are kept, or all if there are fewer. An int is a count.
    above : float, optional
        Keep all frames of this quality or better; `keep` is then ignored.

    Returns
    -------
    ndarray of int
        Frame numbers from 0, best first.

    Raises
    ------
    LuckyError
        If `keep` or `above` is out of range, more frames are asked for than there are, or none
        is as good as `above`.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_lucky as lucky
    >>> quality = np.array([3.0, 9.0, np.nan, 7.0])
    >>> lucky.select(quality, 2)
    array([1, 3])
    >>> lucky.select(quality, above=3.0)
    array([1, 3, 0])
    """
    Select(keep=keep, above=above)  # raises if they make no sense
    quality = as_numbers(quality, "quality")
    usable = int(np.isfinite(quality).sum())
    if usable == 0:
        raise LuckyError("No frame has a quality; there is nothing to keep.")
    if above is not None:
        count = _count_above(quality, above)
    elif isinstance(keep, int):
        if keep > usable:
            raise UsageError(f"{keep} frames cannot be kept: only {usable} have a star to rank.")
        count = keep
    else:
        count = kept_of(keep, usable)
    return best_first(quality)[:count]


def _count_above(quality: NDArray[np.float64], above: float) -> int:
    count = int((quality >= above).sum())
    if count == 0:
        raise UsageError(
            f"No frame has a quality of {above:g} or more; the best has {np.nanmax(quality):g}."
        )
    return count


def few_frames_notes(kept: int, frames: int, keep: float | int, above: float | None) -> list[str]:
    """Return sentences on a choice of few frames: one that was made larger, or is under 10."""
    notes: list[str] = []
    if kept < LEAST_KEPT:
        verb = "is" if kept == 1 else "are"
        only = f"Only {describe_count(kept, frames)} {verb} kept"
        if kept == frames:
            only = f"There {verb} only {counted(frames, 'frame')}"
        notes.append(f"{only}: {TOO_FEW}.")
    if above is None and isinstance(keep, float) and keep * frames + 0.5 < kept <= LEAST_KEPT:
        all_of_them = kept < LEAST_KEPT or kept == frames
        which = "all with a star" if all_of_them else f"the best {kept}"
        notes.append(
            info(
                f"{percent(keep)} of {counted(frames, 'frame')} is fewer than {LEAST_KEPT}, so "
                f"{which} are kept. Give a count to keep fewer."
            )
        )
    return notes


def best_first(quality: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return all frames' numbers by falling quality, those without one last."""
    return np.argsort(-np.where(np.isfinite(quality), quality, -np.inf), kind="stable")


def threshold(quality: NDArray[np.float64], count: int) -> float:
    """Return a quality, of few digits, that the `count` best frames reach and the next does not.

    Frames of equal quality go together; then more are kept.
    """
    ranked = quality[best_first(quality)][: int(np.isfinite(quality).sum())]
    last = float(ranked[count - 1])
    following = float(ranked[count]) if count < len(ranked) else last - abs(last)
    for digits in range(3, 17):
        value = float(f"{(last + following) / 2:.{digits}g}")
        if following < value <= last:
            return value
    return last


Numbers = tuple[int, ...]


@dataclass(frozen=True)
class ManualSelection:
    """What was changed by hand after the cut.

    Parameters
    ----------
    add : tuple of int
        Numbers of frames that are kept, wherever the cut is.
    drop : tuple of int
        Numbers of frames that are left out.

    Raises
    ------
    LuckyError
        If a number is negative, or in both.
    """

    add: Numbers = ()
    drop: Numbers = ()

    def __post_init__(self) -> None:
        for number in (*self.add, *self.drop):
            if number < 0:
                raise UsageError(f"There is no frame {number}; frames are numbered from 0.")
        if both := sorted(set(self.add) & set(self.drop)):
            raise UsageError(f"Frame {both[0]} is both added and dropped by hand; choose one.")

    @classmethod
    def between(
        cls, cut: NDArray[np.bool_], kept: NDArray[np.bool_], frame: NDArray[np.intp]
    ) -> ManualSelection:
        """Return the changes that lead from what the cut keeps to what is kept."""
        add, drop = (tuple(frame[some].tolist()) for some in (kept & ~cut, cut & ~kept))
        return cls(add, drop)

    def __bool__(self) -> bool:
        return bool(self.add or self.drop)

    def apply(self, cut: NDArray[np.bool_], frame: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return which frames are kept, (n,), of which the cut keeps some.

        Parameters
        ----------
        cut : ndarray of bool, (n,)
            What the cut keeps.
        frame : ndarray of int, (n,)
            Number of each frame in the run.
        """
        return np.asarray((cut | np.isin(frame, self.add)) & ~np.isin(frame, self.drop))

    def toggled(
        self, numbers: Iterable[int], cut: NDArray[np.bool_], frame: NDArray[np.intp]
    ) -> ManualSelection:
        """Return the changes after frames were kept that were not, and the other way round.

        What is then as the cut has it is no change by hand any more.
        """
        by_cut, kept = (set(frame[some].tolist()) for some in (cut, self.apply(cut, frame)))
        add, drop = set(self.add), set(self.drop)
        for number in numbers:
            add.discard(number)
            drop.discard(number)
            if number not in kept and number not in by_cut:
                add.add(number)
            elif number in kept and number in by_cut:
                drop.add(number)
        return ManualSelection(tuple(sorted(add)), tuple(sorted(drop)))


def apply_selection(
    quality: NDArray[np.float64],
    cut: NDArray[np.intp],
    by_hand: ManualSelection,
    frame: NDArray[np.intp],
) -> NDArray[np.intp]:
    """Return the places (0 to n - 1) of the frames to keep, best first.

    Parameters
    ----------
    quality : ndarray, (n,)
        Higher is better; NaN for frames without a star.
    cut : ndarray of int
        Places that the cut keeps, from `napari_lucky.select`.
    by_hand : ManualSelection
        The changes to that, with numbers of the run.
    frame : ndarray of int, (n,)
        Number of each frame in the run.

    Returns
    -------
    ndarray of int
        Places, best first.

    Raises
    ------
    LuckyError
        If a frame changed by hand is not among these, or has no star, or if none is left.
    """
    of_run, with_star = set(frame.tolist()), set(frame[np.isfinite(quality)].tolist())
    for number in (*by_hand.add, *by_hand.drop):
        if number not in of_run:
            raise UsageError(
                f"Frame {number} is changed by hand, but is not among the {len(frame)} frames "
                f"used ({frame[0]} to {frame[-1]})."
            )
        if number not in with_star:
            raise UsageError(f"Frame {number} is changed by hand, but has no star.")
    kept = by_hand.apply(np.isin(np.arange(len(quality)), cut), frame)
    if not kept.any():
        raise UsageError("All kept frames were dropped by hand; keep one at least.")
    order = best_first(quality)
    return order[kept[order]]


def selection_summary(cut: NDArray[np.bool_], kept: NDArray[np.bool_]) -> str:
    """Return a line that counts the frames kept, and those kept or left out by hand."""
    by_cut, added, dropped = (int(some.sum()) for some in (cut, kept & ~cut, cut & ~kept))
    changes = [f"{n} {what}" for n, what in ((added, "added"), (dropped, "dropped")) if n]
    text = f"{describe_count(int(kept.sum()), len(kept))} kept"
    text = f"{text}: {by_cut} by the cut, {', '.join(changes)}" if changes else text
    return f"{text}; few for a stack" if kept.sum() < LEAST_KEPT else text


def select_record(step: Select, kept: int, frames: int) -> Record:
    """Record which frames were kept: the cut, and what was changed by hand after it."""
    return step.record({"kept": kept, "of": frames})


def select_record_now(record: Record, table: FrameTable, numbers: NDArray[np.intp]) -> Record:
    """Return the record of a selection with what was changed by hand since.

    Parameters
    ----------
    record : Record
        What `select_record` gave.
    table : FrameTable
        Quality and choice as they are now.
    numbers : ndarray of int, (n,)
        Number of each frame in the run.
    """
    if not np.isfinite(table.quality).any():
        return record
    step = Select(**record.parameters)
    cut = np.zeros(len(numbers), bool)
    cut[select(table.quality, step.keep, above=step.above)] = True
    if np.array_equal(ManualSelection(step.add, step.drop).apply(cut, numbers), table.selected):
        return record
    by_hand = ManualSelection.between(cut, table.selected, numbers)
    return select_record(
        step.changed(add=by_hand.add, drop=by_hand.drop),
        int(table.selected.sum()),
        len(table.frame),
    )
