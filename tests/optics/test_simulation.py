"""The simulated run against theory: optics, turbulence, shake, sensor."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import j1, jv

from napari_lucky.errors import LuckyError
from napari_lucky.frames.window import Window
from napari_lucky.optics import atmosphere as optics
from napari_lucky.optics.simulation import SIMULATED, Camera, SimulatedRun, simulate_run
from napari_lucky.optics.zernikes import zernike

PX_PER_LAMBDA_OVER_D = SIMULATED.px_per_lambda_over_d
PHOTONS = 6e5
STAR_ADU = PHOTONS / Camera().gain_e_per_adu
OUTER_SCALE = 20 / 0.45  # in pupil diameters


@pytest.fixture(scope="module")
def run() -> SimulatedRun:
    return simulate_run(60, photons=PHOTONS)


@pytest.fixture(scope="module")
def still() -> SimulatedRun:
    """Neither turbulence nor aberration."""
    return simulate_run(2, d_over_r0=0, photons=PHOTONS, aberration={})


# --- the run as a whole


def test_same_seed_same_bits():
    one, two, other = (simulate_run(9, (200, 400), seed=seed) for seed in (7, 7, 8))
    for name in ("frames", "dark", "flat"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))
    for name in ("strehl", "shifts", "focus_images", "defocus_images", "perfect_psf"):
        assert np.array_equal(getattr(one.truth, name), getattr(two.truth, name))


def test_delivers_what_a_12_bit_camera_would(run):
    assert run.frames.shape == (60, 256, 512)
    assert run.frames.dtype == np.uint16
    assert run.dark.dtype == run.flat.dtype == np.float32
    assert run.frames.min() > 0
    assert run.frames.max() <= 4095
    assert run.header["SATURATE"] == 4095
    assert run.header["WAVELEN"] == 633.0
    assert SIMULATED.px_per_lambda_over_d == pytest.approx(7.0, abs=0.01)
    assert all(len(card) <= 8 for card in run.header)
    star = run.truth.focus_images.max(axis=(1, 2)) + Camera().sky_adu + Camera().dark_adu
    assert (star > 4095).sum() <= 3
    assert star.max() > 1000  # and the range is used


def test_frames_differ_and_so_does_their_quality(run):
    strehl = run.truth.strehl
    assert 0.12 < strehl.mean() < 0.3  # 0.21 in an independent simulation at D/r0 = 5
    assert strehl.max() > 2 * np.median(strehl) > 4 * 0.05
    assert abs(np.corrcoef(strehl[1:], strehl[:-1])[0, 1]) < 0.4


# --- optics


def test_without_turbulence_or_aberration_the_strehl_ratio_is_1(still):
    assert still.truth.strehl == pytest.approx(1, abs=1e-3)
    assert still.truth.shifts == pytest.approx(0, abs=1e-3)


def test_perfect_psf_is_the_analytic_one_in_shape_and_flux(still):
    """Annular Airy pattern, integrated over the pixels by 6 x 6 points in each."""
    size, sub, eps = 128, 6, SIMULATED.obstruction
    grid = (np.arange(size * sub) + 0.5) / sub - 0.5 - size // 2
    v = np.pi * np.hypot(grid[:, None], grid) / PX_PER_LAMBDA_OVER_D
    amplitude = (2 * j1(v) / v - eps**2 * 2 * j1(eps * v) / (eps * v)) / (1 - eps**2)
    airy = np.pi * (1 - eps**2) / 4 / PX_PER_LAMBDA_OVER_D**2 * amplitude**2
    airy = airy.reshape(size, sub, size, sub).mean(axis=(1, 3))
    psf = still.truth.perfect_psf
    assert np.unravel_index(psf.argmax(), psf.shape) == (64, 64)
    assert np.abs(psf - airy).max() < 1e-3 * airy.max()
    assert psf.sum() == pytest.approx(airy.sum(), abs=2e-3)


def test_small_aberration_costs_what_marechal_says():
    pupil = optics.make_pupil(SIMULATED, 48)
    coma = 0.3 * zernike(8, pupil.rho, pupil.theta)[pupil.amplitude > 0.5]
    tilt = (pupil.rho * np.cos(pupil.theta))[pupil.amplitude > 0.5]  # Strehl is of the peak
    fit = np.polynomial.polynomial.polyfit(tilt, coma, 1)
    variance = np.var(coma - np.polynomial.polynomial.polyval(tilt, fit))
    strehl = simulate_run(1, d_over_r0=0, aberration={8: 0.3}).truth.strehl[0]
    assert strehl == pytest.approx(np.exp(-variance), abs=0.005)


@pytest.mark.parametrize(("noll", "axis"), [(2, 1), (3, 0)])
def test_positive_tilt_moves_the_star_to_higher_pixels(noll, axis):
    """1 rad rms of tilt is a slope of 4 rad a diameter: 4 / (2 pi) lambda/D."""
    shifts = simulate_run(1, d_over_r0=0, aberration={noll: 1.0}).truth.shifts[0]
    assert shifts[axis] == pytest.approx(-4 / (2 * np.pi) * PX_PER_LAMBDA_OVER_D, abs=0.02)
    assert shifts[1 - axis] == pytest.approx(0, abs=0.02)


def test_opposite_focus_term_makes_the_donut_sharp_and_the_focus_a_donut():
    waves = 1.8
    run = simulate_run(
        1, d_over_r0=0, aberration={4: -np.pi * waves / np.sqrt(3)}, defocus_waves=waves
    )
    peak = STAR_ADU * run.truth.perfect_psf.max()
    assert run.truth.defocus_images.max() == pytest.approx(peak, rel=2e-3)
    assert run.truth.strehl[0] < 0.05


@pytest.mark.parametrize("waves", [1.8, 3.0])
def test_donut_has_the_geometric_size(waves):
    """The edges of the pupil land 4 W lambda/D from the centre, those of its hole 0.3 of that."""
    run = simulate_run(1, d_over_r0=0, aberration={}, defocus_waves=waves)
    donut = run.truth.defocus_images[0]
    y, x = np.indices(donut.shape) - len(donut) // 2
    radius = np.hypot(y, x) / (4 * waves * PX_PER_LAMBDA_OVER_D)
    assert donut[(radius > 0.3) & (radius < 1)].sum() > 0.82 * donut.sum()
    assert donut[(radius > 0.5) & (radius < 0.7)].mean() > 4 * donut[radius > 1].max()


def test_flux_is_all_there_in_wide_windows():
    run = simulate_run(8, (320, 640), focus_size=320, defocus_size=320, photons=PHOTONS)
    for images in (run.truth.focus_images, run.truth.defocus_images):
        flux = images.sum(axis=(1, 2)) / STAR_ADU
        assert np.all((flux > 0.965) & (flux < 1.005))  # 1.2 % diffracts out of the field
        assert images.min() > -1e-3


def test_finer_pupil_gives_the_same_frames():
    """No light is aliased: twice the samples, which doubles the field, change next to nothing."""
    images = []
    for samples in (48, 96):
        pupil = optics.make_pupil(SIMULATED, samples)
        rng = np.random.default_rng(0)
        phase = sum(
            rng.normal(0, 2 / noll) * zernike(noll, pupil.rho, pupil.theta) for noll in range(2, 37)
        )
        phase += np.pi * 1.8 * (2 * pupil.rho**2 - 1)
        middle = pupil.field // 2
        near = slice(middle - 96, middle + 96)
        images.append(optics.psfs(phase[None].astype(np.float32), pupil)[0, near, near])
    coarse, fine = images
    assert coarse.sum() == pytest.approx(fine.sum(), abs=3e-3)
    assert np.abs(coarse - fine).max() < 0.02 * fine.max()


# --- turbulence


def modes_of_turbulence(outer_scale, zernikes):
    """Projection of the screens' Cholesky factor on Zernikes: modes (j, points), residual."""
    pupil = optics.make_pupil(replace(SIMULATED, obstruction=0), 48)
    factor = optics.screen_factor(pupil, outer_scale)
    used = pupil.amplitude != 0
    weight = pupil.amplitude[used].astype(float) / pupil.amplitude.sum()
    basis = np.array([zernike(j, pupil.rho, pupil.theta)[used] for j in zernikes])
    modes = (basis * weight) @ factor
    total = np.sum(weight @ factor**2)
    return modes, total - np.sum(modes**2)


