"""What a wavefront is fitted to: windows on bins, their noise, and where the star is.

What the constants do is measured by ``benchmarks/wavefront.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_lucky.calibration.calibrate import calibrated_in
from napari_lucky.errors import LuckyError
from napari_lucky.frames.frames import Frames, as_float32
from napari_lucky.frames.window import Window
from napari_lucky.imaging.star_image import border, levelled
from napari_lucky.wavefront.pair_model import bin_places
from napari_lucky.wavefront.search import Observed

OVERSAMPLED = 4.0
"""Pixels across lambda/D from which the finest differences of pixels are noise, not star."""
SAMPLE = 16
"""Frames that the noise is measured on."""


@dataclass(frozen=True)
class SensorNoise:
    """Variance of a calibrated pixel of v ADU: read_adu² + v / gain.

    The two constants of a camera, as headers give them, for the weights of a fit;
    `napari_lucky.imaging.noise.Noise` is what frames show, with the sky and the speckles in it.

    Attributes
    ----------
    gain : float
        In e-/ADU; infinite where it is not known.
    read_adu : float
        In ADU.
    source : str
        Where the two are from.
    """

    gain: float
    read_adu: float
    source: str

    def __str__(self) -> str:
        """Return both as a person reads them."""
        return f"gain {self.gain:.3g} e-/ADU, read noise {self.read_adu:.3g} ADU ({self.source})"


GAINS = ("EGAIN", "ESO DET OUT1 CONAD")
READ_NOISES = ("RDNOISE", "READNOIS", "RON", "ENOISE", "ESO DET OUT1 RON")
PER_ADU = re.compile(r"\be(-|lectrons?)?\s*(/|per)\s*(adu|dn|count)", re.IGNORECASE)
LEAST_GAIN, MOST_GAIN = 0.005, 100.0
"""In e-/ADU, of a camera."""


@dataclass(frozen=True)
class HeaderNoise:
    """The noise of a camera as a header has it.

    Attributes
    ----------
    gain, read_noise_e : float or None
        In e-/ADU and e-; None where it does not say.
    gain_in, read_in : str or None
        The keywords that they are from.
    """

    gain: float | None = None
    read_noise_e: float | None = None
    gain_in: str | None = None
    read_in: str | None = None


def noise_from_header(header: Any) -> HeaderNoise:
    """Return the gain and the read noise that a header has.

    The gain is EGAIN. GAIN is a setting of many cameras (GAIN = 139 is 13.9 dB, not e-/ADU): it is
    taken only if its comment says e-/ADU. The read noise is RDNOISE, READNOIS, RON or ENOISE.

    Parameters
    ----------
    header : mapping or astropy.io.fits.Header
        Of the frames.

    Returns
    -------
    HeaderNoise
        Gain in e-/ADU and read noise in e-; None where the header has none.
    """
    gain_in = _keyword(header, GAINS, LEAST_GAIN, MOST_GAIN)
    if gain_in is None and PER_ADU.search(_comment(header, "GAIN")):
        gain_in = _keyword(header, ("GAIN",), LEAST_GAIN, MOST_GAIN)
    read_in = _keyword(header, READ_NOISES, 0.0, 1e4)
    if read_in is not None and re.search(r"\b(adu|dn)\b", _comment(header, read_in), re.IGNORECASE):
        read_in = None  # not electrons
    values = [None if name is None else float(header[name]) for name in (gain_in, read_in)]
    return HeaderNoise(values[0], values[1], gain_in, read_in)


def _keyword(header: Any, keywords: tuple[str, ...], least: float, most: float) -> str | None:
    """Return the first keyword with a number above `least` and up to `most`."""
    for keyword in keywords:
        value = header.get(keyword)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and least < value <= most:
            return keyword
    return None


def _comment(header: Any, keyword: str) -> str:
    comments = getattr(header, "comments", None)
    return str(comments[keyword]) if comments is not None and keyword in header else ""


def measure_sensor_noise(
    frames: Frames,
    windows: tuple[Window, Window],
    sampling: float,
    gain: float | None = None,
    read_noise_e: float | None = None,
    source: str = "given",
) -> SensorNoise:
    """Return the noise of calibrated frames, measured where it is not given.

    The image has no detail finer than lambda/D. So where a sensor has four pixels and more across
    it, fourth differences of neighbours, along both axes, are noise alone. Their variance against
    the light, both as before the flat, is a straight line: its slope is 1 / gain, its foot the
    read-out's variance. With
    fewer pixels, the windows' borders give the noise without the star, and the gain stays infinite
    until the residuals of the first fits give it (`napari_lucky.wavefront.search.noise_of`).

    Parameters
    ----------
    frames : Frames
        Calibrated, masked pixels NaN.
    windows : pair of Window
    sampling : float
        Pixels across lambda/D.
    gain, read_noise_e : float, optional
        What is known: e-/ADU and e-.
    source : str
        Where that is from.
    """
    if gain and read_noise_e:
        return SensorNoise(gain, read_noise_e / gain, source)
    n = frames.shape[0]
    index = np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.intp))
    light, square = [], []
    for window in windows:
        pixels = as_float32(frames.read(index, window))
        level, noise = (part * _response(frames, window) for part in _finest(pixels))
        inner = (window.height - 4, window.width - 4)
        near = np.zeros(window.shape, bool)  # at the edge the differences have no neighbours
        near[2:-2, 2:-2] = border(inner) if sampling < OVERSAMPLED else True
        used = np.isfinite(noise) & np.isfinite(level) & near
        light.append(level[used])
        square.append(noise[used] ** 2)
    v, s = np.concatenate(light), np.concatenate(square)
    if len(v) < 100:
        raise LuckyError("Nearly all pixels of the windows are masked; check dark and flat.")
    if sampling < OVERSAMPLED:
        foot = _usual(s)
        if not gain:
            return SensorNoise(np.inf, float(np.sqrt(foot)), "measured on the windows' borders")
        foot -= max(float(np.median(v)), 0) / gain
        read = float(np.sqrt(max(foot, 0)))
        return SensorNoise(gain, read, f"gain {source}, read noise measured")
    levels, variances, counts = _by_level(v, s)
    if gain:
        foot = float(np.average(variances - levels / gain, weights=counts / variances**2))
        return SensorNoise(
            gain, float(np.sqrt(max(foot, 0))), f"gain {source}, read noise measured"
        )
    slope, foot = np.polyfit(levels, variances, 1, w=np.sqrt(counts) / variances)
    if slope <= 0:
        return SensorNoise(
            np.inf, float(np.sqrt(_usual(s))), "measured; it does not grow with the light"
        )
    if read_noise_e:
        slope = _slope(levels, variances, counts, read_noise_e)
        return SensorNoise(1 / slope, read_noise_e * slope, f"gain measured, read noise {source}")
    if foot <= 0:
        return SensorNoise(
            np.inf, float(np.sqrt(_usual(s))), "measured; read noise and gain cannot be separated"
        )
    return SensorNoise(
        float(1 / slope), float(np.sqrt(max(foot, 0))), "measured on fine differences"
    )


def _response(frames: Frames, window: Window) -> NDArray[np.float32] | np.float32:
    """Return the flat that was divided out, smoothed like the light: 1 where there was none."""
    calibrated = calibrated_in(frames)
    if calibrated is None or calibrated.flat is None:
        return np.float32(1)
    flat = np.asarray(calibrated.flat[window.slices])
    return _finest(np.nan_to_num(flat, nan=1)[np.newaxis])[0][0]


def _finest(block: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the smoothed light, and fourth differences scaled to the noise of a pixel."""
    kernel = np.array([1, -4, 6, -4, 1], np.float32) / np.float32(np.sqrt(70))
    smooth = np.array([1, 4, 6, 4, 1], np.float32) / 16
    noise, level = block, block
    for axis in (1, 2):
        noise = ndimage.correlate1d(noise, kernel, axis)
        level = ndimage.correlate1d(level, smooth, axis)
    return level, noise


