"""Dark, flat and bad pixels: masters made from frames, and the lazily calibrated view."""

from __future__ import annotations

import warnings
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .bad_pixels import HOT_SIGMA
from .blocks import Progress, blocks_of, map_blocks, silent
from .errors import LuckyError
from .following import followed, moves_of
from .frames import Frames, Index, View, as_float32
from .journal import Journal, remembered
from .sensor_images import SensorImage, bands_of, blank_image, is_large, median_of
from .windows import Window

Combine = Literal["mean", "median"]
DEAD_BELOW = 0.2
"""A pixel of the flat with less than this fraction of the median response is dead."""


def master(
    frames: Frames,
    method: Combine = "mean",
    clip_sigma: float = 4.0,
    *,
    progress: Progress = silent,
    what: str = "master",
    executor: Executor | None = None,
) -> NDArray[np.float32]:
    """Combine frames of nothing but dark, or of an even light, into one.

    Of each pixel's values over the frames, those more than `clip_sigma` standard deviations
    off their median are left out. The standard deviation is the pixel's own, from its median
    absolute deviation, or the usual one of its rows where that is more: a few frames' own
    deviation is unsure, and 0 for whole numbers. It works down the sensor in bands of rows, so
    that memory does not grow with the number of frames.

    Parameters
    ----------
    frames : Frames
        (n, y, x) in ADU.
    method : {"mean", "median"}
        What is taken of the pixels left over.
    clip_sigma : float
        Clipping threshold in standard deviations; 0 for none.
    progress, what, executor
        See `napari_lucky.blocks.map_blocks`.

    Returns
    -------
    ndarray of float32, (y, x)
        In ADU; NaN where no frame has a value.

    Raises
    ------
    LuckyError
        If `method` is neither, or `clip_sigma` is negative.
    """
    work: dict[str, Any] = {"progress": progress, "what": what, "executor": executor}
    return np.asarray(combined(frames, method, clip_sigma, **work))


