"""Finding the defocused star: a disk of light beside the focused one, as bright and much wider.

What the constants do is measured by ``benchmarks/finding.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lucky.execution.job import QUIET, Job
from napari_lucky.fits.arrays import FramesLike, as_frames
from napari_lucky.frames.frames import is_empty
from napari_lucky.frames.window import Window, WindowLike, as_window
from napari_lucky.imaging.connection import connected_to
from napari_lucky.imaging.star_image import smoothed
from napari_lucky.registration.find_star import MeanOfRun, mean_of_run, side_for

SMOOTH = 4.0
"""Standard deviation in pixels of the smoothing that joins the speckles of a disk."""
OVER = 0.3
"""Pixels over this fraction of the peak are the star's."""
CLEAR = 8.0
"""Sigmas of the smoothed mean over which a disk of light stands out."""
WIDER = 2.0
"""Times the area of the focused star: less is another star in focus."""
FLUX = 0.2, 5.0
"""The light of the disk over that of the focused star."""
ROUND, LONG = 0.5, 1.5
"""Least part of its bounding box that a disk fills, and the most that box is longer than wide."""
LEAST = 0.2
"""Of the sensor, that shows background: from less it is not fitted."""
TERMS = (0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0)
"""Powers of y and x in the background."""
ROUNDS = 6
"""Of the fit of the background, each without what stands out of the one before."""


def find_defocused(
    frames: FramesLike,
    focus: WindowLike,
    *,
    seen: MeanOfRun | None = None,
    job: Job = QUIET,
) -> Window | None:
    """Put a window on the defocused star of a run, if there is one.

    In the mean of frames spread over the run, less a background of second order, it is the
    brightest light outside the focused star's window that is a filled disk, at least twice as
    large as the focused star and about as bright: another star in focus, dust or a gradient is
    not taken for it.

    Parameters
    ----------
    frames : Frames, path or array
        Calibrated or raw.
    focus : Window or (y, x, size)
        Of the focused star.
    seen : MeanOfRun, optional
        Of the same frames, if it is known.
    job : Job
        Progress, executor, checkpoint; see `Job`.

    Returns
    -------
    Window or None
        A square with room around the disk; None if no light is clearly such a disk, or it has
        no room on the sensor beside the focused star.
    """
    frames, focus = as_frames(frames), as_window(focus)
    seen = seen or mean_of_run(frames, job=job)
    bins = seen.bins
    found = _disk(seen.pixels, Window(*(value // bins for value in vars(focus).values())))
    if found is None:
        return None
    y, x = (place * bins + bins // 2 for place in found.centre)
    side = side_for(found.radius * bins, frames.shape)
    return Window.centred(y, x, side).moved_inside(frames.shape)


def _disk(mean: NDArray[np.float32], focus: Window) -> _Blob | None:
    """Return the disk of light in a mean (y, x) beside the focused star."""
    star = np.zeros(mean.shape, bool)
    star[focus.slices] = True
    if is_empty(mean[np.newaxis])[0] or star.all() or not star.any():
        return None
    light = np.nan_to_num(_levelled(mean, star)).astype(np.float32)
    even = smoothed(light[np.newaxis], SMOOTH, "constant")[0]
    focused, disk = _blob(even, light, star), _blob(even, light, ~star)
    beside = even[~star]
    sigma = 1.4826 * float(np.median(np.abs(beside - np.median(beside))))
    if focused is None or disk is None or not _is_disk(disk, focused, sigma):
        return None
    inner = disk.pixels[1:-1, 1:-1]
    if inner.sum() < disk.pixels.sum() or (disk.pixels & star).any():
        return None  # cut by the sensor's edge, or by the focused star's window
    return disk


@dataclass(frozen=True, eq=False)
class _Blob:
    """Light that hangs together around a peak; its holes are filled."""

    pixels: NDArray[np.bool_]
    peak: float
    flux: float
    centre: tuple[int, int]
    size: tuple[int, int]

    @property
    def radius(self) -> float:
        return max(self.size) / 2


def _blob(
    even: NDArray[np.float32], light: NDArray[np.float32], where: NDArray[np.bool_]
) -> _Blob | None:
    """Return the light around the brightest place of a part of a smoothed image (y, x)."""
    at = int(np.where(where, even, -np.inf).argmax())
    peak = float(even.ravel()[at])
    if peak <= 0:
        return None
    pixels = _filled(connected_to(np.array([at]), (even > OVER * peak)[np.newaxis])[0])
    y, x = np.nonzero(pixels)
    return _Blob(
        pixels,
        peak,
        float(light[pixels].sum()),
        (round(y.mean()), round(x.mean())),
        (int(np.ptp(y)) + 1, int(np.ptp(x)) + 1),
    )


def _filled(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return pixels (y, x) that hang together with their holes filled."""
    y, x = np.nonzero(pixels)
    box = np.s_[y.min() : y.max() + 1, x.min() : x.max() + 1]
    beyond = np.pad(~pixels[box], 1, constant_values=True)
    outside = connected_to(np.zeros(1, int), beyond[np.newaxis])[0]
    filled = pixels.copy()
    filled[box] = ~outside[1:-1, 1:-1]
    return filled


def _is_disk(disk: _Blob, focused: _Blob, sigma: float) -> bool:
    """Return whether light is a clear, round disk, wider than a star and about as bright."""
    area, (height, width) = int(disk.pixels.sum()), disk.size
    return (
        disk.peak > CLEAR * sigma
        and area > WIDER * int(focused.pixels.sum())
        and FLUX[0] < disk.flux / focused.flux < FLUX[1]
        and area > ROUND * height * width
        and max(height, width) < LONG * min(height, width)
    )


def _levelled(mean: NDArray[np.float32], star: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return an image (y, x) less the second-order background that is seen beside a star."""
    down, across = (np.vander(np.linspace(-1, 1, side), 5, increasing=True) for side in mean.shape)
    j, k = np.array(TERMS).T
    usable = np.isfinite(mean) & ~star
    values = np.where(usable, mean, 0.0)
    dark, rest = usable, mean.astype(np.float64)
    for _ in range(ROUNDS):
        if dark.sum() < LEAST * usable.sum():
            break
        moments = down.T @ dark @ across  # sums of y^a x^b
        normal = moments[j[:, None] + j, k[:, None] + k]
        projected = (down[:, :3].T @ np.where(dark, values, 0) @ across[:, :3])[j, k]
        terms = np.zeros((3, 3))
        terms[j, k] = np.linalg.lstsq(normal, projected, rcond=None)[0]
        rest = mean - down[:, :3] @ terms @ across[:, :3].T
        fitted = rest[dark]
        middle = float(np.median(fitted))
        sigma = 1.4826 * float(np.median(np.abs(fitted - middle)))
        dark = usable & (rest < middle + 2 * sigma) & (rest > middle - 4 * sigma)
    return rest
