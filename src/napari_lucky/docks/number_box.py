"""Boxes for numbers: one that is declared, with its limits, and one that may be left empty."""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from typing import Any

from magicgui.widgets import LineEdit
from psygnal import Signal
from qtpy.QtCore import QTimer
from qtpy.QtCore import Signal as QtSignal
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox, QWidget

from napari_lucky.errors import LuckyError
from napari_lucky.steps.declaration import Param

MOST = sys.float_info.max
OPEN = -MOST
"""What Qt's box holds where the number is left open: it shows a word there."""
DECIMALS = 323
"""All that a number can have: Qt rounds to them."""


class NumberBox(LineEdit):
    """A line for a number; empty is not given."""

    def __init__(self, name: str, label: str = "", tooltip: str = "", **options: Any) -> None:
        super().__init__(name=name, label=label or name, tooltip=tooltip, **options)

    @property
    def number(self) -> float | None:
        """What is typed; None where nothing is.

        Raises
        ------
        LuckyError
            If it is no number.
        """
        text = str(self.value).strip()
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise LuckyError(f"{self.label}: {text!r} is not a number; write it as 58.6, or 5e-3.")
        return number


class Editor:
    """What shows a parameter in a form, with the properties that magicgui's widgets have.

    Parameters
    ----------
    name : str
        Under which its value is remembered.
    native : QWidget
        What is shown.
    """

    changed = Signal(object)
    refused = Signal(str)
    """A sentence on what was typed and cannot be used."""

    def __init__(self, name: str, native: QWidget) -> None:
        self.name, self.native = name, native

    @property
    def tooltip(self) -> str:
        """What is shown under the mouse."""
        return str(self.native.toolTip())

    @tooltip.setter
    def tooltip(self, text: str) -> None:
        self.native.setToolTip(text)


class DeclaredNumber(Editor):
    """A box for a parameter that is a number: its unit, its limits, and no digit lost.

    Where the number may be left open, an empty box means that; it shows a word, and its value
    is None. What is typed and not allowed gives way to the number before, and `refused` says so.
    """

    native: _Box

    def __init__(self, param: Param, name: str) -> None:
        super().__init__(name, _Box(param, param.empty if param.nullable else ""))
        self._param = param
        self.native.valueChanged.connect(lambda _: self.changed.emit(self.value))
        self.native.refused.connect(self._refuse)

    def _refuse(self, typed: str) -> None:
        one, what = self._param, repr(typed) if typed else "an empty box"
        self.refused.emit(
            f"{one.label}: {what} is not {one.allowed}. It stays {self.native.before}."
        )

    @property
    def value(self) -> float | int | None:
        """The number; None if it is left open."""
        self.native.interpretText()  # what is being typed counts
        shown = self.native.value()
        return None if shown == OPEN else self._param.type(shown)

    @value.setter
    def value(self, value: float | None) -> None:
        if not self.native.accepts(value):
            raise ValueError(f"{value!r} is out of range")
        self.native.setValue(OPEN if value is None else value)

    @property
    def word(self) -> str:
        """What is shown while the number is left open."""
        return str(self.native.specialValueText())

    @word.setter
    def word(self, word: str) -> None:
        self.native.setSpecialValueText(word)

    def show_found(self, number: float | None, remark: str = "") -> None:
        """Show the number that a run gave where it is left open; None: it is not known yet."""
        one = self._param
        unit = f" {one.unit}" if one.unit else ""
        self.word = one.empty if number is None else f"{one.empty}: {number:g}{unit}{remark}"


class _Box(QDoubleSpinBox):
    """A spin box that reads and writes numbers as Python does."""

    refused = QtSignal(str)
    """What was typed and gave way to the number before."""

    def __init__(self, param: Param, word: str) -> None:
        super().__init__()
        limits, whole = param.limits, param.type is int
        self._whole, self._limits = whole, limits
        hair = 1 if whole else param.step / 100  # off a limit that is not allowed itself
        self._least = limits.get("ge", limits.get("gt", -MOST) + hair)
        self._most = limits.get("le", limits.get("lt", MOST) - hair)
        self.start = self._least if "ge" in limits else max(self._least, param.step)
        """From where the arrow goes up while the number is left open."""
        self.setKeyboardTracking(False)  # "10" is no number on the way to "100"
        self.setDecimals(DECIMALS)
        self.setRange(OPEN, MOST)
        self.setSingleStep(param.step)
        self.setSuffix(f" {param.unit}" if param.unit else "")
        self.setSpecialValueText(word)
        self.setValue(OPEN if word else self.start)

    def accepts(self, value: Any) -> bool:
        """Return whether a number is allowed; None stands for one left open."""
        if value is None:
            return bool(self.specialValueText())
        limits = self._limits
        return (
            OPEN < value <= MOST
            and (not self._whole or value == int(value))
            and limits.get("ge", OPEN) <= value <= limits.get("le", MOST)
            and limits.get("gt", OPEN) < value
            and not value >= limits.get("lt", math.inf)
        )

    def textFromValue(self, value: float) -> str:
        """Return the shortest text that gives the number back."""
        return repr(int(value) if self._whole else value).removesuffix(".0")

    def valueFromText(self, text: str | None) -> float:
        """Return the number that is typed; empty is left open."""
        number = self._typed(text or "")
        return OPEN if number is None else number

    def validate(self, text: str | None, at: int) -> tuple[QValidator.State, str, int]:
        """Let anything be typed; what is not allowed gives way to the number before."""
        try:
            fine = self.accepts(self._typed(text or ""))
        except ValueError:
            fine = False
        state = QValidator.State.Acceptable if fine else QValidator.State.Intermediate
        return state, text or "", at

    def _typed(self, text: str) -> float | None:
        word, number = self.specialValueText(), text.removesuffix(self.suffix()).strip()
        return None if number in ("", word) or text.strip() == word else float(number)

    def fixup(self, text: str | None) -> str:
        """Leave what cannot be used as it is; Qt puts the number before in its place."""
        self.refused.emit((text or "").removesuffix(self.suffix()).strip())
        return text or ""

    @property
    def before(self) -> str:
        """The number that holds while another is typed, as it is shown."""
        now = self.value()
        return self.specialValueText() if now == OPEN else self.textFromValue(now) + self.suffix()

    def stepBy(self, steps: int) -> None:
        """Go up or down, to the limits at most; down from the least, it is left open."""
        now = self.value()
        if now == OPEN:
            self.setValue(self.start if steps > 0 else OPEN)
            return
        exact = Decimal(repr(now)) + steps * Decimal(repr(self.singleStep()))
        there = min(max(float(exact), self._least), self._most)
        if now <= self._least and steps < 0:
            there = OPEN if self.specialValueText() else now
        self.setValue(there)

    def focusInEvent(self, event: Any) -> None:
        """Select the word, so that a number typed takes its place."""
        super().focusInEvent(event)
        if self.value() == OPEN:
            QTimer.singleShot(0, self.selectAll)
