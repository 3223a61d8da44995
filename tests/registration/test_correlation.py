"""The reference of the correlation, against a Gaussian star, whose slopes are known."""

import numpy as np
import pytest

from napari_lucky.registration.correlation import correlate_frames, make_reference

SIDE = 201
R = np.arange(SIDE) - 100.0
WIDTHS = np.array([3.0, 14.0])


def star(y=0.0, x=0.0):
    down, across = (
        np.exp(-((R - at) ** 2) / (2 * wide**2)) for at, wide in zip((y, x), WIDTHS, strict=True)
    )
    return (1000 * np.outer(down, across)).astype(np.float32)


@pytest.mark.parametrize("smooth", [1.0, 3.0])
def test_the_box_leaves_out_a_thousandth_of_the_slopes_along_each_axis(smooth):
    """Of a star that is wider in x, the slopes in y reach farther than those in x."""
    wide_y, wide_x = np.hypot(WIDTHS, smooth)
    y, x = R[:, None], R
    light = np.exp(-((y / wide_y) ** 2) - (x / wide_x) ** 2)
    slopes = light * (y**2 / wide_y**4 + x**2 / wide_x**4)
    reference = make_reference(star()[np.newaxis], smooth)
    for axis in (0, 1):
        first, last = (
            reference.corner[axis],
            reference.corner[axis] + reference.slopes.shape[axis + 1],
        )
        along = slopes.sum(axis=1 - axis) / slopes.sum()
        for outside in (along[:first], along[last:][::-1]):
            assert outside.sum() <= 0.0005 < outside.sum() + along[len(outside)]


@pytest.mark.parametrize("smooth", [0.0, 0.4])
def test_the_smoothing_is_a_pixel_at_least(smooth):
    block = star(3.3, -7.6)[np.newaxis]
    less, one = (
        correlate_frames(block, make_reference(star()[np.newaxis], by)) for by in (smooth, 1.0)
    )
    np.testing.assert_array_equal(less, one)
    np.testing.assert_allclose(less[0, :2], (-3.3, 7.6), atol=0.01)
