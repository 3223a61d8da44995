"""Choices of long names: elided in the box, whole in the tooltip and in the list."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter, QToolTip

from napari_lucky.text import without_tags

OPENS = (QEvent.Type.MouseButtonPress, QEvent.Type.KeyPress)
AROUND = 24
"""Pixels that a list needs beside its texts."""


class _Elided(QObject):
    def __init__(self, combo: QComboBox) -> None:
        super().__init__(combo)
        self._combo = combo
        combo.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: Any) -> bool:
        kind = event.type()
        if kind == QEvent.Type.Paint:
            self._paint()
            return True
        if kind == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), tooltip_of_choice(self._combo), self._combo)
            return True
        if kind in OPENS:
            self._widen_list()
        return False

    def _paint(self) -> None:
        option, text = _shown(self._combo)
        option.currentText = text
        painter = QStylePainter(self._combo)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def _widen_list(self) -> None:
        view = self._combo.view()
        view.setMinimumWidth(max(self._combo.width(), view.sizeHintForColumn(0) + AROUND))


def elide(combo: QComboBox) -> None:
    """Let a combo box be narrower than its choices; it shows the ends of their names."""
    policies = QComboBox.SizeAdjustPolicy
    combo.setSizeAdjustPolicy(policies.AdjustToMinimumContentsLengthWithIcon)
    if combo.findChild(_Elided) is None:
        _Elided(combo)


def shown_text(combo: QComboBox) -> str:
    """Return what is seen of the choice: both ends of a name that has no room."""
    return _shown(combo)[1]


def tooltip_of_choice(combo: QComboBox) -> str:
    """Return a combo box's tooltip, under the whole name of its choice if that has no room."""
    whole = str(combo.currentText())
    lines = [without_tags(whole)] if shown_text(combo) != whole else []
    return "\n".join([*lines, combo.toolTip()])


def _shown(combo: QComboBox) -> tuple[QStyleOptionComboBox, str]:
    option: Any = QStyleOptionComboBox()
    combo.initStyleOption(option)
    field = QStyle.SubControl.SC_ComboBoxEditField
    room = combo.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, field, combo)
    middle = Qt.TextElideMode.ElideMiddle
    text = combo.fontMetrics().elidedText(option.currentText, middle, room.width() - 4)
    return option, text
