"""The windowed centroid against known positions, and against the plain one it replaced."""

import numpy as np
import pytest

from napari_lucky import Window, calibrate, rank, select, simulate_run, stack_mean
from napari_lucky.frames.frames import ArrayFrames
from napari_lucky.imaging import Shifted
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.star_image import background, smoothed
from napari_lucky.registration import centroid
from napari_lucky.registration.centroid import ROUNDS, _over_threshold, _windowed

SIDE = 64


def stars(points, sigma=2.5, height=1000.0, noise=0.0, level=300.0, seed=0):
    y, x = np.mgrid[:SIDE, :SIDE]
    frames = [
        level + height * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * sigma**2))
        for cy, cx in points
    ]
    noisy = frames + noise * np.random.default_rng(seed).standard_normal((len(points), SIDE, SIDE))
    return noisy.astype(np.float32)


POINTS = np.random.default_rng(5).uniform(20, 44, (200, 2))


def track_centroid(block, smooth):
    return centroid.track_centroid(block, smooth)[:, :2]


def rms(points, truth):
    return float(np.sqrt(np.mean((points - truth) ** 2)))


def plain(block, smooth=2.0):
    """The centroid over 0.3 of the peak, not windowed, not iterated."""
    return _over_threshold(smoothed(block - background(block)[:, None, None], smooth))[0]


@pytest.mark.parametrize("sigma", [1.0, 1.2, 2.5, 5.0])
@pytest.mark.parametrize("smooth", [0.0, 2.0])
def test_without_noise_it_is_right_to_a_thousandth_of_a_pixel(sigma, smooth):
    found = track_centroid(stars(POINTS, sigma), smooth)
    assert np.abs(found - POINTS).max() < 1e-3


def test_the_background_does_not_matter():
    low, high = (track_centroid(stars(POINTS[:20], level=level), 2.0) for level in (0.0, 5000.0))
    np.testing.assert_allclose(low, high, atol=1e-3)


def test_it_is_better_than_the_plain_centroid_in_noise():
    for noise in (10.0, 50.0):
        block = stars(POINTS, noise=noise)
        assert rms(track_centroid(block, 2.0), POINTS) < 0.98 * rms(plain(block), POINTS)


def test_a_halo_on_one_side_does_not_pull_it():
    """Light far from the star has no weight in the window."""
    halo = stars(POINTS + np.array([0.0, 12.0]), sigma=4.0, height=350.0, level=0.0)
    block = stars(POINTS) + halo
    assert rms(track_centroid(block, 2.0), POINTS) < 0.3 * rms(plain(block), POINTS)


def test_the_formula_is_iterated_until_it_stands_still():
    """Where it ends, sum w I (r - c) is 0: by the formula, one frame at a time."""
    block = stars(POINTS[:10], noise=20.0)
    image = smoothed(block - background(block)[:, None, None], 2.0)
    first, radius = _over_threshold(image)
    found = _windowed(image, first, radius / 2)
    y, x = np.mgrid[:SIDE, :SIDE]
    for pixels, (cy, cx), s in zip(image.astype(float), found, radius / 2, strict=True):
        weighed = pixels * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * s * s))
        step = [2 * (weighed * (y - cy)).sum(), 2 * (weighed * (x - cx)).sum()] / weighed.sum()
        assert np.hypot(*step) < 2e-4
    assert ROUNDS >= 20


def test_a_frame_does_not_depend_on_its_neighbours_in_the_block():
    block = stars(POINTS[:8], noise=30.0)
    alone = np.concatenate([track_centroid(frame[None], 2.0) for frame in block])
    np.testing.assert_allclose(track_centroid(block, 2.0), alone, atol=1e-9)


@pytest.mark.parametrize("smooth", [0.0, 2.0])
def test_masked_pixels_in_the_star_do_not_bias_it(smooth):
    block = stars(POINTS, sigma=3.0)
    y, x = np.rint(POINTS).astype(int).T
    block[np.arange(len(block)), y, x + 1] = np.nan
    assert np.abs(track_centroid(block, smooth) - POINTS).max() < 0.1


