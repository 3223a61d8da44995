"""What residuals say about the noise, where both are known."""

import numpy as np
import pytest

from made_pairs import LAST, WAVES, block_of, frame_of, small_model, wavefronts
from napari_lucky.wavefront.frame_fit import Fitted, Prior
from napari_lucky.wavefront.search import (
    Observed,
    _starts,
    errors_of,
    misfit_of,
    noise_of,
    residual_sums,
    search,
)
from napari_lucky.wavefront.static import unknown

SIDE = 160
FOOT, SLOPE, ERRORS = 9.0, 0.5, (0.08, 0.15)
Y, X = np.mgrid[:SIDE, :SIDE] - SIDE / 2
STARS = tuple(4000 * np.exp(-(Y**2 + X**2) / (2 * width**2)) for width in (18.0, 30.0))
MASKED = np.zeros((SIDE, SIDE), bool)
MASKED[70:75, 70:90] = True


def observed():
    lights = tuple(star + 20 for star in STARS)
    variances = tuple(FOOT + SLOPE * light for light in lights)
    none = (np.zeros((SIDE, SIDE)),) * 2
    return Observed(none, (MASKED, ~MASKED & False), variances, lights, STARS, np.arange(4.0))


def fitted(seen, errors=ERRORS, spoil=0.0, seed=0):
    """Return residuals of a model that is wrong by known parts of the star, in known noise."""
    rng = np.random.default_rng(seed)
    residuals = []
    for variance, star, error, weight in zip(
        seen.variances, seen.stars, errors, seen.pair(ERRORS).weights, strict=True
    ):
        off = rng.normal(0, np.sqrt(variance + (error * star) ** 2))
        off[:4, :4] += spoil
        residuals.append(off * np.sqrt(weight))
    return Fitted(np.zeros(9), np.zeros((9, 9)), 0.0, 1.0, (1.0, 1.0), (1.0, 1.0), tuple(residuals))


@pytest.mark.parametrize("spoil", [0.0, 30.0])
def test_noise_and_errors_of_the_model_are_told_apart(spoil):
    seen = observed()
    sums = residual_sums(seen, fitted(seen, spoil=spoil), ERRORS)
    foot, slope, errors = noise_of(sums)
    assert foot == pytest.approx(FOOT, rel=0.2 if spoil else 0.1)
    assert slope == pytest.approx(SLOPE, rel=0.1)
    np.testing.assert_allclose(errors, ERRORS, rtol=0.05)
    np.testing.assert_allclose(errors_of(sums), ERRORS, rtol=0.05)


def test_sums_of_frames_add_up_and_masked_bins_have_none():
    seen = observed()
    one = residual_sums(seen, fitted(seen), ERRORS)
    weights = seen.pair(ERRORS).weights
    assert not weights[0][MASKED].any() and (weights[1] > 0).all()
    bins = sum((weight**2).sum() for weight in weights)
    assert one[0, 0] == pytest.approx(bins)
    assert one[2, 3] == one[3, 2] == 0
    assert one[0, 2] == pytest.approx((weights[0] ** 2 * STARS[0] ** 2).sum())
    assert one[1, 3] == pytest.approx((weights[1] ** 2 * (STARS[1] + 20) * STARS[1] ** 2).sum())
    # the last column is of all squares, that before it of what is beyond the noise
    known = sum(
        w**2 @ v for w, v in zip(map(np.ravel, weights), map(np.ravel, seen.variances), strict=True)
    )
    assert one[0, 5] - one[0, 4] == pytest.approx(known)


def test_the_bounds_of_the_errors():
    assert errors_of(np.zeros((4, 6))) == (0.005, 0.005)
    sums = np.zeros((4, 6))
    sums[2, 2], sums[2, 4], sums[3, 3], sums[3, 4] = 2.0, 32.0, 4.0, -1.0
    assert errors_of(sums) == (2.0, 0.005)
    sums[2, 4], sums[3, 4] = 0.02, 0.16
    np.testing.assert_allclose(errors_of(sums), [0.1, 0.2])


def test_the_misfit_is_that_of_the_bright_part_beyond_the_noise():
    seen = observed()
    found = misfit_of(seen, fitted(seen), ERRORS)
    np.testing.assert_allclose(found, ERRORS, rtol=0.1)
    wings = tuple(
        np.where(star > 0.1 * star.max(), r, 3)
        for star, r in zip(STARS, fitted(seen).residuals, strict=True)
    )
    made = fitted(seen)
    spoilt = Fitted(made.x, made.covariance, 0.0, 1.0, (1.0,), (1.0,), wings)
    assert misfit_of(seen, spoilt, ERRORS) == found
    rims = tuple(
        np.where((star > 0.1 * star.max()) & (star < 0.11 * star.max()), 5, r)
        for star, r in zip(STARS, made.residuals, strict=True)
    )
    spoilt = Fitted(made.x, made.covariance, 0.0, 1.0, (1.0,), (1.0,), rims)
    assert (np.array(misfit_of(seen, spoilt, ERRORS)) > found).all()
    assert misfit_of(seen, fitted(seen, (0.0, 0.0)), ERRORS) == (0.0, 0.0)


