"""The model of one star's pair of images, focused and defocused, and its derivatives.

The pupil is sampled and taken to the windows' own pixels by a matrix Fourier transform (Soummer
et al. 2007, Opt. Express 15, 15935), so that no pixel is computed that is not compared.

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError
from napari_lucky.optics.pupil import SampledPupil, sample_pupil
from napari_lucky.optics.request import Spider

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

FINEST = 0.45
"""Largest step of the computed intensity in lambda/D: its frequencies end at 1 per lambda/D."""
COARSEST, COARSE = 1.5, 2.2
"""Pixels across lambda/D: under the first there is no wavefront, under the second a weak one."""
TAPS = 10
"""Neighbours to each side in the integral over a pixel without a blur: right to 2e-4 at worst."""
SPARED = 4
"""Of these the derivatives do without. They only say which way to step, so the fits are the same to
1e-5 nm, in nine tenths of the time."""


@dataclass(frozen=True, eq=False)
class Plane:
    """What takes the pupil to one window's binned pixels.

    Attributes
    ----------
    rows, columns : ndarray of complex128, (sampled, n)
        Fourier matrices from the pupil to points a bin apart, or half of one where that is over
        `FINEST`, some beyond the window.
    down, across : ndarray of float64, (bins, sampled)
        Integrals over the bins.
    scale : float
        Makes the light of the whole plane 1.
    """

    rows: NDArray[np.complex128]
    columns: NDArray[np.complex128]
    down: Floats
    across: Floats
    scale: float

    @cached_property
    def single(self) -> tuple[NDArray[np.complex64], NDArray[np.complex64], Singles, Singles]:
        """The matrices in single precision and without the outer points, for the derivatives."""
        c, f, some = np.complex64, np.float32, slice(SPARED, -SPARED)
        integrals = []
        for integral in (self.down, self.across):
            inner = integral[:, some]
            share = inner.sum(axis=1, keepdims=True) / integral.sum(axis=1, keepdims=True)
            integrals.append((inner / share).astype(f))
        return (
            self.rows[some].astype(c),
            np.ascontiguousarray(self.columns[some].T.astype(c)),
            integrals[0],
            np.ascontiguousarray(integrals[1].T),
        )

    def focal(self, field: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Return the focal field, (sampled, sampled), of a pupil's (n, n)."""
        return self.rows @ field @ self.columns.T

    def image(self, focal: NDArray[np.complex128]) -> Floats:
        """Return the light on the bins, (bins, bins)."""
        return self.scale * (self.down @ (focal.real**2 + focal.imag**2) @ self.across.T)

    def derivatives(
        self, field: NDArray[np.complex64], focal: NDArray[np.complex64], modes: Singles
    ) -> Singles:
        """Return the derivatives of the image by the modes' coefficients, (k, bins, bins).

        dI/da = 2 Re(conj(U) dU/da), where dU/da is the transform of i Z E.
        """
        rows, columns, down, across = self.single
        focal = np.ascontiguousarray(focal[SPARED:-SPARED, SPARED:-SPARED])
        k, n = modes.shape[:2]
        moved = rows @ ((modes * field).reshape(k * n, n) @ columns).reshape(k, n, -1)
        slope = np.asarray(focal.imag * moved.real, np.float32)
        slope -= focal.real * moved.imag
        slope *= np.float32(2 * self.scale)
        summed = (slope.reshape(-1, slope.shape[-1]) @ across).reshape(*slope.shape[:2], -1)
        return np.asarray(down @ summed)

    def gradient(
        self, field: NDArray[np.complex128], focal: NDArray[np.complex128], pull: Floats
    ) -> Floats:
        """Return the derivative of sum(pull * image) by the pupil's phase, (n, n).

        The adjoint of `derivatives`: two transforms for all modes together.
        """
        spread = self.down.T @ pull @ self.across
        back = self.rows.T @ (spread * focal.conj()) @ self.columns
        return np.asarray(-2 * self.scale * (field * back).imag)


