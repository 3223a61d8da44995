"""Which kinds of files hold frames, by the end of their names; FITS has its own room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TypeVar

from napari_lucky.sources.source_image import SourceImage

Open = TypeVar("Open", bound=Callable[[Path], Sequence[SourceImage]])
SOURCES: dict[str, Callable[[Path], Sequence[SourceImage]]] = {}
"""End of a name, in small letters → what opens such a file."""
READ = (
    "Frames are read from FITS (.fits, .fit, .fts, also packed: .gz, .bz2, .xz, .fz), SER (.ser) "
    "and TIFF (.tif, .tiff)"
)
SER = "convert it to SER (PIPP, Siril and others do)"
LINEAR = "convert it to FITS or TIFF with linear pixels (Siril does)"
CURVE = "its pixels have 8 bits or a tone curve; save the frames as FITS, SER or TIFF"
OTHERS = {
    "a video": ("avi mp4 mov mkv wmv m4v mpg mpeg webm", SER),
    "a camera's raw file": ("cr2 cr3 crw nef arw dng orf raf rw2 pef srw raw", LINEAR),
    "a picture": ("png jpg jpeg gif bmp webp heic", CURVE),
    "a PixInsight image": ("xisf", "save it as FITS"),
    "an ADV recording": ("adv aav", "export it as FITS or SER (Tangra does)"),
    "an array": ("npy npz h5 hdf5 zarr", "save it as FITS"),
    "an archive": ("zip 7z rar tar tgz z zst lz4 lzma", "unpack it"),
}
"""What other programs open: the ends of names, and what to do."""
FOREIGN = {f".{end}": (what, hint) for what, (ends, hint) in OTHERS.items() for end in ends.split()}


def source(*suffixes: str) -> Callable[[Open], Open]:
    """Take a function as what opens files whose names end so: in a file here, nothing else is due.

    It is called with a path, and returns the images in the file; it raises a `LuckyError` that
    names the file if there are none.

    Parameters
    ----------
    *suffixes : str
        Endings of file names, such as ".ser".

    Returns
    -------
    callable
        A decorator.
    """

    def add(opens: Open) -> Open:
        SOURCES.update(dict.fromkeys(suffixes, opens))
        return opens

    return add


@cache
def load_sources() -> dict[str, Callable[[Path], Sequence[SourceImage]]]:
    """Import all modules of this room, and return what opens which files."""
    room = import_module(__name__.rpartition(".")[0])
    for module in iter_modules(room.__path__):
        import_module(f"{room.__name__}.{module.name}")
    return dict(sorted(SOURCES.items()))


def source_of(name: str) -> Callable[[Path], Sequence[SourceImage]] | None:
    """Return what opens a file of this name; None of FITS files and of those of other kinds."""
    lower = name.lower()
    return next((opens for end, opens in load_sources().items() if lower.endswith(end)), None)


def foreign_note(name: str) -> str | None:
    """Return what to do with a file that other programs open, by its name; None of any other."""
    found = FOREIGN.get(Path(name).suffix.lower())
    if found is None:
        return None
    return f"this is {found[0]}, which cannot be read: {found[1]}. {READ}."


def count_kinds(names: Iterable[str]) -> str:
    """Return how many files of which kinds there are among names: 12 .avi, 1 .txt."""
    ends = Counter(Path(name).suffix.lower() or "without an ending" for name in names)
    return ", ".join(f"{count} {end}" for end, count in ends.most_common(4))
