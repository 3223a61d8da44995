import pickle
import weakref
from dataclasses import replace

import numpy as np
import pytest

from napari_lucky import LuckyError, calibrate
from napari_lucky.calibration.flat import FlatField, made_flat
from napari_lucky.cleaning.background import BackgroundRemoved
from napari_lucky.cleaning.dust import DustRemoved, find_dust
from napari_lucky.cleaning.dust_shadow import dust_transmission, transmission
from napari_lucky.cleaning.mean_light import light_of_run
from napari_lucky.cleaning.outliers import pixel_statistics
from napari_lucky.frames import ArrayFrames
from napari_lucky.frames import sensor_image as sensor_images
from napari_lucky.frames.history import checksum
from napari_lucky.frames.sensor_image import BitMask, LazyImage, StoredImage, median_of, thinned
from napari_lucky.frames.window import Window
from systems import on_posix

RNG = np.random.default_rng(0)
SHAPE = (97, 61)
MOST = 16 * SHAPE[1]
"""Pixels: a band of ten rows, and three on either side."""


@pytest.fixture
def large(monkeypatch):
    """Let a small sensor pass for a large one, which is worked on in bands of ten rows."""
    monkeypatch.setattr(sensor_images, "LARGE", 1000)
    monkeypatch.setattr(sensor_images, "BAND", 10 * SHAPE[1])


class Narrow(ArrayFrames):
    """Frames that refuse to be read whole."""

    def read(self, frames, window=None):
        assert window is not None
        assert window.height * window.width <= MOST
        return super().read(frames, window)


def windows():
    yield slice(None), slice(None)
    for _ in range(30):
        (y0, y1), (x0, x1) = (np.sort(RNG.integers(0, side + 1, 2)) for side in SHAPE)
        yield slice(int(y0), int(y1)), slice(int(x0), int(x1))


def test_windows_of_masks_in_bits_and_of_stored_images_are_those_of_arrays():
    mask = RNG.random(SHAPE) < 0.3
    bits = BitMask.of(mask)
    image = RNG.normal(size=SHAPE).astype("f4")
    stored = StoredImage(SHAPE)
    for rows in (slice(0, 40), slice(40, 97)):
        stored[rows] = image[rows]
    for at in windows():
        assert np.array_equal(bits[at], mask[at])
        assert np.array_equal(stored[at], image[at])
    assert bits.any()
    assert not BitMask(SHAPE).any()
    assert np.array_equal(pickle.loads(pickle.dumps(stored)), image)
    assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(bits))), mask)


@pytest.mark.parametrize("held", [10, 1 << 18])
def test_the_median_of_parts_is_that_of_the_whole(held, monkeypatch):
    monkeypatch.setattr(sensor_images, "HELD", held)
    monkeypatch.setattr(sensor_images, "BINS", 16)
    for values in (
        RNG.normal(1000, 3, 2000),
        RNG.normal(1000, 3, 2001).astype("f4"),
        np.rint(RNG.normal(5, 0.3, 2000)),  # nearly all are equal
        np.r_[np.zeros(500), np.ones(500)],  # between the two
        np.r_[RNG.normal(0, 1, 999), 1e9, np.nan, np.inf],
    ):
        expected = np.median(values[np.isfinite(values)].astype(np.float64))
        assert median_of(lambda values=values: np.array_split(values, 7)) == expected
    assert np.isnan(median_of(lambda: [np.full(3, np.nan)] * 2))


def masters():
    dark = RNG.normal(100, 2, (2, *SHAPE)).astype("f4")
    hot = RNG.integers(0, SHAPE[0], 20), RNG.integers(0, SHAPE[1], 20)
    dark[:, hot[0], hot[1]] += 900
    dark[:, 50, 30] = np.nan
    flat = RNG.normal(20_000, 300, (2, *SHAPE)).astype("f4")
    flat[:, 20, 10] = 500
    return RNG.normal(500, 10, (9, *SHAPE)).astype("f4"), dark, flat


def test_a_large_sensor_is_calibrated_to_the_bit_without_whole_frames(large, monkeypatch):
    arrays = masters()
    made = calibrate(*map(Narrow, arrays))
    made = replace(made, frames=ArrayFrames(arrays[0]))  # to be read whole
    assert isinstance(made.dark, StoredImage)
    assert made.masked == int(np.isnan(made.read(slice(1))).sum()) > 20
    monkeypatch.undo()
    expected = calibrate(*map(ArrayFrames, arrays))
    assert isinstance(expected.dark, np.ndarray)
    assert made.masked == expected.masked
    for name in ("dark", "flat", "light", "bad"):
        assert np.array_equal(getattr(made, name), getattr(expected, name), equal_nan=name != "bad")
    assert checksum(made.flat) == checksum(expected.flat)
    assert np.array_equal(made.read(slice(None)), expected.read(slice(None)), equal_nan=True)


