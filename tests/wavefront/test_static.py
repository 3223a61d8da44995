"""The telescope's static wavefront and the turbulence, from frames that are drawn from both."""

from dataclasses import replace

import numpy as np
import pytest

from napari_lucky.wavefront.static import Static, static_variance, turbulence, unknown

K = 12
RNG = np.random.default_rng(6)


def fits(own, prior, noise):
    """Return what a linear fit with a prior makes of noisy wavefronts, and its covariance."""
    data = own + RNG.multivariate_normal(np.zeros(K), noise, len(own))
    before = np.linalg.inv(prior.covariance[4:-1, 4:-1])
    covariance = np.linalg.inv(before + np.linalg.inv(noise))
    mean = prior.mean[4:-1]
    made = mean + (data - mean) @ np.linalg.solve(noise, covariance)
    x = np.zeros((len(own), K + 5))
    x[:, 4:-1], x[:, -1] = made, 3.0
    return x, covariance, data


@pytest.mark.parametrize("strength", [3.0, 20.0])
def test_mean_and_strength_of_frames_with_a_known_prior_are_found(strength):
    truth = RNG.normal(0, 0.3, K)
    own = truth + RNG.multivariate_normal(np.zeros(K), strength * turbulence(K), 400)
    noise = np.diag(np.full(K, 0.02))
    found = unknown(K + 3, 4.0, 3.0)
    state = RNG.bit_generator.state
    for _ in range(40):
        RNG.bit_generator.state = state  # the same data each time
        x, posterior, data = fits(own, found.prior(False), noise)
        found = found.updated(x, posterior, np.zeros(400))
    np.testing.assert_allclose(found.mean, data.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(found.samples.mean(axis=0), found.mean, atol=1e-12)
    assert found.strength == pytest.approx(strength, rel=0.08)
    assert found.strength_error == pytest.approx(np.sqrt(2 / (399 * K)))
    assert found.defocus_waves == 3.0
    np.testing.assert_allclose(found.sigma, data.std(axis=0, ddof=1) / 20, rtol=0.05)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_mean_of_few_frames_is_the_most_probable_one(n):
    """Bayes, from what was measured: static, turbulence and noise are normal, whatever the fit."""
    turbulent, noise = 3.0 * turbulence(K), np.diag(np.full(K, 0.5))
    before = replace(unknown(K + 3, 1.0, 3.0), mean=RNG.normal(0, 0.3, K), strength=3.0)
    x, posterior, data = fits(RNG.normal(0, 1, (n, K)), before.prior(False), noise)
    of_data = n * np.linalg.inv(turbulent + noise)
    alone = np.diag(1 / static_variance(K))
    expected = np.linalg.solve(of_data + alone, of_data @ data.mean(axis=0))
    np.testing.assert_allclose(before.updated(x, posterior, np.zeros(n)).mean, expected, atol=1e-9)


def test_errors_and_running_means_are_those_of_the_samples():
    samples = np.array([[1.0, 2.0], [3.0, -2.0], [5.0, 3.0]])
    found = Static(samples.mean(axis=0), 1.0, 2.0, samples)
    np.testing.assert_allclose(found.sigma, [2 / np.sqrt(3), np.sqrt(7 / 3)])
    np.testing.assert_allclose(found.running, [[1, 2], [2, 0], [3, 1]])
    two = Static(np.zeros(2), 1.0, 2.0, samples[:2])
    np.testing.assert_allclose(two.sigma, [1, 2])
    assert np.isnan(Static(np.zeros(2), 1.0, 2.0, samples[:1]).sigma).all()


def test_what_is_expected_of_a_telescope_falls_with_the_fourth_power_of_the_order():
    known = [1, 1, 1, *[(2 / 3) ** 4] * 4, *[1 / 16] * 5, (2 / 5) ** 4]
    np.testing.assert_allclose(static_variance(13), known)
    assert unknown(15, 8.0, 2.0).strength == pytest.approx(32)  # 8^(5/3)


def test_the_prior_of_a_frame():
    found = Static(np.arange(5.0), 7.0, 2.0, np.zeros((0, 5)))
    fixed, free = found.prior(False), found.prior(True)
    np.testing.assert_array_equal(fixed.mean, [0, 0, 0, 0, 0, 1, 2, 3, 4, 2])
    np.testing.assert_allclose(np.diag(fixed.covariance)[:4], 100)
    np.testing.assert_allclose(fixed.covariance[4:-1, 4:-1], 7 * turbulence(5))
    assert fixed.covariance[-1, -1] == 0
    assert free.covariance[-1, -1] == pytest.approx(0.2**2)
    assert not free.covariance[-1, :-1].any()


@pytest.mark.parametrize("n", [1, 2, 200])
def test_the_pull_of_the_prior_on_the_defocus_is_undone(n):
    found = Static(np.zeros(K), 5.0, 2.0, np.zeros((0, K)))
    prior = 0.2**2
    variance = np.where(np.arange(n) % 2, 0.01, 0.02)
    own = 2.3 + 0.01 * RNG.standard_normal(n)
    x = np.zeros((n, K + 5))
    x[:, -1] = 2 + (1 - variance / prior) * (own - 2)
    made = found.updated(x, 0.01 * np.eye(K), variance)
    assert made.defocus_waves == pytest.approx(2.3, abs=0.03)
    if n == 1:
        assert np.isnan(made.defocus_sigma)
        assert made.strength == found.strength
    elif n > 2:
        assert made.defocus_sigma == pytest.approx(0.01 / np.sqrt(n), rel=0.25)
    else:
        weight = (1 - variance / prior) / (1 - variance / prior).sum()
        known = np.sqrt(2 * (weight**2 * (own - weight @ own) ** 2).sum())
        assert made.defocus_sigma == pytest.approx(known)
