import threading

import numpy as np
import pytest

from made_files import write_run
from napari_lucky import Job, LuckyError, Window, calibrate, master
from napari_lucky.calibration import Calibrated, master_flat
from napari_lucky.calibration.calibrate import (
    saturation_level,
    without_standing,
)
from napari_lucky.calibration.flat import FlatField
from napari_lucky.calibration.saturated_frames import saturated_frames
from napari_lucky.execution.blocks import cores
from napari_lucky.execution.job import Cancelled
from napari_lucky.frames import ArrayFrames
from napari_lucky.frames.sensor_image import BitMask

RNG = np.random.default_rng(0)


def test_master_is_the_clipped_mean_or_median_whatever_the_bands(monkeypatch):
    frames = RNG.normal(100, 5, (20, 30, 40)).astype(np.float32)
    frames[3, 7, 8] = 4000  # a cosmic ray
    clean = np.delete(frames[:, 7, 8], 3)
    for method, function in (("mean", np.mean), ("median", np.median)):
        made = master(ArrayFrames(frames), method, clip_sigma=5.0)
        assert made.dtype == np.float32
        assert made[7, 8] == pytest.approx(function(clean), rel=1e-6)
        np.testing.assert_allclose(made[20:], function(frames[:, 20:], axis=0), rtol=1e-6)
    assert master(ArrayFrames(frames), "mean", clip_sigma=0)[7, 8] > 200


def test_a_row_of_very_many_frames_is_cut():
    """Memory does not grow with their number, even where a row of all of them is too much."""
    frames = RNG.integers(0, 200, (70_000, 2, 64), np.uint8)
    seen = []

    class Watched(ArrayFrames):
        def read(self, index, window=None):
            block = super().read(index, window)
            seen.append((window.shape, len(block)))
            return block

    made = master(Watched(frames), clip_sigma=0)
    np.testing.assert_allclose(made, frames.mean(axis=0), rtol=1e-6)
    assert {shape for shape, _ in seen} == {(1, 59), (1, 5)}  # 70,000 x 59 < 2^22
    assert max(count for _, count in seen) <= 64


def test_a_master_that_is_cancelled_reads_no_further():
    reading, go_on, reads = threading.Event(), threading.Event(), []

    class Held(ArrayFrames):
        def read(self, index, window=None):
            reads.append(index)
            reading.set()
            go_on.wait(60)
            return super().read(index, window)

    def progress(done, total, what):
        if reading.is_set():
            raise Cancelled

    before = set(threading.enumerate())
    with pytest.raises(Cancelled):
        master(Held(np.zeros((10_000, 2, 2), np.uint8)), job=Job(progress))
    go_on.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
    assert len(reads) <= cores()


def test_master_of_one_image_is_that_image():
    image = RNG.normal(100, 5, (6, 7)).astype(np.float32)
    assert np.array_equal(master(ArrayFrames(image)), image)


@pytest.mark.parametrize("arguments", [{"method": "mode"}, {"clip_sigma": -1.0}])
def test_master_refuses(arguments):
    with pytest.raises(LuckyError):
        master(ArrayFrames(np.zeros((2, 3, 3))), **arguments)


def test_flat_has_median_one_and_its_dead_pixels_are_masked_not_divided_by():
    """Old error 8: the flat was stretched from 0 to 1, so its darkest pixel divided by zero."""
    response = RNG.uniform(0.8, 1.2, (50, 60))
    response[5, 6] = 0.0  # dead
    response[7, 8] = 0.01
    dark = np.full((50, 60), 100.0)
    flat = master_flat(2000 * response + dark, dark)
    assert np.nanmedian(flat) == pytest.approx(1, abs=1e-3)
    assert np.isnan(flat[5, 6])
    assert np.isnan(flat[7, 8])
    assert np.isnan(flat).sum() == 2
    good = np.isfinite(flat)
    np.testing.assert_allclose(flat[good] / response[good], flat[0, 0] / response[0, 0], rtol=1e-5)


def test_a_pixel_is_dead_under_the_bound_and_not_at_it():
    flat = np.full((9, 9), 4.0)
    flat[2, 3], flat[4, 5] = 1.0, 0.999
    assert np.argwhere(np.isnan(master_flat(flat, dead_below=0.25))).tolist() == [[4, 5]]


def test_flat_without_light_is_reported():
    with pytest.raises(LuckyError, match="no light in it"):
        master_flat(np.zeros((4, 4)))
    with pytest.raises(LuckyError, match="swapped"):
        master_flat(np.full((4, 4), 100.0), np.full((4, 4), 200.0))
    with pytest.raises(LuckyError, match="4 x 4"):
        master_flat(np.ones((4, 4)), np.ones((5, 4)))


