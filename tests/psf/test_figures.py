"""Figures of PSFs against PSFs whose figures are known: Airy's, Gaussians, aberrated ones."""

import numpy as np
import pytest
from scipy.special import j0, j1

from napari_lucky import LuckyError, Window, psf_figures, simulate_run, stack_mean
from napari_lucky.execution.job import Job
from napari_lucky.frames import ArrayFrames
from napari_lucky.imaging import Shifted
from napari_lucky.imaging.fine_image import fine_image
from napari_lucky.optics import Diffraction
from napari_lucky.optics.atmosphere import make_pupil, psfs
from napari_lucky.optics.diffraction import psf_at
from napari_lucky.optics.simulation import SIMULATED
from napari_lucky.optics.zernikes import zernike
from napari_lucky.psf import PsfRecipe, bootstrap_figures
from napari_lucky.psf.place import COARSEST
from napari_lucky.psf.table import describe_errors

PLACES = [(0.0, 0.0), (0.37, -0.44), (0.5, 0.5)]


def star(sampling, obstruction=0.0, off=(0.0, 0.0), side=None, pixel=1.0):
    """A diffraction-limited star of 1e5 ADU, the peak `off` the middle pixel, and its PSF."""
    diffraction = Diffraction(sampling, obstruction)
    side = side or 2 * int(12 * sampling) + 1
    centre = (side // 2 + off[0], side // 2 + off[1])
    return 1e5 * psf_at(diffraction, (side, side), centre, pixel), diffraction, centre


def gaussian(major, minor, angle, centre=(50.3, 49.8), side=101):
    y, x = np.mgrid[:side, :side].astype(float)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    along = (x - centre[1]) * cos + (y - centre[0]) * sin
    across = (y - centre[0]) * cos - (x - centre[1]) * sin
    return 1000 * np.exp(-4 * np.log(2) * ((along / major) ** 2 + (across / minor) ** 2))


@pytest.mark.parametrize("off", PLACES)
@pytest.mark.parametrize("obstruction", [0, 0.3])
@pytest.mark.parametrize("sampling", [2, 3, 7])
def test_a_diffraction_limited_star_has_a_strehl_ratio_of_1(sampling, obstruction, off):
    image, diffraction, centre = star(sampling, obstruction, off)
    figures = psf_figures(image + 300, diffraction)
    assert figures.strehl == pytest.approx(1, abs=2e-5)
    np.testing.assert_allclose(figures.centre, centre, atol=0.005)
    peak = 1e5 * psf_at(diffraction, (1, 1), (0, 0))[0, 0]  # between the pixels
    assert figures.peak + figures.background - 300 == pytest.approx(peak, rel=4e-4)
    np.testing.assert_allclose(figures.encircled, figures.perfect_encircled, atol=1e-4)
    np.testing.assert_allclose(figures.profile, figures.perfect_profile, atol=1e-4)
    assert figures.profile[0] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("obstruction", "fwhm"), [(0, 1.0290), (0.3, 0.9809)])
def test_the_width_of_the_airy_pattern(obstruction, fwhm):
    """Of points, not pixels; half the maximum of the formula at fwhm / 2."""
    diffraction = Diffraction(100, obstruction)
    half, top = (
        psf_at(diffraction, (1, 1), (0, 50 * fwhm), 0),
        psf_at(diffraction, (1, 1), (0, 0), 0),
    )
    assert (half / top).item() == pytest.approx(0.5, abs=2e-4)
    image, diffraction, _ = star(5, obstruction, (0.2, 0.3), pixel=0)
    figures = psf_figures(image, diffraction, recipe=PsfRecipe(integration=0))
    for width in (figures.fwhm_major, figures.fwhm_minor):
        assert width == pytest.approx(5 * fwhm, rel=1e-3)