def von_karman_variance(order, outer_scale):
    """Variance in rad^2 of one Zernike of radial order n at D/r0 = 1 (Noll 1976, eq. 22)."""
    f = np.geomspace(1e-9, 1e3, 20001)  # cycles a diameter
    spectrum = 0.0229 * (f**2 + 1 / outer_scale**2) ** (-11 / 6)
    response = (order + 1) * (2 * jv(order + 1, np.pi * f) / (np.pi * f)) ** 2
    return trapezoid(2 * np.pi * f**2 * spectrum * response, np.log(f))


def test_residual_without_tip_tilt_is_nolls():
    """Noll's Delta_3 = 0.134 (D/r0)^(5/3), here exactly, from the covariance; then in a draw."""
    _, residual = modes_of_turbulence(1e3, [1, 2, 3])
    assert residual == pytest.approx(0.134, rel=0.01)

    pupil = optics.make_pupil(replace(SIMULATED, obstruction=0), 48)
    factor = 5.6 ** (5 / 6) * optics.screen_factor(pupil, OUTER_SCALE)
    screens = optics.phase_screens(np.random.default_rng(1), 300, pupil, factor)
    used = pupil.rho <= 1
    basis = np.transpose([zernike(j, pupil.rho, pupil.theta)[used] for j in (1, 2, 3)])
    phases = screens[:, used].T
    left = phases - basis @ np.linalg.lstsq(basis, phases, rcond=None)[0]
    assert np.mean(left**2) == pytest.approx(0.134 * 5.6 ** (5 / 3), rel=0.1)