def test_calibration_undoes_dark_flat_and_masks_bad_and_saturated_pixels():
    """Old error 6: the dark was subtracted after a stretch, when it no longer fitted."""
    truth = RNG.uniform(0, 1000, (4, 12, 14))
    dark = RNG.uniform(90, 110, (12, 14)).astype(np.float32)
    flat = RNG.uniform(0.5, 1.5, (12, 14)).astype(np.float32)
    raw = truth * flat + dark
    raw[2, 3, 4] = 4095
    bad = np.zeros((12, 14), bool)
    bad[6, 7] = True
    calibrated = Calibrated(ArrayFrames(raw), dark, flat, bad, 4095)
    expected = truth.copy()
    expected[:, 6, 7] = np.nan
    expected[2, 3, 4] = np.nan
    made = calibrated.read(slice(None))
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected, atol=2e-3)
    window = Window(2, 3, 6, 8)
    part = calibrated.read(np.array([2, 0]), window)
    assert np.array_equal(part, made[[2, 0]][(slice(None), *window.slices)], equal_nan=True)
    assert calibrated.masked == 1


@pytest.mark.parametrize("with_flat", [True, False])
def test_some_rows_and_columns_are_calibrated_as_all_are(with_flat):
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 4200, (3, 41, 57)).astype(np.uint16)
    dark = rng.uniform(90, 110, raw.shape[1:]).astype(np.float32)
    flat = rng.uniform(0.8, 1.2, raw.shape[1:]).astype(np.float32) if with_flat else None
    bad = BitMask.of(rng.uniform(size=raw.shape[1:]) < 0.1)
    calibrated = Calibrated(ArrayFrames(raw), dark, flat, bad, 4095)
    for at in ((slice(2, 41, 5), slice(3, 57, 7)), (slice(None), slice(None))):
        thinned, index = calibrated.thinned(at), np.array([2, 0])
        expected = calibrated.read(index)[:, *at]
        assert np.isnan(expected).any() and thinned.shape == (3, *expected.shape[1:])
        np.testing.assert_array_equal(thinned.read(index), expected)
        window = Window(1, 2, 4, 3)
        np.testing.assert_array_equal(thinned.read(index, window), expected[:, *window.slices])


def test_dead_pixels_of_the_flat_are_masked_and_counted_with_the_hot_ones():
    flat = np.full((1, 20, 20), 1000, np.float32)
    flat[0, [3, 5], [4, 9]] = 10  # dead
    dark = np.random.default_rng(0).normal(10, 1, (5, 20, 20)).astype(np.float32)
    dark[:, 7, 7] += 500  # hot
    frames = ArrayFrames(np.full((2, 20, 20), 50, np.float32))
    assert calibrate(frames, flat=ArrayFrames(flat)).masked == 2
    both = calibrate(frames, ArrayFrames(dark), ArrayFrames(flat))
    assert both.masked == int(np.isnan(both.read(slice(0, 1))[0]).sum()) == 3


def test_calibration_of_integers_goes_below_zero_without_wrapping():
    """Old error 3, of pixels: unsigned integers wrapped."""
    raw = np.full((2, 8, 8), 90, np.uint16)
    made = Calibrated(ArrayFrames(raw), np.full((8, 8), 100, np.float32)).read(slice(None))
    assert np.all(made == -10)


def test_masters_of_another_shape_are_reported():
    with pytest.raises(LuckyError, match="dark has 4 x 5 pixels"):
        Calibrated(ArrayFrames(np.zeros((2, 8, 8))), np.zeros((4, 5), np.float32))


def test_frames_of_the_run_are_no_dark_and_no_flat(tmp_path):
    frames = RNG.integers(50, 90, (6, 20, 30)).astype(np.uint16)
    run = write_run(tmp_path / "run", frames)
    some = [run / f"AF_{k}.fits" for k in (2, 3)]
    held = ArrayFrames(frames)
    for given in ({"dark": run}, {"flat": some}, {"dark": some[0]}):
        with pytest.raises(LuckyError, match="has frames of the run in it"):
            calibrate(run, **given)
    with pytest.raises(LuckyError, match="has frames of the run in it"):
        calibrate(held, held)
    other = write_run(tmp_path / "dark", frames)
    assert calibrate(run, other).dark is not None


