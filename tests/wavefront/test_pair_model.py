"""The model against analytic optics, and its derivatives against differences."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_lucky import LuckyError
from napari_lucky.optics import Diffraction, Spider, diffraction_psf
from napari_lucky.optics.pupil import sample_pupil
from napari_lucky.optics.zernikes import noll_orders
from napari_lucky.wavefront.pair_model import bin_filter, bins_for, make_pair_model

SHAPES = ((60, 63), (96, 90))
SAMPLING = 7.0


@pytest.fixture(scope="module")
def model():
    return make_pair_model(SHAPES, SAMPLING, 0.3, 15)


def somewhere(model, seed=0):
    x = np.random.default_rng(seed).normal(0, 0.4, model.size)
    x[-1] = 1.1
    return x


def binned(image, bins):
    rows, columns = (side // bins for side in image.shape)
    return image[: rows * bins, : columns * bins].reshape(rows, bins, columns, bins).sum((1, 3))


def test_without_aberrations_it_is_the_analytic_psf_on_the_bins(model):
    focus, _ = model.images(np.zeros(model.size))
    psf = binned(diffraction_psf(Diffraction(SAMPLING, 0.3), SHAPES[0]), 3)
    np.testing.assert_allclose(focus, psf, atol=2e-3 * psf.max())
    assert focus.sum() == pytest.approx(psf.sum(), rel=2e-3)


def test_a_tilt_of_1_rad_moves_by_2_over_pi_lambda_over_d(model):
    x = np.zeros(model.size)
    still = model.images(x)[0]
    x[0], x[1] = np.pi / 2 * 3 / SAMPLING, -np.pi / 2 * 6 / SAMPLING  # 3 px right, 6 px up
    moved = model.images(x)[0]
    np.testing.assert_allclose(moved[:-2, 1:], still[2:, :-1], atol=1e-3 * still.max())


def test_the_donut_has_the_radius_of_its_defocus():
    """4 W lambda/D, evenly lit: a quarter of an open pupil's light is within half of it."""
    model = make_pair_model(((48, 48), (240, 240)), SAMPLING, 0.0, 6)
    x = np.zeros(model.size)
    x[-1] = 3.0
    donut = model.images(x)[1]
    y, u = (np.arange(side) * 3 + 1 - 120 for side in donut.shape)
    radius = np.hypot(y[:, None], u)
    assert donut[radius < 6 * SAMPLING].sum() == pytest.approx(0.25, abs=0.02)
    assert donut[radius < 11 * SAMPLING].sum() < 0.88
    assert donut[radius < 12 * SAMPLING].sum() > 0.9


def test_the_sign_of_the_defocus_cannot_be_seen(model):
    """With the other sign and all even modes turned over, the two images are the same."""
    x = somewhere(model)
    other = x.copy()
    even = [at for at, noll in enumerate(range(4, 16), start=4) if noll_orders(noll)[0] % 2 == 0]
    other[[*even, -1]] *= -1
    for one, two in zip(model.images(x), model.images(other), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6 * one.max())


def test_derivatives_are_differences(model):
    x, step = somewhere(model), 1e-4
    slopes = model.derivatives(model.light(x))
    for at in (0, 1):
        for slope, parameter in zip(slopes[at], model.own(at), strict=True):
            up, down = x.copy(), x.copy()
            up[parameter] += step
            down[parameter] -= step
            difference = (model.images(up)[at] - model.images(down)[at]) / (2 * step)
            np.testing.assert_allclose(slope, difference, atol=1e-4 * abs(difference).max())


def test_the_gradient_is_the_adjoint_of_the_derivatives(model):
    x = somewhere(model, 1)
    rng = np.random.default_rng(2)
    pulls = [rng.standard_normal(image.shape) for image in model.images(x)]
    gradient = model.gradient(model.light(x), pulls)
    for parameter in range(model.size):
        up, down = x.copy(), x.copy()
        up[parameter] += 1e-5
        down[parameter] -= 1e-5
        values = [
            sum((p * i).sum() for p, i in zip(pulls, model.images(at), strict=True))
            for at in (up, down)
        ]
        assert gradient[parameter] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)


