"""A recipe: everything that decides the result of a job, as a TOML file that replays it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import tomli_w

from napari_lucky._version import __version__
from napari_lucky.calibration.bad_pixels import HOT_SIGMA
from napari_lucky.calibration.masters import DEAD_BELOW, check_calibration
from napari_lucky.cleaning.clean import Cleaning
from napari_lucky.errors import LuckyError
from napari_lucky.files.toml import parse_toml
from napari_lucky.fits.integers import parse_integers
from napari_lucky.frames.window import Window
from napari_lucky.imaging.star_image import check_smooth
from napari_lucky.optics.diffraction import Diffraction
from napari_lucky.ranking.metrics import check_metric
from napari_lucky.ranking.rank import DEFAULT_METRIC
from napari_lucky.ranking.selection import ByHand, check_above, check_keep
from napari_lucky.registration.correlation import check_reference_frame
from napari_lucky.registration.register import METHODS
from napari_lucky.stacking.methods import parse_stack
from napari_lucky.text import readable, stored

WindowSpec = tuple[int, int, int]
"""(y, x, size): the centre's row and column from 0, and the side, in pixels."""
PsfSpec = tuple[float, float]
"""(sampling, obstruction): lambda F#/pixel in pixels, and the obstruction over the pupil."""


@dataclass(frozen=True)
class Recipe(Cleaning):
    """All parameters of the main job, those of `Cleaning` among them.

    What is None is found, or left out.

    Parameters
    ----------
    frames : tuple of str
        A folder, a cube, or several files.
    start, stop, step : int, optional
        First frame used, one past the last, and from each to the next, as in a slice.
    dark, flat : str, optional
        A file or a folder of frames.
    combine, clip_sigma, hot_sigma, dead_below
        See `napari_lucky.calibrate`.
    saturation : float, optional
        ADU from which raw pixels are masked; from the header or the file's integers if None.
    focus, defocus : (y, x, size), optional
        The two windows; the focused star is found if None, the defocused one left out.
    register, smooth, reference_frame
        See `napari_lucky.register`. The smoothing goes by the run's sampling if None.
    shifts : str, optional
        The frames.csv of an earlier job, whose shifts and choice of frames are taken; then
        nothing is registered or ranked.
    rank, rank_smooth
        See `napari_lucky.rank`. The smoothing goes by the run's sampling if None.
    psf : (sampling, obstruction), optional
        Of the diffraction-limited PSF, which some metrics need; see `napari_lucky.Diffraction`.
    keep : float or int
        Fraction or count of frames to keep; see `napari_lucky.select`.
    keep_above : float, optional
        Keep the frames of this quality and better instead.
    add, drop : tuple of int
        Numbers in the run of frames that are kept, or left out, wherever the cut is.
    stack : str
        How frames are stacked, such as "mean" or "clipped,3"; see `napari_lucky.stack`.
    subpixel : bool
        Whether frames are shifted by fractions of a pixel.
    integers : str, optional
        Write the images as 16-bit integers: "scaled", or "FULL" or "FULL,BITS" for levels of a
        full scale in ADU; float32 if None. It decides the files, not the `Result`.
    """

    frames: tuple[str, ...] = ()
    start: int | None = None
    stop: int | None = None
    step: int | None = None
    dark: str | None = None
    flat: str | None = None
    combine: str = "mean"
    clip_sigma: float = 4.0
    hot_sigma: float = HOT_SIGMA
    dead_below: float = DEAD_BELOW
    saturation: float | None = None
    focus: WindowSpec | None = None
    defocus: WindowSpec | None = None
    register: str = "brightest"
    smooth: float | None = None
    reference_frame: str = "best"
    shifts: str | None = None
    rank: str = DEFAULT_METRIC
    rank_smooth: float | None = None
    psf: PsfSpec | None = None
    keep: float | int = 0.1
    keep_above: float | None = None
    add: tuple[int, ...] = ()
    drop: tuple[int, ...] = ()
    stack: str = "mean"
    subpixel: bool = True
    integers: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_keep(self.keep)
        if self.keep_above is not None:
            check_above(self.keep_above)
        ByHand(self.add, self.drop)  # raises if they make no sense
        if self.integers is not None:
            parse_integers(self.integers)
        parse_stack(self.stack)
        for smooth in (self.smooth, self.rank_smooth):
            if smooth is not None:
                check_smooth(smooth)
        check_reference_frame(self.reference_frame)
        check_calibration(
            self.combine, self.clip_sigma, self.hot_sigma, self.dead_below, self.saturation
        )
        if self.step is not None and self.step < 1:
            raise LuckyError(f"The step from frame to frame is {self.step}; it must be 1 or more.")
        for name in PATHS:
            if getattr(self, name) == "":
                raise LuckyError(f"The path of the {name} is empty; give one, or leave it out.")
        if self.register not in METHODS:
            raise LuckyError(f"Registration is by {', '.join(METHODS)}; not by {self.register!r}.")
        check_metric(self.rank, self.diffraction)

    def window(self, name: str) -> Window | None:
        """Return the window "focus" or "defocus", if it is given."""
        spec = getattr(self, name)
        return None if spec is None else Window.centred(*spec)

    @property
    def diffraction(self) -> Diffraction | None:
        """What decides the diffraction-limited PSF, if it is given."""
        return None if self.psf is None else Diffraction(*self.psf)


