"""Names of a package that are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: dict[str, str], known: tuple[str, ...] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package.

    Parameters
    ----------
    package : str
        Its `__name__`.
    modules : dict of str to str
        Module within the package → the names that it gives, with blanks between; an empty text
        gives the module itself.
    known : tuple of str
        Names that the package has already.
    """
    home_of = {
        name: (module, names != "")
        for module, names in modules.items()
        for name in names.split() or [module]
    }

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}{room_of(name)}")
        module, is_within = home_of[name]
        home = import_module(f"{package}.{module}")
        return getattr(home, name) if is_within else home

    def room_of(name: str) -> str:
        """Say in which of the package's modules a name is that is not in the package."""
        rooms = [module for module, names in modules.items() if names == ""]
        there = (room for room in rooms if not name.startswith("_") and name in dir(get(room)))
        return next((f"; it is in {package}.{room}" for room in there), "")

    def names() -> list[str]:
        return sorted([*home_of, *known])

    return get, names, names()
