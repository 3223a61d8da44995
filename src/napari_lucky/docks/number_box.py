"""A box for a number that may be left empty."""

from __future__ import annotations

import math
from typing import Any

from magicgui.widgets import LineEdit

from napari_lucky.errors import LuckyError


class NumberBox(LineEdit):
    """A line for a number; empty is not given."""

    def __init__(self, name: str, label: str = "", tooltip: str = "", **options: Any) -> None:
        super().__init__(name=name, label=label or name, tooltip=tooltip, **options)

    @property
    def number(self) -> float | None:
        """What is typed; None where nothing is.

        Raises
        ------
        LuckyError
            If it is no number.
        """
        text = str(self.value).strip()
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise LuckyError(f"{self.label}: {text!r} is no number; write it as 58.6, or 5e-3.")
        return number
