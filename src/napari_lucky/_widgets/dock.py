"""What all docks share: parameters that are remembered, Run, Cancel, and choosing layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import napari
from magicgui.widgets import ComboBox, Container, PushButton, Widget
from napari.layers import Layer
from qtpy.QtCore import QEvent, QSettings, Qt, QTimer
from qtpy.QtWidgets import (
    QDockWidget,
    QFrame,
    QLabel,
    QMainWindow,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from .._layers import LayerTuple, history_of
from .jobs import Job, Work, attempt


class LayerCombo(ComboBox):
    """A choice among the viewer's layers that survives renaming.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose layers.
    accept : callable
        Tells for a layer whether it may be chosen.
    prefer : callable, optional
        Tells for a layer whether it is the likely choice; the newest such layer is chosen until
        the user chooses another.
    **options
        Of magicgui's ComboBox: name, label, tooltip, nullable.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        accept: Callable[[Layer], bool],
        prefer: Callable[[Layer], bool] | None = None,
        **options: Any,
    ) -> None:
        self._viewer, self._accept, self._prefer = viewer, accept, prefer
        self._by_user = self._resetting = False
        super().__init__(choices=self._layers, **options)
        self.changed.connect(self._on_changed)
        self.reset_choices()

    def _layers(self, _: Any = None) -> list[tuple[str, Layer]]:
        return [(layer.name, layer) for layer in self._viewer.layers if self._accept(layer)]

    def _on_changed(self, value: Any) -> None:
        self._by_user = self._by_user or (not self._resetting and value is not None)

    def reset_choices(self, *_: Any) -> None:
        """Take up the viewer's layers anew, and keep what was chosen."""
        kept: Any = self.get_value()
        layers = [layer for _, layer in self._layers()]
        self._resetting = True
        super().reset_choices()
        likely = [layer for layer in layers if self._prefer and self._prefer(layer)]
        if likely and not (self._by_user and kept in layers):
            self.value = likely[-1]
        elif kept in layers:
            self.value = kept
        self._resetting = False


def base_name(layer: Layer) -> str:
    """Return the name of the run that a layer came from, to name results by."""
    return str(layer.name).removesuffix(" calibrated")


def is_run(layer: Layer) -> bool:
    """Tell whether a layer is a run of frames that have not been shifted yet."""
    return (
        isinstance(layer, napari.layers.Image)
        and layer.data.ndim == 3
        and not layer.rgb
        and not any(step.name in ("shift", "stack") for step in history_of(layer))
    )


def is_image(layer: Layer) -> bool:
    """Tell whether a layer is an image or a run."""
    return isinstance(layer, napari.layers.Image) and not layer.rgb


def has_step(name: str) -> Callable[[Layer], bool]:
    """Return a test for layers that went through a step."""
    return lambda layer: any(step.name == name for step in history_of(layer))


def is_registration(layer: Layer) -> bool:
    """Tell whether a layer holds the shifts of a run."""
    return isinstance(layer, napari.layers.Vectors) and {"frame", "dy", "dx"} <= set(layer.features)


def is_windows(layer: Layer) -> bool:
    """Tell whether a layer can hold windows."""
    return isinstance(layer, napari.layers.Shapes)


