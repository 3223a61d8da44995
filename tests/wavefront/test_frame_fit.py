"""One frame's fit: known truth from the model itself, and from the independent simulation."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from astropy.io import fits

from made_pairs import block_of, frame_of, small_model, wavefronts
from napari_lucky import Window, calibrate, simulate_run
from napari_lucky.frames import ArrayFrames
from napari_lucky.wavefront import frame_fit
from napari_lucky.wavefront.frame_fit import Pair, Prior, descend, fitted_images, low_part
from napari_lucky.wavefront.observe import (
    HeaderNoise,
    SensorNoise,
    measure_sensor_noise,
    noise_from_header,
    observe,
)
from napari_lucky.wavefront.pair_model import make_pair_model
from napari_lucky.wavefront.search import errors_of, noise_of, refit, residual_sums, search
from napari_lucky.wavefront.static import unknown

SHAPES, SAMPLING, LAST = ((78, 78), (120, 120)), 7.0, 36
TIGHT = (0.005, 0.005)


@pytest.fixture(scope="module")
def model():
    return make_pair_model(SHAPES, SAMPLING, 0.3, LAST)


@pytest.fixture(scope="module")
def prior():
    return unknown(LAST, 2.0, 1.2).prior(fit_defocus=False)


@pytest.fixture(scope="module")
def truth(prior):
    rng = np.random.default_rng(5)
    x = rng.multivariate_normal(prior.mean, prior.covariance)
    x[:4] = [0.6, -0.8, 1.0, 0.3]
    return x


def pixels(model, x, rng, flux=2e5, read=3.0):
    """Images of the model with a plane and noise, each bin spread over its pixels."""
    out = []
    for image in model.images(x):
        y, u = np.mgrid[: image.shape[0], : image.shape[1]]
        light = np.kron(flux * image / 9 + 100 + 0.1 * y - 0.2 * u, np.ones((3, 3)))
        out.append((light + read * rng.standard_normal(light.shape)).astype(np.float32))
    return out[0], out[1]


def test_a_frame_of_the_model_gives_its_truth_within_its_errors(model, prior, truth):
    rng = np.random.default_rng(0)
    observed = observe(pixels(model, truth, rng), SensorNoise(np.inf, 3.0, ""), 3, SAMPLING)
    made, tried = search(model, observed, prior, rng, level=1.3, errors=TIGHT)
    assert made.chi2 == pytest.approx(1, abs=0.1)
    assert 1 <= tried <= 6
    free = prior.free
    pulls = (made.x - truth)[free] / np.sqrt(np.diag(made.covariance)[free])
    assert np.sqrt(np.mean(pulls**2)) < 1.5
    assert np.sqrt(((made.x - truth)[4:12] ** 2).sum()) < 0.03
    assert made.x[-1] == 1.2  # held
    np.testing.assert_allclose(made.fluxes, 2e5 / 9, rtol=0.02)


def test_flux_and_background_plane_change_nothing(model, prior, truth):
    found = []
    for flux, level in ((1.0, 0.0), (4.0, 700.0)):
        focus, donut = pixels(model, truth, np.random.default_rng(0))
        slope = np.linspace(0, level, donut.shape[0], dtype=np.float32)[:, None]
        both = (focus * np.float32(flux), donut * np.float32(flux) + slope)
        observed = observe(both, SensorNoise(np.inf, 3.0 * flux, ""), 3, SAMPLING)
        found.append(refit(model, observed, prior, truth, (1e-6, 1e-6)).x)
    np.testing.assert_allclose(*found, atol=2e-2)


def test_masked_pixels_have_no_weight(model, prior, truth):
    focus, donut = pixels(model, truth, np.random.default_rng(0))
    donut[60:64, 40:44] = np.nan
    observed = observe((focus, donut), SensorNoise(np.inf, 3.0, ""), 3, SAMPLING)
    made = refit(model, observed, prior, truth, TIGHT)
    assert np.isfinite(made.x).all()
    assert observed.masked[1].sum() == 4  # bins that hold a masked pixel
    pair = observed.pair(TIGHT)
    wild = [np.where(m, 1e6, i) for m, i in zip(observed.masked, pair.images, strict=True)]
    same = fitted_images(model, Pair((wild[0], wild[1]), pair.weights), made.x)
    np.testing.assert_allclose(same[1], fitted_images(model, pair, made.x)[1], rtol=1e-6)


def test_the_models_error_is_measured(model, prior, truth):
    rng = np.random.default_rng(3)
    focus, donut = pixels(model, truth, rng)
    wrong = np.kron(1 + 0.06 * rng.standard_normal((40, 40)), np.ones((3, 3)))
    light = 100 + (donut - 100) * wrong
    observed = observe((focus, light.astype(np.float32)), SensorNoise(np.inf, 3.0, ""), 3, SAMPLING)
    given = (0.05, 0.05)
    errors = errors_of(residual_sums(observed, refit(model, observed, prior, truth, given), given))
    assert errors[0] < 0.03
    assert errors[1] == pytest.approx(0.06, rel=0.25)


def test_turbulence_of_all_frequencies():
    """An independent simulation; the centre of the pupil, which is hidden, is not compared."""
    run = simulate_run(
        3, (200, 400), d_over_r0=3, seed=2, samples=64, focus_size=128, defocus_size=192
    )
    frames = calibrate(*(ArrayFrames(a) for a in (run.frames, run.dark, run.flat)))
    windows = Window.centred(*run.focus), Window.centred(*run.defocus)
    noise = measure_sensor_noise(frames, windows, SAMPLING)
    assert noise.gain == pytest.approx(2.0, rel=0.12)  # e-/ADU, as in Camera
    model = make_pair_model((windows[0].shape, windows[1].shape), 6.999, 0.3, 66)
    prior = unknown(66, 3.0, 1.8).prior(fit_defocus=False)
    for number in range(3):
        read = [frames.read(slice(number, number + 1), window)[0] for window in windows]
        observed = observe((read[0], read[1]), noise, 3, 6.999)
        made, _ = search(model, observed, prior, np.random.default_rng(0), level=2.0)
        off = made.x[5:11] - run.truth.zernikes[number, 4:10]  # Noll 5 to 10
        assert np.sqrt((off**2).sum()) < 0.06


def test_noise_is_taken_as_given():
    frames = ArrayFrames(np.zeros((1, 64, 64), np.float32))
    windows = (Window(0, 0, 32, 32), Window(32, 32, 32, 32))
    assert measure_sensor_noise(frames, windows, 7.0, 2.0, 6.0) == SensorNoise(2.0, 3.0, "given")
    assert str(SensorNoise(2.0, 3.0, "given")) == "gain 2 e-/ADU, read noise 3 ADU (given)"


def test_the_noise_is_measured_on_the_residuals(model, prior, truth):
    """Photons of 2 e-/ADU and 3 ADU of read noise on each bin's pixels, and a perfect model."""
    rng = np.random.default_rng(1)
    sky = float(np.sqrt(9 + 50))  # as it is measured on the borders
    sums = np.zeros((4, 6))
    for _ in range(4):
        light = (one.astype(float) for one in pixels(model, truth, rng, read=0.0))
        focus, donut = (
            (one + rng.standard_normal(one.shape) * np.sqrt(9 + one / 2)).astype(np.float32)
            for one in light
        )
        observed = observe((focus, donut), SensorNoise(np.inf, sky, ""), 3, SAMPLING)
        fitted = refit(model, observed, prior, truth)
        sums += residual_sums(observed, fitted, (0.05, 0.05))
    foot, slope, errors = noise_of(sums)
    assert 9 * foot + 100 * slope == pytest.approx(9 + 50, rel=0.1)  # of a pixel of the sky
    donut_star = 60.0  # ADU; there photons and an error of the model look much alike
    of_donut = 9 * foot + 160 * slope + 9 * (errors[1] * donut_star) ** 2
    assert of_donut == pytest.approx(9 + 80, rel=0.15)
    assert max(errors) < 0.04


