"""What options of the command line mean: texts made into parameters of a recipe."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from napari_lucky.errors import LuckyError
from napari_lucky.imaging.star_image import check_smooth
from napari_lucky.pipeline.recipe import Recipe, read_recipe

OFF, AUTO = "off", "auto"
GIVEN = ("dark", "flat", "focus", "defocus", "shifts", "register", "rank", "psf", "stack")
"""Options that are the recipe's parameters of the same names."""
CHOICE = ("keep", "keep_above", "add", "drop")
"""Options that say which frames are kept."""


def from_text(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let argparse show a converter's own sentence for a value that cannot be used."""

    def converted(text: str) -> Any:
        try:
            return convert(text)
        except LuckyError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return converted


def smoothing(text: str) -> float | str:
    """Return the pixels of a smoothing, or "auto"."""
    if text == AUTO:
        return AUTO
    try:
        value = float(text)
    except ValueError:
        raise LuckyError(f"{text!r} is neither a number of pixels, such as 2, nor auto") from None
    check_smooth(value)
    return value


def add_cleaning_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the cleaning; each gives a dictionary of parameters."""
    group = parser.add_argument_group("cleaning (all off by default; off turns a recipe's off)")
    for name, (metavar, convert, told) in CLEANING.items():
        group.add_argument(f"--{name}", type=from_text(convert), metavar=metavar, help=told)


def cleaning_changes(given: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters that the options of the cleaning give."""
    changes: dict[str, Any] = {}
    for name in CLEANING:
        changes.update(getattr(given, name.replace("-", "_")) or {})
    return changes


def recipe_of(given: argparse.Namespace) -> Recipe:
    """Return the recipe that the command line asks for: its own, with the options over it.

    Raises
    ------
    LuckyError
        If options do not go together, or no frames are given.
    """
    recipe = read_recipe(given.recipe) if given.recipe else Recipe()
    changes: dict[str, Any] = {
        name: getattr(given, name) for name in (*GIVEN, *CHOICE) if getattr(given, name) is not None
    }
    if given.frames:
        changes["frames"] = tuple(given.frames)
    if given.reference_frame is not None:
        changes["reference_frame"] = given.reference_frame
    if given.saturation is not None:
        changes["saturation"] = given.saturation
    for name in ("smooth", "rank_smooth"):
        if (value := getattr(given, name)) is not None:
            changes[name] = None if value == AUTO else value
    changes.update(cleaning_changes(given))
    if given.integers is not None:
        changes["integers"] = given.integers
    if given.range is not None:
        chosen = given.range
        changes.update(start=chosen.start, stop=chosen.stop, step=chosen.step)
    if given.keep is not None:
        if given.keep_above is not None:
            raise LuckyError("--keep and --keep-above: each says where the cut is; give one.")
        changes["keep_above"] = None  # of the recipe
    twice = [
        f"--{name.replace('_', '-')}"
        for name in ("register", "rank", *CHOICE)
        if changes.get(name) is not None
    ] + (["--reference"] if given.reference_frame is not None else [])
    if (given.shifts or recipe.shifts) and twice:
        raise LuckyError(
            f"{' and '.join(twice)}: --shifts says already which frames, and where. Leave one out, "
            "or edit the column selected of that table."
        )
    recipe = replace(recipe, **changes)
    if given.reference_frame is not None and recipe.register != "correlation":
        raise LuckyError(
            "--reference is what correlation compares with: add --register correlation."
        )
    if given.dust_on is not None and not recipe.seeks_dust:
        raise LuckyError("--dust-on says where dust is looked for: add --dust N,RADIUS.")
    if not recipe.frames:
        raise LuckyError("No frames were given; give a folder, a cube, or several FITS files.")
    return recipe


def _numbers(text: str, kinds: tuple[type, ...], words: tuple[str, ...], example: str) -> list[Any]:
    """Return numbers separated by commas, as many as there are or None, and the word at the end."""
    *parts, last = (part.strip() for part in text.split(","))
    word = last if last in words else None
    parts = parts if word else [*parts, last]
    try:
        if not 1 <= len(parts) <= len(kinds):
            raise ValueError
        values = [kind(part) for kind, part in zip(kinds, parts, strict=False)]
    except ValueError:
        raise LuckyError(f"{text!r} is not {example}.") from None
    return [*values, *[None] * (len(kinds) - len(values)), word]


def _outliers(text: str) -> dict[str, Any]:
    if text == OFF:
        return {"outliers": None}
    example = "SIGMA or SIGMA,mask or SIGMA,replace, such as 6,replace"
    sigma, word = _numbers(text, (float,), ("mask", "replace"), example)
    return {"outliers": sigma, "outliers_as": word or "mask"}


def _flicker(text: str) -> dict[str, Any]:
    if text == OFF:
        return {"flicker": None}
    return {"flicker": _numbers(text, (float,), (), "SIGMA, a number such as 6")[0]}


def _dust(text: str) -> dict[str, Any]:
    if text == OFF:
        return {"dust": None, "dust_spots": ()}
    example = "N,RADIUS or N,RADIUS,divide or N,RADIUS,mask, such as 5,12"
    most, radius, word = _numbers(text, (int, float), ("divide", "mask"), example)
    if radius is None:
        raise LuckyError(f"{text!r} is not {example}.")
    return {"dust": most, "dust_radius": radius, "dust_as": word or "divide", "dust_spots": ()}


def _dust_on(text: str) -> dict[str, Any]:
    return {"dust_on": text}


def _background(text: str) -> dict[str, Any]:
    if text == OFF:
        return {"background": None}
    example = "ORDER or ORDER,RADIUS or ORDER,RADIUS,speckle, such as 4 or 4,80"
    order, radius, word = _numbers(text, (int, float), ("window", "speckle"), example)
    centre = word or "window"
    return {"background": order, "background_radius": radius, "background_centre": centre}


def _noise_cut(text: str) -> dict[str, Any]:
    if text == OFF:
        return {"noise_cut": None}
    return {"noise_cut": _numbers(text, (float,), (), "SIGMA, a number such as 3")[0]}


def _low_pass(text: str) -> dict[str, Any]:
    if text == OFF:
        return {"low_pass": None}
    example = "CUTOFF or CUTOFF,SAMPLING, such as 0.15 (cycles/px) or 1,7 (diffraction limits)"
    cutoff, sampling, _ = _numbers(text, (float, float), (), example)
    return {"low_pass": cutoff, "sampling": sampling}


CLEANING: dict[str, tuple[str, Callable[[str], dict[str, Any]], str]] = {
    "dust": (
        "N,RADIUS[,divide|mask]",
        _dust,
        "at most N dust shadows of this radius (px) are divided out or masked",
    ),
    "dust-on": ("mean|FLAT", _dust_on, "where dust is found: the frames' mean (default), a flat"),
    "background": (
        "ORDER[,RADIUS][,speckle]",
        _background,
        "take off a polynomial of this order (0 to 6), fitted outside discs of RADIUS pixels "
        "around the windows' centres (to the windows' corners), or around the tracked speckle",
    ),
    "outliers": (
        "SIGMA[,mask|replace]",
        _outliers,
        "pixels that stand alone in a frame are masked, or replaced by the median around them",
    ),
    "flicker": ("SIGMA", _flicker, "the same for pixels that stand off what they usually are"),
    "noise-cut": ("SIGMA", _noise_cut, "remove Fourier coefficients under so many noise sigmas"),
    "low-pass": (
        "CUTOFF[,SAMPLING]",
        _low_pass,
        "Gaussian low-pass: half amplitude at CUTOFF cycles/px, or, with SAMPLING = lambda "
        "F#/pixel, at CUTOFF times the diffraction limit",
    ),
}
"""Option: how it is written, what makes parameters of it, its help."""