@pytest.mark.parametrize("sampling", [2, 3, 7])
def test_encircled_energy_and_profile_of_the_airy_pattern(sampling):
    """1 − J0² − J1² (Rayleigh 1881), and (2 J1(v) / v)²."""
    image, diffraction, _ = star(sampling, 0, (0, 0.3), 41 * sampling, pixel=0)
    figures = psf_figures(image, diffraction, recipe=PsfRecipe(integration=0, background=0))
    assert figures.recipe.aperture == 16 * sampling
    v = np.pi * figures.radius / sampling
    within = 1 - j0(v) ** 2 - j1(v) ** 2
    np.testing.assert_allclose(figures.encircled, within / within[-1], atol=2e-3)
    assert figures.flux == pytest.approx(1e5 * within[-1], rel=1e-4)
    np.testing.assert_allclose(figures.profile[1:], (2 * j1(v[1:]) / v[1:]) ** 2, atol=1e-3)
    half = figures.radius_of(0.5)
    assert np.interp(half, figures.radius, within / within[-1]) == pytest.approx(0.5, abs=3e-3)


@pytest.mark.parametrize("angle", [0, 30, 90, -45, 77])
def test_the_ellipse_of_a_gaussian(angle):
    figures = psf_figures(gaussian(16, 11, angle), Diffraction(4), recipe=PsfRecipe(integration=0))
    assert (figures.fwhm_major, figures.fwhm_minor) == pytest.approx((16, 11), rel=1e-4)
    assert figures.angle == pytest.approx(angle, abs=1e-3)
    assert figures.centre == pytest.approx((50.3, 49.8), abs=1e-3)
    assert figures.flux == pytest.approx(1000 * np.pi * 16 * 11 / 4 / np.log(2), rel=2e-5)


def test_the_angle_is_from_x_down_to_y():
    """The long axis goes from the upper left to the lower right of the picture."""
    image = np.zeros((101, 101))
    for step in range(-3, 4):
        image += gaussian(8, 8, 0, (50 + step, 50 + step))
    assert psf_figures(image, Diffraction(4)).angle == pytest.approx(45, abs=0.1)


