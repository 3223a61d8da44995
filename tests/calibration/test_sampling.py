"""The sampling measured in simulated speckles, and light that is no star's."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import fftconvolve

from made_speckles import exposed, speckles
from napari_lucky import Job, Window, rank, register
from napari_lucky.calibration.sampling import (
    Sampling,
    _cut,
    _spoiled,
    header_sampling,
    measure_sampling,
    noise_if_sampled,
    smoothing_for,
)
from napari_lucky.frames.frames import ArrayFrames

WHOLE = Window(0, 0, 128, 128)


def measured(block):
    return measure_sampling(ArrayFrames(block), WHOLE)


@pytest.mark.parametrize(
    ("sampling", "d_over_r0", "photons"),
    [
        (2.0, 8, 3e4),
        (3.0, 0, 3e4),
        (3.0, 12, 3e5),
        (3.5, 5, 3e4),
        (7.0, 8, 1e5),
        (7.0, 2, 1e4),
        (12.0, 5, 1e5),
    ],
)
def test_the_sampling_is_measured_through_turbulence_and_noise(sampling, d_over_r0, photons):
    rng = np.random.default_rng(1)
    found = measured(exposed(speckles(sampling, d_over_r0), photons, rng))
    assert found.px == pytest.approx(sampling, rel=0.12)
    assert found.star
    assert found.smooth == pytest.approx(max(1, sampling / 3), rel=0.12)


def test_hot_pixels_and_bad_ones_do_not_matter():
    rng = np.random.default_rng(1)
    block = exposed(speckles(3.5, 5), 1e5, rng)
    odd = rng.choice(128 * 128, 40, replace=False)
    block.reshape(24, -1)[:, odd[:20]] += 300
    block.reshape(24, -1)[:, odd[20:]] = np.nan
    assert measured(block).px == pytest.approx(3.5, rel=0.12)


def test_clipped_frames_do_not_make_the_sampling_finer():
    rng = np.random.default_rng(1)
    block = exposed(speckles(5.0, 3), 3e5, rng)
    level = np.quantile(block.max(axis=(1, 2)), 0.4)
    block[block >= level] = np.nan  # as saturated pixels are masked
    assert measured(block).px == pytest.approx(5.0, rel=0.12)
    assert measured(block[np.isnan(block).any(axis=(1, 2))]).px is None


def test_blank_frames_do_not_end_the_look():
    block = exposed(speckles(3.5, 5), 1e5, np.random.default_rng(1))
    blank = np.full((24, 128, 128), 7, block.dtype)
    for made in ((blank, block), (block[:12], blank, block[12:]), (block, blank)):
        assert measured(np.concatenate(made)).px == pytest.approx(3.5, rel=0.12)


def test_four_frames_without_holes_are_enough_and_three_are_not():
    block = exposed(speckles(3.5, 5), 1e5, np.random.default_rng(1))
    block[4:, 60, 60] = np.nan
    assert measured(block).px == pytest.approx(3.5, rel=0.15)
    block[3, 60, 60] = np.nan
    assert measured(block).px is None


def test_what_cannot_be_measured_is_said():
    rng = np.random.default_rng(1)
    faint = measured(exposed(speckles(7.0, 8), 1e3, rng))
    dark = measured(exposed(np.zeros((24, 128, 128)), 0, rng))
    none = measured(np.full((3, 128, 128), 7.0, np.float32))
    for found in (faint, dark, none):
        assert found.px is None
        assert found.smooth == 1.5
        (told,) = found.notes("brightest", "tracking", "ranking")
        assert told.startswith("Smoothing 1.5 px for tracking and ranking, a guess: the sampling")
        assert "could not be measured" in told
        assert found.star  # nothing speaks against it
    assert none.wide == (1, 1)  # a speckle's area


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_faint_speckles_are_smoothed_by_the_detail_that_is_seen(seed):
    """Too faint to tell the sampling, but not that 1 px would be too little."""
    found = measured(exposed(speckles(7.0, 5), 3e3, np.random.default_rng(seed)))
    assert found.px is None
    assert found.smooth == pytest.approx(7 / 3, rel=0.25)
    told = found.smoothing_note("tracking")
    assert "px for tracking, from the finest detail above the noise: the" in told


@pytest.mark.parametrize(("photons", "looked_at"), [(3e4, 64), (3e3, 80)])
def test_more_frames_are_looked_at_only_where_few_do_not_tell(photons, looked_at):
    seen = set()

    class Counted(ArrayFrames):
        def read(self, frames, window=None):
            seen.update(np.arange(self.shape[0])[frames].tolist())
            return super().read(frames, window)

    light = np.tile(speckles(7.0, 8, 10), (8, 1, 1))
    frames = Counted(exposed(light, photons, np.random.default_rng(1)))
    said = set()
    job = Job(progress=lambda done, total, what: said.add(what))
    measure_sampling(frames, WHOLE, clipped=np.inf, job=job)
    assert len(seen) == looked_at
    more = {"measuring the sampling in more frames"} if looked_at > 64 else set()
    assert said == {"measuring the sampling"} | more


def test_the_header_is_asked_where_the_frames_do_not_tell():
    optics = {"WAVELEN": 633.0, "FOCRATIO": 58.6, "PIXSIZE1": 5.3}
    px = header_sampling(optics)
    assert px == pytest.approx(0.633 * 58.6 / 5.3)
    assert header_sampling({"WAVELEN": 633.0}) is None
    assert header_sampling(None) is None

    unsure = Sampling(4.0, (1.2, 9.0), px)
    assert unsure.doubts("brightest", "tracking") == ()
    assert unsure.smooth == smoothing_for(px) == pytest.approx(2.33)
    assert "by the header's optics the sampling is 7.0 px" in unsure.smoothing_note("tracking")
    sure = Sampling(3.5, (3.4, 3.6), px)
    assert sure.smooth == 1.17
    assert "header's optics give 7.0: check" in sure.smoothing_note("tracking")
    assert sure.doubts("brightest", "tracking") == sure.notes("brightest", "tracking")
    right = Sampling(7.1, (7, 7.2), px)
    told = "Smoothing 2.37 px for tracking: the sampling measured in the frames is 7.1 px per"
    assert right.notes("brightest", "tracking") == (f"{told} λ/D.",)
    assert right.doubts("brightest", "tracking") == ()


def test_a_surface_without_fine_detail_is_no_star():
    rng = np.random.default_rng(5)
    ground = ndimage.gaussian_filter(rng.standard_normal((128, 128)), 3)
    y, x = np.mgrid[:128, :128] - 64
    ground = 900 * (1 + 0.1 * ground / ground.std() + 0.2 * np.hypot(y, x) / 64)
    found = measured(np.stack([rng.normal(ground, 5) for _ in range(12)]).astype(np.float32))
    assert found.fills
    assert not found.star
    assert "fills the window" in found.light_note()


def scenes():
    y, x = np.mgrid[:128, :128] - 64
    r = np.hypot(y, x)
    ground = 1 + 0.2 * np.cos(y / 7 + np.sin(x / 9)) * np.cos(x / 6)
    return {
        "planet": r < 14,
        "ring": abs(r - 25) < 2,
        "ring in four": (abs(r - 25) < 2) & (abs(y) > 4) & (abs(x) > 4),
        "slit": (abs(x) < 1.5) & (abs(y) < 45),
        "surface": ground,
        "limb": ground * (x > 8),
    }


@pytest.mark.parametrize("name", scenes())
@pytest.mark.parametrize("sampling", [2.0, 3.5])
def test_what_is_no_star_is_said(name, sampling):
    scene = scenes()[name].astype(float)
    images = np.stack([fftconvolve(scene, psf, "same") for psf in speckles(sampling, 4, 6)])
    found = measured(exposed(images / scene.sum(), 1e7, np.random.default_rng(2)))
    assert not found.star
    (told,) = found.notes("brightest")
    assert "not look like a star" in told
    assert "--register correlation" in told
    assert found.notes("correlation") == ()


@pytest.mark.parametrize("seed", range(6))
def test_granulation_is_no_star_whichever_grain_is_the_brightest(seed):
    """A texture with dark lanes over all of the window: a few grains are clearly the brightest."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
    grain = rng.uniform(7, 25)  # px
    passed = np.exp(-0.5 * ((frequency * grain - 1) / 0.35) ** 2)
    texture = np.fft.ifft2(np.fft.fft2(rng.standard_normal((256, 256))) * passed).real
    light = 5e4 * (1 + 0.15 * texture / texture.std())
    psfs = speckles(rng.choice([3.0, 7.0]), rng.choice([3, 8]), 8)
    images = np.stack([fftconvolve(light, psf / psf.sum(), "same")[64:192, 64:192] for psf in psfs])
    block = rng.normal(images, np.sqrt(images)).astype(np.float32)
    for side in (96, 128):
        found = measure_sampling(ArrayFrames(block), Window(0, 0, side, side))
        assert not found.star
        assert "--register correlation" in found.light_note()


