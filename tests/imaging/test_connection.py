"""What hangs together in masks, with `scipy.ndimage.label` as the judge."""

import numpy as np
import pytest
from scipy import ndimage

from napari_lucky.imaging.connection import connected_to


@pytest.mark.parametrize("full", [0.0, 0.4, 0.6, 0.8, 1.0])
def test_it_is_the_part_that_label_finds(full):
    rng = np.random.default_rng(0)
    for shape in ((1, 1, 1), (3, 1, 7), (2, 7, 1), (4, 20, 31)):
        masks = rng.random(shape) < full
        seeds = rng.integers(0, shape[1] * shape[2], shape[0])
        for seed, mask, found in zip(seeds, masks, connected_to(seeds, masks), strict=True):
            parts, _ = ndimage.label(mask)
            part = parts.flat[seed]
            np.testing.assert_array_equal(found, (parts == part) & (part > 0))
