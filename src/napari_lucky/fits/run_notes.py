"""What a user should know of a run that was opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_lucky.fits.card_value import cards_in, keyword_of, values_in
from napari_lucky.fits.choose_frames import is_calibration
from napari_lucky.fits.file_names import one_place
from napari_lucky.fits.image import FitsImage
from napari_lucky.fits.layout import raw_headers
from napari_lucky.fits.plain_files import paths_of, time_cards_of
from napari_lucky.fits.settings import mixture_notes
from napari_lucky.fits.sound_header import Damage, damage_of, sound_cards
from napari_lucky.fits.times import cards_times
from napari_lucky.notices import Notice
from napari_lucky.sources.colour import colour_notes
from napari_lucky.sources.source_image import SourceImage, alike
from napari_lucky.text import counted, readable

if TYPE_CHECKING:
    from napari_lucky.fits.run import Run


def run_notes(run: Run) -> list[str]:
    """Return a sentence for each thing that a user should know of a run: files and colours."""
    return [*file_notes(run), *colour_notes(run.images, run.colour)]


def file_notes(run: Run) -> list[str]:
    """Return a sentence for each thing that a user should know of the files of a run or a master.

    Files that were left out beside it, by the reason; damaged header cards; settings that are not
    the same in all frames; times that contradict the order.
    """
    by_reason: dict[tuple[str, bool], list[Path]] = {}
    for path, reason, is_lost in run.left_out:
        by_reason.setdefault((readable(reason), is_lost), []).append(path)
    notices: list[str] = []
    for (reason, is_lost), paths in by_reason.items():
        names = ", ".join(readable(path.name) for path in paths[:3])
        more = f" and {len(paths) - 3} more" if paths[3:] else ""
        why = reason.partition(". ")[0].removesuffix(".")
        notices.append(
            Notice(
                f"Not part of the run: {names}{more} ({why}). Use them as dark or flat if they fit."
                if is_calibration(reason)
                else f"Left out {names}{more}: {why}.",
                "warning" if is_lost else "info",
                one_place(paths),
            )
        )
    where = one_place(paths_of(run.images))
    own = [one if isinstance(one, Notice) else Notice(one, file=where) for one in run.notes]
    return [*notices, *own]


def notes_of(images: Sequence[SourceImage]) -> tuple[str, ...]:
    """Return what headers and names of a run's images make worth saying."""
    own = dict.fromkeys(note for image, _ in alike(images) for note in image.notes)
    headers = (*_header_notes(images[0]), *_damage_notes(images))
    return (*own, *headers, *mixture_notes(images), *_type_notes(images), *_order_notes(images))


def _header_notes(first: SourceImage) -> list[str]:
    """Say which cards of the first header are damaged, and what is odd in how pixels are stored."""
    if not isinstance(first, FitsImage):
        return []
    primary, own = raw_headers(first.path, first.layout.hdu)
    notes = sound_cards(primary)[1].notes()
    notes += [] if own == primary else sound_cards(own)[1].notes()
    values = values_in(own)
    bits, zero = values.get("BITPIX"), values.get("BZERO")
    if isinstance(bits, float) and bits < 0 and zero in (32768.0, 2147483648.0):
        notes.append(
            f"The pixels are floating point, and BZERO = {zero:g} is added to them, as the FITS "
            "standard says: the contrast may be nearly gone. It may be left over from unsigned "
            "integers; if "
            "so, remove BZERO and BSCALE from the headers."
        )
    return notes


def _damage_notes(images: Sequence[SourceImage], most: int = 3) -> list[str]:
    """Say which files have damaged cards of other keywords than the first one, and show some."""
    if not any(image.header_cards.damaged for image, _ in alike(images)):
        return []
    first, *others = {image.path: image.header_cards.damaged for image in images}.items()
    known = {(keyword_of(card), did) for card in cards_in(first[1]) for did, _ in _judged(card)}
    files: dict[str, dict[Path, None]] = {}
    damage = {"repaired": dict[str, None](), "left_out": dict[str, None]()}
    for path, damaged in others:
        for card in cards_in(damaged):
            for did, shown in _judged(card):
                if (keyword_of(card), did) not in known:
                    files.setdefault(did, {})[path] = None
                    damage[did][shown] = None
    notes = []
    for did, of in files.items():
        names = ", ".join(readable(path.name) for path in [*of][:most])
        more = f" and {len(of) - most} more" if len(of) > most else ""
        notes += [f"{names}{more}: {note}" for note in Damage(**{did: [*damage[did]]}).notes()]
    return notes


def _judged(card: bytes) -> list[tuple[str, str]]:
    """Return what is done with a damaged card, and the card as a person reads it."""
    damage = damage_of(card)
    left_out = [("left_out", text) for text in damage.left_out]
    return [*(("repaired", text) for text in damage.repaired), *left_out]


def _type_notes(images: Sequence[SourceImage]) -> list[str]:
    """Say if files hold numbers of different types, such as where some lack BZERO."""
    frames: Counter[str] = Counter()
    for image, n in alike(images):
        frames[str(image.layout.dtype)] += n * image.layout.shape[0]
    if len(frames) < 2:
        return []
    counts = ", ".join(f"{name} ({counted(n, 'frame')})" for name, n in frames.most_common())
    return [
        f"The frames differ in number type: {counts}. Check that their pixels are of one scale "
        "(BZERO and BSCALE in the headers)."
    ]


def _order_notes(images: Sequence[SourceImage]) -> list[str]:
    """Say if frames were taken in another order than their names have."""
    cards = time_cards_of(images)
    if all(one <= following for one, following in pairwise(cards)):
        return []
    times = cards_times(cards)
    late = np.flatnonzero(times[1:] < times[:-1])  # a time that is not known is neither
    if len(late) == 0:
        return []
    before, after = (readable(images[late[0] + k].path.name) for k in (0, 1))
    more = f", and so on in {len(late)} places" if len(late) > 1 else ""
    return [
        f"The order of the names is not that of the times (DATE-OBS): {after} was taken before"
        f" {before}{more}. The order of the names is kept."
    ]
