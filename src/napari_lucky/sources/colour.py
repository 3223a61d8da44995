"""Frames in colour made frames of one number a pixel: luminance, a plane, or cells of a mosaic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.files.open_file import Stamp
from napari_lucky.frames.window import Window
from napari_lucky.sources.source_image import HeaderCards, PixelForm, SourceImage, alike
from napari_lucky.text import counted

Colour = Literal["luminance", "red", "green", "blue", "superpixel", "frames"]
"""Of three planes their mean or one of them; of a mosaic the mean of each cell of 2 x 2 pixels, or
those of one colour; "frames" takes all planes as frames, and mosaics as they are."""
CHOICES: tuple[str, ...] = get_args(Colour)
PLANES = {"red": (0,), "green": (1,), "blue": (2,), "luminance": (0, 1, 2)}
LETTERS = {"red": "R", "green": "G", "blue": "B"}
LEAST_SIDE = 16
"""Rows and columns of an image whose third axis counts colours; no frame is three pixels wide."""
OF_MOSAIC = ("BAYERPAT", "XBAYROFF", "YBAYROFF", "COLORTYP", "ROWORDER")


@dataclass(frozen=True, eq=False)
class OfColour:
    """An image whose pixels are made of several numbers of another one; a view, nothing is copied.

    Parameters
    ----------
    image : SourceImage
        As the file has it.
    colour : str
        What is made of it.
    level : float, optional
        Numbers of the file of this many ADU and more are clipped: a mean that one of them is in is
        not known, and the greatest stands for it. By default the greatest of an integer type.
    """

    image: SourceImage
    colour: str
    level: float | None = field(default=None, kw_only=True)

    @property
    def path(self) -> Path:
        """The file."""
        return self.image.path

    @property
    def stamp(self) -> Stamp | None:
        """What the file was when its run was opened."""
        return self.image.stamp

    @property
    def notes(self) -> tuple[str, ...]:
        """As those of the file's image."""
        return self.image.notes

    @property
    def colours(self) -> str:
        """None: a number a pixel."""
        return ""

    @property
    def header_cards(self) -> HeaderCards:
        """As that of the file's image."""
        return self.image.header_cards

    @property
    def read_as(self) -> str:
        """As that of the file's image."""
        return self.image.read_as

    def _mean(self, parts: NDArray[Any], out: NDArray[Any]) -> None:
        """Put the mean over the first axis of numbers, or the greatest where one is clipped."""
        np.mean(parts, axis=0, dtype=np.float32, out=out)
        level, dtype = self.level, parts.dtype
        if level is None:
            level = float(np.iinfo(dtype).max) if dtype.kind in "iu" else np.inf
        if len(parts) > 1 and np.fmax.reduce(parts, axis=None) >= level:
            greatest = parts.max(axis=0)
            np.copyto(out, greatest, where=greatest >= level, casting="unsafe")

    def times(self) -> NDArray[np.datetime64] | None:
        """Return when each frame was taken."""
        return self.image.times()


