import tracemalloc
from concurrent.futures import Executor

import numpy as np
import pytest
from scipy import ndimage

from made_stars import PUPIL, exposed, screens, stars
from napari_lucky.calibration import bad_pixels, hot_pixels
from napari_lucky.calibration.bad_pixels import (
    _lattice_step,
    _least_nearby,
    _local_medians,
    _spread_of_excess,
    _touching,
    lone_pixels,
    standing_pixels,
)
from napari_lucky.calibration.moments import sample_moments
from napari_lucky.execution.blocks import done_here
from napari_lucky.execution.job import Job
from napari_lucky.frames import ArrayFrames, sensor_image

RNG = np.random.default_rng(0)


def test_hot_pixels_are_found_and_good_ones_are_not():
    gradient = np.linspace(90, 110, 200)[:, None] + np.linspace(0, 5, 300)
    dark = gradient + RNG.normal(0, 1.5, (200, 300))
    hot = np.zeros(dark.shape, bool)
    hot.flat[RNG.choice(dark.size, 60, replace=False)] = True
    dark[hot] += RNG.uniform(30, 3000, 60)
    dark[3, 4] = np.nan
    hot[3, 4] = True
    for unit in (1, 1e-3):  # a dark may be a fraction of full scale
        assert np.array_equal(hot_pixels(unit * dark), hot)


@pytest.mark.parametrize("noise", [0, 0.3])
def test_a_quantised_dark_has_no_false_hot_pixels(noise):
    dark = np.rint(98 + RNG.normal(0, noise, (100, 100)))
    dark[50, 50] = 400
    assert np.argwhere(hot_pixels(dark)).tolist() == [[50, 50]]


@pytest.mark.parametrize("slope", [0.0, 3.0])
def test_a_large_dark_is_searched_whole_though_its_noise_is_sampled(slope):
    """Against the median filter of every pixel, where the dark is flat and where it glows."""
    dark = 100 + RNG.normal(0, 2, (700, 900)) + slope * np.arange(900)
    hot = RNG.choice(dark.size, 500, replace=False)
    dark.flat[hot] += RNG.uniform(40, 400, 500)
    excess = dark - ndimage.median_filter(dark, size=5, mode="mirror")
    spread = np.median(np.abs(excess)) / 0.6745
    found = hot_pixels(dark)
    assert (found | ~(excess > 8.5 * spread)).all()
    assert (~found | (excess > 7.5 * spread)).all()
    assert found.flat[hot].all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 40), (9, 8)])
def test_the_smallest_darks(shape):
    assert not hot_pixels(np.full(shape, 7.0)).any()
    assert hot_pixels(np.full(shape, np.nan)).all()


def test_medians_are_those_of_all_25_pixels():
    image = RNG.normal(0, 1, (30, 40))
    found = _local_medians(image, np.arange(image.size))
    np.testing.assert_array_equal(
        found.reshape(image.shape), ndimage.median_filter(image, 5, mode="mirror")
    )


@pytest.mark.parametrize(
    ("side", "step"),
    [(8, 1), (256, 1), (512, 1), (543, 1), (544, 3), (905, 3), (906, 5), (4096, 21)],
)
def test_the_lattice_has_the_largest_odd_step_that_leaves_enough_pixels(side, step):
    assert _lattice_step((side, side)) == step  # 181 x 181 are 32761, and 182 x 182 enough


def test_the_lattice_sees_odd_and_even_columns_alike():
    dark = RNG.normal(0, 1, (700, 900)) * np.where(np.arange(900) % 2, 2, 8)
    excess = dark - ndimage.median_filter(dark, size=5, mode="mirror")
    all_pixels = np.median(np.abs(excess)) / 0.6745
    found = _spread_of_excess(dark, np.zeros(dark.shape, bool))
    assert found == pytest.approx(all_pixels, rel=0.05)


def test_the_lattice_covers_the_sensor_alike_in_whole_and_in_bands(monkeypatch):
    rows, columns = np.arange(700)[:, None], np.arange(900)
    dark = RNG.normal(0, 1, (700, 900)) * (1 + (rows > 350)) * (1 + 2 * (columns > 450))
    excess = dark - ndimage.median_filter(dark, size=5, mode="mirror")
    found = _spread_of_excess(dark, None)
    assert found == pytest.approx(np.median(np.abs(excess)) / 0.6745, rel=0.05)
    bands = [slice(y, min(y + 37, 700)) for y in range(0, 700, 37)]
    monkeypatch.setattr(bad_pixels, "bands_of", lambda shape: bands)
    assert _spread_of_excess(dark, None) == found


