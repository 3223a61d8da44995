"""Frames and images from whatever holds them: paths, arrays, data with a unit or a mask."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.fits.run_files import open_like
from napari_lucky.frames.frames import ArrayFrames, Frames

FramesLike = Any
"""What `as_frames` takes."""
ImageLike = Any
"""What `as_image` takes."""
UNITS = ("", "adu", "DN", "dn", "ct", "count", "electron", "ph", "photon")
"""Units of pixels whose numbers are taken as they are."""
EXPECTED = (
    "a path, an array of the shape (frame, y, x) or (y, x), such as numpy's, dask's or xarray's, "
    "a masked array, a CCDData, a Quantity, or a run"
)


def as_frames(given: FramesLike, what: str = "frames", like: Any = None) -> Frames:
    """Turn anything that holds frames into `Frames`, as every function that needs frames does.

    Nothing is copied, and lazy arrays stay lazy. Masked pixels become NaN. Pixel values
    in adu or electrons are used as they are.

    Parameters
    ----------
    given : path, sequence of paths, array or Frames
        A path is opened by `open_run`. An array of numpy, dask, zarr or xarray, a masked array,
        `astropy.nddata.CCDData`, `astropy.units.Quantity` or image HDU, or a sequence of images, is
        (frame, y, x), or (y, x) for a single frame; axes of xarray that are named y and x come
        last. `Frames` and what holds them, such as `LazyArray` or `Cleaned`, are taken as they
        are.
    what : str
        How an error calls them.
    like : Frames, optional
        The run that a dark or a flat belongs to: of colour frames, the same plane is used.

    Returns
    -------
    Frames
        (n, y, x), read when they are needed.

    Raises
    ------
    LuckyError
        If it is anything else, has another number of axes, no frame, or another unit.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_lucky as lucky
    >>> len(lucky.as_frames(np.zeros((32, 32))))  # one image is one frame
    1
    >>> lucky.as_frames(np.zeros((5, 32, 32))).shape
    (5, 32, 32)
    """
    if _is_frames(given):
        return given
    if isinstance(given, (str, PathLike)):
        return open_like(given if isinstance(given, str) else Path(given), like)
    if isinstance(given, Sequence) and given:
        if all(isinstance(one, (str, PathLike)) for one in given):
            return open_like([Path(one) for one in given], like)
        given = _stacked(given, what)
    if _is_frames(held := getattr(given, "frames", None)) or isinstance(held, np.ndarray):
        return as_frames(held, what)
    array = _array_of(given, what)
    if len(array.shape) not in (2, 3):
        raise LuckyError(
            f"The {what} cannot have the shape {tuple(array.shape)}; expected (frame, y, x), or "
            "(y, x) for one frame."
        )
    if 0 in array.shape:
        raise LuckyError(f"There are no pixels in the {what}: the shape is {tuple(array.shape)}.")
    return ArrayFrames(array)


def as_image(given: ImageLike, what: str = "image") -> NDArray[Any]:
    """Return anything that holds one image as an array (y, x), masked pixels NaN.

    Parameters
    ----------
    given : path, array, Stack, ImageResult, Result or Frames
        See `as_frames`; also a `Stack`, what an `ImageResult` holds, or the focused star's image
        of a `Result`. A run of a single frame is an image.
    what : str
        How an error calls it.

    Returns
    -------
    ndarray, (y, x)
        Masked pixels are NaN.

    Raises
    ------
    LuckyError
        If it is no image.
    """
    if isinstance(images := getattr(given, "images", None), dict):  # of a Result
        given = images.get("focus", given)
    for name in ("image", "data"):  # of a Stack, an ImageResult
        held = getattr(given, name, None)
        if isinstance(held, np.ndarray) and not hasattr(given, "mask"):
            given = held
    frames = as_frames(given, what)
    if frames.shape[0] != 1:
        raise LuckyError(f"The {what} has {frames.shape[0]} frames; expected a single one, (y, x).")
    return frames.read(slice(0, 1))[0]


def as_numbers(given: Any, what: str) -> NDArray[np.float64]:
    """Return numbers, one a frame, (n,).

    Raises
    ------
    UsageError
        If they are no numbers, or not in one row.
    """
    try:
        numbers = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(())
    if numbers.ndim != 1:
        raise UsageError(
            f"The {what} cannot be a {type(given).__name__} like this; expected a list of numbers, "
            "one for each frame."
        )
    return numbers


def _is_frames(given: Any) -> bool:
    if hasattr(given, "uncertainty"):  # CCDData, whose `read` opens a file
        return False
    return callable(getattr(given, "read", None)) and len(getattr(given, "shape", ())) == 3


def _stacked(images: Sequence[Any], what: str) -> Any:
    """Return a sequence of images, or nested lists of numbers, as one array."""
    try:
        arrays = [
            one if np.ma.isMaskedArray(one) else _array_of(one, what)
            for one in (images if hasattr(images[0], "shape") else [np.asarray(images)])
        ]
        if len(arrays) == 1:
            return arrays[0]
        masked = any(map(np.ma.isMaskedArray, arrays))
        return np.ma.stack(arrays) if masked else np.stack([np.asarray(one) for one in arrays])
    except ValueError as error:
        if isinstance(error, LuckyError):
            raise
        raise LuckyError(f"The {what} have different shapes; give images of one shape.") from error


def _array_of(given: Any, what: str) -> Any:
    """Return an array with `shape`, `dtype` and slices, masked where pixels are not good."""
    array = given
    if hasattr(array, "dims") and hasattr(array, "transpose"):  # xarray
        last = [name for name in ("y", "x") if name in array.dims]
        array = (array.transpose(..., *last) if len(last) == 2 else array).data
    if not hasattr(array, "__getitem__") and isinstance(getattr(array, "data", None), np.ndarray):
        array = array.data  # of an HDU, or an ImageResult
    unit = getattr(array, "unit", None)
    _check_unit(unit, what)
    mask = getattr(array, "mask", None)
    if unit is not None or (hasattr(array, "uncertainty") and hasattr(array, "data")):
        if hasattr(array, "uncertainty"):  # CCDData, NDData
            array = array.data
        else:  # Quantity, and Masked of it
            array = getattr(array, "unmasked", array).value
        if mask is not None and np.any(mask):
            array = np.ma.array(array, mask=mask, copy=False)
    if not hasattr(array, "shape") or not hasattr(array, "__getitem__"):
        raise LuckyError(f"The {what} cannot be a {type(given).__name__}; expected {EXPECTED}.")
    if np.dtype(getattr(array, "dtype", object)).kind not in "iuf":
        raise LuckyError(
            f"The {what} cannot be of the type {getattr(array, 'dtype', 'unknown')}; expected "
            "whole numbers or floating point."
        )
    return array


def _check_unit(unit: Any, what: str) -> None:
    if unit is not None and str(unit) not in UNITS:
        raise LuckyError(
            f"The {what} cannot be in {unit}; expected adu or electron. Convert them, or give the "
            "numbers alone."
        )
