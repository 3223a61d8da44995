"""The form of a step, made from its declaration: a group with a row for each parameter."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, get_args

from magicgui.widgets import CheckBox, ComboBox, LineEdit, PushButton, Widget
from psygnal import Signal
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_lucky.docks.elided_combo import elide
from napari_lucky.docks.number_box import DeclaredNumber, Editor
from napari_lucky.steps.declaration import Param, Step, params
from napari_lucky.steps.registry import (
    family_of,
    first_of,
    load_steps,
    make_step,
    shared_names,
    title_of_step,
)
from napari_lucky.steps.sentences import prose

LABELS = 92
"""Pixels that labels are wide, so that fields stand in one column; longer ones are elided."""
NARROW, TIGHT = "min-width: 40px", "; padding-left: 0px; padding-right: 0px"
"""Of fields, and of buttons too: the theme asks for more, which a dock of 300 pixels has not."""


class StepForm:
    """The group of a step: its method, and the parameters of the method chosen.

    Parameters
    ----------
    table : str
        Of the step.
    own : sequence of Widget
        Hand-made widgets that belong to the step. One with the name of a parameter stands in its
        place, and is hidden with it; the form does not read it.
    tick : bool
        Whether an optional step has a tick box; without, it is on.
    title : str
        Over the group; the step's name if empty.
    """

    def __init__(
        self, table: str, own: Sequence[Widget] = (), *, tick: bool = True, title: str = ""
    ) -> None:
        self.table, self.kinds, self.own = table, load_steps()[table], tuple(own)
        self.native = QGroupBox(title or title_of_step(table))
        self.tooltip = prose(family_of(table))
        self.native.setToolTip(self.tooltip)
        self._rows: list[tuple[set[str], QWidget]] = []  # of which kinds
        self._hidden: set[QWidget | None] = set()
        self._layout = QFormLayout(self.native)
        self._layout.setContentsMargins(6, 6, 6, 6)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.on = Tick(self.native, table) if tick and first_of(table).optional else None
        self.method: Any = None
        if "" not in self.kinds:
            docs = [f"{kind}: {prose(m)}" for kind, m in self.kinds.items()]
            self.method = ComboBox(
                name=f"{table}/method",
                choices=list(self.kinds),
                value=first_of(table).kind,
                tooltip="\n".join(docs),
            )
            self._add_row(set(self.kinds), "method", self.method)
            self.method.changed.connect(self._show_kind)
        self._editors: dict[tuple[str, str], Any] = {}
        shared = shared_names(table)
        for kind, model in self.kinds.items():
            for param in params(model).values():
                if param.name not in shared:
                    self._add(kind, {kind}, param)
        for param in params(first_of(table)).values():
            if param.name in shared:
                self._add("", set(self.kinds), param)
        for widget in self.own:
            if all(widget.name not in params(model) for model in self.kinds.values()):
                label = "" if isinstance(widget, PushButton) else widget.label
                self._add_row(set(self.kinds), label, widget)
        self._show_kind()
        pass_wheel_on(self.native)

    def _add(self, kind: str, kinds: set[str], param: Param) -> None:
        for widget in self.own:
            if widget.name == param.name:
                self._add_row(kinds, widget.label, widget)
        if not (param.hand_made or param.path):
            name = "/".join(filter(None, (self.table, kind, param.name)))
            editor = self._editors[kind, param.name] = editor_of(param, name)
            self._add_row(kinds, param.label, editor)
            if not param.required:
                editor.value = param.default

    def _add_row(self, kinds: set[str], text: str, editor: Any) -> None:
        label = QElidingLabel(text)
        label.setFixedWidth(LABELS)
        label.setToolTip(editor.tooltip)
        narrow(editor.native)
        self._layout.addRow(label, editor.native)
        self._rows += [(kinds, label), (kinds, editor.native)]

    def _show_kind(self, *_: Any) -> None:
        for kinds, widget in self._rows:
            widget.setVisible(self.kind in kinds and widget not in self._hidden)

    def show_rows(self, names: Collection[str], shown: bool) -> None:
        """Show or hide rows of parameters, or of hand-made widgets, by their names."""
        some = [editor for (_, name), editor in self._editors.items() if name in names]
        some += [widget for widget in self.own if widget.name in names]
        for editor in some:
            pair = {self._layout.labelForField(editor.native), editor.native}
            self._hidden = self._hidden - pair if shown else self._hidden | pair
        self._show_kind()

    @property
    def kind(self) -> str:
        """The method that is chosen; "" if there is only one way."""
        return str(self.method.value) if self.method is not None else ""

    @property
    def model(self) -> type[Step]:
        """The declaration of the method that is chosen."""
        return self.kinds[self.kind]

    @property
    def editors(self) -> list[Any]:
        """Tick, method and parameters of all methods: each has name, value and changed."""
        return [*filter(None, (self.on, self.method)), *self._editors.values()]

    def __getitem__(self, name: str) -> Any:
        """Return the editor of a parameter of the method chosen."""
        own = self.kind, name
        return self._editors[own if own in self._editors else ("", name)]

    def step(self, **own: Any) -> Step | None:
        """Return the step that is dialled in, or None if it is off.

        Parameters
        ----------
        **own
            Values of parameters that are not in the form.

        Raises
        ------
        LuckyError
            If a value cannot be used.
        """
        if self.on is not None and not self.on.value:
            return None
        values = {"method": self.kind} if self.method is not None else {}
        for (kind, name), editor in self._editors.items():
            if kind in ("", self.kind):
                values[name] = editor.value
        return make_step(self.table, values | own)

    def show(self, step: Step | None) -> None:
        """Show a step; None is one that is off."""
        if self.on is not None:
            self.on.value = step is not None
        if step is None:
            return
        if self.method is not None:
            self.method.value = step.kind
        for (kind, name), editor in self._editors.items():
            if kind in ("", step.kind):
                editor.value = getattr(step, name)

    def show_found(self, step: Step | None) -> None:
        """Show the numbers that a run gave where they are left open; None: not known yet."""
        for (kind, name), editor in self._editors.items():
            if isinstance(editor, DeclaredNumber) and editor.word:
                of_step = step is not None and kind in ("", step.kind)
                editor.show_found(getattr(step, name) if of_step else None)

    def label_of(self, editor: Any) -> str:
        """Return what an editor is called in a sentence: Rank smoothing."""
        title = str(self.native.title())
        label: Any = None if editor is self.on else self._layout.labelForField(editor.native)
        return title if label is None else f"{title} {label.text()}"

    def reset_choices(self) -> None:
        """Take up layers, and choices that a script registered meanwhile."""
        for widget in (*self.own, *self._editors.values()):
            if isinstance(widget, ComboBox):
                widget.reset_choices()


class Tick:
    """The tick box of a group."""

    changed = Signal(bool)

    def __init__(self, group: QGroupBox, name: str) -> None:
        self.name, self._group = name, group
        group.setCheckable(True)
        group.setChecked(False)
        group.toggled.connect(self.changed.emit)

    @property
    def value(self) -> bool:
        """Whether the step is on."""
        return bool(self._group.isChecked())

    @value.setter
    def value(self, on: bool) -> None:
        self._group.setChecked(on)


class Text(LineEdit):
    """A line of text; an empty one is None where it may be left open."""

    def __init__(self, param: Param, name: str) -> None:
        self._none = None if param.nullable else ""
        super().__init__(name=name)

    def get_value(self) -> Any:
        """Return the text."""
        return super().get_value() or self._none

    def set_value(self, value: Any) -> None:
        """Show a text, or none."""
        super().set_value(value or "")


class NumbersInARow(Editor):
    """Boxes side by side for a fixed number of numbers; all of them empty leave it open."""

    def __init__(self, param: Param, name: str) -> None:
        super().__init__(name, QWidget())
        one = replace(param, default=None, type=get_args(param.type)[0])
        self.boxes = [DeclaredNumber(one, f"{name}/{k}") for k in range(len(get_args(param.type)))]
        row = QHBoxLayout(self.native)
        row.setContentsMargins(0, 0, 0, 0)
        for box in self.boxes:
            row.addWidget(box.native)
            narrow(box.native)
            box.native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)  # no room
            box.changed.connect(lambda _: self.changed.emit(self.value))
            box.refused.connect(self.refused.emit)

    @property
    def value(self) -> tuple[Any, ...] | None:
        """The numbers; None if none is given."""
        numbers = tuple(box.value for box in self.boxes)
        return None if all(number is None for number in numbers) else numbers

    @value.setter
    def value(self, value: Sequence[Any] | None) -> None:
        for box, number in zip(self.boxes, value or [None] * len(self.boxes), strict=True):
            box.value = number


class OneOfTwo(Editor):
    """Boxes for a number that may be of two kinds, such as a fraction or a count."""

    def __init__(self, param: Param, name: str) -> None:
        super().__init__(name, QWidget())
        self.types = [one.type for one in param.either]
        self.boxes = [DeclaredNumber(one, one.label) for one in param.either]
        self.pick = ComboBox(choices=[(one.label, k) for k, one in enumerate(param.either)])
        column = QVBoxLayout(self.native)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (*self.boxes, self.pick):
            column.addWidget(part.native)
            narrow(part.native)
        for box in self.boxes:
            box.changed.connect(partial(self._number_changed, box))
            box.refused.connect(self.refused.emit)
        self.pick.changed.connect(self._show_kind)
        self._show_kind()

    def _show_kind(self, *_: Any) -> None:
        for k, box in enumerate(self.boxes):
            box.native.setVisible(k == self.pick.value)
        self.changed.emit(self.value)

    def _number_changed(self, box: DeclaredNumber, value: Any) -> None:
        if box is self.boxes[self.pick.value]:  # not of the one that is hidden
            self.changed.emit(value)

    @property
    def value(self) -> Any:
        """The number, of the kind that is chosen."""
        return self.boxes[self.pick.value].value

    @value.setter
    def value(self, value: Any) -> None:
        kind = self.types.index(type(value))
        self.boxes[kind].value = value
        self.pick.value = kind


def editor_of(param: Param, name: str) -> Any:
    """Return the widget for a parameter: it has name, value, changed, tooltip and native."""
    if param.either:
        editor: Any = OneOfTwo(param, name)
    elif param.many:
        editor = NumbersInARow(param, name)
    elif param.choices:
        none = [(param.empty, None)] if param.nullable else []
        editor = ComboBox(
            name=name, choices=lambda _: [*none, *((str(one), one) for one in param.choices)]
        )
    elif param.type is bool:
        editor = CheckBox(name=name)
        editor.native.setText("")  # it has a label, as all have
    elif param.type in (float, int):
        editor = DeclaredNumber(param, name)
    else:
        editor = Text(param, name)
    editor.tooltip = tooltip_of(param)
    return editor


def tooltip_of(param: Param) -> str:
    """Return a parameter's sentence, and what is allowed."""
    empty = ", or nothing" if param.nullable else ""
    return f"{param.text} Allowed: {param.allowed}{empty}."


def narrow(native: QWidget) -> None:
    """Let a field be as narrow as its dock asks."""
    if isinstance(native, QLabel):
        return
    native.setStyleSheet(NARROW + TIGHT if isinstance(native, QPushButton) else NARROW)
    if isinstance(native, QComboBox):
        elide(native)
    policy = QSizePolicy.Policy
    native.setSizePolicy(policy.Ignored, policy.Fixed)


def share_by_text(buttons: Sequence[PushButton]) -> None:
    """Let buttons side by side be as wide as their texts ask, without the theme's padding."""
    for button in buttons:
        button.native.setStyleSheet(NARROW + TIGHT)


class _WheelPassedOn(QObject):
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is None or event.type() != QEvent.Type.Wheel:
            return False
        event.ignore()  # so that Qt gives it to what is around
        return True


def pass_wheel_on(inside: QWidget) -> None:
    """Let the wheel over boxes scroll what is around them instead of changing their values."""
    passed_on = _WheelPassedOn(inside)
    for kind in (QAbstractSpinBox, QComboBox):
        for box in inside.findChildren(kind):
            box.installEventFilter(passed_on)
