"""Frames filled at once are filled as each alone."""

import numpy as np
import pytest

from napari_lucky.imaging.inpainting import fill_each, fill_from_neighbours


@pytest.mark.parametrize("part", [0.0, 0.01, 0.4])
def test_frames_are_filled_as_each_alone(part):
    rng = np.random.default_rng(1)
    block = rng.normal(100, 10, (3, 40, 30)).astype(np.float32)
    block[rng.random(block.shape) < part] = np.nan
    if part:
        block[1, :3] = np.nan  # beyond the sensor's edge: deep in it there is nothing near
    before = block.copy()
    alone = [fill_from_neighbours(image) for image in block]
    np.testing.assert_array_equal(fill_each(block), alone)
    np.testing.assert_array_equal(block, before)
