"""What a dock has to say under its Run button."""

from __future__ import annotations

from typing import Any

from napari_lucky.docks.wrapped_text import WrappedText
from napari_lucky.text import without_tags


class DockNotes(WrappedText):
    """Sentences of the last job, and on what was typed and cannot be used; hidden if none."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: dict[str, str] = {}
        """What was typed and cannot be used, by the box's name, until a job has shown it."""
        self._said: tuple[str, ...] = ()
        self._added: tuple[str, ...] = ()
        self.hide()

    def say(self, *sentences: str) -> None:
        """Show sentences in place of all before."""
        self._said, self._added = sentences, ()
        self._show()

    def add(self, *sentences: str) -> None:
        """Show sentences over those of the last job, in place of others that were added."""
        self._added = sentences
        self._show()

    def refuse(self, name: str, sentence: str) -> None:
        """Say that what was typed into a box cannot be used."""
        self.refused[name] = sentence
        self._show()

    def accept(self, name: str, *_: Any) -> None:
        """Say nothing of a box any more: it holds what can be used."""
        if self.refused.pop(name, None) is not None:
            self._show()

    def _show(self) -> None:
        lines = dict.fromkeys([*self.refused.values(), *self._added, *self._said])
        self.setText(without_tags("\n".join(lines)))
        self.setVisible(bool(lines))
