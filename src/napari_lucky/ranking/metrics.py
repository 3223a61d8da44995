"""What makes a frame a good one: the metrics that frames are ranked by, and how to add one.

A metric of your own is one function with a decorator::

    from napari_lucky.ranking import metric

    @metric("contrast")
    def contrast(image):
        \"\"\"(max I − min I) / sum |I|.\"\"\"
        return (image.max((1, 2)) - image.min((1, 2))) / abs(image).sum((1, 2))

From then on `rank`, `Recipe` and the ranking dock know it by its name.

What the constants do is measured by ``benchmarks/ranking.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError, UsageError
from napari_lucky.frames.frames import Block
from napari_lucky.imaging.star_image import border_spread, peaks
from napari_lucky.optics.diffraction import Diffraction, diffraction_psf

Quality = NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Metric:
    """A metric, as `METRICS` holds it.

    Parameters
    ----------
    function : callable
        Takes frames (k, y, x), float32, background off, smoothed, without NaN; and the
        `Diffraction`, if it needs that. Returns one number a frame, (k,): higher is better.
    needs_diffraction : bool
        Whether the function's second argument is a `Diffraction`.
    needs_flux : bool
        Whether its last argument is the light of each frame, (k,), in ADU, over 0.
    """

    function: Callable[..., Any]
    needs_diffraction: bool = False
    needs_flux: bool = False

    @property
    def formula(self) -> str:
        """The first line of the function's docstring, without its full stop."""
        return ((self.function.__doc__ or "").strip().split("\n")[0]).rstrip(".")

    def __call__(
        self,
        image: Block,
        diffraction: Diffraction | None = None,
        level: NDArray[np.float32] | None = None,
    ) -> Quality:
        """Return the quality of each frame, (k,); NaN where it has none.

        The level is the background that was taken off, (k,) in ADU.
        """
        given: list[Any] = [image, diffraction] if self.needs_diffraction else [image]
        if self.needs_flux:
            given.append(flux_of(image, level))
        quality = np.array(self.function(*given), np.float64)
        if quality.shape != image.shape[:1]:
            raise LuckyError(
                f"The metric {self.function.__name__} gave numbers of shape {quality.shape} for "
                f"{len(image)} frames; it must give one for each frame."
            )
        return quality


UNEVEN = 0.2
"""Spread of the border, over the peak, from which the light fills the frame."""

METRICS: dict[str, Metric] = {}
"""Name to metric; `metric` adds to it."""


def metric(
    name: str, *, needs_diffraction: bool = False, needs_flux: bool = False
) -> Callable[[Function], Function]:
    """Register a function as a metric that frames can be ranked by.

    Parameters
    ----------
    name : str
        What it is called in recipes and in the dock.
    needs_diffraction : bool
        Whether it takes the `Diffraction` as a second argument; ranking by it is refused
        where none is given.
    needs_flux : bool
        Whether its last argument is the light of each frame, (k,) in ADU: see `flux_of`.

    Returns
    -------
    callable
        A decorator; it leaves the function as it is. The function takes smoothed frames
        (k, y, x) without background and without NaN, and returns (k,) numbers, higher for
        better frames. The first line of its docstring is shown as its formula.

    Raises
    ------
    LuckyError
        If the program has a metric of this name itself.
    """
    if name in METRICS and METRICS[name].function.__module__ == __name__:
        raise LuckyError(f"There is a metric {name!r} already; call yours by another name.")

    def register(function: Function) -> Function:
        METRICS[name] = Metric(function, needs_diffraction, needs_flux)
        return function

    return register


def check_metric(name: str, diffraction: Diffraction | None = None) -> None:
    """Raise a `LuckyError` unless there is such a metric, and it has what it needs."""
    if name not in METRICS:
        raise UsageError(
            f"Frames are ranked by {', '.join(METRICS)}; not by {name!r}. Register your own "
            "metric first."
        )
    if METRICS[name].needs_diffraction and diffraction is None:
        raise UsageError(
            f"Ranking by {name} needs the diffraction-limited PSF: give the sampling in px per "
            "λ/D, and the central obstruction if there is one "
            f"(--rank {name},sampling=7,obstruction=0.3)."
        )


@metric("peak")
def peak(image: Block) -> Quality:
    """Max I, in ADU."""
    return np.asarray(image.max(axis=(1, 2)), np.float64)


@metric("peak-over-flux", needs_flux=True)
def peak_over_flux(image: Block, flux: Quality) -> Quality:
    """Max I / sum I: the Strehl ratio up to a factor, per pixel.

    Frames are selected by their Strehl ratio in Gladysz et al. (2008).
    """
    return peak(image) / flux


@metric("sum-of-squares", needs_flux=True)
def sum_of_squares(image: Block, flux: Quality) -> Quality:
    """Sum I² / (sum I)²: the sharpness S1 of Muller & Buffington (1974), over the flux squared."""
    return np.asarray(_energy(image) / flux**2)


