"""Wrong figures are noticed and right ones are not: small simulated runs, and made residuals."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.signal import fftconvolve

from napari_lucky import LuckyError, calibrate, simulate_run
from napari_lucky.frames import ArrayFrames
from napari_lucky.optics.simulation import SIMULATED, Camera
from napari_lucky.wavefront import WavefrontParameters, measure_wavefront
from napari_lucky.wavefront.check import Figures, _together, _without_own
from napari_lucky.wavefront.doubts import doubts, expected_error
from napari_lucky.wavefront.many_frames import Fits
from napari_lucky.wavefront.search import Observed, misfit_of
from napari_lucky.wavefront.static import Static, static_variance

MODES = 21
FOCAL_RATIO, WAVES, OBSTRUCTION = 58.6, 1.2, 0.3


@pytest.fixture(scope="module", autouse=True)
def few_modes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_lucky.wavefront.task.FITTED", MODES)
        yield


@pytest.fixture(scope="module")
def run():
    return simulate_run(
        4,
        (64, 144),
        d_over_r0=0.5,
        photons=3e5,
        seed=3,
        telescope=replace(SIMULATED, pixel_um=12.0),
        camera=Camera(sky_adu=5, saturation_adu=65535),
        defocus_waves=WAVES,
        focus_size=32,
        defocus_size=56,
    )


def measured(run, **changes):
    task = WavefrontParameters(
        focus=run.focus,
        defocus=run.defocus,
        wavelength_nm=633.0,
        focal_ratio=FOCAL_RATIO,
        pixel_um=12.0,
        defocus_waves=WAVES,
        obstruction=OBSTRUCTION,
        gain=2.0,
        read_noise_e=6.0,
        modes=MODES,
    )
    frames = calibrate(*(ArrayFrames(a) for a in (run.frames, run.dark, run.flat)))
    return measure_wavefront(frames, task.changed(**changes))


@pytest.fixture(scope="module")
def right(run):
    return measured(run)


def test_right_figures_are_not_doubted(right):
    assert right.figures.frames == 4  # all of so few are asked
    assert not right.figures.doubted.any()
    assert np.abs(right.figures.change).max() < 0.01
    assert [note for note in right.notes if not note.startswith("Only 4")] == []


@pytest.mark.parametrize(
    ("figure", "changes", "change"),
    [
        ("defocus", {"defocus_waves": 1.05 * WAVES}, -0.05 / 1.05),
        ("focal ratio", {"focal_ratio": 0.97 * FOCAL_RATIO}, 0.03 / 0.97),
        ("obstruction", {"obstruction": OBSTRUCTION + 0.06}, -0.06),
    ],
)
def test_a_wrong_figure_is_named_with_the_right_one(run, right, figure, changes, change):
    made = measured(run, **changes)
    at = ("defocus", "focal ratio", "obstruction").index(figure)
    assert made.figures.change[at] == pytest.approx(change, rel=0.35)
    assert made.figures.doubted[at]
    (note,) = (note for note in made.notes if f"Check the {figure}" in note)
    assert "the images prefer" in note
    off = made.coefficients_nm - right.coefficients_nm
    assert np.sqrt(np.mean((off / made.sigma_nm) ** 2)) < 2.5  # it is in the errors


@pytest.mark.parametrize("factor", [0.7, 0.8, 0.9, 1.1, 1.2, 1.3])
def test_a_defocus_far_off_is_never_silent(run, factor):
    try:
        made = measured(run, defocus_waves=factor * WAVES)
    except LuckyError as error:
        assert "check wavelength, focal ratio, pixel, obstruction and defocus" in str(error)
        return
    said = [note for note in made.notes if not note.startswith("Only 4")]
    assert said and ("Check the defocus" in said[0] or "wrong figures of the" in said[0])
    assert abs(made.figures.preferred[0] / WAVES - 1) < abs(factor - 1)


def fits_with(chi2, error, n=30):
    errors = np.full((n, 2), error)
    none = np.zeros((n, 2))
    return Fits(none, np.full(n, chi2), none, none, none, none, errors, none, errors)


@pytest.mark.parametrize(
    ("chi2", "error", "d_over_r0", "said"),
    [
        (1.0, 0.015, 0.1, None),
        (1.1, 0.16, 3.0, None),
        (1.15, 0.28, 5.6, None),
        (1.15, 0.33, 5.9, None),
        (1.0, 0.22, 7.4, "The turbulence is strong"),
        (1.14, 0.42, 8.0, "The turbulence is strong"),
        (1.2, 0.62, 9.0, "Do not use this wavefront"),
        (1.0, 0.08, 0.3, "The model is wrong by 8 %"),
        (2.5, 0.01, 0.1, "chi² is 2.50"),
        (0.5, 0.01, 0.1, "chi² is 0.50"),
    ],
)
def test_what_is_doubtful_is_said(chi2, error, d_over_r0, said):
    found = doubts(fits_with(chi2, error), np.ones(30, bool), d_over_r0, 66, None)
    if said is None:
        assert found == ()
    else:
        (note,) = found
        assert note.startswith(said)


def test_what_is_no_star_is_refused():
    good = np.ones(30, bool)
    with pytest.raises(LuckyError, match="extended object"):
        doubts(fits_with(0.056, 0.005), good, 1.0, 66, None)
    with pytest.raises(LuckyError, match="double star"):
        doubts(fits_with(1.2, 0.7), good, 2.5, 66, None)
    assert 0.15 < expected_error(3.0, 66) < 0.2


def test_an_extended_object_is_refused(run):
    """The same light blurred by a disk of 3 lambda/D."""
    y, x = np.mgrid[-5:6, -5:6]
    disk = (np.hypot(y, x) <= 5) / (np.hypot(y, x) <= 5).sum()
    wide = np.array([fftconvolve(frame, disk, mode="same") for frame in run.frames - run.dark])
    noise = np.random.default_rng(0).normal(0, 4, wide.shape)
    with pytest.raises(LuckyError, match="not the images of a star"):
        measured(replace(run, frames=wide + noise + run.dark))


def test_the_misfit_is_of_the_bright_part_whatever_the_sky():
    """A model wrong by 20 % of the star, and by all of the light of its faint wings."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[-20:21, -20:21]
    core, wings = np.exp(-(np.hypot(y, x) ** 2) / 50) * 1e4, np.full((41, 41), 60.0)
    star = core + wings
    wrong = np.where(star > 0.1 * star.max(), 0.2, 1.0) * star * rng.standard_normal(star.shape)
    for sky in (2.0, 1e4):
        variance = sky + star / 20
        image = wrong + rng.standard_normal(star.shape) * np.sqrt(variance)
        two = (star, star)
        none = np.zeros(star.shape, bool)
        observed = Observed(two, (none, none), (variance, variance), two, two, np.zeros(4))
        weight = observed.pair((0.3, 0.3)).weights[0]
        residual = image * np.sqrt(weight)
        fitted = SimpleNamespace(residuals=(residual, residual))
        assert misfit_of(observed, fitted, (0.3, 0.3)) == pytest.approx((0.2, 0.2), rel=0.15)
    fitted = SimpleNamespace(residuals=(residual * 0, residual * 0))
    assert misfit_of(observed, fitted, (0.3, 0.3)) == (0.0, 0.0)


