"""Detail that is finer than optics pass."""

import numpy as np
import pytest

from made_stars import PUPIL, stars
from napari_lucky.imaging.fine_detail import fine_detail, patterns


def detail(image, y, x):
    return float(fine_detail(np.float32(image)[np.newaxis], np.array([[y, x]], float))[0])


def test_the_patterns_are_orthonormal():
    flat = patterns().reshape(len(patterns()), -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-5)


@pytest.mark.parametrize(("sampling", "most"), [(2, 0.03), (2.5, 0.01), (7, 0.01)])
def test_a_star_has_none_but_where_it_is_undersampled(sampling, most):
    places = np.random.default_rng(1).uniform(-0.5, 0.5, (8, 2))
    for image in stars(np.zeros((8, PUPIL, PUPIL)), sampling, 64, places):
        assert detail(image, 32, 32) < most * image.max()
    image = stars(np.zeros((1, PUPIL, PUPIL)), 1.2, 64, np.zeros((1, 2)))[0]
    assert detail(image, 32, 32) > 0.1 * image.max()


def test_a_lone_pixel_has_half_its_light_and_none_at_the_edge():
    image = np.zeros((20, 30))
    image[10, 12] = 100
    assert detail(image, 10.3, 12.4) == pytest.approx(50, abs=3)
    assert detail(image, 10, 11) == pytest.approx(50, abs=6)
    assert detail(image, 10, 20) == 0
    assert np.isnan(detail(image, 2, 12)) and np.isnan(detail(image, 10, 27))
    assert np.isnan(detail(image[:6], 3, 12))
