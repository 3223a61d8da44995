"""Hot pixels beside a star's middle, and stars alone, made apart from the package."""

import numpy as np
import pytest

from made_stars import exposed, screens, stars
from napari_lucky import Window, calibrate, register
from napari_lucky.calibration.bad_pixels import standing_pixels
from napari_lucky.calibration.hot_in_star import GROUPS, hot_in_star
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging.noise import Noise
from napari_lucky.registration.hot_pixels import hot_pixel_notes

SIDE, N = 48, 30
PLACE = (SIDE // 2, SIDE // 2)


def run_of(sampling, d_over_r0, jitter, photons=1e5, seed=3):
    """Return frames of a star whose middle is near `PLACE`, and the highest pixel of its mean."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, jitter, (N, 2)) + 0.3
    light = stars(screens(N, d_over_r0, rng), sampling, SIDE, moves)
    return exposed(light, photons, rng), photons * light.mean(axis=0).max()


@pytest.mark.parametrize(("sampling", "d_over_r0", "jitter"), [(1.5, 3, 1), (2, 1, 1), (6, 3, 1)])
@pytest.mark.parametrize(("group", "part"), [(0, 0.5), (2, 1.0), (5, 0.7)])
def test_hot_pixels_beside_the_middle_of_a_star_that_varies_are_masked(
    sampling, d_over_r0, jitter, group, part
):
    frames, peak = run_of(sampling, d_over_r0, jitter)
    hot = np.zeros((SIDE, SIDE), bool)
    for y, x in GROUPS[group]:
        hot[PLACE[0] + 1 + y, PLACE[1] - 1 + x] = True
    frames[:, hot] += part * peak
    np.testing.assert_array_equal(np.asarray(standing_pixels(ArrayFrames(frames))), hot)


SHAPES = ["#", "##", "#/#", "#./.#", ".#/#.", "##/#.", "##/.#", "#./##", ".#/##", "###", "#/#/#"]


@pytest.fixture(scope="module")
def varying():
    """Return frames of a star that varies, and the highest pixel of their mean."""
    return run_of(3.0, 3, 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_up_to_three_that_touch_are_masked_in_any_shape(varying, shape):
    frames, peak = varying[0].copy(), varying[1]
    hot = np.zeros((SIDE, SIDE), bool)
    for y, row in enumerate(shape.split("/")):
        for x, sign in enumerate(row):
            hot[PLACE[0] + 1 + y, PLACE[1] - 1 + x] = sign == "#"
    frames[:, hot] += 0.7 * peak
    found = {tuple(place) for place in hot_in_star(ArrayFrames(frames), PLACE).pixels}
    all_of_them = {tuple(place) for place in np.argwhere(hot).tolist()}
    assert found < all_of_them if shape in ("#./.#", ".#/#.") else found == all_of_them
    np.testing.assert_array_equal(np.asarray(standing_pixels(ArrayFrames(frames))), hot)


@pytest.mark.parametrize(("apart", "looked_at"), [(3, True), (4, False), (-3, True), (-4, False)])
def test_up_to_three_pixels_from_the_middle_are_looked_at(varying, apart, looked_at):
    for place in ((PLACE[0] + apart, PLACE[1]), (PLACE[0], PLACE[1] + apart)):
        frames, peak = varying[0].copy(), varying[1]
        frames[:, *place] += 0.7 * peak
        hot = hot_in_star(ArrayFrames(frames), PLACE)
        assert (hot is not None and hot.pixels == [place]) == looked_at


@pytest.mark.parametrize(
    ("pixels", "named"),
    [
        ([(25, 23)], "The pixel (25, 23) (y, x) stands"),
        ([(25, 23), (25, 24)], "The pixels (25, 23), (25, 24) (y, x) stand"),
    ],
)
def test_the_pixels_are_named_with_their_height(varying, pixels, named):
    frames, peak = varying[0].copy(), varying[1]
    for y, x in pixels:
        frames[:, y, x] += 0.7 * peak
    found = np.full((N, 9), np.nan)
    found[3:, :2] = PLACE
    (note,) = hot_pixel_notes(ArrayFrames(frames), Window(0, 0, SIDE, SIDE), found, Noise(25.0))
    start, height = note.split(" ADU or more out of the star")[0].rsplit(maxsplit=1)
    assert start == named
    assert float(height) == pytest.approx(0.7 * peak, rel=0.1)
    found[:, :2] = 4.0
    assert not hot_pixel_notes(ArrayFrames(frames), Window(0, 0, SIDE, SIDE), found, Noise(25.0))


@pytest.mark.parametrize("sampling", [1.0, 1.35, 1.5, 2.0, 4.0])
@pytest.mark.parametrize(("d_over_r0", "jitter"), [(0.1, 0), (0.1, 0.3), (3, 0.1), (6, 1)])
def test_stars_alone_are_not(sampling, d_over_r0, jitter):
    frames = ArrayFrames(run_of(sampling, d_over_r0, jitter)[0])
    hot = hot_in_star(frames, PLACE)
    assert hot is None or (sampling < 1.5 and not hot.star_varies)
    assert not np.asarray(standing_pixels(frames)).any()


def test_what_may_be_the_star_is_said_and_not_masked():
    """A star that stays cannot tell a hot pixel; one in a dark was subtracted."""
    frames, peak = run_of(3.0, 0.1, 0)
    window = Window(0, 0, SIDE, SIDE)
    assert "hot" not in " ".join(register(ArrayFrames(frames), window).notes)
    frames[:, PLACE[0] + 1, PLACE[1]] += 0.5 * peak
    assert not np.asarray(standing_pixels(ArrayFrames(frames))).any()
    said = " ".join(register(ArrayFrames(frames), window, smooth=1.0).notes)
    assert f"The pixel ({PLACE[0] + 1}, {PLACE[1]}) (y, x) stands" in said
    dark = np.zeros((SIDE, SIDE), np.float32)
    notes = register(calibrate(ArrayFrames(frames), dark), window, smooth=1.0).notes
    assert "hot pixels do" not in " ".join(notes)
    frames[3] = 7  # blank
    frames[:, 10, 10] = np.nan
    assert hot_in_star(ArrayFrames(frames), PLACE).pixels == [(PLACE[0] + 1, PLACE[1])]
    assert hot_in_star(ArrayFrames(frames), (2, 20)) is None  # near the edge
    assert hot_in_star(ArrayFrames(frames[:4]), PLACE) is None


@pytest.mark.parametrize("gains", [(0.55, 1.0, 1.0, 0.7), (1.0, 0.6, 0.6, 0.5), (0.4, 1, 1, 0.4)])
@pytest.mark.parametrize("sampling", [4.0, 8.0])
@pytest.mark.parametrize("d_over_r0", [0.1, 4])
def test_pixels_of_one_colour_of_a_mosaic_are_not_hot(gains, sampling, d_over_r0):
    frames, _ = run_of(sampling, d_over_r0, 1)
    cell = np.reshape(gains, (2, 2))
    mosaic = ArrayFrames((frames - 100) * np.tile(cell, (SIDE // 2, SIDE // 2)) + 100)
    for place in (PLACE, (PLACE[0] + 1, PLACE[1] + 1)):
        assert hot_in_star(mosaic, place) is None
    assert not np.asarray(standing_pixels(mosaic)).any()
