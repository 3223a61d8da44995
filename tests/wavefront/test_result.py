"""What follows from coefficients: rms, Strehl ratio, image and selection, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from made_wavefront import TASK, made
from napari_lucky.optics import Spider
from napari_lucky.optics.zernikes import zernike
from napari_lucky.wavefront.result import open_pupil

OBSTRUCTION = TASK.obstruction


def on_the_pupil(coefficients, n=400):
    """The wavefront on many points of the annulus."""
    y, x = (np.mgrid[:n, :n] - (n - 1) / 2) / (n / 2)
    rho, theta = np.hypot(y, x), np.arctan2(y, x)
    open_ = (rho <= 1) & (rho >= OBSTRUCTION)
    rho, theta = rho[open_], theta[open_]
    return sum(c * zernike(noll, rho, theta) for noll, c in enumerate(coefficients, start=4))


def test_rms_and_strehl_ratio_are_those_over_the_open_pupil():
    wavefront = made()
    phase = on_the_pupil(wavefront.coefficients_nm)
    assert wavefront.rms_nm == pytest.approx(phase.std(), rel=0.01)
    unit = 600 / (2 * np.pi)
    assert wavefront.task.nm_per_rad == pytest.approx(unit)
    strehl = np.abs(np.exp(1j * phase / unit).mean()) ** 2
    assert wavefront.strehl == pytest.approx(strehl, abs=0.005)
    found = wavefront.without
    assert found.shape == (12, 2)
    for at in (0, 4):
        rest = wavefront.coefficients_nm.copy()
        rest[at] = 0
        phase = on_the_pupil(rest)
        assert found[at, 0] == pytest.approx(phase.std(), rel=0.01)
        assert found[at, 1] == pytest.approx(
            np.abs(np.exp(1j * phase / unit).mean()) ** 2, abs=5e-3
        )


def test_the_image_is_the_wavefront_where_the_pupil_is_open():
    wavefront = made()
    image = wavefront.image_nm
    n = len(image)
    assert image.shape == (128, 128)  # 126 across, and one more at each side
    y, x = (np.mgrid[:n, :n] - (n - 1) / 2) / 63
    rho = np.hypot(y, x)
    assert np.isfinite(image[(rho < 0.98) & (rho > OBSTRUCTION + 0.02)]).all()
    assert np.isnan(image[(rho > 1.02) | (rho < OBSTRUCTION - 0.02)]).all()
    for at in ((64, 100), (30, 50)):
        point = [zernike(noll, rho[at], np.arctan2(y[at], x[at])) for noll in range(4, 16)]
        assert image[at] == pytest.approx(wavefront.coefficients_nm @ np.array(point), abs=0.1)


def test_a_spider_shuts_its_vanes():
    spider = Spider(vanes=4, width=0.05)
    shut = open_pupil(TASK.changed(spider=spider), 3).where
    assert 0.06 < 1 - shut.sum() / open_pupil(TASK, 3).where.sum() < 0.2


def test_turbulence_of_a_mode_is_kolmogorovs():
    """Noll 1976, table IV, less what correlates: 0.0232 of each mode of the second order."""
    wavefront = replace(made(), d_over_r0=4.0)
    known = [0.0232] * 3 + [0.00619] * 4 + [0.00245] * 5
    np.testing.assert_allclose(wavefront.kolmogorov_rad2, 4 ** (5 / 3) * np.array(known), rtol=0.02)


def test_the_best_frames_first():
    """Frames by Strehl ratio from the best: 5, 3, 2, 1, 0; frame 4 failed."""
    wavefront = made()
    assert (wavefront.used, wavefront.failed) == (5, 1)
    fraction, rms = wavefront.keep_curve()
    np.testing.assert_allclose(fraction, [0.2, 0.4, 0.6, 0.8, 1.0])
    own = wavefront.frames.coefficients_nm
    for count in (1, 3, 5):
        best = own[[5, 3, 2, 1, 0][:count]].mean(axis=0)
        assert rms[count - 1] == pytest.approx(on_the_pupil(best).std(), rel=0.01)
    worth = np.array([5.0, np.nan, 1.0, 9.0, 99.0, 2.0])
    fraction, rms = wavefront.keep_curve(worth)
    np.testing.assert_allclose(fraction, [0.25, 0.5, 0.75, 1.0])
    assert rms[1] == pytest.approx(on_the_pupil(own[[3, 0]].mean(axis=0)).std(), rel=0.01)


def test_the_residual_is_measured_less_model():
    pictures = made().pictures
    focus, donut = pictures.residual
    assert np.nanmean(focus) == pytest.approx(4)
    assert np.isnan(focus[2, 5])
    np.testing.assert_allclose(donut, -3, rtol=1e-5)
