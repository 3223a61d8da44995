"""The command line `napari-lucky telescope`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_lucky.cli.recipe_options import add_own_options, recipe_of
from napari_lucky.cli.terminal import say, warn
from napari_lucky.errors import UsageError
from napari_lucky.optics.request import TelescopeRequest, known_telescope


def add_telescope(telescope: Any) -> None:
    """Add the options of `napari-lucky telescope`."""
    telescope.add_argument("name", nargs="?", metavar="NAME", help="none: list all")
    add_own_options(telescope, "telescope", skip=("name",))
    telescope.add_argument(
        "--remove", action="store_true", help="remove the telescope of this name"
    )
    telescope.add_argument(
        "--overwrite", action="store_true", help="replace a saved telescope of this name"
    )


def run_telescope(given: argparse.Namespace) -> int:
    """Do `napari-lucky telescope`."""
    from napari_lucky.optics.telescope_store import (
        broken_telescopes,
        named_telescope,
        remove_telescope,
        save_telescope,
        saved_telescopes,
        telescope_notes,
        telescope_of,
        telescopes_file,
    )

    options = known_telescope(recipe_of(given).get(TelescopeRequest))
    if given.name is None:
        if options or given.remove:
            raise UsageError("Give the telescope a NAME.")
        saved = saved_telescopes()
        for name, one in saved.items():
            say(f"{name}: {describe_telescope(one)}")
        for problem in broken_telescopes().values():
            warn(problem)
        if not saved:
            say(f"No telescope is saved yet; they will be kept in {telescopes_file()}")
        return 0
    if given.remove:
        say(f"Removed {given.name} from {remove_telescope(given.name)}")
        return 0
    if not options:
        if given.name not in {**saved_telescopes(), **broken_telescopes()}:
            raise UsageError(f"There is no telescope {given.name!r}. To save it, give its figures.")
        say(f"{given.name}: {describe_telescope(named_telescope(given.name))}")
        return 0
    telescope = telescope_of(options)
    path = save_telescope(given.name, telescope, overwrite=given.overwrite)
    for note in telescope_notes(None, options):
        warn(note)
    say(f"Saved {given.name}: {describe_telescope(telescope)}; in {Path(path)}")
    return 0


def describe_telescope(telescope: Any) -> str:
    """Return a telescope's figures in a line."""
    return (
        f"{telescope.wavelength_nm:g} nm, f/{telescope.focal_ratio:g}, pixel "
        f"{telescope.pixel_um:g} µm, diameter {telescope.diameter_m:g} m, obstruction "
        f"{telescope.obstruction:g}; sampling {telescope.px_per_lambda_over_d:.4g} px per λ/D"
    )
