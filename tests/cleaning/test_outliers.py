import gzip
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, Window, open_run, simulate_run
from napari_lucky.calibration import Calibrated
from napari_lucky.calibration.bad_pixels import hot_pixels
from napari_lucky.calibration.masters import master_flat
from napari_lucky.cleaning import outliers
from napari_lucky.cleaning.outliers import (
    OutliersRemoved,
    count_outliers,
    local_median,
    pixel_statistics,
)
from napari_lucky.frames import ArrayFrames
from napari_lucky.optics.simulation import SIMULATED

RNG = np.random.default_rng(11)
NOISE = RNG.normal(100, 5, (20, 60, 80)).astype(np.float32)


@pytest.fixture(scope="module", params=[17.0, 58.6], ids=["2 px", "7 px"])
def star(request):
    """Calibrated frames of a star in turbulence, lambda F#/pixel of 2.03 and of 7."""
    run = simulate_run(
        40, (192, 384), telescope=replace(SIMULATED, focal_ratio=request.param), seed=4
    )
    flat, bad = master_flat(run.flat, run.dark), hot_pixels(run.dark)
    return Calibrated(ArrayFrames(run.frames), run.dark, flat, bad, 4095).read(slice(None))


def removed(array, by, **options):
    frames = ArrayFrames(array)
    if by == "sigma":
        return OutliersRemoved(frames, sigma=6, **options)
    return OutliersRemoved(frames, flicker=6, usual=pixel_statistics(frames), **options)


@pytest.mark.parametrize("by", ["sigma", "flicker"])
def test_injected_outliers_are_found_and_good_pixels_of_a_star_are_not(star, by):
    good = removed(star, by).found(slice(None))
    assert good.mean() < 1e-5
    k, y, x = (RNG.integers(0, side, 3000) for side in star.shape)
    light = np.nan_to_num(star).mean(axis=0)[y, x] + 180
    noise = np.sqrt(9 + np.maximum(light, 0) / 2)  # read noise 3 ADU, 2 electrons an ADU
    dirty = star.copy()
    dirty[k, y, x] += RNG.uniform(9, 100, 3000) * noise
    seen = np.isfinite(star[k, y, x])
    found = removed(dirty, by).found(slice(None))
    assert found[k, y, x][seen].mean() > 0.99
    found[k, y, x] = False
    assert found.mean() < 1e-5


def test_the_best_frames_peak_is_kept():
    rows, columns = np.mgrid[:60, :80]
    psf = np.exp(-((rows - 30) ** 2 + (columns - 40) ** 2) / (2 * 1.0**2))
    frames = NOISE + 50 * psf
    frames[7] += 3000 * psf  # the one lucky frame
    for by in ("sigma", "flicker"):
        assert not removed(frames, by).found(slice(None))[7, 25:36, 35:46].any()


def test_what_is_steady_is_an_outlier_in_its_frame_and_not_over_time():
    frames = NOISE.copy()
    frames[:, 20, 30] += 200
    frames[5, 40, 50] += 200
    in_frame = removed(frames, "sigma").found(slice(None))
    over_time = removed(frames, "flicker").found(slice(None))
    assert in_frame[:, 20, 30].all() and in_frame[5, 40, 50]
    assert not over_time[:, 20, 30].any() and over_time[5, 40, 50]


def test_outliers_are_masked_or_replaced_and_all_else_is_untouched():
    frames = NOISE.copy()
    frames[3, 10, 12] += 500
    frames[3, 11, 40] = np.nan
    masked = removed(frames, "sigma").read(slice(3, 4))[0]
    replaced = removed(frames, "sigma", replace=True).read(slice(3, 4))[0]
    assert np.isnan(masked[10, 12])
    assert abs(replaced[10, 12] - 100) < 10
    assert np.isnan(masked[11, 40]) and np.isnan(replaced[11, 40])
    frames[3, 10, 12] = np.nan
    np.testing.assert_array_equal(masked, frames[3])


def test_a_window_has_the_outliers_of_the_whole_frame(star):
    whole = removed(star, "sigma")
    for window in (Window(0, 0, 20, 30), Window(170, 350, 22, 34), Window(60, 100, 64, 64)):
        cut = whole.read(slice(0, 3))[(slice(None), *window.slices)]
        np.testing.assert_array_equal(whole.read(slice(0, 3), window), cut)


def test_negative_outliers_count_and_pairs_do():
    frames = NOISE.copy()
    frames[2, 20, 20] -= 90
    frames[2, 40, 40:42] += 200
    found = removed(frames, "sigma").found(slice(2, 3))[0]
    assert found[20, 20] and found[40, 40] and found[40, 41]
    assert found.sum() == 3


def test_counting():
    frames = NOISE.copy()
    frames[4, 10, 10] += 300
    frames[4, 50, 70] += 300
    counted = count_outliers(
        removed(frames, "sigma"), [Window(0, 0, 30, 30), Window(40, 60, 20, 20)]
    )
    assert counted.tolist() == [2 * (k == 4) for k in range(20)]


def test_the_local_median_forgets_two_outliers():
    block = np.full((1, 9, 9), 3, np.float32)
    block[0, 4, 4], block[0, 4, 5] = 1000, np.nan
    np.testing.assert_array_equal(local_median(block), np.full((1, 5, 5), 3))


def test_the_local_median_is_that_of_rows_and_then_of_columns_in_each_frame():
    block = np.random.default_rng(0).normal(size=(3, 11, 8)).astype(np.float32)
    of_rows = np.median(np.lib.stride_tricks.sliding_window_view(block, 5, axis=1), axis=-1)
    both = np.median(np.lib.stride_tricks.sliding_window_view(of_rows, 5, axis=2), axis=-1)
    np.testing.assert_array_equal(local_median(block), both)


def test_bad_arguments_are_reported():
    with pytest.raises(LuckyError, match="2 to 1000"):
        OutliersRemoved(ArrayFrames(NOISE), sigma=1)
    with pytest.raises(LuckyError, match="too few"):
        pixel_statistics(ArrayFrames(NOISE[:7]))


def test_packed_frames_are_unpacked_for_four_bands_at_once_and_vary_as_plain_ones(
    tmp_path, monkeypatch
):
    for name, pack in [("plain", bytes), ("packed", gzip.compress)]:
        (tmp_path / name).mkdir()
        for k, image in enumerate(NOISE):
            fits.PrimaryHDU(image).writeto(tmp_path / "one.fits", overwrite=True)
            path = tmp_path / name / f"f{k:02}.fits"
            path.write_bytes(pack((tmp_path / "one.fits").read_bytes()))
    monkeypatch.setattr(outliers, "BAND", 7 * NOISE.shape[2] * len(NOISE))  # nine bands, one of 4
    plain = pixel_statistics(open_run(tmp_path / "plain"))
    reads = []
    around = outliers.read_around
    monkeypatch.setattr(
        outliers, "read_around", lambda *given: reads.append(given[2]) or around(*given)
    )
    packed = pixel_statistics(open_run(tmp_path / "packed"))
    assert {(window.y0, window.height) for window in reads} == {(0, 28), (28, 28), (56, 4)}
    assert np.array_equal(packed.middle, plain.middle)
    assert np.array_equal(packed.deviation, plain.deviation)