def test_in_bands_the_same_pixels_are_hot(monkeypatch):
    """Those at the edge of a band are compared with rows of the next; masked ones are filled."""
    dark = 100 + RNG.normal(0, 2, (80, 70)) + np.linspace(0, 40, 80)[:, None]
    edges = [(36, 5), (37, 9), (38, 20), (73, 3), (74, 50), (75, 66), (0, 0), (79, 69)]
    for y, x in edges:
        dark[y, x] += 60
    dark[35:39, 40], dark[10, 10:14] = np.nan, np.nan
    whole = hot_pixels(dark)
    filled = np.where(np.isfinite(dark), dark, np.nanmedian(dark))
    excess = filled - ndimage.median_filter(filled, size=5, mode="mirror")
    spread = np.median(np.abs(excess[np.isfinite(dark)])) / 0.6745
    assert np.array_equal(whole, (excess > 8 * spread) | np.isnan(dark))
    bands = [slice(y, min(y + 37, 80)) for y in range(0, 80, 37)]
    monkeypatch.setattr(bad_pixels, "bands_of", lambda shape: bands)
    assert np.array_equal(hot_pixels(dark), whole)


@pytest.mark.parametrize("shape", [(30, 40), (8, 17), (5, 5)])
def test_what_no_pixel_nearby_is_under(shape):
    image = RNG.normal(0, 1, shape)
    least = _least_nearby(image)
    assert (least <= ndimage.minimum_filter(image, 5)).all()
    assert (least >= ndimage.minimum_filter(image, 31)).all()  # but of what is near


def test_lone_pixels_are_steady_and_alone():
    y, x = np.mgrid[:120, :120]
    places = 60 + RNG.normal(0, 4, (30, 2))
    star = [2000 * np.exp(-((y - at) ** 2 + (x - to) ** 2) / 2.88) for at, to in places]
    frames = RNG.normal(100, 5, (30, 120, 120)) + star
    hot = np.zeros((120, 120), bool)
    hot[RNG.integers(0, 120, 12), RNG.integers(0, 120, 12)] = True
    frames[:, hot] += 800
    frames[RNG.integers(0, 30, 50), RNG.integers(0, 120, 50), RNG.integers(0, 120, 50)] += 2000
    assert np.array_equal(lone_pixels(*sample_moments(ArrayFrames(frames))), hot)


def test_up_to_three_hot_pixels_that_touch_are_found_and_four_are_not():
    rng = np.random.default_rng(3)
    frames = rng.normal(100, 5, (24, 40, 50)).astype(np.float32)
    frames[:, [10, 10, 20, 21], [12, 13, 30, 31]] += (900, 400, 300, 700)
    frames[:, [30, 30, 31], [20, 21, 20]] += (900, 500, 400)
    frames[:, 5, 30:33] += (900, 500, 450)
    frames[:, [20, 20, 21, 21], [5, 6, 5, 6]] += (900, 500, 400, 600)
    found = np.argwhere(lone_pixels(*sample_moments(ArrayFrames(frames)))).tolist()
    pairs = [[10, 12], [10, 13], [20, 30], [21, 31]]
    assert found == [[5, 30], [5, 31], [5, 32], *pairs, [30, 20], [30, 21], [31, 20]]


@pytest.mark.parametrize(("d_over_r0", "moves"), [(0.3, 2.0), (5, 1.0)])
def test_hot_pixels_close_to_a_star_that_moves_are_found(d_over_r0, moves):
    """As bright as its mean, which varies as much; but in every frame."""
    rng = np.random.default_rng(2)
    places = rng.normal(0, moves, (24, 2))
    images = stars(screens(24, d_over_r0, rng), 3.5, 48, places)
    clean = exposed(images, 1e5, rng)
    assert not np.asarray(standing_pixels(ArrayFrames(clean))).any()
    peak = clean.mean(axis=0).max() - 100
    hot = np.zeros((48, 48))
    hot[26, 24:26] = peak, 0.8 * peak
    frames = clean + rng.poisson(hot, clean.shape).astype(np.float32)
    found = np.asarray(standing_pixels(ArrayFrames(frames)))
    assert np.argwhere(found).tolist() == [[26, 24], [26, 25]]


@pytest.mark.parametrize("sampling", [1.5, 2.0])
def test_a_small_star_that_stays_is_no_hot_pixel(sampling):
    images = stars(np.zeros((20, PUPIL, PUPIL)), sampling, 48, np.zeros((20, 2)))
    frames = exposed(images, 1e5, np.random.default_rng(0))
    frames[:, 10, 12] += 5000
    assert np.argwhere(standing_pixels(ArrayFrames(frames))).tolist() == [[10, 12]]


