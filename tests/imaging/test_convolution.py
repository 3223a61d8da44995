import numpy as np
import pytest
from scipy import ndimage

from napari_lucky.imaging.convolution import correlate, gaussian, running_mean

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("beyond", ["nearest", "constant"])
@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0, 7.3, 30.0])
@pytest.mark.parametrize("shape", [(3, 128, 128), (1, 5, 77), (2, 200, 31)])
def test_gaussian_is_that_of_scipy(shape, sigma, beyond):
    block = RNG.normal(100, 10, shape).astype(np.float32)
    expected = block.astype(np.float64)
    for axis in (1, 2):
        expected = ndimage.gaussian_filter1d(expected, sigma, axis, mode=beyond, truncate=3.0)
    made = gaussian(block, sigma, beyond)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_no_smoothing_leaves_the_block():
    block = RNG.normal(size=(2, 8, 8)).astype(np.float32)
    assert gaussian(block, 0) is block


def test_correlation_is_that_of_scipy_where_the_kernel_is_whole():
    block = RNG.normal(size=(2, 150, 90)).astype(np.float32)
    down, across = RNG.normal(size=13), RNG.normal(size=4)
    kernel = down[:, None] * across
    made = correlate(block, down, across)
    assert made.shape == (2, 138, 87)
    for frame, expected in zip(made, block.astype(np.float64), strict=True):
        whole = ndimage.correlate(expected, kernel, origin=(0, 0), mode="constant")
        np.testing.assert_allclose(frame, whole[6:-6, 2:-1], atol=1e-4)


def test_a_frame_does_not_depend_on_those_beside_it():
    block = RNG.normal(size=(16, 128, 128)).astype(np.float32)
    assert np.array_equal(gaussian(block, 2.0)[5:6], gaussian(block[5:6], 2.0))


def test_each_frame_can_have_its_own_weights_to_the_bit():
    rng = np.random.default_rng(4)
    block = rng.normal(size=(5, 50, 61)).astype(np.float32)
    down, across = rng.normal(size=(5, 13)), rng.normal(size=(5, 7))
    each = [correlate(block[k : k + 1], down[k], across[k])[0] for k in range(5)]
    np.testing.assert_array_equal(correlate(block, down, across), each)
    assert correlate(block[:0], down[:0], across[:0]).shape == (0, 38, 55)


@pytest.mark.parametrize("size", (1, 2, 5, 8, 30))
def test_a_running_mean_is_scipys(size):
    image = np.random.default_rng(1).normal(1000, 5, (23, 30)).astype(np.float32)
    for axis in (0, 1):
        right = ndimage.uniform_filter1d(image.astype(float), size, axis, mode="nearest")
        np.testing.assert_allclose(running_mean(image, size, axis), right, rtol=1e-12)
