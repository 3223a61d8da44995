"""A path to a file or a folder, typed or chosen."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import Container, LineEdit, PushButton
from qtpy.QtWidgets import QFileDialog

from napari_lucky.fits.image import SUFFIXES


class PathEdit(Container):
    """A line for a path, with a button for a file and one for a folder of frames."""

    def __init__(self, name: str, label: str, tooltip: str) -> None:
        self.line = LineEdit(name="path", tooltip=tooltip)
        file = PushButton(text="File", tooltip="Choose a FITS file")
        folder = PushButton(text="Folder", tooltip="Choose a folder of FITS frames")
        super().__init__(
            name=name,
            label=label,
            tooltip=tooltip,
            widgets=[self.line, file, folder],
            layout="horizontal",
            labels=False,
        )
        self.margins = (0, 0, 0, 0)
        for button in (file, folder):  # the line needs the room
            wide = round(0.6 * len(button.text), 1)
            button.native.setStyleSheet(f"min-width: {wide}em; max-width: {wide}em; padding: 3px")
        file.changed.connect(self._choose_file)
        folder.changed.connect(self._choose_folder)

    @property
    def path(self) -> str | None:
        """The path, None if the line is empty."""
        return self.line.value.strip() or None

    def _choose_file(self, *_: Any) -> None:
        pattern = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        chosen, _ = QFileDialog.getOpenFileName(self.native, self.label, "", f"FITS ({pattern})")
        self.line.value = chosen or self.line.value

    def _choose_folder(self, *_: Any) -> None:
        self.line.value = (
            QFileDialog.getExistingDirectory(self.native, self.label) or self.line.value
        )