@pytest.mark.parametrize("noll", [6, 7, 11])
def test_the_strehl_ratio_of_an_aberrated_pupil(noll):
    """|mean of exp(i phi)|² over the pupil is the ratio of the peaks: no image in it."""
    telescope = SIMULATED
    pupil = make_pupil(telescope, 80)
    phase = 0.6 * zernike(noll, pupil.rho, pupil.theta)
    wave = pupil.amplitude * np.exp(1j * phase)
    image, flat = psfs(np.stack([phase, np.zeros_like(phase)]), pupil).astype(float)
    field = Window.centred(pupil.field // 2, pupil.field // 2, 281)
    of, perfect = (psf_figures(i[field.slices], telescope.diffraction) for i in (image, flat))
    assert perfect.strehl == pytest.approx(1, abs=0.01)
    # the peak of coma is off the axis, where the ratio is greater than on it
    on_axis = (abs(wave.sum()) / pupil.amplitude.sum()) ** 2
    expected = image.max() / flat.max()
    assert of.strehl == pytest.approx(expected, rel=0.015)
    assert of.strehl > 0.98 * on_axis
    if noll != 7:
        assert of.strehl == pytest.approx(on_axis, rel=0.015)


def test_the_recipe_decides():
    image, diffraction, _ = star(5, 0.3)
    y, x = np.mgrid[:121, :121] - 60
    halo = 2e5 / (2 * np.pi * 20**2) * np.exp(-(x**2 + y**2) / 2 / 20**2)
    seen = image + halo + 7
    wide, narrow = (psf_figures(seen, diffraction, recipe=PsfRecipe(aperture=r)) for r in (52, 20))
    known = psf_figures(seen, diffraction, recipe=PsfRecipe(aperture=52, background=7))
    truth = (image.max() + halo.max()) / image.max() / 3
    assert narrow.strehl > wide.strehl > known.strehl > truth
    assert known.strehl == pytest.approx(truth, rel=0.04)
    assert known.background == 7
    assert wide.recipe == PsfRecipe(aperture=52, ring=(52, 58.5))
    points = psf_figures(image, diffraction, recipe=PsfRecipe(integration=0))
    assert 0.95 < points.strehl < 0.99  # a pixel's blur is a loss to who does not know it


def test_a_slope_a_masked_pixel_and_noise_do_little():
    image, diffraction, _ = star(5, 0.3, (0.2, -0.3))
    rng = np.random.default_rng(1)
    seen = image + rng.normal(0, 2, image.shape) + 50 + 0.02 * np.arange(len(image))
    seen[62, 63] = np.nan
    seen[5] = np.nan
    figures = psf_figures(seen.astype(np.float32), diffraction)
    assert figures.strehl == pytest.approx(1, abs=0.02)
    assert figures.masked == 1
    clean = psf_figures(image, diffraction)
    assert (figures.fwhm_major, figures.fwhm_minor) == pytest.approx(
        (clean.fwhm_major, clean.fwhm_minor), rel=0.02
    )


def test_the_series_is_the_image_between_its_pixels():
    coarse, diffraction, _ = star(3, 0.3, (0.21, 0.4), 121)
    fine = fine_image(coarse, 3)
    y, x = np.array([58.0, 60.5, 63.25]), np.array([61.0, 59.5, 60.1])
    expected = [
        1e5 * psf_at(diffraction, (1, 1), (60.21 - a, 60.4 - b))[0, 0]
        for a, b in zip(y, x, strict=True)
    ]
    np.testing.assert_allclose(fine.at(y, x), expected, atol=coarse.max() * 5e-4)


def test_a_window_says_which_star():
    image, diffraction, _ = star(3, 0, (0, 0), 161)
    two = image + 3 * np.roll(image, (50, 50), (0, 1))
    recipe = PsfRecipe(aperture=20)
    assert psf_figures(two, diffraction, recipe=recipe).centre == pytest.approx(
        (130, 130), abs=0.05
    )
    near = psf_figures(two, diffraction, recipe=recipe, window=Window.centred(78, 84, 30))
    assert near.centre == pytest.approx((80, 80), abs=0.05)
    assert near.strehl == pytest.approx(1, abs=0.02)
    held = psf_figures(image, diffraction, recipe=PsfRecipe(), window=Window.centred(74, 84, 60))
    assert (
        held.recipe
        == psf_figures(
            image, diffraction, recipe=PsfRecipe(), window=Window.centred(84, 78, 60)
        ).recipe
    )


def test_a_simulated_stack_has_the_strehl_ratio_of_its_truth():
    """In a window of 36 lambda/D little of the halo is lost: docs/background/accuracy.md."""
    run = simulate_run(8, (256, 512), d_over_r0=3, seed=2, focus_size=256)
    images = Shifted(ArrayFrames(run.truth.focus_images), run.truth.shifts)
    whole = Window.whole(images.shape)
    mean = stack_mean(images, np.arange(8), whole).image
    truth = np.nanmax(mean) / 3e5 / run.truth.perfect_psf.max()
    figures = psf_figures(np.nan_to_num(mean), SIMULATED.diffraction)
    assert figures.strehl == pytest.approx(truth, rel=0.03)


@pytest.fixture(scope="module")
def noisy():
    """Twelve runs of 40 frames of one star, in photon and read noise."""
    image, diffraction, _ = star(3, 0.3, (0.2, -0.3), 61)
    rng = np.random.default_rng(4)
    frames = rng.poisson(image / 20 + 20, (12, 40, 61, 61)) + rng.normal(0, 4, (12, 40, 61, 61))
    return frames.astype(np.float32), diffraction


def test_errors_are_the_scatter_of_runs(noisy):
    runs, diffraction = noisy
    whole = Window(0, 0, 61, 61)
    made = [
        bootstrap_figures(
            ArrayFrames(run), np.arange(40), whole, diffraction=diffraction, resamples=20
        )
        for run in runs
    ]
    for name in ("strehl", "flux", "background"):
        scatter = np.std([getattr(figures, name) for figures in made], ddof=1)
        told = np.mean([getattr(figures.errors, name) for figures in made])
        assert 0.5 < scatter / told < 1.7, name
    one = made[0]
    alone = psf_figures(runs[0].mean(axis=0, dtype=np.float64), diffraction)
    assert one.strehl == pytest.approx(alone.strehl, rel=1e-6)
    assert one.errors.encircled.shape == one.encircled.shape
    assert one.errors.encircled[-1] == pytest.approx(0, abs=1e-12)
    assert one.errors.profile[0] == pytest.approx(one.errors.strehl, rel=0.05)
    assert one.errors.resamples == 20


def test_errors_fall_as_the_root_of_the_frames_and_know_masked_pixels(noisy):
    runs, diffraction = noisy
    frames = np.concatenate(runs)
    frames[::2, 30, 33] = np.nan
    whole = Window(0, 0, 61, 61)
    few, many = (
        bootstrap_figures(
            ArrayFrames(frames), np.arange(n), whole, diffraction=diffraction, resamples=60
        )
        for n in (30, 480)
    )
    assert few.errors.flux / many.errors.flux == pytest.approx(4, rel=0.35)
    mean = np.nanmean(frames[:30], axis=0, dtype=np.float64)
    assert few.strehl == pytest.approx(psf_figures(mean, diffraction).strehl, rel=1e-6)


def test_errors_of_frames_that_are_alike_are_the_scatter_of_runs():
    """A sharp and a wide star whose mix changes over 6 frames; with single frames a third."""
    sharp, diffraction, _ = star(3, 0.3, (0.2, -0.3), 41)
    wide = gaussian(9, 9, 0, (20.2, 19.7), 41) * 1e5 / 91_780
    rng, n, made = np.random.default_rng(2), 150, []
    for seed in range(12):
        steps = rng.normal(0, 0.15, n + 6).cumsum()
        mix = 0.5 + (steps[6:] - steps[:-6])[:, None, None]
        frames = (mix * sharp + (1 - mix) * wide + rng.normal(0, 9, (n, 41, 41))).astype(np.float32)
        made.append(
            bootstrap_figures(
                ArrayFrames(frames),
                np.arange(n),
                Window(0, 0, 41, 41),
                diffraction=diffraction,
                recipe=PsfRecipe(aperture=12, ring=(14, 17)),
                resamples=30,
                seed=seed,
            )
        )
    scatter = np.std([figures.strehl for figures in made], ddof=1)
    told = np.sqrt(np.mean([figures.errors.strehl**2 for figures in made]))
    assert 0.65 < told / scatter < 1.5
    assert np.median([figures.errors.alike for figures in made]) == pytest.approx(5, abs=2)
    assert "neighbours are alike over about" in describe_errors(made[0].errors)
    assert not made[0].errors.short


def test_passes_do_not_change_the_errors(noisy, monkeypatch):
    frames, diffraction = ArrayFrames(noisy[0][0]), noisy[1]
    whole, told = Window(0, 0, 61, 61), []
    work = {"resamples": 20, "seed": 3}
    once = bootstrap_figures(frames, np.arange(40), whole, diffraction=diffraction, **work)
    monkeypatch.setattr("napari_lucky.psf.bootstrap.SUMS", 2 * 8 * 61 * 61)
    again = bootstrap_figures(
        frames,
        np.arange(40),
        whole,
        diffraction=diffraction,
        job=Job(progress=lambda *a: told.append(a[2])),
        **work,
    )
    assert "bootstrap, pass 3 of 3" in told
    assert once.errors.strehl == pytest.approx(again.errors.strehl, rel=1e-6)
    other = bootstrap_figures(
        frames, np.arange(40), whole, diffraction=diffraction, resamples=20, seed=4
    )
    assert other.errors.strehl != once.errors.strehl


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({"aperture": 0.5}, "aperture is 0.5; it must be a number of at least 1 px"),
        ({"aperture": np.nan}, "aperture is nan; it must"),
        ({"ring": (30, 30.5)}, "from 30 to 30.5"),
        ({"ring": (30,)}, "a list of numbers, 2 in all"),
        ({"ring": (30, 40), "background": 0}, "needs no ring"),
        ({"background": np.inf}, "background is inf; it must be a number in ADU"),
        ({"integration": -1}, "integration is -1; it must be a number from 0 to 10 px"),
    ],
)
def test_recipes_that_make_no_sense(recipe, says):
    with pytest.raises(LuckyError, match=says):
        PsfRecipe(**recipe)


