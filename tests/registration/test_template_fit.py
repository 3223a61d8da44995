"""The fit of a template against a Gaussian star, whose derivatives are known."""

import numpy as np
import pytest
from scipy.special import erf

from napari_lucky.imaging.noise import Noise
from napari_lucky.registration.template import BORDER, make_template
from napari_lucky.registration.template_fit import (
    fit,
    noise_of_residuals,
    whole_shifts,
    without_cosmics,
)

SIDE, WIDTH, HEIGHT = 48, 3.0, 500.0
Y, X = np.mgrid[:SIDE, :SIDE] - 24.0
NOISE = Noise(4.0)  # 2 ADU everywhere
USED = np.zeros((SIDE, SIDE), bool)
USED[BORDER:-BORDER, BORDER:-BORDER] = True


def star(y=0.0, x=0.0, flux=1.0, level=0.0):
    light = np.exp(-((Y - y) ** 2 + (X - x) ** 2) / (2 * WIDTH**2))
    return (flux * HEIGHT * light + level).astype(np.float32)


TEMPLATE = make_template(star(), np.zeros((1, 2)), NOISE)
PLACES = np.array([[0.0, 0.0], [0.3, -0.4], [-0.45, 0.2]])
FLUX, LEVEL = np.array([1.0, 0.5, 2.0]), np.array([0.0, 3.0, -2.0])


def frames():
    return np.array(
        [star(y, x, f, b) for (y, x), f, b in zip(PLACES, FLUX, LEVEL, strict=True)], np.float32
    )


def fisher(flux, used):
    """Return the covariance of y, x, flux and level by the noise of the pixels used."""
    light = star().astype(float)
    slopes = [flux * light * Y / WIDTH**2, flux * light * X / WIDTH**2, light, np.ones_like(light)]
    design = np.array([slope[used] for slope in slopes])
    return np.linalg.inv(design @ design.T / NOISE.floor)


def test_place_flux_and_level_are_those_of_the_star():
    made = fit(frames(), TEMPLATE)
    np.testing.assert_allclose(made.place, PLACES, atol=2e-3)
    np.testing.assert_allclose(made.flux, FLUX, rtol=1e-3)
    np.testing.assert_allclose(made.level, LEVEL, atol=0.05)
    assert (made.chi2 < 0.02).all()


@pytest.mark.parametrize("masked", [False, True])
def test_errors_are_those_of_the_fisher_matrix(masked):
    block, used = frames()[:2], USED.copy()
    if masked:
        used[20:24, 18:25] = False
        block[:, 20:24, 18:25] = np.nan
    made = fit(block, TEMPLATE)
    for k in range(2):
        known = np.sqrt(np.diag(fisher(FLUX[k], used)))
        np.testing.assert_allclose(made.sigma[k], known[:2], rtol=0.05)
        assert made.flux_sigma[k] == pytest.approx(known[2], rel=0.05)


def test_chi_square_is_one_for_the_noise_of_the_template():
    noisy = frames() + np.random.default_rng(0).normal(0, 2, (3, SIDE, SIDE)).astype(np.float32)
    assert fit(noisy, TEMPLATE).chi2 == pytest.approx(1, abs=0.1)
    off = noisy.copy()
    off[:, USED] += 4 * (Y[USED] > 0)  # steps of ± 2 ADU about the level: as much power again
    assert fit(off, TEMPLATE).chi2 == pytest.approx(2, abs=0.15)


def test_chi_square_is_of_the_pixels_less_four_parameters():
    """In a window of 10 px, all but the outermost are used: 64."""
    y, x = np.mgrid[:10, :10] - 5.0
    small = (HEIGHT * np.exp(-(y**2 + x**2) / (2 * 2.0**2))).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 2, (10000, 10, 10)).astype(np.float32)
    made = fit(small + noise, make_template(small, np.zeros((1, 2)), NOISE))
    assert made.chi2.mean() == pytest.approx(1, abs=3 * np.sqrt(2 / 60 / 10000))
    assert made.chi2.std() == pytest.approx(np.sqrt(2 / 60), rel=0.03)


