"""Darks and flats that were taken with a run, found in the folders beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_lucky.fits.camera_state import state_differences
from napari_lucky.fits.card_value import Value, values_in
from napari_lucky.fits.choose_frames import families_of
from napari_lucky.fits.file_names import (
    in_order,
    is_frames_name,
    name_family,
    natural,
    one_place,
    stem_of,
)
from napari_lucky.fits.frame_kind import kind_in_header, kind_of_folder
from napari_lucky.fits.open_images import open_images
from napari_lucky.fits.plain_files import paths_of
from napari_lucky.fits.run import Run
from napari_lucky.fits.settings import setting_text, settings_of, usual_setting
from napari_lucky.notices import Notice, info
from napari_lucky.sources.colour import as_in_file
from napari_lucky.sources.source_image import SourceImage
from napari_lucky.text import counted, readable

CHECKED = {"dark": ("camera", "exposure", "gain"), "flat": ("camera", "filter")}
"""Settings that must be the run's, where both are known."""
MIXED = ("calibration", "calib", "cal", "master", "masters")
"""Names of folders that may hold darks and flats."""


@dataclass(frozen=True)
class FoundCalibration:
    """Darks and flats beside a run that fit it.

    Parameters
    ----------
    dark, flat : tuple of pathlib.Path
        The files of one dark and of one flat; empty where there is none that fits.
    notes : tuple of Notice
        What was found and checked, and what does not fit.
    """

    dark: tuple[Path, ...] = ()
    flat: tuple[Path, ...] = ()
    notes: tuple[Notice, ...] = ()


def find_calibration(run: Run) -> FoundCalibration:
    """Look for darks and flats beside a run: in its folder, and in those of darks and flats near.

    What a frame is of is known from its header, or else by its name or its folder's. Size, camera,
    exposure and gain of a dark, size, camera and filter of a flat must be those of the run, where
    they are known.

    Parameters
    ----------
    run : Run
        As `open_run` gives it.

    Returns
    -------
    FoundCalibration
    """
    images = _calibration_images(run)
    dark, dark_notes = _fitting(run, "dark", images.get("dark", []))
    flat, flat_notes = _fitting(run, "flat", images.get("flat", []))
    return FoundCalibration(dark, flat, (*dark_notes, *flat_notes))


def _calibration_images(run: Run) -> dict[str, list[SourceImage]]:
    """Return the images of darks and flats, by what they are of."""
    of_run = {path.resolve() for path in paths_of(run.images)}
    folders = {path.parent for path in of_run}
    found: dict[str, list[SourceImage]] = {}
    for folder, of in _places(folders):
        paths = [path for path in _files_of_frames(folder) if path not in of_run]
        for family in families_of(paths):
            kind = of if family.kind == "light" and of != "mixed" else family.kind
            if kind not in ("dark", "flat"):
                continue
            images, _ = open_images(in_order(family.paths))
            for image in images:
                own = kind_in_header(values_in(image.header_cards.settings)) or kind
                found.setdefault(own, []).append(image)
    return found


def _places(folders: set[Path]) -> Iterator[tuple[Path, str]]:
    """Yield folders that may hold darks or flats, and what their names say is in them."""
    seen = set()
    for folder in sorted(folders):
        near = [(folder, "mixed"), *_named_folders(folder)]
        if folder.parent != folder:
            near += [(folder.parent, "mixed"), *_named_folders(folder.parent)]
        for place, of in near:
            if place not in seen and (place in folders or of != "light"):
                seen.add(place)
                yield place, of


