"""`napari-lucky figures` and `telescope` as they are typed: files, errors, refusals."""

import shutil
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from made_files import rows_of, run_cli, write_masters, write_run
from napari_lucky import (
    Recipe,
    Window,
    calibrate,
    open_run,
    psf_figures,
    read_recipe,
    recipe_to_toml,
    simulate_run,
    write_fits,
)
from napari_lucky.fits import ImageResult
from napari_lucky.fits.frame_table import FrameTable
from napari_lucky.fits.read_back import read_saved
from napari_lucky.optics import Diffraction, TelescopeRequest
from napari_lucky.optics.diffraction import diffraction_psf
from napari_lucky.optics.simulation import SIMULATED
from napari_lucky.pipeline.process import Result
from napari_lucky.psf import PsfRecipe, PsfRequest
from napari_lucky.psf.summary import result_line
from napari_lucky.stacking.fourier import StackFourier

OPTICS = ["--wavelength", 633, "--focal-ratio", 58.6, "--pixel-size", 5.3, "--diameter", 0.45]
N = 10


@pytest.fixture(scope="module")
def simulated():
    return simulate_run(N, (200, 400), d_over_r0=2.5, photons=3e5, seed=3)


@pytest.fixture(scope="module")
def data(simulated, tmp_path_factory):
    """run/ of N frames and out/, what process made of it; and out2/, drizzled."""
    folder = tmp_path_factory.mktemp("data")
    header = fits.Header(list(simulated.header.items()))
    write_run(folder / "run", simulated.frames, header)
    write_masters(folder, simulated, header)
    focus = ",".join(map(str, simulated.focus))
    masters = ["--dark", folder / "dark.fits", "--flat", folder / "flat.fits"]
    given = ["process", folder / "run", *masters, "--focus", focus, "--keep", 0.8]
    assert run_cli(*given, "-o", folder / "out") == 0
    assert run_cli(*given, "--stack", "drizzle", "-o", folder / "out2") == 0
    return folder


def test_results_are_measured_with_errors_from_their_run(data, tmp_path, capsys):
    out = tmp_path / "figures"
    asked = ["--obstruction", 0.3, "--bootstrap", 20, "--report"]
    assert run_cli("figures", data / "out", *asked, "-o", out) == 0
    assert {p.name for p in out.iterdir()} == {
        "figures.csv",
        "curves.csv",
        "figures.toml",
        "figures.png",
        "summary.json",
    }
    told = capsys.readouterr()
    assert (
        "focus.fits: A halo beyond the aperture, or in the background ring, has about" in told.err
    )
    assert "λ/D (41.99 px)" in told.out
    assert "focus.fits: Strehl ratio 0." in told.out
    focus, exposure = rows_of(out / "figures.csv")
    (saved, *_) = read_saved(data / "out" / "focus.fits")
    expected = psf_figures(saved.data, SIMULATED.diffraction)  # the header tells the rest
    assert float(focus["strehl"]) == pytest.approx(expected.strehl, rel=1e-6)
    assert float(focus["fwhm_major_px"]) == pytest.approx(expected.fwhm_major, rel=1e-6)
    assert float(focus["aperture_px"]) == pytest.approx(expected.recipe.aperture)
    assert float(focus["aperture_lambda_d"]) == pytest.approx(6)
    assert "halo beyond the aperture" in focus["cautions"]
    assert 0 < float(focus["strehl_error"]) < 0.3 * float(focus["strehl"])
    assert int(focus["resamples"]) == 20
    assert PsfRequest().resamples == 200  # unless another number is asked for
    assert exposure["image"] == "long_exposure.fits"
    assert float(exposure["strehl_error"]) > 0
    assert float(exposure["strehl"]) < float(focus["strehl"])
    curve = [line for line in rows_of(out / "curves.csv") if line["image"] == "focus.fits"]
    np.testing.assert_allclose([float(c["encircled"]) for c in curve], expected.encircled, 1e-6)
    assert float(curve[0]["profile_error"]) == pytest.approx(float(focus["strehl_error"]), rel=0.05)
    assert (out / "figures.png").read_bytes().startswith(b"\x89PNG")
    with open(out / "figures.toml", "rb") as file:
        record = tomllib.load(file)
    assert record["telescope"]["obstruction"] == 0.3
    assert record["telescope"]["wavelength_nm"] == 633  # from the header
    assert record["psf"] == {"integration": 1.0, "resamples": 20}
    assert record["napari-lucky"]["images"] == [str(data / "out")]