def test_pixels_of_the_border_are_not_used():
    spoiled = np.where(USED, frames(), 1e4).astype(np.float32)
    whole, made = fit(frames(), TEMPLATE), fit(spoiled, TEMPLATE)
    np.testing.assert_array_equal(made.place, whole.place)
    np.testing.assert_array_equal(made.chi2, whole.chi2)


def test_the_noise_of_residuals_is_that_of_the_frames_without_the_border():
    rng = np.random.default_rng(1)
    block = np.repeat(frames(), 20, axis=0)
    block += rng.normal(0, 3, block.shape).astype(np.float32)
    block[:, ~USED] += rng.normal(0, 100, (len(block), np.count_nonzero(~USED)))
    made = noise_of_residuals(block, TEMPLATE, fit(block, TEMPLATE))
    assert made.floor == pytest.approx(9, rel=0.05)
    assert abs(made.alike) < 0.05


@pytest.mark.parametrize(("sigmas", "masked"), [(7.8, False), (8.3, True)])
def test_a_pixel_over_eight_sigmas_alone_is_a_cosmic_ray(sigmas, masked):
    block = frames()[:1]
    made = fit(block, TEMPLATE)
    block[0, 35, 30] += 2 * sigmas
    cleared = without_cosmics(block, TEMPLATE, made)
    expected = [[0, 35, 30]] if masked else []
    assert np.argwhere(np.isnan(cleared)).tolist() == expected


@pytest.mark.parametrize(("times", "masked"), [(3.0, False), (3.6, True)])
def test_a_cosmic_ray_stands_out_of_its_four_neighbours(times, masked):
    block = frames()[:1]
    made = fit(block, TEMPLATE)
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        block[0, 35 + dy, 30 + dx] += 20
    block[0, 35, 30] += 20 * times
    assert np.isnan(without_cosmics(block, TEMPLATE, made)[0, 35, 30]) == masked


def test_whole_shifts_are_found_up_to_the_reach_in_spite_of_cosmic_rays():
    shifts = [[0, 0], [5, -7], [-8, 8], [2, 1]]
    block = np.array([star(y, x) for y, x in shifts])
    block[3, 40, 8] = 30000  # a cosmic ray
    block[2, 10, 10] = np.nan
    assert whole_shifts(block, TEMPLATE, 8).tolist() == shifts
    assert np.abs(whole_shifts(block, TEMPLATE, 5)).max() == 5


def test_light_that_is_seen_counts_by_its_square():
    """The square of a Gaussian is one of sigma / sqrt(2)."""
    seen = TEMPLATE.seen(np.array([Y < 2, X < -2, np.isfinite(X)]))
    known = [(1 + erf(at / WIDTH)) / 2 for at in (1.5, -2.5)]
    np.testing.assert_allclose(seen, [*known, 1], atol=5e-3)


@pytest.mark.parametrize("masked", [False, True])
def test_photon_noise_moves_with_the_star(masked):
    """Half a pixel off, the covariance of the products is that of the light where it is."""
    noise = Noise(4.0, photon=2.0)
    template = make_template(star(), np.zeros((1, 2)), noise)
    places = np.array([[0.0, 0.0], [0.5, 0.0], [-0.5, 0.0], [0.0, 0.5], [0.0, -0.5]])
    hole = np.zeros((SIDE, SIDE), bool)
    if masked:
        hole[20:24, 18:25] = True
    weighted = template.weighted.astype(float)[:, ~hole.ravel()]
    spreads = template.spread(places)
    for place, spread in zip(places, spreads, strict=True):
        variance = (4 + 2 * star(*place).astype(float)).ravel()[~hole.ravel()]
        lost = template.hidden_spread(hole.ravel(), place)
        expected = (weighted * variance) @ weighted.T
        scale = np.sqrt(np.outer(*[np.diag(expected)] * 2))
        np.testing.assert_allclose((spread - lost) / scale, expected / scale, atol=5e-3)
