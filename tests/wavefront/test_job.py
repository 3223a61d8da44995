"""What `napari-lucky wavefront` takes from files, headers and recipe, and hands on to the fit."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from made_wavefront import made, made_of_stacks
from napari_lucky import LuckyError, Rank, Recipe, Window, calibrate, open_run, rank, write_fits
from napari_lucky.errors import UsageError
from napari_lucky.fits import ImageResult
from napari_lucky.frames import Record
from napari_lucky.optics import Diffraction, Spider, TelescopeRequest
from napari_lucky.pipeline.step import Input
from napari_lucky.steps import Calibrate
from napari_lucky.wavefront import WavefrontRequest, measure_wavefront_run
from napari_lucky.wavefront import job as wavefront_job
from napari_lucky.wavefront.job import (
    fit_notes,
    measure_wavefront_stack_files,
    wavefront_parameters,
)

TELESCOPE = TelescopeRequest(wavelength_nm=633, focal_ratio=24, pixel_um=5, diameter_m=0.4)
FOCUS, DEFOCUS = Window(4, 4, 40, 40), Window(4, 64, 40, 40)
STARS = 800 * np.pi * (8 + 90) / (48 * 112)
"""Their light, a pixel of the frame."""


@pytest.fixture
def recipe(tmp_path):
    y, x = np.indices((48, 112))
    star = np.exp(-((y - 24) ** 2 + (x - 24) ** 2) / 8) + np.exp(
        -((y - 24) ** 2 + (x - 84) ** 2) / 90
    )
    frames = np.random.default_rng(0).normal(200, 4, (6, 48, 112)) + 800 * star
    header = fits.Header([("EGAIN", 1.5), ("RDNOISE", 4.0)])
    fits.PrimaryHDU(frames.astype(np.float32), header).writeto(tmp_path / "run.fits")
    fits.PrimaryHDU(np.full((2, 48, 112), 90.0, np.float32)).writeto(tmp_path / "dark.fits")
    return Recipe(
        (str(tmp_path / "run.fits"),),
        Rank(metric="psf-correlation", sampling=3.0, obstruction=0.3),
        TELESCOPE,
        focus=(24, 24, 40),
        defocus=(24, 84, 40),
    )


@pytest.fixture
def seen(monkeypatch):
    """What the two ways of measuring are called with."""
    calls = []

    def fit(frames, task, quality, *, job):
        calls.append((frames, task, quality))
        return made()

    def fit_stacks(focus, defocus, task, *, job):
        calls.append((focus, defocus, task))
        return replace(made_of_stacks(), chi2=10.4)

    monkeypatch.setattr(wavefront_job, "measure_wavefront", fit)
    monkeypatch.setattr(wavefront_job, "measure_wavefront_stacks", fit_stacks)
    return calls


def test_frames_are_ranked_by_the_recipe_s_psf(recipe, seen, tmp_path):
    request = WavefrontRequest(defocus_waves=0.5, choice="ranked", count=3)
    measure_wavefront_run(recipe.with_steps(request))
    expected = rank(
        calibrate(open_run(tmp_path / "run.fits")),
        Window.centred(24, 24, 40),
        metric="psf-correlation",
        smooth=recipe[Rank].smooth,
        diffraction=Diffraction(3.0, 0.3),
    )
    np.testing.assert_array_equal(seen[0][2], expected)


def test_a_run_is_calibrated_and_its_origin_is_kept(recipe, seen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = recipe.with_steps(WavefrontRequest(defocus_waves=0.5), Calibrate(dark="dark.fits"))
    measured = measure_wavefront_run(recipe)
    ((frames, task, quality),) = seen
    assert frames.read(slice(0, 6)).mean() == pytest.approx(200 - 90 + STARS, abs=0.5)
    assert quality is None
    assert (task.focus, task.defocus, task.defocus_waves) == (FOCUS, DEFOCUS, 0.5)
    paths = {"frames": [str(tmp_path / "run.fits")], "dark": str(tmp_path / "dark.fits")}
    assert measured.inputs == paths
    np.testing.assert_array_equal(measured.numbers, np.arange(6))
    assert set(measured.files) == {"run.fits"}
    assert [record.name for record in measured.history] == ["open", "calibrate"]
    assert measured.notes[-1] == "A note."  # of the wavefront
    assert measured.wavefront.d_over_r0 == 3.25


def test_windows_and_defocus_are_needed(recipe, seen):
    request = WavefrontRequest(defocus_waves=0.5)
    for missing in ("focus", "defocus"):
        with pytest.raises(UsageError, match="needs both windows"):
            measure_wavefront_run(recipe.changed(Input, **{missing: None}).with_steps(request))
    with pytest.raises(UsageError, match="defocus between the two images is not given"):
        measure_wavefront_run(recipe)
    with pytest.raises(UsageError, match="donut"):
        measure_wavefront_run(recipe.with_steps(WavefrontRequest(defocus_waves=2.0)))
    assert seen == []


def test_what_is_given_wins_over_a_header(recipe):
    """8 F² lambda of 24² and 633 nm is 2.917 mm a wave."""
    request = WavefrontRequest(defocus_mm=-2.917, modes=20, seed=3)
    own = recipe.with_steps(request, Spider(vanes=4, width=0.02))
    task = wavefront_parameters(own, fits.Header([("FOCRATIO", 9.0)]), FOCUS, DEFOCUS)
    assert task.defocus_waves == pytest.approx(-1, rel=1e-3)
    assert (task.focal_ratio, task.modes, task.seed) == (24, 20, 3)
    assert task.spider == Spider(vanes=4, width=0.02)
    assert (task.gain, task.read_noise_e, task.noise_source) == (None, None, "")


@pytest.mark.parametrize(
    ("given", "gain", "read_noise", "source"),
    [
        ({}, 1.5, 4.0, "from the header (EGAIN, RDNOISE)"),
        ({"gain": 2.0}, 2.0, 4.0, "given and from the header (RDNOISE)"),
        ({"read_noise_e": 3.0}, 1.5, 3.0, "given and from the header (EGAIN)"),
        ({"gain": 2.0, "read_noise_e": 3.0}, 2.0, 3.0, "given"),
    ],
)
def test_where_the_noise_is_from(recipe, given, gain, read_noise, source):
    own = recipe.with_steps(WavefrontRequest(defocus_waves=0.5, **given))
    header = fits.Header([("EGAIN", 1.5), ("RDNOISE", 4.0)])
    task = wavefront_parameters(own, header, FOCUS, DEFOCUS)
    assert (task.gain, task.read_noise_e, task.noise_source) == (gain, read_noise, source)


def stack_file(path, method, size=50, origin=(0, 0), **parameters):
    image = np.arange(size * size, dtype=np.float32).reshape(size, size)
    history = (Record("open"), Record("stack", {"method": method, **parameters}))
    header = fits.Header([("EGAIN", 1.5), ("RDNOISE", 4.0)])
    write_fits(path, [ImageResult(image, path.stem, header, history, origin)])
    return image


def test_stacks_are_cut_to_their_windows_and_what_they_are_is_said(recipe, seen, tmp_path):
    paths = tmp_path / "focus.fits", tmp_path / "defocus.fits"
    image = stack_file(paths[0], "mean")
    stack_file(paths[1], "median", 44)
    request = WavefrontRequest(defocus_waves=0.5, choice="ranked")
    own = recipe.with_steps(request).changed(Input, focus=(25, 24, 40), defocus=None)
    measured = measure_wavefront_stack_files(*paths, own)
    ((focus, defocus, task),) = seen
    np.testing.assert_array_equal(focus, image[5:45, 4:44])
    assert defocus.shape == (44, 44)
    assert (task.focus, task.defocus) == (Window(5, 4, 40, 40), Window(0, 0, 44, 44))
    # a header has the noise of a frame, not of a mean
    assert (task.choice, task.gain, task.read_noise_e) == ("all", None, None)
    assert measured.inputs == {"focus": str(paths[0]), "defocus": str(paths[1])}
    assert [record.name for record in measured.history] == ["open", "stack"]
    less, no_mean, unfit = measured.notes[-3:]
    assert less.startswith("A pair of stacks is less accurate")
    assert no_mean.startswith("defocus.fits: stacked by median: this is not the mean")
    assert "chi² is 10.4" in unfit
    with pytest.raises(LuckyError, match="focus window"):
        measure_wavefront_stack_files(*paths, own.changed(Input, focus=(2, 24, 40)))


def test_what_is_no_stack_of_the_sensors_pixels_is_refused(recipe, seen, tmp_path):
    own = recipe.with_steps(WavefrontRequest(defocus_waves=0.5))
    with pytest.raises(UsageError, match="a run of 6 frames, not a stack"):
        measure_wavefront_stack_files(tmp_path / "run.fits", tmp_path / "run.fits", own)
    stack_file(tmp_path / "fine.fits", "drizzle", scale=2.0)
    with pytest.raises(LuckyError, match="a drizzled stack"):
        measure_wavefront_stack_files(tmp_path / "fine.fits", tmp_path / "fine.fits", own)
    assert seen == []


def test_a_model_that_does_not_fit_the_stacks_is_reported():
    for chi2, count in ((1.0, 0), (3.0, 0), (3.1, 1)):
        assert len(fit_notes(replace(made_of_stacks(), chi2=chi2))) == count
