import numpy as np
import pytest

from napari_lucky import LuckyError, Window
from napari_lucky.cleaning import (
    DustRemoved,
    DustShadow,
    clipped_mean,
    dust_contrast,
    find_dust,
    transmission,
)
from napari_lucky.cleaning.background import Disc
from napari_lucky.frames import ArrayFrames

SHAPE = (300, 400)
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
NOISE = 0.003
RADIUS = 12
DUST = [  # y, x, depth, shape; the last two are cut by an edge
    (80.3, 120.6, 0.20, "cosine"),
    (150.0, 300.0, 0.10, "donut"),
    (231.7, 70.2, 0.05, "gauss"),
    (60.4, 250.8, 0.02, "cosine"),
    (240.0, 200.5, 0.30, "gauss"),
    (6.2, 190.0, 0.10, "cosine"),
    (180.0, 394.5, 0.15, "cosine"),
]


def distance(y, x):
    return np.hypot(ROWS - y, COLUMNS - x)


def shadow(y, x, depth, shape="cosine", radius=RADIUS):
    r = distance(y, x) / radius
    if shape == "cosine":
        return 1 - depth * np.where(r < 1, 0.5 + 0.5 * np.cos(np.pi * r.clip(0, 1)), 0)
    if shape == "gauss":
        return 1 - depth * np.exp(-((r / 0.45) ** 2) / 2)
    return 1 - depth * np.exp(-(((r - 0.6) / 0.17) ** 2) / 2)


def shadows(dust=DUST):
    return np.prod([shadow(*grain) for grain in dust], axis=0) if dust else np.ones(SHAPE)


def light(level=3000.0):
    """An illumination with a gradient and vignetting."""
    off = np.hypot(ROWS - 140, COLUMNS - 215) / 250
    return level * (1 - 0.3 * off**2) * (1 + 4e-4 * COLUMNS - 3e-4 * ROWS)


def flat(dust=DUST, seed=1, noise=NOISE):
    rng = np.random.default_rng(seed)
    return (light() * shadows(dust) * rng.normal(1, noise, SHAPE)).astype(np.float32)


def test_all_shadows_are_found_and_none_invented():
    image = flat()
    image[225:228, 60:90] = np.nan  # a bad row through one, a bad column beside another
    image[:, 258] = np.nan
    spots = find_dust(image, RADIUS, 20)
    assert len(spots) == len(DUST)
    for y, x, *_ in DUST:
        assert min(np.hypot(spot.y - y, spot.x - x) for spot in spots) < 0.5
    means = [np.nanmean(shadows()[distance(s.y, s.x) <= RADIUS]) for s in spots]
    assert means == sorted(means)  # the deepest first
    assert find_dust(image, RADIUS, 3) == spots[:3]


@pytest.mark.parametrize("radius", [2, 5, 12, 30])
@pytest.mark.parametrize("seed", [3, 4])
def test_noise_has_no_shadows(radius, seed):
    assert find_dust(flat([], seed), radius, 10) == ()


@pytest.mark.parametrize("y", [0, 4, 8, 293])
def test_a_shadow_on_an_edge_is_found_near_its_place(y):
    (spot,) = find_dust(flat([(y, 200, 0.1, "cosine")]), RADIUS, 5)
    assert np.hypot(spot.y - y, spot.x - 200) < 3


def test_a_star_and_its_surroundings_are_no_shadow():
    r = distance(150, 200)
    star = 9000 * np.exp(-((r / 6) ** 2)) + 300 * (1 + (r / 15) ** 2) ** -1.5
    image = flat([(150, 240.0, 0.5, "cosine")]) + star
    assert find_dust(image, 8, 10, discs=[Disc(150, 200, 45)]) == ()


def test_beside_a_deep_shadow_a_faint_one_is_found():
    image = flat([(150, 200, 0.6, "cosine"), (150, 230, 0.01, "cosine")])
    deep, faint = find_dust(image, RADIUS, 5)
    assert np.hypot(deep.y - 150, deep.x - 200) < 1
    assert np.hypot(faint.y - 150, faint.x - 230) < 2


