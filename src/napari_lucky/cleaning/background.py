"""A smooth background, fitted to each frame around the stars and taken off.

What the constants do is measured by ``benchmarks/cleaning.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from napari_lucky.cleaning.step import Applied, CleaningStep, Scene
from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import (
    Frames,
    Index,
    View,
    as_float32,
    numbers_in,
    thinned_frames,
)
from napari_lucky.frames.kept_rows import KeptRows
from napari_lucky.frames.sensor_image import At, is_large
from napari_lucky.frames.window import Window
from napari_lucky.imaging.brightest_speckle import track_brightest
from napari_lucky.imaging.robust_sigma import sigma_near
from napari_lucky.steps.declaration import param

MAX_ORDER = 6
SAMPLES = 20_000
"""Pixels of a frame that are fitted, on a grid: far more than the terms need."""
ABOVE, BELOW, ROUNDS = 2.0, 3.0, 20
"""Pixels this many sigmas off the fit are left out of the next one, in so many rounds."""
SETTLED = 1 / 2000
"""Of the pixels: once fewer come and go, further rounds move the fit by 3 to 8 % of its own error,
a quarter at most."""
SOUND = 1e8
"""Normal equations of a lower condition number lose nothing by their inverse."""
LOW = 0.0705
"""Sigmas by which Gaussian noise that is clipped so, again and again, has its mean too low:
where the clipping of a normal distribution comes to rest."""


class Disc(NamedTuple):
    """A circle around a star, left out of the fit: centre (y, x) and radius in pixels."""

    y: float
    x: float
    radius: float


class Basis:
    """Nearly orthogonal functions on pixels, so that the normal equations lose nothing.

    Parameters
    ----------
    values : ndarray of float64, (n, m)
    """

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values = np.asfortranarray(values)
        self.single = self.values.astype(np.float32)  # in the order of the others
        self.normal = values.T @ values


@dataclass(frozen=True, eq=False)
class BackgroundRemoved(View):
    """Frames less a two-dimensional polynomial, fitted to each outside discs around the stars.

    The model is B(y, x) = sum of c_jk P_j(v) P_k(u) over j + k <= order, with Legendre
    polynomials P and v, u from −1 to 1 across the sensor: nearly orthogonal there, so that the
    fit is well conditioned at any order. Pixels far off the fit (a halo, cosmic rays) are
    clipped and the fit repeated. Masked pixels do not count.

    Parameters
    ----------
    frames : Frames
        Calibrated or raw, masked pixels NaN.
    discs : tuple of Disc
        Around the stars, large enough for their light and their shake.
    order : int
        0 to 6.
    follow : Window, optional
        Of the focused star: the discs move from frame to frame with its brightest speckle, by
        as much as that is off this window's centre.
    """

    discs: tuple[Disc, ...] = ()
    order: int = 4
    follow: Window | None = None
    _fitted: KeptRows = field(init=False)
    _shared: list[tuple[bytes, Basis]] = field(default_factory=list, init=False)
    """The last frame's used pixels and their basis: most frames have the same."""

    def __post_init__(self) -> None:
        RemoveBackground(order=self.order)
        if any(not disc.radius >= 0 for disc in self.discs):
            raise LuckyError("The radius of a disc around a star must be 0 pixels or more.")
        object.__setattr__(self, "_fitted", KeptRows(self.shape[0], (self.order + 1) ** 2))

    def take_over(self, other: View) -> None:
        """Use the fits of the same view of the same frames, and share those to come."""
        assert isinstance(other, BackgroundRemoved)
        object.__setattr__(self, "_fitted", other._fitted)

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return frames less their background, (k, y, x), cut to the window."""
        block = as_float32(self.frames.read(frames, window))
        if block.shape[1:] == self.shape[1:]:  # all that a fit needs
            for k, image in zip(numbers_in(frames, self.shape[0]).tolist(), block, strict=True):
                self._terms(k, image)
        model = self.model(frames, window)
        return np.subtract(block, model, out=model)

    def model(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the backgrounds themselves, (k, y, x), cut to the window."""
        window = window or Window.whole(self.shape)
        down = as_float32(self._vander(np.arange(window.y0, window.y1), 0))
        across = self._vander(np.arange(window.x0, window.x1), 1)
        index = numbers_in(frames, self.shape[0])
        made = np.empty((len(index), *window.shape), np.float32)
        for k, image in zip(index.tolist(), made, strict=True):
            np.matmul(down, as_float32(self._terms(k) @ across.T), out=image)
        return made

    def _vander(self, pixels: NDArray[np.intp], axis: int) -> NDArray[np.float64]:
        side = self.shape[1 + axis]
        return np.asarray(legendre.legvander(2 * pixels / max(side - 1, 1) - 1, self.order))

    def _terms(self, frame: int, whole: NDArray[np.float32] | None = None) -> NDArray[np.float64]:
        """Return the coefficients (order + 1, order + 1) of a frame, fitted once."""
        terms = self._fitted.get(frame)
        if terms is None:
            terms = self._fit(frame, whole).ravel()
            self._fitted.put(frame, terms)
        return terms.reshape(self.order + 1, self.order + 1)

    def _fit(self, frame: int, whole: NDArray[np.float32] | None) -> NDArray[np.float64]:
        y, x = (np.arange(n)[part] for n, part in zip(self.shape[1:], self._grid, strict=True))
        values, star = self._look(frame, whole)
        used = np.isfinite(values)
        dy, dx = self._moved(star)
        for disc in self.discs:
            used &= (y[:, None] - disc.y - dy) ** 2 + (x - disc.x - dx) ** 2 > disc.radius**2
        j, k = np.nonzero(np.add.outer(range(self.order + 1), range(self.order + 1)) <= self.order)
        if (number := np.count_nonzero(used)) < 2 * len(j):
            raise LuckyError(
                f"Frame {frame}: the discs around the stars leave {number} pixels to fit a "
                f"background of order {self.order} to. Give the discs a smaller radius, such as "
                "40 px, or use a lower order."
            )
        key, shared = np.packbits(used).tobytes(), self._shared[:]
        if shared and shared[0][0] == key:
            basis = shared[0][1]
        else:
            down, across = self._vander(y, 0).T[j], self._vander(x, 1).T[k]
            functions = [np.outer(*pair)[used] for pair in zip(down, across, strict=True)]
            basis = Basis(np.stack(functions).T)
            self._shared[:] = [(key, basis)]
        terms = np.zeros((self.order + 1, self.order + 1))
        # starlight only adds, so what is above goes sooner
        fitted, sigma = clipped_fit(basis, values[used], ABOVE, BELOW, ROUNDS)
        fitted[0] += LOW * sigma  # the constant term is the first
        terms[j, k] = fitted
        return terms

    @cached_property
    def _grid(self) -> At:
        """Rows and columns whose pixels are fitted."""
        _, ny, nx = self.shape
        step = max(1, int(np.sqrt(ny * nx / SAMPLES)))
        return slice(step // 2, ny, step), slice(step // 2, nx, step)

    @cached_property
    def _on_grid(self) -> Frames:
        """The frames at these pixels alone."""
        return thinned_frames(self.frames, self._grid)

    def _look(
        self, frame: int, image: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return a frame's pixels on the grid, and those of the window that is followed.

        Nothing is read if the whole image is given. Of a large sensor, only the grid's rows are.
        """
        if image is not None:
            return image[self._grid], None if self.follow is None else image[self.follow.slices]
        index = np.array([frame])
        if is_large(self.shape):
            rows, columns = self._grid
            parts = [Window(y, 0, 1, self.shape[2]) for y in range(self.shape[1])[rows]]
            grid = np.concatenate(
                [as_float32(self.frames.read(index, part))[0, :, columns] for part in parts]
            )
        else:
            grid = as_float32(self._on_grid.read(index))[0]
        star = None if self.follow is None else self.frames.read(index, self.follow)[0]
        return grid, None if star is None else as_float32(star)

    def _moved(self, image: NDArray[np.float32] | None) -> NDArray[np.float64]:
        """Return how far (y, x) the brightest speckle is from the centre of its window."""
        if self.follow is None or image is None:
            return np.zeros(2)
        star = track_brightest(image[np.newaxis])[0, :2]
        corner = np.array([self.follow.y0, self.follow.x0])
        return np.nan_to_num(star + corner - self.follow.centre)


@dataclass(frozen=True, eq=False)
class BackgroundModel(View):
    """The backgrounds that `BackgroundRemoved` takes off, as frames to be looked at."""

    frames: BackgroundRemoved

    def read(self, frames: Index, window: Window | None = None) -> NDArray[np.float32]:
        """Return the backgrounds of the frames asked for, (k, y, x), cut to the window."""
        return self.frames.model(frames, window)


def discs_around(windows: Iterable[Window | None], radius: float | None = None) -> tuple[Disc, ...]:
    """Return a disc around each window's centre; by default it reaches the window's corners."""
    found = []
    for window in windows:
        if window is not None:
            reach = np.hypot(*window.shape) / 2 if radius is None else radius
            found.append(Disc(*window.centre, float(reach)))
    return tuple(found)


def clipped_fit(
    basis: Basis,
    values: NDArray[np.float32],
    above: float,
    below: float,
    rounds: int,
) -> tuple[NDArray[np.float64], float]:
    """Fit by least squares, again and again without what is far off the last fit.

    Parameters
    ----------
    basis : Basis
        n pixels of m functions.
    values : ndarray of float32, (n,)
        What is fitted. How far they are off a fit is found in single precision, as they are given.
    above, below : float
        Values this many standard deviations off are left out.
    rounds : int
        Fits at most.

    Returns
    -------
    terms : ndarray, (m,)
    sigma : float
        Standard deviation of what is kept, from its median absolute value.
    """
    kept, sigma = np.ones(len(values), bool), 0.0
    functions, normal = basis.values, basis.normal
    projected = functions.T @ values.astype(np.float64)
    for _ in range(rounds):
        terms = _solution(normal, projected)
        off = values - basis.single @ as_float32(terms)
        sigma = sigma_near(off[kept], sigma)
        now = (off <= above * sigma) & (off >= -below * sigma) if sigma > 0 else kept
        changed = np.flatnonzero(now != kept)
        if now.sum() < 2 * functions.shape[1] or len(changed) == 0:
            break
        some = functions[changed]
        signed = some * np.where(now[changed], 1.0, -1.0)[:, np.newaxis]
        normal = normal + signed.T @ some
        projected = projected + signed.T @ values[changed]
        kept = now
        if len(changed) < SETTLED * len(kept):  # the fit without them will do
            return _solution(normal, projected), sigma
    return terms, sigma


def _solution(normal: NDArray[np.float64], projected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the terms that solve normal equations, the shortest where many do."""
    try:
        inverse = np.linalg.inv(normal)
        if np.linalg.norm(inverse) * np.linalg.norm(normal) < SOUND:  # four times as fast
            return np.asarray(inverse @ projected)
    except np.linalg.LinAlgError:
        pass
    return np.asarray(np.linalg.lstsq(normal, projected, rcond=None)[0])


class RemoveBackground(CleaningStep, table="background", place=30, optional=True):
    """Subtract a polynomial fitted to each frame outside discs around the stars.

    B(y, x) = sum of c_jk y^j x^k with j + k up to the order, fitted by least squares to pixels
    within the clip of it; see `BackgroundRemoved`. It removes stray light that dark and flat
    leave. Do not use it on the Sun, the Moon or a nebula that fills the frame: it would be removed
    too.
    """

    order: int = param(2, "Order of the polynomial.", ge=0, le=MAX_ORDER)
    radius: float | None = param(
        None,
        "Radius of the discs around the stars; by default they reach the windows' corners.",
        "px",
        "disc radius",
        empty="auto",
        ge=0,
    )
    centre: Literal["window", "speckle"] = param(
        "window", "Whether the discs stay on the windows or move with the brightest speckle."
    )

    def apply(self, frames: Any, scene: Scene) -> Applied:
        """Return the frames without their background."""
        discs = discs_around(scene.stars, self.radius)
        follow = scene.focus if self.centre == "speckle" else None
        removed = BackgroundRemoved(frames, discs, self.order, follow)
        return Applied(removed, self, {"discs": [list(disc) for disc in discs]})
