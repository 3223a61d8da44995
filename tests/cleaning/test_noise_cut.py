import numpy as np
import pytest
from scipy import fft

from napari_lucky import LuckyError, Window
from napari_lucky.cleaning import NoiseCut
from napari_lucky.cleaning.low_pass import weighted_mean
from napari_lucky.cleaning.noise_cut import NEAR, REACH, CutNoise, _filled, _is_signal, _taper
from napari_lucky.frames import ArrayFrames

RNG = np.random.default_rng(12)
READ_NOISE, SKY, PHOTONS = 6.0, 20.0, 6e5


def airy(sampling, side=192):
    """Return the image of a star through a round pupil, of flux 1, off a pixel's centre."""
    y, x = np.mgrid[:side, :side] - side // 2
    wave = (np.hypot(y, x) <= side / 2 / sampling) * np.exp(
        -2j * np.pi * (0.3 * y - 0.2 * x) / side
    )
    image = np.abs(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(wave)))) ** 2
    return image / image.sum()


def observed(sampling, n=10, photons=PHOTONS):
    """Return the noise-free image of a star and n frames of it with photon and read noise."""
    true = SKY + photons * airy(sampling)
    noisy = RNG.poisson(true, (n, *true.shape)) + RNG.normal(0, READ_NOISE, (n, *true.shape))
    return true, noisy.astype(np.float32)


def rms(difference):
    return np.sqrt(np.mean(np.square(difference, dtype=np.float64)))


class Watched(ArrayFrames):
    """Frames that note how many pixels of a frame were read at most."""

    most = 0

    def read(self, frames, window=None):
        Watched.most = max(Watched.most, np.prod((window or Window.whole(self.shape)).shape))
        return super().read(frames, window)


@pytest.mark.parametrize("tile", [64, 30, 8])
@pytest.mark.parametrize("shape", [(160, 200), (64, 64), (33, 120), (9, 11), (8, 8)])
def test_what_is_not_cut_comes_back_as_it_was(shape, tile):
    frames = RNG.normal(200, 3, (2, *shape)).astype(np.float32)
    made = NoiseCut(ArrayFrames(frames), 0, tile).read(slice(None))
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, frames, rtol=1e-6)


@pytest.mark.parametrize(("sigma", "slack"), [(1, 0.01), (1.5, 0.03), (2, 0.1)])
def test_of_mere_noise_exp_minus_sigma_squared_of_the_coefficients_is_kept(sigma, slack):
    noise = RNG.normal(0, 3, (200, 64, 64)).astype(np.float32)
    kept = _is_signal(fft.rfft2(noise * _taper(64)), sigma).mean()
    assert kept == pytest.approx(np.exp(-(sigma**2)), rel=slack)


def test_the_noise_is_measured_whatever_star_is_in_the_tile():
    true, noisy = observed(7, photons=1e5)
    middle = slice(64, 128)
    spectra = fft.rfft2(noisy[:, middle, middle] * _taper(64))
    variance = (true[middle, middle] + READ_NOISE**2) * _taper(64) ** 2
    limit = 0.5 * variance.sum()  # half the mean of an exponential: exp(-1/2) are above
    corner = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(64)) > 0.5
    above = (np.abs(spectra) ** 2 > limit)[:, corner].mean()
    assert above == pytest.approx(np.exp(-0.5), rel=0.04)
    kept = _is_signal(spectra, np.sqrt(0.5))[:, corner].mean()
    assert kept == pytest.approx(above, rel=0.04)


@pytest.mark.parametrize(("sampling", "less", "core_less"), [(2, 1.45, 1.05), (7, 3.5, 3.2)])
def test_a_star_comes_out_nearer_to_the_truth(sampling, less, core_less):
    """Measured: 1.54 and 1.13 (core) at 2 px per lambda/D; 3.9 and 3.7 at 7 px."""
    true, noisy = observed(sampling)
    made = NoiseCut(ArrayFrames(noisy), 3).read(slice(None))
    for size, gain in ((128, less), (32, core_less)):
        inner = (slice(None), *Window.centred(96, 96, size).slices)
        assert rms((noisy - true)[inner]) > gain * rms((made - true)[inner])
    peak = np.unravel_index(true.argmax(), true.shape)
    noise = np.sqrt(true[peak] + READ_NOISE**2)
    assert rms((made - true)[:, *peak]) < 1.2 * noise
    assert abs((made - true)[:, *peak].mean()) < 3e-3 * true[peak]


