"""The files of a wavefront hold what was measured."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from made_files import rows_of
from made_wavefront import TASK, made, made_of_stacks
from napari_lucky import LuckyError
from napari_lucky.fits.read_back import read_saved
from napari_lucky.frames import Record
from napari_lucky.optics import Spider, TelescopeRequest
from napari_lucky.pipeline.recipe import recipe_of_history
from napari_lucky.wavefront import WavefrontRequest
from napari_lucky.wavefront.job import MeasuredWavefront, fit_notes
from napari_lucky.wavefront.output import NAMES, write_wavefront

FILES = [f"AF_{k:02d}.fits" for k in range(12)]


def measured(wavefront):
    return MeasuredWavefront(
        wavefront,
        {"frames": ["/data/run"], "dark": "/data/dark.fits"},
        np.arange(100, 112),
        FILES,
        (Record("open"), Record("calibrate", {"combine": "mean"})),
        ("A note.",),
    )


def test_the_coefficients(tmp_path):
    wavefront = made()
    write_wavefront(measured(wavefront), tmp_path)
    rows = rows_of(tmp_path / "zernike.csv")
    assert list(rows[0]) == ["noll", "name", "coefficient_nm", "sigma_nm"]
    assert [int(row["noll"]) for row in rows] == list(range(4, 16))
    assert [row["name"] for row in rows] == list(wavefront.names)
    found = [float(row["coefficient_nm"]) for row in rows]
    np.testing.assert_allclose(found, wavefront.coefficients_nm, rtol=1e-8)
    np.testing.assert_allclose([float(r["sigma_nm"]) for r in rows], wavefront.sigma_nm, rtol=1e-8)


def test_the_map_and_its_header(tmp_path):
    wavefront = made()
    write_wavefront(measured(wavefront), tmp_path)
    image, header = fits.getdata(tmp_path / "wavefront.fits", header=True)
    np.testing.assert_array_equal(image, wavefront.image_nm)
    assert header["BUNIT"] == "nm"
    assert header["WAVELEN"] == 600
    assert header["RMSNM"] == wavefront.rms_nm
    assert header["STREHL"] == wavefront.strehl
    assert header["DR0"] == 3.25
    assert header["NCOMBINE"] == 5
    assert header["NOLLMAX"] == 15
    told = "".join(map(str, header["COMMENT"]))
    assert "y down" in told
    assert "Noll" in told
    assert "LTV1" not in header  # it is no place on the sensor
    (again,) = read_saved(tmp_path / "wavefront.fits")
    names = [step.name for step in again.history]
    assert names == ["open", "calibrate", "telescope", "wavefront"]
    assert again.history[-2].parameters["wavelength_nm"] == 600
    facts = again.history[-1].facts
    assert facts["focus"] == [14, 84, 32, 32]
    assert facts["frames"] == 5
    recipe = recipe_of_history(again.history)
    assert recipe[WavefrontRequest] == WavefrontRequest(
        defocus_waves=-1.5, modes=15, count=6, seed=5
    )
    assert recipe[TelescopeRequest] == TelescopeRequest(
        wavelength_nm=600, focal_ratio=60, pixel_um=12, obstruction=0.25
    )
    assert recipe.get(Spider) is None


def test_the_map_has_the_rms_that_is_reported(tmp_path):
    """A hand-made sum over the open samples; those on the rims count by half, hence 1 %."""
    wavefront = made()
    write_wavefront(measured(wavefront), tmp_path)
    image = fits.getdata(tmp_path / "wavefront.fits").astype(float)
    assert np.nanstd(image) == pytest.approx(wavefront.rms_nm, rel=0.01)


def test_the_frames_by_their_numbers_in_the_run(tmp_path):
    wavefront = made()
    write_wavefront(measured(wavefront), tmp_path)
    rows = rows_of(tmp_path / "per_frame.csv")
    assert [int(row["frame"]) for row in rows] == [101, 103, 105, 107, 109, 111]
    assert [row["file"] for row in rows] == FILES[1::2]
    assert [row["used"] for row in rows] == ["1", "1", "1", "1", "0", "1"]
    assert rows[4]["noll_5_nm"] == rows[4]["strehl"] == rows[4]["chi2"] == ""
    good = wavefront.frames.good
    told = np.array(
        [[float(row[f"noll_{k}_nm"]) for k in range(4, 16)] for row in rows if row["strehl"]]
    )
    np.testing.assert_allclose(told, wavefront.frames.coefficients_nm[good], rtol=1e-8)
    assert [rows[1][n] for n in ("focus_y", "focus_x", "defocus_y", "defocus_x")] == list("4567")


def test_the_summary(tmp_path):
    wavefront = made()
    write_wavefront(measured(wavefront), tmp_path)
    told = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert told["figures"]["rms_nm"] == wavefront.rms_nm
    assert told["figures"]["strehl"] == wavefront.strehl
    assert told["figures"]["d_over_r0"] == 3.25
    assert told["figures"]["d_over_r0_sigma"] == 0.125
    assert told["counts"] == {"frames": 12, "used": 5, "saturated": 2, "not_fitted": 1}
    assert told["defocus"] == {"waves": -1.5, "fitted": False}
    assert told["telescope"]["sampling_px"] == pytest.approx(3.0)
    assert told["choice"] == {"by": "random", "count": 6, "seed": 5}
    assert told["notices"] == [{"level": "warning", "text": "A note.", "file": None}]
    assert told["input"]["dark"] == "/data/dark.fits"
    mode = told["modes"][1]
    assert mode["name"] == "astigmatism 45°"
    assert mode["rms_nm_without"] == pytest.approx(wavefront.without[1, 0])
    assert mode["strehl_without"] > told["figures"]["strehl"]


def test_a_single_frame_has_no_error(tmp_path):
    write_wavefront(measured(made(1)), tmp_path)
    assert rows_of(tmp_path / "zernike.csv")[0]["sigma_nm"] == ""
    told = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert told["modes"][0]["sigma_nm"] is None


def test_a_fitted_defocus_has_its_error(tmp_path):
    task = TASK.changed(fit_defocus=True, choice="all")
    wavefront = replace(made(), task=task, defocus_waves=-1.52, defocus_sigma=0.01)
    write_wavefront(measured(wavefront), tmp_path)
    told = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert told["defocus"] == {"waves": -1.52, "fitted": True, "sigma_waves": 0.01}
    assert told["choice"] == {"by": "all", "count": None, "seed": None}


def test_stacks_have_no_frames(tmp_path):
    wavefront = made_of_stacks()
    files = write_wavefront(replace(measured(wavefront), files=()), tmp_path, report=True)
    assert [file.name for file in files] == [n for n in NAMES if n != "per_frame.csv"]
    assert {file.name for file in tmp_path.iterdir()} == set(NAMES) - {"per_frame.csv"}
    told = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert told["method"] == "stacks"
    assert "d_over_r0" not in told["figures"]
    assert told["figures"]["blur_px"] == 2.5
    assert [row["sigma_nm"] for row in rows_of(tmp_path / "zernike.csv")] == ["0.5"] * 12
    (again,) = read_saved(tmp_path / "wavefront.fits")
    assert again.history[-1].name == "wavefront"
    assert again.history[-1].facts["of"] == "stacks"


def test_all_or_nothing(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_wavefront(measured(made()), out, report=True)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    assert set(before) == set(NAMES)
    with pytest.raises(LuckyError, match=r"already holds results \(zernike.csv"):
        write_wavefront(measured(made()), out)

    def full(*_):
        raise LuckyError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr("napari_lucky.wavefront.plots.write_wavefront_page", full)
        with pytest.raises(LuckyError, match="full"):
            write_wavefront(measured(made(1)), out, report=True, overwrite=True)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    write_wavefront(measured(made()), out, overwrite=True)
    assert not (out / "report.png").exists()  # of the older one


def test_stacks_that_do_not_fit_are_reported():
    assert fit_notes(made_of_stacks()) == ()
    (told,) = fit_notes(replace(made_of_stacks(), chi2=10.4))
    assert "chi² is 10.4" in told
