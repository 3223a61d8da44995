import numpy as np
import pytest

from napari_lucky import LuckyError, Window, stack_mean, stack_pair
from napari_lucky.execution.job import Job
from napari_lucky.fits import as_image
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging import Shifted
from napari_lucky.stacking import Stack, quality_weights
from napari_lucky.stacking.mean import blocks_of_sums

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


@pytest.mark.parametrize(
    "index", [slice(3, 20, 5), {13, 3, 18, 8}, np.isin(np.arange(30), [3, 8, 13, 18])]
)
def test_frames_are_chosen_by_a_slice_a_set_or_a_mask(index):
    made = stack_mean(ArrayFrames(FRAMES), index, WINDOW)
    expected = FRAMES[[3, 8, 13, 18]][(slice(None), *WINDOW.slices)].mean(axis=0)
    np.testing.assert_allclose(made.image, expected, rtol=1e-6)


def test_a_stack_as_an_array_is_its_image_and_a_copy_where_one_is_asked_for():
    made = stack_mean(ArrayFrames(FRAMES), np.arange(4), WINDOW)
    assert np.shares_memory(np.asarray(made), made.image)
    copied = np.array(made)
    assert not np.shares_memory(copied, made.image)
    np.testing.assert_array_equal(copied, made.image)
    assert np.asarray(made, np.float64).dtype == np.float64


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
                ArrayFrames(FRAMES), RNG.permutation(30), WINDOW, job=Job(executor=executor)
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
            ArrayFrames(frames), -places.astype(float), kept, focus, defocus
        )
    }
    assert list(made) == ["focus", "defocus", "long_exposure"]
    assert made["focus"].image[10, 10] == pytest.approx(100 + kept.mean())
    assert made["defocus"].image[12, 12] == pytest.approx(100 + kept.mean())
    assert np.nansum(made["defocus"].image) == pytest.approx(100 + kept.mean())
    assert made["long_exposure"].count == 10
    long_exposure = frames.mean(axis=0)[focus.slices]
    np.testing.assert_allclose(made["long_exposure"].image, long_exposure, rtol=1e-6)


def test_nothing_to_stack_is_reported():
    with pytest.raises(LuckyError, match="nothing to stack"):
        stack_mean(ArrayFrames(FRAMES), np.array([], int), WINDOW)


def test_the_variance_is_the_sample_variance_over_n():
    frames = FRAMES.copy()
    frames[:10, 10, 10] = np.nan
    frames[1:, 12, 12] = np.nan
    made = stack_mean(ArrayFrames(frames), np.arange(30), WINDOW)
    inside = frames[(slice(None), *WINDOW.slices)]
    expected = inside.var(axis=0, ddof=1, dtype=np.float64) / 30
    expected[5, 4] = inside[10:, 5, 4].var(ddof=1) / 20
    expected[7, 6] = np.nan  # of one value there is none
    np.testing.assert_allclose(made.variance, expected, rtol=1e-5)


@pytest.mark.parametrize("subpixel", [True, False])
def test_pulls_of_a_shifted_star_in_photon_and_read_noise(subpixel):
    """A static scene: the stack less the truth, over its error bar, is as wide as it should be."""
    y, x = np.mgrid[:90, :90]
    shifts = RNG.uniform(-4, 4, (150, 2))
    shifts = shifts if subpixel else np.rint(shifts)

    def scene(dy, dx):
        return 100 + 1500 * np.exp(-((y - 45 + dy) ** 2 + (x - 45 + dx) ** 2) / 32)

    light = np.array([scene(*shift) for shift in shifts])
    frames = RNG.normal(light, np.sqrt(light / 2 + 9)).astype(np.float32)
    window = Window.centred(45, 45, 60)
    made = stack_mean(Shifted(ArrayFrames(frames), shifts), np.arange(150), window)
    pull = (made.image - scene(0, 0)[window.slices]) / np.sqrt(made.variance)
    core = np.hypot(*np.mgrid[-30:30, -30:30]) < 6
    assert 0.93 < pull.std() < 1.07
    assert 0.8 < pull[core].std() < 1.2


def test_weights_by_hand_and_their_variance():
    index = np.array([2, 5, 11])
    quality = np.full(30, np.nan)
    quality[index] = [4.0, 2.0, -1.0]
    weights = quality_weights(quality, index, 2.0)
    assert weights[index].tolist() == [1.0, 0.25, 0.0]
    made = stack_mean(ArrayFrames(FRAMES), index, WINDOW, weights=weights)
    two = FRAMES[[2, 5]][(slice(None), *WINDOW.slices)].astype(float)
    mean = (two[0] + 0.25 * two[1]) / 1.25
    np.testing.assert_allclose(made.image, mean, rtol=1e-6)
    spread = (two[0] - mean) ** 2 + 0.25**2 * (two[1] - mean) ** 2
    np.testing.assert_allclose(made.variance, spread / (1.25**2 - 1.0625), rtol=1e-4)


