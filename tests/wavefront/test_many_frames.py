"""Rounds of fits over frames that the model itself made: truth, and what is left out."""

from dataclasses import replace

import numpy as np
import pytest

from made_pairs import GAIN, LAST, READ, STATIC, WAVES, block_of, frame_of, small_model, wavefronts
from napari_lucky import LuckyError
from napari_lucky.wavefront.many_frames import Fits, _good, _noise_of, fit_frames, fit_run
from napari_lucky.wavefront.static import unknown

N, BLANK = 8, 3


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def truth():
    return wavefronts(N)


@pytest.fixture(scope="module")
def frames(model, truth):
    made = [frame_of(model, x, seed=k) for k, x in enumerate(truth)]
    made[BLANK] = frame_of(model, truth[BLANK], flux=0.0)
    return made


def test_the_frames_and_their_mean_come_out(model, truth, frames):
    fit, fits, good, static = fit_run(block_of(frames, model), unknown(LAST, 1.0, WAVES))
    own = np.arange(N) != BLANK
    np.testing.assert_array_equal(good, own)
    assert np.abs(fits.x - truth)[own].max() < 0.03
    np.testing.assert_allclose(static.mean, truth[own, 4:-1].mean(axis=0), atol=0.005)
    assert static.strength**0.6 == pytest.approx(0.6, rel=0.4)
    assert (static.defocus_waves, static.defocus_sigma) == (WAVES, 0.0)
    assert np.median(fits.chi2[own]) == pytest.approx(1, abs=0.12)
    np.testing.assert_allclose(fits.fluxes[own], 2e5, rtol=0.01)
    assert np.isnan(fits.x[BLANK]).all() and fits.chi2[BLANK] == np.inf
    assert (fits.starts[own] == 1).all()  # the first start of the first round was right
    assert not fits.defocus_variance.any()
    # what it was fitted with in the end: errors at their least, the noise as given
    assert max(fit.errors) < 0.02
    assert (fit.reader.noise.gain, fit.reader.noise.read_adu) == (GAIN, READ)
    mean = fits.posteriors[own].mean(axis=0)
    np.testing.assert_allclose(fits.posterior(good), mean, rtol=1e-5)
    pulls = (fits.x - truth)[own, 4:-1] / np.sqrt(np.diag(mean))
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1, abs=0.3)


def test_one_defocus_and_the_noise_are_fitted_if_asked_for(model, truth, frames):
    """5 % off; the last round holds what those before it gave."""
    block = block_of(frames, model, measures_noise=True)
    fit, fits, good, static = fit_run(block, unknown(LAST, 1.0, 1.05 * WAVES), fit_defocus=True)
    assert static.defocus_waves == pytest.approx(WAVES, abs=0.003)
    assert 1e-5 < static.defocus_sigma < 0.002
    assert (fits.x[good, -1] == static.defocus_waves).all()
    assert not fits.defocus_variance.any()
    np.testing.assert_allclose(static.mean, truth[good, 4:-1].mean(axis=0), atol=0.005)
    assert fit.reader.noise.gain == pytest.approx(GAIN, rel=0.4)
    assert fit.reader.noise.read_adu == pytest.approx(READ, rel=0.25)
    assert fit.reader.noise.source == "measured on the residuals of the fits"


def test_a_star_that_is_faint_in_a_window_is_not_fitted(model, truth):
    """Its flux over its error is about 13 and 24 in the donut; in the focus it is over 20."""
    faint, seen = (frame_of(model, truth[0], flux=flux) for flux in (1300.0, 2400.0))
    fits = fit_frames(block_of([faint, seen], model), what="")
    assert np.isinf(fits.chi2[0]) and np.isnan(fits.x[0]).all() and fits.starts[0] == 0
    assert np.abs(fits.x[1] - truth[0]).max() < 0.2
    masked = np.full_like(seen, np.nan)
    fits = fit_frames(block_of([seen, masked], model), what="")
    assert np.isfinite(fits.chi2).tolist() == [True, False]


