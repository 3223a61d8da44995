"""A seeded lucky-imaging run with its truth: one star, in focus and defocused, on one sensor.

The star's light passes von Karman turbulence and a telescope with a small static aberration. A beam
splitter puts it on the sensor twice, focused and defocused (a donut), so that both images of a
frame saw the same turbulence. The sensor has vignetting, dust, hot and dead pixels, stray light,
photon and read noise, and 12 bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from napari_lucky.errors import LuckyError, UsageError, check_kind
from napari_lucky.frames.array_like import size_text
from napari_lucky.frames.frames import ArrayFrames
from napari_lucky.frames.window import Window
from napari_lucky.optics.atmosphere import (
    FloatArray,
    disk_samples,
    make_pupil,
    phase_screens,
    psfs,
    pupil_samples,
    screen_factor,
)
from napari_lucky.optics.telescope import Telescope
from napari_lucky.optics.zernikes import zernike
from napari_lucky.text import ShortRepr

__all__ = ["STATIC_ABERRATION", "Camera", "SimulatedRun", "Telescope", "Truth", "simulate_run"]

CentredWindow = tuple[int, int, int]

SIMULATED = Telescope(
    diameter_m=0.45, obstruction=0.3, wavelength_nm=633.0, focal_ratio=58.6, pixel_um=5.3
)
"""The telescope of a simulated run unless another is given: 7 pixels across lambda/D."""
STATIC_ABERRATION: Mapping[int, float] = MappingProxyType(
    {5: -0.25, 6: 0.15, 7: -0.2, 8: 0.2, 9: 0.1, 10: -0.05, 11: -0.25}
)
"""Default static aberration: Noll index to coefficient in rad rms (0.49 rad rms in all)."""

_BLOCK = 8  # frames computed together: enough to feed the FFTs, few enough for the cache
_TRUE, _FITTED = (
    36,
    66,
)  # Zernikes of the truth, and those fitted, so that high orders do not leak in
_DARK_EXPOSURES, _FLAT_EXPOSURES, _FLAT_LEVEL_ADU = 16, 32, 2500.0
_HOT_FRACTION, _DEAD_FRACTION = 5e-4, 4e-5


@dataclass(frozen=True)
class Camera:
    """A 12-bit camera; `sky_adu` is the stray light in mid-sensor."""

    gain_e_per_adu: float = 2.0
    read_noise_e: float = 6.0
    dark_adu: float = 98.0
    sky_adu: float = 180.0
    saturation_adu: int = 4095


@dataclass(frozen=True, eq=False)
class Truth(ShortRepr):
    """What no camera knows.

    Attributes
    ----------
    strehl : (n,) float64
        Strehl ratio of each focused image: its (sub-pixel) peak over the peak of `perfect_psf`.
    shifts : (n, 2) float64
        Shift (dy, dx) in px that brings the brightest point of the noise-free focused image onto
        the centre pixel of the focus window: ``moved[y + dy, x + dx] = frame[y, x]``.
    focus_images, defocus_images : (n, size, size) float32
        Expected light of the star in each window, in ADU: no noise, stray light or vignetting.
    perfect_psf : (size, size) float32
        Diffraction-limited PSF, integrated over the pixels, peak on ``[size // 2, size // 2]``.
        Its total flux is 1, of which some per cent fall outside the window.
    zernikes : (n, 36) float64
        Coefficients of the wavefront of each frame, turbulence and static, in rad rms: Noll 1 to
        36 on the full unit disk.
    """

    strehl: NDArray[np.float64]
    shifts: NDArray[np.float64]
    focus_images: FloatArray
    defocus_images: FloatArray
    perfect_psf: FloatArray
    zernikes: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SimulatedRun:
    """A run as the camera would deliver it, and its truth.

    Attributes
    ----------
    frames : (n, y, x) uint16
        Raw frames, in ADU.
    dark, flat : (y, x) float32
        Master dark and master flat, in ADU; the dark is not subtracted from the flat.
    header : dict
        FITS cards that every frame shares.
    focus, defocus : (y, x, size)
        Centre pixel and side of the window of the focused and of the defocused star, in px, as
        `Window.centred` takes them.
    truth : Truth
        What the frames were made of.
    """

    frames: NDArray[np.uint16]
    dark: FloatArray
    flat: FloatArray
    header: dict[str, str | int | float]
    focus: CentredWindow
    defocus: CentredWindow
    truth: Truth

    def __repr__(self) -> str:
        windows = f"focus {self.focus}, defocus {self.defocus}"
        return f"<SimulatedRun: {size_text(ArrayFrames(self.frames))}, {windows}>"


def simulate_run(
    n: int = 60,
    shape: tuple[int, int] = (256, 512),
    *,
    d_over_r0: float = 5.6,
    photons: float = 6e5,
    seed: int = 0,
    telescope: Telescope = SIMULATED,
    camera: Camera = Camera(),
    defocus_waves: float = 1.8,
    aberration: Mapping[int, float] = STATIC_ABERRATION,
    outer_scale_m: float = 20.0,
    focus_size: int = 128,
    defocus_size: int = 192,
    samples: int | None = None,
) -> SimulatedRun:
    """Simulate a run of short exposures of a star, in focus and defocused on the same sensor.

    The focal field is ``fft2(P exp(i phi))``, pupil y down and x right as in the image. The phase
    is an independent von Karman screen for each frame, tip-tilt and all, plus the static
    aberration; the defocused arm adds ``pi W (2 rho**2 - 1)``.

    Parameters
    ----------
    n : int
        Number of frames.
    shape : (int, int)
        Rows and columns of the sensor; both windows must fit on it side by side.
    d_over_r0 : float
        Telescope diameter over Fried's r0; 0 means no turbulence.
    photons : float
        Photo-electrons a frame in each of the two images of the star.
    seed : int
        The same seed gives the same run, to the bit on one machine and number of BLAS threads.
    telescope, camera : Telescope, Camera
        The instrument.
    defocus_waves : float
        Defocus W of the second image, in waves peak-to-valley.
    aberration : mapping of int to float
        Static aberration in both images: Noll index to coefficient in rad rms (Zernikes
        orthonormal on the full unit disk).
    outer_scale_m : float
        Outer scale of the turbulence, in m; it limits the shake.
    focus_size, defocus_size : int
        Sides of the two windows, in px.
    samples : int, optional
        Across the pupil, 48 or more; as many as the field of the light needs by default. Images
        are right to 2 % (rms) with 48 and 0.4 % with 80; it takes long and much memory with more.

    Returns
    -------
    SimulatedRun
        Raw frames, dark and flat in ADU, the windows of both stars, and the truth.

    Raises
    ------
    LuckyError
        If the windows do not fit on the sensor, or the star's light not in the simulated field.

    Examples
    --------
    >>> import napari_lucky as lucky
    >>> run = lucky.simulate_run(12, (128, 256), d_over_r0=2, focus_size=64, defocus_size=96)
    >>> run.frames.shape, run.frames.dtype
    ((12, 128, 256), dtype('uint16'))
    >>> run.focus, run.defocus  # centre (y, x) and side
    ((60, 200, 64), (66, 72, 96))
    """
    check_kind(n, (int, np.integer), "number of frames", "a whole number")
    check_kind(shape, (tuple, list), "shape", "rows and columns")
    if len(shape) != 2 or not all(isinstance(side, (int, np.integer)) for side in shape):
        raise UsageError(f"The shape is {shape!r}; expected two whole numbers, rows and columns.")
    for number, what in ((d_over_r0, "D/r0"), (photons, "number of photons")):
        check_kind(number, (int, float, np.number), what, "a number")
    check_kind(telescope, Telescope, "telescope", "a Telescope")
    check_kind(camera, Camera, "camera", "a Camera")
    if n < 1 or d_over_r0 < 0 or photons <= 0:
        raise LuckyError("n and photons must be positive, and d_over_r0 must not be negative.")
    focus, defocus = _place_windows(shape, focus_size, defocus_size)
    phase_rng, pattern_rng, noise_rng, hidden_rng = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)
    )
    sensor = _make_sensor(pattern_rng, shape, camera)
    dark = sensor.master(noise_rng, 0.0, _DARK_EXPOSURES)
    flat = sensor.master(noise_rng, _FLAT_LEVEL_ADU, _FLAT_EXPOSURES)
    sky = _sky(shape, camera.sky_adu)

    least = pupil_samples(d_over_r0, defocus_waves)
    pupil = make_pupil(telescope, max(samples or least, least))
    turbulence = d_over_r0 ** (5 / 6) * screen_factor(pupil, outer_scale_m / telescope.diameter_m)
    static = np.zeros_like(pupil.amplitude)
    for noll, coefficient in aberration.items():
        static += np.float32(coefficient) * zernike(noll, pupil.rho, pupil.theta)
    diversity = (np.pi * defocus_waves * (2 * pupil.rho**2 - 1)).astype(np.float32)
    star_adu = np.float32(photons / camera.gain_e_per_adu)

    disk, _ = disk_samples(pupil)
    modes = [zernike(noll, pupil.rho, pupil.theta).flat[disk] for noll in range(1, _FITTED + 1)]
    project = np.linalg.pinv(np.transpose(modes).astype(np.float64))[:_TRUE]

    zernikes = np.empty((n, _TRUE))
    frames = np.empty((n, *shape), np.uint16)
    focus_images = np.empty((n, focus_size, focus_size), np.float32)
    defocus_images = np.empty((n, defocus_size, defocus_size), np.float32)
    for start in range(0, n, _BLOCK):
        count = min(_BLOCK, n - start)
        phases = static + phase_screens(phase_rng, count, pupil, turbulence, hidden_rng)
        zernikes[start : start + count] = phases.reshape(count, -1)[:, disk] @ project.T
        pairs = zip(psfs(phases, pupil), psfs(phases + diversity, pupil), strict=True)
        for i, (sharp, donut) in enumerate(pairs, start):
            star = np.zeros(shape, np.float32)
            _add(star, star_adu * sharp, focus[:2])
            _add(star, star_adu * donut, defocus[:2])
            focus_images[i] = star[Window.centred(*focus).slices]
            defocus_images[i] = star[Window.centred(*defocus).slices]
            frames[i] = sensor.expose(noise_rng, star + sky)

    middle = focus_size // 2
    perfect_psf = np.zeros((focus_size, focus_size), np.float32)
    _add(perfect_psf, psfs(np.zeros_like(static)[None], pupil)[0], (middle, middle))
    positions, peaks = _brightest_points(focus_images)
    strehl = peaks / (float(star_adu) * float(perfect_psf.max()))
    truth = Truth(strehl, middle - positions, focus_images, defocus_images, perfect_psf, zernikes)
    return SimulatedRun(frames, dark, flat, _header(telescope, camera), focus, defocus, truth)


@dataclass(frozen=True, eq=False)
class _Sensor:
    """The camera and its fixed pattern (y, x): response, with a mean of 1, and hot signal."""

    camera: Camera
    response: FloatArray
    hot_adu: FloatArray

    def expose(self, rng: np.random.Generator, light_adu: FloatArray) -> NDArray[np.uint16]:
        """Take a frame."""
        return np.rint(self.master(rng, light_adu, 1)).astype(np.uint16)

    def master(
        self, rng: np.random.Generator, light_adu: FloatArray | float, exposures: int
    ) -> FloatArray:
        """Take the mean of some exposures; the noise is Gaussian, which the stray light allows."""
        gain = self.camera.gain_e_per_adu
        output = light_adu * self.response + self.hot_adu
        sigma = np.sqrt((output / gain + (self.camera.read_noise_e / gain) ** 2) / exposures)
        output += sigma * rng.standard_normal(output.shape, np.float32) + self.camera.dark_adu
        return np.clip(output, 0, self.camera.saturation_adu, out=output)


def _make_sensor(rng: np.random.Generator, shape: tuple[int, int], camera: Camera) -> _Sensor:
    """Draw vignetting, dust, pixel response, hot and dead pixels."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    axis_y, axis_x = np.array(shape) * rng.uniform(0.4, 0.6, 2)
    response = 1 - ((y - axis_y) ** 2 + (x - axis_x) ** 2) / np.hypot(*shape) ** 2
    for ring in (0, 0, 0, 0, 8, 10, 12, 15):  # radius of a dust donut in px; 0 is a spot
        dust_y, dust_x = rng.uniform(0, shape)
        width, depth = rng.uniform(2, 4), rng.uniform(0.03, 0.12)
        response *= 1 - depth * np.exp(-(((np.hypot(y - dust_y, x - dust_x) - ring) / width) ** 2))
    response *= rng.normal(1, 0.01, shape)
    response /= response.mean()

    hot_count, dead_count = (math.ceil(f * response.size) for f in (_HOT_FRACTION, _DEAD_FRACTION))
    odd = rng.choice(response.size, hot_count + dead_count, replace=False)
    response.flat[odd[hot_count:]] = 0.01
    hot_adu = np.zeros(shape, np.float32)
    hot_adu.flat[odd[:hot_count]] = 150 * 24 ** rng.uniform(0, 1, hot_count)  # to 3600 ADU
    return _Sensor(camera, response.astype(np.float32), hot_adu)


def _sky(shape: tuple[int, int], sky_adu: float) -> FloatArray:
    """Return the stray light in ADU: a plane, brighter to the bottom and to the left."""
    y, x = (np.linspace(-0.5, 0.5, side) for side in shape)
    return np.asarray(sky_adu * (1 + 0.2 * y[:, None] - 0.35 * x), np.float32)


def _header(telescope: Telescope, camera: Camera) -> dict[str, str | int | float]:
    return {
        "TELESCOP": "SIMULATED",
        "OBJECT": "STAR",
        "EXPTIME": 0.005,  # s
        "WAVELEN": telescope.wavelength_nm,  # nm
        "APTDIA": telescope.diameter_m * 1e3,  # mm
        "APTAREA": math.pi / 4 * (telescope.diameter_m * 1e3) ** 2 * (1 - telescope.obstruction**2),
        "FOCALLEN": telescope.diameter_m * telescope.focal_ratio * 1e3,  # mm
        "PIXSIZE1": telescope.pixel_um,  # um
        "PIXSIZE2": telescope.pixel_um,  # um
        "EGAIN": camera.gain_e_per_adu,  # e-/ADU
        "SATURATE": camera.saturation_adu,  # ADU
    }


def _place_windows(
    shape: tuple[int, int], focus_size: int, defocus_size: int
) -> tuple[CentredWindow, CentredWindow]:
    """Place the focused star right and the donut left, on different rows, whole and apart."""
    height, width = shape
    spare = width - focus_size - defocus_size
    if max(focus_size, defocus_size) > height or spare < 0:
        raise LuckyError(
            f"Windows of {focus_size} and {defocus_size} pixels do not fit side by side on a "
            f"sensor of {height} rows and {width} columns. Make them smaller, or it larger."
        )
    focus_y = (height - focus_size) * 7 // 16 + focus_size // 2
    focus_x = defocus_size + spare * 3 // 4 + focus_size // 2
    defocus_y = (height - defocus_size) * 9 // 16 + defocus_size // 2
    defocus_x = spare // 4 + defocus_size // 2
    return (focus_y, focus_x, focus_size), (defocus_y, defocus_x, defocus_size)


def _add(image: FloatArray, star: FloatArray, centre: tuple[int, int]) -> None:
    """Add the field of a star to an image, in place; what falls outside is lost."""
    field = Window.centred(*centre, len(star))
    seen = field.clipped(image.shape)
    image[seen.slices] += star[seen.within(field).slices]


def _brightest_points(
    images: FloatArray,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions (n, 2) and heights (n,) of the maxima of images (n, y, x).

    Vertex of the quadratic through the 3 x 3 px around the brightest pixel, which alone misses up
    to 2.5 % of the height at 7 px per lambda/D. The truth shares no code with what it judges.
    """
    n, height, width = images.shape
    y, x = np.unravel_index(images.reshape(n, -1).argmax(axis=1), (height, width))
    y, x = np.clip(y, 1, height - 2), np.clip(x, 1, width - 2)
    # at[dy, dx] are the values (n,) that far from the brightest pixel
    step = range(-1, 2)
    at = {(a, b): images[np.arange(n), y + a, x + b].astype(float) for a in step for b in step}
    slope = np.stack([at[1, 0] - at[-1, 0], at[0, 1] - at[0, -1]], axis=1) / 2
    bend_y = at[1, 0] - 2 * at[0, 0] + at[-1, 0]
    bend_x = at[0, 1] - 2 * at[0, 0] + at[0, -1]
    twist = (at[1, 1] - at[1, -1] - at[-1, 1] + at[-1, -1]) / 4
    hessian = np.stack([bend_y, twist, twist, bend_x], axis=1).reshape(n, 2, 2)
    offset = -np.linalg.solve(hessian, slope[:, :, None])[:, :, 0]
    place = np.stack([y, x], axis=1).astype(float) + offset
    return place, at[0, 0] + (slope * offset).sum(axis=1) / 2
