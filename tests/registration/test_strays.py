"""What is found instead of the star is left out by every method, and said."""

import numpy as np
import pytest

from made_stars import exposed, screens, stars
from napari_lucky import Window, rank, register
from napari_lucky.frames import ArrayFrames, Subset
from napari_lucky.notices import level_of
from napari_lucky.registration import wide_correlation
from napari_lucky.registration.correlation import reference_image
from napari_lucky.registration.second_star import second_star_notes
from napari_lucky.registration.strays import ASTRAY, BEYOND, COSMIC, CUT, MASKED, NEIGHBOUR
from napari_lucky.registration.two_places import find_two_places
from napari_lucky.steps.registry import load_steps

METHODS = tuple(load_steps()["register"])
OTHERS = [method for method in METHODS if method != "template"]
N = 40


def run_of(*objects, shape=(96, 112), noise=5.0, width=2.0):
    """Return frames of Gaussian stars: places (n, 2) and height (n,) of each."""
    rng = np.random.default_rng(1)
    frames = rng.normal(100, noise, (N, *shape))
    rows, columns = np.arange(shape[0]), np.arange(shape[1])
    for places, heights in objects:
        for frame, (y, x), height in zip(frames, places, np.broadcast_to(heights, N), strict=True):
            down, across = (
                np.exp(-((at - c) ** 2) / (2 * width**2)) for at, c in ((rows, y), (columns, x))
            )
            frame += height * np.outer(down, across)
    return frames.astype(np.float32)


def still(y, x, jitter=0.5):
    return np.array([y, x]) + np.random.default_rng(2).normal(0, jitter, (N, 2))


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


def shaking(sampling, seed, d_over_r0=3, reach=3):
    """Return phases, and places off the middle of 96 px, of a star that shakes."""
    rng = np.random.default_rng(seed)
    return screens(N, d_over_r0, rng), rng.uniform(-reach, reach, (N, 2)), rng


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


@pytest.mark.parametrize(("second", "said"), [(1.0, True), (0.3, False), (0.0, False)])
def test_an_equal_double_star_is_said(second, said):
    rng = np.random.default_rng(5)
    places = rng.normal(0, 3, (N, 2))
    phases = screens(N, 4, rng)
    images = stars(phases, 4, 96, places) + second * stars(
        phases, 4, 96, places + np.array([8, -12])
    )
    frames = ArrayFrames(exposed(images, 50000, rng))
    made = register(frames, Window(0, 0, 96, 96), method="brightest")
    assert made.found.all()
    assert any("14.4 px apart" in note for note in made.notes) == said
    notes = register(frames, Window(0, 0, 96, 96), method="correlation").notes
    assert ["Another star is 14 px from" in note for note in notes] == [True] * said
    assert {level_of(note) for note in notes} <= {"info"}  # correlation deals with it


@pytest.mark.parametrize(("sampling", "offset"), [(3, (3, -4)), (3, (0, 7)), (7, (-9, 12))])
def test_a_companion_near_the_star_is_said_to_be_where_it_is(sampling, offset):
    """One nearer than it is looked for was told 9 px off instead of 5, with half of its light."""
    rng = np.random.default_rng(5)
    places, phases = rng.normal(0, 1, (N, 2)), screens(N, 0.1, rng)
    images = stars(phases, sampling, 128, places)
    images += 0.9 * stars(phases, sampling, 128, places + np.array(offset))
    frames = ArrayFrames(exposed(images, 2e5, rng))
    (note,) = register(frames, Window(4, 4, 120, 120)).notes
    assert f"{np.hypot(*offset):.0f} px from" in note
    assert f"({offset[0]:+d} in y, {offset[1]:+d} in x)" in note.replace("-0 ", "+0 ")
    assert 85 <= int(note.split("about ")[1].split()[0]) <= 95


def test_a_neighbour_that_moves_about_and_is_brighter_in_most_frames_is_said():
    star = still(50, 56)
    path = star + (18, -18) + np.linspace(-1, 1, N)[:, None] * (10, -8)
    frames = run_of((star, 800), (path, np.where(np.arange(N) < 4, 0, 1600)))
    notes = register(ArrayFrames(frames), Window(5, 11, 90, 90)).notes
    assert any(note.startswith("From frame 3 to the next") for note in notes)
    assert any("that stands still at row 50, column 56" in note for note in notes)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("ratio", "said"), [(0.7, "70 %"), (0.2, "")])
def test_another_star_of_comparable_light_is_said(method, ratio, said):
    rng = np.random.default_rng(5)
    places, phases = rng.normal(0, 1, (N, 2)), screens(N, 5, rng)
    images = stars(phases, 4, 128, places) + ratio * stars(
        phases, 4, 128, places + np.array([14, -20])
    )
    frames = ArrayFrames(exposed(images, 1e5, rng))
    notes = register(frames, Window(16, 16, 96, 96), method=method).notes
    assert [f"(+14 in y, -20 in x), with about {said}" in note for note in notes] == [True] * bool(
        said
    )


