"""A path to a file or a folder, typed or chosen."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import Container, LineEdit, PushButton
from qtpy.QtWidgets import QFileDialog, QStyle

from napari_lucky.fits.image import SUFFIXES
from napari_lucky.sources.kinds import load_sources


class PathEdit(Container):
    """A line for a path, with a button for a file and one for a folder of frames."""

    def __init__(self, name: str, label: str, tooltip: str) -> None:
        self.line = LineEdit(name="path", tooltip=tooltip)
        file = PushButton(text=" ", tooltip="Choose a file")
        folder = PushButton(text=" ", tooltip="Choose a folder of frames")
        super().__init__(
            name=name,
            label=label,
            tooltip=tooltip,
            widgets=[self.line, file, folder],
            layout="horizontal",
            labels=False,
        )
        self.margins = (0, 0, 0, 0)
        icons = QStyle.StandardPixmap
        for button, icon in ((file, icons.SP_FileIcon), (folder, icons.SP_DirIcon)):
            button.native.setIcon(self.native.style().standardIcon(icon))
            button.native.setText("")
            button.native.setStyleSheet("min-width: 18px; max-width: 18px; padding: 3px")
        file.changed.connect(self._choose_file)
        folder.changed.connect(self._choose_folder)

    @property
    def path(self) -> str | None:
        """The path, None if the line is empty."""
        return self.line.value.strip() or None

    def _choose_file(self, *_: Any) -> None:
        pattern = " ".join(f"*{suffix}" for suffix in (*SUFFIXES, *load_sources()))
        chosen, _ = QFileDialog.getOpenFileName(self.native, self.label, "", f"Frames ({pattern})")
        self.line.value = chosen or self.line.value

    def _choose_folder(self, *_: Any) -> None:
        self.line.value = (
            QFileDialog.getExistingDirectory(self.native, self.label) or self.line.value
        )
