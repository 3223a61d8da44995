"""Correlation in wide windows: the shifts and errors of all pixels, for less."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_lucky import Window, register
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging.noise import Noise
from napari_lucky.imaging.peak_position import LEAST_WIDTH
from napari_lucky.registration.correlation import correlate_frames, make_reference
from napari_lucky.registration.wide_correlation import (
    WideReference,
    _box_of_light,
    _shifts_of,
    correlate_with,
    reference_for,
)

SHAPE = (300, 341)
NOISE = Noise(25.0)
RNG = np.random.default_rng(8)


def scene(places, noise=5.0):
    """Return frames of a speckled star and a wider, fainter one far from it."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    spots = [(0, 0, 2.5, 1.0), (9, 4, 2.0, 0.8), (-7, 8, 3.0, 0.5), (60, -80, 12.0, 0.3)]
    frames = []
    for y, x in places:
        light = sum(
            height * np.exp(-((rows - y - dy) ** 2 + (columns - x - dx) ** 2) / (2 * width**2))
            for dy, dx, width, height in spots
        )
        frames.append(50 + 400 * light)
    return (np.array(frames) + RNG.normal(0, noise, (len(places), *SHAPE))).astype(np.float32)


HERE = np.array([140.0, 180.0])
SHIFTS = np.vstack([RNG.uniform(-60, 60, (12, 2)), [[0, 0], [110, 120], [-70, -90]]])


@pytest.fixture(autouse=True)
def own_draws():
    """Let each test draw the same, whichever ran before."""
    RNG.bit_generator.state = np.random.default_rng(9).bit_generator.state


@pytest.mark.parametrize("part", [0.2, 0.0])
def test_many_masked_pixels_do_not_hide_the_shift(part):
    shifts = SHIFTS[-3:-1]  # each place among many masked pixels takes weights of its own
    first, block = scene([HERE]), scene(HERE - shifts)
    for frames in (first, block):
        if part:
            frames[:, RNG.random(SHAPE) < part] = np.nan
        else:
            frames[:, :, ::4] = np.nan
    found = correlate_with(block, reference_for(first, 2.0, NOISE), NOISE)
    assert np.abs(found[:, :2] - shifts).max() < 0.5


@pytest.mark.parametrize("masked", [False, True])
def test_shifts_and_errors_are_those_of_all_pixels(masked):
    first, block = scene([HERE]), scene(HERE - SHIFTS)
    if masked:
        for frames in (first, block):
            frames[:, RNG.random(SHAPE) < 0.004] = np.nan
    wide = reference_for(first, 2.0, NOISE)
    assert isinstance(wide, WideReference)
    found = correlate_with(block, wide, NOISE)
    exact = correlate_frames(block, make_reference(first, 2.0), NOISE)
    assert np.abs(found[:, :2] - SHIFTS).max() < 0.1
    # noise in the rest of the reference is not correlated here
    assert np.abs(found[:, :2] - exact[:, :2]).max() < 3 * exact[:, 2:].max()
    np.testing.assert_allclose(found[:-3, 2:], exact[:-3, 2:], rtol=0.1)


def test_errors_are_true():
    first, block = scene([HERE], noise=0), scene([HERE - (3.3, -7.6)] * 60)
    found = correlate_with(block, reference_for(first, 2.0, NOISE), NOISE)
    pulls = (found[:, :2] - (3.3, -7.6)) / found[:, 2:]
    assert 0.8 < pulls.std() < 1.2
    assert np.abs(pulls.mean(axis=0)).max() < 0.5


def test_only_the_box_of_light_is_transformed():
    wide = reference_for(scene([HERE]), 2.0, NOISE)
    assert np.prod(wide.shape) < 0.5 * np.prod(SHAPE)
    (y, x), (ny, nx) = wide.corner, wide.shape
    assert y < 130 < 230 < y + ny
    assert x < 80 < 190 < x + nx


def test_light_all_over_is_correlated_whole_and_does_not_wrap():
    scene = gaussian_filter(RNG.normal(0, 3000, (600, 600)), 4)
    frames = np.stack([scene[100:400, 100:441], scene[130:430, 60:401], scene[95:395, 120:461]])
    wide = reference_for(frames[:1].astype(np.float32), 2.0, NOISE)
    found = correlate_with(frames.astype(np.float32), wide, NOISE)
    exact = correlate_frames(
        frames.astype(np.float32), make_reference(frames[:1].astype(np.float32), 2.0)
    )
    np.testing.assert_allclose(found[:, :2], exact[:, :2], atol=0.02)
    # what leaves the window pulls the maximum a little
    np.testing.assert_allclose(found[:, :2], [[0, 0], [30, -40], [-5, 20]], atol=0.2)


def test_frames_without_light_have_no_shift():
    block = scene([HERE] * 3)
    block[0], block[2] = 3.0, np.nan
    found = correlate_with(block, reference_for(scene([HERE]), 2.0, NOISE), NOISE)
    assert np.isfinite(found).all(axis=1).tolist() == [False, True, False]


def test_a_run_is_registered_in_a_wide_window():
    places = HERE - RNG.uniform(-40, 40, (8, 2))
    made = register(ArrayFrames(scene(places)), Window(0, 0, *SHAPE), method="correlation")
    assert np.abs(made.points - made.points[0] - (places - places[0])).max() < 0.1
    narrow = register(ArrayFrames(scene(places)), Window(50, 90, 180, 180), method="template")
    off = made.points - narrow.points
    assert np.abs(off - np.median(off, axis=0)).max() < 0.1


def test_the_box_holds_the_slopes_of_a_gaussian_over_six_sigmas():
    """The slope of A exp(-r^2 / 2 s^2) is A r / s^2 exp(-r^2 / 2 s^2)."""
    height, wide, smooth, noise = 100.0, 20.0, 2.0, 25.0
    rows, columns = np.mgrid[:320, :340]
    star = height * np.exp(-((rows - 150) ** 2 + (columns - 180) ** 2) / (2 * wide**2))
    box = _box_of_light(star.astype(np.float32), smooth, Noise(noise))
    r = np.arange(320)
    s = np.hypot(wide, LEAST_WIDTH)  # the last pixel of the smoothing
    slope = height * (wide / s) ** 2 * r / s**2 * np.exp(-(r**2) / (2 * s**2))
    reach = np.flatnonzero(slope > 6 * np.sqrt(noise / (8 * np.pi)) / smooth**2).max() + 4
    edges = [(part.start, part.stop) for part in box]
    expected = [(150 - reach, 151 + reach), (180 - reach, 181 + reach)]
    assert np.abs(np.subtract(edges, expected)).max() <= 1


def test_without_light_the_box_is_the_whole_image():
    dark = np.zeros((300, 320), np.float32)
    assert _box_of_light(dark, 2.0, NOISE) == [slice(0, 300), slice(0, 320)]


def test_shifts_leave_the_middle_of_the_box_in_the_window():
    low, high, pad = _shifts_of([(10, 20), (30, 41)], (50, 60))
    middle = np.array([15, 35])
    assert (middle - high).tolist() == [0, 0]
    assert (middle - low).tolist() == [49, 59]
    assert pad == 6  # half the longer side
