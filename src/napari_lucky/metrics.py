"""What makes a frame a good one: the metrics that frames are ranked by, and how to add one.

A metric of your own is one function with a decorator::

    from napari_lucky import metric

    @metric("contrast")
    def contrast(image):
        \"\"\"(max I − min I) / sum |I|.\"\"\"
        return (image.max((1, 2)) - image.min((1, 2))) / abs(image).sum((1, 2))

From then on `rank`, `Recipe` and the ranking dock know it by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .diffraction import Diffraction, diffraction_psf
from .errors import LuckyError
from .spots import Block, peaks

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
    """

    function: Callable[..., Any]
    needs_diffraction: bool = False

    @property
    def formula(self) -> str:
        """The first line of the function's docstring, without its full stop."""
        return ((self.function.__doc__ or "").strip().split("\n")[0]).rstrip(".")

    def __call__(self, image: Block, diffraction: Diffraction | None = None) -> Quality:
        """Return the quality of each frame, (k,); NaN where it has none."""
        given = (image, diffraction) if self.needs_diffraction else (image,)
        quality = np.array(self.function(*given), np.float64)
        if quality.shape != image.shape[:1]:
            raise LuckyError(
                f"The metric {self.function.__name__} gave numbers of shape {quality.shape} for "
                f"{len(image)} frames; it must give one for each frame."
            )
        return quality


METRICS: dict[str, Metric] = {}
"""Name to metric; `metric` adds to it."""


def metric(name: str, *, needs_diffraction: bool = False) -> Callable[[Function], Function]:
    """Register a function as a metric that frames can be ranked by.

    Parameters
    ----------
    name : str
        What it is called in recipes and in the dock.
    needs_diffraction : bool
        Whether it takes the `Diffraction` as a second argument; ranking by it is refused
        where none is given.

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
        METRICS[name] = Metric(function, needs_diffraction)
        return function

    return register


def check_metric(name: str, diffraction: Diffraction | None = None) -> None:
    """Raise a `LuckyError` unless there is such a metric, and it has what it needs."""
    if name not in METRICS:
        raise LuckyError(
            f"Frames are ranked by {', '.join(METRICS)}; not by {name!r}. A metric of your own "
            "must be registered before."
        )
    if METRICS[name].needs_diffraction and diffraction is None:
        raise LuckyError(
            f"Ranking by {name} needs the diffraction-limited PSF: give lambda F#/pixel in pixels, "
            "and the central obstruction if there is one (--psf 7,0.3)."
        )


@metric("peak")
def peak(image: Block) -> Quality:
    """Max I, in ADU."""
    return np.asarray(image.max(axis=(1, 2)), np.float64)


@metric("peak-over-flux")
def peak_over_flux(image: Block) -> Quality:
    """Max I / sum I: the Strehl ratio up to a factor, per pixel.

    Frames are selected by their Strehl ratio in Gladysz et al. (2008).
    """
    return peak(image) / _flux(image)


@metric("sum-of-squares")
def sum_of_squares(image: Block) -> Quality:
    """Sum I² / (sum I)²: the sharpness S1 of Muller & Buffington (1974), over the flux squared."""
    return np.asarray(_energy(image) / _flux(image) ** 2)


@metric("gradient")
def gradient(image: Block) -> Quality:
    """Sum |grad I|² / (sum I)²: the energy of the gradient, over the flux squared.

    Of differences between neighbours; Subbarao, Choi & Nikzad (1993).
    """
    down, across = np.diff(image, axis=1), np.diff(image, axis=2)
    return np.asarray((_energy(down) + _energy(across)) / _flux(image) ** 2)


@metric("laplacian")
def laplacian(image: Block) -> Quality:
    """Sum (∇²I)² / (sum I)²: the energy of the Laplacian, over the flux squared.

    Of second differences; Subbarao, Choi & Nikzad (1993).
    """
    bend = np.diff(image[:, :, 1:-1], 2, axis=1) + np.diff(image[:, 1:-1], 2, axis=2)
    return np.asarray(_energy(bend) / _flux(image) ** 2)


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


@metric("encircled-energy", needs_diffraction=True)
def encircled_energy(image: Block, diffraction: Diffraction) -> Quality:
    """Sum of I within 1.22 lambda/D of the peak / sum I.

    The circle is the first dark ring of an open pupil, around the brightest point.
    """
    y, x = np.ogrid[: image.shape[1], : image.shape[2]]
    inside = np.empty(len(image))
    for k, (centre, frame) in enumerate(zip(peaks(image)[0], image, strict=True)):
        disc = np.hypot(y - centre[0], x - centre[1]) <= diffraction.first_minimum
        inside[k] = frame[disc].sum(dtype=np.float64)
    return np.asarray(inside / _flux(image))


@metric("psf-correlation", needs_diffraction=True)
def psf_correlation(image: Block, diffraction: Diffraction) -> Quality:
    """Max of sum I(r) P(r − s) over s / sqrt(sum I² sum P²): the likeness to the PSF P.

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


def _flux(image: Block) -> Quality:
    flux = image.sum(axis=(1, 2), dtype=np.float64)
    return np.where(flux > 0, flux, np.nan)