def test_a_spot_of_known_depth_is_removed():
    """To 0.1 % in the mean of each spot, and the noise of flat and frames is all that is left."""
    image = flat()
    spots = find_dust(image, RADIUS, 20)
    through = transmission(image, spots)
    rng = np.random.default_rng(7)
    scene = 500 + 200 * np.cos(ROWS / 9) * np.cos(COLUMNS / 7)  # not the flat's light
    frames = scene * shadows() * rng.normal(1, 0.01, (40, *SHAPE))
    clean = DustRemoved(ArrayFrames(frames.astype(np.float32)), spots, through)
    ratio = clean.read(slice(None)).mean(axis=0) / scene
    for y, x, depth, _ in DUST:
        inside = distance(y, x) <= RADIUS
        assert abs(ratio[inside].mean() - 1) < 0.001
        noise = np.hypot(NOISE, 0.01 / np.sqrt(40))
        assert ratio[inside].std() < 1.15 * noise / (1 - depth) ** 0.5
    untouched = through == 1
    assert untouched.mean() > 0.9
    np.testing.assert_array_equal(
        clean.read(slice(1))[0][untouched], frames[0].astype(np.float32)[untouched]
    )


def test_overlapping_shadows_are_removed_once():
    dust = [(150, 200, 0.2, "cosine"), (155, 216, 0.3, "cosine")]
    spots = [DustShadow(y, x, RADIUS) for y, x, *_ in dust]
    off = transmission(flat(dust), spots) / shadows(dust) - 1
    for y, x, *_ in dust:
        assert abs(off[distance(y, x) <= RADIUS].mean()) < 0.001


def test_spots_beside_a_spot_do_not_move_its_light():
    """Too shallow to be clipped as outliers, they would by a thousandth."""
    dust = [(150, x, 0.04, "donut") for x in (173, 227)] + [(150, 200, 0.1, "cosine")]
    through = transmission(flat(dust), [DustShadow(y, x, RADIUS) for y, x, *_ in dust])
    off = through / shadows(dust) - 1
    assert abs(off[distance(150, 200) <= RADIUS].mean()) < 0.0005


def test_the_bright_ring_around_a_shadow_goes_too():
    r = distance(150, 200) / RADIUS
    true = shadow(150, 200, 0.2) + 0.04 * np.exp(-(((r - 1.2) / 0.1) ** 2) / 2)
    through = transmission(light() * true, [DustShadow(150, 200, RADIUS)])
    assert np.abs(through - true).max() < 0.001


def test_the_transmission_has_no_step_at_the_rim():
    wide = light() * shadow(150, 200, 0.3, radius=2.5 * RADIUS)  # a radius far too small
    through = transmission(wide, [DustShadow(150, 200, RADIUS)])
    row = through[150, 200:]
    missing = 1 - row[round(1.4 * RADIUS)]
    assert missing > 0.05
    assert np.abs(np.diff(row)).max() < 0.5 * missing


def test_what_is_not_known_is_masked():
    image = flat()
    image[150, 200] = np.nan
    image[40:110, 90:150] = np.nan
    image[100, 320] = 10
    spots = (
        DustShadow(150, 201, 8),
        DustShadow(80, 120, 8),
        DustShadow(100, 322, 8),
        DustShadow(230, 100, 8),
    )
    through = transmission(image, spots, discs=[Disc(230, 105, 7)])
    assert np.isnan(through[[150, 100], [200, 320]]).all()  # masked; nearly dark
    assert np.isnan(through[distance(80, 120) <= 8]).all()  # nothing of the ring is there
    assert np.isnan(through[distance(230, 105) <= 6]).all()  # under the star
    assert np.isfinite(through[distance(150, 201) <= 8]).sum() == 196
    assert np.isfinite(through[distance(230, 90) <= 5]).all()


def test_without_transmission_spots_are_masked():
    frames = np.full((3, *SHAPE), 7.0)
    spots = (DustShadow(20, 30, 5.5), DustShadow(0, 399, 4))
    masked = np.isnan(DustRemoved(ArrayFrames(frames), spots).read(slice(None)))
    expected = (distance(20, 30) <= 5.5) | (distance(0, 399) <= 4)
    assert (masked == expected).all()


