"""Frames calibrated by a dark and a flat, with bad and saturated pixels masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.bad_pixels import HOT_SIGMA, WindowOf, hot_in, standing_pixels
from napari_lucky.calibration.flat import check_frame_kind, made_flat
from napari_lucky.calibration.masters import DEAD_BELOW, check_shape, combined
from napari_lucky.calibration.step import MASTERS, Calibrate, Combine
from napari_lucky.errors import LuckyError
from napari_lucky.execution.blocks import Threads
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.fits.file_names import FolderFiles
from napari_lucky.fits.plain_files import paths_of
from napari_lucky.fits.run import Run
from napari_lucky.frames.frames import Frames, Index, Subset, View, chain_of, thinned_frames
from napari_lucky.frames.history import History, Record, checksum
from napari_lucky.frames.reading import check_values
from napari_lucky.frames.sensor_image import At, BitMask, SensorImage, bands_of, is_large
from napari_lucky.frames.window import Window
from napari_lucky.sources.source_image import SourceImage

NEXT = 32
"""Pixels around a window by which the next may be off it, as a shift moves it."""


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
    _last: list[tuple[Window, NDArray[np.float32]]] = field(default_factory=list, init=False)
    """A window a little larger than the last, and what its pixels are divided by."""

    def __post_init__(self) -> None:
        for name in ("dark", "flat", "bad"):
            image = getattr(self, name)
            if image is not None:
                check_shape(
                    image.shape, self.shape, name.replace("bad", "mask of bad pixels"), "run"
                )

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process is sent: all but the divisor, which is as large as a flat."""
        return {**vars(self), "_last": []}

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the calibrated frames asked for, (k, y, x), cut to the window."""
        raw = self.frames.read(frames, window)
        window = window or Window.whole(self.shape)
        at = window.slices
        block = raw.astype(np.float32)
        if self.dark is not None:
            block -= self.dark[at]
        if self.flat is not None:
            block /= self._divisor(window)
        elif self.bad is not None:
            block[:, self.bad[at]] = np.nan
        if reaches(raw, self.saturation):
            block[raw >= self.saturation] = np.nan
        return block

    def thinned(self, at: At) -> Frames:
        """Return some rows and columns alone, calibrated; see `thinned_frames`."""
        dark, flat, bad = (
            None if image is None else np.asarray(image)[at].copy()
            for image in (self.dark, self.flat, self.bad)
        )
        frames = thinned_frames(self.frames, at)
        return Calibrated(frames, dark, flat, bad, self.saturation)

    def _divisor(self, window: Window) -> NDArray[np.float32]:
        """Return the flat in a window, NaN where pixels are bad."""
        assert self.flat is not None
        if self.bad is None:
            return self.flat[window.slices]
        for held, divisor in self._last[:]:
            if window in held:
                return divisor[window.within(held).slices]
        held = window if is_large(self.shape) else window.grown(NEXT).clipped(self.shape)
        divisor = np.where(self.bad[held.slices], np.float32(np.nan), self.flat[held.slices])
        if not is_large(self.shape):
            self._last[:] = [(held, divisor)]
        return divisor[window.within(held).slices]

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
    views = takewhile(lambda view: isinstance(view, View), chain_of(frames))
    return next((view for view in views if isinstance(view, Calibrated)), None)


def reaches(raw: NDArray[Any], level: float) -> bool:
    """Return whether any pixel has a level; the greatest is found faster than all that have it."""
    return bool(np.isfinite(level) and np.fmax.reduce(raw, axis=None) >= level)


def clipped_from(frames: Frames, level: float) -> Frames:
    """Return raw frames that are clipped at a level, known for each pixel of a mean in colour."""
    if isinstance(frames, Run):
        return frames.clipped_from(level)
    if isinstance(frames, (View, Subset)):
        run = clipped_from(frames.frames, level)
        return frames if run is frames.frames else replace(frames, frames=run)
    return frames


def with_saturation(calibrated: Calibrated, level: float) -> Calibrated:
    """Return calibrated frames masked from another level on."""
    return replace(calibrated, frames=clipped_from(calibrated.frames, level), saturation=level)


def saturation_level(header: Any, frames: Frames) -> float:
    """Return the ADU at which raw pixels saturate.

    The header's SATURATE where it has one, or else the greatest value of an integer type in the
    files (which a 12-bit camera in 16-bit files never reaches); infinity for floating point.
    """
    *_, run = chain_of(frames)
    dtype = run.stored_dtype if isinstance(run, Run) else frames.dtype
    level = (header or {}).get("SATURATE")
    if isinstance(level, (int, float)) and level > 0:
        return float(level)
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else np.inf


FEWEST = 8
"""Fewer frames do not distinguish what stands still from a star."""


def _check_not_the_run(frames: Frames, other: Frames, kind: str) -> None:
    """Raise a `LuckyError` if a dark or flat is made of frames that it is to calibrate.

    Some frames of a run may be darks of the others.
    """
    if any(isinstance(one, Subset) for one in chain_of(other)):
        return
    run, master = ([*chain_of(one)][-1] for one in (frames, other))
    if run is master or _share_images(getattr(run, "images", ()), getattr(master, "images", ())):
        raise LuckyError(
            f"The {kind} has frames of the run in it: give frames that were taken as {kind}s."
        )


def _share_images(some: Sequence[SourceImage], others: Sequence[SourceImage]) -> bool:
    files = paths_of(some)
    of_some = files if isinstance(files, FolderFiles) else set(files)
    if not any(path in of_some for path in paths_of(others)):
        return False
    own = [{(one.path, getattr(one.layout, "hdu", 0)) for one in of} for of in (some, others)]
    return not own[0].isdisjoint(own[1])


def calibrate(
    frames: FramesLike,
    dark: FramesLike | None = None,
    flat: FramesLike | None = None,
    *,
    combine: Combine = "mean",
    clip_sigma: float = 4.0,
    hot_sigma: float = HOT_SIGMA,
    dead_below: float = DEAD_BELOW,
    saturation: float | None = None,
    history: History = (),
    flat_history: History | None = None,
    job: Job = QUIET,
) -> Calibrated:
    """Make the masters, and return the run calibrated: each frame when it is read.

    Parameters
    ----------
    frames : Frames, path or array
        The run, raw.
    dark, flat : Frames, path or array, optional
        One frame or many, in ADU. Without a dark, hot pixels are those that stand alone in
        the mean of the run itself. A master flat is taken as it is; see `flat_field`.
    combine : {"mean", "median"}
        How many frames become one; see `master`.
    clip_sigma : float
        Clipping threshold in standard deviations; see `master`.
    hot_sigma : float
        Threshold for hot pixels; see `hot_pixels`.
    dead_below : float
        Threshold for dead pixels; see `master_flat`.
    saturation : float, optional
        ADU from which raw pixels are masked; see `saturation_level` for None.
    history : tuple of Record
        What was done to the frames before, so that a dark or flat is not applied twice.
    flat_history : tuple of Record, optional
        What was done to the flat; what its file's header says if None.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    Calibrated
        Its `dark`, `flat` and `bad` are the masters, `light` the flat before normalisation. Of
        sensors of over 8 million pixels they are in temporary files: `numpy.asarray` reads them.

    Raises
    ------
    LuckyError
        If shapes differ, the flat holds no light, or the frames are calibrated already.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> run = lucky.simulate_run(12, (128, 256), d_over_r0=2, focus_size=64, defocus_size=96)
    >>> frames = lucky.calibrate(run.frames, run.dark, run.flat, saturation=4095)
    >>> frames
    <Calibrated of ArrayFrames: 12 frames of 128 x 256 px, float32>
    >>> frames[0].shape
    (128, 256)
    """
    frames = as_frames(frames)
    dark = None if dark is None else as_frames(dark, "dark", frames)
    flat = None if flat is None else as_frames(flat, "flat", frames)
    Calibrate(  # raises if they make no sense
        combine=combine,
        clip_sigma=clip_sigma,
        hot_sigma=hot_sigma,
        dead_below=dead_below,
        saturation=None if saturation == np.inf else saturation,
    )
    check_values(frames)
    for name, other in (("dark", dark), ("flat", flat)):
        if other is None:
            continue
        if any(step.name == "calibrate" and name in step.inputs for step in history):
            raise LuckyError(
                f"These frames are calibrated already, with a {name}: leave the {name} out, or "
                "take the raw frames."
            )
        check_shape(other.shape[1:], frames.shape, name, "run")
        _check_not_the_run(frames, other, name)
        check_frame_kind(other, name, flat_history if name == "flat" else None)
    level = None if dark is None else combined(dark, combine, clip_sigma, what="dark", job=job)
    response, light = None, None
    with Threads(1) as pool:  # two medians of a whole sensor, side by side
        hot = None if level is None else pool.submit(hot_in, level, hot_sigma)
        if flat is not None:
            response, light = made_flat(
                flat, level, combine, clip_sigma, dead_below, history=flat_history, job=job
            )
    bad = standing_pixels(frames, hot_sigma, job=job) if hot is None else hot.result()
    if saturation is None:
        saturation = saturation_level(getattr(frames, "header", None), frames)
    return Calibrated(
        clipped_from(frames, saturation),
        level,
        response,
        bad if bad.any() else None,
        saturation,
        light,
    )


def without_standing(frames: Frames, window: Window, *, job: Job = QUIET) -> Frames:
    """Return frames with the hot pixels in and around a window masked, if nobody looked for them.

    Frames that are calibrated already come back as they are. Those around it, to as far as it is
    wide, are masked because a window moves with its star.
    """
    if calibrated_in(frames) is not None or frames.shape[0] < FEWEST:
        return frames
    y0, x0 = window.y0 - window.height, window.x0 - window.width
    wide = Window(y0, x0, 3 * window.height, 3 * window.width).clipped(frames.shape)
    found = standing_pixels(WindowOf(frames, wide), job=job)
    if not found.any():
        return frames
    rows, columns = wide.slices
    around = np.zeros((wide.height, frames.shape[2]), bool)
    around[:, columns] = found
    bad = BitMask(frames.shape)
    bad.set_rows(rows, around)
    return Calibrated(frames, bad=bad)


def calibration_record(calibrated: Calibrated, step: Calibrate) -> Record:
    """Record a calibration: its parameters, and the checksums of its masters' pixels."""
    inputs: dict[str, dict[str, Any]] = {}
    for name in MASTERS:
        image = getattr(calibrated, name)
        if image is not None:
            given = getattr(step, name)
            inputs[name] = {"name": given and Path(given).name, "master_sha256": checksum(image)}
    if calibrated.flat is not None and calibrated.light is None:
        inputs["flat"]["given_normalised"] = True
    level = calibrated.saturation
    masked = {"masked_pixels": calibrated.masked}
    return step.record(masked | ({"masked_from": level} if np.isfinite(level) else {}), inputs)
