import numpy as np
import pytest

from napari_lucky import ArrayFrames, LuckyError, Window, stack_mean, stack_pair

RNG = np.random.default_rng(5)
FRAMES = RNG.normal(100, 10, (30, 40, 50)).astype(np.float32)
WINDOW = Window(5, 6, 20, 24)


def test_the_mean_is_of_the_frames_stacked_not_of_those_read():
    """Old error 7: sums were divided by the frames read."""
    index = np.array([17, 3, 9])
    made = stack_mean(ArrayFrames(FRAMES), index, WINDOW)
    expected = FRAMES[index][(slice(None), *WINDOW.slices)].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(made.image, expected, rtol=1e-6)
    assert made.image.dtype == np.float32
    assert made.count == 3
    assert (made.coverage == 3).all()


def test_masked_pixels_are_filled_by_the_frames_that_have_them():
    frames = FRAMES[:4].copy()
    frames[0, 10, 10] = np.nan
    frames[:, 12, 12] = np.nan
    made = stack_mean(ArrayFrames(frames), np.arange(4), WINDOW)
    assert made.coverage[5, 4] == 3
    assert made.image[5, 4] == pytest.approx(frames[1:, 10, 10].mean(), rel=1e-6)
    assert np.argwhere(np.isnan(made.image)).tolist() == [[7, 6]]


def test_the_same_to_the_bit_in_any_order_and_on_any_executor():
    from concurrent.futures import ThreadPoolExecutor

    first = stack_mean(ArrayFrames(FRAMES), np.arange(30), WINDOW).image
    for workers in (1, 4):
        with ThreadPoolExecutor(workers) as executor:
            again = stack_mean(
                ArrayFrames(FRAMES), RNG.permutation(30), WINDOW, executor=executor
            ).image
        assert np.array_equal(first, again)


def test_the_pair_has_the_same_frames_and_the_same_shifts():
    """Old error 2: the defocused star came from the frame before the selected one."""
    frames = np.zeros((10, 60, 120), np.float32)
    places = RNG.integers(-6, 7, (10, 2))
    for k, (dy, dx) in enumerate(places):
        frames[k, 30 + dy, 30 + dx] = 100 + k  # focused star
        frames[k, 32 + dy, 90 + dx] = 100 + k  # defocused star: shaken alike
    kept = np.array([7, 2, 4])
    focus, defocus = Window.centred(30, 30, 20), Window.centred(32, 90, 24)
    made = {
        name: stack
        for name, _, stack in stack_pair(
            ArrayFrames(frames), -places.astype(float), kept, focus, defocus, True
        )
    }
    assert list(made) == ["focus", "defocus", "long_exposure"]
    assert made["focus"].image[10, 10] == pytest.approx(100 + kept.mean())
    assert made["defocus"].image[12, 12] == pytest.approx(100 + kept.mean())
    assert np.nansum(made["defocus"].image) == pytest.approx(100 + kept.mean())
    assert made["long_exposure"].count == 10
    long_exposure = frames.mean(axis=0)[focus.slices]
    np.testing.assert_allclose(made["long_exposure"].image, long_exposure, rtol=1e-6)


def test_nothing_to_stack_is_told():
    with pytest.raises(LuckyError, match="nothing to stack"):
        stack_mean(ArrayFrames(FRAMES), np.array([], int), WINDOW)
