"""Telescopes by name, kept in the user's configuration folder, and put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import tomli_w
from platformdirs import user_config_path

from napari_lucky.errors import LuckyError, UsageError, check_kind
from napari_lucky.files.open_file import open_regular
from napari_lucky.files.temporaries import locked_by
from napari_lucky.files.toml import parse_toml
from napari_lucky.fits.write import write_text
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.optics.telescope import Telescope
from napari_lucky.optics.telescope_header import header_doubts, header_telescope
from napari_lucky.optics.telescope_sense import impossible, sampling, unusual

FIELDS = tuple(field.name for field in fields(Telescope))
MOST_CHARACTERS = 60
"""Of a name, so that it fits into a list."""


def telescopes_file() -> Path:
    """Return where named telescopes are kept.

    `napari-lucky/telescopes.toml` in `%APPDATA%` on Windows, in `~/Library/Application Support`
    on macOS, and elsewhere in `$XDG_CONFIG_HOME`, which is `~/.config` if it is not set.
    """
    folder = user_config_path("napari-lucky", appauthor=False, roaming=True)
    return folder / "telescopes.toml"


def saved_telescopes() -> dict[str, Telescope]:
    """Return the telescopes that were saved, by name, in the order of their names.

    What is no telescope is passed over; see `broken_telescopes`.

    Returns
    -------
    dict of str to Telescope
        By name, sorted.

    Raises
    ------
    LuckyError
        If the file that keeps them cannot be read, or is not TOML.
    """
    return _sorted_out(_entries())[0]


def broken_telescopes() -> dict[str, str]:
    """Return what is wrong with entries of the file that are no telescopes, by name."""
    return _sorted_out(_entries())[1]


def _entries() -> dict[str, Any]:
    path = telescopes_file()
    try:
        with open_regular(path) as file:
            return parse_toml(path, file.readall())
    except FileNotFoundError:
        return {}
    except OSError as error:
        reason = error.strerror or error
        raise LuckyError(f"{path}: telescopes cannot be read ({reason}).") from error
    except LuckyError as error:
        raise LuckyError(f"{error} Correct it, or move it away.") from error


def _sorted_out(found: Mapping[str, Any]) -> tuple[dict[str, Telescope], dict[str, str]]:
    good: dict[str, Telescope] = {}
    broken: dict[str, str] = {}
    for name in sorted(found, key=str.casefold):
        try:
            good[name] = _telescope(name, found[name])
        except LuckyError as error:
            broken[name] = f"{telescopes_file()}: {error}"
    return good, broken


def _telescope(name: str, values: Any) -> Telescope:
    numbers = isinstance(values, dict) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in values.values()
    )
    if not numbers or set(values) != set(FIELDS):
        raise LuckyError(f"[{name}] is not a telescope; expected the numbers {', '.join(FIELDS)}.")
    try:
        return Telescope(**{key: float(value) for key, value in values.items()})
    except LuckyError as error:
        raise LuckyError(f"[{name}]: {error}") from error


def named_telescope(name: str) -> Telescope:
    """Return the telescope that was saved under a name.

    Parameters
    ----------
    name : str
        As it was given to `save_telescope`.

    Returns
    -------
    Telescope
        With all its figures.

    Raises
    ------
    LuckyError
        If there is none, or its entry is broken.
    """
    saved, broken = _sorted_out(_entries())
    if name in broken:
        raise LuckyError(broken[name])
    if name not in saved:
        known = f"saved ones are {', '.join(saved)}" if saved else "none is saved yet"
        raise UsageError(f"There is no telescope {name!r}; {known}. Save it first.")
    return saved[name]


def save_telescope(name: str, telescope: Telescope, *, overwrite: bool = False) -> Path:
    """Keep a telescope under a name, to be chosen again.

    Parameters
    ----------
    name : str
        Up to 60 printable characters.
    telescope : Telescope
        What is kept.
    overwrite : bool
        Whether another telescope of that name is replaced.

    Returns
    -------
    pathlib.Path
        The file that keeps it. It is written whole or not at all.

    Raises
    ------
    LuckyError
        If the name cannot be used or is taken, or the file cannot be written.
    """
    check_kind(telescope, Telescope, "telescope", "a Telescope")
    if not name.strip() or name != name.strip() or not name.isprintable():
        raise UsageError(
            f"{name!r} cannot be the name of a telescope: give printable characters, without "
            "blanks at the ends."
        )
    if len(name) > MOST_CHARACTERS:
        raise UsageError(
            f"The telescope's name has {len(name)} characters; at most {MOST_CHARACTERS} are "
            "allowed."
        )
    with _file_alone() as path:
        entries = _entries()
        if name in entries and entries[name] != asdict(telescope) and not overwrite:
            raise UsageError(
                f"There is another telescope {name!r} already; it is kept. Choose another name, or "
                "remove it first."
            )
        _write(path, {**entries, name: asdict(telescope)})
    return path


def remove_telescope(name: str) -> Path:
    """Forget the telescope of a name, or a broken entry.

    Raises
    ------
    LuckyError
        If there is none, or the file cannot be written.
    """
    with _file_alone() as path:
        entries = _entries()
        if name not in entries:
            named_telescope(name)  # raises
        _write(path, {key: kept for key, kept in entries.items() if key != name})
    return path


@contextmanager
def _file_alone() -> Iterator[Path]:
    """Give the file of telescopes, which no other process changes meanwhile."""
    path = telescopes_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LuckyError(f"{path.parent}: cannot be made ({error.strerror}).") from error
    with locked_by(path.with_suffix(".lock")):
        yield path


def _write(path: Path, entries: Mapping[str, Any]) -> None:
    write_text(path, tomli_w.dumps({name: entries[name] for name in sorted(entries)}))


NAMES = {
    "diameter_m": "the diameter (m)",
    "wavelength_nm": "the wavelength (nm)",
    "focal_ratio": "the focal ratio",
    "pixel_um": "the pixel size (µm)",
}


def telescope_of(*known: Mapping[str, float | None]) -> Telescope:
    """Put a telescope together from what is known of it; what comes later wins.

    Parameters
    ----------
    known : mapping of str to float or None
        Parameters of `Telescope`, and `focal_length_m`, which with the diameter gives the focal
        ratio. None is not known. The obstruction is 0 where nothing gives it.

    Raises
    ------
    LuckyError
        If something is missing or makes no sense.
    """
    return Telescope(**known_optics(*known, needed=tuple(NAMES)))


OPTICS = ("wavelength_nm", "focal_ratio", "pixel_um")
"""What decides lambda/D in pixels."""


def diffraction_of(*known: Mapping[str, float | None]) -> Diffraction | None:
    """Return the diffraction-limited PSF of what is known of a telescope, as `telescope_of`.

    None if wavelength, focal ratio or pixel are not known; `no_strehl` says which.

    Raises
    ------
    LuckyError
        If something makes no sense.
    """
    optics = known_optics(*known, needed=())
    px = sampling(optics)
    return None if px is None else Diffraction(px, optics["obstruction"])


def no_strehl(*known: Mapping[str, float | None]) -> str:
    """Return a sentence on what is missing for a Strehl ratio."""
    optics = known_optics(*known, needed=())
    missing = [NAMES[name] for name in OPTICS if name not in optics]
    *first, last = missing
    names = f"{', '.join(first)} and {last}" if first else last
    return (
        f"No Strehl ratio was measured: {names} {'are' if first else 'is'} not known. Give "
        f"{'them' if first else 'it'}, or choose a saved telescope."
    )


def missing_optics(*known: Mapping[str, float | None], needed: tuple[str, ...] = OPTICS) -> str:
    """Return a sentence on what is needed of a telescope and not known; empty if all is."""
    names = {name for some in known for name, value in some.items() if value is not None}
    if "focal_length_m" in names:  # with the diameter, which `known_optics` asks for
        names.add("focal_ratio")
    missing = [words for name, words in NAMES.items() if name in needed and name not in names]
    if not missing:
        return ""
    return (
        f"Missing telescope figures, also not in the FITS header: {', '.join(missing)}. Give "
        f"{'it' if len(missing) == 1 else 'them'}, or choose a saved telescope."
    )


def known_optics(
    *known: Mapping[str, float | None],
    needed: tuple[str, ...] = OPTICS,
) -> dict[str, float]:
    """Put together what is known of a telescope, as `telescope_of` does, without a diameter.

    Raises
    ------
    LuckyError
        If something needed is missing or makes no sense, or a focal length has no diameter
        beside it.
    """
    values: dict[str, float] = {"obstruction": 0.0}
    for some in known:
        given = {name: value for name, value in some.items() if value is not None}
        focal = given.pop("focal_length_m", None)
        values.update(given)
        if focal is not None:
            if values.get("diameter_m", 0) <= 0:
                raise UsageError("A focal length needs the telescope's diameter too.")
            values["focal_ratio"] = focal / values["diameter_m"]
    if missing := missing_optics(values, needed=needed):
        raise UsageError(missing)
    if why := impossible(values):
        raise UsageError(why)
    return values


def telescope_notes(header: Any, given: Mapping[str, float | None]) -> tuple[str, ...]:
    """Return what is doubtful of a telescope, by its header and as it is given.

    Cards that make no sense, figures that are unusual, and an unknown obstruction.

    Parameters
    ----------
    header : mapping or astropy.io.fits.Header, optional
        Of the frames.
    given : mapping of str to float or None
        Parameters as `telescope_of` takes them; they win over the header's.
    """
    found = header_telescope(header)
    notes = list(header_doubts(header))
    if "obstruction" not in found and given.get("obstruction") is None:
        notes.append(
            "The central obstruction is not known and was taken as 0. Give it, even if it is 0: "
            "the diffraction-limited image depends on it."
        )
    return (*notes, *unusual(known_optics(found, given)))