def test_figures_by_hand():
    """Of five frames a change is doubted over 4 (1 + 4 / 4) = 8 errors, and over its tolerance."""
    covariance = np.diag([0.005, 0.0005, 0.002]) ** 2
    slopes = np.array([[2.0, 0, 0], [0, 1.0, 3.0]])
    given, change = np.array([-2.0, 50.0, 0.3]), np.array([0.041, 0.0076, 0.019])
    alone = np.array([5.0, 7.0, 8.0])
    found = Figures(given, change, covariance, slopes, 9.0, alone, 5)
    np.testing.assert_allclose(found.sigma, [0.005, 0.0005, 0.002])
    np.testing.assert_allclose(found.preferred, [-2.082, 50.38, 0.319])
    assert found.doubted.tolist() == [True, True, False]
    less = replace(found, change=np.array([-0.039, 0.0074, -0.021]))
    assert less.doubted.tolist() == [False, False, True]
    known = [2 * np.hypot(0.041, 0.005), None]
    both = 0.0076 + 3 * 0.019
    known[1] = np.sqrt(both**2 + 0.0005**2 + 9 * 0.002**2)
    np.testing.assert_allclose(found.systematic, known)
    (note,) = found.notes()  # only the one that explains most is sure to be wrong
    assert "Check the focal ratio: the images prefer about 50.4 (or another pixel" in note
    assert "The defocus may be wrong too, or only seem so." in note
    (note,) = replace(found, change=np.array([0.041, 0, 0])).notes()
    assert "Check the defocus: the images prefer about -2.08 waves, but -2 was" in note
    assert "seem" not in note