def test_low_orders_follow_von_karman_to_the_outer_scale():
    modes, _ = modes_of_turbulence(OUTER_SCALE, range(2, 11))
    variance = np.sum(modes**2, axis=1)
    theory = [von_karman_variance(order, OUTER_SCALE) for order in (1, 1, 2, 2, 2, 3, 3, 3, 3)]
    assert variance == pytest.approx(theory, rel=0.005)
    assert von_karman_variance(1, 1e8) == pytest.approx(0.448, rel=0.01)  # Noll's table
    assert modes[0] @ modes[1] == pytest.approx(0, abs=1e-3)
    coma_with_tilt = modes[6] @ modes[0]  # Z8 with Z2: negative in Noll's covariance
    assert coma_with_tilt == pytest.approx(-0.0141, rel=0.02)


def test_shake_has_the_size_of_the_tilt_and_no_direction():
    run = simulate_run(200, d_over_r0=3.0, seed=4)
    tilt = np.sqrt(von_karman_variance(1, OUTER_SCALE)) * 3.0 ** (5 / 6)
    expected = 4 / (2 * np.pi) * PX_PER_LAMBDA_OVER_D * tilt
    static = simulate_run(1, d_over_r0=0).truth.shifts[0]
    shake = run.truth.shifts - static
    assert shake.std(axis=0) == pytest.approx(expected, rel=0.2)
    assert np.abs(shake.mean(axis=0)).max() < 4 * expected / np.sqrt(200)
    assert abs(np.corrcoef(shake.T)[0, 1]) < 0.25
    assert np.abs(np.corrcoef(shake[1:, 0], shake[:-1, 0])[0, 1]) < 0.25


# --- truth


def test_shift_brings_the_brightest_point_to_the_centre(run):
    images, shifts = run.truth.focus_images, run.truth.shifts
    brightest = np.stack(
        np.unravel_index(images.reshape(len(images), -1).argmax(axis=1), images.shape[1:]), 1
    )
    assert np.abs(brightest + shifts - 64).max() < 1
    assert np.abs(brightest + shifts - 64).mean() < 0.35
    moved = np.roll(images[0], np.rint(shifts[0]).astype(int), axis=(0, 1))
    assert moved[62:67, 62:67].max() == images[0].max()


def test_both_images_of_a_frame_move_together():
    run = simulate_run(40, d_over_r0=2.5, seed=2)

    def centroids(images):
        y, x = np.indices(images.shape[1:])
        weights = images.sum(axis=(1, 2))
        return np.stack([(images * axis).sum(axis=(1, 2)) / weights for axis in (y, x)], 1)

    focus, donut = centroids(run.truth.focus_images), centroids(run.truth.defocus_images)
    for axis in (0, 1):
        slope, _ = np.polyfit(focus[:, axis], donut[:, axis], 1)
        assert np.corrcoef(focus[:, axis], donut[:, axis])[0, 1] > 0.99
        assert slope == pytest.approx(1, abs=0.1)
        assert abs(np.corrcoef(focus[1:, axis], donut[:-1, axis])[0, 1]) < 0.6


