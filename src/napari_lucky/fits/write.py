"""Results written as FITS, whole or not at all, with the source's header and the history."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from napari_lucky.errors import LuckyError, UsageError, as_path
from napari_lucky.files.temporaries import clear_leftovers, temporary_file
from napari_lucky.fits.image_result import (
    BESIDE,
    CREATOR,
    ImageResult,
    image_header,
    number_type,
    pixel_blocks,
    written_now,
)
from napari_lucky.fits.inputs import NO_INPUTS, Inputs, check_not_inputs, files_of_frames
from napari_lucky.fits.integers import IntegerFormat, coding_of
from napari_lucky.fits.names import Names, name_in
from napari_lucky.text import readable


@contextmanager
def written_whole(path: Path, inputs: Inputs = NO_INPUTS) -> Iterator[Path]:
    """Give a temporary path beside `path`, moved there when all went well, else removed.

    Parameters
    ----------
    path : str or pathlib.Path
        An existing file is replaced.
    inputs : mapping
        What must not be replaced; see `check_not_inputs`.

    Raises
    ------
    LuckyError
        If the disk is full, the place cannot be written, or the file is an input.
    """
    check_not_inputs([path], inputs)
    clear_leftovers(path.parent)
    try:
        with temporary_file(path.parent) as temporary:
            yield temporary
            check_not_inputs([path], inputs)
            os.replace(temporary, path)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written ({error.strerror or error}). Choose "
            "another place; nothing was left there."
        ) from error


def ignore_note(text: str) -> None:
    """Say nothing."""


def write_fits(
    path: str | Path,
    results: Any,
    integers: IntegerFormat | None = None,
    notify: Callable[[str], None] = ignore_note,
    *,
    overwrite: bool = False,
    inputs: Inputs = NO_INPUTS,
) -> None:
    """Write images and tables into one FITS file, whole or not at all.

    Parameters
    ----------
    path : str or pathlib.Path
        The file. One that the pixels are read from is never replaced.
    results : ImageResult, Stack, array, Frames or astropy.io.fits.BinTableHDU, or several in a list
        The first image becomes the primary one if it comes first. Variance and coverage of an
        image follow it.
    integers : IntegerFormat, optional
        Store the pixels of images as 16-bit integers, not as float32. A run is then read twice.
    notify : callable, optional
        Called with a sentence for the user: how many pixels were cut.
    overwrite : bool
        Whether an existing file is replaced.
    inputs : mapping
        What must not be replaced either; see `check_not_inputs`.

    Raises
    ------
    LuckyError
        If the file cannot be written, is there already, or is an input.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_lucky as lucky
    >>> lucky.write_fits("image.fits", np.ones((32, 32), np.float32))
    >>> lucky.open_run("image.fits").shape
    (1, 32, 32)
    """
    path = as_path(path, "file to write")
    from astropy.io import fits

    results = [as_result(one) for one in (results if is_list(results) else [results])]
    read = [
        file
        for result in results
        if isinstance(result, ImageResult)
        for file in files_of_frames(result.data)
    ]
    inputs = {"the pixels that are saved": read, **inputs}
    if not overwrite and path.is_file():
        check_not_inputs([path], inputs)
        raise UsageError(f"{path} is already there; it is kept. Give overwrite=True to replace it.")
    names = Names()
    with written_whole(path, inputs) as temporary, open(temporary, "wb") as file:
        for number, result in enumerate(_parts(results)):
            image = isinstance(result, ImageResult)
            name = result.name if image else name_in(result.header)
            version = names.add(name)
            if image:
                coded = None if name in BESIDE or result.kind else integers
                _write_image(file, result, number == 0, coded, notify, version)
                continue
            if number == 0:
                primary = fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0)])
                primary["EXTEND"] = True
                primary["CREATOR"] = CREATOR
                primary["DATE"] = written_now()
                file.write(primary.tostring().encode("ascii"))
            if version > 1:
                result.header["EXTVER"] = version
            whole = io.BytesIO()
            fits.HDUList([fits.PrimaryHDU(), result]).writeto(whole)
            file.write(whole.getbuffer()[2880:])  # without astropy's own primary header
        file.flush()
        os.fsync(file.fileno())


def is_list(given: Any) -> bool:
    """Return whether there are several results to write."""
    return isinstance(given, (list, tuple, Iterator))


def as_result(given: Any) -> ImageResult | Any:
    """Return an image or a table to be written, from what holds one.

    Raises
    ------
    LuckyError
        If nothing can be written of it.
    """
    if isinstance(given, ImageResult) or hasattr(given, "filebytes"):  # an HDU
        return given
    if isinstance(image := getattr(given, "image", None), np.ndarray):  # a Stack
        return ImageResult(
            image,
            combined=given.count,
            variance=given.variance,
            coverage=given.coverage,
            scale=given.scale,
        )
    if isinstance(given, np.ndarray) and given.ndim in (2, 3):
        return ImageResult(given)
    if callable(getattr(given, "read", None)) and hasattr(given, "shape"):
        return ImageResult(given)
    raise LuckyError(
        f"A {type(given).__name__} cannot be written; give an ImageResult, a Stack, an array or "
        "frames."
    )


def _parts(results: Iterable[ImageResult | Any]) -> Iterator[ImageResult | Any]:
    for result in results:
        yield result
        if isinstance(result, ImageResult):
            yield from result.beside


def _write_image(
    file: Any,
    result: ImageResult,
    primary: bool,
    integers: IntegerFormat | None,
    notify: Callable[[str], None],
    version: int,
) -> None:
    coding = (
        None if integers is None else coding_of(pixel_blocks(result.data), integers, result.name)
    )
    header = image_header(result, primary=primary, coding=coding)
    if version > 1:
        header.set("EXTVER", version, "of several with this name", after="EXTNAME")
    file.write(header.tostring().encode("ascii"))
    size = 0
    number = number_type(result)
    for block in pixel_blocks(result.data):
        stored = (number.encode(block), number.stored)
        if coding is not None:
            stored = coding.encode(block), ">i2"
        size += file.write(np.ascontiguousarray(*stored).data)
    file.write(b"\0" * (-size % 2880))
    if coding is not None and coding.note:
        notify(coding.note)


def write_text(path: Path, text: str, inputs: Inputs = NO_INPUTS) -> None:
    """Write a text file, whole or not at all; see `written_whole` for the inputs.

    Raises
    ------
    LuckyError
        If the file cannot be written, or is an input.
    """
    content = readable(text).encode("utf-8")  # a name in it may be of any bytes
    with written_whole(path, inputs) as temporary, open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