@pytest.mark.parametrize(
    ("cards", "found"),
    [
        ([], HeaderNoise()),
        ([("GAIN", 139, "")], HeaderNoise()),
        ([("GAIN", 100, "camera gain setting")], HeaderNoise()),
        ([("GAIN", 1.4, "[e-/ADU] conversion")], HeaderNoise(gain=1.4, gain_in="GAIN")),
        ([("GAIN", 0.8, "electrons per ADU")], HeaderNoise(gain=0.8, gain_in="GAIN")),
        ([("GAIN", 139, ""), ("EGAIN", 0.97, "")], HeaderNoise(gain=0.97, gain_in="EGAIN")),
        ([("EGAIN", 0.0, ""), ("RDNOISE", -1.0, "")], HeaderNoise()),
        ([("EGAIN", "unknown", "")], HeaderNoise()),
        ([("READNOIS", 3.5, "e-")], HeaderNoise(read_noise_e=3.5, read_in="READNOIS")),
        ([("RON", 3.5, "ADU")], HeaderNoise()),
    ],
)
def test_the_noise_in_a_header(cards, found):
    assert noise_from_header(fits.Header(cards)) == found
    plain = {name: value for name, value, _ in cards if name != "GAIN"}
    if not any(comment for _, _, comment in cards):
        assert noise_from_header(plain) == found  # without comments