def test_hot_pixels_of_a_large_run_without_a_dark_are_looked_for_without_whole_frames(large):
    frames, *_ = masters()
    frames[:, 30, 40] += 5000
    made = calibrate(Narrow(frames))
    assert np.argwhere(made.bad).tolist() == [[30, 40]]


def test_a_thinned_image_of_a_large_sensor_does_not_hold_what_was_thinned_out(large):
    bands = []

    class Tracked(LazyImage):
        def __getitem__(self, at):
            band = np.arange(SHAPE[0] * SHAPE[1], dtype="f4").reshape(SHAPE)[at].copy()
            assert sum(one() is not None for one in bands) < 2
            bands.append(weakref.ref(band))
            return band

    found = thinned(Tracked(SHAPE), 7)
    assert np.array_equal(found, np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE)[::7, ::7])
    assert len(bands) == 10


def test_masters_are_in_memory_where_no_temporary_file_can_be_made(large, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError

    frames, dark, flat = map(ArrayFrames, masters())
    expected = calibrate(frames, dark, flat)
    monkeypatch.setattr(sensor_images.tempfile, "TemporaryFile", refuse)
    made = calibrate(frames, dark, flat)
    assert isinstance(made.flat, np.ndarray)
    assert np.array_equal(made.flat, expected.flat, equal_nan=True)


@on_posix
def test_a_full_temporary_folder_ends_in_a_sentence():
    image = StoredImage((4, 16))
    with open("/dev/full", "wb", buffering=0) as full:
        image._file = full
        with pytest.raises(LuckyError, match=r"cannot be written \(No space left.*TMPDIR"):
            image[slice(0, 4)] = np.ones((4, 16), np.float32)


def dusty(n):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    depth = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in ((20, 20), (61, 44)))
    light = 1000 * (1 - 0.2 * depth) * (1 + y / 300)
    frames = (light + RNG.normal(0, 2, (n, *SHAPE))).astype("f4")
    frames[1, 30] = 1e5  # clipped
    frames[2] = 7  # blank
    frames[3:4, 11:25] = 7  # not blank, though a band is
    return frames


def test_dust_on_a_large_sensor_is_found_and_divided_out_without_whole_frames(large, monkeypatch):
    frames = dusty(12)
    light = light_of_run(Narrow(frames))
    spots = find_dust(light, 3, 5)
    through = dust_transmission(light, spots)
    parts = [(rows, through[rows, 5:50]) for rows in (slice(7, 30), slice(40, 80))]
    assert isinstance(light, StoredImage)
    assert not isinstance(through, np.ndarray)
    view, window = DustRemoved(ArrayFrames(frames), spots, through), Window(15, 10, 20, 30)
    divided = view.read(slice(4), window)
    masked = DustRemoved(ArrayFrames(frames), spots).read(slice(4), window)
    monkeypatch.undo()
    expected = light_of_run(ArrayFrames(frames))
    assert np.array_equal(light, expected)
    assert spots == find_dust(expected, 3, 5)
    assert np.allclose(spots[:2], [(20, 20, 3), (61, 44, 3)], atol=0.5)
    whole = transmission(expected, spots)
    assert np.array_equal(through, whole)
    for rows, part in parts:
        assert np.array_equal(part, whole[rows, 5:50])
    for as_given, made in ((whole, divided), (None, masked)):
        view = DustRemoved(ArrayFrames(frames), spots, as_given)
        assert np.array_equal(view.read(slice(4), window), made, equal_nan=True)


@pytest.mark.parametrize("follow", [None, Window(20, 20, 16, 16)])
def test_a_background_is_fitted_to_a_large_sensor_without_whole_frames(follow, large, monkeypatch):
    frames, window = dusty(3), Window(5, 5, 10, 40)
    made = BackgroundRemoved(Narrow(frames), order=2, follow=follow).read(slice(3), window)
    monkeypatch.undo()
    expected = BackgroundRemoved(ArrayFrames(frames), order=2, follow=follow)
    assert np.array_equal(made, expected.read(slice(3), window))


def test_how_pixels_of_a_large_sensor_vary_is_not_in_memory(large, monkeypatch):
    frames = dusty(9)
    monkeypatch.setattr("napari_lucky.cleaning.outliers.BAND", 9 * SHAPE[1])
    made = pixel_statistics(Narrow(frames))
    assert isinstance(made.middle, StoredImage)
    monkeypatch.setattr(sensor_images, "LARGE", 1 << 23)
    assert np.array_equal(made, pixel_statistics(ArrayFrames(frames)))


def test_the_figures_of_a_large_flat_are_those_of_a_small_one(large, monkeypatch):
    _, dark, flat = masters()
    dark = calibrate(ArrayFrames(flat), ArrayFrames(dark)).dark

    def told():
        field = FlatField(*made_flat(ArrayFrames(flat), dark, "mean", 4.0, 0.2))
        return type(field.response), (field.level, field.rms, field.dead)

    kind, figures = told()
    assert kind is StoredImage
    monkeypatch.undo()
    kind, expected = told()
    assert kind is np.ndarray
    assert figures == pytest.approx(expected, rel=1e-7)
