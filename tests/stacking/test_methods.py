import numpy as np
import pytest

from napari_lucky import LuckyError, Window, stack, stack_mean, stack_pair
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging import Shifted
from napari_lucky.stacking import (
    quality_weights,
    stack_clipped,
    stack_drizzled,
    stack_fourier,
    stack_median,
)
from napari_lucky.stacking.methods import stack_method
from napari_lucky.steps.registry import load_steps

STACKS = list(load_steps()["stack"])
RNG = np.random.default_rng(12)
FRAMES = RNG.normal(100, 10, (24, 50, 60)).astype(np.float32)
SHIFTS = RNG.uniform(-4, 4, (24, 2))
QUALITY = RNG.uniform(1, 2, 24)
WINDOW = Window(8, 10, 24, 28)
EVERY = np.arange(24)


@pytest.mark.parametrize(
    ("text", "name", "numbers"),
    [
        ("mean", "mean", ()),
        ("median", "median", ()),
        ("clipped", "clipped", (3.0,)),
        ("clipped,2.5", "clipped", (2.5,)),
        ("weighted", "weighted", (1.0,)),
        ("weighted , 2", "weighted", (2.0,)),
        ("fourier,0.2", "fourier", (0.2,)),
        ("drizzle", "drizzle", (2.0, 0.7)),
        ("drizzle,1.5", "drizzle", (1.5, 0.7)),
        ("drizzle,3,1", "drizzle", (3.0, 1.0)),
    ],
)
def test_a_text_names_a_method_and_its_numbers(text, name, numbers):
    found = stack_method(text)
    own = {key: value for key, value in dict(found).items() if key != "subpixel"}
    assert (found.kind, tuple(own.values())) == (name, numbers)
    assert stack_method(found) is found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sum", "it must be one of"),
        ("mean,3,4", "one value too many"),
        ("clipped,x", "sigma is 'x'; it must be a number"),
        ("clipped,1", "from 2"),
        ("clipped,NaN", "from 2"),
        ("weighted,0", "power is 0"),
        ("weighted,Infinity", "power"),
        ("fourier,2", "above 0, at most 1"),
        ("drizzle,2.2", "one of 1.5, 2.0, 3.0"),
        ("drizzle,2,0", "from 0.1 to 1"),
        ("drizzle,2,0.5,true,1", "one value too many"),
    ],
)
def test_what_is_no_method_is_reported(text, told):
    with pytest.raises(LuckyError, match=told):
        stack_method(text)


def test_each_method_is_the_function_of_its_name():
    frames = ArrayFrames(FRAMES)
    shifted = Shifted(frames, SHIFTS)
    weights = quality_weights(QUALITY, EVERY, 2)
    expected = {
        "mean": stack_mean(shifted, EVERY, WINDOW),
        "median": stack_median(shifted, EVERY, WINDOW),
        "clipped,2.5": stack_clipped(shifted, EVERY, WINDOW, sigma=2.5),
        "weighted,2": stack_mean(shifted, EVERY, WINDOW, weights=weights),
        "fourier,0.2": stack_fourier(shifted, EVERY, WINDOW, fraction=0.2),
        "drizzle,3,0.5": stack_drizzled(frames, SHIFTS, EVERY, WINDOW, scale=3, fraction=0.5),
    }
    assert {stack_method(text).kind for text in expected} == set(STACKS)
    for text, other in expected.items():
        made = stack(frames, SHIFTS, EVERY, WINDOW, method=text, quality=QUALITY)
        for name in ("image", "variance", "coverage"):
            np.testing.assert_array_equal(getattr(made, name), getattr(other, name))
        assert (made.count, made.scale) == (other.count, other.scale)
        assert made.image.dtype == made.variance.dtype == np.float32


@pytest.mark.parametrize("name", STACKS)
def test_a_constant_stays_what_it_is_with_masked_pixels_and_rounded_shifts(name):
    frames = np.full((24, 50, 60), 42, np.float32)
    frames[:, 20, 20] = np.nan
    made = stack(
        ArrayFrames(frames), SHIFTS, EVERY, WINDOW, method=name, subpixel=False, quality=QUALITY
    )
    np.testing.assert_allclose(made.image, 42, rtol=1e-5)
    np.testing.assert_allclose(made.variance, 0, atol=1e-6)


@pytest.mark.parametrize("name", STACKS)
def test_without_fractions_shifts_are_rounded_to_the_nearest_pixel(name):
    shifts = RNG.integers(-3, 4, (24, 2)) + RNG.uniform(-0.45, 0.45, (24, 2))
    shifts[:4] = [[0.5, -0.5], [1.5, -1.5], [2.5, -2.5], [-0.49, 0.49]]
    rounded = np.rint(shifts)
    rounded[:3] = [[1, 0], [2, -1], [3, -2]]
    frames = ArrayFrames(FRAMES)
    made = stack(frames, shifts, EVERY, WINDOW, method=name, subpixel=False, quality=QUALITY)
    expected = stack(frames, rounded, EVERY, WINDOW, method=name, quality=QUALITY)
    np.testing.assert_array_equal(made.image, expected.image)