def _by_level(
    v: NDArray[np.float32], s: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return light, variance and number of pixels of equal steps of the light."""
    low, high = np.percentile(v, [0.1, 99.99])
    edges = low + (high - low) * np.linspace(0, 1, 25) ** 2
    step = np.digitize(v, edges)
    made = [
        (float(v[own].mean()), _usual(s[own]), float(own.sum()))
        for own in (step == k for k in range(1, len(edges)))
        if own.sum() >= 50
    ]
    levels, variances, counts = np.array(made).T
    return levels, np.maximum(variances, 1e-6), counts


def _slope(
    levels: NDArray[np.float64],
    variances: NDArray[np.float64],
    counts: NDArray[np.float64],
    read: float,
) -> float:
    """Return 1 / gain for a known read noise in e-: variance = (read / gain)² + light / gain.

    The mean of what each step of the light gives, weighted by its errors.
    """
    light = np.maximum(levels, 0)
    root = np.sqrt(light**2 + 4 * read**2 * variances)
    slopes = 2 * variances / (light + root)
    return float(np.average(slopes, weights=counts * (root / variances) ** 2))


def _usual(squares: NDArray[np.float32]) -> float:
    """Return the variance of Gaussian noise from its squares, outliers not counted."""
    return float(np.median(squares)) / 0.4549


def observe(
    pixels: tuple[NDArray[np.float32], NDArray[np.float32]],
    noise: SensorNoise,
    bins: int,
    sampling: float,
) -> Observed:
    """Return a frame's windows on bins.

    A bin with a masked pixel is masked. The variance is of the smoothed light;
    otherwise pixels that are low by chance would weigh more.

    Parameters
    ----------
    pixels : pair of ndarray of float32, (y, x)
        Focused and defocused window, calibrated, masked pixels NaN.
    noise : SensorNoise
    bins : int
        Pixels that a bin is wide.
    sampling : float
        Pixels across lambda/D.
    """
    made = [_observe_one(window, noise, bins, sampling) for window in pixels]
    images, masked, variances, lights, stars, tilts = zip(*made, strict=True)
    return Observed(images, masked, variances, lights, stars, np.concatenate(tilts))


def _observe_one(
    window: NDArray[np.float32], noise: SensorNoise, bins: int, sampling: float
) -> tuple[Any, ...]:
    rows, columns = (side // bins for side in window.shape)
    part = window[: rows * bins, : columns * bins].astype(np.float64)
    image = part.reshape(rows, bins, columns, bins).mean(axis=(1, 3))
    masked = ~np.isfinite(image)
    if masked.mean() > 0.5:
        raise LuckyError("More than half of the window's pixels are masked.")
    image[masked] = 0
    share = np.maximum(ndimage.gaussian_filter((~masked).astype(float), 1.0), 0.05)
    smooth = ndimage.gaussian_filter(image, 1.0) / share
    edge = border(image.shape) & ~masked
    star = levelled(np.where(masked, np.nan, smooth)[np.newaxis].astype(np.float32))[0]
    star = np.maximum(np.nan_to_num(star.astype(np.float64)), 0)
    light = np.maximum(smooth, 0)
    variance = noise.read_adu**2 + light / noise.gain + 1 / 12
    bright = np.where(star > 3 * np.std(star[edge]), star, 0)
    total = max(float(bright.sum()), 1e-9)
    y, x = (
        float(bright.sum(axis=1 - axis) @ bin_places(side, bins, sampling)) / total
        for axis, side in enumerate(window.shape)
    )
    # Noll's tilt of 1 rad rms goes 2 rad to each rim: 2 / pi lambda/D
    own = image, masked, variance / bins**2, light / bins**2, star
    return *own, np.array([x, y]) * np.pi / 2