def test_what_the_frames_prefer_is_the_minimum_of_all_squares():
    """Linear frames, for which one great least-squares problem gives figures and mean too."""
    rng = np.random.default_rng(5)
    k, n, m, strength = 4, 6, 30, 0.7
    size = k + 5
    static = Static(rng.normal(0, 0.2, k), strength, -1.5, np.zeros((n, k)))
    prior = static.prior(False)
    own = np.arange(size - 1)
    root = np.linalg.cholesky(np.linalg.inv(prior.covariance[:-1, :-1])).T
    weak = 1 / np.sqrt(static_variance(k))
    frames, rows, right = [], [], []
    for at in range(n):
        slopes = rng.normal(0, 3, (m, size + 3))
        slopes[:, size - 1] = 0  # the defocus is held
        data = slopes @ np.concatenate([rng.normal(0, 0.3, size), [0.02, -0.01, 0.05]])
        data += rng.standard_normal(m)
        # the frame's own fit with the figures and the mean as they are
        x = prior.mean.copy()
        both = np.concatenate([slopes[:, own], root])
        x[own] += np.linalg.lstsq(both, np.append(data - slopes[:, own] @ x[own], own * 0))[0]
        matrix = slopes.T @ slopes
        frames.append(_without_own(matrix, slopes.T @ (data - slopes[:, own] @ x[own]), x, prior))
        # and its part of the great one, by (figures, mean, own wavefronts of all)
        part = np.zeros((m + size - 1, 3 + k + n * (size - 1)))
        mine = slice(3 + k + at * (size - 1), 3 + k + (at + 1) * (size - 1))
        part[:m, :3], part[:m, mine], part[m:, mine] = slopes[:, size:], slopes[:, own], root
        part[m:, 3 : 3 + k] = -root[:, 4:]
        rows.append(part)
        right.append(np.append(data, own * 0))
    last = np.zeros((k, rows[0].shape[1]))
    last[:, 3 : 3 + k] = np.diag(weak)
    great, data = np.concatenate([*rows, last]), np.concatenate([*right, np.zeros(k)])
    best, left = np.linalg.lstsq(great, data)[:2]
    found = _together(frames, static, np.array([-1.5, 50.0, 0.3]))
    np.testing.assert_allclose(found.change, best[:3], rtol=1e-6)
    with_none, worse = np.linalg.lstsq(great[:, 3:], data)[:2]
    assert found.gain == pytest.approx(float(worse[0] - left[0]))
    for figure in range(3):
        moved = np.linalg.lstsq(great[:, 3:], data - great[:, figure])[0]
        np.testing.assert_allclose(found.slopes[:, figure], (moved - with_none)[:k], atol=1e-9)
    # errors: of the noise of 1 at least, and of the scatter
    noise = np.sqrt(np.diag(np.linalg.inv(great.T @ great))[:3])
    assert (found.sigma > noise).all() and (found.sigma < 2.5 * noise).all()
    assert (found.given == [-1.5, 50, 0.3]).all() and found.frames == n
