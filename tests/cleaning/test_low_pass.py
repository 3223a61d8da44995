import numpy as np
import pytest

from napari_lucky import LuckyError, Window
from napari_lucky.cleaning import LowPass, cutoff_in_pixels
from napari_lucky.cleaning.low_pass import check_low_pass, weighted_mean
from napari_lucky.frames import ArrayFrames

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("cutoff", [0.02, 0.05, 0.14, 0.25])
@pytest.mark.parametrize("frequency", [0.01, 0.06, 0.14, 0.25, 0.4])
@pytest.mark.parametrize("angle", [0, 0.6])
def test_a_wave_keeps_the_amplitude_of_its_frequency(cutoff, frequency, angle):
    y, x = np.mgrid[:220, :230]
    wave = np.cos(2 * np.pi * frequency * (y * np.sin(angle) + x * np.cos(angle)))
    window = Window(80, 85, 60, 60)  # no mirrored wave comes in
    made = LowPass(ArrayFrames(wave[None]), cutoff).read(slice(None), window)[0]
    gain = 2 ** -((frequency / cutoff) ** 2)
    np.testing.assert_allclose(made, gain * wave[window.slices], atol=1e-3)


@pytest.mark.parametrize("cutoff", [0.35, 0.5, 0.8, 1.0])
def test_a_high_cutoff_holds_to_0_002(cutoff):
    x = np.arange(200)
    for frequency in (0.1, 0.3, 0.4):
        wave = np.cos(2 * np.pi * frequency * x) * np.ones((9, 1))
        made = LowPass(ArrayFrames(wave[None]), cutoff).read(slice(None))[0]
        gain = 2 ** -((frequency / cutoff) ** 2)
        np.testing.assert_allclose(made[:, 20:-20], gain * wave[:, 20:-20], atol=2e-3)


@pytest.mark.parametrize("cutoff", [0.05, 0.14])
def test_noise_falls_by_the_known_factor(cutoff):
    noise = RNG.normal(0, 3, (4, 400, 400))
    made = LowPass(ArrayFrames(noise), cutoff).read(slice(None), Window(60, 60, 280, 280))
    sigma = np.sqrt(np.log(2) / 2) / np.pi / cutoff
    assert made.std() == pytest.approx(3 / (2 * np.sqrt(np.pi) * sigma), rel=0.05)


@pytest.mark.parametrize("cutoff", [0.02, 0.14, 0.5])
def test_flux_is_kept_at_the_edge_too(cutoff):
    frame = np.zeros((1, 50, 60), np.float32)
    frame[0, 2, 30], frame[0, 25, 59], frame[0, 30, 30] = 1000, 500, 2000
    made = LowPass(ArrayFrames(frame), cutoff).read(slice(None))
    assert made.dtype == np.float32
    assert made.sum() == pytest.approx(3500, rel=1e-5)


@pytest.mark.parametrize("cutoff", [0.03, 0.14, 0.5])
@pytest.mark.parametrize("masked", ["none", "the same", "others"])
def test_a_window_has_the_pixels_of_the_whole_frame(cutoff, masked):
    frames = RNG.normal(200, 3, (3, 150, 170)).astype(np.float32)
    if masked != "none":
        frames[:, RNG.integers(0, 150, 300), RNG.integers(0, 170, 300)] = np.nan
    if masked == "others":
        frames[1, 40:60, 50:90] = np.nan
    view = LowPass(ArrayFrames(frames), cutoff)
    whole = view.read(slice(None))
    for window in (Window(0, 0, 8, 8), Window(70, 61, 30, 40), Window(130, 100, 20, 70)):
        made = view.read(slice(None), window)
        np.testing.assert_allclose(made, whole[(slice(None), *window.slices)], rtol=1e-6)
    np.testing.assert_array_equal(view.read(np.array([2])), whole[2:])


@pytest.mark.parametrize("cutoff", [0.02, 0.14, 0.5])
def test_masked_pixels_have_no_weight_and_do_not_spread(cutoff):
    frames = np.full((2, 60, 60), 300, np.float32)
    frames[:, 30, 31] = np.nan
    frames[1, 10:25, 5:25] = np.inf
    frames[1, 40:50, 40:50] = np.nan
    frames[1, 45, 45] = 300  # alone
    made = LowPass(ArrayFrames(frames), cutoff).read(slice(None))
    np.testing.assert_array_equal(np.isnan(made), ~np.isfinite(frames))
    np.testing.assert_allclose(made[np.isfinite(frames)], 300, rtol=1e-5)


def test_a_frame_smaller_than_the_kernel_has_its_mean():
    frame = RNG.normal(100, 3, (1, 8, 9))
    made = LowPass(ArrayFrames(frame), 0.01).read(slice(None))
    np.testing.assert_allclose(made, frame.mean(), rtol=1e-3)


def test_the_mean_of_what_is_not_masked():
    block = np.array([[[1, 2, np.nan, np.nan, np.nan, 6]]], np.float32)
    made = weighted_mean(block, np.array([0.25, 0.5, 0.25]))
    np.testing.assert_allclose(made[0, 0], [1.25, 5 / 3, 2, np.nan, 6, 6])


def test_a_cutoff_of_1_is_where_the_telescope_passes_nothing_more():
    """The spectrum of an Airy disc ends there."""
    assert cutoff_in_pixels(1, 7) == pytest.approx(1 / 7)
    assert cutoff_in_pixels(0.5, 2) == pytest.approx(0.25)
    side, sampling = 210, 7
    y, x = np.mgrid[:side, :side] - side // 2
    pupil = np.hypot(y, x) <= side / sampling / 2  # lambda/D is `sampling` px in its transform
    light = np.abs(np.fft.fft2(pupil)) ** 2
    spectrum = np.abs(np.fft.fft2(light))[0] / light.sum()
    limit = round(cutoff_in_pixels(1, sampling) * side)
    assert spectrum[limit - 3] > 1e-3
    assert spectrum[limit + 1 : side // 2].max() < 1e-9


@pytest.mark.parametrize("cutoff", [0, -0.1, 0.009, 1.1, np.nan, np.inf])
def test_cutoffs_that_make_no_sense_are_reported(cutoff):
    with pytest.raises(LuckyError, match="cycles/px"):
        check_low_pass(cutoff)
    with pytest.raises(LuckyError, match="cycles/px"):
        LowPass(ArrayFrames(np.ones((1, 20, 20))), cutoff)


@pytest.mark.parametrize(
    ("cutoff", "sampling", "told"),
    [
        (0, 7, "diffraction limit"),
        (np.nan, 7, "diffraction limit"),
        (1, 0, "sampling"),
        (1, np.inf, "sampling"),
        (1, np.nan, "sampling"),
    ],
)
def test_units_that_make_no_sense_are_reported(cutoff, sampling, told):
    with pytest.raises(LuckyError, match=told):
        cutoff_in_pixels(cutoff, sampling)
