"""How many frames are kept: a percentage and a number, of which the last one typed counts."""

from __future__ import annotations

from magicgui.widgets import Container, FloatSpinBox, Label, SpinBox
from qtpy.QtWidgets import QAbstractSpinBox

from napari_lucky.docks.form import NARROW, TIGHT, narrow
from napari_lucky.frames.kept_count import kept_of
from napari_lucky.ranking.step import Select
from napari_lucky.steps.declaration import params


class KeepBox(Container):
    """Two boxes that say the same: per cent and number of frames."""

    def __init__(self) -> None:
        text = params(Select)["keep"].text
        self.percent = FloatSpinBox(
            name="percent", min=0.1, max=100.0, step=1.0, value=10.0, tooltip=text
        )
        self.percent.native.setSuffix(" %")
        self.percent.native.setDecimals(1)
        self.number = SpinBox(name="number", min=1, max=10**9, value=10, tooltip=text)
        for box in (self.percent, self.number):
            box.native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
            narrow(box.native)  # the number beside them has room
            box.native.setStyleSheet(NARROW + TIGHT)
        self._of = Label(name="of", value="")
        super().__init__(
            name="keep",
            label="keep",
            tooltip=text,
            widgets=[self.percent, self.number, self._of],
            layout="horizontal",
            labels=False,
        )
        self.margins = (0, 0, 0, 0)
        self._frames, self._showing = 0, False
        self._keep: float | int = 0.1
        self.percent.changed.connect(self._percent_typed)
        self.number.changed.connect(self._number_typed)

    @property
    def keep(self) -> float | int:
        """What a recipe keeps: a fraction or a count."""
        return self._keep

    @keep.setter
    def keep(self, keep: float | int) -> None:
        self._keep = keep
        self._show()

    def show_frames(self, n: int) -> None:
        """Say of how many frames the number is; 0 if that is not known."""
        self._frames = n
        self._of.value = f"of {n}" if n else ""
        self._show()

    def _percent_typed(self, percent: float) -> None:
        if not self._showing:
            self.keep = round(percent / 100, 6)

    def _number_typed(self, number: int) -> None:
        if not self._showing:
            self.keep = number

    def _show(self) -> None:
        self._showing = True
        if isinstance(self._keep, int):
            self.number.value = self._keep
            if self._frames:
                self.percent.value = min(100.0, 100 * self._keep / self._frames)
        else:
            self.percent.value = 100 * self._keep
            if self._frames:  # of which at least a few are kept
                self.number.value = kept_of(self._keep, self._frames)
                if self.number.value > self._keep * self._frames + 0.5:
                    self.percent.value = 100 * self.number.value / self._frames
        self._showing = False
