"""A small picture for a notebook."""

import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

from napari_lucky.imaging.thumbnail import SIDE, png, thumbnail


def shown(html):
    (code,) = re.findall(r"base64,([^\"]+)", html)
    return np.round(imread(BytesIO(b64decode(code))) * 255)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (40, 7)])
def test_the_png_holds_the_bytes(shape):
    grey = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(np.round(imread(BytesIO(png(grey))) * 255), grey)


def test_the_brightest_is_white_and_masked_pixels_are_black():
    image = np.random.default_rng(1).normal(100, 1, (30, 20)).astype(np.float32)
    image[4, 7], image[5, 8] = 5000, np.nan
    picture = shown(thumbnail(image, "a < b"))
    assert picture.shape == image.shape
    assert picture[4, 7] == 255
    assert picture[5, 8] == 0
    assert np.median(picture) < 30
    assert "a &lt; b" in thumbnail(image, "a < b")


def test_large_and_odd_images():
    assert max(shown(thumbnail(np.ones((3000, 1000)))).shape) <= SIDE
    for image in (np.full((9, 9), np.nan), np.zeros((9, 9), np.uint16), np.full((9, 9), -5.0)):
        assert shown(thumbnail(image)).max() == 0
