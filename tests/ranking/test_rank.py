import numpy as np
import pytest
from scipy.stats import spearmanr

from napari_lucky import LuckyError, Rank, Select, Window, rank, select
from napari_lucky.frames import ArrayFrames
from napari_lucky.optics import Diffraction, diffraction_psf
from napari_lucky.ranking import METRICS
from napari_lucky.ranking.selection import threshold
from napari_lucky.registration import Registration

WINDOW = Window(4, 8, 64, 64)
PSF = Diffraction(4.0)


@pytest.fixture(scope="module")
def blurred():
    """Stars of the same flux and ever more blur, on other backgrounds, and their sharpness."""
    y, x = np.mgrid[:80, :90]
    rng = np.random.default_rng(3)
    sigma = rng.uniform(2, 5, 50)
    frames = [
        rng.uniform(50, 300)
        + 40_000 * np.exp(-((y - 36) ** 2 + (x - 40) ** 2) / (2 * s * s)) / (2 * np.pi * s * s)
        for s in sigma
    ]
    noisy = np.array(frames) + rng.normal(0, 2, (50, 80, 90))
    return ArrayFrames(noisy.astype(np.float32)), -sigma


@pytest.mark.parametrize("metric", METRICS)
def test_sharper_frames_rank_higher_whatever_their_background(blurred, metric):
    frames, sharpness = blurred
    assert (
        spearmanr(
            rank(frames, WINDOW, metric=metric, smooth=1.0, diffraction=PSF), sharpness
        ).statistic
        > 0.97
    )


def test_peak_is_in_adu_above_background():
    frames = np.full((1, 64, 64), 300, np.float32)
    frames[0, 30, 30] = 1300
    assert rank(ArrayFrames(frames), Window.whole((64, 64)), metric="peak", smooth=0).tolist() == [
        1000
    ]


def test_arrays_are_frames_and_the_window_follows_a_star_to_the_reference():
    frames = np.zeros((3, 64, 64), np.float32)
    for frame, (y, x) in enumerate([(20, 20), (20, 50), (45, 30)]):
        frames[frame, y, x] = 100 * (frame + 1)
    shifts = np.array([(0, 0), (0, -30), (-25, -10)])
    whole = rank(frames, (20, 20, 16), metric="peak", smooth=0, shifts=shifts, reference=(20, 20))
    assert whole.tolist() == [100, 200, 300]
    found = Registration(20 - shifts, (20.0, 20.0), Window.centred(20, 20, 16))
    again = rank(frames, (20, 20, 16), metric="peak", smooth=0, shifts=found)
    assert again.tolist() == [100, 200, 300]


def test_a_step_is_refused_without_what_its_metric_needs():
    with pytest.raises(LuckyError, match="psf-correlation needs"):
        Rank(metric="psf-correlation")
    with pytest.raises(LuckyError, match="smoothing is -1 pixels"):
        rank(np.zeros((2, 64, 64), np.float32), (32, 32, 64), smooth=-1)
    assert Rank(metric="psf-correlation", sampling=5).diffraction == Diffraction(5, 0)


def test_what_to_keep_takes_the_place_of_a_quality():
    changed = Select(above=4.0).changed(keep=7)
    assert (changed.keep, changed.above) == (7, None)
    assert Select(keep=7).changed(above=4.0).above == 4
    assert Select(above=4.0).changed(keep=7, above=3.0).above == 3


def test_frames_are_ranked_on_one_scale():
    """Old error 1: each frame was stretched to its own range first, so all peaks were equal."""
    y, x = np.mgrid[:64, :64]
    star = np.exp(-((y - 30) ** 2 + (x - 30) ** 2) / 20)
    frames = 100 + np.array([500, 1500, 1000])[:, None, None] * star
    quality = rank(
        ArrayFrames(frames.astype(np.float32)), Window.whole((64, 64)), metric="peak", smooth=0
    )
    np.testing.assert_allclose(quality, [500, 1500, 1000], rtol=1e-3)


def test_frames_without_a_star_have_no_quality(blurred):
    frames = blurred[0].array[:5].copy()
    frames[2], frames[3] = 5, np.nan
    for metric in METRICS:
        quality = rank(ArrayFrames(frames), WINDOW, metric=metric, diffraction=PSF)
        assert np.isnan(quality).tolist() == [
            False,
            False,
            True,
            True,
            False,
        ]


@pytest.mark.parametrize(
    ("keep", "count"), [(0.1, 20), (0.01, 10), (1.0, 200), (0.0625, 13), (1, 1), (200, 200), (7, 7)]
)
def test_a_float_is_a_fraction_of_ten_frames_at_least_and_an_int_a_count(keep, count):
    quality = np.random.default_rng(4).normal(size=200)
    kept = select(quality, keep)
    assert kept.tolist() == np.argsort(-quality)[:count].tolist()


