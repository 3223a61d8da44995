import numpy as np
import pytest

from made_stars import gaussian
from napari_lucky import LuckyError
from napari_lucky.imaging import column_cut, cutout, peak_pixel, radial_profile, row_cut
from napari_lucky.imaging.profiles import Profile, normalised_profile, ring_medians


@pytest.fixture
def star():
    """A star off the centre, on a negative level, with masked pixels around."""
    image = gaussian((60, 80), 21, 50, 5, 1000).astype(np.float32) - 10
    image[23, 51] = image[10:13, 40:60] = image[:, 0] = np.nan
    return image


def test_the_peak_is_the_brightest_pixel_that_is_not_masked(star):
    assert peak_pixel(star) == (21, 50)
    star[5, 7] = np.inf
    assert peak_pixel(star) == (21, 50)
    star[21, 50] = np.nan
    star[40, 3] = 995
    assert peak_pixel(star) == (40, 3)


def test_of_equal_peaks_the_first_in_the_file_is_taken():
    image = np.zeros((8, 9), np.uint16)
    assert peak_pixel(image) == (0, 0)
    image[5, 2] = image[3, 7] = image[3, 4] = 9
    assert peak_pixel(image) == (3, 4)


def test_smoothing_keeps_a_hot_pixel_from_being_the_peak(star):
    star[50, 20] = 2000
    assert peak_pixel(star) == (50, 20)
    assert peak_pixel(star, 1.0) == (21, 50)


def test_a_masked_pixel_is_no_peak_where_all_else_is_below_zero():
    image = np.full((30, 30), -100.0)
    image[12, 14] = -50
    image[0:9, 0:9] = np.nan
    assert peak_pixel(image) == peak_pixel(image, 2.0) == (12, 14)


def test_an_image_without_pixels_is_reported():
    with pytest.raises(LuckyError, match="masked"):
        peak_pixel(np.full((9, 9), np.nan))
    with pytest.raises(LuckyError, match="smoothing"):
        peak_pixel(np.zeros((9, 9)), -1)


@pytest.mark.parametrize("side", [8, 31, 64])
def test_a_cut_has_its_centre_in_the_middle_and_is_masked_beyond_the_edge(star, side):
    cut = cutout(star, (21, 50), side)
    assert cut.shape == (side, side)
    assert cut.dtype == np.float32
    assert cut[side // 2, side // 2] == star[21, 50]
    for y, x in np.ndindex(side, side):
        row, column = 21 + y - side // 2, 50 + x - side // 2
        inside = 0 <= row < 60 and 0 <= column < 80
        np.testing.assert_equal(cut[y, x], star[row, column] if inside else np.float32(np.nan))


def test_cuts_are_the_row_and_the_column_through_the_peak(star):
    row, column = row_cut(star, (21, 50)), column_cut(star, (21, 50))
    np.testing.assert_array_equal(row.value, star[21])
    np.testing.assert_array_equal(column.value, star[:, 50])
    np.testing.assert_array_equal(row.offset, np.arange(80) - 50)
    np.testing.assert_array_equal(column.offset, np.arange(60) - 21)
    np.testing.assert_array_equal(column.count, ~np.isnan(star[:, 50]))


def test_whole_numbers_do_not_wrap_in_a_cut():
    image = np.array([[65535, 0], [1, 2]], np.uint16)
    assert row_cut(image, (0, 1)).value.tolist() == [65535, 0]
    assert row_cut(image, (0, 1)).offset.tolist() == [-1, 0]


@pytest.mark.parametrize("centre", [(21, 50), (20.6, 50.3)])
def test_rings_are_one_pixel_wide_and_masked_pixels_have_no_weight(star, centre):
    made = radial_profile(star, centre)
    y, x = np.mgrid[:60, :80]
    r = np.hypot(y - centre[0], x - centre[1])
    for k in range(len(made.value)):
        ring = (r >= k - 0.5) & (r < k + 0.5) & np.isfinite(star)
        assert made.count[k] == ring.sum()
        if made.count[k]:
            assert made.value[k] == pytest.approx(star[ring].mean(dtype=float), rel=1e-9)
            assert made.offset[k] == pytest.approx(r[ring].mean())
        else:
            assert np.isnan(made.value[k])
            assert made.offset[k] == k
    assert made.count.sum() == np.isfinite(star).sum()


def test_the_radial_profile_of_a_gaussian_is_its_formula():
    centre = (30.25, 39.6)
    image = gaussian((60, 80), *centre, 6.0, 1000)
    image[28:31, 45] = np.nan
    made = radial_profile(image, centre)
    formula = 1000 * np.exp(-(made.offset**2) / (2 * 6.0**2))
    np.testing.assert_allclose(made.value[:25], formula[:25], atol=3)  # of 1000


def test_ring_0_of_a_whole_pixel_is_that_pixel(star):
    made = radial_profile(star, (21, 50))
    assert (made.offset[0], made.value[0], made.count[0]) == (0, star[21, 50], 1)
    assert made.count[1] == 8
    assert made.offset[1] == pytest.approx((4 + 4 * np.sqrt(2)) / 8)


def test_a_profile_is_divided_by_its_greatest_value():
    profile = Profile(np.arange(3.0), np.array([2.0, np.nan, 8.0]), np.ones(3, int))
    np.testing.assert_array_equal(normalised_profile(profile).value, [0.25, np.nan, 1])
    assert profile.value[2] == 8
    for values in ([-1.0, 0.0, -3.0], [np.nan] * 3):
        dark = Profile(profile.offset, np.array(values), profile.count)
        assert np.isnan(normalised_profile(dark).value).all()


def test_medians_of_rings_are_numpys():
    rng = np.random.default_rng(1)
    values, rings = rng.normal(size=101).astype(np.float32), rng.integers(0, 9, 101)
    rings[rings == 4] = 5
    found = ring_medians(values, rings)
    assert np.isnan(found[4])
    for ring in set(rings.tolist()):
        assert found[ring] == np.median(values[rings == ring].astype(float))