def test_noise_that_is_cut_off_is_no_second_star():
    star = still(50, 56)
    frames = np.maximum(run_of((star, 150), noise=100.0, width=5.0) - 150, 0)
    assert second_star_notes(ArrayFrames(frames), Window(0, 0, 96, 112), star, 3.0) == ()


def in_turbulence(d_over_r0, comes=slice(0, 0), ratio=3.0, gust=slice(0, 0), alike=True):
    """Return frames, where the star is, and in which a brighter one is 42 px away."""
    rng, n = np.random.default_rng(1), np.arange(N)
    phases = screens(N, d_over_r0, rng)
    others = phases if alike else screens(N, d_over_r0, rng)
    star = np.array([-12, 12]) + rng.normal(0, 2, (N, 2))
    star[gust] += (30, -30)
    there = np.isin(n, n[comes])
    images = stars(phases, 4, 128, star)
    images[there] += ratio * stars(others[there], 4, 128, star[there] + (30, -30))
    return exposed(images, 200000, rng), star + 64, there


@pytest.mark.parametrize(
    ("d_over_r0", "comes"),
    [(3, slice(20, N)), (5, slice(0, 20)), (8, slice(4, N)), (8, np.r_[8:12, 25:29])],
)
def test_a_brighter_neighbour_is_left_out_in_turbulence(d_over_r0, comes):
    frames, star, there = in_turbulence(d_over_r0, comes)
    methods = METHODS if d_over_r0 == 5 else ("brightest",)
    for method in methods:
        made = register(ArrayFrames(frames), Window(0, 0, 128, 128), method=method)
        assert not made.found[there].any()
        assert made.found[~there].sum() >= (~there).sum() - 1
        assert np.hypot(*(made.points - star)[made.found].T).max() < 21
        assert method == "template" or {made.reasons[k] for k in np.flatnonzero(there)} == {
            NEIGHBOUR
        }


def test_no_frame_that_shows_a_neighbour_is_correlated_with(monkeypatch):
    """The neighbour is hardly brighter; in some frames the star's speckle still outshines it."""
    rng, n = np.random.default_rng(1), 25
    phases, others = screens(n, 5, rng), screens(n, 5, rng)
    star = np.array([-12, 12]) + rng.normal(0, 2, (n, 2))
    images = stars(phases, 4, 128, star)
    images[12:] += 1.2 * stars(others, 4, 128, star + np.array([30, -30]))[12:]
    frames = exposed(images, 200000, rng)
    seen = []
    monkeypatch.setattr(
        wide_correlation,
        "reference_image",
        lambda frames, focus, found, which: (
            seen.append(np.flatnonzero(np.isfinite(found[:, 2])))
            or reference_image(frames, focus, found, which)
        ),
    )
    made = register(ArrayFrames(frames), Window(0, 0, 128, 128), method="correlation")
    assert seen[0].tolist() == list(range(12))
    assert made.found[:12].all() and 0 < made.found[12:].sum() < 6
    assert np.hypot(*(made.points - star - 64)[made.found].T).max() < 10


@pytest.mark.parametrize(("noise", "certain"), [(5, True), (25, False)])
def test_a_neighbours_light_must_be_certain(noise, certain):
    """In noisy frames, more light in all the window may be chance."""
    star, other = np.array([48.0, 40.0]), np.array([48.0, 76.0])
    there = np.isin(np.arange(N), (3, 17, 30))
    frames = run_of(
        (np.tile(star, (N, 1)), 200), (np.tile(other, (N, 1)), 260 * there), noise=noise
    )
    rng = np.random.default_rng(0)
    points = np.where(there[:, None], other, star) + rng.normal(0, 0.2, (N, 2))
    light = frames.sum(axis=(1, 2)) - 100 * frames[0].size
    told = find_two_places(ArrayFrames(frames), Window(0, 0, 96, 112), points, light, 2.0)
    assert np.array_equal(told.neighbour, there & certain)


def test_two_places_that_do_not_tell_which_is_the_star_are_said():
    frames, _, _ = in_turbulence(5, slice(4, N), ratio=1.3, alike=False)
    made = register(ArrayFrames(frames), Window(0, 0, 128, 128))
    assert any("two stars" in note or "equally bright" in note for note in made.notes)


@pytest.mark.parametrize("d_over_r0", [1, 8])
def test_a_gust_in_turbulence_moves_the_star_and_is_no_neighbour(d_over_r0):
    frames, star, _ = in_turbulence(d_over_r0, gust=slice(15, 25))
    frames[15:25] = (frames[15:25] - 100) * 2 + 100  # the clouds part
    made = register(ArrayFrames(frames), Window(0, 0, 128, 128))
    assert made.found.all() and not made.notes
    assert np.hypot(*(made.points - star).T).max() < 21
