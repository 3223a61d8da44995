import numpy as np
import pytest

from napari_lucky import LuckyError, Window, stack_mean
from napari_lucky.frames import ArrayFrames
from napari_lucky.stacking import robust as of_clipping
from napari_lucky.stacking import stack_clipped, stack_median

RNG = np.random.default_rng(8)
WINDOW = Window(2, 3, 12, 16)


def noise(n, sigma=10.0):
    return RNG.normal(100, sigma, (n, 16, 24)).astype(np.float32)


def pull(stack, truth=100):
    return ((stack.image - truth) / np.sqrt(stack.variance)).std()


def hit(frames):
    """Put a cosmic ray on every pixel of the window, each in another frame."""
    y, x = np.mgrid[WINDOW.slices]
    frames[(y + x) % len(frames), y, x] += 5000
    return frames


@pytest.mark.parametrize("n", [2, 3, 7, 10])
def test_the_median_is_numpy_s(n):
    frames = noise(n)
    frames[0, 5, 5] = np.nan
    frames[:, 6, 6] = np.nan
    made = stack_median(ArrayFrames(frames), np.arange(n), WINDOW)
    seen = np.ones(WINDOW.shape, bool)
    seen[4, 3] = False
    expected = np.nanmedian(frames[(slice(None), *WINDOW.slices)][:, seen], axis=0)
    np.testing.assert_allclose(made.image[seen], expected, rtol=1e-6)
    assert made.coverage[3, 2] == n - 1
    assert made.coverage[4, 3] == 0
    assert np.isnan(made.image[4, 3])


def test_outliers_are_left_out_and_counted():
    frames = noise(20)
    clean = stack_mean(ArrayFrames(frames), np.arange(20), WINDOW)
    made = stack_clipped(ArrayFrames(hit(frames.copy())), np.arange(20), WINDOW, sigma=5)
    assert (made.coverage == 19).mean() > 0.95
    assert np.abs(made.image - clean.image).max() < 4
    assert np.median(made.variance) == pytest.approx(100 / 19, rel=0.1)
    median = stack_median(ArrayFrames(hit(frames.copy())), np.arange(20), WINDOW)
    assert np.abs(median.image - clean.image).max() < 10
    spoilt = stack_mean(ArrayFrames(hit(frames.copy())), np.arange(20), WINDOW)
    assert (spoilt.image - clean.image).min() > 200


def test_what_is_kept_is_averaged_by_hand():
    values = np.array([1, 2, 3, 4, 5, 6, 90], np.float32)  # median 4, sigma 1.4826 * 2
    frames = np.broadcast_to(values[:, None, None], (7, 16, 24))
    made = stack_clipped(ArrayFrames(frames), np.arange(7), WINDOW, sigma=3)
    np.testing.assert_allclose(made.image, 3.5)
    assert (made.coverage == 6).all()
    loss = of_clipping.clipping_loss(3) * (1 + of_clipping.few_loss(3) / 7)
    np.testing.assert_allclose(made.variance, loss * np.var(values[:6], ddof=1) / 6, rtol=1e-6)


@pytest.mark.parametrize("stack", [stack_median, stack_clipped])
def test_one_value_has_no_error_and_two_have(stack):
    frames = noise(5)
    frames[1:, 5, 5] = np.nan
    frames[2:, 6, 6] = np.nan
    made = stack(ArrayFrames(frames), np.arange(5), WINDOW)
    assert np.argwhere(np.isnan(made.variance)).tolist() == [[3, 2]]
    assert (made.coverage[3, 2], made.image[3, 2]) == (1, frames[0, 5, 5])
    assert made.image[4, 3] == pytest.approx(frames[:2, 6, 6].mean())


def test_equal_values_are_not_clipped_away():
    frames = np.full((9, 16, 24), 7, np.float32)
    frames[:4] = 8
    made = stack_clipped(ArrayFrames(frames), np.arange(9), WINDOW, sigma=3)
    np.testing.assert_allclose(made.image, (5 * 7 + 4 * 8) / 9, rtol=1e-6)


@pytest.mark.parametrize("sigma", [2, 2.5, 3, 5])
@pytest.mark.parametrize("n", [5, 10, 20, 150])
def test_the_variance_of_a_clipped_mean_is_true(sigma, n):
    frames = RNG.normal(100, 10, (n, 60, 60)).astype(np.float32)
    made = stack_clipped(ArrayFrames(frames), np.arange(n), Window(0, 0, 60, 60), sigma=sigma)
    assert np.sqrt(made.variance.mean()) == pytest.approx(made.image.std(), rel=0.08)


@pytest.mark.parametrize("clip", [2.0, 3.0, 5.0])
def test_the_loss_by_clipping_is_that_of_its_influence_function(clip):
    """Of x normal: what is kept of x, over its part p; and the median's, drawing the bounds."""
    x, step = np.linspace(-9, 9, 200001, retstep=True)
    density, kept = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * step, np.abs(x) <= clip
    p = density @ kept
    median = np.sqrt(np.pi / 2) * np.sign(x)
    drawn = 2 * clip * np.exp(-(clip**2) / 2) / np.sqrt(2 * np.pi) / p
    scatter = density @ (x**2 * kept) / p
    expected = density @ (x * kept / p + drawn * median) ** 2 / (scatter / p)
    assert of_clipping.clipping_loss(clip) == pytest.approx(expected, rel=1e-4)


def test_the_variance_of_a_median_is_true():
    frames = RNG.normal(100, 10, (150, 40, 60)).astype(np.float32)
    assert (
        0.95 < pull(stack_median(ArrayFrames(frames), np.arange(150), Window(0, 0, 40, 60))) < 1.07
    )


def test_by_tiles_or_at_once_is_the_same(monkeypatch):
    frames = noise(30)
    whole = [f(ArrayFrames(frames), np.arange(30), WINDOW) for f in (stack_median, stack_clipped)]
    for most in (30 * 5, 30 * 16 * 5):  # part of a row, and five rows
        monkeypatch.setattr(of_clipping.tiles_of, "__defaults__", (most,))
        assert len(of_clipping.tiles_of(WINDOW, 30)) > 2
        for function, expected in zip((stack_median, stack_clipped), whole, strict=True):
            made = function(ArrayFrames(frames), np.arange(30), WINDOW)
            for name in ("image", "variance", "coverage"):
                np.testing.assert_array_equal(getattr(made, name), getattr(expected, name))


def test_tiles_cover_the_window_once_and_hold_no_more_than_asked():
    seen = np.zeros((14, 19), int)
    for tile in of_clipping.tiles_of(WINDOW, 100, 100 * 37):
        seen[tile.slices] += 1
        assert tile.height * tile.width <= 37
    assert (seen[WINDOW.slices] == 1).all()
    assert seen.sum() == 12 * 16


def test_a_clip_that_takes_good_values_is_reported():
    with pytest.raises(LuckyError, match="from 2"):
        stack_clipped(ArrayFrames(noise(3)), np.arange(3), WINDOW, sigma=1.5)
