"""A text that wraps in any width: a path or a layer's name has no blank to break at."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QTextOption
from qtpy.QtWidgets import QFrame, QSizePolicy, QTextBrowser

from napari_lucky.viewer.field_names import with_fields


class WrappedText(QTextBrowser):
    """A text to be read and copied, as high as it needs in the width that it gets."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setOpenExternalLinks(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setStyleSheet("background: transparent; border: none; padding: 0px")
        self.document().setDocumentMargin(0)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        never = Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.setHorizontalScrollBarPolicy(never)
        self.setVerticalScrollBarPolicy(never)
        policy = QSizePolicy.Policy
        self.setSizePolicy(policy.Ignored, policy.Fixed)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self.setText(text)

    def setText(self, text: str | None) -> None:
        """Show a plain text, which names fields of docks in place of options."""
        self.setPlainText(with_fields(text or ""))
        self._fit()

    def setHtml(self, text: str | None) -> None:
        """Show a text with its looks, as `setText`."""
        super().setHtml(with_fields(text or ""))

    def text(self) -> str:
        """Return what is shown, without its looks."""
        return str(self.toPlainText())

    def wheelEvent(self, event: Any) -> None:
        """Let what is around scroll."""
        event.ignore()

    def _fit(self, *_: Any) -> None:
        size = self.document().size()
        self.setFixedHeight(0 if self.document().isEmpty() else round(size.height() + 0.5))
