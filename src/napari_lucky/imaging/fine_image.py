"""An image between its pixels: exact where the optics pass no detail finer than two pixels.

What the constants do is measured by ``benchmarks/figures.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lucky.imaging.spline import spline_at

FINER = 10.0
"""Points of the fine grid across one lambda/D; ten a period leave nothing to the spline."""


@dataclass(frozen=True, eq=False)
class FineImage:
    """An image on a grid finer than its pixels.

    Parameters
    ----------
    values : ndarray of float64, (k, l)
        The image at `step` pixels from point to point, from its first pixel on.
    step : tuple of float
        Of rows and columns, in pixels.
    """

    values: NDArray[np.float64]
    step: tuple[float, float]

    def peak(self, near: tuple[float, float], reach: float) -> tuple[tuple[float, float], float]:
        """Return place (y, x), in pixels, and height of the maximum not far from a point.

        A quadratic through the 3 x 3 points around the greatest gives both.
        """
        y, x = (np.arange(n) * s for n, s in zip(self.values.shape, self.step, strict=True))
        far = np.hypot(y[:, None] - near[0], x - near[1]) > reach
        masked = np.where(far, -np.inf, self.values)[1:-1, 1:-1]  # it has neighbours
        row, column = np.unravel_index(int(np.argmax(masked)), masked.shape)
        at = self.values[row : row + 3, column : column + 3]
        slope = np.array([at[2, 1] - at[0, 1], at[1, 2] - at[1, 0]]) / 2
        twist = (at[2, 2] - at[2, 0] - at[0, 2] + at[0, 0]) / 4
        bend = np.array(
            [
                [at[2, 1] - 2 * at[1, 1] + at[0, 1], twist],
                [twist, at[1, 2] - 2 * at[1, 1] + at[1, 0]],
            ]
        )
        off = np.zeros(2)
        if np.all(np.linalg.eigvalsh(bend) < 0):
            off = np.clip(-np.linalg.solve(bend, slope), -1, 1)
        place = (np.array([row, column]) + 1 + off) * self.step
        return (float(place[0]), float(place[1])), float(at[1, 1] + slope @ off / 2)

    def less(self, level: float) -> FineImage:
        """Return the image without a level that all of it has."""
        return FineImage(self.values - level, self.step)

    def at(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values at places in pixels, all arrays of one shape; NaN outside."""
        return spline_at(self.values, y / self.step[0], x / self.step[1])


def fine_image(image: NDArray[np.float64], sampling: float) -> FineImage:
    """Interpolate an image by its Fourier series, cut where the optics pass nothing.

    An image made by a pupil holds no spatial frequency over D/lambda, which is 1 / `sampling`
    cycles a pixel, whatever the turbulence. Up to there the series is the image itself between
    its pixels; beyond there is noise alone, which is left out. Sampled with less than two pixels
    across lambda/D an image does not say what is between its pixels, and the series is a
    guess.

    Parameters
    ----------
    image : ndarray of float64, (y, x)
        Flat at its edges, for it is taken as periodic; no NaN.
    sampling : float
        Pixels per λ/D.
    """
    rows, columns = image.shape
    frequency = [np.fft.fftfreq(rows), np.fft.rfftfreq(columns)]
    passed = np.hypot(frequency[0][:, None], frequency[1]) <= 1 / sampling
    spectrum = np.where(passed, np.fft.rfft2(image), 0) / image.size
    spectrum[:, 1 : (columns + 1) // 2] *= 2  # with the other half, which is conjugate to it
    some = passed.any(axis=1), passed.any(axis=0)
    count = [int(np.ceil((side - 1) * FINER / min(sampling, FINER))) + 1 for side in image.shape]
    step = [(side - 1) / max(n - 1, 1) for side, n in zip(image.shape, count, strict=True)]
    down, across = (
        np.exp(2j * np.pi * np.outer(np.arange(n) * s, f[there]))
        for n, s, f, there in zip(count, step, frequency, some, strict=True)
    )
    highest = np.abs(frequency[0][some[0]]) == 0.5
    down[:, highest] = down[:, highest].real  # half a cycle a pixel is its own conjugate
    lines = down @ spectrum[np.ix_(*some)]
    values = np.hstack([lines.real, -lines.imag]) @ np.hstack([across.real, across.imag]).T
    return FineImage(values, (step[0], step[1]))


def beyond_optics(image: NDArray[np.float64], sampling: float) -> tuple[NDArray[np.float64], float]:
    """Return what of an image is at frequencies that no optics pass: noise, and bad pixels.

    Parameters
    ----------
    image : ndarray of float64, (y, x)
        As `fine_image` takes it.
    sampling : float
        Pixels per λ/D.

    Returns
    -------
    beyond : ndarray of float64, (y, x)
        What `fine_image` leaves out.
    share : float
        Of all frequencies; that of the variance of white noise.
    """
    frequency = [np.fft.fftfreq(image.shape[0]), np.fft.rfftfreq(image.shape[1])]
    passed = np.hypot(frequency[0][:, None], frequency[1]) <= 1 / sampling
    beyond = np.fft.irfft2(np.where(passed, 0, np.fft.rfft2(image)), s=image.shape)
    whole = np.hypot(frequency[0][:, None], np.fft.fftfreq(image.shape[1])) <= 1 / sampling
    return np.asarray(beyond), 1 - float(whole.mean())