def make_plane(
    pupil: SampledPupil, pixels: tuple[int, int], sampling: float, bins: int, blur: float = 0.0
) -> Plane:
    """Return what takes the pupil to a window.

    Parameters
    ----------
    pupil : SampledPupil
    pixels : (int, int)
        Rows and columns of the window; those beyond a whole number of bins are not used.
    sampling : float
        Pixels across lambda/D.
    bins : int
        Pixels that a bin is wide.
    blur : float
        Standard deviation of a Gaussian blur in lambda/D.
    """
    step = bins / sampling
    fine = math.ceil(step / FINEST)
    taps = bin_filter(step, blur, fine)
    beside = len(taps) // 2
    places = [bin_places(side, bins, sampling) for side in pixels]
    matrices: list[NDArray[np.complex128]] = []
    integrals: list[Floats] = []
    for place in places:
        beyond = np.arange(-beside, fine * (len(place) - 1) + beside + 1) * step / fine + place[0]
        matrices.append(np.exp(-2j * np.pi * np.outer(beyond, pupil.places)))
        integral = np.zeros((len(place), len(beyond)))
        for row in range(len(place)):
            integral[row, fine * row : fine * row + len(taps)] = taps
        integrals.append(integral)
    # Parseval: the light of the whole plane is that through the pupil, its open area
    flux = pupil.amplitude.sum() / (pupil.places[1] - pupil.places[0]) ** 2
    return Plane(matrices[0], matrices[1], integrals[0], integrals[1], step**2 / flux)


