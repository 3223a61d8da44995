"""Two stars in the window: a double star, a companion, or a neighbour that comes and goes."""

import numpy as np
import pytest

from made_stars import exposed, screens, stars
from made_strays import N, run_of, still
from napari_lucky import Window, register
from napari_lucky.frames import ArrayFrames
from napari_lucky.notices import level_of
from napari_lucky.registration import wide_correlation
from napari_lucky.registration.correlation import reference_image
from napari_lucky.registration.double_star import double_star_notes
from napari_lucky.registration.second_star import second_star_notes
from napari_lucky.registration.strays import NEIGHBOUR
from napari_lucky.registration.two_places import _light_at, find_two_places
from napari_lucky.steps.registry import load_steps

METHODS = tuple(load_steps()["register"])


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


def pairs(count, n=40, either=0.5, scatter=0.0, smooth=3.0, ratio=0.8):
    """Return the notes on stars of which so many are double, (10, -30) px apart."""
    rng = np.random.default_rng(6)
    one = np.tile([64.0, 64.0], (n, 1))
    two = one + np.array([10, -30]) + rng.uniform(-scatter, scatter, (n, 2))
    double, swapped = np.arange(n) < count, np.arange(n) % 10 < 10 * either
    light = np.zeros((n, 128, 128), np.float32)
    y, x = np.mgrid[:128, :128]
    for places, heights in (
        (one, np.where(double & swapped, ratio, 1)),
        (two, double * np.where(swapped, 1, ratio)),
    ):
        for frame, (at_y, at_x), height in zip(light, places, heights, strict=True):
            frame += 1000 * height * np.exp(-((y - at_y) ** 2 + (x - at_x) ** 2) / 18)
    frames = ArrayFrames(light + rng.normal(0, 1, light.shape).astype(np.float32))
    return double_star_notes(frames, Window(0, 0, 128, 128), np.arange(n), smooth)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": 40}, "31.6 px apart (+10.0 in y, -30.0 in x), in 40 of 40 frames"),
        ({"count": 100, "n": 100}, "in 48 of 48 frames"),
        ({"count": 15}, "in 15 of 40 frames"),
        ({"count": 13}, ""),  # less than 0.35 of the frames
        ({"count": 40, "either": 0.2}, "in 40 of 40 frames"),
        ({"count": 40, "either": 0.1}, ""),  # the same one is brighter
        ({"count": 40, "scatter": 4.0}, "in 40 of 40 frames"),  # nearer than two smoothings
        ({"count": 40, "scatter": 4.0, "smooth": 0.4}, ""),
        ({"count": 40, "ratio": 0.65}, "in 40 of 40 frames"),
        ({"count": 40, "ratio": 0.55}, ""),  # not as bright
        ({"count": 8, "n": 8}, "in 8 of 8 frames"),
        ({"count": 7, "n": 7}, ""),  # too few
    ],
)
def test_a_double_star_is_one_distance_in_many_frames_and_either_star_is_brighter(given, said):
    notes = pairs(**given)
    assert [said in note for note in notes] == [True] * bool(said)


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


def test_a_wide_star_is_not_beside_itself():
    """Its own light is over half as bright nine smoothings from its middle."""
    star = still(48, 56)
    frames = ArrayFrames(run_of((star, 1000), width=12.0))
    assert second_star_notes(frames, Window(0, 0, 96, 112), star, 1.0) == ()


@pytest.mark.parametrize(("off", "said"), [(3, False), (4, True)])
def test_light_within_3_7_smoothings_of_the_tracked_point_is_the_star(off, said):
    star = np.tile([48.0, 56.0], (N, 1))
    frames = ArrayFrames(run_of((star, 1000), noise=0.0, width=12.0))
    notes = second_star_notes(frames, Window(0, 0, 96, 112), star - (0, off), 1.0)
    assert [f"is {off} px from" in note for note in notes] == [True] * said


@pytest.mark.parametrize(
    ("smooth", "apart", "said"),
    [(0.4, 6.3, True), (0.4, 5.7, False), (2, 11.7, False), (2, 12.3, True)],
)
def test_two_places_are_six_smoothings_apart_or_pixels(smooth, apart, said):
    """Of two stars of a pixel, one is brighter in every other frame; both are always there."""
    one, two = np.array([[48.0, 50.0], [48.0, 50.0 + apart]])
    second = np.arange(N) % 2 == 1
    frames = run_of(
        *(
            (np.tile(at, (N, 1)), np.where(some, 900, 1000))
            for at, some in ((one, second), (two, ~second))
        ),
        width=1.0,
    )
    points = np.where(second[:, None], two, one)
    light = frames.sum(axis=(1, 2)) - 100 * frames[0].size
    told = find_two_places(ArrayFrames(frames), Window(0, 0, 96, 112), points, light, smooth)
    assert not told.neighbour.any()
    assert [
        f"In 20 of 40 frames the brightest point is about {apart:.0f} px from" in note
        for note in told.note
    ] == [True] * said


def test_light_at_a_place_is_weighed_with_a_gaussian():
    """The integral of two Gaussians' product, and of the star's alone."""
    star, width = np.tile([40.0, 60.0], (N, 1)), 5.0
    heights = np.linspace(500, 1500, N)
    frames = ArrayFrames(run_of((star, heights), noise=0.0, width=3.0))
    places = np.array([[40.0, 60.0], [46.0, 52.0]])
    at, every = _light_at(frames, Window(0, 0, 96, 112), np.arange(N), places, width)
    both = 3.0**2 + width**2
    share = np.exp(-np.array([0, 100]) / (2 * both)) * width**2 / both
    light = 2 * np.pi * 3.0**2 * heights
    np.testing.assert_allclose(at, light[:, None] * share, rtol=1e-3)
    np.testing.assert_allclose(every, light, rtol=1e-3)


@pytest.mark.parametrize("seen", [3, 4])
def test_fewer_than_four_frames_do_not_tell_of_two_places(seen):
    one, two = np.array([[48.0, 40.0], [48.0, 76.0]])
    frames = run_of((np.tile(one, (N, 1)), 900), (np.tile(two, (N, 1)), 900))
    points = np.full((N, 2), np.nan)
    points[:seen] = [one, two, one, two][:seen]
    light = np.full(N, 1e5)
    told = find_two_places(ArrayFrames(frames), Window(0, 0, 96, 112), points, light, 2.0)
    assert ["In 2 of 4 frames" in note for note in told.note] == [True] * (seen == 4)


def test_a_neighbour_beside_a_double_star_is_known_by_its_light():
    """Both stars are there in all frames, whichever of them is brighter."""
    one, two, other = np.array([[48.0, 40.0], [48.0, 76.0], [20.0, 58.0]])
    second, there = (np.isin(np.arange(N), some) for some in (range(3, N, 5), (5, 17, 26)))
    wobble = np.random.default_rng(3).normal(0, 0.3, (N, 2))
    frames = run_of(
        (one + wobble, np.where(second, 900, 1000)),
        (two + wobble, np.where(second, 1000, 900)),
        (other + wobble, 1500 * there),
    )
    points = np.where(second[:, None], two, np.where(there[:, None], other, one)) + wobble
    light = frames.sum(axis=(1, 2)) - 100 * frames[0].size
    told = find_two_places(ArrayFrames(frames), Window(0, 0, 96, 112), points, light, 2.0)
    assert np.array_equal(told.neighbour, there)


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
