"""The window follows a star that drifts far out of it."""

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, Recipe, Select, Window, find_star, process, rank, register
from napari_lucky.calibration import Calibrated
from napari_lucky.calibration.saturated_frames import saturated_frames
from napari_lucky.frames import ArrayFrames
from napari_lucky.frames.window_moves import Followed, moves_of
from napari_lucky.imaging.brightest_speckle import track_brightest
from napari_lucky.registration.drift import follow, reference_of
from napari_lucky.registration.strays import CUT
from napari_lucky.steps.registry import load_steps, make_step

METHODS = tuple(load_steps()["register"])
SHAPE = (300, 420)
N = 90
DRIFT = np.linspace(0, 1, N)[:, None] * np.array([180.0, 240.0])  # 300 px in all
POINTS = np.array([60, 80]) + DRIFT + np.random.default_rng(3).uniform(-6, 6, (N, 2))
START, MIDDLE = Window(28, 48, 64, 64), Window(118, 168, 64, 64)


def run_of(points, height=1000.0, noise=5.0, level=100.0, more=()):
    rng = np.random.default_rng(5)
    rows, columns = np.arange(SHAPE[0]), np.arange(SHAPE[1])
    frames = rng.normal(level, noise, (len(points), *SHAPE))
    stars = [(points, height)] + [(np.broadcast_to(at, points.shape), h) for at, h in more]
    for places, high in stars:
        for frame, (y, x) in zip(frames, places, strict=True):
            down, across = np.exp(-((rows - y) ** 2) / 18), np.exp(-((columns - x) ** 2) / 18)
            frame += high * np.outer(down, across)
    return frames.astype(np.float32)


