import tracemalloc

import numpy as np
import pytest

from napari_lucky import LuckyError, Window, find_star
from napari_lucky.calibration import Calibrated
from napari_lucky.calibration.bad_pixels import standing_pixels
from napari_lucky.errors import NoStarError
from napari_lucky.frames import ArrayFrames
from napari_lucky.frames import sensor_image as sensor_images
from napari_lucky.registration import find_star as finding

RNG = np.random.default_rng(6)


def run_with_star(y, x, shape=(200, 300), n=30, sigma=3.0, height=400.0):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    frames = RNG.normal(100, 5, (n, *shape))
    for k in range(n):
        at_y, at_x = y + RNG.normal(0, 4), x + RNG.normal(0, 4)
        frames[k] += height * np.exp(-((rows - at_y) ** 2 + (columns - at_x) ** 2) / (2 * sigma**2))
    frames += np.linspace(0, 150, shape[1])  # stray light, brighter than the mean star
    return frames.astype(np.float32)


def test_the_star_is_found_in_spite_of_gradient_and_hot_pixels():
    frames = run_with_star(120, 90)
    for y, x in [*RNG.integers(0, 200, (40, 2)), (0, 50), (80, 0), (199, 299)]:
        frames[:, y, x] += 3000
    window = find_star(ArrayFrames(frames))
    assert window.shape == (128, 128)
    assert np.abs(np.subtract(window.centre, (120, 90))).max() <= 6


def test_near_the_edge_the_window_is_moved_inside():
    window = find_star(ArrayFrames(run_with_star(190, 12)))
    assert (window.y0, window.x0) == (72, 0)


def test_on_a_small_sensor_the_window_is_smaller():
    window = find_star(ArrayFrames(run_with_star(30, 40, shape=(60, 90))))
    assert window.shape == (60, 60)


@pytest.mark.parametrize("value", [5.0, np.nan])
def test_frames_without_anything_are_reported(value):
    with pytest.raises(LuckyError, match="equal or masked"):
        find_star(ArrayFrames(np.full((3, 50, 50), value, np.float32)))


def test_a_slope_of_stray_light_is_no_star():
    rng = np.random.default_rng(3)
    slope = np.linspace(100, 190, 300)
    frames = (slope + rng.normal(0, 5, (12, 200, 300))).astype(np.float32)
    with pytest.raises(NoStarError):
        find_star(ArrayFrames(frames))


def test_the_window_is_as_large_as_the_star_needs():
    seeing = find_star(ArrayFrames(run_with_star(100, 150, sigma=20.0, height=400)))
    assert seeing.shape == (192, 192)
    assert find_star(ArrayFrames(run_with_star(100, 150, sigma=20.0)), 96).shape == (96, 96)


def test_frames_too_small_are_reported():
    with pytest.raises(LuckyError, match="at least 8 x 8"):
        find_star(ArrayFrames(np.zeros((3, 50, 5), np.float32)))


def test_large_sensors_are_looked_over_in_bands(monkeypatch):
    frames = run_with_star(120, 90, n=12)
    hot = np.zeros((200, 300), bool)
    hot[RNG.integers(0, 200, 30), RNG.integers(0, 300, 30)] = True
    frames[:, hot] += 3000
    whole = ArrayFrames(frames)
    expected, window = np.asarray(standing_pixels(whole)), find_star(whole)
    assert (expected & hot).sum() >= hot.sum() - 2  # some are neighbours
    for module in (sensor_images, finding):
        monkeypatch.setattr(module, "LARGE", 20_000)
        monkeypatch.setattr(module, "BAND", 300 * 40)
    np.testing.assert_array_equal(standing_pixels(whole), expected)
    masked = Calibrated(whole, bad=expected)
    assert np.abs(np.subtract(find_star(masked).centre, window.centre)).max() <= 6


def test_a_faint_star_is_looked_for_in_more_frames():
    """In 24 of them it is 4 sigmas of the smoothed mean, in 120 it is 9."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :80]
    star = np.exp(-((rows - 22) ** 2 + (columns - 51) ** 2) / (2 * 2.0**2))
    frames = (100 + 1.2 * star + rng.normal(0, 5, (150, 64, 80))).astype(np.float32)
    with pytest.raises(LuckyError, match="noise in 20 frames"):
        find_star(ArrayFrames(frames[:20]), 32)
    with pytest.raises(LuckyError, match="noise in 120 frames"):
        find_star(ArrayFrames(rng.normal(100, 5, (150, 48, 48)).astype(np.float32)), 32)
    window = find_star(ArrayFrames(frames), 32)
    assert np.abs(np.subtract(window.centre, (22, 51))).max() <= 4


@pytest.mark.parametrize(("sigma", "side"), [(4.0, 128), (30.0, 256)])
def test_a_window_has_room_for_a_twentieth_of_the_peak(sigma, side):
    """A Gaussian is a twentieth of its peak at 2.45 sigma; the window is three times that."""
    rows, columns = np.mgrid[:400, :420]
    star = 5000 * np.exp(-((rows - 200) ** 2 + (columns - 210) ** 2) / (2 * sigma**2))
    frames = (100 + star + RNG.normal(0, 5, (4, 400, 420))).astype(np.float32)
    assert find_star(ArrayFrames(frames)).shape == (side, side)


def test_coarse_frames_are_the_means_of_their_pixels(monkeypatch):
    monkeypatch.setattr(finding, "BAND", 200)
    frames = RNG.normal(100, 5, (3, 25, 31)).astype(np.float32)
    frames[1, 9:12, 12:15] = np.nan
    frames[2, 9, 12] = np.nan
    coarse = finding.Coarse(ArrayFrames(frames), 3)
    assert coarse.shape == (3, 8, 10)
    expected = np.empty(coarse.shape)
    for k, y, x in np.ndindex(*coarse.shape):
        part = frames[k, 3 * y : 3 * y + 3, 3 * x : 3 * x + 3]
        expected[k, y, x] = part[np.isfinite(part)].mean() if np.isfinite(part).any() else np.nan
    np.testing.assert_allclose(coarse.read(slice(None)), expected, rtol=1e-6)
    part = coarse.read(np.array([2, 0]), Window(2, 3, 5, 4))
    np.testing.assert_allclose(part, expected[[2, 0], 2:7, 3:7], rtol=1e-6)


def test_the_search_takes_the_memory_of_a_few_images_and_keeps_none():
    side = 1200
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:side, :side]
    star = 500 * np.exp(-((rows - 400) ** 2 + (columns - 700) ** 2) / 18)
    mean = (rng.normal(100, 3, (side, side)) + star).astype(np.float32)
    frames = ArrayFrames(np.broadcast_to(mean, (24, side, side)))
    seen = finding.MeanOfRun(mean, 3.0, 24, 1)
    find_star(frames, seen=seen)  # what is imported for it stays
    tracemalloc.start()
    try:
        find_star(frames, seen=seen)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 9 * mean.nbytes
    assert kept < 0.1 * mean.nbytes
