"""The sampling of a run, in pixels per lambda/D: measured, or from the header's optics.

Smoothing before tracking and ranking goes by it: a third of lambda/D, and a pixel at least.

What the constants do is measured by ``benchmarks/smoothing.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lucky.calibration.calibrate import Calibrated, calibrated_in
from napari_lucky.calibration.saturation import clipping_level
from napari_lucky.execution.blocks import blocks_of, one_by_one
from napari_lucky.execution.job import QUIET, Job
from napari_lucky.frames.frames import Block, Frames, as_float32, blank_frames, chain_of, is_empty
from napari_lucky.frames.reading import spread_over
from napari_lucky.frames.window import MIN_SIDE, Window
from napari_lucky.imaging.connection import connected_to
from napari_lucky.imaging.convolution import gaussian, gaussian_weights
from napari_lucky.imaging.inpainting import fill_by_kriging
from napari_lucky.imaging.noise import Noise, sample_noise
from napari_lucky.imaging.power_spectrum import COARSEST, FINEST, cut_off, mean_power
from napari_lucky.imaging.quantisation import quantisation
from napari_lucky.imaging.robust_sigma import robust_sigma
from napari_lucky.imaging.significance import SPARSE
from napari_lucky.imaging.star_image import background, border, border_spread, levelled
from napari_lucky.notices import info
from napari_lucky.optics.telescope_header import header_telescope

SAMPLES, FEWEST, FRAME_PIXELS = (64, 256), 8, 1 << 14
"""Frames at most, the second time if the first are not enough, and at least, that the sampling is
measured in; there are fewer of more pixels than this."""
WHOLE = 4
"""Frames at least whose star has no clipped or masked pixels: their edges would be measured."""
CORE, HOLES = 5, 4
"""Pixels around the brightest place, and so many masked ones there that spoil the frame."""
SIDE = 256
"""Pixels; of larger windows this much is looked at, around the brightest place of each frame."""
PER_SAMPLING, LEAST_SMOOTH = 1 / 3, 1.0
"""The best smoothing, over lambda/D, and the least, in pixels."""
UNKNOWN_SMOOTH = 1.5
"""Smoothing in pixels where the frames show no sampling at all."""
BRIGHTEST_SMOOTH = 2.0
"""Smoothing in pixels that finds the brightest place of a frame."""
SURE, FINE = 1.5, 3.0
"""A measurement is used if its bounds differ by less than this factor, or are under `FINE`."""
VISIBLE = 2.5
"""Faint light is smoothed by the measurement if its upper bound is under so many times that."""
LEAST_SAMPLING = 1.8
"""Pixels per lambda/D under which a star's fine detail passes for noise."""
WIDE, MUCH = 6.0, 25.0
"""Speckle areas that a star's light may cover at half its peak: around the peak, and in all."""
UNEVEN, CERTAIN = 0.25, 5.0
"""Spread of the border over the mean's peak, and over its noise, from which light fills it."""
DARKEST, DEEP, DEEP_NOISE = 0.01, 0.25, 2.5
"""A texture fills the window if this quantile of a smoothed frame is as far below the median as so
much of the peak is above it, and so many times as far as noise makes it. A star adds light to a
sky: it has no dark lanes. Of stars in turbulence it is 0.12 of the peak at most, of granulation
0.34 at least (``benchmarks/finding.py``)."""


