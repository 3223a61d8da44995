"""The job over frames: simulated truth, what is left out, what is told."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from napari_lucky import LuckyError, Window, calibrate, simulate_run
from napari_lucky.execution.job import Job
from napari_lucky.frames import ArrayFrames
from napari_lucky.frames.window import as_window
from napari_lucky.optics.simulation import STATIC_ABERRATION, Camera
from napari_lucky.wavefront import (
    WavefrontParameters,
    defocus_waves,
    measure_wavefront,
)
from napari_lucky.wavefront.measure import frames_to_fit, pedestal_in
from napari_lucky.wavefront.observe import SensorNoise
from napari_lucky.wavefront.static import turbulence, unknown

SIZES = {"focus_size": 96, "defocus_size": 144}
STATIC = np.array([STATIC_ABERRATION.get(noll, 0) for noll in range(4, 12)])


def task_of(run, **changes):
    given = WavefrontParameters(
        focus=run.focus,
        defocus=run.defocus,
        wavelength_nm=633.0,
        focal_ratio=58.6,
        pixel_um=5.3,
        defocus_waves=1.3,
        obstruction=0.3,
    )
    return given.changed(**changes)


def calibrated(run, **changes):
    return calibrate(*(ArrayFrames(a) for a in (run.frames, run.dark, run.flat)), **changes)


@pytest.fixture(scope="module")
def still():
    """No turbulence, and one frame without light."""
    run = simulate_run(
        5,
        (160, 300),
        d_over_r0=0,
        photons=1.2e5,
        seed=3,
        defocus_waves=1.3,
        camera=Camera(sky_adu=5),
        samples=80,
        **SIZES,
    )
    run.frames[2] = run.dark
    return run


@pytest.fixture(scope="module")
def of_still(still):
    task = task_of(still, defocus_waves=1.36, fit_defocus=True)
    return measure_wavefront(calibrated(still), task)


def test_without_turbulence_the_static_wavefront_comes_out(of_still):
    rad = of_still.coefficients_nm / of_still.task.nm_per_rad
    assert np.sqrt(((rad[:8] - STATIC) ** 2).sum()) < 2 * np.pi / 250
    assert of_still.d_over_r0 < 0.2
    assert of_still.defocus_waves == pytest.approx(1.3, rel=0.01)
    assert of_still.defocus_sigma < 0.02
    assert of_still.strehl == pytest.approx(0.789, abs=0.02)
    assert of_still.rms_nm == pytest.approx(49.2, rel=0.04)


def test_a_pedestal_without_a_dark_is_named(still):
    """Its photons would be noise that the frames do not have: chi² is far under 1."""
    task = task_of(still, gain=2.0, read_noise_e=6.0, defocus_waves=1.3)
    clean = calibrated(still)
    raised = ArrayFrames(clean.read(slice(0, 2)) + np.float32(100))
    with pytest.raises(LuckyError, match=r"windows are at 10.* ADU .* Give a dark \(--dark\)"):
        measure_wavefront(raised, task)
    noise = SensorNoise(2.0, 3.0, "given")
    windows = as_window(still.focus), as_window(still.defocus)
    assert pedestal_in(raised, windows, np.arange(2), noise) == pytest.approx(105, abs=2)
    assert pedestal_in(clean, windows, np.arange(2), noise) == 0
    assert pedestal_in(raised, windows, np.arange(2), replace(noise, gain=np.inf)) == 0
    assert pedestal_in(raised, windows, np.arange(2), replace(noise, read_adu=30.0)) == 0


def test_what_the_result_tells(of_still):
    assert of_still.noll[0] == 4
    assert len(of_still.names) == len(of_still.coefficients_nm) == 33
    assert of_still.names[1] == "astigmatism 45°"
    np.testing.assert_allclose(of_still.running_nm[-1], of_still.coefficients_nm, atol=1e-6)
    assert of_still.running_nm.shape == (4, 33)
    image = of_still.image_nm
    assert np.nanstd(image) == pytest.approx(of_still.rms_nm, rel=0.02)
    assert np.isnan(image[0, 0])
    assert np.isnan(image[image.shape[0] // 2, image.shape[1] // 2])  # the obstruction
    rms, strehl = of_still.without.T
    assert rms[1] < of_still.rms_nm  # astigmatism of 0.25 rad taken away
    assert strehl[1] > of_still.strehl
    seen, made = of_still.pictures.measured, of_still.pictures.model
    assert seen[0].shape == made[0].shape == (32, 32)
    left = of_still.pictures.residual
    assert np.nanstd(left[0]) < 0.05 * np.nanmax(made[0])
    fraction, curve = of_still.keep_curve()
    assert fraction[-1] == 1
    assert len(curve) == 4


def test_a_frame_without_light_is_flagged_and_not_averaged(of_still):
    assert of_still.failed == 1
    assert not of_still.frames.good[2]
    assert any("1 of 5 frames" in note for note in of_still.notes)


def test_right_figures_are_not_doubted(of_still):
    assert not of_still.figures.doubted.any()
    assert of_still.chi2 == pytest.approx(1, abs=0.4)
    assert max(of_still.model_error) < 0.03
    assert of_still.independent == 4
    assert len(of_still.notes) == 2  # one frame without light; few frames


def test_where_the_star_is(still, of_still):
    good = of_still.frames.good
    for at, window in enumerate((still.focus, still.defocus)):
        off = of_still.frames.positions[good, at] - window[:2]
        assert np.abs(off).max() < 0.3  # px


def test_turbulence_averages_out():
    run = simulate_run(10, (160, 300), d_over_r0=3, seed=4, defocus_waves=1.3, samples=64, **SIZES)
    with ThreadPoolExecutor(2) as pool:
        made = measure_wavefront(
            calibrated(run), task_of(run, d_over_r0=4.0), job=Job(executor=pool)
        )
    good = made.frames.good
    assert good.sum() >= 9
    rad = made.coefficients_nm / made.task.nm_per_rad
    mean = run.truth.zernikes[good, 3:11].mean(axis=0)
    assert np.sqrt(((rad[:8] - mean) ** 2).sum()) < 2 * np.pi / 80
    pulls = (rad[:8] - STATIC) / (made.sigma_nm[:8] / made.task.nm_per_rad)
    assert np.sqrt(np.mean(pulls**2)) < 2
    assert made.d_over_r0 == pytest.approx(3, rel=0.25)


def test_the_mean_is_not_pulled_by_the_prior():
    """Linear frames: a_i drawn about m, seen with noise, fitted with a prior about 0."""
    rng = np.random.default_rng(0)
    k, n, noise = 18, 400, 0.3
    m = rng.normal(0, 0.2, k)
    static = replace(unknown(k + 3, 2.0, 1.5), mean=np.zeros(k))
    prior = static.strength * turbulence(k)
    a = rng.multivariate_normal(m, prior, n)
    seen = a + noise * rng.standard_normal(a.shape)
    for _ in range(3):
        prior = static.strength * turbulence(k)
        posterior = np.linalg.inv(np.linalg.inv(prior) + np.eye(k) / noise**2)
        gain = posterior / noise**2
        x = np.zeros((n, k + 5))
        x[:, 4:-1] = static.mean + (seen - static.mean) @ gain.T
        static = static.updated(x, posterior, np.zeros(n))
    np.testing.assert_allclose(static.mean, seen.mean(axis=0), atol=0.01)
    assert static.strength**0.6 == pytest.approx(2, rel=0.15)
    assert np.sqrt(np.mean(((static.mean - m) / static.sigma) ** 2)) < 1.5


def test_saturated_frames_are_left_out_and_counted(still):
    frames = still.frames.copy()
    y, x, _ = still.focus
    frames[1, y, x] = 4095
    chosen, saturated = frames_to_fit(
        calibrated(replace(still, frames=frames), saturation=4095), task_of(still)
    )
    assert saturated == 1
    np.testing.assert_array_equal(chosen, [0, 2, 3, 4])


def test_which_frames(still):
    frames = calibrated(still)
    first, _ = frames_to_fit(frames, task_of(still, count=2))
    again, _ = frames_to_fit(frames, task_of(still, count=2))
    other, _ = frames_to_fit(frames, task_of(still, count=2, seed=3))
    np.testing.assert_array_equal(first, again)
    assert list(first) != list(other)
    quality = np.array([0.1, 0.5, np.nan, 0.4, 0.3])
    best, _ = frames_to_fit(frames, task_of(still, count=2, choice="ranked"), quality)
    np.testing.assert_array_equal(best, [1, 3])
    assert len(frames_to_fit(frames, task_of(still, count=1, choice="all"))[0]) == 5
    with pytest.raises(LuckyError, match="rank this run first"):
        frames_to_fit(frames, task_of(still, choice="ranked"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"defocus_waves": 0.05}, "sign of the even modes"),
        ({"defocus_waves": 3.0}, "make a donut of"),
        ({"pixel_um": 26.0}, "Nyquist"),
        ({"focus": Window(0, 150, 40, 40)}, "under 8 λ/D"),
        ({"focus": Window(0, 1500, 96, 96)}, "focus window covers"),
        ({"obstruction": 1.0}, "central obstruction"),
        ({"wavelength_nm": 0.0}, "wavelength is 0 nm"),
        ({"modes": 300}, "modes is 300"),
        ({"choice": "best"}, "choice is .best."),
        ({"count": 0}, "count is 0"),
        ({"gain": -1.0}, "gain is -1"),
    ],
)
def test_wrong_input_is_reported(still, changes, told):
    with pytest.raises(LuckyError, match=told):
        measure_wavefront(calibrated(still), task_of(still, **changes))


def test_notes(still):
    frames = calibrated(still)
    notes = task_of(still, choice="ranked", defocus=Window(0, 0, 160, 160)).check(frames.shape)
    assert any("best-ranked" in note for note in notes)
    (note,) = task_of(still, pixel_um=18.8).check(frames.shape)
    assert "The sampling is 1.97 px per λ/D" in note
    assert "the result is uncertain" in note
    notes = task_of(still, defocus=Window.centred(80, 200, 144)).check(frames.shape)
    assert any("overlap" in note for note in notes)


def test_frames_without_a_star_are_an_error():
    frames = ArrayFrames(np.random.default_rng(0).normal(100, 3, (2, 160, 300)).astype("f4"))
    task = WavefrontParameters(
        focus=Window(0, 200, 96, 96),
        defocus=Window(0, 0, 144, 144),
        wavelength_nm=633,
        focal_ratio=58.6,
        pixel_um=5.3,
        defocus_waves=1.3,
        obstruction=0.3,
    )
    with pytest.raises(LuckyError, match="check that the windows hold"):
        measure_wavefront(frames, task)


def test_the_job_can_be_sent_to_another_machine(still):
    from napari_lucky.wavefront.many_frames import FitBlock, PairReader
    from napari_lucky.wavefront.observe import SensorNoise
    from napari_lucky.wavefront.pair_model import make_pair_model

    task = task_of(still)
    reader = PairReader(
        calibrated(still), (task.focus, task.defocus), SensorNoise(2, 3, ""), 3, 7.0
    )
    model = make_pair_model((task.focus.shape, task.defocus.shape), 7.0, 0.3, 15)
    prior = unknown(15, 1.0, 1.3).prior(False)
    fit = FitBlock(reader, model, prior, np.arange(2), np.full((2, 17), np.nan), 5.0, 1, 0)
    (there,), (here,) = pickle.loads(pickle.dumps(fit))(slice(0, 1)), fit(slice(0, 1))
    np.testing.assert_array_equal(there[0].x, here[0].x)


def test_defocus_of_a_shift():
    assert defocus_waves(31.3, 58.6, 633.0) == pytest.approx(1.8, rel=0.01)