def test_hot_pixels_of_a_large_sensor_are_found_in_bands(monkeypatch):
    frames = RNG.normal(100, 5, (12, 90, 70)).astype(np.float32)
    hot = [(29, 5), (30, 20), (31, 40), (59, 7), (60, 50), (0, 0), (89, 69), (44, 33)]
    for y, x in hot:
        frames[:, y, x] += 900
    frames[:, 30, 21] += 500  # two that touch
    whole = np.asarray(standing_pixels(ArrayFrames(frames)))
    assert np.argwhere(whole).tolist() == sorted([*map(list, hot), [30, 21]])
    monkeypatch.setattr(sensor_image, "LARGE", 2000)
    monkeypatch.setattr(sensor_image, "BAND", 70 * 30)
    assert np.array_equal(np.asarray(standing_pixels(ArrayFrames(frames))), whole)


def test_how_many_pixels_touch():
    members = np.zeros((9, 12), bool)
    members[[1, 2, 3], [1, 2, 1]] = True  # by their corners
    members[[6, 6, 7, 8], [5, 6, 7, 8]] = True
    members[0, 11] = True
    counts = np.zeros(members.shape, int)
    counts[members] = _touching(members)
    assert set(counts[[1, 2, 3], [1, 2, 1]]) == {3}
    assert set(counts[[6, 6, 7, 8], [5, 6, 7, 8]]) == {4}
    assert counts[0, 11] == 1


def test_bands_are_looked_over_as_the_whole(monkeypatch):
    rng = np.random.default_rng(8)
    mean = rng.normal(100, 5, (203, 60)).astype(np.float32)
    mean[rng.integers(0, 203, 90), rng.integers(0, 60, 90)] += 400
    deviation = rng.uniform(1, 60, mean.shape).astype(np.float32)
    deviation[100:104] = np.nan
    whole = lone_pixels(mean, deviation)
    monkeypatch.setattr(bad_pixels, "BAND", 500)
    assert whole.any()
    assert np.array_equal(lone_pixels(mean, deviation), whole)


class Here(Executor):
    """Does one piece of work after the other."""

    def submit(self, fn, /, *args, **kwargs):
        return done_here(fn, *args, **kwargs)


def test_the_look_for_hot_pixels_takes_the_memory_of_a_few_images():
    image = RNG.normal(100, 5, (1500, 1500)).astype(np.float32)
    image[RNG.integers(0, 1500, 50), RNG.integers(0, 1500, 50)] += 800
    frames = ArrayFrames(np.broadcast_to(image, (12, *image.shape)))
    standing_pixels(ArrayFrames(frames.read(slice(None))[:, :100, :100]))  # imports stay
    tracemalloc.start()
    try:
        standing_pixels(frames, job=Job(executor=Here()))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 7.5 * image.nbytes


def test_a_dark_of_whole_numbers_nearly_all_equal_has_hot_pixels_by_their_scatter():
    """One in twenty is 1 ADU off: 0.22 ADU, eight times which is 1.8. Without any it is 8 ADU."""
    rng = np.random.default_rng(4)
    dark = np.full((200, 220), 100, np.int32)
    dark.ravel()[rng.choice(dark.size, dark.size // 20, replace=False)] += rng.choice([-1, 1], 2200)
    dark[50, 60], dark[90, 100] = 103, 102
    assert np.argwhere(hot_pixels(dark)).tolist() == [[50, 60], [90, 100]]
    even = np.full((200, 220), 100, np.int32)
    even[50, 60], even[90, 100] = 109, 107
    assert np.argwhere(hot_pixels(even)).tolist() == [[50, 60]]


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_of_four_unequal_pixels_that_touch_none_is_hot_and_of_three_all_are(turns, mirrored):
    """One is too low to rise beside the brightest, and has no other neighbour."""
    heights = np.zeros((5, 5))
    heights[2, 2], heights[2, 3], heights[3, 1], heights[1, 4] = 1000, 400, 200, 300
    for fourth in (True, False):
        heights[1, 4] *= fourth
        turned = np.rot90(heights[:, ::-1] if mirrored else heights, turns)
        mean = np.random.default_rng(0).normal(100, 1, (100, 100)).astype(np.float32)
        mean[48:53, 48:53] += turned
        found = lone_pixels(mean, np.ones_like(mean))
        expected = np.zeros(mean.shape, bool)
        expected[48:53, 48:53] = (turned > 0) & (not fourth)
        np.testing.assert_array_equal(found, expected)
