"""A dock that updates itself: it runs again when what it works on changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from magicgui.widgets import CheckBox
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_lucky.docks.choices import LayerCombo

Followed = tuple[LayerCombo, tuple[str, ...]]
"""A choice of layers, and the events of the chosen one that matter."""
DELAY_MS = 400
"""A window that is being dragged reports every step; the last one counts."""


class AutoRun:
    """Run again, once changes have come to rest, while “auto-update” is ticked.

    Parameters
    ----------
    owner : QWidget
        The dock.
    follows : sequence of Followed
        What it works on.
    again : callable
        Starts the dock's job; returns False if it cannot be started yet.
    """

    def __init__(
        self, owner: QWidget, follows: Sequence[Followed], again: Callable[[], bool]
    ) -> None:
        self.box = CheckBox(
            name="auto_update",
            text="auto-update",
            tooltip="Run again when a parameter or the input changes (a window or a dust spot is "
            "moved, the dock before has run); new results replace the last ones",
        )
        self._follows, self._again = follows, again
        self._heard: list[Any] = []
        self._timer = QTimer(owner)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._run)
        for combo, _ in follows:
            combo.changed.connect(self._listen)
        self.box.changed.connect(self._listen)

    def _listen(self, *_: Any) -> None:
        for emitter in self._heard:
            emitter.disconnect(self.changed)
        self._heard = []
        if not self.box.value:
            self._timer.stop()
            return
        for combo, names in self._follows:
            if combo.value is not None:
                self._heard += [getattr(combo.value.events, name) for name in names]
        for emitter in self._heard:
            emitter.connect(self.changed)

    def changed(self, *_: Any) -> None:
        """Something changed: run again when no more changes come."""
        if self.box.value:
            self._timer.start()

    def _run(self) -> None:
        if self.box.value and not self._again():
            self._timer.start()

    def stop(self) -> None:
        """Follow nothing any more."""
        self.box.value = False