def test_an_outlier_counts_as_five_sigmas():
    seen, made, found = observed(), fitted(observed()), []
    for pull in (5.0, -5.0, 7.0, 1000.0, 4.0):
        residuals = tuple(each.copy() for each in made.residuals)
        for each in residuals:
            each[80, 100:104] = pull  # on the star
        spoilt = Fitted(made.x, made.covariance, 0.0, 1.0, (1.0,), (1.0,), residuals)
        sums = residual_sums(seen, spoilt, ERRORS)
        found.append([*misfit_of(seen, spoilt, ERRORS), *sums[:, 5]])
    np.testing.assert_allclose(found[1:4], [found[0]] * 3, rtol=1e-12)
    assert (np.array(found[4]) < found[0]).all()


def test_starts_are_the_prior_and_draws_about_it():
    size = 9
    covariance = np.zeros((size, size))
    covariance[4:-1, 4:-1] = [[4, 1, 0, 0], [1, 3, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0.5]]
    prior = Prior(np.arange(10.0, 19.0), covariance)
    made = np.array(list(_starts(observed(), prior, np.random.default_rng(0), 4000)))
    np.testing.assert_array_equal(made[0], [0, 1, 2, 3, *prior.mean[4:]])
    np.testing.assert_array_equal(made[:, :4], np.tile(np.arange(4.0), (4000, 1)))
    assert (made[:, -1] == 18).all()
    np.testing.assert_allclose(np.cov(made[1:, 4:-1].T), 0.3 * covariance[4:-1, 4:-1], atol=0.08)


def test_starts_are_tried_until_one_is_at_the_noise():
    """The donut leads by turns with 36 and with 66 Zernikes, before both images as they are."""
    model, truth = small_model(), wavefronts(1)
    seen = block_of([frame_of(model, truth[0])], model).reader.observe(0)
    prior = unknown(LAST, 1.0, WAVES).prior(False)
    called = []
    for level, most, expected in ((0.0, 3, 3), (5.0, 3, 1), (0.0, 1, 1)):
        called.clear()
        rng = np.random.default_rng(0)
        made, tried = search(model, seen, prior, rng, level, most, between=lambda: called.append(1))
        assert tried == len(called) == expected
        np.testing.assert_allclose(made.x, truth[0], atol=0.03)
    # errors of the model are in the weights: a donut that counts less is known less
    loose, _ = search(model, seen, prior, rng, 5.0, errors=(0.005, 0.5))
    tight, _ = search(model, seen, prior, rng, 5.0, errors=(0.005, 0.005))
    assert np.trace(loose.covariance) > 1.2 * np.trace(tight.covariance)


def test_a_false_minimum_is_left_behind(monkeypatch):
    """Of minima of known costs the least is fitted again and returned."""
    costs = iter([0.0, 3.0, 0.0, 1.0, 0.0, 2.0, 0.5])
    ends = []

    def descend(model, pair, prior, start, steps=60, tolerance=0.05):
        ends.append((len(model.modes), steps, start))
        x, zeros = np.full(len(prior.mean), float(len(ends))), np.zeros((1, 1))
        return Fitted(x, zeros, next(costs), 5.0, (1.0,), (1.0,), ())

    monkeypatch.setattr("napari_lucky.wavefront.search.descend", descend)
    model = small_model(last=40)
    seen = Observed(*([(np.ones((4, 4)),) * 2] * 5), np.arange(4.0))
    prior = unknown(40, 1.0, WAVES).prior(False)
    made, tried = search(model, seen, prior, np.random.default_rng(0), most=3)
    assert tried == 3
    assert made.cost == 0.5 and (ends[-1][2] == 4.0).all()  # again from the second start's
    # low orders first, of the first and the third start; 36 and 39 modes from Noll 2 on
    assert [modes for modes, _, _ in ends] == [35, 39, 39, 39, 35, 39, 39]
    low = ends[1][2]  # where the donut led, and the prior's mean beyond
    assert (low[:37] == 1.0).all() and (low[37:-1] == 0.0).all() and low[-1] == 1.0
