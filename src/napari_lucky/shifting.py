"""Frames moved by their shifts, read from the sensor where they come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .errors import LuckyError
from .frames import Index, View, as_float32
from .windows import Window


@dataclass(frozen=True, eq=False)
class Shifted(View):
    """Frames moved by their shifts: moved[y + dy, x + dx] = frame[y, x].

    Whole pixels of the shift move the window that is read from the sensor, so nothing is
    wrapped and nothing is lost at the window's edge; only the rest is interpolated. Pixels
    that come from beyond the sensor, and frames without a shift, are NaN.

    Parameters
    ----------
    frames : Frames
        Calibrated, in ADU.
    shifts : ndarray of float64, (n, 2)
        (dy, dx) in pixels.
    subpixel : bool
        Whether the fraction of a pixel is applied, or the shift rounded.
    """

    shifts: NDArray[np.float64]
    subpixel: bool = True

    def __post_init__(self) -> None:
        if self.shifts.shape != (self.frames.shape[0], 2):
            raise LuckyError(
                f"There are {len(self.shifts)} shifts for {self.frames.shape[0]} frames; "
                "register this run, or choose the registration that belongs to it."
            )

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the shifted frames asked for, (k, y, x), cut to the window."""
        window = window or Window.whole(self.shape)
        index = np.arange(self.shape[0])[frames]
        out = np.full((len(index), *window.shape), np.nan, np.float32)
        for k, frame in enumerate(index):
            if np.isfinite(self.shifts[frame]).all():
                self._read_one(int(frame), window, out[k])
        return out

    def _read_one(self, frame: int, window: Window, out: NDArray[np.float32]) -> None:
        shift = self.shifts[frame]
        whole = np.floor(shift + 0.5).astype(int)
        rest = shift - whole
        reach = MARGIN if self.subpixel and rest.any() else 0
        source = Window(
            window.y0 - int(whole[0]) - reach,
            window.x0 - int(whole[1]) - reach,
            window.height + 2 * reach,
            window.width + 2 * reach,
        )
        inside = source.clipped(self.shape)
        if 0 in inside.shape:
            return
        image = np.full(source.shape, np.nan, np.float32)
        y, x = inside.y0 - source.y0, inside.x0 - source.x0
        image[y : y + inside.height, x : x + inside.width] = self.frames.read(
            np.array([frame]), inside
        )[0]
        out[:] = interpolate(image, rest) if reach else image


MARGIN = 2
"""Pixels around an image that the interpolation kernel needs."""


def interpolate(image: NDArray[np.float32], rest: NDArray[np.float64]) -> NDArray[np.float32]:
    """Move an image by less than a pixel, with cubic convolution.

    The kernel (Keys 1981, a = −1/2) reaches two pixels to each side, keeps the flux and a
    quadratic exactly. Masked pixels have no weight; where they had the most of it, the
    result is masked.

    Parameters
    ----------
    image : ndarray of float32, (y + 4, x + 4)
        The image with a margin of two pixels.
    rest : ndarray of float, (2,)
        (dy, dx) between −1/2 and 1/2.

    Returns
    -------
    ndarray of float32, (y, x)
    """
    holes = ~np.isfinite(image)
    if not holes.any():
        return _convolve(image, rest)
    weight = _convolve(as_float32(~holes), rest)
    moved = _convolve(np.where(holes, np.float32(0), image), rest)
    return np.where(weight > 0.5, moved / np.where(weight > 0.5, weight, 1), np.float32(np.nan))


def _convolve(image: NDArray[np.float32], rest: NDArray[np.float64]) -> NDArray[np.float32]:
    for axis, fraction in enumerate(rest):
        image = ndimage.correlate1d(image, _keys(float(fraction)), axis=axis, mode="constant")
    return image[MARGIN:-MARGIN, MARGIN:-MARGIN]


def _keys(fraction: float) -> NDArray[np.float64]:
    """Return the five weights that give a sample at −fraction pixels (Keys 1981)."""
    distance = np.abs(np.arange(-2, 3) + fraction)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