def test_images_that_cannot_be_measured(noisy):
    image, diffraction, _ = star(5)
    with pytest.raises(LuckyError, match=r"60\.5|edge"):
        psf_figures(image, diffraction, recipe=PsfRecipe(aperture=80))
    with pytest.raises(LuckyError, match=r"2 px does not hold the star's core.* at least 5 px"):
        psf_figures(image, diffraction, recipe=PsfRecipe(aperture=2))
    with pytest.raises(LuckyError, match="All pixels"):
        psf_figures(np.full((60, 60), np.nan), diffraction)
    with pytest.raises(LuckyError, match="no star to measure"):
        psf_figures(
            -image,
            diffraction,
            recipe=PsfRecipe(aperture=15, background=0),
            window=Window(45, 45, 30, 30),
        )
    holes = image.copy()
    holes[62:] = np.nan
    with pytest.raises(LuckyError, match="pixels of the aperture are masked"):
        psf_figures(holes, diffraction)
    with pytest.raises(LuckyError, match="shape"):
        psf_figures(image[0], diffraction)
    frames = ArrayFrames(noisy[0][0])
    whole = Window(0, 0, 61, 61)
    with pytest.raises(LuckyError, match="the stack has 4"):
        bootstrap_figures(frames, np.arange(4), whole, diffraction=noisy[1])
    with pytest.raises(LuckyError, match="5 resamples"):
        bootstrap_figures(frames, np.arange(40), whole, diffraction=noisy[1], resamples=5)