def test_a_fit_by_its_definition():
    """Of the small telescope: residuals, chi2, cost, flux, errors and covariance by hand."""
    model = small_model()
    truth = wavefronts(1)[0]
    block = block_of([frame_of(model, truth)], model)
    observed, prior = block.reader.observe(0), block.prior
    prior = Prior(prior.mean + 0.002 * np.arange(12), prior.covariance)
    pair = observed.pair(TIGHT)
    start = truth.copy()
    start[-1] = prior.mean[-1]  # held, wherever it is
    made = descend(model, pair, prior, start, tolerance=1e-6)
    assert made.x[-1] == prior.mean[-1]
    assert not made.covariance[-1].any() and not made.covariance[:, -1].any()
    squares = 0.0
    for at, image in enumerate(fitted_images(model, pair, made.x)):
        residual = (pair.images[at] - image) * np.sqrt(pair.weights[at])
        np.testing.assert_allclose(made.residuals[at], residual, atol=1e-6)
        squares += (residual**2).sum()
        # flux, and its error by linear algebra: star, level and two slopes
        star = model.images(made.x)[at]
        y, x = np.indices(star.shape)
        basis = np.stack([star, star * 0 + 1, y, x]).reshape(4, -1) * np.sqrt(
            pair.weights[at].ravel()
        )
        error = np.sqrt(np.linalg.inv(basis @ basis.T)[0, 0])
        assert made.certainties[at] == pytest.approx(made.fluxes[at] / error, rel=1e-6)
        assert made.fluxes[at] == pytest.approx(2e5, rel=0.01)
    assert pair.count == 24 * 24 + 32 * 32
    assert made.chi2 == pytest.approx(squares / pair.count)
    free = np.arange(11)

    def cost(x):
        off = (x - prior.mean)[free]
        stiff = np.linalg.inv(prior.covariance[:-1, :-1])
        images = fitted_images(model, pair, x)
        parts = zip(pair.images, images, pair.weights, strict=True)
        return sum(((i - m) ** 2 * w).sum() for i, m, w in parts) + off @ stiff @ off

    assert made.cost == pytest.approx(cost(made.x))
    # it is the minimum, and the covariance is that of the curvature there
    sigma = np.sqrt(np.diag(made.covariance))[free]
    assert (sigma > 0).all()
    for at in free:
        step = np.zeros(12)
        step[at] = sigma[at]
        up, down = cost(made.x + step), cost(made.x - step)
        assert abs(up - down) < 0.3
        stiffness = np.linalg.inv(made.covariance[:-1, :-1])[at, at]
        curved = (up + down - 2 * made.cost) / 2 / sigma[at] ** 2
        assert curved == pytest.approx(stiffness, rel=0.1)


