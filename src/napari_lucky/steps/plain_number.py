"""Numbers with and without a unit."""

from __future__ import annotations

from numbers import Real
from typing import Any

from napari_lucky.errors import UsageError


def plain_number(given: Any, unit: str, name: str) -> float:
    """Return a number as it is, and an `astropy.units.Quantity` in a unit.

    Parameters
    ----------
    given : float or Quantity
        The number.
    unit : str
        As astropy writes it; empty for a ratio.
    name : str
        How an error calls it.

    Raises
    ------
    LuckyError
        If it is no number, or has another unit.
    """
    if hasattr(given, "to_value"):
        try:
            return float(given.to_value(unit))
        except (TypeError, ValueError):  # astropy's error of units is one
            pass
    elif isinstance(given, Real) and not isinstance(given, bool):
        return given  # type: ignore[return-value]
    raise UsageError(f"The {name} is {given!r}; give a number{f' in {unit}' if unit else ''}.")
