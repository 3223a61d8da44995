"""What the command line needs of a terminal: progress on its last line, and whether a screen."""

from __future__ import annotations

import os
import sys
import time


class Meter:
    """Progress on a terminal's last line; silent where stderr is not a terminal."""

    def __init__(self) -> None:
        self.shown = 0.0
        self.on = sys.stderr is not None and sys.stderr.isatty()

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show where a job is, a few times a second."""
        now = time.monotonic()
        if self.on and (now - self.shown > 0.1 or done == total):
            self.shown = now
            print(f"\r\033[K{what}: {done} of {total}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave the line empty."""
        if self.on:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def has_display() -> bool:
    """Tell whether napari can open a window here."""
    from importlib.util import find_spec

    screen = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if not screen or find_spec("napari") is None:
        return False
    try:
        import qtpy  # noqa: F401  # it looks for a Qt binding
    except ImportError:
        return False
    return True