@metric("gradient", needs_flux=True)
def gradient(image: Block, flux: Quality) -> Quality:
    """Sum |grad I|² / (sum I)²: the energy of the gradient, over the flux squared.

    Of differences between neighbours; Subbarao, Choi & Nikzad (1993).
    """
    down, across = np.diff(image, axis=1), np.diff(image, axis=2)
    return np.asarray((_energy(down) + _energy(across)) / flux**2)


@metric("laplacian", needs_flux=True)
def laplacian(image: Block, flux: Quality) -> Quality:
    """Sum (∇²I)² / (sum I)²: the energy of the Laplacian, over the flux squared.

    Of second differences; Subbarao, Choi & Nikzad (1993).
    """
    bend = np.diff(image[:, :, 1:-1], 2, axis=1) + np.diff(image[:, 1:-1], 2, axis=2)
    return np.asarray(_energy(bend) / flux**2)


@metric("fwhm")
def fwhm(image: Block) -> Quality:
    """1 / FWHM, in 1/px, of the Gaussian with the same flux over half the peak.

    With p the peak, E = sum of max(I − p/2, 0) is what stands over half of it; of a Gaussian it is
    pi (1 − ln 2) sigma² p. So FWHM² = 8 ln 2 / (pi (1 − ln 2)) E / p, whatever number of speckles
    is that bright.
    """
    top = peak(image)
    half = (top / 2).astype(np.float32)[:, None, None]
    over = np.maximum(image - half, 0).sum(axis=(1, 2), dtype=np.float64)
    square = 8 * np.log(2) / (np.pi * (1 - np.log(2))) * over / np.where(top > 0, top, np.nan)
    return np.asarray(1 / np.sqrt(square))


@metric("encircled-energy", needs_diffraction=True, needs_flux=True)
def encircled_energy(image: Block, diffraction: Diffraction, flux: Quality) -> Quality:
    """Sum of I within 1.22 λ/D of the peak / sum I.

    The circle is the first dark ring of an open pupil, around the brightest point.
    """
    y, x = np.ogrid[: image.shape[1], : image.shape[2]]
    inside = np.empty(len(image))
    for k, (centre, frame) in enumerate(zip(peaks(image)[0], image, strict=True)):
        disc = np.hypot(y - centre[0], x - centre[1]) <= diffraction.first_minimum
        inside[k] = frame[disc].sum(dtype=np.float64)
    return np.asarray(inside / flux)


@metric("psf-correlation", needs_diffraction=True)
def psf_correlation(image: Block, diffraction: Diffraction) -> Quality:
    """Max of sum I(r) P(r − s) over s / sqrt(sum I² sum P²): the similarity to the PSF P.

    P is the diffraction-limited PSF, integrated over the pixels; nothing wraps around.
    Law, Mackay & Baldwin (2006) convolve faint guide stars with it before they measure them.
    """
    core = 2 * int(np.ceil(3 * diffraction.sampling)) + 1  # P to 3 lambda/D
    psf = diffraction_psf(diffraction, (core, core))
    likeness = correlated(image, psf).max(axis=(1, 2))
    energy = _energy(image) * float((psf**2).sum())
    return np.asarray(likeness / np.sqrt(np.where(energy > 0, energy, np.nan)))


def correlated(image: Block, psf: NDArray[np.float32]) -> Block:
    """Return the cross-correlation of each frame with a symmetric PSF, of the frames' shape."""
    import scipy.fft

    whole_shape = np.add(image.shape[1:], psf.shape) - 1
    shape = [scipy.fft.next_fast_len(int(side), True) for side in whole_shape]
    spectrum = scipy.fft.rfft2(image, shape) * scipy.fft.rfft2(psf, shape)
    whole = scipy.fft.irfft2(spectrum, shape)
    y, x = (side // 2 for side in psf.shape)
    return whole[:, y : y + image.shape[1], x : x + image.shape[2]]


def _energy(image: Block) -> Quality:
    return np.asarray(np.einsum("kyx,kyx->k", image, image, dtype=np.float64))


def flux_of(image: Block, level: NDArray[np.float32] | None = None) -> Quality:
    """Return the light of each frame that metrics are divided by, (k,) in ADU, over 0.

    For a star, whose border is even, it is the sum of its pixels. Where the border is as uneven
    as the light is bright, as on the Sun and the Moon, that sum says nothing: then it is the
    sum with the background that was taken off, by which the metrics of the field divide. In
    between the background counts by its weight w; s is the spread of the border's pixels::

        w = min(1, (s / (0.2 max I))⁴)

    It is half the sum of |I| at least, which is over 0 whatever the noise and the background.

    Parameters
    ----------
    image : ndarray of float32, (k, y, x)
        Background off.
    level : ndarray of float32, (k,), optional
        The background, ADU a pixel.
    """
    sum_all = image.sum(axis=(1, 2), dtype=np.float64)
    if level is not None:
        uneven = border_spread(image) / np.maximum(peak(image), 1e-30)
        weight = np.minimum(1, (uneven / UNEVEN) ** 4)
        sum_all += weight * np.maximum(level, 0) * image[0].size
    least = np.abs(image).sum(axis=(1, 2), dtype=np.float64) / 2
    flux = np.maximum(sum_all, least)
    return np.where(flux > 0, flux, np.nan)
