"""Which of several files are the frames of a run, by their headers and names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from napari_lucky.errors import LuckyError
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.card_value import values_in
from napari_lucky.fits.file_names import (
    NumberedFiles,
    in_order,
    name_family,
    natural,
    numbered,
    stem_of,
)
from napari_lucky.fits.frame_kind import Kind, kind_in_header, kind_in_name, target_words
from napari_lucky.fits.header_scan import scan
from napari_lucky.fits.open_images import LeftOut, open_images
from napari_lucky.fits.plain_files import PlainFiles
from napari_lucky.fits.where import Condition, matching, on_axes
from napari_lucky.sources.kinds import source_of
from napari_lucky.sources.source_image import SourceImage, alike

LIKE_CALIBRATION = "named like a dark, flat or bias"


@dataclass
class Family:
    """Files named alike but for their numbers.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        In natural order.
    named : str
        What the names say the frames are of: "light" where they do not say it.
    kind : str
        What the first file is of, by its header or else by its name.
    """

    paths: Sequence[Path]
    named: Kind
    kind: Kind = "light"


@dataclass
class Choice:
    """The frames among files.

    Parameters
    ----------
    images : sequence of SourceImage
        In the order of the frames.
    left_out : list of LeftOut
        Files that are no frames of the run.
    odd : list of LeftOut
        Files that should be frames by their names, and cannot be read.
    """

    images: Sequence[SourceImage]
    left_out: list[LeftOut]
    odd: list[LeftOut]


def choose_frames(
    paths: Sequence[Path],
    where: tuple[Condition, ...] = (),
    wanted: Kind = "light",
    *,
    job: Job = QUIET,
) -> Choice:
    """Open the frames among files; those whose headers meet conditions.

    The greatest family of lights, or of the kind that is wanted, is taken; where there is none,
    lights, or the greatest family of darks, flats or biases with all of its kind. Of twins
    (x.fits, x.fits.gz) the first is taken.
    """
    if where:
        single, twins = _without_twins(sorted(paths, key=natural))
        single, others, of_axes = matching(single, where)
        choice = choose_frames(single, (), wanted, job=job)
        return Choice(
            on_axes(choice.images, of_axes), [*twins, *others, *choice.left_out], choice.odd
        )
    families, twins = list(families_of(paths)), list[LeftOut]()
    for family in families:  # twins are of one family
        if not isinstance(family.paths, NumberedFiles):
            family.paths, others = _without_twins(family.paths)
            twins += others
    lights = [family for family in families if family.kind == wanted]
    lights = lights or _with_frames_of(families, wanted)
    lights = lights or [family for family in families if family.kind == "light"]
    if not lights:
        kinds = [family.kind for family in families for _ in family.paths]
        kind = max(kinds, key=kinds.count)
        lights = [family for family in families if family.kind == kind]
    elif max(len(family.paths) for family in lights) > 1:
        lights.sort(key=lambda family: -len(family.paths))
        return _greatest(lights, families, twins, job)
    paths = sorted((path for family in lights for path in family.paths), key=natural)
    one = Family(paths, lights[0].named, lights[0].kind)
    rest = [family for family in families if family not in lights]
    return _greatest([one], [one, *rest], twins, job)


def _with_frames_of(families: list[Family], wanted: Kind) -> list[Family]:
    """Return the families of which some files, but not the first, are of a kind by their headers.

    They are taken for that.
    """
    found = [family for family in families if wanted in map(_kind_by_header, family.paths)]
    for family in found:
        family.kind = wanted
    return found


def _greatest(
    lights: list[Family], families: list[Family], twins: list[LeftOut], job: Job
) -> Choice:
    """Take the family with most frames of its kind, opening no more than needed."""
    best: tuple[int, Family, Sequence[SourceImage], list[LeftOut], list[LeftOut]] | None = None
    for family, following in zip(lights, [*lights[1:], None], strict=True):
        images, odd = open_images(in_order(family.paths), job=job)
        frames, others = _of_kind(images, family)
        one_each = isinstance(frames, PlainFiles)
        found = len(frames) if one_each else len({image.path for image in frames})
        if best is None or found > best[0]:
            best = found, family, frames, others, odd
        if following is None or best[0] >= len(following.paths):
            break
    assert best is not None
    _, chosen, frames, others, odd = best
    left_out = [*twins, *others]
    like = stem_of(chosen.paths[0])
    for family in families:
        if family is not chosen:
            left_out += [LeftOut(path, _reason(family, chosen, like)) for path in family.paths]
    return Choice(frames, left_out, odd)


def _of_kind(
    images: Sequence[SourceImage], family: Family
) -> tuple[Sequence[SourceImage], list[LeftOut]]:
    """Part the images of a family's kind from others, by what their headers say."""
    kinds: dict[bytes, Kind] = {}
    for image, _ in alike(images):
        if image.header_cards.settings not in kinds:
            said = kind_in_header(values_in(image.header_cards.settings))
            kinds[image.header_cards.settings] = said or family.named
    wanted = family.kind
    if wanted not in kinds.values() or set(kinds.values()) == {wanted}:
        return images, []
    of = [kinds[image.header_cards.settings] for image in images]
    frames = [image for image, kind in zip(images, of, strict=True) if kind == wanted]
    others = {image.path: kind for image, kind in zip(images, of, strict=True) if kind != wanted}
    return frames, [LeftOut(path, f"its header says {kind}") for path, kind in others.items()]


def is_calibration(reason: str) -> bool:
    """Return whether files were left out of a run of lights for being darks, flats or biases."""
    return reason in (LIKE_CALIBRATION, *(f"its header says {kind}" for kind in ("dark", "flat")))


def _reason(family: Family, chosen: Family, like: str) -> str:
    if family.kind == "light" != chosen.kind:
        return f"not a {chosen.kind}, by its header or name"
    if family.kind != chosen.kind:
        if family.kind == family.named != "light":
            return LIKE_CALIBRATION
        return f"its header says {family.kind}"
    return f"not named like the frames ({like})"


def _without_twins(paths: Sequence[Path]) -> tuple[list[Path], list[LeftOut]]:
    """Return files; of those of one stem in one folder the first."""
    first: dict[tuple[str, str], Path] = {}
    twins = []
    for path in paths:  # by their texts: paths are slow to compare
        twin = first.setdefault((os.path.dirname(path), stem_of(path)), path)
        if twin is not path:
            twins.append(LeftOut(path, f"the same frame as {twin.name}"))
    return list(first.values()), twins


def families_of(paths: Sequence[Path]) -> Iterator[Family]:
    """Yield the families of files, in the natural order of their first ones.

    Of each, one header is read.
    """
    found: dict[str, list[Sequence[Path]]] = {}
    for part in numbered(paths):
        found.setdefault(name_family(stem_of(part[0])), []).append(part)
    families = [
        parts[0] if len(parts) == 1 else sorted(chain(*parts), key=natural)
        for parts in found.values()
    ]
    families.sort(key=lambda members: natural(members[0]))
    targets = target_words(stem_of(members[0]) for members in families)
    for members in families:
        named = kind_in_name(stem_of(members[0]), targets) or "light"
        yield Family(members, named, _kind_by_header(members[0]) or named)


def _kind_by_header(path: Path) -> Kind | None:
    if source_of(path.name):
        return None
    with suppress(LuckyError):  # reported where it is opened
        return kind_in_header(values_in(scan(path)[1].settings))
    return None
