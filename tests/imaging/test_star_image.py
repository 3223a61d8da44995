import numpy as np
import pytest
from scipy import ndimage

from made_stars import gaussian
from napari_lucky.frames.frames import is_empty
from napari_lucky.imaging.convolution import gaussian as under_gaussian
from napari_lucky.imaging.star_image import (
    background,
    light_of,
    peaks,
    smoothed,
    without_slope,
)


def test_background_is_the_median_of_the_border_and_ignores_masked_pixels():
    block = np.stack([np.full((32, 40), level, np.float32) for level in (5.0, 7.0)])
    block[:, 10:20, 10:20] = 1000
    block[0, 0, :15] = np.nan
    block[1, :, 0] = np.nan
    assert background(block).tolist() == [5, 7]
    block[0] = np.nan
    made = background(block)
    assert np.isnan(made[0])
    assert made[1] == 7


def test_smoothing_really_smooths():
    """Old error 5: the noise filter ran with power 0 and multiplied by a constant."""
    block = np.random.default_rng(0).normal(0, 1, (2, 256, 256)).astype(np.float32)
    for sigma in (1.0, 2.0, 4.0):
        made = smoothed(block, sigma)
        np.testing.assert_allclose(
            made[0], ndimage.gaussian_filter(block[0], sigma, mode="nearest", truncate=3), atol=1e-5
        )
        assert made[:, 20:-20, 20:-20].std() == pytest.approx(
            1 / (2 * np.sqrt(np.pi) * sigma), rel=0.05
        )
    assert np.array_equal(smoothed(block, 0), block)


def test_masked_pixels_have_no_weight_in_smoothing():
    star = gaussian((40, 40), 20, 20, 4)[None].astype(np.float32)
    holed = star.copy()
    holed[0, 20, 21] = holed[0, 5, 5] = np.nan
    np.testing.assert_allclose(smoothed(holed, 2.0), smoothed(star, 2.0), atol=0.02)
    assert np.isfinite(smoothed(holed, 0)).all()


@pytest.mark.parametrize("fraction", [-0.49, -0.2, 0.0, 0.3, 0.45])
def test_peaks_are_found_to_a_fraction_of_a_pixel(fraction):
    star = gaussian((30, 50), 12 + fraction, 33 - fraction, 3)[None].astype(np.float32)
    (point,), (top,) = peaks(star)
    np.testing.assert_allclose(point, [12 + fraction, 33 - fraction], atol=0.02)
    assert top == star.max()


def test_a_peak_on_the_edge_stays_on_it():
    block = np.zeros((1, 10, 10), np.float32)
    block[0, 0, 9] = 1
    points, _ = peaks(block)
    assert np.abs(points[0] - [0, 9]).max() <= 0.5


def test_empty_frames_are_known():
    block = np.zeros((4, 8, 8), np.float32)
    block[1, 2, 3] = 1
    block[2] = np.nan
    block[3, 0] = np.nan
    assert is_empty(block).tolist() == [True, False, True, True]


@pytest.mark.parametrize("sigma", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("shape", [(32, 40), (9, 7)])
def test_the_slope_is_taken_off_smoothed_light_as_off_what_is_smoothed(shape, sigma):
    y, x = np.mgrid[: shape[0], : shape[1]]
    ramps = np.stack([200 + 3 * y - 2 * x, 50 - y + 0.5 * x]).astype(np.float32)
    block = ramps + np.random.default_rng(3).normal(0, 1, ramps.shape).astype(np.float32)
    light = light_of(block)
    tracked = under_gaussian(light.pixels, sigma, "constant")
    ranked = under_gaussian(without_slope(light.pixels), sigma, "constant")
    for _ in range(2):  # what one took away is there for the next
        np.testing.assert_array_equal(light.smoothed(sigma), tracked)
        np.testing.assert_allclose(light.smoothed_without_slope(sigma), ranked, atol=2e-4)