@pytest.mark.parametrize("name", STACKS)
def test_a_mask_chooses_the_frames_that_are_true_in_it(name):
    frames, mask = ArrayFrames(FRAMES), QUALITY > 1.4
    made = stack(frames, SHIFTS, mask, WINDOW, method=name, quality=QUALITY)
    expected = stack(frames, SHIFTS, np.flatnonzero(mask), WINDOW, method=name, quality=QUALITY)
    np.testing.assert_array_equal(made.image, expected.image)
    assert made.count == expected.count
    assert made.shifted


@pytest.mark.parametrize(
    ("index", "told"),
    [
        (np.ones(23, bool), "mask of 23 frames does not fit a run of 24"),
        (np.zeros(24, bool), "nothing to stack"),
        (np.array([0.0, 1.0]), "whole numbers"),
        (np.array([3, 24]), "No frame 24"),
        (np.array([-1, 3]), "No frame -1"),
        (np.array([3, 4, 3]), "Frame 3 is given twice"),
    ],
)
def test_frames_that_cannot_be_stacked_are_reported(index, told):
    with pytest.raises(LuckyError, match=told):
        stack(ArrayFrames(FRAMES), SHIFTS, index, WINDOW)
    with pytest.raises(LuckyError, match=told):
        stack_mean(ArrayFrames(FRAMES), index, WINDOW)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize(("shift", "told"), [(1e12, "off the sensor"), (np.nan, "no shift")])
def test_shifts_that_leave_nothing_are_reported(name, shift, told):
    shifts = SHIFTS.copy()
    shifts[5] = shift, 0
    with pytest.raises(LuckyError, match=f"Frame 5 .*{told}"):
        stack(ArrayFrames(FRAMES), shifts, EVERY, WINDOW, method=name, quality=QUALITY)


def test_shifts_out_of_the_window_are_reported():
    with pytest.raises(LuckyError, match="out of the window"):
        stack(ArrayFrames(FRAMES), np.full((24, 2), 40.0), EVERY, WINDOW)


def test_a_mean_of_frames_that_are_not_shifted_says_so():
    frames = ArrayFrames(FRAMES)
    assert not stack_mean(frames, EVERY, WINDOW).shifted
    assert stack_mean(Shifted(frames, SHIFTS), EVERY, WINDOW).shifted
    made = {n: s for n, _, s in stack_pair(frames, SHIFTS, EVERY, WINDOW, None)}
    assert {name: found.shifted for name, found in made.items()} == {
        "focus": True, "long_exposure": False,
    }  # fmt: skip


@pytest.mark.parametrize("name", STACKS)
def test_the_same_to_the_bit_in_any_order(name):
    frames = ArrayFrames(FRAMES)
    one = stack(frames, SHIFTS, EVERY, WINDOW, method=name, quality=QUALITY)
    two = stack(frames, SHIFTS, RNG.permutation(24), WINDOW, method=name, quality=QUALITY)
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.variance, two.variance)


def test_fourier_lucky_chooses_among_all_frames_and_the_long_exposure_is_a_mean():
    frames, kept = ArrayFrames(FRAMES), np.array([3, 5])
    made = {
        name: found
        for name, _, found in stack_pair(
            frames, SHIFTS, kept, WINDOW, WINDOW, method="fourier,0.5", quality=QUALITY
        )
    }
    expected = stack_fourier(Shifted(frames, SHIFTS), EVERY, WINDOW, fraction=0.5)
    for name in ("focus", "defocus"):
        np.testing.assert_array_equal(made[name].image, expected.image)
        assert made[name].count == 12
    np.testing.assert_array_equal(
        made["long_exposure"].image, stack_mean(frames, EVERY, WINDOW).image
    )


@pytest.mark.parametrize("method", STACKS)
def test_a_window_may_be_a_place_and_a_size_and_frames_an_array(method):
    given = {"quality": QUALITY, "method": method}
    made = stack(FRAMES, SHIFTS, EVERY, (20, 24, 24), **given)
    expected = stack(ArrayFrames(FRAMES), SHIFTS, EVERY, Window(8, 12, 24, 24), **given)
    np.testing.assert_array_equal(made.image, expected.image)


def test_each_function_takes_a_place_and_a_size():
    window, expected = (20, 24, 24), Window(8, 12, 24, 24)
    for made, other in (
        (stack_mean(FRAMES, EVERY, window), stack_mean(FRAMES, EVERY, expected)),
        (stack_median(FRAMES, EVERY, window), stack_median(FRAMES, EVERY, expected)),
        (stack_clipped(FRAMES, EVERY, window), stack_clipped(FRAMES, EVERY, expected)),
        (stack_fourier(FRAMES, EVERY, window), stack_fourier(FRAMES, EVERY, expected)),
        (
            stack_drizzled(FRAMES, SHIFTS, EVERY, window),
            stack_drizzled(FRAMES, SHIFTS, EVERY, expected),
        ),
    ):
        np.testing.assert_array_equal(made.image, other.image)
