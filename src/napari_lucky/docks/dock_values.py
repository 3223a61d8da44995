"""The values of a dock's boxes: remembered between sessions, marked where they are no defaults."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from magicgui.widgets import Container, Label, LineEdit, PushButton, Widget
from psygnal import Signal
from qtpy.QtCore import QSettings

from napari_lucky.docks.choices import LayerCombo
from napari_lucky.docks.form import NARROW, StepForm
from napari_lucky.steps.declaration import short


class DockValues:
    """What is in the boxes of a dock.

    Parameters
    ----------
    dock : str
        Under whose name they are remembered.
    parameters : sequence of Widget or StepForm
        The dock's.
    of_run : collection of str
        Names of parameters that are not remembered: they are of one run alone.
    """

    changed = Signal(list)
    """Emitted with the names and values that are not the defaults."""

    def __init__(
        self, dock: str, parameters: Sequence[Widget | StepForm], of_run: Collection[str]
    ) -> None:
        self._dock, self._settings = dock, QSettings("napari-lucky", "docks")
        forms = [one for one in parameters if isinstance(one, StepForm)]
        of_form = {one: form for form in forms for one in form.editors}
        boxes = list(of_form)
        plain = [one for one in flat(parameters) if _is_plain(one) and one.name not in of_run]
        self.remembered: list[Any] = [*plain, *(one for one in boxes if one.name not in of_run)]
        """The boxes whose values are kept for another session."""
        self._usual = [(one, one.value) for one in (*boxes, *plain)]
        self._labels = {one: form.label_of(one) for one, form in of_form.items()}
        self._recall()
        for widget in self.remembered:
            widget.changed.connect(self._remember)
        for widget, _ in self._usual:
            widget.changed.connect(self.mark)

    @property
    def differ(self) -> list[str]:
        """Names and values that are not the defaults."""
        labels = self._labels
        return [f"{labels.get(box, box.name)} = {short(box.value)}" for box, _ in self._changed]

    @property
    def _changed(self) -> list[tuple[Any, Any]]:
        return [(box, usual) for box, usual in self._usual if box.value != usual]

    def mark(self, *_: Any) -> None:
        """Show in bold what is not the default."""
        for box, usual in self._usual:
            if (native := getattr(box, "native", None)) is not None:
                weight = "bold" if box.value != usual else "normal"
                native.setStyleSheet(f"{NARROW}; font-weight: {weight}")
        self.changed.emit(self.differ)

    def reset(self, *_: Any) -> None:
        """Give all parameters their default values."""
        for box, usual in self._usual:
            box.value = usual

    def _key(self, widget: Any) -> str:
        return f"{self._dock}/{widget.name}"

    def _remember(self, *_: Any) -> None:
        for widget in self.remembered:
            self._settings.setValue(self._key(widget), json.dumps(widget.value))

    def _recall(self) -> None:
        for widget in self.remembered:
            text = self._settings.value(self._key(widget))
            try:
                if text is not None:
                    widget.value = json.loads(text)
            except (ValueError, TypeError):
                continue  # of an older version, or edited: the default holds


def flat(parameters: Iterable[Widget | StepForm]) -> list[Widget]:
    """Return the hand-made widgets, those of a row of several and those in forms as well."""
    widgets: list[Widget] = []
    for one in parameters:
        if isinstance(one, StepForm):
            widgets += flat(one.own)
        else:
            widgets += flat(one) if isinstance(one, Container) else [one]
    return widgets


def _is_plain(widget: Widget) -> bool:
    """Return whether a parameter is remembered; what is of one run alone is not."""
    value = getattr(widget, "value", None)
    of_run = isinstance(widget, (LayerCombo, LineEdit, PushButton, Label))
    return not of_run and isinstance(value, (bool, int, float, str))