def _named_folders(folder: Path) -> Iterator[tuple[Path, str]]:
    for inside in _subfolders(folder):
        kind = kind_of_folder(inside.name)
        if kind in ("dark", "flat"):
            yield inside, kind
        elif inside.name.lower() in MIXED:
            yield inside, "mixed"
            yield from _named_folders(inside)


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as inside:
            return sorted(folder / e.name for e in inside if e.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _files_of_frames(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as inside:
            names = [e.name for e in inside if is_frames_name(e.name) and e.is_file()]
    except OSError:
        return []
    paths = [folder / name for name in names if not name.startswith(".")]
    return sorted(paths, key=natural)


def _fitting(
    run: Run, kind: str, images: list[SourceImage]
) -> tuple[tuple[Path, ...], list[Notice]]:
    """Return the files of the best set of darks or flats, and what is said of it and others."""
    sets: dict[tuple[Any, ...], list[SourceImage]] = {}
    values = {what: settings_of(images, what) for what in CHECKED[kind]} if images else {}
    for k, image in enumerate(images):
        own = tuple(values[what][k][0] for what in CHECKED[kind])
        family = (image.path.parent, name_family(stem_of(image.path)), image.layout.shape[1:])
        sets.setdefault((*family, *own), []).append(image)
    fit: list[list[SourceImage]] = []
    notes: list[Notice] = []
    for of, members in sets.items():
        doubts = _differences(run, of[2], dict(zip(CHECKED[kind], of[3:], strict=True)))
        if doubts:
            text = f"{_names(members)} beside the run does not fit as a {kind}: {doubts}."
            notes.append(info(text, one_place([image.path for image in members])))
        else:
            fit.append(members)
    if not fit:
        return (), notes
    best = max(fit, key=lambda members: ("master" in members[0].path.name.lower(), len(members)))
    paths = tuple(dict.fromkeys(image.path for image in best))
    frames = sum(image.layout.shape[0] for image in best)
    said = f"Found {_names(best)} beside the run: a {kind} of {counted(frames, 'frame')}"
    return paths, [info(f"{said} with {_agreement(run, kind, best)}.", one_place(paths)), *notes]


def _names(images: Sequence[SourceImage]) -> str:
    names = list(dict.fromkeys(readable(image.path.name) for image in images))
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def _differences(run: Run, shape: tuple[int, ...], own: dict[str, Value]) -> str:
    if shape not in (run.shape[1:], rows_and_columns := _in_file(run)):
        rows, columns = rows_and_columns
        return f"it has {shape[0]} x {shape[1]} pixels, the frames have {rows} x {columns}"
    for what, value in own.items():
        of_run = usual_setting(run.images, what)
        if value is not None and of_run is not None and not _same(value, of_run):
            texts = [setting_text(what, one) for one in (value, of_run)]
            return f"its {what} is {texts[0]}, the frames' is {texts[1]}"
    return ""


def setting_notes(run: Run, master: Run, kind: str) -> list[str]:
    """Return sentences if a dark or a flat was taken otherwise than the run.

    With other settings, or with the camera in another state: see `state_differences`.

    Parameters
    ----------
    run, master : Run
        As `open_run` gives them.
    kind : str
        "dark" or "flat": what the master is.
    """
    own = {what: usual_setting(master.images, what) for what in CHECKED[kind]}
    doubts = _differences(run, run.shape[1:], own)
    place = one_place(paths_of(master.images))
    texts = [f"The {kind} does not fit the run: {doubts}."] if doubts else []
    if differences := "; ".join(state_differences(run.images, master.images, kind)):
        texts.append(f"The {kind} may not fit the run: {differences}. It is used as it is.")
    return [Notice(text, file=place) for text in texts]


def _in_file(run: Run) -> tuple[int, int]:
    """Return rows and columns of the files: superpixels are of more."""
    _, rows, columns = as_in_file(run.images[0]).layout.shape
    return rows, columns


def _same(value: Value, other: Value) -> bool:
    if isinstance(value, float) and isinstance(other, float):
        return abs(value - other) <= 0.02 * max(abs(value), abs(other))
    return str(value).casefold() == str(other).casefold()


def _agreement(run: Run, kind: str, images: list[SourceImage]) -> str:
    """Say what of a dark or flat is as in the run, and what is not known."""
    size = "the same size ({} x {} pixels)".format(*_in_file(run))
    if kind == "flat":
        return size
    own, of_run = (usual_setting(some, "exposure") for some in (images, run.images))
    if own is None or of_run is None:
        return f"{size}; the exposure could not be compared"
    return f"{size} and exposure ({setting_text('exposure', own)})"