@pytest.mark.parametrize("sampling", [2.0, 3.5, 7.0])
@pytest.mark.parametrize("photons", [1e3, 1e4, 3e5])
def test_stars_in_strong_turbulence_are_stars_in_small_windows(sampling, photons):
    for d_over_r0 in (0, 6, 12):
        block = exposed(speckles(sampling, d_over_r0, 12), photons, np.random.default_rng(8))
        assert measure_sampling(ArrayFrames(block), Window(16, 16, 96, 96)).star


@pytest.mark.parametrize("photons", [500, 1500, 1e4])
def test_stars_in_few_levels_are_stars(photons):
    """Most pixels of the sky have one value: what the noise does there is lost in rounding."""
    for sampling in (3.5, 7.0):
        light = photons * speckles(sampling, 0, 24)
        step = max(20.0, light.max() / 200)
        for seed in range(3):
            rng = np.random.default_rng(seed)
            seen = rng.poisson(light) + rng.normal(0, 5, light.shape)
            block = np.clip(np.rint(seen / step + 10), 0, 255).astype(np.uint8)
            assert measure_sampling(ArrayFrames(block), Window(16, 16, 96, 96)).star


def test_a_diffraction_limited_star_covers_one_speckle_and_its_noise_is_known():
    class WithOptics(ArrayFrames):
        def header_with(self, keyword):
            return {"WAVELEN": 633.0, "FOCRATIO": 58.6, "PIXSIZE1": 5.3}

    frames = WithOptics(exposed(speckles(7.0, 0, 6), 1e5, np.random.default_rng(3)))
    found = measure_sampling(frames, WHOLE)
    assert found.wide == pytest.approx((1, 1), abs=0.1)
    assert found.header == pytest.approx(0.633 * 58.6 / 5.3)
    assert noise_if_sampled(frames, WHOLE, found).separate
    assert not noise_if_sampled(frames, WHOLE, Sampling(1.5, (1.4, 1.6))).separate


