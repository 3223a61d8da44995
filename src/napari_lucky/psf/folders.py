"""Figures of the stacks of several jobs, at one aperture for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from napari_lucky.errors import LuckyError
from napari_lucky.fits.write import ignore_note
from napari_lucky.notices import info
from napari_lucky.pipeline.nights import names_apart
from napari_lucky.psf.table import FigureRow, aperture_note

Circles = tuple[float, tuple[float, float] | None]
"""Radius of the aperture, and radii of the ring, in pixels of the sensor."""
Measure = Callable[[Path, Circles | None, bool, Callable[[str], None]], Sequence[FigureRow]]
"""Called as measure(folder, circles, errors, notify): the rows of a folder's stacks."""


def measure_folders(
    paths: Sequence[str | Path],
    measure: Measure,
    *,
    one_aperture: bool = True,
    notify: Callable[[str], None] = ignore_note,
) -> list[FigureRow]:
    """Return the rows of several jobs' stacks, named after their folders.

    The aperture is the smallest that one of the stacks would have, in lambda/D; in pixels where
    the optics of one are not known. A folder that cannot be measured has a row that says why.

    Parameters
    ----------
    paths : sequence of paths
        An OUT of `napari-lucky process` each.
    measure : callable
        See `Measure`.
    one_aperture : bool
        False where the aperture was given.
    notify : callable, optional
        Called with a sentence for the user.
    """
    folders = [Path(path) for path in paths]
    circles: dict[Path, Circles] = {}
    if one_aperture:
        circles = _shared({folder: _tried(folder, measure) for folder in folders})
    rows: list[FigureRow] = []
    for folder, name in zip(folders, names_apart(folders), strict=True):

        def report(text: str, name: str = name) -> None:
            notify(f"{name}: {text}")

        try:
            found = measure(folder, circles.get(folder), True, report)
        except LuckyError as error:
            found = [FigureRow("focus.fits", None, None, str(error))]
        rows += [replace(row, name=f"{name}/{row.name}") for row in found]
    measured = [row.figures for row in rows if row.figures is not None]
    if one_aperture and measured:
        notify(info(f"All images have the same {aperture_note(measured[0])}."))
    return rows


def _tried(folder: Path, measure: Measure) -> Sequence[FigureRow]:
    try:
        return measure(folder, None, False, ignore_note)
    except LuckyError:  # said where it is measured
        return []


def _shared(tried: dict[Path, Sequence[FigureRow]]) -> dict[Path, Circles]:
    """Return for each folder the circles that are smallest among all, in its own pixels."""
    units: dict[Path, float] = {}
    found: list[tuple[float, tuple[float, float] | None]] = []
    for path, rows in tried.items():
        for row in rows:
            if row.figures is not None:
                known = row.figures.diffraction
                units[path] = 0.0 if known is None else known.sampling / row.scale
    in_px = not all(units.values())
    for path, rows in tried.items():
        for row in rows:
            if row.figures is not None:
                unit = row.scale * (1.0 if in_px else units[path])
                ring = row.figures.recipe.ring
                aperture = (row.figures.recipe.aperture or 0) / unit
                found.append((aperture, ring and (ring[0] / unit, ring[1] / unit)))
    if not found:
        return {}
    aperture, ring = min(found, key=lambda one: one[0])
    shared: dict[Path, Circles] = {}
    for path, unit in units.items():
        px = 1.0 if in_px else unit
        shared[path] = (aperture * px, ring and (ring[0] * px, ring[1] * px))
    return shared