def test_thin_derivatives_are_of_the_light_at_the_centres_of_every_second_row():
    """Of bins that are small they are those of the bins; of bins that are not, of points there."""
    fine = make_pair_model(((160, 160), (160, 160)), 19.7, 0.3, 10, samples=48, bins=1)
    coarse = make_pair_model(((16, 16), (16, 16)), 1.97, 0.3, 10, samples=48)
    x = somewhere(fine)
    whole = fine.derivatives(fine.light(x))
    fine, coarse = (replace(model, thin=True) for model in (fine, coarse))
    thin = fine.derivatives(fine.light(x))
    few = coarse.derivatives(coarse.light(x))
    for at in (0, 1):
        for one, two in zip(thin[at], whole[at], strict=True):
            np.testing.assert_allclose(one, two[::2], atol=0.01 * abs(two).max())
        points = 100 * thin[at][:, ::10, ::10]  # bins of a hundred times the light
        np.testing.assert_allclose(few[at], points, atol=1e-5 * abs(points).max())


def test_the_bins_filter_is_that_of_a_square_pixel_and_a_gaussian():
    f = np.linspace(0, 1, 21)
    for step, blur in ((0.43, 0.0), (0.2, 0.0), (0.43, 0.5)):
        taps = bin_filter(step, blur)
        at = (np.arange(len(taps)) - len(taps) // 2) * step
        seen = (taps * np.cos(2 * np.pi * f[:, None] * at)).sum(axis=1)
        wanted = np.sinc(f * step) * np.exp(-2 * (np.pi * f * blur) ** 2)
        np.testing.assert_allclose(seen, wanted, atol=1e-4)


def test_the_pupil_lets_through_what_is_open():
    whole = sample_pupil(96).amplitude.sum() / 96**2
    assert whole == pytest.approx(np.pi / 4, rel=1e-3)
    annulus = sample_pupil(96, 0.3).amplitude.sum() / 96**2
    assert annulus / whole == pytest.approx(0.91, abs=2e-3)
    vanes = sample_pupil(96, 0.3, Spider(vanes=4, width=0.02)).amplitude
    assert annulus - vanes.sum() / 96**2 == pytest.approx(4 * 0.35 * 0.02, rel=0.1)


def test_too_few_pixels_are_reported():
    assert [bins_for(q) for q in (1.5, 1.97, 2.3, 4.0, 7.0, 10.0)] == [1, 1, 1, 1, 3, 4]
    with pytest.raises(LuckyError, match="Nyquist"):
        bins_for(1.49)


def test_a_coarse_sensor_is_modelled_between_its_pixels():
    """A pixel of 1.97 to lambda/D is the sum of 4 x 4 of a sensor that samples it finely."""
    fine = make_pair_model(((96, 96), (96, 96)), 7.88, 0.3, 15, bins=2)
    coarse = make_pair_model(((24, 24), (24, 24)), 1.97, 0.3, 15)
    x = somewhere(coarse)
    x[:4] = 0
    shift = (4 - 1) / 2 / 7.88 * np.pi / 2  # pixel 12 of 24 is the middle of pixels 48 to 51
    y = x.copy()
    y[:4] = shift
    for one, other in zip(fine.images(y), coarse.images(x), strict=True):
        np.testing.assert_allclose(binned(one, 2), other, atol=2e-3 * other.max())


def test_a_blur_is_that_of_a_gaussian():
    """Of 0.4 lambda/D, 2.8 px, against a filter on the pixels."""
    shapes = ((56, 60), (60, 56))
    sharp = make_pair_model(shapes, SAMPLING, 0.3, 15, bins=1)
    blurred = make_pair_model(shapes, SAMPLING, 0.3, 15, bins=1, blur=0.4)
    x = somewhere(sharp)
    x[-1] = 0.3
    for one, two in zip(sharp.images(x), blurred.images(x), strict=True):
        expected = ndimage.gaussian_filter(one, 0.4 * SAMPLING)
        inside = np.s_[12:-12, 12:-12]
        np.testing.assert_allclose(two[inside], expected[inside], atol=2e-3 * expected.max())


def test_samples_of_the_pupil_suffice_for_the_window():
    """48, and a window and a half: the light repeats itself that many lambda/D away."""
    small = make_pair_model(((20, 20), (32, 32)), 2.5, 0.3, 6)
    great = make_pair_model(((20, 20), (100, 102)), 2.5, 0.3, 6)
    rim = len(sample_pupil(48).places) - 48
    assert [len(m.pupil.places) - rim for m in (small, great)] == [48, 62]
    assert small.size == 8
    assert [small.own(at).tolist() for at in (0, 1)] == [[0, 1, 4, 5, 6], [2, 3, 4, 5, 6, 7]]