def test_matrices_are_few_and_a_far_start_comes_home(monkeypatch):
    """The expensive matrix is kept while its steps gain; a step that does not is damped."""
    model, truth = small_model(), wavefronts(1)[0]
    block = block_of([frame_of(model, truth)], model)
    pair = block.reader.observe(0).pair(TIGHT)
    made, counts = [], {"matrix": 0, "gradient": 0}

    def count(name, function):
        def counted(*given):
            counts[name] += 1
            return function(*given)

        return counted

    monkeypatch.setattr(frame_fit, "normal_matrix", count("matrix", frame_fit.normal_matrix))
    monkeypatch.setattr(frame_fit, "downhill", count("gradient", frame_fit.downhill))
    for far in (0.0, 0.5):
        counts.update(matrix=0, gradient=0)
        start = truth.copy()
        start[:-1] += far * np.array([1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1])
        made.append(descend(model, pair, block.prior, start))
        assert counts["matrix"] <= (4 if far else 1)
        assert counts["gradient"] <= (10 if far else 3)
    np.testing.assert_allclose(made[0].x, made[1].x, atol=2e-3)
    one = descend(model, pair, block.prior, start, steps=1)
    assert made[1].cost < one.cost < 1e9
    assert np.abs(one.x - start).max() > 0.01


def test_a_thin_model_makes_nearly_the_same_matrix_and_fit(model, prior, truth):
    """The steps are those of another matrix, the minimum is that of all bins."""
    observed = observe(
        pixels(model, truth, np.random.default_rng(0)), SensorNoise(np.inf, 3.0, ""), 3, SAMPLING
    )
    pair, thin = observed.pair((0.1, 0.1)), replace(model, thin=True)
    made = [descend(m, pair, prior, truth) for m in (model, thin)]
    free = prior.free
    covariances = [one.covariance[np.ix_(free, free)] for one in made]
    ratios = scipy.linalg.eigvalsh(*covariances)
    assert ratios.min() > 0.6 and ratios.max() < 2
    sigma = np.sqrt(np.diag(covariances[0]))
    assert np.abs((made[0].x - made[1].x)[free] / sigma).max() < 0.2
    assert made[0].cost == pytest.approx(made[1].cost, abs=0.1)


def test_a_matrix_learns_how_the_gradient_changed():
    """Along the step it is what was seen, across it what it was; of no bend it learns nothing."""
    matrix, step = np.diag([1.0, 2, 4]), np.array([1.0, 0, 0])
    learned = frame_fit._learned(matrix, step, np.array([3.0, 1, 0]))
    np.testing.assert_allclose(learned @ step, [3, 1, 0])
    np.testing.assert_allclose(learned, learned.T)
    assert learned[2].tolist() == [0, 0, 4]
    for bend in (-1.0, 0.05):
        assert frame_fit._learned(matrix, step, bend * step) is matrix


def test_the_low_part_of_a_wavefront():
    """x of Noll 2 to 11: tilts of both, eight Zernikes from Noll 4 on, the defocus last."""
    assert low_part(13, 6).tolist() == [0, 1, 2, 3, 4, 5, 6, 12]
    assert low_part(13, 11).tolist() == low_part(13, 40).tolist() == list(range(13))
    covariance = np.add.outer(np.arange(13.0), 100 * np.arange(13.0))
    low = Prior(np.arange(13.0), covariance).of_low(5)
    assert low.mean.tolist() == [0, 1, 2, 3, 4, 5, 12]
    assert low.covariance[:, 5].tolist() == [500, 501, 502, 503, 504, 505, 512]
    assert Prior(low.mean, np.diag([1.0, 0, 2, 0, 0, 1e-9, 0])).free.tolist() == [0, 2, 5]