@dataclass(frozen=True)
class Sampling:
    """Pixels per λ/D, and whether the light looks like a star's.

    Parameters
    ----------
    measured : float
        From the cut-off of the run's mean power spectrum, in pixels.
    bounds : (float, float)
        Between which it is, as far as the power spectrum shows.
    header : float, optional
        From wavelength, focal ratio and pixel in the header, in pixels.
    wide : (float, float)
        How large the light at half its peak is, over a speckle's area; median of the frames.
        First what hangs together with the peak, then all of it.
    fills : bool
        Whether the light fills the window: its border is uneven, or there are dark lanes in
        it, as no star has.
    """

    measured: float
    bounds: tuple[float, float]
    header: float | None = None
    wide: tuple[float, float] = (1.0, 1.0)
    fills: bool = False

    @property
    def px(self) -> float | None:
        """The sampling in pixels, if it is known: measured, or else from the header."""
        return self.measured if self.sure else self.header

    @property
    def sure(self) -> bool:
        """Whether the measurement is good enough to be used."""
        low, high = self.bounds
        return high < max(SURE * low, FINE)

    @property
    def undersampled(self) -> bool:
        """Whether the light has detail too fine for the noise to be distinguished from it."""
        return self.bounds[1] < LEAST_SAMPLING

    @property
    def star(self) -> bool:
        """Whether the light is no wider than a star's speckles, and leaves the border dark."""
        return self.wide[0] <= WIDE and self.wide[1] <= MUCH and not self.fills

    @property
    def smooth(self) -> float:
        """Standard deviation in pixels of the smoothing for tracking and ranking.

        Where noise hides how fine the detail is that the optics pass, it goes by the finest that
        stands out: by the geometric mean of the measurement and its upper bound.
        """
        if self.px is not None:
            return smoothing_for(self.px)
        return (
            smoothing_for(sqrt(self.measured * self.bounds[1])) if self._visible else UNKNOWN_SMOOTH
        )

    @property
    def _visible(self) -> bool:
        """Whether detail stands out of the noise, which shows about how fine it is."""
        return self.bounds[1] < min(VISIBLE * self.measured, COARSEST)

    def notes(self, method: str, *uses: str) -> tuple[str, ...]:
        """Return sentences on the smoothing and on light that does not look like a star's.

        Parameters
        ----------
        method : str
            Of registration; correlation does not need a star.
        uses : str
            What the smoothing is for: "tracking" or "ranking", or both.
        """
        light = () if self.star or method == "correlation" else (self.light_note(),)
        smoothing = self.smoothing_note(*uses) if uses else ""
        if self.sure and not self._header_is_wrong:
            smoothing = info(smoothing)
        return (*((smoothing,) if uses else ()), *light)

    def doubts(self, method: str, *uses: str) -> tuple[str, ...]:
        """Return what `notes` does, of the smoothing only where frames and header disagree."""
        return self.notes(method, *(uses if self.sure and self._header_is_wrong else ()))

    @property
    def _header_is_wrong(self) -> bool:
        return self.header is not None and not 0.8 < self.measured / self.header < 1.25

    def smoothing_note(self, *uses: str) -> str:
        """Return a sentence on the smoothing and where it comes from."""
        px = self.px
        smoothing = f"Smoothing {self.smooth:g} px for {' and '.join(uses)}"
        if px is None:
            why = "from the finest detail above the noise" if self._visible else "a guess"
            return (
                f"{smoothing}, {why}: the sampling could not be measured in the frames, and the "
                "header does not give it. If you know it, smooth by a third of λ/D."
            )
        if not self.sure:
            return (
                f"{smoothing}: by the header's optics the sampling is {px:.1f} px per λ/D; "
                "it could not be measured in the frames."
            )
        text = f"{smoothing}: the sampling measured in the frames is {px:.1f} px per λ/D"
        if self._header_is_wrong:
            text += f", while the header's optics give {self.header:.1f}: check the header"
        return f"{text}."

    def light_note(self) -> str:
        """Return a sentence on light that does not look like a star's."""
        found = (
            "the light fills the window up to its border"
            if self.fills
            else f"at half its peak the light covers {self.wide[1]:.0f} times the area of a speckle"
        )
        return (
            f"This does not look like a star in focus: {found}. Track a planet, the Moon, the "
            "Sun, a slit or a ring by correlation (--register correlation)."
        )


def smoothing_for(sampling: float) -> float:
    """Return the best smoothing in pixels, to two digits after the point."""
    return max(LEAST_SMOOTH, round(PER_SAMPLING * sampling, 2))