@pytest.mark.parametrize(
    ("header", "dtype", "level"),
    [
        ({"SATURATE": 4095}, "u2", 4095),
        ({}, "u2", 65535),
        (None, "u1", 255),
        ({"SATURATE": "much"}, "f4", np.inf),
    ],
)
def test_saturation_level(header, dtype, level):
    assert saturation_level(header, ArrayFrames(np.zeros((1, 2, 2), dtype))) == level


def test_a_pixel_at_the_saturation_is_masked_and_its_frame_is_bright():
    raw = np.full((4, 8, 10), 50, np.uint16)
    raw[1, 2, 3], raw[2, 5, 6], raw[3, 1, 1] = 99, 100, 101
    calibrated = Calibrated(ArrayFrames(raw), saturation=100)
    made = calibrated.read(slice(None))
    assert np.argwhere(np.isnan(made)).tolist() == [[2, 5, 6], [3, 1, 1]]
    whole = Window(0, 0, 8, 10)
    assert saturated_frames(calibrated, whole).tolist() == [False, False, True, True]
    assert saturated_frames(calibrated, Window(3, 4, 4, 5)).tolist() == [False, False, True, False]
    bad = np.zeros((8, 10), bool)
    bad[5, 6] = True
    masked = Calibrated(ArrayFrames(raw), bad=bad, saturation=100)
    assert saturated_frames(masked, whole).tolist() == [False, False, False, True]
    assert not saturated_frames(Calibrated(ArrayFrames(raw)), whole).any()


def test_of_three_frames_one_may_be_clipped_and_of_two_none():
    """The bound goes by the scatter from frame to frame, not by what differs over the sensor."""
    level = 1000.0 * np.arange(40) + 300 * np.arange(30)[:, None]
    frames = (level + RNG.normal(0, 5, (3, 30, 40))).astype(np.float32)
    clean = frames.mean(axis=0, dtype=np.float64)
    frames[1, 7, 8] += 300  # 60 sigmas
    made = master(ArrayFrames(frames))
    assert made[7, 8] == pytest.approx(frames[[0, 2], 7, 8].mean(), rel=1e-6)
    assert (made != clean.astype(np.float32)).sum() < 60  # of good ones hardly any is left out
    two = master(ArrayFrames(frames[:2]))
    np.testing.assert_allclose(two, frames[:2].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("times", [3.5, 4.5])
def test_the_bound_is_the_greater_of_a_pixels_own_scatter_and_the_usual_one(times):
    """Eight values about 100 scatter by 1: the median of what they are off is 0.6745."""
    one = 100 + 0.6745 * np.array([-1, -1, -1, -1, 0, 1, 1, 1, 0], np.float32)
    frames = np.repeat(one, 64).reshape(9, 8, 8).copy()
    usual = float(np.std(one))  # of a pixel, as a rule
    assert usual < 1
    frames[8, 3, 3] = 100 + times
    frames[:8, 4, 4], frames[8, 4, 4] = 100, 100 + times * usual  # this one does not scatter
    kept = 9 if times < 4 else 8
    made = master(ArrayFrames(frames))
    assert made[3, 3] == pytest.approx(frames[:kept, 3, 3].mean(), rel=1e-6)
    assert made[4, 4] == pytest.approx(frames[:kept, 4, 4].mean(), rel=1e-6)
    assert made[0, 0] == pytest.approx(one.mean(), rel=1e-6)


def test_rows_and_numbers_of_a_flat_that_is_not_square():
    response = np.ones((10, 16), np.float32)
    response[2, 3], response[4, 5], response[6, 7] = 1.5, 0.5, np.nan
    field = FlatField(response, 200 * np.ones((10, 16), np.float32))
    assert (field.level, field.dead) == (200.0, 1)
    assert field.rms == pytest.approx(np.sqrt(0.5 / 159))
    assert field.check_row(None) == 5
    assert field.check_row(9) == 9
    for row in (10, -1):
        with pytest.raises(LuckyError, match="rows are 0 to 9"):
            field.check_row(row)


def test_hot_pixels_beside_the_window_are_masked_as_far_as_it_is_wide():
    frames = RNG.normal(100, 2, (12, 60, 90)).astype(np.float32)
    hot = [(30, 40), (20, 40), (30, 24), (30, 58), (52, 40), (3, 40), (30, 5), (30, 68)]
    for y, x in hot:
        frames[:, y, x] += 900
    window = Window(25, 30, 10, 16)  # so rows 15 to 44, columns 14 to 61
    made = without_standing(ArrayFrames(frames), window)
    found = np.argwhere(np.isnan(made.read(slice(0, 1))[0])).tolist()
    assert found == [[20, 40], [30, 24], [30, 40], [30, 58]]
    few = ArrayFrames(frames[:7])
    assert without_standing(few, window) is few