def test_without_the_run_errors_are_left_out_only_if_asked(data, tmp_path, capsys):
    shutil.copytree(data / "out", tmp_path / "moved")
    recipe = tmp_path / "moved" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace(str(data / "run"), str(tmp_path / "gone")))
    given = ["figures", tmp_path / "moved", "--psf", "7,0.3", "-o", tmp_path / "a"]
    assert run_cli(*given) == 3
    assert "Errors come from the frames of the run" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert run_cli(*given, "--bootstrap", 0) == 0
    (line, _) = rows_of(tmp_path / "a" / "figures.csv")
    assert 0 < float(line["strehl_error"]) < 0.05 * float(line["strehl"])  # of the noise
    assert (line["resamples"], line["fwhm_major_px_error"]) == ("0", "")


def test_drizzled_pixels_are_finer_and_have_no_errors(data, tmp_path, capsys):
    """The scale is the image's: sampling and pixel are twice as many pixels."""
    given = ["--psf", "7,0.3", "--aperture", 50, "--ring", "50,56"]
    for name in ("out", "out2"):
        assert (
            run_cli("figures", data / name, *given, "--bootstrap", 20, "-o", tmp_path / name) == 0
        )
    plain, fine = (rows_of(tmp_path / name / "figures.csv")[0] for name in ("out", "out2"))
    assert float(fine["sampling_px"]) == 14
    assert (float(fine["aperture_px"]), float(fine["integration_px"])) == (100, 2)
    assert float(fine["fwhm_major_px"]) / 2 == pytest.approx(
        float(plain["fwhm_major_px"]), rel=0.03
    )
    assert float(fine["strehl"]) == pytest.approx(float(plain["strehl"]), rel=0.03)
    assert (fine["strehl_error"], fine["resamples"]) == ("", "0")
    assert fine["fwhm_major_arcsec"] == ""  # no telescope
    assert "focus.fits has no errors: Errors are those of a mean" in capsys.readouterr().err


