"""The help of a dock: its section of the reference, which is in the package, in a window."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QTextBrowser, QVBoxLayout, QWidget

from napari_lucky.errors import LuckyError

PACKED = "extra_metadata/docks.md"
"""The page beside the metadata of an installed package; see pyproject.toml."""
SOURCE = Path("docs", "reference", "docks.md")
"""The page in the sources, from their top."""
SIZE = 640, 760
"""Pixels of the window."""


def show_help(parent: QWidget, title: str) -> QDialog:
    """Show the section on a dock in a window, and return it.

    Parameters
    ----------
    parent : QWidget
        What it belongs to.
    title : str
        Of the dock.

    Raises
    ------
    LuckyError
        If the page is not there.
    """
    window = QDialog(parent, Qt.WindowType.Window)
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    window.setObjectName("help")
    window.setWindowTitle(f"Help: {title}")
    window.resize(*SIZE)
    text = QTextBrowser()
    text.setOpenExternalLinks(True)
    text.setMarkdown(help_text(title))
    column = QVBoxLayout(window)
    column.addWidget(text)
    window.show()
    return window


def help_text(title: str) -> str:
    """Return what the reference says on a dock, and on all docks, as Markdown.

    Raises
    ------
    LuckyError
        If the page is not there.
    """
    sections = re.split(r"^(?=## )", _page(), flags=re.MULTILINE)
    own = [one for one in sections if one.startswith(f"## {title}\n")]
    shared = [one for one in sections if one.startswith("## In every dock\n")]
    return _without_pictures("\n".join([*own, *shared]))


def _page() -> str:
    source = Path(__file__).parents[3] / SOURCE
    if source.is_file():
        return source.read_text(encoding="utf-8")
    try:
        text = distribution("napari-lucky").read_text(PACKED)
    except PackageNotFoundError:
        text = None
    if text is None:
        raise LuckyError("The help page docks.md is missing here: install napari-lucky again.")
    return text


def _without_pictures(text: str) -> str:
    """Return Markdown without pictures and without links to pages that are not packed."""
    text = re.sub(r"<[^>\n]*>|!\[[^\]]*\]\([^)]*\)", "", text)
    return re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", text)
