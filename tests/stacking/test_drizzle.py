import numpy as np
import pytest

from napari_lucky import LuckyError, Window, stack_mean
from napari_lucky.frames import ArrayFrames
from napari_lucky.stacking import stack_drizzled

RNG = np.random.default_rng(9)
WINDOW = Window(8, 10, 32, 32)


def gaussians(shifts, sigma, sky=0.0, oversample=8):
    """Return frames (n, 48, 52) of a star integrated over pixels, at (24, 26) - shift, flux 1e4."""
    fine = (np.arange(52 * oversample) + 0.5) / oversample - 0.5

    def profile(centre, side):
        wave = np.exp(-((fine[: side * oversample] - centre) ** 2) / 2 / sigma**2)
        return wave.reshape(side, oversample).sum(axis=1) / wave.sum()

    stars = [np.outer(profile(24 - dy, 48), profile(26 - dx, 52)) for dy, dx in shifts]
    return (1e4 * np.array(stars) + sky).astype(np.float32)


def width(image, scale):
    """Return the rms width along x, in pixels of the sensor."""
    x = np.arange(image.shape[1]) / scale
    light = image.sum(axis=0)
    mean = (x * light).sum() / light.sum()
    return np.sqrt(((x - mean) ** 2 * light).sum() / light.sum())


@pytest.mark.parametrize(("scale", "drop"), [(1.5, 1.0), (2, 0.7), (3, 0.5), (3, 1.0)])
def test_flux_level_and_place_are_kept(scale, drop):
    shifts = RNG.uniform(-3, 3, (60, 2))
    frames = gaussians(shifts, 0.8, sky=50)
    made = stack_drizzled(
        ArrayFrames(frames), shifts, np.arange(60), WINDOW, scale=scale, fraction=drop
    )
    assert made.image.shape == (round(32 * scale),) * 2
    assert made.scale == scale
    assert np.median(made.image) == pytest.approx(50, rel=1e-6)
    light = made.image - 50
    assert light.sum() / scale**2 == pytest.approx(1e4, rel=0.01)
    y, x = np.indices(light.shape)
    at = [(axis * light).sum() / light.sum() for axis in (y, x)]
    # the centre of pixel k is (k + 1/2) / scale - 1/2 pixels of the sensor from the first one's
    np.testing.assert_allclose((np.array(at) + 0.5) / scale - 0.5, [16, 16], atol=0.03)


def test_an_undersampled_star_is_narrower_than_interpolation_makes_it():
    """Width² of a drizzled star: its own with its pixel, and the variances of drop and pixel."""
    shifts = RNG.uniform(-3, 3, (300, 2))
    frames = gaussians(shifts, 0.4)
    for scale, drop in ((2, 1.0), (2, 0.5), (3, 0.3)):
        made = stack_drizzled(
            ArrayFrames(frames), shifts, np.arange(300), WINDOW, scale=scale, fraction=drop
        )
        expected = np.sqrt(0.4**2 + 1 / 12 + drop**2 / 12 + 1 / scale**2 / 12)
        assert width(made.image, scale) == pytest.approx(expected, rel=0.02)


def test_one_unshifted_frame_by_hand():
    frame = RNG.normal(100, 10, (48, 52)).astype(np.float32)
    still, first = np.zeros((1, 2)), np.array([0])
    made = stack_drizzled(ArrayFrames(frame), still, first, WINDOW, scale=2, fraction=1.0)
    expected = np.repeat(np.repeat(frame[WINDOW.slices], 2, axis=0), 2, axis=1)
    np.testing.assert_allclose(made.image, expected, rtol=1e-6)
    assert (made.coverage == 1).all()
    half = stack_drizzled(ArrayFrames(frame), still, first, WINDOW, scale=2, fraction=0.5)
    np.testing.assert_allclose(half.coverage, 0.25)  # a quarter of the light's area, everywhere
    third = stack_drizzled(ArrayFrames(frame), still, first, WINDOW, scale=3, fraction=0.2)
    assert np.isnan(third.image).sum() == third.image.size * 8 // 9  # between the drops
    np.testing.assert_allclose(third.image[1::3, 1::3], frame[WINDOW.slices], rtol=1e-6)