def test_frames_of_a_run_have_one_aperture(data, simulated, tmp_path, capsys):
    y, x, size = simulated.focus
    window = ["--window", f"{y},{x},{size}"]
    given = ["figures", data / "run", "--psf", "7,0.3", *window, "--frames", "0:10:3", "--report"]
    assert run_cli(*given, "-o", tmp_path / "a") == 0
    made = rows_of(tmp_path / "a" / "figures.csv")
    assert [int(line["frame"]) for line in made] == [0, 3, 6, 9]
    assert len({line["aperture_px"] for line in made}) == 1
    assert "4 images; wrote figures.csv" in capsys.readouterr().out
    for line in made:
        brightest = np.unravel_index(
            simulated.truth.focus_images[int(line["frame"])].argmax(), (size, size)
        )
        place = np.add(brightest, [y - size // 2, x - size // 2])
        assert np.hypot(*(place - [float(line["y_px"]), float(line["x_px"])])) < 2
    one = open_run(data / "run" / "AF_4.fits").read(slice(1))[0]
    near = Window.centred(y, x, size)
    figures = psf_figures(one, SIMULATED.diffraction, recipe=PsfRecipe(), window=near)
    assert float(made[1]["strehl"]) == pytest.approx(figures.strehl, rel=1e-3)


def test_images_of_one_call_have_one_aperture(simulated, tmp_path, capsys):
    """The smallest of those that they would have; a doubtful one is told."""
    image = simulated.truth.focus_images[0].astype(np.float32)
    sizes = {"large": image, "small": image[14:-14, 14:-14]}
    for name, pixels in sizes.items():
        write_fits(tmp_path / f"{name}.fits", [ImageResult(pixels, "star")])
    files = [tmp_path / f"{name}.fits" for name in sizes]
    assert run_cli("figures", *files, "--psf", "7,0.3", "-o", tmp_path / "a") == 0
    large, small = rows_of(tmp_path / "a" / "figures.csv")
    assert large["aperture_lambda_d"] == small["aperture_lambda_d"] == "4"
    assert float(large["strehl"]) == pytest.approx(float(small["strehl"]), rel=1e-3)
    told = capsys.readouterr()
    assert told.out.count("aperture 4 λ/D (28 px)") == 2
    assert "All images have the same aperture 4 λ/D" in told.err


def test_one_name_has_one_unit(data, tmp_path, capsys):
    """--pixel-size is in um wherever it is; what a pixel integrates over is another name."""
    image = data / "out" / "focus.fits"
    given = ["figures", image, "--psf", "7,0.3", "-o", tmp_path / "a"]
    assert run_cli(*given, "--pixel-size", 5.3) == 2  # the telescope's
    assert "--psf gives the sampling already" in capsys.readouterr().err
    given = ["figures", image, "--diameter", 450, "-o", tmp_path / "a"]
    assert run_cli(*given) == 2
    assert "in mm, give 0.45 m" in capsys.readouterr().err


def test_one_recipe_holds_the_whole_night(data, tmp_path, capsys):
    """What it asks for is measured as with options, of results, of files and of its own run."""
    telescope = TelescopeRequest(
        wavelength_nm=600, focal_ratio=58.6, pixel_um=5.3, diameter_m=0.45, obstruction=0.3
    )
    asked = PsfRequest(aperture=30, ring=(31, 40), resamples=0)
    night = read_recipe(data / "out" / "recipe.toml").with_steps(telescope, asked)
    (tmp_path / "night.toml").write_text(recipe_to_toml(night))
    recipe = ["--recipe", tmp_path / "night.toml"]
    options = ["--wavelength", 600, *OPTICS[2:], "--obstruction", 0.3]
    options += ["--aperture", 30, "--ring", "31,40", "--bootstrap", 0]

    def measured(out, *given):
        assert run_cli("figures", *given, "-o", tmp_path / out) == 0
        return (tmp_path / out / "figures.csv").read_bytes()

    expected = measured("options", data / "out", *options)
    assert measured("recipe", data / "out", *recipe) == expected
    again = ["--recipe", tmp_path / "options" / "figures.toml"]
    assert measured("again", data / "out", *again) == expected
    assert run_cli("process", *recipe, "-o", tmp_path / "results") == 0
    assert read_recipe(tmp_path / "results" / "recipe.toml").get(PsfRequest) == asked
    assert measured("results-alone", tmp_path / "results") == expected

    assert b",40," in measured("over", data / "out", *recipe, "--psf", "aperture=40,ring=41/50")
    measured("run", *recipe, "--frames", "2:7:2", "--psf", "sampling=7")
    rows = rows_of(tmp_path / "run" / "figures.csv")
    assert [row["frame"] for row in rows] == ["2", "4", "6"]
    masters = [open_run(data / f"{name}.fits") for name in ("dark", "flat")]
    frames = calibrate(open_run(data / "run"), *masters)
    of_one = psf_figures(
        frames[4], Diffraction(7), recipe=asked.recipe, window=night.window("focus")
    )
    assert float(rows[1]["strehl"]) == pytest.approx(of_one.strehl, rel=1e-8)
    assert float(rows[1]["background_adu"]) == pytest.approx(of_one.background, rel=1e-8)
    capsys.readouterr()
    assert run_cli("figures", "--wavelength", 600, "-o", tmp_path / "none") == 2
    assert "There is nothing to measure" in capsys.readouterr().err


def test_saved_images_and_frames_that_cannot_be_measured(simulated, tmp_path, capsys):
    images = simulated.truth.focus_images[:3].copy()
    images[1] = 0
    for k, image in enumerate(images):
        write_fits(tmp_path / f"s{k}.fits", [ImageResult(image, "star")])
    files = [tmp_path / f"s{k}.fits" for k in range(3)]
    assert run_cli("figures", *files, "--psf", "7,0.3", "-o", tmp_path / "a") == 0
    first, second, third = rows_of(tmp_path / "a" / "figures.csv")
    assert first["image"] == "s0.fits"
    assert not second["strehl"]
    assert float(third["strehl"]) == pytest.approx(simulated.truth.strehl[2], rel=0.15)
    assert "Not measured: s1.fits: All pixels of this image are equal" in capsys.readouterr().err
    assert run_cli("figures", files[1], "--psf", "7", "-o", tmp_path / "b") == 3
    assert not (tmp_path / "b").exists()


def test_nothing_is_overwritten_unasked(data, tmp_path, capsys):
    given = ["figures", data / "out" / "focus.fits", "--psf", "7,0.3", "-o", tmp_path / "a"]
    assert run_cli(*given) == 0
    before = (tmp_path / "a" / "figures.csv").read_bytes()
    assert run_cli(*given, "--integration", 0) == 2
    assert "already holds results" in capsys.readouterr().err
    assert (tmp_path / "a" / "figures.csv").read_bytes() == before
    assert run_cli(*given, "--integration", 0, "--overwrite") == 0
    assert (tmp_path / "a" / "figures.csv").read_bytes() != before


def test_a_telescope_is_saved_listed_used_and_removed(data, tmp_path, capsys):
    assert run_cli("telescope") == 0
    assert "No telescope is saved yet" in capsys.readouterr().out
    assert run_cli("telescope", "IRSOL", *OPTICS, "--obstruction", 0.3) == 0
    assert run_cli("telescope") == 0
    assert "IRSOL: 633 nm, f/58.6, pixel 5.3 µm" in capsys.readouterr().out
    image = data / "out" / "focus.fits"
    for out, given in (("a", ["--telescope", "IRSOL"]), ("b", ["--obstruction", 0.3])):
        assert run_cli("figures", image, *given, "-o", tmp_path / out) == 0
    assert (tmp_path / "a/figures.csv").read_bytes() == (tmp_path / "b/figures.csv").read_bytes()
    assert (
        run_cli("figures", image, "--telescope", "IRSOL", "--wavelength", 550, "-o", tmp_path / "c")
        == 0
    )
    assert float(rows_of(tmp_path / "c/figures.csv")[0]["sampling_px"]) == pytest.approx(
        6.081, abs=1e-3
    )
    assert run_cli("telescope", "IRSOL", *OPTICS) == 2
    assert run_cli("telescope", "IRSOL", *OPTICS, "--overwrite") == 0
    assert run_cli("telescope", "IRSOL") == 0
    assert "obstruction 0;" in capsys.readouterr().out
    assert run_cli("telescope", "IRSOL", "--remove") == 0
    capsys.readouterr()
    assert run_cli("figures", image, "--telescope", "IRSOL", "-o", tmp_path / "d") == 2
    assert "no telescope 'IRSOL'; none is saved yet. Save it first." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--psf", "7", "--wavelength", 500], "--psf gives the sampling already"),
        (["--focal-ratio", 10, "--focal-length", 3], "each follows from the other"),
        (["--psf", "7", "--ring", "50"], "ring is [50]; it must be a list of numbers, 2 in all"),
        (["--psf", "7", "--ring", "50,40"], "from 50 to 40"),
        (["--psf", "7", "--aperture", 500], "need 562"),
        (["--psf", "7", "--window", "0,0,40"], "window covers rows -20"),
        (["--psf", "7", "--bootstrap", 3], "3 resamples"),
        (["--psf", "0.5"], "sampling is 0.5"),
    ],
)
def test_refusals(data, tmp_path, capsys, given, says):
    assert run_cli("figures", data / "out", *given, "-o", tmp_path / "a") in (2, 3)
    assert says in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_without_optics_there_is_no_strehl_ratio(tmp_path, capsys):
    image = (1e4 * diffraction_psf(Diffraction(3), (61, 61))).astype(np.float32)
    fits.PrimaryHDU(image).writeto(tmp_path / "a.fits")
    out = tmp_path / "out"
    given = (
        "figures",
        tmp_path / "a.fits",
        "--pixel-size",
        5,
        "-o",
        out,
        "--overwrite",
        "--report",
    )
    assert run_cli(*given) == 0
    said = capsys.readouterr()
    why = "No Strehl ratio was measured: the wavelength (nm) and the focal ratio are not known."
    assert why in said.err
    assert "obstruction" not in said.err
    assert "FWHM 3.1" in said.out
    assert "50 % of the light in" in said.out
    assert "Strehl" not in said.out
    (row,) = rows_of(out / "figures.csv")
    assert (row["strehl"], row["sampling_px"], row["aperture_lambda_d"]) == ("", "", "")
    assert float(row["fwhm_major_px"]) == pytest.approx(3.1, abs=0.1)
    assert float(row["radius_50_px"]) > 1
    told = tomllib.loads((out / "figures.toml").read_text())
    assert "diffraction" not in told
    # what a Strehl ratio needs is enough for it: the diameter is not
    assert run_cli(*given, "--wavelength", 500, "--focal-ratio", 30, "--obstruction", 0) == 0
    assert "a.fits: Strehl ratio 1" in capsys.readouterr().out
    assert (out / "figures.png").is_file()


