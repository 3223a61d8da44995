"""Frames kept or left out by hand, whatever the cut says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import LuckyError
from .ranking import LEAST_KEPT, best_first, tell_count

Numbers = tuple[int, ...]


@dataclass(frozen=True)
class ByHand:
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
                raise LuckyError(f"There is no frame {number}; frames are numbered from 0.")
        if both := sorted(set(self.add) & set(self.drop)):
            raise LuckyError(f"Frame {both[0]} is both added and dropped by hand; choose one.")

    @classmethod
    def between(
        cls, cut: NDArray[np.bool_], kept: NDArray[np.bool_], frame: NDArray[np.intp]
    ) -> ByHand:
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
    ) -> ByHand:
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
        return ByHand(tuple(sorted(add)), tuple(sorted(drop)))


def kept_frames(
    quality: NDArray[np.float64],
    cut: NDArray[np.intp],
    by_hand: ByHand,
    frame: NDArray[np.intp],
) -> NDArray[np.intp]:
    """Return the places (0 to n - 1) of the frames to keep, best first.

    Parameters
    ----------
    quality : ndarray, (n,)
        Higher is better; NaN for frames without a star.
    cut : ndarray of int
        Places that the cut keeps, from `napari_lucky.select`.
    by_hand : ByHand
        The changes to that, with numbers of the run.
    frame : ndarray of int, (n,)
        Number of each frame in the run.

    Raises
    ------
    LuckyError
        If a frame changed by hand is not among these, or has no star, or if none is left.
    """
    of_run, with_star = set(frame.tolist()), set(frame[np.isfinite(quality)].tolist())
    for number in (*by_hand.add, *by_hand.drop):
        if number not in of_run:
            raise LuckyError(
                f"Frame {number} is changed by hand, but is not among the {len(frame)} frames "
                f"used ({frame[0]} to {frame[-1]})."
            )
        if number not in with_star:
            raise LuckyError(f"Frame {number} is changed by hand, but has no star.")
    kept = by_hand.apply(np.isin(np.arange(len(quality)), cut), frame)
    if not kept.any():
        raise LuckyError("All kept frames were dropped by hand; keep one at least.")
    order = best_first(quality)
    return order[kept[order]]


def tell_kept(cut: NDArray[np.bool_], kept: NDArray[np.bool_]) -> str:
    """Return a line that counts the frames kept, and those kept or left out by hand."""
    by_cut, added, dropped = (int(some.sum()) for some in (cut, kept & ~cut, cut & ~kept))
    changes = [f"{n} {what}" for n, what in ((added, "added"), (dropped, "dropped")) if n]
    told = f"{tell_count(int(kept.sum()), len(kept))} kept"
    told = f"{told}: {by_cut} by the cut, {', '.join(changes)}" if changes else told
    return f"{told}; few for a stack" if kept.sum() < LEAST_KEPT else told


def parse_numbers(text: str) -> Numbers:
    """Return the frame numbers of a text such as 5,17.

    Raises
    ------
    LuckyError
        If it holds something else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise LuckyError(
            f"{text!r} are not frame numbers: whole numbers with commas, such as 5,17."
        ) from None
