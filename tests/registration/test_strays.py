"""What is found instead of the star is left out by every method, and said."""

import numpy as np
import pytest

from made_stars import exposed, screens, stars
from made_strays import N, run_of, shaking, still
from napari_lucky import Window, rank, register
from napari_lucky.frames import ArrayFrames, Subset
from napari_lucky.imaging.noise import Noise
from napari_lucky.registration.cosmic_rays import struck
from napari_lucky.registration.strays import (
    ASTRAY,
    BEYOND,
    COSMIC,
    CUT,
    MASKED,
    NEIGHBOUR,
    cut_by_edge,
)
from napari_lucky.steps.registry import load_steps

METHODS = tuple(load_steps()["register"])
OTHERS = [method for method in METHODS if method != "template"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stays", [True, False])
def test_a_brighter_neighbour_that_comes_in_is_not_taken_for_the_star(method, stays):
    star = still(50, 56)
    path = np.array([30.0, 130.0]) - np.linspace(0, 1, N)[:, None] * (0, 65 if stays else 170)
    made = register(
        ArrayFrames(run_of((star, 800), (path, 2000))), Window(16, 24, 64, 64), method=method
    )
    inside = (path[:, 1] > 25) & (path[:, 1] < 86)
    clear = (path[:, 1] > 92) | (path[:, 1] < 19)
    assert made.found[clear].all()
    assert not made.found[inside].any()
    assert method == "template" or {made.reasons[k] for k in np.flatnonzero(inside)} == {NEIGHBOUR}
    assert np.abs((made.points - star)[made.found]).max() < 1


@pytest.mark.parametrize("method", OTHERS)
def test_a_star_that_jumps_is_followed(method):
    star = still(50, 56)
    star[N // 2 :] += (12, -18)
    made = register(ArrayFrames(run_of((star, 800))), Window(16, 24, 64, 64), method=method)
    assert made.found.all()
    assert np.abs(made.points - star).max() < 0.3


@pytest.mark.parametrize("method", METHODS)
def test_the_wing_of_a_star_that_has_jumped_out_of_the_window_is_no_star(method):
    star = still(50, 56)
    star[30:] += (0, 38)  # 7 px beyond the last column
    frames = ArrayFrames(run_of((star, 2000), width=4.0))
    made = register(frames, Window(16, 24, 64, 64), method=method)
    assert made.reasons == ("",) * 30 + (BEYOND,) * 10
    assert np.abs((made.points - star)[:30]).max() < 0.3


@pytest.mark.parametrize("method", METHODS)
def test_a_frame_whose_star_is_masked_is_left_out(method):
    star = still(50, 56)
    frames = run_of((star, 2000), width=4.0)
    frames[7, 42:59, 48:65] = np.nan  # what is left has an eighth of the peak
    frames[9, 45:55, 70:80] = np.nan  # beside the star
    made = register(ArrayFrames(frames), Window(16, 24, 64, 64), method=method)
    assert np.flatnonzero(~made.found).tolist() == [7]
    assert made.reasons[7] == MASKED


@pytest.mark.parametrize("method", METHODS)
def test_frames_with_a_cosmic_ray_over_the_star_are_left_out(method):
    star = still(50, 56)
    frames = run_of((star, 800))
    frames[7, 40, 44] += 30000
    frames[11, 60:62, 60] += 20000
    frames[15, 50, 57] += 30000  # on the star
    frames[20, 30, 30] += 300  # under the star's peak after smoothing
    made = register(ArrayFrames(frames), Window(16, 24, 64, 64), method=method)
    assert np.flatnonzero(~made.found).tolist() == [7, 11, 15]
    assert {made.reasons[k] for k in (7, 11, 15)} == {COSMIC}


@pytest.mark.parametrize(
    ("peak", "sharp", "hit"),
    [
        (1000, 2.3, False),
        (1000, 2.5, True),  # over twice as sharp as usual
        (30, 2.5, False),  # 39 ADU more than usual, of a pixel's 5
        (30, 2.57, True),
        (np.nan, np.nan, False),
    ],
)
def test_a_cosmic_ray_is_twice_as_sharp_by_eight_sigmas_of_a_pixel(peak, sharp, hit):
    found = np.full((N, 9), np.nan)
    found[:, 2], found[:, 6] = 1000, 1.2
    found[7, 2], found[7, 6] = peak, sharp
    assert np.flatnonzero(struck(found, Noise(25.0))).tolist() == [7] * hit
    assert not struck(np.full((N, 9), np.nan), Noise(25.0)).any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("sampling", "ratio"), [(2.5, 2), (4, 3)])
def test_a_neighbour_is_left_out_as_near_to_the_star_as_that_shakes(method, sampling, ratio):
    phases, places, rng = shaking(sampling, 11)
    there = np.isin(np.arange(N), (4, 5, 6, 20, 33))
    images = stars(phases, sampling, 96, places)
    images[there] += ratio * stars(phases[there], sampling, 96, places[there] + (6, -5))
    frames = ArrayFrames(exposed(images, 200000, rng))
    made = register(frames, Window(0, 0, 96, 96), method=method)
    assert np.array_equal(~made.found, there)
    assert method == "template" or {made.reasons[k] for k in np.flatnonzero(there)} == {NEIGHBOUR}


def test_frames_with_more_light_are_named_where_the_star_stays():
    phases, places, rng = shaking(4, 12)
    light = np.where(np.isin(np.arange(N), (4, 20, 21)), 2.5, rng.normal(1, 0.1, N))
    images = light[:, None, None] * stars(phases, 4, 96, places)
    run = ArrayFrames(exposed(images, 200000, rng))
    made = register(Subset(run, np.arange(2, N)), Window(0, 0, 96, 96))
    assert made.found.all()
    (note,) = made.notes
    assert note.startswith("3 frames (4, 20–21) have about 2.5 times the light of the others")


@pytest.mark.parametrize("method", ["brightest", "correlation"])
def test_frames_with_more_light_are_named_of_a_double_star_too(method):
    phases, places, rng = shaking(4, 12)
    light = np.where(np.isin(np.arange(N), (4, 20, 21)), 2.5, rng.normal(1, 0.05, N))
    both = sum(stars(phases, 4, 96, places + at) for at in np.array([(-4, 6), (4, -6)]))
    made = register(
        ArrayFrames(exposed(light[:, None, None] * both, 200000, rng)),
        Window(0, 0, 96, 96),
        method=method,
    )
    assert made.found.all()
    assert sum("(4, 20–21) have about 2." in note for note in made.notes) == 1


@pytest.mark.parametrize("clouded", [0.2, 0.5, 0.9])
def test_clouds_are_no_neighbour(clouded):
    phases, places, rng = shaking(3, 13)
    light = rng.normal(1, 0.1, N)
    some = rng.choice(N, int(clouded * N), replace=False)
    light[some] *= rng.uniform(0.15, 0.9, len(some))
    run = exposed(light[:, None, None] * stars(phases, 3, 96, places), 200000, rng)
    made = register(ArrayFrames(run), Window(0, 0, 96, 96))
    assert made.found.all() and not made.notes


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sampling", [2.5, 3, 7])
def test_frames_with_a_cosmic_ray_on_the_core_are_left_out(method, sampling):
    phases, places, rng = shaking(sampling, 14)
    images = 400000 * stars(phases, sampling, 96, places)
    frames = exposed(images, 1, rng)
    hits = {3: [(0, 0, 0.7)], 9: [(0, 1, 1)], 17: [(0, 0, 0.6), (1, 1, 0.6)], 30: [(-1, 0, 3)]}
    hits[34] = [(0, 0, 1), (0, 1, 0.5), (0, 2, 1)]
    for k, hit in hits.items():
        y, x = np.unravel_index(images[k].argmax(), (96, 96))
        for down, across, part in hit:
            frames[k, y + down, x + across] += part * images[k].max()
    made = register(ArrayFrames(frames), Window(0, 0, 96, 96), method=method)
    assert np.flatnonzero(~made.found).tolist() == list(hits)
    assert {made.reasons[k] for k in hits} == {COSMIC}


@pytest.mark.parametrize(
    ("sampling", "d_over_r0", "clipped"),
    [(1.5, 5, 0), (2, 1, 0), (2, 5, 0), (2.5, 5, 0), (2.5, 5, 1), (7, 3, 0), (7, 3, 1)],
)
def test_a_lucky_frame_has_no_cosmic_ray(sampling, d_over_r0, clipped):
    phases, places, rng = shaking(sampling, 15, d_over_r0)
    phases[7] = 0  # diffraction-limited
    images = stars(phases, sampling, 96, places)
    frames = exposed(images, 400000, rng)
    if clipped:
        frames = np.minimum(frames, 0.7 * frames[7].max())
    made = register(ArrayFrames(frames), Window(0, 0, 96, 96))
    assert COSMIC not in made.reasons


@pytest.mark.parametrize("method", METHODS)
def test_frames_in_which_other_light_draws_the_tracking_off_the_star_are_left_out(method):
    star = still(50, 56) + np.linspace(-8, 8, N)[:, None]  # drifts
    frames = run_of((star, 800))
    y, x = np.indices(frames.shape[1:])
    for k, height in ((6, 3000), (22, 20000)):
        frames[k] += height * np.exp(-x / 20)  # stray light from the left
    frames[11] += 60 * y  # from below
    frames[25] += 2500 * np.exp(-(((y - x - 25) / 3) ** 2) / 2)  # a satellite's trail
    frames[33] += 2000 * np.exp(-((y - 20) ** 2 + (x - 90) ** 2) / 200)
    made = register(ArrayFrames(frames), Window(8, 16, 80, 80), method=method)
    assert np.flatnonzero(~made.found).tolist() == [6, 11, 22, 25, 33]
    assert np.abs((made.points - star)[made.found]).max() < 0.5
    reasons = {made.reasons[k] for k in (6, 11, 22, 25, 33)}
    assert method == "template" or reasons <= {ASTRAY, NEIGHBOUR}


@pytest.mark.parametrize("method", METHODS)
def test_a_star_cut_by_the_sensors_edge_is_left_out_and_one_whose_core_is_inside_is_not(method):
    star = still(50, 90, 0.1)
    star[:, 1] = np.linspace(85, 118, N)  # leaves the sensor, 112 px wide
    frames = ArrayFrames(run_of((star, 800)))
    made = register(frames, Window(18, 48, 64, 64), method=method)
    room = 111.5 - star[:, 1]
    assert made.found[room > 5].all()
    assert not made.found[room < 2].any()
    assert CUT in made.reasons
    quality = rank(
        frames,
        made.focus,
        metric="peak-over-flux",
        smooth=1.0,
        shifts=made.shifts,
        reference=made.reference,
    )
    assert np.isfinite(quality[made.found]).all()


def test_a_star_that_is_always_near_the_sensors_edge_is_found():
    star = still(6, 56)
    frames = ArrayFrames(run_of((star, 800), width=1.5))
    made = register(frames, Window(0, 24, 64, 64), method="brightest")
    assert made.found.all()
    assert np.abs(made.points - star).max() < 0.1


def test_a_star_that_jumps_beyond_the_sensors_edge_leaves_a_small_window_empty():
    star = still(8, 56, 0.2)
    star[30:, 0] = -3
    frames = ArrayFrames(run_of((star, 2000)))
    made = register(frames, Window(0, 48, 16, 16), method="brightest")
    assert made.reasons == ("",) * 30 + (CUT,) * 10


@pytest.mark.parametrize(
    ("sharpness", "core"),
    [
        (1.25, 4 * np.sqrt(2 * np.log(2))),  # a Gaussian of 4 px, smoothed by one of 2 px
        (1.04, 4.0 * 2),  # one of 10 px: no wider than 4 smoothings
        (5.0, 1.5 * 2),  # one of 1 px: no narrower than 1.5
        (np.nan, 1.5 * 2),  # not known
    ],
)
@pytest.mark.parametrize("edge", range(4))
def test_a_star_counts_while_its_half_width_is_on_the_sensor(sharpness, core, edge):
    """The edge is half a pixel beyond the middle of the last one."""
    room = np.array([core - 0.1, core + 0.1])
    points = np.full((2, 2), 40.0)
    points[:, edge // 2] = (
        (room - 0.5) if edge % 2 == 0 else (np.array([95, 111])[edge // 2] + 0.5 - room)
    )
    frames = ArrayFrames(np.zeros((2, 96, 112), np.float32))
    cut = cut_by_edge(frames, Window(0, 0, 32, 32), points, np.full(2, sharpness), 2.0)
    assert cut.tolist() == [True, False]


@pytest.mark.parametrize(
    ("part", "beside", "is_cut"), [(0.4, 0, True), (0.4, 1, True), (0.6, 0, False)]
)
def test_a_star_near_the_edge_has_half_the_usual_light_in_half_the_window(part, beside, is_cut):
    """A neighbour is beyond half of the shorter side."""
    star = np.tile([50.0, 56.0], (N, 1))
    star[20:, 1] = 106
    near = np.arange(N) >= 20
    frames = run_of((star, np.where(near, 800 * part, 800)), (star - (0, 20), 800 * beside * near))
    sharp = np.full(N, 1.5)
    cut = cut_by_edge(ArrayFrames(frames), Window(34, 8, 32, 96), star, sharp, 1.5)
    assert np.array_equal(cut, near & is_cut)


def test_a_cloud_of_speckles_half_beyond_the_edge_is_cut():
    rng = np.random.default_rng(4)
    images = stars(screens(N, 8, rng), 4, 128, rng.normal(0, 2, (N, 2)))
    frames = exposed(images, 200000, rng)[:, :, :110]  # the middle is pixel 64
    for k in (5, 6, 7):
        frames[k, :, :108] = exposed(images[k : k + 1], 200000, rng)[0][
            :, 20:128
        ]  # not at the edge
        frames[k] = exposed(np.roll(images[k : k + 1], 50, 2), 200000, rng)[0][:, :110]
    made = register(ArrayFrames(frames), Window(0, 0, 128, 110), method="brightest")
    assert not made.found[[5, 6, 7]].any()
    assert made.found.sum() >= N - 5