@pytest.mark.parametrize("name", ["x" * 5000, "two\nlines.fits"])
def test_an_odd_name_is_reported_in_one_line(name, tmp_path, capsys):
    assert run_cli("figures", name, "--psf", 7, "-o", tmp_path / "out") == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("napari-lucky: ")


def test_what_is_not_there_is_reported(tmp_path, capsys):
    assert run_cli("figures", tmp_path / "none.fits", "--psf", 7, "-o", tmp_path / "out") == 3


def test_a_stack_no_sharper_than_the_mean_of_all_is_said():
    n = 20
    table = FrameTable(
        np.arange(n), [""] * n, np.zeros((n, 2)), np.ones(n), np.arange(n) < 10, (0.0, 0.0), ()
    )
    result = Result({}, table, Recipe(), ())
    assert result_line(result, 7.3, 31.0).endswith("FWHM 7.3 px, long exposure 31 px.")
    assert result_line(result, 9.5, 8.3).endswith("no sharper than the mean of all frames.")
    assert "sharper" not in result_line(result, 9.5)
    assert result_line(result, 9.5).startswith("Kept 10 of 20 frames (50 %).")
    chosen = replace(result, recipe=Recipe("run", StackFourier(fraction=0.6)))
    assert result_line(chosen).startswith("Kept 12 of 20 frames (60 %) at each frequency.")
