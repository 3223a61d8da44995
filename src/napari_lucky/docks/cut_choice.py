"""How the cut is given in the ranking dock: a fraction, a count, or a quality."""

from __future__ import annotations

import numpy as np
from magicgui.widgets import ComboBox, FloatSpinBox, LineEdit, SpinBox, Widget
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.ranking.selection import LEAST_KEPT, check_above, select, threshold

FRACTION, COUNT, ABOVE = "a fraction", "a count", "above a quality"


class CutChoice:
    """The widgets that say where the cut is."""

    def __init__(self) -> None:
        self.keep_as = ComboBox(
            name="keep_as",
            label="keep",
            choices=[FRACTION, COUNT, ABOVE],
            tooltip="How the cut is given",
        )
        self.fraction = FloatSpinBox(
            name="fraction",
            label="fraction (of 1)",
            value=0.1,
            min=0.0001,
            max=1,
            step=0.01,
            tooltip="Fraction of the frames to keep, such as 0.1 for one in ten; "
            f"{LEAST_KEPT} frames at least, or all",
        )
        self.count = SpinBox(
            name="count",
            label="count (frames)",
            value=10,
            min=1,
            max=10_000_000,
            tooltip="Number of frames to keep",
        )
        self.above = LineEdit(
            name="above",
            label="quality",
            tooltip="Frames of this quality and better are kept, however many; peak is in ADU, "
            "the other metrics have no unit",
        )
        self.fraction.native.setDecimals(5)
        self.widgets: list[Widget] = [self.keep_as, self.fraction, self.count, self.above]

    def keep(self, quality: NDArray[np.float64]) -> float | int:
        """Return a fraction, or a count, of all frames where it is more than there are."""
        if self.keep_as.value != COUNT:
            return float(self.fraction.value)
        usable = int(np.isfinite(quality).sum())
        return min(int(self.count.value), max(usable, 1))

    @property
    def threshold(self) -> float | None:
        """The quality from which frames are kept, where it is given that way.

        Raises
        ------
        LuckyError
            If it is no number.
        """
        if self.keep_as.value != ABOVE:
            return None
        try:
            above = float(self.above.value)
        except ValueError:
            raise LuckyError(
                "Give the quality from which frames are kept: a number. To see which there are, "
                "keep a fraction first."
            ) from None
        check_above(above)
        return above

    def select(self, quality: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the frames that the cut keeps, best first."""
        return select(quality, self.keep(quality), self.threshold)

    def move_to(self, quality: NDArray[np.float64], count: int) -> None:
        """Put the cut after the best `count` frames, in the way it is given."""
        if self.keep_as.value == COUNT:
            self.count.value = count
        elif self.keep_as.value == FRACTION:
            usable = int(np.isfinite(quality).sum())
            if count < min(LEAST_KEPT, usable):  # which a fraction does not give
                self.count.value, self.keep_as.value = count, COUNT
            else:
                self.fraction.value = count / usable
        else:
            self.above.value = f"{threshold(quality, count)!r}"

    def show(self) -> None:
        """Show only the number that is asked for."""
        for way, widget in ((FRACTION, self.fraction), (COUNT, self.count), (ABOVE, self.above)):
            widget.visible = self.keep_as.value == way