@pytest.mark.parametrize("divide", [True, False])
def test_a_window_is_the_whole_read_and_cut(divide):
    image = flat()
    spots = tuple(DustShadow(y, x, RADIUS) for y, x, *_ in DUST)
    frames = np.stack([image, 2 * image, image + 5]).astype(np.uint16)
    view = DustRemoved(ArrayFrames(frames), spots, transmission(image, spots) if divide else None)
    window = Window(70, 100, 90, 110)
    whole = view.read(np.array([2, 0]))[(slice(None), *window.slices)]
    cut = view.read(np.array([2, 0]), window)
    assert cut.dtype == np.float32
    np.testing.assert_array_equal(cut, whole)
    at = np.s_[4::8, 3::9]
    np.testing.assert_array_equal(
        view.thinned(at).read(slice(None)), view.read(slice(None))[:, *at]
    )


def test_mean_light_has_no_cosmic_rays_and_no_blank_frames():
    rng = np.random.default_rng(2)
    frames = (light(200) * shadows() + rng.normal(0, 5, (80, *SHAPE))).astype(np.float32)
    for k in range(80):
        frames[k, k, 3 * k] += 4000
    frames[[0, 40]] = 0
    frames[:, 7, 7] = np.nan
    mean = clipped_mean(ArrayFrames(frames))
    assert np.isnan(mean[7, 7])
    assert np.nanmax(np.abs(mean - light(200) * shadows())) < 6 * 5 / np.sqrt(58)
    spots = find_dust(mean, RADIUS, 20)
    assert len(spots) == len(DUST)


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.random.default_rng(1).normal(0, 10, SHAPE), "without light"),
        (np.random.default_rng(1).normal(2, 10, SHAPE), "Give a flat"),
        (-light(), "without light"),
        (np.zeros(SHAPE), "without light"),
        (np.full(SHAPE, np.nan), "cannot be found: the image has"),
        (light()[:30, :30], "cannot be found: the image has"),
    ],
)
def test_an_image_without_light_is_reported(image, told):
    with pytest.raises(LuckyError, match=told):
        find_dust(image, RADIUS, 5)


@pytest.mark.parametrize(
    ("most", "radius", "told"),
    [(0, 5, "count is 0"), (5, 0, "radius"), (5, np.nan, "radius"), (5, np.inf, "radius")],
)
def test_bad_parameters_are_reported(most, radius, told):
    with pytest.raises(LuckyError, match=told):
        find_dust(light(), radius, most)


@pytest.mark.parametrize(
    ("spot", "told"),
    [
        (DustShadow(300, 5, 4), "not on the sensor"),
        (DustShadow(5, -3, 4), "not on the sensor"),
        (DustShadow(np.nan, 5, 4), "not on the sensor"),
        (DustShadow(5, 5, 0), "over 0"),
        (DustShadow(5, 5, np.inf), "over 0"),
    ],
)
def test_spots_off_the_sensor_are_reported(spot, told):
    with pytest.raises(LuckyError, match=told):
        DustRemoved(ArrayFrames(np.ones((2, *SHAPE))), (spot,))
    with pytest.raises(LuckyError, match=told):
        transmission(light(), [spot])


def test_a_transmission_of_another_sensor_is_reported():
    with pytest.raises(LuckyError, match="transmission of the dust"):
        DustRemoved(ArrayFrames(np.ones((2, *SHAPE))), (), np.ones((5, 5), np.float32))


def test_the_contrast_of_parts_of_a_band_is_that_of_all(monkeypatch):
    image = light() * shadows()
    image[40:60, 100:130] = np.nan
    whole = dust_contrast._contrast(image, slice(0, SHAPE[0]), RADIUS)
    monkeypatch.setattr(dust_contrast, "COLUMNS", 90)
    parts = [dust_contrast._contrast(image, slice(y, y + 100), RADIUS) for y in (0, 100, 200)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-9)