@pytest.mark.parametrize("sampling", [2, 7])
def test_flux_is_kept(sampling):
    true, noisy = observed(sampling)
    made = NoiseCut(ArrayFrames(noisy), 3).read(slice(None))
    change = (made.astype(np.float64) - noisy).sum(axis=(1, 2))
    assert np.abs(change).max() < 1e-6 * noisy[0].sum()  # over the sensor, to rounding
    inner = (slice(None), *Window.centred(96, 96, 128).slices)
    change = (made.astype(np.float64) - noisy)[inner].sum(axis=(1, 2))
    assert abs(change.mean()) < 5e-4 * PHOTONS
    noise = np.sqrt((true + READ_NOISE**2)[inner[1:]].sum())
    assert rms(change) < 0.5 * noise  # noise that lies along the window's edge


def test_an_even_light_stays_as_it_is():
    frames = np.full((1, 100, 130), 1234.5, np.float32)
    frames[0] += 0.01 * RNG.normal(0, 1, frames.shape[1:])
    made = NoiseCut(ArrayFrames(frames), 5).read(slice(None))
    assert rms(made - 1234.5) < 0.002
    assert np.abs(made - 1234.5).max() < 0.02


@pytest.mark.parametrize("mask", [False, True])
def test_a_window_has_the_pixels_of_the_whole_frame(mask):
    frames = observed(7, 2)[1]
    if mask:
        frames[:, RNG.integers(0, 192, 300), RNG.integers(0, 192, 300)] = np.nan
        frames[1, 40:80, 90:150] = np.nan
    view = NoiseCut(ArrayFrames(frames), 2.5)
    whole = view.read(slice(None))
    for window in (
        Window(0, 0, 8, 8),
        Window(61, 70, 64, 64),
        Window(100, 3, 92, 20),
        Window(183, 0, 9, 192),
    ):
        made = view.read(slice(None), window)
        np.testing.assert_allclose(made, whole[(slice(None), *window.slices)], rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(view.read(np.array([1])), whole[1:])


def test_masked_pixels_stay_masked_and_do_not_spread():
    true, noisy = observed(7, 4)
    frames = noisy.copy()
    frames[:, 50, 60] = np.nan
    frames[2, 94:97, 98] = np.nan
    frames[3, 20:60, 20:60] = np.inf
    made = NoiseCut(ArrayFrames(frames), 3).read(slice(None))
    np.testing.assert_array_equal(np.isnan(made), ~np.isfinite(frames))
    assert np.nanmax(np.abs(made - true)) < 1.2 * np.abs(noisy - true).max()
    assert np.isnan(NoiseCut(ArrayFrames(np.full_like(frames, np.nan)), 3).read(slice(0, 1))).all()


def test_a_large_hole_in_an_even_light_leaves_no_trace():
    frames = np.full((1, 160, 160), 500, np.float32)
    frames[0, 30:140, 40:75] = np.nan
    made = NoiseCut(ArrayFrames(frames), 3).read(slice(None))
    np.testing.assert_allclose(made[np.isfinite(frames)], 500, rtol=1e-5)


def test_a_small_window_costs_a_little_more_than_itself():
    frames = Watched(np.ones((1, 700, 800), np.float32))
    NoiseCut(frames, 3).read(slice(None), Window(300, 310, 128, 128))
    assert Watched.most <= (128 + 3 * 32 + 2 * 32) ** 2


@pytest.mark.parametrize("sigma", [0, -1, 10.5, np.nan, np.inf])
def test_thresholds_that_make_no_sense_are_reported(sigma):
    with pytest.raises(LuckyError, match="a number above 0, at most 10 σ"):
        CutNoise(sigma=sigma)
    if sigma:
        with pytest.raises(LuckyError, match="sigma"):
            NoiseCut(ArrayFrames(np.ones((1, 64, 64))), sigma)


@pytest.mark.parametrize("tile", [0, 6, 63])
def test_tiles_that_make_no_sense_are_reported(tile):
    with pytest.raises(LuckyError, match="must be even"):
        NoiseCut(ArrayFrames(np.ones((1, 64, 64))), 3, tile)


@pytest.mark.parametrize("part", [0.0, 0.005, 0.3])
def test_few_holes_and_many_are_filled_alike(part):
    rng = np.random.default_rng(2)
    block = rng.normal(100, 10, (2, 60, 50)).astype(np.float32)
    block[rng.random(block.shape) < part] = np.nan
    if part:
        block[0, 20:28, 20:28] = np.nan  # in its middle there is nothing near
    inner = (slice(None), slice(REACH, -REACH), slice(REACH, -REACH))
    holes, filled = _filled(block)
    np.testing.assert_array_equal(holes, np.isnan(block[inner]))
    means = np.where(np.isnan(block), weighted_mean(block, NEAR), block)[inner]
    np.testing.assert_allclose(filled, means, rtol=1e-6)
