"""How the cut is given in the ranking dock: a fraction, a count, or a quality."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.docks.form import StepForm
from napari_lucky.frames.kept_count import LEAST_KEPT
from napari_lucky.ranking.selection import select, threshold


class CutChoice:
    """The form that says where the cut is."""

    def __init__(self) -> None:
        self.form = StepForm("select")
        self.keep_box, self.above_box = self.form["keep"], self.form["above"]

    def step(self, quality: NDArray[np.float64] | None = None, **by_hand: Any) -> Any:
        """Return the step dialled in; of these qualities, a count is all where it is more.

        Raises
        ------
        LuckyError
            If it makes no sense.
        """
        step: Any = self.form.step(**by_hand)
        if quality is not None and isinstance(step.keep, int):
            usable = int(np.isfinite(quality).sum())
            return step.changed(keep=min(step.keep, max(usable, 1)), above=step.above)
        return step

    def select(self, quality: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the frames that the cut keeps, best first."""
        step = self.step(quality)
        return select(quality, step.keep, above=step.above)

    def move_to(self, quality: NDArray[np.float64], count: int) -> None:
        """Put the cut after the best `count` frames, in the way it is given."""
        fraction, number = self._ways(quality, count)
        if self.above_box.value is not None:
            self.above_box.value = threshold(quality, count)
        elif isinstance(self.keep_box.value, int) or fraction is None:
            self.keep_box.value = number
        else:
            self.keep_box.value = fraction

    def offer(self, quality: NDArray[np.float64], count: int) -> None:
        """Let the ways in which the cut is not given say the same, for when they are chosen."""
        fraction, number = self._ways(quality, count)
        as_fraction, as_count = self.keep_box.boxes
        if isinstance(self.keep_box.value, int):
            as_fraction.value = fraction or as_fraction.value
        else:
            as_count.value = number
        if count:
            self.above_box.native.start = threshold(quality, count)

    def _ways(self, quality: NDArray[np.float64], count: int) -> tuple[float | None, int]:
        """Return the fraction, None if none gives it, and the count."""
        usable = int(np.isfinite(quality).sum())
        small = count < min(LEAST_KEPT, usable)
        return None if small else round(count / usable, 6), max(count, 1)
