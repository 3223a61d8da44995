"""Lucky imaging: calibrate, track, rank and stack a run of short exposures.

Everything named here works without napari and Qt. A whole job is a recipe::

    import napari_lucky as lucky

    recipe = lucky.Recipe(frames=("run",), dark="dark.fits", flat="flat.fits", keep=0.1)
    result = lucky.process(recipe)
    lucky.write_results(result, Path("out"))

and each of its steps is a function; see the reference of each. Names are imported when they
are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .errors import LuckyError

if TYPE_CHECKING:
    from .background import BackgroundModel, BackgroundRemoved, Disc
    from .calibrating import calibrate
    from .calibration import Calibrated, hot_pixels, master, master_flat
    from .finding import find_star
    from .fits_output import ImageResult, write_fits
    from .flat_output import make_masters
    from .flats import FlatField, flat_field
    from .frames import ArrayFrames, Frames, LazyArray, Subset
    from .history import Step
    from .integers import Integers
    from .outputs import write_results
    from .pipeline import Result, process
    from .ranking import METRICS, rank, select
    from .recipe import Recipe, read_recipe, recipe_to_toml
    from .registration import Registration, register
    from .run import Run, open_run
    from .shifting import Shifted
    from .simulation import simulate_run
    from .stacking import Stack, stack_mean, stack_pair
    from .table import FrameTable, table_from_csv, table_to_csv
    from .windows import Window

_HOMES = {
    "background": ("BackgroundModel", "BackgroundRemoved", "Disc"),
    "calibration": ("Calibrated", "hot_pixels", "master", "master_flat"),
    "finding": ("find_star",),
    "fits_output": ("ImageResult", "write_fits"),
    "flats": ("FlatField", "flat_field"),
    "flat_output": ("make_masters",),
    "frames": ("ArrayFrames", "Frames", "LazyArray", "Subset"),
    "history": ("Step",),
    "integers": ("Integers",),
    "outputs": ("write_results",),
    "calibrating": ("calibrate",),
    "pipeline": ("Result", "process"),
    "ranking": ("METRICS", "rank", "select"),
    "recipe": ("Recipe", "read_recipe", "recipe_to_toml"),
    "registration": ("Registration", "register"),
    "run": ("Run", "open_run"),
    "shifting": ("Shifted",),
    "simulation": ("simulate_run",),
    "stacking": ("Stack", "stack_mean", "stack_pair"),
    "table": ("FrameTable", "table_from_csv", "table_to_csv"),
    "windows": ("Window",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "METRICS",
    "ArrayFrames",
    "BackgroundModel",
    "BackgroundRemoved",
    "Calibrated",
    "Disc",
    "FlatField",
    "FrameTable",
    "Frames",
    "ImageResult",
    "Integers",
    "LazyArray",
    "LuckyError",
    "Recipe",
    "Registration",
    "Result",
    "Run",
    "Shifted",
    "Stack",
    "Step",
    "Subset",
    "Window",
    "__version__",
    "calibrate",
    "find_star",
    "flat_field",
    "hot_pixels",
    "make_masters",
    "master",
    "master_flat",
    "open_run",
    "process",
    "rank",
    "read_recipe",
    "recipe_to_toml",
    "register",
    "select",
    "simulate_run",
    "stack_mean",
    "stack_pair",
    "table_from_csv",
    "table_to_csv",
    "write_fits",
    "write_results",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
