"""Contrast limits of a layer: percentiles, found without putting all pixels in order."""

import numpy as np
import pytest

from napari_lucky.frames.frames import ArrayFrames
from napari_lucky.viewer.to_layers import CONTRAST, contrast_of

RANDOM = np.random.default_rng(7)
STRIPES = np.tile([9.0] + [1.0] * 7 + [5.0] + [3.0] * 7, (2, 64, 16))  # the thinned ones are few


@pytest.mark.parametrize(
    "pixels",
    [
        RANDOM.normal(100, 5, (3, 200, 300)).astype(np.float32),
        RANDOM.poisson(100, (3, 200, 300)).astype(np.uint16),
        RANDOM.pareto(0.5, (2, 100, 100)),
        RANDOM.normal(0, 1, (1, 3, 7)),
        STRIPES,
        -STRIPES,
        np.roll(STRIPES, 3, axis=2),
    ],
)
def test_they_are_the_percentiles_of_all_pixels(pixels):
    assert contrast_of(ArrayFrames(pixels)) == pytest.approx(np.percentile(pixels, CONTRAST))


def test_masked_pixels_do_not_count_and_an_even_image_has_limits():
    image = np.full((64, 64), 7.0)
    image[3:9] = np.nan
    assert contrast_of(ArrayFrames(image)) == (7, 8)
    image[:] = np.nan
    assert contrast_of(ArrayFrames(image)) == (0, 1)
