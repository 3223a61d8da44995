"""`napari-lucky process --each` and `figures OUT1 OUT2`: nights in a script."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from made_files import rows_of, run_cli
from napari_lucky import simulate_run
from napari_lucky.cli.options import window_named
from napari_lucky.pipeline.nights import Night, by_date
from napari_lucky.psf.images import inputs_of_images, with_nights
from napari_lucky.psf.nights import NightRow, night_cells

RUNS = {"1/star": (2.0, "2026-11-01T23:00:00"), "2/star": (4.0, "2026-11-03T01:00:00")}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two nights of one name, the second with more turbulence, and a damaged one between."""
    folder = tmp_path_factory.mktemp("nights")
    for name, (seeing, date) in RUNS.items():
        made = simulate_run(40, (200, 400), d_over_r0=seeing, photons=1e6, seed=5)
        header = fits.Header(list({**made.header, "DATE-OBS": date}.items()))
        (folder / name).mkdir(parents=True)
        fits.PrimaryHDU(made.frames, header).writeto(folder / name / "cube.fits")
    (folder / "bad").mkdir()
    (folder / "bad" / "cube.fits").write_bytes(b"SIMPLE  = no" * 400)
    return [folder / "1/star", folder / "bad", folder / "2/star"]


@pytest.fixture(scope="module")
def out(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "results"
    status = run_cli(
        "process", *runs, "--each", "--focus", "95,316,128", "--keep", "10", "-o", folder
    )
    assert status == 3  # of the one that failed; the others are done
    return folder


def test_each_run_has_its_folder_and_the_table_a_row(out, runs):
    assert {path.name for path in out.iterdir()} == {
        "1_star", "2_star", "nights.csv", "summary.json",
    }  # fmt: skip
    first, bad, second = rows_of(out / "nights.csv")
    assert [row["run"] for row in (first, bad, second)] == [str(run) for run in runs]
    assert [row["night"] for row in (first, bad, second)] == ["2026-11-01", "", "2026-11-02"]
    assert [row["status"] for row in (first, bad, second)] == ["0", "3", "0"]
    assert "truncated" in bad["left_out"]
    assert (first["frames"], first["kept"]) == ("40", "10")
    assert first["aperture_lambda_d"] == second["aperture_lambda_d"] != ""
    assert float(first["strehl"]) > float(second["strehl"]) > 0.02
    assert 6.5 < float(first["fwhm_px"]) < float(second["long_exposure_fwhm_px"])
    for row, (seeing, _) in zip((first, second), RUNS.values(), strict=True):
        assert float(row["d_over_r0"]) == pytest.approx(seeing, rel=0.4)
        own = json.loads((out / row["name"] / "summary.json").read_text("utf-8"))
        lucky, mean = (own["figures"][name]["fwhm_px"] for name in ("focus", "long_exposure"))
        assert float(row["fwhm_px"]) == pytest.approx(lucky, rel=1e-5)
        assert float(row["long_exposure_fwhm_px"]) == pytest.approx(mean, rel=1e-5)
        assert f"FWHM {float(row['fwhm_px']):.3g} px, long exposure {mean:.3g} px" in own["done"]
    told = json.loads((out / "summary.json").read_text("utf-8"))
    assert told["counts"] == {"runs": 3, "done": 2, "failed": 1}
    assert told["status"] == 3
    assert [night["name"] for night in told["nights"]] == ["1_star", "bad", "2_star"]
    assert told["nights"][1]["strehl"] is None


def test_what_one_job_gives_is_what_each_gives(out, runs, tmp_path):
    asked = ["--focus", "95,316,128", "--keep", "10", "-o", tmp_path / "one"]
    assert run_cli("process", runs[0], *asked) == 0
    for name in ("focus", "long_exposure"):
        ours = fits.getdata(out / "1_star" / f"{name}.fits")
        np.testing.assert_array_equal(ours, fits.getdata(tmp_path / "one" / f"{name}.fits"))
    told = json.loads((tmp_path / "one" / "summary.json").read_text("utf-8"))
    assert told["figures"]["focus"]["strehl"] > told["figures"]["long_exposure"]["strehl"]


def test_what_is_done_is_left_alone_and_stays_in_the_table(out, runs, capsys):
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*")}
    good = [runs[0], runs[2]]
    assert run_cli("process", *good, "--each", "-o", out) == 2  # there are results
    assert run_cli("process", runs[2], "--each", "--skip-existing", "-o", out) == 5
    told = capsys.readouterr()
    assert "2_star: done before" in told.out
    assert [row["name"] for row in rows_of(out / "nights.csv")] == ["1_star", "2_star"]
    assert run_cli("process", *runs, "--each", "--skip-existing", "--quiet", "-o", out) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert "truncated" in told.err
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/*")} == before


def test_nights_are_by_date_whatever_was_done_first():
    def night(name, date=""):
        return Night(name, Path(name), 0, summary={"date": date} if date else {})

    given = [night("b", "2026-11-03T22:00"), night("bad"), night("c10", "2026-11-09T22:00"),
             night("a", "2026-11-05T22:00"), night("c9", "2026-11-09T22:00")]  # fmt: skip
    assert [one.name for one in by_date(given)] == ["b", "bad", "a", "c9", "c10"]
    undated = [night(name) for name in ("n2", "n10", "n1")]
    assert [one.name for one in by_date(undated)] == ["n1", "n2", "n10"]


def test_a_folder_of_nights_stands_for_its_nights(out):
    assert with_nights([out, "x"]) == [out / "1_star", out / "2_star", "x"]
    assert with_nights([out / "1_star"]) == [out / "1_star"]
    assert with_nights(sorted(out.iterdir())) == [out / "1_star", out / "2_star"]  # results/*
    assert len(inputs_of_images([out])) == len(inputs_of_images([out / "1_star", out / "2_star"]))


def test_a_result_as_recipe_finds_its_frames_or_asks_for_them(out, runs, tmp_path, capsys):
    result, asked = out / "1_star" / "focus.fits", ["-o", tmp_path / "again"]
    assert run_cli("process", "--recipe", result, *asked) == 0
    assert f"was made of {runs[0] / 'cube.fits'}: its frames are used" in capsys.readouterr().out
    again = fits.getdata(tmp_path / "again" / "focus.fits")
    np.testing.assert_array_equal(again, fits.getdata(result))
    moved = runs[0].rename(runs[0].with_name("moved"))
    try:
        assert run_cli("process", "--recipe", result, *asked, "--overwrite") == 2
    finally:
        moved.rename(runs[0])
    says = capsys.readouterr().err
    assert f"they were {runs[0] / 'cube.fits'}. Give the run too" in says


def test_a_region_that_is_no_square_is_said(tmp_path, capsys):
    (tmp_path / "b.reg").write_text("image\nbox(201,61,40,20,0)\n")
    assert window_named("focus")(str(tmp_path / "b.reg")) == (60, 200, 40)
    assert "Windows are square: this one has 40 x 40 pixels" in capsys.readouterr().err


def test_figures_of_several_jobs_are_named_after_them_and_have_errors(out, tmp_path, capsys):
    asked = [out / "1_star", out / "2_star", "--bootstrap", "20", "-o", tmp_path / "figures"]
    assert run_cli("figures", *asked) == 0
    rows = rows_of(tmp_path / "figures" / "figures.csv")
    stacks = ("focus.fits", "long_exposure.fits")
    assert [row["image"] for row in rows] == [f"{n}_star/{s}" for n in (1, 2) for s in stacks]
    assert len({row["aperture_px"] for row in rows}) == 1
    assert all(float(row["strehl_error"]) > 0 and row["resamples"] == "20" for row in rows)
    alone = [out / "1_star", "--bootstrap", "20", "--aperture", rows[0]["aperture_px"]]
    ring = f"{rows[0]['ring_inner_px']},{rows[0]['ring_outer_px']}"
    assert run_cli("figures", *alone, "--ring", ring, "-o", tmp_path / "alone") == 0
    one = rows_of(tmp_path / "alone" / "figures.csv")[0]
    assert {**one, "image": ""} == {**rows[0], "image": ""}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--add", "3"], "--add and --drop"),
        (["--shifts", "frames.csv"], "--shifts belongs to one run"),
    ],
)
def test_what_holds_for_one_run_is_refused(options, says, runs, tmp_path, capsys):
    assert run_cli("process", *runs, "--each", *options, "-o", tmp_path / "x") == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_where_every_run_fails_there_is_a_table_that_says_why(tmp_path, capsys):
    out = tmp_path / "out"
    assert run_cli("process", tmp_path / "a", tmp_path / "b", "--each", "--json", "-o", out) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["counts"] == {"runs": 2, "done": 0, "failed": 2}
    assert all("no such file" in row["left_out"] for row in rows_of(out / "nights.csv"))


def test_a_doubtful_night_stays_so_and_keeps_what_it_measured_itself():
    summary = {"status": 4, "figures": {"long_exposure": {"fwhm_px": 26.9}}}
    rows = [NightRow(Night("a", Path("a"), status, summary=summary)) for status in (4, 5)]
    assert [cells[-1] for cells in night_cells(rows)[1:]] == ["doubtful", "done before, doubtful"]
    assert rows[0].values["long_exposure_fwhm_px"] == 26.9


def test_the_width_is_the_one_in_the_runs_own_line():
    """With the ring of the nights' smallest aperture it was 7.80 px, where the line had 7.78."""
    here = SimpleNamespace(fwhm=7.80, strehl=0.3, aperture=4.0)
    own = {"figures": {"focus": {"fwhm_px": 7.78}, "long_exposure": {"fwhm_px": None}}}
    row = NightRow(Night("a", Path("a"), 0, summary=own), here, here, arcsec_per_px=0.1)
    told = [row.values[name] for name in ("fwhm_px", "fwhm_arcsec", "long_exposure_fwhm_px")]
    assert told == pytest.approx([7.78, 0.778, 7.80])
    assert NightRow(Night("a", Path("a"), 0), here, scale=2.0).values["fwhm_px"] == 3.90
