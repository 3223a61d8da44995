"""The sensor's noise and the images on bins, of frames whose noise and star are known."""

import numpy as np
import pytest

from napari_lucky import LuckyError, Window
from napari_lucky.frames import ArrayFrames
from napari_lucky.wavefront.observe import SensorNoise, measure_sensor_noise, observe

GAIN, READ = 2.0, 6.0  # e-/ADU, e-
WINDOWS = (Window(0, 0, 64, 80), Window(0, 80, 64, 80))
Y, X = np.mgrid[:64, :160]
SCENE = 20 + sum(
    height * np.exp(-((Y - 32) ** 2 + (X - at) ** 2) / (2 * width**2))
    for height, at, width in ((3000, 40, 5.0), (1500, 120, 7.0))
)


def frames(scene=SCENE, gain=GAIN, read=READ, n=12):
    rng = np.random.default_rng(2)
    electrons = rng.normal(gain * scene, np.sqrt(gain * scene + read**2), (n, *scene.shape))
    made = (electrons / gain).astype(np.float32)
    made[:, 10:13, 50:55] = np.nan
    return ArrayFrames(made)


def test_gain_and_read_noise_are_measured_where_detail_is_coarse():
    noise = measure_sensor_noise(frames(), WINDOWS, 8.0)
    assert noise.gain == pytest.approx(GAIN, rel=0.06)
    assert noise.read_adu == pytest.approx(READ / GAIN, rel=0.4)  # far from the light
    given = measure_sensor_noise(frames(), WINDOWS, 8.0, gain=GAIN)
    assert given.gain == GAIN
    assert given.read_adu == pytest.approx(READ / GAIN, rel=0.4)
    read = measure_sensor_noise(frames(), WINDOWS, 8.0, read_noise_e=READ)
    assert read.gain == pytest.approx(GAIN, rel=0.06)
    assert read.read_adu == pytest.approx(READ / read.gain)
    known = measure_sensor_noise(frames(), WINDOWS, 8.0, gain=4.0, read_noise_e=10.0)
    assert (known.gain, known.read_adu) == (4.0, 2.5)


def test_with_fewer_pixels_the_borders_give_the_noise_of_the_sky():
    noise = measure_sensor_noise(frames(), WINDOWS, 2.5)
    assert noise.gain == np.inf
    sky = np.sqrt((READ / GAIN) ** 2 + 20 / GAIN)
    assert noise.read_adu == pytest.approx(sky, rel=0.06)
    known = measure_sensor_noise(frames(), WINDOWS, 2.5, gain=GAIN)
    assert known.gain == GAIN
    assert known.read_adu == pytest.approx(READ / GAIN, rel=0.1)


def test_noise_that_does_not_grow_with_the_light_has_no_gain():
    steady = frames(gain=1e6, read=5e6)
    noise = measure_sensor_noise(steady, WINDOWS, 8.0)
    assert noise.gain > 100
    assert noise.read_adu == pytest.approx(5, rel=0.1)
    with pytest.raises(LuckyError, match="Nearly all pixels"):
        measure_sensor_noise(ArrayFrames(np.full((3, 64, 160), np.nan)), WINDOWS, 8.0)


@pytest.mark.parametrize("bins", [1, 2])
def test_bins_are_means_and_tilts_are_those_of_the_centroids(bins):
    """A tilt of 1 rad rms moves the star by 2 / pi lambda/D."""
    sampling, width = 6.0, 4.0
    y, x = np.mgrid[:64, :64]

    def star(dy, dx):
        return (
            50 + 4000 * np.exp(-((y - 30 - dy) ** 2 + (x - 33 - dx) ** 2) / 2 / width**2)
        ).astype(np.float32)

    still, moved = star(0, 0), star(3, -5)
    moved[2, 3] = np.nan
    seen = observe((still, moved), SensorNoise(2.0, 3.0, "given"), bins, sampling)
    one, two = seen.tilts[:2], seen.tilts[2:]
    np.testing.assert_allclose(
        (two - one)[::-1], np.array([3, -5]) / sampling * np.pi / 2, atol=0.02
    )
    side = 64 // bins
    expected = still.reshape(side, bins, side, bins).mean(axis=(1, 3))
    np.testing.assert_allclose(seen.images[0], expected, rtol=1e-6)
    assert np.argwhere(seen.masked[1]).tolist() == [[2 // bins, 3 // bins]]
    assert seen.images[1][2 // bins, 3 // bins] == 0
    dark = seen.variances[0][:4, :4]
    np.testing.assert_allclose(dark, (9 + 50 / 2 + 1 / 12) / bins**2, rtol=1e-3)
    with pytest.raises(LuckyError, match="More than half"):
        observe((still * np.nan, moved), SensorNoise(2.0, 3.0, "given"), bins, sampling)


@pytest.mark.parametrize("level", [0.0, -20.0])
def test_where_there_is_no_light_the_variance_is_that_of_the_readout(level):
    """And that of rounding to whole numbers."""
    window = (level + 4000 * np.exp(-((Y - 32) ** 2 + (X - 80) ** 2) / 50)).astype(np.float32)
    seen = observe((window, window), SensorNoise(2.0, 3.0, "given"), 1, 6.0)
    np.testing.assert_allclose(seen.variances[0][:4, :4], 9 + 1 / 12, rtol=1e-6)
    assert (seen.lights[0] >= 0).all()