@pytest.mark.parametrize("d_over_r0", [0, 5, 12])
def test_double_stars_and_speckle_clouds_are_stars(d_over_r0):
    light = speckles(3.5, d_over_r0, 12)
    double = 0.5 * light + 0.5 * np.roll(light, 12, axis=2)
    for images in (light, double):
        assert measured(exposed(images, 1e5, np.random.default_rng(3))).star


def test_a_star_over_noise_that_is_cut_off_leaves_the_border_dark():
    """Most pixels of the sky are at the least value, and their mean is over it."""
    block = exposed(speckles(3.5, 2, 12), 1e4, np.random.default_rng(3))
    block += np.random.default_rng(4).exponential(150, block.shape).astype(np.float32)
    cut = np.maximum(block, np.median(block) + 50)
    found = measured(cut)
    assert found.star
    assert not found.fills


def test_tracking_and_ranking_go_by_the_sampling():
    light = np.roll(speckles(7.0, 3, 12), (3, 5), axis=(1, 2))
    frames = ArrayFrames(exposed(light, 1e5, np.random.default_rng(4)))
    smooth = measure_sampling(frames, WHOLE).smooth
    made, given = register(frames, WHOLE), register(frames, WHOLE, smooth=smooth)
    assert made.smooth == smooth == pytest.approx(7 / 3, rel=0.05)
    assert np.array_equal(made.points, given.points)
    assert made.notes == given.notes == ()  # nothing is doubtful
    assert np.array_equal(rank(frames, WHOLE), rank(frames, WHOLE, smooth=smooth))