def measure_sampling(
    frames: Frames, window: Window, *, clipped: float | None = None, job: Job = QUIET
) -> Sampling:
    """Measure the sampling in up to 64 frames spread over a run, or 256 if these are not enough.

    Optics pass no frequency over D/lambda, so the mean power spectrum of the frames falls to
    that of the noise at 1/q cycles/px, with q pixels per lambda/D;
    `napari_lucky.imaging.power_spectrum`. It holds in turbulence, which speckle interferometry
    lives by (Labeyrie 1970), and for objects of any shape. A clipped star has detail of its own:
    frames with pixels masked that others have are not used.

    Parameters
    ----------
    frames : Frames
        In ADU, masked pixels NaN. Of a chain of views the calibrated frames are taken, which
        nothing has smoothed.
    window : Window
        Holds the light.
    clipped : float, optional
        Raw ADU from which the light is clipped, infinity if it is not, or if clipped pixels are
        masked; by default, what `napari_lucky.calibration.saturation.clipping_level` finds.
    job : Job
        Its progress is reported, and may cancel.
    """
    stated = header_sampling(_header_of(frames))
    frames = calibrated_in(frames) or frames
    for most in SAMPLES:
        block, whole = _sample(frames, window, clipped, most, job)
        if len(block) == 0:
            return Sampling(np.nan, (0.0, np.inf), stated)
        clear = mean_power(block[whole]) if whole.sum() >= min(WHOLE, len(whole)) else None
        value, *bounds = (np.nan, FINEST, COARSEST) if clear is None else cut_off(*clear)
        found = Sampling(value, (bounds[0], bounds[1]), stated)
        if found.px is not None or frames.shape[0] <= len(block):
            break
    widest = max(bounds[1] if found.px is None else found.px, stated or 0)
    smooth = smoothing_for(widest)
    even = gaussian(block, smooth)
    even -= background(even)[:, None, None]  # of noise cut off at 0 the mean is over the median
    noise = max(_white_noise(block), quantisation(frames, window) ** 0.5)
    fills = _fills(even) or _has_lanes(even, noise, smooth)
    return replace(found, wide=_width_at_half_peak(even, widest, smooth), fills=fills)


def noise_if_sampled(
    frames: Frames, window: Window, sampling: Sampling, *, job: Job = QUIET
) -> Noise:
    """Measure the noise of a pixel, which is not known of an undersampled star."""
    noise = sample_noise(frames, window, job=job)
    return replace(noise, separate=noise.separate and not sampling.undersampled)


def header_sampling(header: Any) -> float | None:
    """Return the pixels per lambda/D that a header's optics give, if it has them all."""
    optics = header_telescope(header)
    try:
        return optics["wavelength_nm"] * 1e-3 * optics["focal_ratio"] / optics["pixel_um"]
    except KeyError:
        return None


def _header_of(frames: Any) -> Any:
    """Return the header of the run that views were made of, if it gives a wavelength."""
    *_, source = chain_of(frames)
    return source.header_with(b"WAVEL") if hasattr(source, "header_with") else None