def test_truth_of_a_frame_is_in_that_frame(run):
    for window, images in (
        (run.focus, run.truth.focus_images),
        (run.defocus, run.truth.defocus_images),
    ):
        y, x = Window.centred(*window).slices
        frames = np.minimum(run.frames[:, y, x] - run.dark[y, x], 3000)
        sharing = np.corrcoef(frames.reshape(60, -1), images.reshape(60, -1))[:60, 60:]
        assert np.array_equal(sharing.argmax(axis=1), np.arange(60))


# --- sensor


def test_hot_pixels_stand_out_in_the_dark_and_stay_in_every_frame(run):
    hot = run.dark > np.median(run.dark) + 50
    assert hot.mean() == pytest.approx(5e-4, rel=0.1)
    assert np.median(run.dark) == pytest.approx(98, abs=0.5)
    assert run.dark[hot].max() > 2500  # brighter than the star in most frames
    excess = run.frames[:, hot].mean(axis=0) - np.median(run.frames, axis=(0, 1, 2))
    assert np.corrcoef(excess, run.dark[hot])[0, 1] > 0.98


def test_dark_and_flat_have_the_noise_of_a_mean(run):
    usual = run.dark < np.median(run.dark) + 10
    assert run.dark[usual].std() == pytest.approx(6 / 2 / np.sqrt(16), rel=0.05)
    response = run.flat - run.dark
    assert response.mean() == pytest.approx(2500, rel=0.01)
    dead = response < 0.1 * response.mean()
    assert 2 <= dead.sum() <= 10
    corner, middle = response[:20, :20].mean(), response[118:138, 246:266].mean()
    assert 0.65 < corner / middle < 0.95  # vignetting


@pytest.mark.parametrize("arm", ["focus", "defocus"])
def test_calibrated_frames_are_truth_and_a_plane_within_the_noise(run, arm):
    y, x = Window.centred(*getattr(run, arm)).slices
    truth = getattr(run.truth, f"{arm}_images")
    response = (run.flat - run.dark) / np.mean(run.flat - run.dark)
    good = ((run.dark < np.median(run.dark) + 10) & (response > 0.3))[y, x]
    response = response[y, x]
    residual = (run.frames[:, y, x] - run.dark[y, x]) / response - truth

    rows, columns = np.indices(good.shape) / len(good) - 0.5
    plane = np.stack([np.ones(good.sum()), rows[good], columns[good]], 1)
    fit = np.linalg.lstsq(plane, residual[:, good].mean(axis=0), rcond=None)[0]
    assert fit[0] == pytest.approx(180, rel=0.2)
    assert fit[1] > 5  # brighter to the bottom
    assert fit[2] < -5  # and to the left
    background = plane @ fit
    camera = Camera()
    read = (camera.read_noise_e / camera.gain_e_per_adu) ** 2 + 1 / 12
    light = (truth[:, good] + background) * response[good]
    variance = (light / camera.gain_e_per_adu + read) / response[good] ** 2
    chi = (residual[:, good] - background) / np.sqrt(variance)
    assert np.mean(chi**2) == pytest.approx(1, abs=0.03)
    assert abs(chi.mean()) < 0.01
    mean_chi = chi.mean(axis=0) * np.sqrt(len(chi))  # what the masters' own noise adds stays small
    assert np.mean(mean_chi**2) < 3.5


def test_what_cannot_be_simulated_is_refused():
    with pytest.raises(LuckyError, match="side by side"):
        simulate_run(1, (256, 300))
    with pytest.raises(LuckyError, match="spreads the star"):
        simulate_run(1, d_over_r0=40)
    with pytest.raises(LuckyError, match="undersample"):
        simulate_run(1, telescope=replace(SIMULATED, focal_ratio=10))
    with pytest.raises(LuckyError, match="positive"):
        simulate_run(0)
