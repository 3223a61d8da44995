"""When a Strehl ratio cannot be trusted it says so: each fault is made, and must be named."""

import numpy as np
import pytest

from napari_lucky import LuckyError, Window, psf_figures
from napari_lucky.optics import Diffraction
from napari_lucky.optics.diffraction import psf_at
from napari_lucky.psf import PsfRecipe

PLAIN = PsfRecipe()


def star(q, photons=1e5, side=None, off=(0.2, -0.3)):
    side = side or int(18 * q) + 1
    middle = side // 2
    return photons * psf_at(Diffraction(q, 0.3), (side, side), (middle + off[0], middle + off[1]))


def noisy(image, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(np.maximum(image, 0) + 100.0) + rng.normal(0, 6, image.shape)


def measured(image, q, recipe=PLAIN):
    return psf_figures(image, Diffraction(q, 0.3), recipe=recipe)


@pytest.mark.parametrize("q", [2, 3, 7])
def test_a_good_star_is_not_doubted(q):
    clean, seen = star(q), noisy(star(q))
    assert measured(clean, q).cautions == ()
    assert measured(seen, q).cautions == ()
    assert measured(clean, q).strehl_with_halo == pytest.approx(1, abs=0.01)


def test_the_error_of_a_single_image_is_the_scatter():
    image, diffraction = star(3, 1e4, 51), Diffraction(3, 0.3)
    recipe = PsfRecipe(aperture=12, ring=(18, 24))
    made = [psf_figures(noisy(image, seed), diffraction, recipe=recipe) for seed in range(30)]
    for name in ("strehl", "flux", "background"):
        scatter = np.std([getattr(one, name) for one in made], ddof=1)
        told = np.mean([getattr(one.errors, name) for one in made])
        assert 0.65 < scatter / told < 1.5, name
    assert np.mean([one.strehl for one in made]) == pytest.approx(1, abs=0.03)
    assert {one.errors.resamples for one in made} == {0}
    assert np.isnan(made[0].errors.fwhm_major)


@pytest.mark.parametrize("q", [3, 7])
def test_each_fault_is_named(q):
    good, middle = star(q), int(18 * q) // 2

    def told(image, recipe=PLAIN):
        return " ".join(measured(image, q, recipe).cautions)

    assert "1.1 λ/D, under 3" in told(noisy(good), PsfRecipe(aperture=1.1 * q))
    for shift, light in (((3, 2), 0.47), ((1.5, 0), 0.47), ((3, 2), 0.12)):
        other = light * np.roll(good, [round(s * q) for s in shift], (0, 1))
        assert "a second maximum" in told(noisy(good + other)), (shift, light)
    assert "clipped" in told(np.minimum(good, 0.79 * good.max()))
    masked = noisy(good)
    masked[middle, middle] = np.nan
    assert "1 pixel of the star's core is masked" in told(masked)
    hot = noisy(good)
    hot[middle + round(2.5 * q), middle + 2] += 2 * good.max()
    assert "a hot pixel or a cosmic ray" in told(hot)
    assert "noise makes it uncertain" in told(noisy(good / 20))
    y, x = np.mgrid[: len(good), : len(good)] - middle
    disc = 1e5 * (np.hypot(y, x) < 4 * q) / (50 * q**2)
    assert "out of focus, extended or double" in told(noisy(disc))


def test_a_clipped_star_is_named_after_its_calibration():
    """Dark and flat make the plateau uneven."""
    image = star(7)
    rng = np.random.default_rng(1)
    seen = np.minimum(noisy(image), 100 + 0.5 * image.max()) / (
        1 + 0.01 * rng.normal(size=(127,) * 2)
    )
    assert "clipped" in " ".join(measured(seen - 100, 7).cautions)


@pytest.mark.parametrize("q", [3, 7])
def test_a_plateau_that_a_flat_makes_uneven_is_named(q):
    """Of a good star under the same flat nothing is said."""
    for seed in range(4):
        image, rng = star(q, 3e5), np.random.default_rng(seed)
        flat = 1 + 0.02 * rng.normal(size=image.shape)
        good = noisy(image * flat, seed)
        assert measured((good - 100) / flat, q).cautions == ()
        clipped = np.minimum(good, 100 + 0.8 * image.max())
        assert "clipped" in " ".join(measured((clipped - 100) / flat, q).cautions)


def test_a_strehl_ratio_over_1_is_flagged_and_nonsense_refused():
    figures = psf_figures(star(3), Diffraction(3.4, 0.3))  # a focal ratio 13 % too great
    assert figures.strehl > 1.2
    assert "a Strehl ratio over 1 is impossible" in figures.cautions[-1]
    with pytest.raises(LuckyError, match="it cannot be over 1: this is not a star"):
        psf_figures(star(2, side=101), Diffraction(4, 0.3))
    with pytest.raises(LuckyError, match=r"± .* there is no star to measure, or it is too faint"):
        near = Window.centred(63, 63, 20)
        psf_figures(noisy(star(7, 300)), Diffraction(7), recipe=PsfRecipe(aperture=42), window=near)


def test_one_aperture_wherever_the_star_is_in_its_window():
    """It was 55, 50 and 49 px on three nights of one star, and the Strehl ratio followed."""
    made = [measured(star(7, 1e6, 128, off), 7) for off in ((0.2, 0.1), (5.3, -4.2), (-6.4, 2.1))]
    assert {one.recipe.aperture for one in made} == {42}
    assert [one.strehl for one in made] == pytest.approx([1, 1, 1], abs=1e-3)
    assert all(one.aperture == 6 and one.cautions == () for one in made)
    (near_edge,) = measured(star(7, 1e6, 128, (25, 0)), 7).cautions
    assert "the aperture is 4 λ/D instead of 6, because the star is near" in near_edge
    faint = measured(noisy(star(7, 5e3, 128)), 7)
    assert faint.aperture < 6
    assert "for the noise" in faint.cautions[0]
