"""The images of a run's files where all are alike, as most runs are: an object for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from napari_lucky.files.open_file import Stamp
from napari_lucky.fits.file_names import FolderFiles
from napari_lucky.fits.header_scan import AlikeHeaders
from napari_lucky.fits.image import FitsImage
from napari_lucky.fits.layout import Layout
from napari_lucky.sources.source_image import HeaderCards, SourceImage


class PlainFiles(Sequence[SourceImage]):
    """Files of one folder and one layout, with an image each that is made when it is asked for.

    Parameters
    ----------
    paths : FolderFiles
    layout : Layout
        Of each.
    size : int
        Bytes of each.
    headers : AlikeHeaders
        What else is known of them.
    """

    def __init__(
        self, paths: FolderFiles, layout: Layout, size: int, headers: AlikeHeaders
    ) -> None:
        self.paths, self.layout, self.size, self.headers = paths, layout, size, headers

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, which: int) -> FitsImage: ...
    @overload
    def __getitem__(self, which: slice) -> list[SourceImage]: ...
    def __getitem__(self, which: int | slice) -> FitsImage | list[SourceImage]:
        if isinstance(which, slice):
            return [self[k] for k in range(*which.indices(len(self)))]
        of = self.headers
        settings, _, damaged = of.cards[of.which[which]]
        cards = HeaderCards(settings, of.times[which], damaged)
        stamp = Stamp(self.size, int(of.changed[which]))
        return FitsImage(self.paths[which], self.layout, None, stamp, cards)

    @property
    def alike(self) -> list[tuple[SourceImage, int]]:
        """Images that stand for all whose headers say the same but for times; how many these are.

        The first of each kind, in order.
        """
        _, first, counts = np.unique(self.headers.which, return_index=True, return_counts=True)
        return [(self[k], n) for k, n in zip(first.tolist(), counts.tolist(), strict=True)]


def paths_of(images: Sequence[SourceImage]) -> Sequence[Path]:
    """Return the file of each image."""
    return images.paths if isinstance(images, PlainFiles) else [image.path for image in images]


def stamps_of(images: Sequence[SourceImage]) -> list[Stamp | None]:
    """Return what the file of each image was when its run was opened."""
    if isinstance(images, PlainFiles):
        return [Stamp(images.size, when) for when in images.headers.changed.tolist()]
    return [image.stamp for image in images]


def planes_of_each(images: Sequence[SourceImage]) -> NDArray[np.intp]:
    """Return how many planes each image has."""
    if isinstance(images, PlainFiles):
        return np.full(len(images), images.layout.shape[0])
    return np.array([image.layout.shape[0] for image in images], np.intp)


def time_cards_of(images: Sequence[SourceImage]) -> list[bytes]:
    """Return the cards of the file of each image that say when it was taken."""
    if isinstance(images, PlainFiles):
        return images.headers.times
    return [image.header_cards.times for image in images]
