"""Which frames Fourier-lucky takes at each spatial frequency, and their sums.

What the constants do is measured by ``benchmarks/stacking.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import map_blocks
from napari_lucky.frames.kept_count import kept_of
from napari_lucky.pieces import pieces

HELD = 1 << 24
"""Amplitudes held at a time, 64 MB: of more, the least are dropped on the way."""
ABOUT = 256
"""Frames either side of the bound of the choice whose mean counts as the value there, at most."""
GROUPS = 15
"""Parts of the run whose scatter gives the variance."""


@dataclass(frozen=True, eq=False)
class Choice:
    """How many of n frames are averaged at a frequency, and in which groups all are."""

    kept: int
    about: int  # either side of the bound
    group: NDArray[np.intp]

    @classmethod
    def of(cls, n: int, fraction: float) -> Choice:
        """Choose a fraction of n frames at each frequency, 10 at least."""
        kept = kept_of(fraction, n)
        return cls(kept, max(1, min(kept // 2, ABOUT)), np.arange(n) % min(GROUPS, n))

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max()) + 1

    @property
    def most(self) -> int:
        """How many of the greatest amplitudes decide."""
        return min(len(self.group), self.kept + self.about)

    @property
    def at_once(self) -> int:
        """How many frequencies are ranked at a time."""
        return max(1, HELD // min(len(self.group), self.most + self.most // 4 + 1))

    @property
    def ranks(self) -> tuple[int, int, int]:
        """The first amplitude about the bound, the last that is chosen, the last about the bound.

        Counted from the greatest, which is 0.
        """
        return self.kept - self.about, self.kept - 1, self.most - 1


class Greatest:
    """The greatest amplitudes at some frequencies, of frames that come one after the other."""

    def __init__(self, frequencies: int, n: int, choice: Choice) -> None:
        self.choice = choice
        room = min(n, max(choice.most + 1, HELD // frequencies))
        self.below = np.empty((frequencies, room), np.float32)  # minus the amplitudes
        self.filled = 0

    def add(self, amplitudes: NDArray[np.float32]) -> None:
        """Add those of some frames, (k, frequency)."""
        at, k = 0, len(amplitudes)
        while at < k:
            if self.filled == self.below.shape[1]:
                self._order([self.choice.most - 1])
                self.filled = self.choice.most
            some = min(k - at, self.below.shape[1] - self.filled)
            np.negative(
                amplitudes[at : at + some].T, out=self.below[:, self.filled : self.filled + some]
            )
            at, self.filled = at + some, self.filled + some

    def _order(self, ranks: list[int]) -> None:
        filled = self.below[:, : self.filled]
        step = max(1, (1 << 20) // self.filled)
        parts = pieces(len(filled), step)

        def order(part: slice) -> None:
            values = filled[part]
            for rank in sorted(set(ranks), reverse=True):  # numpy has vector code for one alone
                values.partition(rank, axis=1)
                values = values[:, :rank]

        for _ in map_blocks(order, parts):
            pass

    def bounds(self) -> NDArray[np.float32]:
        """Return the amplitudes of the choice's ranks, (3, frequency)."""
        ranks = list(self.choice.ranks)
        self._order(ranks)
        return -self.below[:, ranks].T


@dataclass(eq=False)
class ChosenSums:
    """Sums over the frames that are chosen, by group, and over those about the bound."""

    light: NDArray[np.complex128]  # (group, frequency)
    count: NDArray[np.int32]
    at_bound: NDArray[np.complex128]  # (frequency,)
    beside: NDArray[np.int32]

    @classmethod
    def none(cls, choice: Choice, size: int) -> ChosenSums:
        """Return sums over no frame, at so many frequencies."""
        shape = choice.groups, size
        return cls(
            np.zeros(shape, complex),
            np.zeros(shape, np.int32),
            np.zeros(size, complex),
            np.zeros(size, np.int32),
        )

    def add(
        self,
        spectra: NDArray[np.complex64],
        amplitudes: NDArray[np.float32],
        bounds: NDArray[np.float32],
        groups: NDArray[np.intp],
    ) -> None:
        """Add frames, (k, frequency), which are in these groups."""
        first, last, end = bounds
        for spectrum, amplitude, group in zip(spectra, amplitudes, groups, strict=True):
            chosen = amplitude >= last
            self.light[group] += spectrum * chosen
            self.count[group] += chosen
            near = np.flatnonzero((amplitude >= end) & (amplitude <= first))
            self.at_bound[near] += spectrum[near]
            self.beside[near] += 1

    def merge(self, other: ChosenSums) -> None:
        """Add the sums over other frames."""
        for name, total in vars(other).items():
            vars(self)[name] += total

    def means(self, choice: Choice) -> NDArray[np.complex128]:
        """Return the mean of those chosen, and what each group makes of it, (1 + groups, size).

        A group changes the mean by its own chosen values, and by moving the bound of the choice:
        it is the sum of its frames' influence functions,

            (c − b) / kept if it is chosen, else 0;  plus (b − mean) / n

        where b is the mean of the values about the bound, half as many as are kept either side,
        and 256 at most.
        """
        kept = self.count.sum(axis=0)
        mean = self.light.sum(axis=0) / kept
        bound = self.at_bound / np.maximum(self.beside, 1)
        made = [mean]
        if choice.groups > 1:
            shares = np.bincount(choice.group)[:, np.newaxis] / len(choice.group)
            made.extend((self.light - self.count * bound) / kept + shares * (bound - mean))
        return np.stack(made)