class OfPlanes(OfColour):
    """The mean of three planes, or one of them."""

    @property
    def layout(self) -> PixelForm:
        """Frames, rows and columns; the numbers of one plane are the file's, else float32."""
        (n, ny, nx), dtype = self.image.layout.shape, self.image.layout.dtype
        mean = len(PLANES[self.colour]) > 1
        dtype = np.dtype(np.float32) if mean else dtype
        return PixelForm((n // 3, ny, nx), dtype, self.image.layout.family)

    def times(self) -> NDArray[np.datetime64] | None:
        """Return when each frame was taken: its first plane."""
        times = self.image.times()
        return None if times is None else times[::3]

    def read_into(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        """Read some frames, cut to a window, into an array (k, height, width)."""
        used = PLANES[self.colour]
        wanted = [3 * frame + plane for frame in planes for plane in used]
        if len(used) == 1 and out.dtype == self.image.layout.dtype:
            return self.image.read_into(out, wanted, window)
        pixels = np.empty((len(wanted), *window.shape), self.image.layout.dtype)
        self.image.read_into(pixels, wanted, window)
        self._mean(pixels.reshape(-1, len(used), *window.shape).swapaxes(0, 1), out)

    def header(self) -> Any:
        """Return the header, which says what the frames are."""
        header = self.image.header()
        header.remove("COLORTYP", ignore_missing=True)
        header.remove("COLORSPC", ignore_missing=True)
        header["COMMENT"] = _said_of_planes(self.colour)
        return header


@dataclass(frozen=True, eq=False)
class OfCells(OfColour):
    """The mean of the pixels, or of those of one colour, of each cell of 2 x 2 pixels of a mosaic.

    Parameters
    ----------
    pattern : str
        Colours of a cell's pixels, row by row.
    """

    pattern: str

    @property
    def layout(self) -> PixelForm:
        """Frames, and half as many rows and columns as the sensor has, of float32."""
        n, ny, nx = self.image.layout.shape
        form = (n, ny // 2, nx // 2)
        return PixelForm(form, np.dtype(np.float32), self.image.layout.family)

    @cached_property
    def _used(self) -> list[int]:
        letter = LETTERS.get(self.colour)
        return [k for k in range(4) if letter is None or self.pattern[k] == letter]

    def read_into(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        """Read some frames, cut to a window, into an array (k, height, width)."""
        whole = Window(*(2 * side for side in (window.y0, window.x0, *window.shape)))
        pixels = np.empty((len(planes), *whole.shape), self.image.layout.dtype)
        self.image.read_into(pixels, planes, whole)
        parts = [pixels[:, k // 2 :: 2, k % 2 :: 2] for k in self._used]
        self._mean(np.stack(parts), out)

    def header(self) -> Any:
        """Return the header of the mosaic; a pixel of these frames is twice as wide as its."""
        header = self.image.header()
        for keyword in OF_MOSAIC:
            header.remove(keyword, ignore_missing=True)
        header["COMMENT"] = f"{_of_cells(self.colour)} of a mosaic ({self.pattern})"
        return header


@dataclass(frozen=True, eq=False)
class OfLastAxis(OfColour):
    """Three planes of an image whose file has the colours of each pixel side by side."""

    @property
    def colours(self) -> str:
        """Three planes."""
        return "RGB"

    @property
    def layout(self) -> PixelForm:
        """Three planes, rows and columns."""
        ny, nx, _ = self.image.layout.shape
        return PixelForm((3, ny, nx), self.image.layout.dtype, self.image.layout.family)

    def times(self) -> NDArray[np.datetime64] | None:
        """Return None: the headers say what is known."""
        return None

    def read_into(self, out: NDArray[Any], planes: Sequence[int], window: Window) -> None:
        """Read some planes, cut to a window, into an array (k, height, width)."""
        rows = range(window.y0, window.y1)
        for k, plane in enumerate(planes):
            pixels = np.empty((*window.shape, 1), self.image.layout.dtype)
            self.image.read_into(pixels, rows, Window(window.x0, plane, window.width, 1))
            out[k] = pixels[..., 0]

    def header(self) -> Any:
        """Return the header of the file."""
        return self.image.header()


def as_in_file(image: Any) -> Any:
    """Return the image as its file has it."""
    while isinstance(image, OfColour):
        image = image.image
    return image


def _turned(images: Sequence[Any]) -> Sequence[Any]:
    """Return images with their colours as planes, where all have them side by side."""
    shapes = [image.layout.shape for image, _ in alike(images)]
    if all(nx == 3 and min(n, ny) >= LEAST_SIDE for n, ny, nx in shapes):
        return [OfLastAxis(image, "") for image in images]
    return images


def coloured(
    images: Sequence[Any], colour: str | None = None, pattern: str = ""
) -> tuple[Sequence[Any], str]:
    """Return images of one number a pixel, and which colour they are of.

    Parameters
    ----------
    images : sequence of SourceImage
        Of a run.
    colour : str, optional
        One of `CHOICES`. None takes the luminance of three planes, and mosaics as they are.
    pattern : str
        Of a mosaic whose file does not name it.

    Returns
    -------
    images : sequence of SourceImage
    colour : str
        "" where the images have no colours, or are a mosaic that is taken as it is; "frames"
        where three planes are three frames because that was asked for.

    Raises
    ------
    LuckyError
        If the images do not have that colour.
    """
    if any(isinstance(image, OfColour) for image, _ in alike(images)):
        images = [as_in_file(image) for image in images]
    if colour is not None and colour not in CHOICES:
        raise UsageError(f"colour is {colour!r}; it must be one of {', '.join(CHOICES)}.")
    if colour != "frames":
        images = _turned(images)
    first = images[0]
    pattern = first.colours if is_mosaic(first.colours) else pattern
    planes = has_planes(images, surely=colour not in (None, "frames", "superpixel"))
    if colour == "frames":
        return images, "frames" if has_planes(images, surely=True) else ""
    if colour is None and not planes:
        return images, ""
    if planes:
        if colour == "superpixel":
            raise LuckyError(
                f"{first.path}: the frames have three planes and are not a mosaic: give the colour "
                "luminance, red, green or blue."
            )
        return [OfPlanes(image, colour or "luminance") for image in images], colour or "luminance"
    if not pattern:
        raise LuckyError(
            f"{first.path}: the frames have no colours (no planes, and no BAYERPAT of a mosaic); "
            f"leave the colour {colour} out."
        )
    colour = "superpixel" if colour == "luminance" else str(colour)
    if LETTERS.get(colour, pattern[0]) not in pattern:
        raise LuckyError(f"{first.path}: the mosaic {pattern} has no {colour} pixels.")
    if min(first.layout.shape[1:]) < 2:
        raise LuckyError(f"{first.path}: the frames are too small for cells of 2 x 2 pixels.")
    own = [image.colours if is_mosaic(image.colours) else pattern for image in images]
    return [OfCells(image, colour, of) for image, of in zip(images, own, strict=True)], colour


def is_mosaic(colours: str) -> bool:
    """Return whether what an image says of its colours is the pattern of a mosaic."""
    return len(colours) == 4


def has_planes(images: Sequence[Any], surely: bool = False) -> bool:
    """Return whether the images have three planes a frame, one for each colour.

    A file of three planes alone may hold three frames, unless it says that they are colours or
    `surely` holds; several files of three planes each are frames in colour.
    """
    images = _turned(images)
    kinds = [image for image, _ in alike(images)]
    if all(image.colours == "RGB" for image in kinds):
        return True
    if any(image.layout.shape[0] != 3 or is_mosaic(image.colours) for image in kinds):
        return False
    return surely or len({image.path for image in images}) > 1


def colour_notes(images: Sequence[Any], colour: str) -> list[str]:
    """Return what the user should know of the colours of images that `coloured` returned."""
    return [*_colours_read(images, colour), *_mixed_mosaics(images)]


def _mixed_mosaics(images: Sequence[Any]) -> list[str]:
    """Say if the files hold mosaics of different patterns."""
    patterns = Counter[str]()
    for image, n in alike(images):
        patterns[as_in_file(image).colours or "none"] += n
    if len(patterns) < 2 or not any(map(is_mosaic, patterns)):
        return []
    counts = ", ".join(f"{one} ({counted(n, 'file')})" for one, n in patterns.most_common(4))
    return [f"The frames differ in their mosaic: {counts}. Give the files of one run."]


def _colours_read(images: Sequence[Any], colour: str) -> list[str]:
    """Say what is read of frames in colour."""
    first = images[0]
    name = first.path.name
    if isinstance(first, OfPlanes):
        n = sum(image.layout.shape[0] for image in images)
        others = " or ".join(one for one in PLANES if one != colour)
        what = f"{n} frame{'s' * (n > 1)} in colour, three planes each"
        return [f"{name}: {what}; {_said_of_planes(colour)} is used. Other colours: {others}."]
    if isinstance(first, OfCells):
        ny, nx = first.layout.shape[1:]
        return [
            f"{name}: {_of_cells(colour)} of the mosaic ({first.pattern}) is one pixel: "
            f"{ny} x {nx} pixels a frame."
        ]
    if is_mosaic(first.colours):
        return [
            f"{name}: a mosaic ({first.colours}), not debayered: it is used as it is. If its "
            "colours are not equally bright, shifts and figures are off: the colour superpixel "
            "(--colour superpixel) makes one pixel of each cell of 2 x 2."
        ]
    if colour == "frames" or first.read_as.startswith("SER"):
        return []
    if len(images) == 1 and first.layout.shape[0] == 3:
        return [
            f"{name}: three planes are read as three frames. If they are colours, give the "
            "colour luminance, red, green or blue."
        ]
    return []


def _said_of_planes(colour: str) -> str:
    return "their mean (luminance)" if colour == "luminance" else f"the {colour} plane"


def _of_cells(colour: str) -> str:
    part = "all pixels" if colour == "superpixel" else f"the {colour} pixels"
    return f"the mean of {part} of each cell of 2 x 2"