class Dock(QScrollArea):
    """A dock: what it does, its parameters, Run and Cancel; it scrolls where it has no room.

    Parameters
    ----------
    viewer : napari.Viewer
        Where layers are taken from and put.
    explanation : str
        A line or two on what it does.
    parameters : list of Widget
        The parameters, in the order of the work.
    """

    def __init__(self, viewer: napari.Viewer, explanation: str, parameters: list[Widget]) -> None:
        super().__init__()
        self.viewer = viewer
        self._tabbed = False
        self._jobs: list[Job] = []  # none, or the one that runs
        self._parameters = parameters
        self._remembered = [w for w in parameters if _is_plain(w)]
        self.run_button = PushButton(text="Run", tooltip="Start with these parameters")
        self.cancel_button = PushButton(
            text="Cancel", enabled=False, tooltip="Stop the job; nothing is changed"
        )
        self._settings = QSettings("napari-lucky", "docks")
        self._recall()
        for widget in self._remembered:
            widget.changed.connect(self._remember)
        self.run_button.changed.connect(lambda: attempt(self.run))
        self.cancel_button.changed.connect(self.cancel)
        self._lay_out(explanation)
        self.destroyed.connect(partial(_abandon, self._jobs))

    def _lay_out(self, explanation: str) -> None:
        label = QLabel(explanation)
        label.setWordWrap(True)
        # the containers are kept: magicgui's native widgets do not keep them alive
        self._form = Container(widgets=self._parameters)
        self._buttons = Container(
            widgets=[self.run_button, self.cancel_button], layout="horizontal", labels=False
        )
        inside = QWidget()
        self.column = QVBoxLayout(inside)
        self.column.addWidget(label)
        self.column.addWidget(self._form.native)
        self.column.addWidget(self._buttons.native)
        self.column.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)

    def event(self, event: QEvent) -> bool:
        """End the job when the dock is closed: napari then takes it out of its window."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.cancel()
        return bool(super().event(event))

    def showEvent(self, event: Any) -> None:
        """Become a tab beside the other docks: four on top of each other have no room."""
        super().showEvent(event)
        if not self._tabbed:
            self._tabbed = True
            QTimer.singleShot(0, self._tabify)

    def _tabify(self) -> None:
        outer: Any = self.parent()
        window: Any = self.window()
        if not isinstance(outer, QDockWidget) or not isinstance(window, QMainWindow):
            return
        others = [
            dock
            for dock in window.findChildren(QDockWidget)
            if dock is not outer and isinstance(dock.widget(), Dock) and not dock.isFloating()
        ]
        if others and not window.tabifiedDockWidgets(outer):
            window.tabifyDockWidget(others[-1], outer)
            outer.raise_()

    def reset_choices(self, *_: Any) -> None:
        """Take up the viewer's layers anew; napari calls it when they change."""
        for widget in self._parameters:
            if isinstance(widget, LayerCombo):
                widget.reset_choices()

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return bool(self._jobs)

    def run(self) -> None:
        """Read the parameters and start the job; each dock says how."""
        raise NotImplementedError

    def start(self, work: Work, done: Callable[[Any], None]) -> None:
        """Do a job on a thread of its own; Run is off and Cancel is on until it ends."""
        if self._jobs:
            return
        self.run_button.enabled, self.cancel_button.enabled = False, True
        self._jobs.append(Job(work, done, self._on_ended))
        self._jobs[0].start()

    def cancel(self, *_: Any) -> None:
        """Stop the job that is running, if one is."""
        for job in self._jobs:
            job.cancel()

    def _on_ended(self) -> None:
        self._jobs.clear()
        self.run_button.enabled, self.cancel_button.enabled = True, False

    def add(self, layer: LayerTuple) -> Layer:
        """Put a new layer into the viewer; its name is made unique, nothing is overwritten.

        An image goes under the windows, points and arrows on top, which it would hide.
        """
        layers = self.viewer.layers
        added = self.viewer.add_layer(Layer.create(*layer))
        if isinstance(added, napari.layers.Image):
            place = len(layers) - 1
            while place > 0 and not isinstance(layers[place - 1], napari.layers.Image):
                place -= 1
            layers.move(len(layers) - 1, place)
        return added

    def _key(self, widget: Widget) -> str:
        return f"{type(self).__name__}/{widget.name}"

    def _remember(self, *_: Any) -> None:
        for widget in self._remembered:
            self._settings.setValue(self._key(widget), json.dumps(widget.value))

    def _recall(self) -> None:
        for widget in self._remembered:
            text = self._settings.value(self._key(widget))
            try:
                if text is not None:
                    widget.value = json.loads(text)
            except (ValueError, TypeError):
                continue  # of an older version, or edited: the default holds


def _abandon(jobs: list[Job], *_: Any) -> None:
    for job in jobs:
        job.abandon()


def _is_plain(widget: Widget) -> bool:
    value = getattr(widget, "value", None)
    return not isinstance(widget, (LayerCombo, PushButton)) and isinstance(
        value, (bool, int, float, str)
    )