@pytest.mark.parametrize("q", [2, 3, 7])
def test_without_optics_what_needs_none_is_measured(q):
    """FWHM, light and place are the same; there is no Strehl ratio, and nothing to compare with."""
    image, diffraction, _ = star(q, 0.3, (0.2, -0.3))
    image = image + 100 + np.random.default_rng(q).normal(0, 1, image.shape)
    known = psf_figures(image, diffraction)
    bare = psf_figures(image, None, recipe=known.recipe)
    assert bare.fwhm_major == pytest.approx(known.fwhm_major, rel=0.01)
    assert bare.fwhm_minor == pytest.approx(known.fwhm_minor, rel=0.01)
    assert bare.centre == pytest.approx(known.centre, abs=0.05)
    assert bare.flux == pytest.approx(known.flux, rel=1e-3)
    assert bare.radius_of(0.5) == pytest.approx(known.radius_of(0.5), rel=0.01)
    assert bare.profile[0] == pytest.approx(1, abs=1e-4)
    for value in (bare.strehl, bare.errors.strehl, bare.aperture, bare.strehl_with_halo):
        assert np.isnan(value)
    assert np.isnan(bare.perfect_encircled).all()
    assert np.isnan(bare.perfect_profile).all()
    alone = psf_figures(image)  # its aperture in widths of the star
    assert alone.cautions == ()
    assert alone.fwhm_major == pytest.approx(known.fwhm_major, rel=0.02)
    assert 3 * q < alone.recipe.aperture < 12 * q


def test_a_wide_star_without_optics():
    image = gaussian(16, 11, 30) + np.random.default_rng(1).normal(0, 1, (101, 101))
    figures = psf_figures(image)
    assert (figures.fwhm_major, figures.fwhm_minor) == pytest.approx((16, 11), rel=0.02)


@pytest.mark.parametrize("q", [2, 3, 7])
@pytest.mark.parametrize("optics", [True, False])
def test_a_hot_pixel_at_the_edge_is_not_the_star(q, optics):
    image, diffraction, centre = star(q, 0.3, (0.2, -0.3))
    image = image + 100 + np.random.default_rng(q).normal(0, 1, image.shape)
    asked = diffraction if optics else None
    clean = psf_figures(image, asked)
    hot = image.copy()
    hot[0, 5] = 30 * image.max()
    figures = psf_figures(hot, asked)
    assert figures.centre == pytest.approx(centre, abs=0.05)
    assert figures.recipe == clean.recipe
    assert figures.flux == clean.flux
    assert figures.fwhm_major == pytest.approx(clean.fwhm_major, rel=1e-5)
    (caution,) = figures.cautions
    assert caution.startswith("1 pixel brighter than the star (y 0, x 5) was masked")
    # a star that is cut by the edge is no hot pixel
    with pytest.raises(LuckyError, match="pixels from the image's edge"):
        psf_figures(image[int(centre[0]) :], asked)


def test_the_coarsest_neighbour_is_that_of_the_pattern():
    peak, beside = psf_at(Diffraction(1.0), (1, 2), (0.0, 0.0))[0]
    assert beside / peak == pytest.approx(COARSEST, rel=1e-12)