def combined(
    frames: Frames,
    method: Combine = "mean",
    clip_sigma: float = 4.0,
    *,
    progress: Progress = silent,
    what: str = "master",
    executor: Executor | None = None,
) -> SensorImage:
    """Combine frames as `master` does; the result of a large sensor is not in memory."""
    check_calibration(method, clip_sigma, HOT_SIGMA, DEAD_BELOW)
    n, ny, nx = frames.shape
    if is_large(frames.shape):
        bands = bands_of(frames.shape, n)
    else:
        rows = max(1, min(ny, (1 << 22) // (n * nx)))
        bands = [slice(y, min(y + rows, ny)) for y in range(0, ny, rows)]

    def combine(band: slice) -> NDArray[np.float32]:
        window = Window(band.start, 0, band.stop - band.start, nx)
        return _combine(as_float32(frames.read(slice(None), window)), method, clip_sigma)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a pixel without a value stays NaN
        done = map_blocks(combine, bands, progress=progress, what=what, executor=executor)
        made = blank_image(frames.shape)
        for band, pixels in zip(bands, done, strict=True):
            made[band] = pixels
        return made


def _combine(block: NDArray[np.float32], method: Combine, clip_sigma: float) -> Any:
    if len(block) == 1:
        return block[0]
    if clip_sigma and len(block) > 2:
        off = np.abs(block - np.nanmedian(block, axis=0))
        own = np.nanmedian(off, axis=0) / 0.6745
        usual = np.nanmedian(np.nanstd(block, axis=0))
        block = np.where(off <= clip_sigma * np.fmax(own, usual), block, np.nan)
    if method == "median":
        return as_float32(np.nanmedian(block, axis=0))
    return as_float32(np.asarray(np.nanmean(block, axis=0, dtype=np.float64)))


def check_calibration(
    combine: str,
    clip_sigma: float,
    hot_sigma: float,
    dead_below: float,
    saturation: float | None = None,
) -> None:
    """Raise a `LuckyError` unless the parameters of a calibration make sense."""
    if combine not in get_args(Combine):
        raise LuckyError(f"A master is a mean or a median, not {combine!r}.")
    if not clip_sigma >= 0:
        raise LuckyError(f"The clipping threshold is {clip_sigma} sigma; it must be 0 or more.")
    if not hot_sigma > 0:
        raise LuckyError(f"The threshold for hot pixels is {hot_sigma} sigma; it must be over 0.")
    if not 0 <= dead_below < 1:
        raise LuckyError(
            f"Pixels are dead below {dead_below} of the flat's median; it must be 0 to under 1."
        )
    if saturation is not None and not saturation > 0:
        raise LuckyError(f"The saturation is {saturation} ADU; it must be over 0.")


def master_flat(
    flat: NDArray[Any], dark: NDArray[Any] | None = None, dead_below: float = DEAD_BELOW
) -> NDArray[np.float32]:
    """Normalise a flat to median 1, with dead pixels masked.

    flat_master = (flat − dark) / median(flat − dark)

    Parameters
    ----------
    flat : ndarray, (y, x)
        Combined flat in ADU.
    dark : ndarray, (y, x), optional
        Combined dark of the same exposure in ADU.
    dead_below : float
        Pixels with a response under this are dead: dividing by it would make noise, or infinity.

    Returns
    -------
    ndarray of float32, (y, x)
        Relative response, NaN at dead pixels.

    Raises
    ------
    LuckyError
        If the shapes differ, or the flat is no brighter than the dark, or by less than its
        pixels scatter.
    """
    return np.asarray(normalised(np.asarray(flat), dark, dead_below))


def normalised(flat: SensorImage, dark: SensorImage | None, dead_below: float) -> SensorImage:
    """Normalise a flat as `master_flat` does; the result of a large sensor is not in memory."""
    if dark is not None:
        check_shape(dark, flat.shape, "dark", "flat")

    def light_in(band: slice) -> NDArray[np.float64]:
        light = np.asarray(flat[band, :], np.float64)
        return light if dark is None else light - dark[band, :]

    bands = bands_of(flat.shape)
    level = median_of(lambda: map(light_in, bands))
    if not level > 0:
        raise LuckyError(
            f"The flat has no light in it: the median of flat − dark is {level:g} ADU. "
            "Check that dark and flat are not swapped, and that the flat is in ADU, not normalised "
            "by another program."
        )
    spread = median_of(lambda: (np.abs(light_in(band) - level) for band in bands)) / 0.6745
    if dark is not None and level < spread:
        raise LuckyError(
            f"The flat is hardly brighter than the dark: the median of flat − dark is {level:.3g} "
            f"ADU, and its pixels scatter by {spread:.3g} ADU. Check that it is not a dark."
        )
    made = blank_image(flat.shape)
    for band in bands:
        response = light_in(band) / level
        response[~(response >= dead_below)] = np.nan
        made[band] = as_float32(response)
    return made


def freed_of(dark: SensorImage | None, image: SensorImage) -> SensorImage:
    """Return an image less the dark, if there is one."""
    if dark is None:
        return image
    made = blank_image(image.shape)
    for band in bands_of(image.shape):
        made[band] = as_float32(image[band, :] - dark[band, :])
    return made


def check_shape(image: SensorImage, shape: tuple[int, ...], name: str, of: str) -> None:
    """Raise a `LuckyError` unless an image has the (y, x) shape of something else."""
    if image.shape != shape[-2:]:
        raise LuckyError(
            f"The {name} has {' x '.join(map(str, image.shape))} pixels, the {of} has "
            f"{shape[-2]} x {shape[-1]}; they must come from the same sensor and read-out window."
        )


@dataclass(frozen=True, eq=False)
class Calibrated(View):
    """Frames with dark and flat taken out and bad pixels masked.

    calibrated = (raw − dark) / flat; NaN where the pixel is bad or the raw value saturated.

    Parameters
    ----------
    frames : Frames
        Raw, in ADU.
    dark : SensorImage or ndarray of float32, (y, x), optional
        Combined dark in ADU.
    flat : SensorImage or ndarray of float32, (y, x), optional
        Relative response with median 1, NaN where dead; from `master_flat`.
    bad : BitMask or ndarray of bool, (y, x), optional
        Pixels to mask beside the dead ones; from `hot_pixels`.
    saturation : float
        Raw values of this many ADU and more are masked.
    light : SensorImage or ndarray of float32, (y, x), optional
        The combined flat less the dark, ADU, before it was normalised; only to be looked at.
    """

    dark: SensorImage | None = None
    flat: SensorImage | None = None
    bad: SensorImage | None = None
    saturation: float = np.inf
    light: SensorImage | None = None

    def __post_init__(self) -> None:
        for name in ("dark", "flat", "bad"):
            image = getattr(self, name)
            if image is not None:
                check_shape(image, self.shape, name.replace("bad", "mask of bad pixels"), "run")

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the calibrated frames asked for, (k, y, x), cut to the window."""
        raw = self.frames.read(frames, window)
        at = (window or Window.whole(self.shape)).slices
        block = raw.astype(np.float32)
        if self.dark is not None:
            block -= self.dark[at]
        bad = None if self.bad is None else self.bad[at]
        if self.flat is not None:
            flat = self.flat[at]
            block /= flat if bad is None else np.where(bad, np.float32(np.nan), flat)
        elif bad is not None:
            block[:, bad] = np.nan
        if reaches(raw, self.saturation):
            block[raw >= self.saturation] = np.nan
        return block

    def scale(self, window: Window) -> float:
        """Return by how much raw pixels of a window are multiplied: 1 / its median response."""
        if self.flat is None:
            return super().scale(window)
        response = self.flat[window.clipped(self.shape).slices]
        return super().scale(window) / (float(np.nanmedian(response)) if response.size else 1.0)

    @cached_property
    def masked(self) -> int:
        """How many pixels of the sensor are masked in every frame."""
        count = 0
        for band in bands_of(self.shape):
            mask = np.zeros((band.stop - band.start, self.shape[2]), bool)
            if self.bad is not None:
                mask |= self.bad[band, :]
            if self.flat is not None:
                mask |= np.isnan(self.flat[band, :])
            count += int(mask.sum())
        return count


def calibrated_in(frames: Frames) -> Calibrated | None:
    """Return the calibrated run that views were made of, if it is one."""
    while not isinstance(frames, Calibrated):
        if not isinstance(frames, View):
            return None
        frames = frames.frames
    return frames


def saturated_frames(
    calibrated: Calibrated,
    window: Window,
    shifts: NDArray[np.float64] | None = None,
    reference: tuple[float, float] | None = None,
    *,
    progress: Progress = silent,
    executor: Executor | None = None,
    journal: Journal | None = None,
) -> NDArray[np.bool_]:
    """Tell which frames have a saturated pixel in a window, beside those masked in every frame.

    With the shifts (n, 2) and the reference of a registration, in pixels, the window moves as in
    `napari_lucky.rank`. For a journal, see `napari_lucky.journal.remembered`.

    Returns
    -------
    ndarray of bool, (n,)
    """
    n = calibrated.shape[0]
    if not np.isfinite(calibrated.saturation):
        return np.zeros(n, bool)
    moves = (
        np.zeros((n, 2), np.intp)
        if shifts is None
        else moves_of(shifts, window, reference, calibrated.shape)
    )

    def look(block: slice) -> NDArray[np.bool_]:
        return bright_frames(calibrated, block, window, moves)

    blocks = blocks_of(n, window.height * window.width)
    what = "looking for saturated frames"
    done = remembered(look, blocks, journal, progress=progress, what=what, executor=executor)
    return np.concatenate(list(done))


def bright_frames(
    calibrated: Calibrated,
    block: slice,
    window: Window,
    moves: NDArray[np.intp] | None = None,
) -> NDArray[np.bool_]:
    """Tell which frames of a block have a saturated pixel, beside those masked in every frame."""
    if moves is None:
        moves = np.zeros((calibrated.shape[0], 2), np.intp)
    raw = followed(calibrated.frames, moves).read(block, window)
    if not reaches(raw, calibrated.saturation):
        return np.zeros(len(raw), bool)
    bright = raw >= calibrated.saturation  # false for NaN, beyond the sensor
    if calibrated.bad is not None:
        masks = MaskFrames(calibrated.frames, calibrated.bad)
        bright &= followed(masks, moves).read(block, window) != 1
    return np.asarray(bright.any(axis=(1, 2)))


@dataclass(frozen=True, eq=False)
class MaskFrames(View):
    """A mask of the sensor for each frame: 1 where a pixel is masked, else 0.

    Parameters
    ----------
    frames : Frames
        As many.
    mask : BitMask or ndarray of bool, (y, x)
    """

    mask: SensorImage

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the masks of the frames asked for, (k, y, x), cut to the window."""
        at = (window or Window.whole(self.shape)).slices
        mask = as_float32(self.mask[at])
        return np.broadcast_to(mask, (len(np.arange(self.shape[0])[frames]), *mask.shape))


def reaches(raw: NDArray[Any], level: float) -> bool:
    """Tell whether any pixel has a level; the greatest is found faster than all that have it."""
    return bool(np.isfinite(level) and np.fmax.reduce(raw, axis=None) >= level)


def saturation_level(header: Any, dtype: np.dtype[Any]) -> float:
    """Return the ADU at which raw pixels saturate.

    The header's SATURATE where it has one, or else the greatest value of an integer type
    (which a 12-bit camera in 16-bit files never reaches); infinity for floating point.
    """
    level = (header or {}).get("SATURATE")
    if isinstance(level, (int, float)) and level > 0:
        return float(level)
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else np.inf