@pytest.mark.parametrize("masked", [False, True])
def test_clipped_stars_are_not_measured(masked):
    rng = np.random.default_rng(1)
    block = exposed(speckles(5.0, 3), 4e5, rng)
    peak = block.max(axis=(1, 2))

    def clipped(level):
        return np.where(block >= level, np.nan, block) if masked else np.minimum(block, level)

    some = measured(clipped(np.sort(peak)[6]).astype(np.float32))
    assert some.px == pytest.approx(5.0, rel=0.12)
    every = measured(clipped(peak.min() * 0.6).astype(np.float32))
    assert every.px is None
    assert "could not be measured" in every.smoothing_note("tracking")


@pytest.mark.parametrize("around", [0.0, np.nan])
def test_a_part_of_a_sensor_on_zeros_is_measured_alone(around):
    rng = np.random.default_rng(1)
    block = np.full((24, 160, 160), around, np.float32)
    block[:, 30:140, 40:130] = exposed(speckles(7.0, 0), 1e5, rng)[:, 9:119, 19:109]
    found = measure_sampling(ArrayFrames(block), Window(0, 0, 160, 160))
    assert found.px == pytest.approx(7.0, rel=0.12)
    assert found.star


@pytest.mark.parametrize("place", [(5, 8), (290, 396), (150, 200), (299, 3)])
def test_of_a_large_window_256_px_around_the_brightest_place_are_looked_at(place):
    y, x = np.mgrid[:300, :400]
    image = np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / 18).astype(np.float32)
    part = _cut(image)
    assert part.shape == (256, 256)
    assert part.max() == image.max()
    for at, side, found in zip(
        place, image.shape, np.unravel_index(part.argmax(), part.shape), strict=True
    ):
        assert found == at - np.clip(at - 128, 0, side - 256)
    assert _cut(image[:, :256][:200]).shape == (200, 256)


def test_of_very_large_windows_eight_frames_are_looked_at():
    """Sixteen of 256 px squared, and half as many of twice the pixels; but eight at least."""
    seen = set()

    class Counted(ArrayFrames):
        def read(self, frames, window=None):
            seen.update(np.arange(self.shape[0])[frames].tolist())
            return super().read(frames, window)

    light = np.zeros((12, 512, 512), np.float32)
    light[:, 100:228, 200:328] = speckles(3.0, 2, 12)
    frames = Counted(exposed(light, 1e5, np.random.default_rng(1)))
    made = measure_sampling(frames, Window(0, 0, 512, 512), clipped=np.inf)
    assert made.px == pytest.approx(3.0, rel=0.12)
    assert len(seen) == 8


@pytest.mark.parametrize(("down", "across"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_four_spoiled_pixels_within_five_of_the_brightest_place_spoil_a_frame(down, across):
    y, x = np.mgrid[:100, :120]
    light = np.exp(-((y - 50) ** 2 + (x - 60) ** 2) / 18).astype(np.float32)
    for away, count, spoils in ((5, 4, True), (5, 3, False), (6, 4, False)):
        spoiled = np.zeros(light.shape, bool)
        beside = np.arange(count)
        spoiled[
            50 + down * away + abs(across) * beside, 60 + across * away + abs(down) * beside
        ] = 1
        assert _spoiled(light, spoiled) == spoils
