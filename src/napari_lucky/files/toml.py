"""TOML files that users may edit: read, or refused with a message."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from napari_lucky.errors import LuckyError

MOST = 2**63


def parse_toml(path: Path, content: bytes) -> dict[str, Any]:
    """Return what a TOML file holds.

    Raises
    ------
    LuckyError
        If it is not TOML, is nested too deeply, or holds a whole number of more than 63 bits.
    """
    try:
        found = tomllib.loads(content.decode("utf-8"))
        _check_integers(found)
    except RecursionError:
        raise LuckyError(f"{path}: this is not a TOML file (nested too deeply).") from None
    except ValueError as error:  # not TOML, or no UTF-8
        raise LuckyError(f"{path}: this is not a TOML file ({error}).") from error
    return found


def _check_integers(value: Any) -> None:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _check_integers(item)
    elif isinstance(value, int) and not -MOST <= value < MOST:
        raise ValueError("it holds a whole number of more than 63 bits")
