"""An image or a stack to be written: its pixels, their number type, and its header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_lucky._version import __version__
from napari_lucky.execution.blocks import blocks_of
from napari_lucky.fits.integers import Coding
from napari_lucky.fits.names import put_name
from napari_lucky.fits.numbers import NumberType, stored_as
from napari_lucky.fits.sound_header import sound_header
from napari_lucky.fits.stale import is_stale
from napari_lucky.fits.wcs import place_image
from napari_lucky.frames.frames import ArrayFrames, Frames, blank_frames
from napari_lucky.frames.history import History, history_cards, is_ours
from napari_lucky.frames.history_text import text_cards
from napari_lucky.frames.sensor_image import SensorImage, rows_of
from napari_lucky.frames.window import Window
from napari_lucky.text import counted

CREATOR = f"napari-lucky {__version__}"
BESIDE = {"VARIANCE": "adu**2", "COVERAGE": ""}
"""Extensions beside a stack, and their units; they are float32 always."""
UNCERTAINTY = {"VARIANCE": "VarianceUncertainty"}
"""Their UTYPE, by which `astropy.nddata.CCDData.read` knows what they are."""


@dataclass(frozen=True, eq=False)
class ImageResult:
    """An image or a stack of frames to be written.

    Parameters
    ----------
    data : ndarray, (y, x), or SensorImage, or Frames
        Pixels in ADU; written as float32, or as integers where `write_fits` is asked to.
    name : str
        Becomes EXTNAME.
    header : astropy.io.fits.Header, optional
        The source's.
    history : tuple of Record
        What was done to the pixels.
    origin : tuple of int
        (y, x) of the first pixel in the source's images; into LTV2, LTV1, and taken off CRPIX.
    combined : int, optional
        Number of frames in each pixel; into NCOMBINE.
    variance, coverage : ndarray, (y, x), optional
        Of a stack; written as extensions VARIANCE and COVERAGE.
    scale : float
        Pixels a pixel of the sensor; into LTM1_1, LTM2_2, and the coordinates.
    exact : bool
        Whether numbers that float32 does not hold, of 32 and 64 bits, are stored as they are.
    kind : str
        "labels" where the numbers are those of regions.
    """

    data: NDArray[Any] | SensorImage | Frames
    name: str = ""
    header: Any = None
    history: History = field(default=())
    origin: tuple[int, int] = (0, 0)
    combined: int | None = None
    variance: NDArray[Any] | None = None
    coverage: NDArray[Any] | None = None
    scale: float = 1.0
    exact: bool = False
    kind: str = ""

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        of = "" if self.combined is None else f" of {counted(self.combined, 'frame')}"
        return f"<ImageResult {self.name!r}: {size} px{of}>"

    @property
    def beside(self) -> list[ImageResult]:
        """Variance and coverage, as separate images."""
        from astropy.io import fits

        given = {"VARIANCE": self.variance, "COVERAGE": self.coverage}
        made = []
        for name, pixels in given.items():
            if pixels is not None:
                header = fits.Header() if self.header is None else self.header.copy()
                header["BUNIT"] = BESIDE[name]
                made.append(
                    replace(
                        self,
                        data=pixels,
                        name=name,
                        header=header,
                        variance=None,
                        coverage=None,
                        exact=False,
                    )
                )
        return made

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.data, dtype) if copy else np.asarray(self.data, dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return tuple(self.data.shape)


def pixel_blocks(data: NDArray[Any] | SensorImage | Frames) -> Iterator[NDArray[Any]]:
    """Yield an image in bands of rows, or a run in blocks of frames; blank frames are NaN."""
    if isinstance(data, np.ndarray):
        if data.ndim != 3:
            yield data
            return
        data = ArrayFrames(data)  # whose numbers are turned into the file's a few frames at a time
    if len(data.shape) == 2:
        yield from rows_of(cast(SensorImage, data))
        return
    frames = cast(Frames, data)
    n, ny, nx = frames.shape
    for block in blocks_of(n, ny * nx):
        pixels = frames.read(block)
        blank = blank_frames(frames, block, Window.whole(frames.shape))
        if blank.any():  # once saved, frames without light could not be recognised
            pixels = np.where(blank[:, None, None], np.float32(np.nan), pixels)
        yield pixels


def float32_holds(data: NDArray[Any] | Frames) -> bool:
    """Return whether float32 is enough for an image or a run: each number of it, and its type.

    Whole numbers of 32 and 64 bits are kept whole; of float64 all are looked at, until one is not.
    """
    if stored_as(data.dtype, True) == NumberType():
        return True
    if data.dtype.kind != "f":
        return False
    with np.errstate(over="ignore"):
        return all(
            np.array_equal(block, block.astype(np.float32), equal_nan=True)
            for block in pixel_blocks(data)
        )


def number_type(result: ImageResult) -> NumberType:
    """Return how the numbers of a result are stored: as float32, or as they are."""
    return stored_as(np.dtype(getattr(result.data, "dtype", np.float32)), result.exact)


def image_header(result: ImageResult, *, primary: bool = True, coding: Coding | None = None) -> Any:
    """Return the `astropy.io.fits.Header` that a result is written with."""
    from astropy.io import fits

    first = ("SIMPLE", True) if primary else ("XTENSION", "IMAGE")
    number = number_type(result)
    bitpix = number.bitpix if coding is None else 16
    header = fits.Header([first, ("BITPIX", bitpix), ("NAXIS", len(result.shape))])
    for axis, side in enumerate(reversed(result.shape), start=1):
        header[f"NAXIS{axis}"] = side
    if primary:
        header["EXTEND"] = True
    else:
        header["PCOUNT"], header["GCOUNT"] = 0, 1
    header["CREATOR"] = (CREATOR, "program that wrote this file")  # here `saved.is_ours` looks
    header["DATE"] = written_now()
    history = result.history
    if coding is not None:
        header.extend(coding.cards, strip=False, end=True)
        history = (*history, coding.record)
    elif number.zero:
        header["BZERO"] = (number.zero, "unsigned integers")
    header.extend(source_cards(result), end=True)
    if coding is not None and coding.levels:
        _remove(header, "BUNIT")  # what a reader gets are levels
    for text in (*text_cards(history), *history_cards(history)):
        header.add_history(text)
    return header


def written_now() -> tuple[str, str]:
    """Return the value and the comment of a DATE card."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "UTC when this file was written"