def test_frames_without_quality_are_neither_kept_nor_counted():
    quality = np.array([np.nan, 3.0, np.nan, 1.0, 2.0, 4.0])
    assert select(quality, 2).tolist() == [5, 1]
    assert select(quality, 0.5).tolist() == [5, 1, 4, 3]  # all, as they are under 10
    assert select(quality, 1.0).tolist() == [5, 1, 4, 3]
    with pytest.raises(LuckyError, match="only 4 have a star"):
        select(quality, 5)
    with pytest.raises(LuckyError, match="nothing to keep"):
        select(np.full(3, np.nan), 1)


@pytest.mark.parametrize("keep", [0, -1, 0.0, 2.0, -0.5, np.nan, True, "1"])
def test_what_cannot_be_kept_is_reported(keep):
    with pytest.raises(LuckyError, match="eep"):
        select(np.arange(5.0), keep)


def test_an_unknown_metric_is_reported(blurred):
    with pytest.raises(LuckyError, match="sum-of-squares"):
        rank(blurred[0], WINDOW, metric="beauty")


@pytest.mark.parametrize(
    ("above", "kept"), [(4.5, [5]), (4.0, [5, 1]), (3.5, [5, 1]), (-1.0, [5, 1, 4, 3])]
)
def test_all_frames_from_a_quality_on_are_kept(above, kept):
    quality = np.array([np.nan, 4.0, np.nan, 1.0, 2.0, 5.0])
    assert select(quality, 1, above=above).tolist() == kept  # a count has no say then
    assert select(quality, above=above).tolist() == kept


def test_a_quality_that_none_has_is_reported_with_the_best():
    with pytest.raises(LuckyError, match=r"quality of 9 or more; the best has 4\.25"):
        select(np.array([1.0, np.nan, 4.25]), above=9.0)
    for above in (np.nan, np.inf):
        with pytest.raises(LuckyError, match="must be a number"):
            select(np.array([1.0, 2.0]), above=above)
    with pytest.raises(LuckyError, match="nothing to keep"):
        select(np.full(3, np.nan), above=0.0)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_the_threshold_lies_between_the_last_kept_and_the_next(scale):
    quality = scale * np.random.default_rng(8).normal(3, 1, 40)
    quality[7] = np.nan
    for count in range(1, 40):
        assert len(select(quality, above=threshold(quality, count))) == count
    assert threshold(np.array([1.0, 2.0]), 1) == 1.5  # of few digits
    assert threshold(np.array([1.0, 1 / 3]), 2) == 0.167  # with no next, half the last
    assert threshold(np.array([2.0, 2.0, 1.0]), 1) == 2.0  # equals cannot be told apart


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_a_masked_pixel_has_no_weight_and_makes_no_jump(metric, smooth):
    """Not even in the core; a hole that counted as 0 would change the Laplacian tenfold."""
    psf = Diffraction(6.0)
    star = 20 + 50_000 * diffraction_psf(psf, (64, 64))
    masked = np.repeat(star[None], 5, axis=0)
    for frame, (y, x) in enumerate([(32, 36), (28, 30), (32, 45), (3, 3)], 1):
        masked[frame, y, x] = np.nan
    whole = Window.whole((64, 64))
    quality = rank(ArrayFrames(masked), whole, metric=metric, smooth=smooth, diffraction=psf)
    np.testing.assert_allclose(quality[1:], quality[0], rtol=0.02)


@pytest.mark.parametrize("metric", ["peak", "psf-correlation", "fwhm"])
def test_the_slope_of_stray_light_is_not_taken_for_the_star(metric):
    """The window's bright corner is brighter than the star."""
    rng = np.random.default_rng(12)
    y, x = np.mgrid[:96, :96]
    sigma = rng.uniform(2, 4, 40)
    frames = [
        100 + 40 * x / 95 + 3000 * np.exp(-(np.hypot(y - 48, x - 40) ** 2) / 2 / s**2) / s**2 / 6.28
        for s in sigma
    ]
    frames = np.array(frames) + rng.normal(0, 1, (40, 96, 96))
    quality = rank(
        ArrayFrames(frames.astype(np.float32)),
        Window.whole((96, 96)),
        metric=metric,
        diffraction=PSF,
    )
    assert spearmanr(quality, -sigma).statistic > 0.97


def test_a_window_beyond_the_sensor_is_refused(blurred):
    with pytest.raises(LuckyError, match="focus window"):
        rank(blurred[0], Window(70, 20, 32, 32))
