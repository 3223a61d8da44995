"""The errors that registration tells, against the true errors of many noisy frames."""

import numpy as np
import pytest
from scipy import special

from made_speckles import pattern
from napari_lucky import Window, register
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging.brightest_speckle import track_brightest
from napari_lucky.imaging.inpainting import fill_by_kriging
from napari_lucky.imaging.noise import Noise, sample_noise
from napari_lucky.imaging.peak_position import Surface
from napari_lucky.registration.register import NO_CORE, NO_ERRORS

SIDE = 128
WHOLE = Window(0, 0, SIDE, SIDE)
READ, GAIN = 6.0, 2.0  # e-, e-/ADU
FREQUENCY = 2 * np.pi * np.fft.fftfreq(SIDE)
SHIFTS = np.random.default_rng(7).uniform(-6, 6, (150, 2))


def airy(sampling):
    rows, columns = np.mgrid[-64:64, -64:64]
    v = np.pi * np.maximum(np.hypot(rows, columns), 1e-9) / sampling
    edge = np.minimum(1, np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1]) / 16)
    return (2 * special.j1(v) / v) ** 2 * edge[:, None] * edge


PATTERNS = {"speckles": (pattern(), 2.0), "airy": (airy(3.0), 1.0)}


def run_of(pattern, shifts, peak, masked=0.0, seed=0):
    """Frames in ADU of a pattern that only moves; a part of the sensor's pixels is masked."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(peak * pattern)
    down = np.exp(-1j * FREQUENCY[:, None] * shifts[:, :1, None])
    across = np.exp(-1j * FREQUENCY[: SIDE // 2 + 1] * shifts[:, 1:, None])
    light = np.maximum(np.fft.irfft2(spectrum * (down * across), (SIDE, SIDE)), 0)
    frames = (rng.poisson(light) + rng.normal(0, READ, light.shape)) / GAIN + 100
    frames[:, rng.random((SIDE, SIDE)) < masked] = np.nan
    return frames.astype(np.float32)


@pytest.mark.parametrize("peak", [400, 2800, 27000])
@pytest.mark.parametrize("star", PATTERNS)
def test_the_errors_of_every_method_are_true(star, peak):
    """Also at a high signal, where the error is thousandths of a pixel, and beside holes."""
    pattern, smooth = PATTERNS[star]
    frames = ArrayFrames(run_of(pattern, SHIFTS, peak, masked=0.005))
    for method in ("brightest", "centroid", "correlation"):
        made = register(frames, WHOLE, method=method, smooth=smooth)
        error = made.points - SHIFTS
        pulls = (error - np.median(error, axis=0)) / made.sigma
        assert np.abs(pulls.mean(axis=0)).max() < 0.25, method
        assert 0.9 < pulls.std() < 1.2, method


@pytest.mark.parametrize("method", ["brightest", "centroid", "correlation"])
def test_of_a_star_whose_core_is_masked_no_errors_are_told(method):
    """They were up to six times too small: the filling decides where the top is."""
    frames = run_of(PATTERNS["airy"][0], SHIFTS[:24], 27000)
    frames[frames > 2800] = np.nan  # clipped at a fifth of the peak
    made = register(ArrayFrames(frames), WHOLE, method=method, smooth=1.0)
    assert made.found.all()
    assert np.isnan(made.sigma).all()
    assert f"{NO_ERRORS}: {NO_CORE}." in made.notes


def test_noise_is_measured_in_frames_that_all_differ():
    """Speckles that come and go are not taken for noise."""
    rng = np.random.default_rng(1)
    light = [
        3000 * np.roll(PATTERNS["speckles"][0], rng.integers(-20, 20, 2), (0, 1)) * rng.uniform()
        for _ in range(64)
    ]
    frames = (rng.poisson(light) + rng.normal(0, READ, (64, SIDE, SIDE))) / GAIN
    frames[:, 10, 20] = 5000  # a hot pixel
    made = sample_noise(ArrayFrames(frames.astype(np.float32)), WHOLE)
    assert made.floor == pytest.approx((READ / GAIN) ** 2, rel=0.1)
    assert made.photon == pytest.approx(1 / GAIN, rel=0.1)


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_frames_without_noise_have_next_to_none(value):
    assert sample_noise(ArrayFrames(np.full((3, 16, 16), value, np.float32)), WHOLE_16).floor < 1e-9


WHOLE_16 = Window(0, 0, 16, 16)


@pytest.mark.parametrize("width", [1.0, 2.0, 5.0])
def test_the_top_of_a_star_is_found_wherever_it_is_between_pixels(width):
    places = np.random.default_rng(2).uniform(30, 32, (50, 2))
    rows, columns = (np.arange(64) - places[:, axis, None] for axis in (0, 1))
    down, across = np.exp(-(rows**2) / 8), np.exp(-(columns**2) / 8)
    image = (1000 * down[:, :, None] * across[:, None, :]).astype(np.float32)
    surface = Surface(image, np.rint(places), np.full(50, width))
    points, hessian = surface.top()
    np.testing.assert_allclose(points, places, atol=1e-4)
    curved = -1000 * 4 / (4 + width**2) / (4 + width**2)  # of two Gaussians, one after the other
    np.testing.assert_allclose(hessian, curved * np.eye(2)[np.newaxis].repeat(50, 0), atol=0.1)


def test_the_error_of_a_faint_gaussian_is_the_formula():
    """White noise: var = v / (8 pi W^4) / S''^2 with S'' = A s^2 / (s^2 + W^2)^2."""
    rows, columns = np.mgrid[-32:32, -32:32]
    image = (50 * np.exp(-(rows**2 + columns**2) / 18))[np.newaxis].astype(np.float32)
    surface = Surface(image, np.full((1, 2), 32.0), np.full(1, 2.0))
    points, hessian = surface.top()
    sigma = surface.sigma(points, hessian, Noise(4.0))
    expected = np.sqrt(4 / (8 * np.pi * 2**4)) / (50 * 9 / 13**2)
    np.testing.assert_allclose(sigma, expected, rtol=0.01)


def test_where_there_is_no_top_the_point_stays_and_has_no_error():
    slope = np.tile(np.arange(40, dtype=np.float32), (1, 40, 1))
    surface = Surface(slope, np.full((1, 2), 20.0), np.full(1, 1.0))
    points, hessian = surface.top()
    assert points.tolist() == [[20, 20]]
    assert np.isnan(surface.sigma(points, hessian, Noise(1.0))).all()


@pytest.mark.parametrize("alike", [True, False])
def test_holes_are_filled_to_a_part_in_a_thousand(alike):
    light = np.stack([1000 * PATTERNS["speckles"][0]] * 3).astype(np.float32)
    holes = np.zeros(light.shape, bool)
    holes[:, 60:63, 64] = holes[:, 70, 58] = True
    holes[1, 64, 70] = not alike
    filled, excess = fill_by_kriging(np.where(holes, np.float32(np.nan), light))
    assert np.abs(filled - light).max() < 1
    assert excess.shape == (1 if alike else 3, SIDE, SIDE)
    assert (np.broadcast_to(excess, light.shape) > 0).tolist() == holes.tolist()


def test_a_hole_in_the_midst_of_holes_stays():
    block = np.ones((2, 32, 32), np.float32)
    assert fill_by_kriging(block) == (block, None)
    block[:, 10:22, 10:22] = np.nan
    filled, excess = fill_by_kriging(block)
    assert np.isnan(filled[:, 14:18, 14:18]).all() and (excess[:, 14:18, 14:18] == 2).all()
    block[:] = np.nan
    assert np.isnan(fill_by_kriging(block)[0]).all()


def test_the_highest_top_is_found_wherever_the_pixels_are():
    """The brightest pixel of this star misses up to a tenth of its light; the other has 0.96."""
    rng = np.random.default_rng(0)
    pixel, at = np.arange(32), np.array([[12, 10], [20, 22]])
    at = at + rng.uniform(-0.5, 0.5, (100, 2, 2))
    down, across = np.exp(-((pixel - at.transpose(2, 0, 1)[..., None]) ** 2) / (2 * 1.1**2))
    block = np.einsum("s,ksy,ksx->kyx", [1.0, 0.96], down, across).astype(np.float32)
    found = track_brightest(block, 1.0)
    assert np.abs(found[:, :2] - at[:, 0]).max() < 0.01
