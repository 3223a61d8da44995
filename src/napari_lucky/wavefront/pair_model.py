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
from napari_lucky.pieces import pieces

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

FINEST = 0.45
"""Largest step of the computed intensity in lambda/D: its frequencies end at 1 per lambda/D."""
COARSEST, COARSE = 1.5, 2.2
"""Pixels across lambda/D: under the first there is no wavefront, under the second a weak one."""
TAPS = 10
"""Neighbours to each side in the integral over a pixel without a blur: right to 2e-4 at worst."""
THIN = 2
"""A thin model's derivatives are those of every second row of bins, and at the bins' centres. They
only say which way to step: fits need as many steps, and a matrix takes a quarter of the time."""
AT_ONCE = 24
"""Modes whose derivatives are computed together: of more, new memory takes a third of the time."""


@dataclass(frozen=True, eq=False)
class Light:
    """A star's light in one window, of unit flux.

    Attributes
    ----------
    field : ndarray of complex128, (n, n)
        In the pupil.
    focal : ndarray of complex128, (sampled, sampled)
        Its transform at the points of a `Plane`.
    image : ndarray, (bins, bins)
    """

    field: NDArray[np.complex128]
    focal: NDArray[np.complex128]
    image: Floats


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
    centres : slice
        Which of the points are the bins' centres, along both axes.
    scale : float
        Makes the light of the whole plane 1.
    """

    rows: NDArray[np.complex128]
    columns: NDArray[np.complex128]
    down: Floats
    across: Floats
    centres: slice
    scale: float

    @cached_property
    def single(self) -> tuple[NDArray[np.complex64], NDArray[np.complex64], Singles, Singles]:
        """The matrices in single precision, for the derivatives."""
        rows, columns = self.rows.astype(np.complex64), self.columns.T.astype(np.complex64)
        return rows, columns, self.down.astype(np.float32), self.across.T.astype(np.float32)

    def light(self, field: NDArray[np.complex128]) -> Light:
        """Return the light of a pupil's field, (n, n)."""
        focal = self.rows @ field @ self.columns.T
        image = self.down @ (focal.real**2 + focal.imag**2) @ self.across.T
        return Light(field, focal, self.scale * image)

    def derivatives(self, light: Light, modes: Singles, thin: bool = False) -> Singles:
        """Return the derivatives of the image by the modes' coefficients, (k, bins, bins).

        dI/da = 2 Re(conj(U) dU/da), where dU/da is the transform of i Z E.
        """
        rows, columns, down, across = self.single
        focal, field = light.focal, light.field.astype(np.complex64)
        if thin:
            at = self.centres
            rows, columns, focal = rows[at][::THIN], columns[:, at], focal[at, at][::THIN]
        pull = (-2 * self.scale * focal.conj()).astype(np.complex64)
        made = []
        for few in pieces(len(modes), AT_ONCE):
            moved = (rows @ (modes[few] * field)).reshape(-1, len(field)) @ columns
            slope = np.ascontiguousarray((moved.reshape(-1, *pull.shape) * pull).imag)
            made.append(slope if thin else down @ (slope @ across))
        return np.concatenate(made)

    def gradient(self, light: Light, pull: Floats) -> Floats:
        """Return the derivative of sum(pull * image) by the pupil's phase, (n, n).

        The adjoint of `derivatives`: two transforms for all modes together.
        """
        spread = self.down.T @ pull @ self.across
        back = self.rows.T @ (spread * light.focal.conj()) @ self.columns
        return np.asarray(-2 * self.scale * (light.field * back).imag)


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
    centres = slice(beside, -beside, fine)
    return Plane(matrices[0], matrices[1], integrals[0], integrals[1], centres, step**2 / flux)


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
    thin : bool
        Whether derivatives are of some rows only; see `THIN`.
    """

    pupil: SampledPupil
    modes: Singles
    planes: tuple[Plane, Plane]
    thin: bool = False

    @property
    def size(self) -> int:
        """How many parameters x has."""
        return len(self.modes) + 3

    @cached_property
    def _open(self) -> tuple[NDArray[np.bool_], Floats, Floats]:
        """Which samples of the pupil let light through, and modes and defocus there."""
        lit = self.pupil.amplitude != 0
        return lit, self.modes[:, lit].astype(np.float64), self.pupil.defocus[lit]

    def light(self, x: Floats) -> list[Light]:
        """Return the light of a star of unit flux, focused and defocused."""
        lit, modes, defocus = self._open
        shared = x[4:-1] @ modes[2:]
        phases = shared + x[:2] @ modes[:2], shared + x[2:4] @ modes[:2] + x[-1] * defocus
        made = []
        for plane, phase in zip(self.planes, phases, strict=True):
            field = np.zeros(lit.shape, np.complex128)
            field[lit] = self.pupil.amplitude[lit] * np.exp(1j * phase)
            made.append(plane.light(field))
        return made

    def images(self, x: Floats) -> list[Floats]:
        """Return the two images of a star of unit flux, on the bins."""
        return [light.image for light in self.light(x)]

    def derivatives(self, lights: list[Light]) -> list[Singles]:
        """Return the derivatives of each image by its own parameters, (k, bins, bins).

        Of the focused image by tilt and Zernikes, of the defocused one by tilt, Zernikes, and
        the defocus between the two.
        """
        extra = self.pupil.defocus.astype(np.float32)[np.newaxis]
        parts = zip(self.planes, lights, (self.modes[:0], extra), strict=True)
        return [
            plane.derivatives(light, np.concatenate([self.modes, further]), self.thin)
            for plane, light, further in parts
        ]

    def gradient(self, lights: list[Light], pulls: list[Floats]) -> Floats:
        """Return the derivatives of sum(pull * image), summed over the images, by x, (size,)."""
        lit, modes, defocus = self._open
        parts = zip(self.planes, lights, pulls, strict=True)
        one, two = (plane.gradient(light, pull)[lit] for plane, light, pull in parts)
        tilts = modes[:2] @ one, modes[:2] @ two
        return np.concatenate([*tilts, modes[2:] @ (one + two), [defocus @ two]])

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
