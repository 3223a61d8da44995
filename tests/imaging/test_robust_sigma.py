import warnings

import numpy as np
import pytest

from napari_lucky.imaging.robust_sigma import (
    TOGETHER,
    median_and_sigma,
    median_of_frames,
    median_of_rows,
    robust_sigma,
    sigma_near,
)


@pytest.mark.parametrize("n", [1, 2, 5, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_median_of_frames_is_numpys_to_the_bit(n, dtype):
    block = np.random.default_rng(n).normal(0, 100, (n, 7, 9)).astype(dtype)
    middle = median_of_frames(block)
    assert middle.dtype == dtype
    np.testing.assert_array_equal(middle, np.median(block, axis=0))
    by_numpy = np.median(np.abs(block - middle), axis=0) / 0.6745
    np.testing.assert_array_equal(robust_sigma(block, middle, axis=0), by_numpy)
    rows = median_of_rows(block.reshape(-1, 3, 3))
    np.testing.assert_array_equal(rows, np.median(block.reshape(-1, 3, 3), axis=-1))


@pytest.mark.parametrize("n", [1, 2, 5, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_median_of_frames_leaves_out_masked_values(n, dtype):
    rng = np.random.default_rng(n)
    block = rng.normal(0, 100, (n, 3, TOGETHER)).astype(dtype)
    block[rng.uniform(size=block.shape) < rng.uniform(size=block.shape[1:])] = np.nan
    block[:, 2] = 0  # without a hole
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all are masked
        expected = np.nanmedian(block, axis=0)
        off = np.nanmedian(np.abs(block - expected), axis=0)
    assert np.isnan(expected).any()
    np.testing.assert_array_equal(median_of_frames(block), expected)
    middle, sigma = median_and_sigma(block)
    np.testing.assert_array_equal(middle, expected)
    np.testing.assert_array_equal(sigma, off / 0.6745)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 63, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_median_and_sigma_are_those_that_are_found_apart(n, dtype):
    block = np.random.default_rng(n).normal(0, 100, (n, 3, TOGETHER // 2 + 9)).astype(dtype)
    block[:, 1] = block[:, 1].round(-2)  # with equal values
    middle, sigma = median_and_sigma(block)
    assert middle.dtype == sigma.dtype == dtype
    np.testing.assert_array_equal(middle, median_of_frames(block))
    np.testing.assert_array_equal(sigma, robust_sigma(block, middle, axis=0))


@pytest.mark.parametrize("n", [1, 2, 5, 64, 1001])
@pytest.mark.parametrize("guess", [0.0, 0.5, 0.97, 1.0, 1.2, 40.0])
def test_a_sigma_is_the_same_whatever_the_guess(n, guess):
    for off in (np.random.default_rng(n).normal(0, 3, n), np.zeros(n)):
        sigma = robust_sigma(off)
        assert sigma_near(off, guess * sigma) == sigma