def test_drops_come_from_beyond_the_window_and_masked_pixels_have_none():
    frames = RNG.normal(100, 1, (40, 48, 52)).astype(np.float32)
    frames[:, 20, 20] = np.nan
    shifts = RNG.uniform(-6, 6, (40, 2))
    made = stack_drizzled(ArrayFrames(frames), shifts, np.arange(40), WINDOW, scale=2, fraction=0.8)
    assert np.isfinite(made.image).all()
    assert made.coverage[:, 0].mean() == pytest.approx(made.coverage.mean(), rel=0.05)
    assert made.coverage.mean() == pytest.approx(40 * 0.8**2 * (1 - 1 / 32**2), rel=0.01)


def test_the_variance_is_true():
    shifts = RNG.uniform(-3, 3, (150, 2))
    frames = RNG.normal(100, 10, (150, 48, 52)).astype(np.float32)
    for scale, drop in ((1.5, 1.0), (2, 0.7), (3, 0.5)):
        made = stack_drizzled(
            ArrayFrames(frames), shifts, np.arange(150), WINDOW, scale=scale, fraction=drop
        )
        assert 0.93 < ((made.image - 100) / np.sqrt(made.variance)).std() < 1.07


@pytest.mark.parametrize("n", [10, 30])
def test_the_variance_is_true_in_a_bright_core_too(n):
    """Frames sample steep light at different places: that is no noise."""
    y, x = np.mgrid[:48, :52] - np.array([22, 26])[:, None, None]
    shifts = RNG.uniform(-3, 3, (n, 2))
    light = [100 + 5000 * np.exp(-((y + dy) ** 2 + (x + dx) ** 2) / 3.4) for dy, dx in shifts]
    made = []
    for _ in range(24):
        frames = RNG.normal(light, np.sqrt(light)).astype(np.float32)
        made.append(
            stack_drizzled(ArrayFrames(frames), shifts, np.arange(n), WINDOW, scale=2, fraction=0.7)
        )
    true = np.var([stack.image for stack in made], axis=0, ddof=1)
    told = np.mean([stack.variance for stack in made], axis=0)
    core = made[0].image > 2000
    assert core.sum() > 10
    assert np.sqrt(told[core].mean() / true[core].mean()) == pytest.approx(1, abs=0.1)
    assert np.sqrt(told[~core].mean() / true[~core].mean()) == pytest.approx(1, abs=0.07)


def test_a_scale_or_a_drop_of_no_use_is_reported():
    frames = ArrayFrames(np.ones((2, 48, 52), np.float32))
    for (scale, drop), told in (
        ((2.5, 0.7), "1.5, 2.0, 3.0"),
        ((2, 0.0), "from 0.1 to 1"),
        ((2, 1.1), "from 0.1"),
    ):
        with pytest.raises(LuckyError, match=told):
            stack_drizzled(
                frames, np.zeros((2, 2)), np.arange(2), WINDOW, scale=scale, fraction=drop
            )


def test_with_whole_drops_and_whole_shifts_it_is_the_mean():
    frames = RNG.normal(100, 10, (9, 48, 52)).astype(np.float32)
    made = stack_drizzled(
        ArrayFrames(frames), np.zeros((9, 2)), np.arange(9), WINDOW, scale=3, fraction=1.0
    )
    plain = stack_mean(ArrayFrames(frames), np.arange(9), WINDOW)
    np.testing.assert_allclose(made.image[1::3, 1::3], plain.image, rtol=1e-6)
    np.testing.assert_allclose(made.variance[1::3, 1::3], plain.variance, rtol=1e-5)
