"""Wide windows looked through coarsely: bins, pieces, and the brightest speckle found there."""

import numpy as np
import pytest

from napari_lucky.imaging.binning import WIDE, binned, bins_of, cut, unbinned
from napari_lucky.imaging.brightest_speckle import brightest_in, is_wide, track_brightest
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.star_image import light_of

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("bins", [1, 2, 3, 4])
def test_bins_are_means_of_pixels(bins):
    block = RNG.normal(100, 10, (2, 13, 17)).astype(np.float32)
    ny, nx = 13 // bins, 17 // bins
    whole = block[:, : ny * bins, : nx * bins].reshape(2, ny, bins, nx, bins)
    np.testing.assert_allclose(binned(block, bins), whole.mean(axis=(2, 4)), rtol=1e-6)


def test_masked_pixels_are_left_out_of_bins_and_most_of_them_mask_one():
    block = RNG.normal(100, 10, (2, 8, 12)).astype(np.float32)
    block[1, 4:6, 2] = np.nan
    block[1, 0:2, 4:6] = [[np.nan, np.nan], [np.nan, 7]]
    made = binned(block, 2)
    assert np.argwhere(np.isnan(made)).tolist() == [[1, 0, 2]]
    np.testing.assert_allclose(made[1, 2, 1], block[1, 4:6, 3].mean(), rtol=1e-6)


def test_places_in_bins_are_those_of_their_middles():
    assert unbinned(np.array([[0.0, 1.0], [2.5, 0.0]]), 4).tolist() == [[1.5, 5.5], [11.5, 1.5]]


@pytest.mark.parametrize("corner", [(2, 3), (-2, 4), (9, -3), (-9, 0), (40, 40)])
def test_pieces_are_cut_with_nothing_beyond_the_edge(corner):
    block = RNG.normal(0, 1, (1, 12, 14)).astype(np.float32)
    padded = np.pad(block[0], 50, constant_values=np.nan)
    y, x = np.array(corner) + 50
    expected = padded[y : y + 5, x : x + 6]
    np.testing.assert_array_equal(cut(block, np.array([corner]), (5, 6))[0], expected)


def test_no_more_is_binned_than_smoothed():
    assert bins_of((WIDE, WIDE), 2) == 1
    assert [bins_of((10, WIDE + 1), s) for s in (0, 1.9, 2, 3.5, 50)] == [1, 1, 2, 3, 4]


def stars(places, shape=(300, 331), sigma=2.5, height=400.0, noise=5.0):
    """Return frames of one star each, with a fainter one beside it, on a slope of light."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    out = []
    for y, x in places:
        light = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))
        light += 0.4 * np.exp(-((rows - y - 40) ** 2 + (columns - x + 60) ** 2) / 18)
        out.append(100 + 0.02 * rows + height * light)
    frames = np.array(out) + RNG.normal(0, noise, (len(places), *shape))
    return frames.astype(np.float32)


@pytest.mark.parametrize("smooth", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("masked", [False, True])
def test_the_brightest_speckle_of_a_wide_window_is_that_of_all_its_pixels(smooth, masked):
    places = RNG.uniform((3, 75), (250, 327), (12, 2))  # the fainter star is not at the edge
    block = stars(places)
    if masked:
        block[:, RNG.random(block.shape[1:]) < 0.003] = np.nan
        block[:, 270:274, :] = np.nan
    assert is_wide(block.shape[1:], smooth)
    noise = Noise(25.0)
    found = track_brightest(block, smooth, noise)
    exact = brightest_in(light_of(block), smooth, noise)
    np.testing.assert_allclose(found[:, :2], exact[:, :2], atol=2e-3)
    np.testing.assert_allclose(found[:, 2:8], exact[:, 2:8], rtol=1e-2)


def test_light_around_the_star_is_summed_in_bins():
    block = stars(RNG.uniform((60, 160), (240, 240), (6, 2)), noise=0)
    found = track_brightest(block, 3.0)
    level = 103  # the border's median
    for image, (y, x), light in zip(block - level, found[:, :2], found[:, 8], strict=True):
        box = image[max(round(y) - 48, 0) : round(y) + 49, max(round(x) - 48, 0) : round(x) + 49]
        assert light == pytest.approx(box.sum(), abs=1500)  # a tenth of the star


@pytest.mark.parametrize("shape", [(257, 20), (257, 16), (20, 300)])
@pytest.mark.parametrize("smooth", [3.5, 5.0])
def test_thin_windows_have_no_edge_but_their_own(shape, smooth):
    places = RNG.uniform((3, 3), np.array(shape) - 4, (6, 2))
    block = stars(places, shape, noise=0)
    found = track_brightest(block, smooth)
    exact = brightest_in(light_of(block), smooth)
    np.testing.assert_allclose(found[:, :2], exact[:, :2], atol=0.05)


@pytest.mark.parametrize("masked", ["columns", "many"])
def test_many_masked_pixels_do_not_hide_a_star(masked):
    block = stars([(100, 211), (150, 160)], height=2000)
    if masked == "columns":
        block[:, :, ::4] = np.nan
    else:
        block[:, RNG.random(block.shape[1:]) < 0.25] = np.nan
    found = track_brightest(block, 4.0)
    assert np.abs(found[:, :2] - [(100, 211), (150, 160)]).max() < 1.5


def test_wide_frames_without_light_have_no_brightest_speckle():
    block = stars([(100, 100)] * 3)
    block[0], block[2] = 7.0, np.nan
    found = track_brightest(block, 2.0)
    assert np.isfinite(found[:, 0]).tolist() == [False, True, False]


def test_what_is_found_of_a_frame_does_not_depend_on_those_beside_it():
    block = stars(RNG.uniform((3, 75), (250, 327), (5, 2)))
    block[3, 40:90, 60] = np.nan
    together = track_brightest(block, 2.0, Noise(25.0))
    alone = [track_brightest(block[k : k + 1], 2.0, Noise(25.0))[0] for k in range(5)]
    np.testing.assert_array_equal(together, alone)
