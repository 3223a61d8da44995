"""The wavefront of a pair of stacks that a blurred model made: truth, errors, refusals."""

import numpy as np
import pytest

from made_pairs import DEFOCUS, FLUX, FOCUS, LAST, SAMPLING, STATIC, WAVES, frame_of, small_model
from napari_lucky import LuckyError
from napari_lucky.execution.job import Job
from napari_lucky.wavefront import WavefrontParameters, measure_wavefront_stacks
from napari_lucky.wavefront.from_stacks import _static_prior

BLUR, OBSTRUCTION = 0.6, 0.2
"""In lambda/D; one of the widths that are tried."""
TASK = WavefrontParameters(
    focus=FOCUS,
    defocus=DEFOCUS,
    wavelength_nm=600.0,
    focal_ratio=50.0,
    pixel_um=12.0,
    defocus_waves=WAVES,
    obstruction=OBSTRUCTION,
    modes=8,
)


@pytest.fixture(scope="module", autouse=True)
def few_modes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_lucky.wavefront.from_stacks.STACK_FITTED", LAST)
        yield


@pytest.fixture(scope="module")
def stacks():
    model = small_model(obstruction=OBSTRUCTION, blur=BLUR)
    x = np.concatenate([[0.2, -0.1, 0.3, 0.1], STATIC, [WAVES]])
    frame = frame_of(model, x, flux=10 * FLUX)
    frame[3, 4] = np.nan
    return frame[FOCUS.slices], frame[DEFOCUS.slices]


def test_wavefront_blur_and_errors_come_out(stacks):
    said = []
    job = Job(progress=lambda *at: said.append(at))
    made = measure_wavefront_stacks(*stacks, TASK, job=job)
    assert made.blur_px == pytest.approx(BLUR * SAMPLING)
    assert made.defocus_waves == WAVES  # held
    # the modes asked for, of those that are fitted
    rad, sigma = (nm / TASK.nm_per_rad for nm in (made.coefficients_nm, made.sigma_nm))
    assert list(made.noll) == [4, 5, 6, 7, 8]
    np.testing.assert_allclose(rad, STATIC[:5], atol=0.006)
    # about 1e7 electrons in each image: half a photon's error of 1 / sqrt(1e7), and the sky's
    assert (sigma < 0.003).all() and (sigma > 3e-4).all()
    assert 0.2 < made.chi2 < 1.3
    assert [at[0] for at in said if at[2:3] == ("wavefront of the stacks",)][-1] == 9
    assert {at[1] for at in said} == {9}
    # the pictures: the stack as it is, on bins of a pixel, and the model through the noise
    (seen, _), (model, donut) = made.pictures.measured, made.pictures.model
    assert (made.pictures.frame, made.pictures.bins) == (0, 1)
    np.testing.assert_array_equal(seen, stacks[0])
    off = np.concatenate([(seen - model)[np.isfinite(seen)], (stacks[1] - donut).ravel()])
    assert np.std(off) < 0.02 * model.max()
    assert abs(np.mean(off)) < 1e-3 * model.max()


def test_the_defocus_is_fitted_and_all_modes_are_reported(stacks):
    """Given 5 % too large, and more modes asked for than the blur leaves."""
    task = TASK.changed(fit_defocus=True, defocus_waves=1.05 * WAVES, modes=30)
    made = measure_wavefront_stacks(*stacks, task)
    assert made.defocus_waves == pytest.approx(WAVES, abs=0.005)
    assert made.blur_px == pytest.approx(BLUR * SAMPLING)
    np.testing.assert_allclose(made.coefficients_nm / task.nm_per_rad, STATIC, atol=0.01)
    assert len(made.sigma_nm) == len(STATIC)


@pytest.mark.parametrize("waves", [0.5, WAVES, 4.0])
def test_the_defocus_is_known_to_a_tenth_before_it_is_fitted(waves):
    held, free = (
        _static_prior(LAST, TASK.changed(fit_defocus=fitted, defocus_waves=waves))
        for fitted in (False, True)
    )
    assert held.mean[-1] == free.mean[-1] == waves
    assert held.covariance[-1, -1] == 0
    assert np.sqrt(free.covariance[-1, -1]) == pytest.approx(0.1 * waves)
    np.testing.assert_array_equal(held.covariance[:-1], free.covariance[:-1])


def test_what_is_no_pair_of_stars_is_refused(stacks):
    noise = np.random.default_rng(0).normal(100, 3, DEFOCUS.shape).astype(np.float32)
    hole = noise - 40 * np.exp(-((np.indices(DEFOCUS.shape) - 16) ** 2).sum(axis=0) / 90)
    with pytest.raises(LuckyError, match="no pair of a focused and a defocused star"):
        measure_wavefront_stacks(stacks[0], hole.astype(np.float32), TASK)
    with pytest.raises(LuckyError, match="window is 20 pixels wide"):
        measure_wavefront_stacks(stacks[0], noise[:20], TASK)
    with pytest.raises(LuckyError, match="under 8 λ/D"):
        measure_wavefront_stacks(stacks[0][:, :15], noise, TASK)