RUN = run_of(POINTS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("focus", [START, MIDDLE])
def test_every_method_follows_a_star_through_many_windows(method, focus):
    made = register(ArrayFrames(RUN), focus, method=method)
    assert made.found.all()
    error = made.points - POINTS
    assert np.abs(error - np.median(error, axis=0)).max() < 0.2
    y, x = np.array(made.reference) - (focus.y0, focus.x0)
    assert 8 < y < 56 and 8 < x < 56  # it lands inside the window
    np.testing.assert_allclose(made.shifts, np.asarray(made.reference) - made.points)


@pytest.mark.parametrize("speed", [5.3, 8.7, 11.0])  # a window of 64 px is crossed in 6 to 12
def test_a_fast_star_is_followed(speed):
    path = np.array([150.0, 40.0]) + np.arange(26)[:, None] * (0, speed)
    made = register(ArrayFrames(run_of(path)), Window(118, 28, 64, 64))
    assert made.found.all()
    assert np.abs(made.points - path).max() < 0.2


@pytest.mark.parametrize("off", [0, 8])
def test_a_fast_star_that_fades_is_followed_back_from_where_it_comes_into_the_window(off):
    """It is brightest where it is seen first in the window, and leaves that in the next frame."""
    path = np.array([150.0, 40.0]) + np.arange(26)[:, None] * (0, 10)
    frames = np.random.default_rng(5).normal(100, 5, (26, *SHAPE)).astype(np.float32)
    rows, columns = np.arange(SHAPE[0]), np.arange(SHAPE[1])
    for frame, (y, x), height in zip(frames, path, np.linspace(2, 1, 26) ** 2 * 500, strict=True):
        down, across = (np.exp(-((at - c) ** 2) / 3.4) for at, c in ((rows, y), (columns, x)))
        frame += height * np.outer(down, across)
    made = register(ArrayFrames(frames), Window(118, 138 + off, 64, 64))
    assert made.found.all()
    assert np.abs(made.points - path).max() < 0.1


def test_noise_in_place_of_a_star_that_was_too_fast_to_follow_is_no_star():
    path = np.array([150.0, 40.0]) + np.arange(26)[:, None] * (0, 14)
    made = register(ArrayFrames(run_of(path)), Window(118, 28, 64, 64))
    assert made.found[:4].all() and not made.found[6:].any()


@pytest.mark.parametrize("method", METHODS)
def test_a_star_that_stays_gives_the_same_to_the_bit(method, monkeypatch):
    still = np.array([150, 200]) + np.random.default_rng(3).uniform(-15, 15, (30, 2))
    frames, focus = ArrayFrames(run_of(still)), Window(118, 168, 64, 64)
    made = register(frames, focus, method=method)
    monkeypatch.setattr(
        "napari_lucky.registration.register.follow",
        lambda f, w, found, *_, **__: (np.zeros((30, 2), np.intp), found),
    )
    fixed = register(frames, focus, method=method)
    assert np.array_equal(made.points, fixed.points)


def test_a_brighter_neighbour_on_the_way_is_not_taken_for_the_star():
    neighbour = POINTS[45] + (24, -18)  # 30 px beside the star's path
    frames = ArrayFrames(run_of(POINTS, more=[(neighbour, 3000.0)]))
    for method in ("brightest", "template"):
        made = register(frames, START, method=method)
        error = made.points[made.found] - POINTS[made.found]
        assert made.found.mean() > 0.8  # with two stars in the window, some are unlike the others
        assert np.abs(error - np.median(error, axis=0)).max() < 0.5


def test_clouds_and_cosmic_rays_do_not_move_the_window():
    frames = RUN.copy()
    frames[40:44] = np.random.default_rng(0).normal(100, 5, (4, *SHAPE))
    frames[50, 20, 20] = 60000
    made = register(ArrayFrames(frames), START, method="template")
    assert not made.found[40:44].any()
    assert made.found[44:].all()
    error = (made.points - POINTS)[made.found]
    assert np.abs(error - np.median(error, axis=0)).max() < 0.2


def test_a_star_that_drifts_on_behind_a_cloud_is_found_again():
    frames = RUN.copy()
    frames[30:42] = np.random.default_rng(0).normal(100, 5, (12, *SHAPE))  # 40 px further on
    made = register(ArrayFrames(frames), START)
    assert np.flatnonzero(~made.found).tolist() == list(range(30, 42))
    error = (made.points - POINTS)[made.found]
    assert np.abs(error - np.median(error, axis=0)).max() < 0.5


@pytest.mark.parametrize("method", ["template", "correlation"])
def test_a_star_that_leaves_the_sensor_is_reported(method):
    points = [150, 300] + np.linspace(0, 1, N)[:, None] * np.array([0.0, 200.0])
    made = register(ArrayFrames(run_of(points)), Window(118, 268, 64, 64), method=method)
    gone = points[:, 1] > 425
    assert not made.found[gone].any()
    assert made.found[points[:, 1] < 405].all()


def test_quality_and_saturation_are_measured_where_the_star_is():
    frames = RUN.copy()
    at = np.rint(POINTS[80]).astype(int)
    frames[80, at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2] = 4095  # one would be a cosmic ray
    made = register(ArrayFrames(frames), START)
    quality = rank(ArrayFrames(frames), START, shifts=made.shifts)
    assert quality.min() > 600
    assert (rank(ArrayFrames(frames), START) < 200).sum() > 60
    calibrated = Calibrated(ArrayFrames(frames), saturation=4095)
    assert np.flatnonzero(saturated_frames(calibrated, START, made.shifts)).tolist() == [80]
    assert not saturated_frames(calibrated, START).any()


def test_moves_are_whole_pixels_and_none_while_the_star_stays():
    shifts = np.array([[3.4, -20.0], [30.2, 0.4], [np.nan, np.nan], [-1.0, -70.6]])
    middle, edge = (60.0, 80.0), (60.0, 106.0)  # in START, and 6 px from its edge
    assert moves_of(shifts, START, middle).tolist() == [[0, 0], [-30, 0], [0, 0], [1, 71]]
    assert moves_of(shifts, START).tolist() == [[-3, 20], [-30, 0], [0, 0], [1, 71]]
    still = np.array([[1.5, 0.0], [0.3, -2.0]])
    assert not moves_of(still, START, edge).any()
    assert moves_of(still, START, edge, SHAPE).tolist() == [[0, 26], [0, 26]]
    assert moves_of(still, START, edge, (200, 120)).tolist() == [[0, 8], [0, 8]]  # on the sensor
    assert moves_of(np.array([[0.0, -4.0]]), START, edge).tolist() == [[0, 4]]


def test_what_comes_from_beyond_the_sensor_is_masked_and_nothing_wraps():
    frames = np.arange(2 * 10 * 12, dtype=np.float32).reshape(2, 10, 12)
    moved = Followed(ArrayFrames(frames), np.array([[2, -3], [0, 20]]))
    first, second = moved.read(slice(None), Window(0, 0, 10, 12))
    assert np.array_equal(first[:8, 3:], frames[0, 2:, :9])
    assert np.isnan(first[8:]).all() and np.isnan(first[:, :3]).all()
    assert np.isnan(second).all()
    with pytest.raises(LuckyError, match="1 shifts for 2 frames"):
        Followed(ArrayFrames(frames), np.zeros((1, 2), np.intp))


def test_the_moved_window_is_centred_on_the_star():
    frames = ArrayFrames(RUN)
    found = track_brightest(frames.read(slice(None), START))
    moves, seen = follow(frames, START, found, 2.0)
    np.testing.assert_allclose(seen[:, :2] + moves + (28, 48), POINTS, atol=0.2)
    assert np.abs(seen[:, :2] - 32).max() < 1


def test_a_neighbour_left_behind_in_the_window_is_not_taken_for_a_star_that_is_hidden():
    """The neighbour was seen beside the star, and is fainter than that."""
    hidden = slice(60, 64)
    height = np.full(N, 1000.0)
    height[hidden] = 0
    neighbour = np.array([44.0, 66.0])
    frames = run_of(POINTS, height=0, more=[(neighbour, 400.0)])
    rows, columns = np.arange(SHAPE[0]), np.arange(SHAPE[1])
    for frame, (y, x), high in zip(frames, POINTS, height, strict=True):
        down, across = np.exp(-((rows - y) ** 2) / 18), np.exp(-((columns - x) ** 2) / 18)
        frame += high * np.outer(down, across)
    found = track_brightest(frames[:, START.y0 : START.y1, START.x0 : START.x1])
    moves, seen = follow(ArrayFrames(frames), START, found, 2.0)
    places = seen[:, :2] + moves + (START.y0, START.x0)
    assert (np.abs(places - neighbour)[hidden].max(axis=1) > 60).all()
    assert (seen[hidden, 2] < 50).all()  # noise
    clear = np.delete(np.arange(N), np.arange(N)[hidden])
    assert np.abs((places - POINTS)[clear]).max() < 0.5


def test_the_reference_of_a_star_that_drifts_is_the_middle_of_its_points_in_the_window():
    """The window's edge is half a pixel beyond the middle of its outermost ones."""
    inside = np.array([[27.6, 60.0], [40.0, 111.4], [91.4, 47.6]])
    outside = np.array([[27.4, 60.0], [40.0, 111.6], [91.6, 60.0], [40.0, 47.4]])
    far = np.full((20, 2), 500.0)
    assert reference_of(np.concatenate([inside, far]), START) == (40, 60)
    points = np.concatenate([inside[:1], outside, far, [[np.nan, np.nan]]])
    assert reference_of(points, START) == (28, 60)
    assert reference_of(far, START) == (60, 80)  # the window's middle


def test_a_window_found_on_a_drifting_star_serves():
    frames = ArrayFrames(RUN)
    made = register(frames, find_star(frames, 64), method="template")
    error = made.points - POINTS
    assert np.abs(error - np.median(error, axis=0)).max() < 0.2


@pytest.mark.parametrize("method", ["brightest", "template"])
def test_both_stars_are_stacked_from_the_moved_windows(method, tmp_path):
    second = run_of(POINTS + np.array([50, 60]), height=400.0, noise=0, level=0)
    fits.PrimaryHDU(RUN + second).writeto(tmp_path / "run.fits")
    recipe = Recipe(
        (str(tmp_path / "run.fits"),),
        make_step("register", {"method": method}),
        Select(keep=1.0),
        focus=(60, 80, 64),
        defocus=(110, 140, 64),
    )
    result = process(recipe)
    assert result.table.selected.all()
    y, x = (np.array(result.table.reference) - (28, 48)).astype(int)
    for name, height in (("focus", 1000), ("defocus", 400)):
        image = np.asarray(result.images[name].data) - 100
        assert image[y, x] == pytest.approx(height, rel=0.03)
        assert np.unravel_index(image.argmax(), image.shape) == (y, x)
    assert np.isfinite(result.table.sigma).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("away", [4, 8])
def test_a_star_that_stays_near_the_windows_edge_is_not_moved(method, away):
    """The reference was the median in the moved window: all frames were shifted onto its middle."""
    still = np.array([150.2, 200.3]) + np.random.default_rng(3).normal(0, 1.0, (24, 2))
    frames = ArrayFrames(run_of(still))
    focus = Window(150 - away, 168, 64, 64)
    made = register(frames, focus, method=method)
    assert np.abs(np.median(made.shifts, axis=0)).max() <= 0.5  # the reference is a whole pixel
    error = made.points - still
    assert np.abs(np.median(error, axis=0)).max() < 0.05
    assert np.abs(error).max() < 0.15
    middle = register(frames, Window(118, 168, 64, 64), method=method)
    assert made.reference == middle.reference
    for metric, noisy in (("peak", 0.01), ("peak-over-flux", 0.1)):
        quality, right = (
            rank(
                frames, window, metric=metric, smooth=1.0, shifts=it.shifts, reference=it.reference
            )
            for window, it in ((focus, made), (middle.focus, middle))
        )
        assert quality == pytest.approx(right, rel=noisy)


@pytest.mark.parametrize("focus", [(150, 224, 64), (125, 200, 64), (150, 200, 64)])
@pytest.mark.parametrize("drift", [0.0, 90.0])
def test_stacks_tables_and_headers_agree_on_where_the_star_is(focus, drift, tmp_path):
    path = np.array([150.2, 200.3]) + np.linspace(0, 1, 40)[:, None] * (0, drift)
    fits.PrimaryHDU(run_of(path, noise=1.0)).writeto(tmp_path / "run.fits")
    recipe = Recipe((str(tmp_path / "run.fits"),), Select(keep=1.0), focus=focus)
    table = (made := process(recipe)).table
    assert np.abs(table.points - path).max() < 0.05
    stack = np.asarray(made.images["focus"].data)
    y0, x0 = made.images["focus"].origin
    place = track_brightest(stack[np.newaxis].astype(np.float32))[0, :2] + (y0, x0)
    assert np.abs(place - table.reference).max() < 0.05
    if drift == 0:
        long_exposure = np.asarray(made.images["long_exposure"].data)
        there = track_brightest(long_exposure[np.newaxis].astype(np.float32))[0, :2] + (y0, x0)
        assert np.abs(there - (150.2, 200.3)).max() < 0.05
        assert np.abs(np.array(table.reference) - (150, 200)).max() == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_star_that_goes_to_the_sensors_edge_and_comes_back_counts_where_it_is_inside(method):
    star = np.array([64, 64]) + np.random.default_rng(3).normal(0, 1.0, (40, 2))
    star[5:14, 1] += 64  # its middle is off the sensor, 128 px wide
    frames = run_of(star)[:, :128, :128]
    made = register(ArrayFrames(frames), Window(0, 0, 128, 128), method=method)
    assert np.flatnonzero(~made.found).tolist() == list(range(5, 14))
    assert np.abs((made.points - star)[made.found]).max() < 0.2


@pytest.mark.parametrize(("size", "beyond"), [(16, -2.0), (24, -1.5), (24, -3.0)])
def test_a_star_that_jumps_beyond_the_sensors_edge_costs_only_those_frames(size, beyond):
    rng, away = np.random.default_rng(0), (5, 15, 25)
    star = np.array([48, 3]) + rng.normal(0, 0.5, (40, 2))
    star[list(away), 1] = beyond
    rows, columns = (np.arange(side) for side in (96, 128))
    down, across = (
        np.exp(-((along - at[:, None]) ** 2) / (2 * 1.6**2))
        for along, at in zip((rows, columns), star.T, strict=True)
    )
    frames = 1000 * down[:, :, None] * across[:, None, :] + rng.normal(0, 5, (40, 96, 128))
    window = Window(48 - size // 2, 0, size, size)
    made = register(ArrayFrames(frames.astype(np.float32)), window, smooth=1.0)
    assert tuple(np.flatnonzero(~made.found)) == away
    assert {made.reasons[k] for k in away} == {CUT}
