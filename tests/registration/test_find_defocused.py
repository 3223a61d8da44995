"""The defocused star is found where there is one, and only there."""

import numpy as np
import pytest

from napari_lucky.frames import ArrayFrames
from napari_lucky.frames import sensor_image as sensor_images
from napari_lucky.registration import find_star as finding
from napari_lucky.registration.find_defocused import find_defocused

Y, X = np.mgrid[:200, :320]
FOCUS = (90, 80, 64)


def star(y, x, sigma=3.0, flux=1e5):
    return flux / (2 * np.pi * sigma**2) * np.exp(-((Y - y) ** 2 + (X - x) ** 2) / 2 / sigma**2)


def donut(y, x, radius=30, flux=9e4):
    far = np.hypot(Y - y, X - x)
    ring = ((far < radius) & (far > 0.3 * radius)).astype(float)
    return flux * ring / ring.sum()


def bar(y, x, length, width, angle, flux=9e4):
    along = (Y - y) * np.sin(angle) + (X - x) * np.cos(angle)
    beside = (Y - y) * np.cos(angle) - (X - x) * np.sin(angle)
    inside = ((np.abs(along) < length / 2) & (np.abs(beside) < width / 2)).astype(float)
    return flux * inside / inside.sum()


def run(image, n=12):
    noise = np.random.default_rng(1).normal(100, 5, (n, *Y.shape))
    return ArrayFrames((image + noise).astype(np.float32))


@pytest.mark.parametrize("sky", [0, 0.5 * X + 0.2 * Y])
def test_a_donut_beside_the_star_is_found(sky):
    window = find_defocused(run(star(90, 80) + donut(110, 220) + sky), FOCUS)
    assert np.abs(np.subtract(window.centre, (110, 220))).max() <= 3
    assert window.shape == (128, 128)


@pytest.mark.parametrize(
    "beside",
    [
        0,
        star(120, 230, flux=6e4),  # another star in focus
        star(100, 200, sigma=60, flux=3e6),  # a nebula
        donut(180, 220),  # cut by the edge
        donut(100, 110),  # over the focused star
        donut(110, 220, flux=1e3),  # too faint
        donut(110, 220, flux=9e5),  # too bright
        bar(110, 220, 90, 12, np.pi / 4),  # a trail: it fills little of its box
        bar(110, 220, 70, 30, 0),  # too long
    ],
    ids=["nothing", "star", "nebula", "edge", "overlap", "faint", "bright", "trail", "long"],
)
def test_what_is_no_donut_is_not_taken_for_one(beside):
    assert find_defocused(run(star(90, 80) + beside), FOCUS) is None


@pytest.mark.parametrize(("beside", "found"), [(0, False), (donut(110, 220), True)])
def test_without_noise_it_is_the_same(beside, found):
    window = find_defocused(ArrayFrames(np.repeat([star(90, 80) + beside], 12, 0)), FOCUS)
    assert (window is not None) == found


def test_it_is_found_on_large_sensors(monkeypatch):
    monkeypatch.setattr(sensor_images, "LARGE", 20_000)
    monkeypatch.setattr(finding, "LARGE", 20_000)
    window = find_defocused(run(star(90, 80) + donut(110, 220)), FOCUS)
    assert np.abs(np.subtract(window.centre, (110, 220))).max() <= 5


def test_a_window_that_is_the_whole_sensor_leaves_no_room():
    assert find_defocused(run(star(90, 80)).read(slice(None))[:, :64, :64], (32, 32, 64)) is None