def _sample(
    frames: Frames, window: Window, clipped: float | None, most: int, job: Job
) -> tuple[Block, NDArray[np.bool_]]:
    """Return up to so many frames spread over the run, (k, y, x), background off, holes filled.

    And which of them, (k,), have no holes but those of all, and no clipped star.
    """
    pixels = window.height * window.width
    most = int(np.clip(most * FRAME_PIXELS // min(pixels, SIDE**2), FEWEST, most))
    if pixels > SIDE**2:
        most = max(FEWEST, most // (pixels // SIDE**2))
    sample = spread_over(frames.shape[0], most)
    window = _exposed(frames, window, sample[spread_over(len(sample), WHOLE)])
    calibrated = frames if isinstance(frames, Calibrated) else Calibrated(frames)
    level = clipping_level(calibrated, window, job=job) if clipped is None else clipped
    more = "" if most <= SAMPLES[0] else " in more frames"
    parts, holes, clear, shared = [], [], [], np.ones(window.shape, bool)
    for part in one_by_one(blocks_of(len(sample), pixels), f"measuring the sampling{more}", job):
        block = as_float32(frames.read(sample[part], window))
        lit = ~is_empty(block) & ~blank_frames(frames, sample[part], window)
        if not lit.any():
            continue
        block = block[lit]
        spoiled = np.isnan(block)
        shared &= spoiled.all(axis=0)
        holes.append(spoiled.sum(axis=(1, 2)))
        light = np.nan_to_num(fill_by_kriging(levelled(block))[0])
        if level is not None and np.isfinite(level):
            spoiled |= np.asarray(calibrated.frames.read(sample[part], window))[lit] >= level
        clear.append([not _spoiled(*both) for both in zip(light, spoiled, strict=True)])
        parts.append(np.stack([_cut(image) for image in light]))
    if not parts:
        return np.empty((0, *window.shape), np.float32), np.empty(0, bool)
    whole = np.concatenate(clear) & (np.concatenate(holes) == shared.sum())
    return np.concatenate(parts), whole


def _exposed(frames: Frames, window: Window, some: NDArray[np.intp]) -> Window:
    """Return the part of a window whose pixels differ between frames: no frame around it."""
    block = np.asarray(frames.read(some, window))
    low, high = np.fmin.reduce(block, axis=0), np.fmax.reduce(block, axis=0)
    live = np.asarray(high > low)
    if len(block) < 2 or live.all() or not live.any():
        return window
    spans = []
    for axis in (1, 0):
        share = live.mean(axis=axis)
        span = np.flatnonzero(share > share.max() / 2)
        spans.append((int(span[0]), int(span[-1]) + 1))
    (top, bottom), (left, right) = spans
    if min(bottom - top, right - left) < MIN_SIDE:
        return window
    return Window(window.y0 + top, window.x0 + left, bottom - top, right - left)


def _spoiled(light: NDArray[np.float32], spoiled: NDArray[np.bool_]) -> bool:
    """Return whether many pixels around the brightest place of an image (y, x) are spoiled."""
    if np.count_nonzero(spoiled) < HOLES:
        return False
    even = gaussian(light[np.newaxis], BRIGHTEST_SMOOTH)[0]
    y, x = np.unravel_index(int(even.argmax()), even.shape)
    near = spoiled[max(0, y - CORE) : y + CORE + 1, max(0, x - CORE) : x + CORE + 1]
    return bool(np.count_nonzero(near) >= HOLES)


def _cut(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what is around the brightest place of an image (y, x)."""
    if max(image.shape) <= SIDE:
        return image
    even = gaussian(image[np.newaxis], BRIGHTEST_SMOOTH)[0]
    place = np.unravel_index(int(even.argmax()), image.shape)
    at = tuple(
        slice(start := int(np.clip(y - SIDE // 2, 0, max(side - SIDE, 0))), start + SIDE)
        for y, side in zip(place, image.shape, strict=True)
    )
    return image[at]


def _fills(even: Block) -> bool:
    """Return whether the mean of smoothed frames has a border that is uneven, beyond its noise."""
    mean = even.mean(axis=0, keepdims=True)
    edge = even[:, border(even.shape[1:])]
    noise = float(np.median(edge.std(axis=0))) / np.sqrt(len(even))
    spread = float(border_spread(mean)[0])
    return spread > max(UNEVEN * float(mean.max()), CERTAIN * noise)


def _has_lanes(even: Block, noise: float, smooth: float) -> bool:
    """Return whether smoothed frames have places about as dark as their brightest are bright."""
    edge = min(int(smooth), min(even.shape[1:]) // 4)  # where there is less to smooth over
    inner = even[:, edge : -edge or None, edge : -edge or None]
    dark, middle = np.quantile(inner[:, ::SPARSE, ::SPARSE], (DARKEST, 0.5), axis=(1, 2))
    by_noise = -NormalDist().inv_cdf(DARKEST) * noise * float((gaussian_weights(smooth) ** 2).sum())
    deep, high = (float(np.median(part)) for part in (middle - dark, even.max((1, 2)) - middle))
    return deep > max(DEEP * high, DEEP_NOISE * by_noise)


def _white_noise(block: Block) -> float:
    """Return the noise of most pixels, from differences of second order along both axes."""
    rows = block[:, :-2] - 2 * block[:, 1:-1] + block[:, 2:]
    both = rows[:, :, :-2] - 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    return float(robust_sigma(both[:, ::SPARSE, ::SPARSE])) / 6  # (1, -2, 1) twice: 6 squared


def _width_at_half_peak(even: Block, sampling: float, smooth: float) -> tuple[float, float]:
    """Return how many speckle areas the light over half the peak covers, around it and in all.

    A speckle is as wide as the diffraction-limited PSF; pixel and smoothing widen it.
    """
    area = pi / 4 * ((1.03 * sampling) ** 2 + 0.46 + (2.355 * smooth) ** 2)
    peak = even.max(axis=(1, 2), keepdims=True)
    over = even > peak / 2
    near = connected_to(even.reshape(len(even), -1).argmax(axis=1), over)
    around, whole = (float(np.median(part.sum(axis=(1, 2)))) / area for part in (near, over))
    return around, whole
