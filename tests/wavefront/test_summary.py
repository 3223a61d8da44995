from dataclasses import replace

import numpy as np
import pytest

from made_wavefront import STATIC, made, made_of_stacks
from napari_lucky.optics import Spider
from napari_lucky.wavefront.summary import COLUMNS, mode_rows, sign_note, wavefront_rows


def test_figures_of_frames_are_reported():
    wavefront = made()
    told = dict(wavefront_rows(wavefront))
    assert told["rms wavefront error"] == f"{wavefront.rms_nm:.1f} nm"
    assert told["Strehl ratio from static aberrations"] == f"{wavefront.strehl:.3f}"
    assert told["D/r0"] == "3.25 ± 0.12"
    assert told["defocus between the images"] == "-1.5 waves, as given"
    assert told["frames averaged"] == "5; 1 failed, 2 saturated"
    assert told["noise"] == "2 e-/ADU, 3 ADU: told"


def test_each_mode_is_reported_with_its_error_and_what_is_left_without_it():
    wavefront = made()
    rows = mode_rows(wavefront)
    assert [len(row) for row in rows] == [len(COLUMNS)] * len(STATIC)
    coma = rows[4]
    assert coma[:2] == ("8", "coma x")
    numbers = [float(text) for text in coma[2:]]
    without = wavefront.coefficients_nm.copy()
    without[4] = 0
    expected = [
        wavefront.coefficients_nm[4],
        wavefront.sigma_nm[4],
        wavefront.pupil.rms(without),
        wavefront.pupil.strehl(without / wavefront.task.nm_per_rad),
    ]
    np.testing.assert_allclose(numbers, expected, atol=0.051)
    assert numbers[3] > wavefront.strehl  # coma is the greatest of them


def test_a_pair_of_stacks_tells_less():
    wavefront = made_of_stacks()
    told = dict(wavefront_rows(wavefront))
    assert told["blur fitted"] == "2.50 px (sigma)"
    assert "D/r0" not in told
    assert mode_rows(wavefront)[1] == ("5", "astigmatism 45°", "-20.0", "0.5", "", "")


@pytest.mark.parametrize(
    ("vanes", "why"),
    [(None, "point symmetry"), (4, "point symmetry"), (3, "not checked")],
)
def test_the_sign_of_the_defocus_is_said_to_be_as_given(vanes, why):
    spider = None if vanes is None else Spider(vanes=vanes, width=0.02)
    for wavefront in (made(), made_of_stacks()):
        task = wavefront.task.changed(spider=spider)
        told = sign_note(replace(wavefront, task=task))
        assert why in told
        assert "all even terms (defocus, astigmatism, spherical)" in told


def test_the_selection_curve_is_the_rms_of_means_of_the_best_frames():
    wavefront = made(9)
    frames = wavefront.frames
    best = [k for k in np.argsort(-np.nan_to_num(frames.strehl)) if frames.good[k]]
    fraction, rms = wavefront.keep_curve()
    assert len(rms) == 8
    for count in (1, 3, 8):
        mean = frames.coefficients_nm[best[:count]].mean(axis=0)
        assert fraction[count - 1] == count / 8
        assert rms[count - 1] == pytest.approx(wavefront.pupil.rms(mean), rel=1e-6)