SECTIONS: dict[str, tuple[str, ...]] = {
    "input": ("frames", "start", "stop", "step", "dark", "flat"),
    "calibration": ("combine", "clip_sigma", "hot_sigma", "dead_below", "saturation"),
    "cleaning": tuple(f.name for f in fields(Cleaning)),
    "registration": ("focus", "defocus", "register", "smooth", "reference_frame", "shifts"),
    "ranking": ("rank", "rank_smooth", "psf", "keep", "keep_above", "add", "drop"),
    "stacking": ("stack", "subpixel"),
    "output": ("integers",),
}
PATHS = ("dark", "flat", "dust_on", "shifts")
NO_PATHS = (None, "", "mean")
CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "str": (lambda v: isinstance(v, str), "text"),
    "int": (lambda v: isinstance(v, int) and not isinstance(v, bool), "a whole number"),
    "float": (lambda v: isinstance(v, (int, float)) and not isinstance(v, bool), "a number"),
    "bool": (lambda v: isinstance(v, bool), "true or false"),
    "WindowSpec": (
        lambda v: isinstance(v, list) and len(v) == 3 and all(type(i) is int for i in v),
        "[y, x, size] in whole pixels",
    ),
    "PsfSpec": (
        lambda v: isinstance(v, list) and len(v) == 2 and all(CHECKS["float"][0](i) for i in v),
        "[lambda F#/pixel, obstruction]",
    ),
    "tuple[SpotSpec, ...]": (
        lambda v: isinstance(v, list) and all(is_spot(i) for i in v),
        "a list of [y, x, radius] in pixels",
    ),
    "tuple[str, ...]": (
        lambda v: isinstance(v, list) and all(isinstance(i, str) for i in v),
        "a list of paths",
    ),
    "tuple[int, ...]": (
        lambda v: isinstance(v, list) and all(type(i) is int for i in v),
        "a list of frame numbers",
    ),
}


def is_spot(value: Any) -> bool:
    """Tell whether something read from TOML is [y, x, radius]."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
    )


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def recipe_to_toml(recipe: Recipe) -> str:
    """Return the recipe as TOML text, paths made absolute."""
    sections: dict[str, Any] = {"napari-lucky": {"version": __version__}}
    for section, names in SECTIONS.items():
        values: dict[str, Any] = {name: getattr(recipe, name) for name in names}
        for name in PATHS:
            if values.get(name) not in NO_PATHS:
                values[name] = readable(str(Path(values[name]).absolute()))
        if "frames" in values:
            values["frames"] = [readable(str(Path(p).absolute())) for p in values["frames"]]
        sections[section] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None
        }
    return tomli_w.dumps(sections)


def read_recipe(path: str | Path) -> Recipe:
    r"""Read a recipe; relative paths in it count from the recipe's folder.

    A name that is not UTF-8 is written with its bytes as numbers, \xe9, and found by them.

    Raises
    ------
    LuckyError
        If the file cannot be read, is not TOML, or says something that is no recipe.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LuckyError(f"{path}: the recipe cannot be read ({error.strerror}).") from error
    found = parse_toml(path, content)
    types = {f.name: str(f.type) for f in fields(Recipe)}
    values: dict[str, Any] = {}
    for section, content in found.items():
        if section == "napari-lucky":
            continue
        if not isinstance(content, dict):
            raise LuckyError(f"{path}: {section} stands alone; a recipe has only sections.")
        if section not in SECTIONS:
            raise LuckyError(
                f"{path}: a recipe has no section [{section}], only {', '.join(SECTIONS)}."
            )
        for name, value in content.items():
            if name not in SECTIONS[section]:
                raise LuckyError(
                    f"{path}: [{section}] has no {name!r}, only {', '.join(SECTIONS[section])}."
                )
            fits, expected = CHECKS[types[name].removesuffix(" | None").split(" | int")[0]]
            if not fits(value):
                raise LuckyError(f"{path}: {name} in [{section}] must be {expected}: {value!r}.")
            values[name] = _frozen(value)
    for name in PATHS:
        if values.get(name) not in NO_PATHS:
            values[name] = stored(str(path.parent / values[name]))
    if "frames" in values:
        values["frames"] = tuple(stored(str(path.parent / p)) for p in values["frames"])
    try:
        return replace(Recipe(), **values)
    except LuckyError as error:
        raise LuckyError(f"{path}: {error}") from error
