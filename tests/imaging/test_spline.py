"""Splines and maxima around points, with `scipy.ndimage` as the judge."""

import numpy as np
import pytest
from scipy import ndimage

from napari_lucky.imaging.maxima import greatest_around
from napari_lucky.imaging.spline import spline_at


@pytest.mark.parametrize("shape", [(3, 40), (31, 24), (90, 4)])
def test_spline_is_that_of_scipy_and_nan_outside(shape):
    rng = np.random.default_rng(1)
    image = rng.normal(100, 30, shape)
    y, x = (rng.uniform(-1, n, (7, 300)) for n in shape)
    y[0, :2], x[0, :2] = (0, shape[0] - 1), (0, shape[1] - 1)  # the corners themselves
    expected = ndimage.map_coordinates(image, [y, x], order=3, cval=np.nan)
    found = spline_at(image, y, x)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-9)
    assert np.isfinite(found[0, :2]).all()
    assert np.isnan(found).any()


@pytest.mark.parametrize("sides", [(1, 2), (3, 3), (4, 7), (16, 5)])
def test_greatest_values_are_those_of_scipy(sides):
    image = np.random.default_rng(2).normal(size=(23, 17))
    expected = ndimage.maximum_filter(image, sides)
    np.testing.assert_array_equal(greatest_around(image, sides), expected)
