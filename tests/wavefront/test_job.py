"""What `napari-lucky wavefront` hands on to the fit."""

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import Rank, Recipe, Window, calibrate, open_run, rank
from napari_lucky.optics import Diffraction, TelescopeRequest
from napari_lucky.wavefront import WavefrontRequest, measure_wavefront_run
from napari_lucky.wavefront import job as wavefront_job

TELESCOPE = TelescopeRequest(wavelength_nm=633, focal_ratio=24, pixel_um=5, diameter_m=0.4)


class Stop(Exception):
    """Ends the job before the fit."""


def test_frames_are_ranked_by_the_recipe_s_psf(tmp_path, monkeypatch):
    y, x = np.indices((48, 112))
    star = np.exp(-((y - 24) ** 2 + (x - 24) ** 2) / 8) + np.exp(
        -((y - 24) ** 2 + (x - 84) ** 2) / 90
    )
    frames = np.random.default_rng(0).normal(200, 4, (6, 48, 112)) + 800 * star
    fits.PrimaryHDU(frames.astype(np.float32)).writeto(tmp_path / "run.fits")
    recipe = Recipe(
        (str(tmp_path / "run.fits"),),
        Rank(metric="psf-correlation", sampling=3.0, obstruction=0.3),
        focus=(24, 24, 40),
        defocus=(24, 84, 40),
    )
    seen = []

    def fit(frames, task, quality, *, job):
        seen.append(quality)
        raise Stop

    monkeypatch.setattr(wavefront_job, "measure_wavefront", fit)
    request = WavefrontRequest(defocus_waves=0.5, choice="ranked", count=3)
    with pytest.raises(Stop):
        measure_wavefront_run(recipe.with_steps(TELESCOPE, request))
    expected = rank(
        calibrate(open_run(tmp_path / "run.fits")),
        Window.centred(24, 24, 40),
        metric="psf-correlation",
        smooth=recipe[Rank].smooth,
        diffraction=Diffraction(3.0, 0.3),
    )
    np.testing.assert_array_equal(seen[0], expected)