def source_cards(result: ImageResult) -> Any:
    """Return the source's cards that still hold, and those that say what the result is."""
    from astropy.io import fits

    given = isinstance(result.header, fits.Header)  # layers of other plugins may hold anything
    header = sound_header(result.header.copy(strip=True)) if given else fits.Header()
    for keyword in {card.keyword for card in header.cards}:
        if is_stale(keyword, len(result.shape)):
            _remove(header, keyword)
    if any("dark" in step.inputs for step in result.history):
        _remove(header, "PEDESTAL")  # the dark had it too
    ours = [str(text) for text in header.get("HISTORY", [])]
    if ours:
        _remove(header, "HISTORY")
        for text in ours:
            if not is_ours(text):
                header.add_history(text)
    if result.name:
        put_name(header, result.name)
    if result.kind:
        header["LAYER"] = (result.kind, "what the numbers are of")
    if result.name in UNCERTAINTY:
        header["UTYPE"] = (UNCERTAINTY[result.name], "what the numbers are")
    header.setdefault("BUNIT", "adu")
    if result.combined is not None:
        header["NCOMBINE"] = (result.combined, "number of frames averaged")
    place_image(header, result.origin, result.scale)
    return header


def _remove(header: Any, keyword: str) -> None:
    header.remove(keyword, ignore_missing=True, remove_all=True)