@pytest.mark.parametrize("smooth", [0.0, 2.0])
def test_a_hole_too_large_to_be_filled_does_not_hide_the_star(smooth):
    block = stars(POINTS[:10], sigma=3.0)
    block[:, 2:16, 46:62] = np.nan
    assert np.abs(track_centroid(block, smooth) - POINTS[:10]).max() < 0.5


@pytest.mark.parametrize("sigma", [4.0, 6.0])
def test_the_window_of_a_steady_gaussian_is_half_the_radius_of_its_light(sigma):
    """The mean square radius of exp(-u) - 0.3, where that is over 0, and u = r^2 / 2 sigma^2."""
    u = np.linspace(0, np.log(1 / 0.3), 10001)
    over = np.exp(-u) - 0.3
    radius = sigma * np.sqrt(2 * (u * over).sum() / over.sum())
    frames, window = ArrayFrames(stars(POINTS[:12], sigma=sigma)), Window(0, 0, SIDE, SIDE)
    made = centroid.steady_window(frames, window, 0.0, np.arange(12))
    assert made == pytest.approx(radius / 2, rel=0.01)


def test_frames_without_light_or_of_different_widths_have_no_common_window():
    frames = np.full((4, SIDE, SIDE), 7, np.float32)
    window = Window(0, 0, SIDE, SIDE)
    assert centroid.steady_window(ArrayFrames(frames), window, 2.0, np.arange(4)) is None
    for k, sigma in enumerate((3.0, 4.0, 5.0, 6.0)):
        frames[k] = stars(POINTS[k : k + 1], sigma)[0]
    assert centroid.steady_window(ArrayFrames(frames), window, 2.0, np.arange(4)) is None


def test_frames_without_a_star_have_no_position():
    block = stars(POINTS[:4])
    block[1], block[2] = 7.0, np.nan
    assert np.isnan(track_centroid(block, 2.0)).any(axis=1).tolist() == [False, True, True, False]


def test_noise_alone_gives_a_position_in_the_frame():
    block = stars(POINTS[:50], height=0.0, noise=10.0)
    found = track_centroid(block, 2.0)
    assert ((found >= 0) & (found <= SIDE - 1)).all()


def test_the_stack_in_turbulence_is_sharper_than_by_the_plain_centroid():
    made = simulate_run(60, d_over_r0=8, seed=1)
    masters = (ArrayFrames(image) for image in (made.dark, made.flat))
    calibrated = calibrate(ArrayFrames(made.frames), *masters, saturation=4095)
    window = Window.centred(*made.focus)
    block = calibrated.read(slice(None), window)
    kept = select(rank(calibrated, window), 0.2)
    peak = {}
    for name, points in (("plain", plain(block)), ("windowed", track_centroid(block, 2.0))):
        shifts = np.rint(np.median(points, axis=0)) - points
        peak[name] = np.nanmax(stack_mean(Shifted(calibrated, shifts), kept, window).image)
    assert peak["windowed"] > 1.1 * peak["plain"]


def test_a_first_centroid_has_no_error(monkeypatch):
    """It is taken where the window runs away, and nothing is known of its error."""
    rows, columns = np.mgrid[:48, :48]
    star, other = (
        height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 8)
        for height, y, x in ((500, 15, 17), (120, 35, 33))
    )
    noise = np.random.default_rng(0).normal(0, 2, (2, 48, 48))
    block = (star + other + noise).astype(np.float32)
    still = centroid.track_centroid(block, 1.0, Noise(4.0))
    assert np.isfinite(still[:, 2:]).all()
    monkeypatch.setattr(centroid, "_windowed", lambda *_: np.array([[35.0, 33.0]] * 2))
    lost = centroid.track_centroid(block, 1.0, Noise(4.0))
    assert np.abs(lost[:, :2] - (15, 17)).max() < 0.2
    assert np.isnan(lost[:, 2:]).all()
