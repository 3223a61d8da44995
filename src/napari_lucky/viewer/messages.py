"""What napari shows the user, as plain text."""

from __future__ import annotations

from napari_lucky.text import plain


def show_error(text: str) -> None:
    """Show what went wrong."""
    from napari.utils import notifications

    notifications.show_error(plain(text))


def show_warning(text: str) -> None:
    """Show what is doubtful."""
    from napari.utils import notifications

    notifications.show_warning(plain(text))


def show_info(text: str) -> None:
    """Show what is good to know."""
    from napari.utils import notifications

    notifications.show_info(plain(text))
