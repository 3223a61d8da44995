"""What napari shows the user, as plain text."""

from __future__ import annotations

from napari_lucky.text import without_tags
from napari_lucky.viewer.field_names import with_fields


def show_error(text: str) -> None:
    """Show what went wrong."""
    from napari.utils import notifications

    notifications.show_error(without_tags(with_fields(text)))


def show_warning(text: str) -> None:
    """Show what is doubtful."""
    from napari.utils import notifications

    notifications.show_warning(without_tags(with_fields(text)))


def show_info(text: str) -> None:
    """Show what is good to know."""
    from napari.utils import notifications

    notifications.show_info(without_tags(with_fields(text)))