def test_a_frame_is_searched_for_or_fitted_again_from_where_it_was(model, truth, frames):
    block = replace(block_of(frames, model, most=3, seed=4), index=np.array([2, 0, 1]))
    (searched, tried, _, _), again, _ = block(slice(0, 3))
    assert tried == 3  # no start is at a level of 0
    assert replace(block, level=9.0)(slice(0, 1))[0][1] == 1
    # the same whatever is fitted beside it, for its generator is of its own number
    other = replace(block, index=np.array([1, 2]))(slice(0, 2))
    np.testing.assert_array_equal(other[1][0].x, searched.x)
    starts = block.starts.copy()
    starts[1, :-1] = truth[0, :-1] + 0.02
    starts[1, -1] = WAVES
    refitted, tried, _, _ = replace(block, starts=starts)(slice(1, 2))[0]
    assert tried == 0
    np.testing.assert_allclose(refitted.x, again[0].x, atol=2e-3)


def test_where_there_is_nothing_it_is_reported(model, truth):
    blank = [frame_of(model, truth[0], flux=0.0, seed=k) for k in range(3)]
    with pytest.raises(LuckyError, match="No frame could be fitted"):
        fit_run(block_of(blank, model), unknown(LAST, 1.0, WAVES))


def fits_of(chi2, fluxes, errors):
    n = len(chi2)
    x, zeros = np.zeros((n, len(STATIC) + 5)), np.zeros((n, 2))
    covariances = np.arange(n, dtype=np.float32)[:, None, None] * np.eye(7, dtype=np.float32)
    numbers = (np.asarray(each, float) for each in (chi2, fluxes, errors))
    chi2, fluxes, errors = numbers
    none = np.zeros(n, np.intp)
    return Fits(x, chi2, fluxes, zeros[:, 0], covariances, none, errors, np.zeros((n, 4, 6)), zeros)


def test_which_fits_are_good():
    even = [[0.1, 0.1]] * 6
    fluxes = [[100.0, 50.0], [100, 50], [100, 9], [19, 50], [21, 11], [np.nan, np.nan]]
    fits = fits_of([1.0, 1.5, 1, 1, 1, np.inf], fluxes, even)
    assert fits.good(1.5).tolist() == [True, True, False, False, True, False]
    assert fits.good(1.4).tolist() == [True, False, False, False, True, False]
    dark = fits_of([1.0, 1.0], [[-1.0, 3.0], [np.nan, 3.0]], even[:2])
    assert not dark.good(2.0).any()
    some = np.array([False, True, False, True, False, False])
    np.testing.assert_allclose(fits.posterior(some), 2 * np.eye(7))
    np.testing.assert_allclose(fits.posterior(some & False), 2.5 * np.eye(7))  # of all of them


@pytest.mark.parametrize(
    ("errors", "good"),
    [
        ([0.1, 0.1, 0.29, 0.31], [1, 1, 1, 0]),  # under 0.3 none is a false minimum
        ([0.4, 0.4, 0.55, 0.58], [1, 1, 1, 0]),  # from there on 1.4 times the usual: 0.56 and up
        ([0.4, 0.4, 0.4, 0.9], [1, 1, 1, 0]),
    ],
)
def test_a_false_minimum_has_a_greater_error_than_the_others(errors, good):
    """The usual of 0.4, 0.4, 0.55 and 0.58 is 0.475."""
    pairs = [[1.2 * e, 0.8 * e] for e in errors]
    fits = fits_of([1.0] * 4, [[1.0, 1.0]] * 4, pairs)
    limit = max(1.4 * np.median(errors), 0.3)
    assert _good(fits, 1.0).tolist() == [e <= limit for e in errors]
    assert _good(replace(fits, chi2=fits.chi2 * 1.6), 1.0).sum() == 0


def test_the_weights_are_of_the_usual_error_and_60_percent_at_most(model, frames):
    block = block_of(frames, model)
    fits = fits_of([1.0] * 3, [[1.0, 1.0]] * 3, [[0.1, 0.3], [0.2, 0.7], [0.9, 0.8]])
    all_of_them = np.ones(3, bool)
    assert _noise_of(block, fits, all_of_them).errors == (0.2, 0.6)
    assert _noise_of(block, fits, np.array([True, False, False])).errors == (0.1, 0.3)
    with pytest.raises(LuckyError, match="No frame could be fitted"):
        _noise_of(block, fits, ~all_of_them)