def bin_places(side: int, bins: int, sampling: float) -> Floats:
    """Return where the bins' centres are along a side, in lambda/D from pixel side // 2."""
    first = (bins - 1) / 2 - side // 2
    return np.asarray((first + bins * np.arange(side // bins)) / sampling)


def bin_filter(step: float, blur: float, fine: int = 1) -> Floats:
    """Return the weights of points whose sum is the mean over one step, blurred.

    The points are one step apart, or a `fine`-th of it. The intensity has no frequency f over 1 per
    lambda/D; up to there a sum of cosines is fitted to sinc(f step) exp(-2 (pi f blur)²), the
    transfer function of a square pixel and a Gaussian.
    """
    apart = step / fine
    count = TAPS + math.ceil(4 * blur / apart)
    frequency = np.sin(np.pi * (np.arange(200) + 0.5) / 400)  # dense at the far end
    design = np.cos(2 * np.pi * np.outer(frequency * apart, np.arange(count + 1)))
    wanted = np.sinc(frequency * step) * np.exp(-2 * (np.pi * frequency * blur) ** 2)
    half = np.linalg.lstsq(design, wanted, rcond=1e-10)[0]
    half[1:] /= 2
    return np.concatenate([half[:0:-1], half])


def bins_for(sampling: float) -> int:
    """Return how many pixels may be binned without losing a frequency of the image.

    Raises
    ------
    LuckyError
        If the sensor itself samples the image too coarsely.
    """
    if sampling < COARSEST:
        raise LuckyError(
            f"The sampling is {sampling:.2f} px per λ/D: the sensor has fewer than "
            f"{COARSEST:g} pixels across λ/D, too few for the finest speckles (Nyquist's "
            f"limit is 2). Check the "
            "wavelength, the focal ratio and the pixel; a wavefront needs a slower beam."
        )
    return max(1, int(sampling * FINEST))


@dataclass(frozen=True, eq=False)
class PairModel:
    """The two images of a star as functions of x.

    x holds, in rad rms: tilt x and y (Noll 2, 3) of the focused image, tilt x and y of the
    defocused one, the Zernikes from Noll 4 on of both; and last the defocus between them in waves.

    Attributes
    ----------
    pupil : SampledPupil
    modes : ndarray of float32, (k, n, n)
        Zernikes from Noll 2 on.
    planes : (Plane, Plane)
        Focused and defocused.
    """

    pupil: SampledPupil
    modes: Singles
    planes: tuple[Plane, Plane]

    @property
    def size(self) -> int:
        """How many parameters x has."""
        return len(self.modes) + 3

    def _fields(self, x: Floats) -> list[NDArray[np.complex128]]:
        shared = np.tensordot(x[4:-1], self.modes[2:], 1)
        tilts = [np.tensordot(x[at : at + 2], self.modes[:2], 1) for at in (0, 2)]
        between = x[-1] * self.pupil.defocus
        phases = (shared + tilts[0], shared + tilts[1] + between)
        return [np.asarray(self.pupil.amplitude * np.exp(1j * phase)) for phase in phases]

    def images(self, x: Floats) -> list[Floats]:
        """Return the two images of a star of unit flux, on the bins."""
        fields = self._fields(x)
        return [
            plane.image(plane.focal(field))
            for plane, field in zip(self.planes, fields, strict=True)
        ]

    def derivatives(self, x: Floats) -> list[Singles]:
        """Return the derivatives of each image by its own parameters, (k, bins, bins).

        Of the focused image by tilt and Zernikes, of the defocused one by tilt, Zernikes, and
        the defocus between the two.
        """
        out = []
        single = np.complex64
        extra = self.pupil.defocus.astype(np.float32)[np.newaxis]
        for at, (plane, field) in enumerate(zip(self.planes, self._fields(x), strict=True)):
            modes = self.modes if at == 0 else np.concatenate([self.modes, extra])
            focal = plane.focal(field).astype(single)
            out.append(plane.derivatives(field.astype(single), focal, modes))
        return out

    def gradient(self, x: Floats, pulls: list[Floats]) -> Floats:
        """Return the derivatives of sum(pull * image), summed over the images, by x, (size,)."""
        out = np.zeros(self.size)
        for at, (plane, field) in enumerate(zip(self.planes, self._fields(x), strict=True)):
            by_phase = plane.gradient(field, plane.focal(field), pulls[at])
            by_mode = self.modes.reshape(len(self.modes), -1) @ by_phase.ravel()
            out[self.own(at)[: len(by_mode)]] += by_mode
            if at == 1:
                out[-1] = (by_phase * self.pupil.defocus).sum()
        return out

    def own(self, at: int) -> NDArray[np.intp]:
        """Return which of the parameters x an image depends on: 0 focused, 1 defocused."""
        shared = np.arange(4, self.size - 1)
        return np.concatenate([[0, 1], shared] if at == 0 else [[2, 3], shared, [self.size - 1]])


def make_pair_model(
    shapes: tuple[tuple[int, int], tuple[int, int]],
    sampling: float,
    obstruction: float,
    last_noll: int,
    spider: Spider | None = None,
    samples: int | None = None,
    blur: float = 0.0,
    bins: int | None = None,
) -> PairModel:
    """Return the model of a pair of windows.

    Parameters
    ----------
    shapes : pair of (int, int)
        Rows and columns of the focused and of the defocused window.
    sampling : float
        Pixels across lambda/D.
    obstruction : float
        Diameter of the central obstruction over the pupil's.
    last_noll : int
        Noll 2 up to this one are modelled.
    spider : Spider, optional
    samples : int, optional
        Across the pupil; the light repeats itself that many lambda/D away. By default 48, more
        for a window over 32 lambda/D.
    blur : float
        Standard deviation of a Gaussian blur of both images, in lambda/D.
    bins : int, optional
        Pixels that a bin is wide; what the sampling allows by default.
    """
    bins = bins or bins_for(sampling)
    widest = max(max(shape) for shape in shapes) / sampling
    if samples is None:
        samples = max(48, math.ceil(1.5 * widest))
    pupil = sample_pupil(samples, obstruction, spider)
    planes = [make_plane(pupil, shape, sampling, bins, blur) for shape in shapes]
    return PairModel(pupil, pupil.modes(range(2, last_noll + 1)), (planes[0], planes[1]))
