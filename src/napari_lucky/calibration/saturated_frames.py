"""Frames that are saturated where the star is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.calibrate import Calibrated, reaches
from napari_lucky.execution.blocks import blocks_of, map_blocks_checkpointed
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.frames import Index, View, as_float32, numbers_in
from napari_lucky.frames.sensor_image import SensorImage
from napari_lucky.frames.window import Window
from napari_lucky.frames.window_moves import followed, moves_of


def saturated_frames(
    calibrated: Calibrated,
    window: Window,
    shifts: NDArray[np.float64] | None = None,
    reference: tuple[float, float] | None = None,
    *,
    job: Job = QUIET,
) -> NDArray[np.bool_]:
    """Return which frames have a saturated pixel in a window, beside those masked in every frame.

    With the shifts (n, 2) and the reference of a registration, in pixels, the window moves as in
    `napari_lucky.rank`.

    Returns
    -------
    ndarray of bool, (n,)
    """
    n = calibrated.shape[0]
    if not np.isfinite(calibrated.saturation):
        return np.zeros(n, bool)
    moves = None
    if shifts is not None:
        moves = moves_of(shifts, window, reference, calibrated.shape)

    def look(block: slice) -> NDArray[np.bool_]:
        return bright_frames(calibrated, block, window, moves)

    blocks = blocks_of(n, window.height * window.width)
    what = "looking for saturated frames"
    done = map_blocks_checkpointed(look, blocks, job=job, what=what)
    return np.concatenate(list(done))


def bright_frames(
    calibrated: Calibrated,
    block: slice,
    window: Window,
    moves: NDArray[np.intp] | None = None,
) -> NDArray[np.bool_]:
    """Return which frames of a block have a saturated pixel, beside those masked in every frame."""
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
        return np.broadcast_to(mask, (len(numbers_in(frames, self.shape[0])), *mask.shape))