def test_weights_in_proportion_to_the_star_make_the_greatest_signal_to_noise():
    height = RNG.uniform(0.2, 2, 400)
    frames = RNG.normal(0, 10, (400, 16, 16)).astype(np.float32)
    frames[:, 8, 8] += 100 * height
    reached = {}
    for power in (0.5, 1.0, 2.0):
        weights = quality_weights(height, np.arange(400), power)
        own = 100 * (weights @ height) / weights.sum()
        window = Window(0, 0, 16, 16)
        made = stack_mean(ArrayFrames(frames), np.arange(400), window, weights=weights)
        assert made.image[8, 8] == pytest.approx(own, rel=0.05)
        away = np.ones((16, 16), bool)
        away[8, 8] = False
        assert np.median(made.variance) == pytest.approx(made.image[away].var(), rel=0.2)
        reached[power] = own / np.sqrt(100 * (weights**2).sum()) * weights.sum()
    assert reached[1.0] > max(reached[0.5], reached[2.0])


def test_what_has_no_quality_cannot_be_weighted():
    for quality in (None, np.full(30, np.nan)):
        with pytest.raises(LuckyError, match="rank the frames first"):
            quality_weights(quality, np.arange(3))
    with pytest.raises(LuckyError, match="over zero"):
        quality_weights(np.full(30, -1.0), np.arange(3))


def test_masked_pixels_count_the_same_however_the_frames_lie_in_memory():
    frames = np.random.default_rng(4).normal(100, 1, (5, 20, 24)).astype(np.float32)
    frames[1, 3, 4], frames[:4, 7, 7] = np.nan, np.nan
    expected = np.nanmean(frames[:, 2:14, 2:16].astype(np.float64), axis=0)
    for lies in (
        frames,
        np.asfortranarray(frames),
        frames.transpose(0, 2, 1).copy().transpose(0, 2, 1),
    ):
        made = stack_mean(ArrayFrames(lies), np.arange(5), Window(2, 2, 12, 14))
        np.testing.assert_allclose(made.image, expected, rtol=1e-6)
        assert made.coverage[1, 2] == 4


def test_a_stack_becomes_ccddata_and_is_taken_back(tmp_path):
    frames = np.random.default_rng(4).normal(100, 3, (9, 16, 20)).astype(np.float32)
    frames[:, 3, 4] = np.nan
    stack = stack_mean(ArrayFrames(frames), np.arange(9), Window(0, 0, 16, 20))
    ccd = stack.to_ccddata()
    assert (str(ccd.unit), ccd.meta["NCOMBINE"]) == ("adu", 9)
    np.testing.assert_array_equal(ccd.mask, stack.coverage == 0)
    assert ccd.mask.sum() == 1
    np.testing.assert_array_equal(ccd.uncertainty.array, stack.variance)
    assert str(ccd.uncertainty.unit) == "adu2"
    np.testing.assert_array_equal(as_image(ccd), stack.image)
    ccd.write(tmp_path / "stack.fits")
    assert Stack(stack.image, stack.coverage, 9).to_ccddata().uncertainty is None


def test_weights_count_by_their_ratio_alone():
    frames = FRAMES.copy()
    frames[3, 10, 10] = np.nan
    weights = RNG.uniform(0.2, 1, 30)
    one, other = (
        stack_mean(ArrayFrames(frames), np.arange(30), WINDOW, weights=weights * scale)
        for scale in (1, 2.0**-40)
    )
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.variance, other.variance)
    assert (one.coverage == other.coverage).all() and one.coverage[5, 4] == 29
    quality = quality_weights(weights, np.array([4, 7]))
    assert np.flatnonzero(quality).tolist() == [4, 7]  # those that are not stacked have none


@pytest.mark.parametrize("pixels", [64, 128 * 128, 256 * 256, 4000 * 6000])
@pytest.mark.parametrize("n", [1, 7, 40, 200, 1000, 20_001])
def test_blocks_of_sums_hold_each_frame_once(n, pixels):
    blocks = blocks_of_sums(n, pixels)
    np.testing.assert_array_equal(np.concatenate([np.arange(n)[one] for one in blocks]), range(n))
    assert len(blocks) >= min(n // 16, 16)
    assert max(one.stop - one.start for one in blocks) <= 256
