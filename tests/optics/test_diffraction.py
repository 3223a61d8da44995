from dataclasses import replace

import numpy as np
import pytest

from napari_lucky import LuckyError, Telescope, simulate_run
from napari_lucky.optics import Diffraction, diffraction_psf
from napari_lucky.optics.diffraction import as_diffraction
from napari_lucky.optics.simulation import SIMULATED


@pytest.mark.parametrize(("pixel_um", "obstruction"), [(5.3, 0.3), (12.4, 0.0)])
def test_it_is_the_psf_that_a_pupil_makes(pixel_um, obstruction):
    """The simulation's, which comes from a Fourier transform of the pupil."""
    telescope = replace(SIMULATED, pixel_um=pixel_um, obstruction=obstruction)
    made = simulate_run(1, telescope=telescope, d_over_r0=0, aberration={}).truth.perfect_psf
    psf = diffraction_psf(Diffraction(telescope.px_per_lambda_over_d, obstruction), made.shape)
    np.testing.assert_allclose(psf, made, atol=2e-3 * made.max())


@pytest.mark.parametrize("sampling", [1.0, 2.0, 5.0])
def test_its_flux_is_one(sampling):
    """Of an open pupil 2 / (pi² r) of the light is beyond r lambda/D (on average over rings)."""
    psf = diffraction_psf(Diffraction(sampling), (301, 301))
    r = np.hypot(*(np.mgrid[:301, :301] - 150))
    inside = psf[r <= 150].sum()
    assert inside == pytest.approx(1 - 2 / np.pi**2 * sampling / 150, abs=1e-3)
    assert np.unravel_index(psf.argmax(), psf.shape) == (150, 150)
    np.testing.assert_allclose(psf, psf.T)


def test_the_first_dark_ring_is_where_it_should_be():
    psf = Diffraction(20.0)
    row = diffraction_psf(psf, (1, 101))[0, 50:]
    assert abs(int(row[:40].argmin()) - psf.first_minimum) < 0.6


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((0.0,), "sampling is 0"),
        ((0.9,), "must be 1 to"),
        ((float("nan"),), "sampling is nan"),
        ((7.0, 1.0), "obstruction is 1"),
        ((7.0, -0.1), "obstruction is -0.1"),
        ((7.0, float("nan")), "obstruction is nan"),
    ],
)
def test_what_makes_no_sense_is_reported(values, told):
    with pytest.raises(LuckyError, match=told):
        Diffraction(*values)


def test_a_telescope_has_a_diffraction_limited_psf():
    telescope = Telescope(0.45, 0.3, 633.0, 58.6, 5.3)
    assert as_diffraction(telescope) == telescope.diffraction
    assert as_diffraction(telescope.diffraction) is not None
    assert as_diffraction(None) is None
    expected = r"7 is not a telescope\. Give a Telescope, the name of a saved one, a Diffraction"
    with pytest.raises(LuckyError, match=expected):
        as_diffraction(7)
