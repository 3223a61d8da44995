"""Drizzle: frames put onto a finer grid of pixels, each as a drop smaller than its pixel.

What the constants do is measured by ``benchmarks/stacking.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.blocks import blocks_of, map_blocks
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import Window, WindowLike, as_window
from napari_lucky.imaging.interpolation import MARGIN as KERNEL
from napari_lucky.imaging.interpolation import interpolate
from napari_lucky.imaging.shifts import Shifted, ShiftsLike, as_shifts
from napari_lucky.stacking.mean import EqualSums, Stack, Sums, checked, stack_of
from napari_lucky.stacking.step import StackFrames, ToStack
from napari_lucky.steps.declaration import param

if TYPE_CHECKING:
    from scipy import sparse

SCALES = (1.5, 2.0, 3.0)
SCALE, FRACTION = 2.0, 0.7
MARGIN = 2
"""Pixels around the window whose drops may reach into it."""
SCENE = 64
"""Frames whose mean shows what is in the scene; its own noise adds 1/64 to the variance."""


def stack_drizzled(
    frames: FramesLike,
    shifts: ShiftsLike,
    index: NDArray[np.intp],
    window: WindowLike,
    *,
    scale: float = SCALE,
    fraction: float = FRACTION,
    job: Job = QUIET,
    what: str = "drizzling",
) -> Stack:
    """Stack frames on a finer grid (Fruchter & Hook 2002, PASP 114, 144).

    Each pixel becomes a square drop of `fraction` times its side around its shifted place. A
    pixel of the result is the mean of the drops on it, weighted with the area that they share
    with it: sum of a I / sum of a. So the brightness is kept, in ADU a pixel of the *sensor*: a
    sky keeps its level, and a star's flux is the sum over its pixels divided by scale².

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated, *not* shifted.
    shifts : ndarray, (n, 2), Registration or FrameTable
        (dy, dx) in pixels of the sensor.
    index : ndarray of int
        Frames to stack.
    window : Window or (y, x, size)
        What of the sensor. The result has round(scale * side) pixels a side, the outer edge of
        its first pixel on that of the window's first pixel.
    scale : float
        1.5, 2 or 3 pixels a pixel of the sensor.
    fraction : float
        Side of the drop over that of its pixel, over 0 to 1. The smaller, the sharper, and the
        less even the coverage.
    job : Job
        Progress, executor, checkpoint; see `Job`.
    what : str
        What is done, as the progress shows it.

    Returns
    -------
    Stack
        Its coverage is the sum of the areas, 1 being a frame whose drops cover the pixel wholly.
        The variance is that of a ratio of sums, from what is left of each frame without the
        mean of all (or of 64): noise and turbulence. Where light is steep, each frame also
        samples it elsewhere. With the same shifts that is the same every time, so it is not
        counted; stacks with other shifts differ by it.

    Raises
    ------
    LuckyError
        If there is nothing to stack, the window is not on the sensor, or a number is of no use.
    """
    frames, window = as_frames(frames), as_window(window)
    shifts = as_shifts(shifts, frames.shape[0])
    StackDrizzle(scale=scale, drop=fraction)  # raises if they make no sense
    index = checked(frames, index, window)
    shape = (round(scale * window.height), round(scale * window.width))

    scene = _scene(frames, shifts, index, window, f"{what}, what all show", job)

    def add(block: slice) -> _Drizzled:
        made = _Drizzled(np.zeros(shape), Sums(shape))
        for frame in index[block]:
            if np.isfinite(shifts[frame]).all():
                made.add(*_drops(frames, int(frame), shifts[frame], window, scale, fraction, scene))
        return made

    total = _Drizzled(np.zeros(shape), Sums(shape))
    blocks = blocks_of(len(index), shape[0] * shape[1])
    for some in map_blocks(add, blocks, what=what, job=job):
        total.merge(some)
    area = total.rest.weight
    image = np.where(area > 0, total.light / np.where(area > 0, area, 1), np.nan)
    return stack_of(
        image, area.astype(np.float32), len(index), total.rest.variance(), scale, shifted=True
    )


@dataclass
class _Drizzled:
    """Sums over frames: of their light, and of what is left of them without the scene."""

    light: NDArray[np.float64]
    rest: Sums

    def add(
        self, light: NDArray[np.float64], rest: NDArray[np.float64], area: NDArray[np.float64]
    ) -> None:
        self.light += light
        self.rest.add(rest[np.newaxis], area[np.newaxis])

    def merge(self, other: _Drizzled) -> None:
        self.light += other.light
        self.rest.merge(other.rest)


def _scene(
    frames: Frames,
    shifts: NDArray[np.float64],
    index: NDArray[np.intp],
    window: Window,
    what: str,
    job: Job,
) -> NDArray[np.float32]:
    """Return about what all frames show in the window and around it: the mean of some of them."""
    found = index[np.isfinite(shifts[index]).all(axis=1)]
    some = found[spread_over(len(found), SCENE)] if len(found) else found
    around, shifted = window.grown(KERNEL + MARGIN), Shifted(frames, shifts)

    def add(block: slice) -> EqualSums:
        sums = EqualSums(np.zeros((3, *around.shape)))
        sums.add(shifted.read(some[block], around))
        return sums

    total = EqualSums(np.zeros((3, *around.shape)))
    for made in map_blocks(
        add, blocks_of(len(some), around.height * around.width), what=what, job=job
    ):
        total.merge(made)
    return as_float32(total.sums().mean())


def _drops(
    frames: Frames,
    frame: int,
    shift: NDArray[np.float64],
    window: Window,
    scale: float,
    fraction: float,
    scene: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return a frame's light on each pixel of the finer grid, what is not the scene's, and area."""
    whole = np.floor(shift + 0.5).astype(int)
    moved = Window(window.y0 - int(whole[0]), window.x0 - int(whole[1]), *window.shape)
    around = moved.grown(MARGIN)
    source = around.clipped(frames.shape)
    image = frames.read(np.array([frame]), source)[0].astype(np.float64)
    model = interpolate(scene, whole - shift)
    rest = image - model[source.within(around).slices]
    good = np.isfinite(image)
    known = np.isfinite(rest)
    rows = _overlap(
        source.y0 + shift[0] - window.y0, image.shape[0], window.height, scale, fraction
    )
    columns = _overlap(
        source.x0 + shift[1] - window.x0, image.shape[1], window.width, scale, fraction
    )

    def drizzled(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        return (columns @ (rows @ pixels).T).T

    if good.all():
        area = np.multiply.outer(rows.sum(axis=1), columns.sum(axis=1))
    else:
        area = drizzled(good.astype(float))
    return drizzled(np.where(good, image, 0)), drizzled(np.where(known, rest, 0)), area


def _overlap(
    first: float, count: int, side: int, scale: float, fraction: float
) -> sparse.csr_array:
    """Return what part of each output pixel each drop covers along an axis, (output, input).

    As frames are only shifted, a drop is a rectangle along the axes of the finer grid: its area
    on a pixel is the product of its lengths along both.

    Parameters
    ----------
    first : float
        Where the first input pixel's centre is, in input pixels from the window's first centre.
    count, side : int
        Input pixels, and input pixels of the window.
    scale, fraction : float
        As in `stack_drizzled`.
    """
    from scipy import sparse

    centres = (np.arange(count) + first + 0.5) * scale  # in output pixels from the outer edge
    low, high = centres - fraction * scale / 2, centres + fraction * scale / 2
    pixel = np.arange(round(scale * side))[:, np.newaxis]
    shared = np.minimum(high, pixel + 1) - np.maximum(low, pixel)
    return sparse.csr_array(np.maximum(shared, 0))  # a pixel shares with few drops


class StackDrizzle(StackFrames, kind="drizzle"):
    """Pixels, shrunk to drops, on a finer grid (Fruchter & Hook 2002); for undersampled stars."""

    scale: float = param(
        SCALE,
        "Pixels of the stack per pixel of the sensor, along each axis.",
        choices=lambda: SCALES,
    )
    drop: float = param(FRACTION, "Side of a drop over that of its pixel.", step=0.05, ge=0.1, le=1)

    def stack(self, given: ToStack) -> Stack:
        """Return the stack; see `stack_drizzled`."""
        where = given.frames, given.applied, given.index, given.window
        return stack_drizzled(*where, scale=self.scale, fraction=self.drop, **given.how)
