"""What scripts read: exit statuses, summary.json, --json, --quiet, --log, --skip-existing."""

import json
import shlex
import shutil

import numpy as np
import pytest
from astropy.io import fits

from made_files import run_cli
from napari_lucky import simulate_run
from napari_lucky.cli.main import parser
from napari_lucky.cli.message_options import EXAMPLES
from napari_lucky.errors import STATUSES

N = 12
FOCUS = ["--focus", "95,316,64"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """12 frames, of which two have no star; beside them a damaged file and a dark."""
    made = simulate_run(N, (200, 400), d_over_r0=2.5, photons=3e5, seed=3)
    folder = tmp_path_factory.mktemp("data") / "run"
    folder.mkdir()
    cards = {**made.header, "DATE-OBS": "2026-11-01T23:50:00"}
    header = fits.Header(list(cards.items()))
    for k, frame in enumerate(made.frames, 1):
        frame = np.zeros_like(frame) if k in (3, 7) else frame
        fits.PrimaryHDU(frame, header).writeto(folder / f"AF_{k}.fits")
    fits.PrimaryHDU(made.dark).writeto(folder / "dark.fits")
    (folder / "AF_13.fits").write_bytes((folder / "AF_1.fits").read_bytes()[:6000])
    return folder


@pytest.fixture(scope="module")
def out(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "out"
    assert run_cli("process", run, *FOCUS, "--keep", "4", "--report", "-o", folder) == 0
    return folder


def test_the_summary_says_what_was_done(out, run):
    told = json.loads((out / "summary.json").read_text("utf-8"))
    assert (told["schema"], told["command"], told["status"]) == (1, "process", 0)
    assert told["done"].startswith("Kept 4 of 12 frames (33.3 %). FWHM ")
    assert told["counts"] == {"frames": 12, "kept": 4, "without_star": 2, "damaged": 1}
    assert told["input"] == {"frames": [str(run)]}
    assert told["windows"] == {"focus": [95, 316, 64], "defocus": None}
    assert told["date"] == "2026-11-01T23:50:00"
    assert told["files"] == sorted(path.name for path in out.iterdir())
    notices = {notice["text"].split(":")[0]: notice for notice in told["notices"]}
    assert notices["Left out AF_13.fits"]["level"] == "warning"
    assert notices["Left out AF_13.fits"]["file"] == str(run / "AF_13.fits")
    left, beside = (
        notices["Not part of the run"],
        notices["A dark that fits is beside the run and is not used (dark.fits)"],
    )
    assert left["text"].split(". Use ")[0].endswith("dark.fits (named like a dark, flat or bias)")
    for notice, level in ((left, "info"), (beside, "warning")):
        assert (notice["level"], notice["file"]) == (level, str(run / "dark.fits"))
    assert notices["Left out 2 frames (2, 6)"] == {
        "level": "warning",
        "text": notices["Left out 2 frames (2, 6)"]["text"],
        "file": None,
    }


def test_json_is_all_that_stdout_has(run, tmp_path, capsys):
    assert run_cli("process", run, *FOCUS, "--json", "--quiet", "-o", tmp_path / "a") == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == json.loads((tmp_path / "a" / "summary.json").read_text("utf-8"))
    assert "Left out AF_13.fits" in told.err
    assert "Not part of the run" not in told.err  # no problem

    assert run_cli("process", tmp_path / "µ absent", "--json", "-o", tmp_path / "b") == 3
    told = capsys.readouterr()
    failed = json.loads(told.out)
    assert (failed["status"], failed["command"]) == (3, "process")
    assert "µ absent: there is no such file" in failed["done"]
    assert [notice["level"] for notice in failed["notices"]] == ["error"]
    assert not (tmp_path / "b").exists()


def test_a_log_has_all_with_times(run, tmp_path, capsys):
    log = tmp_path / "logs" / "night.log"
    for frames, status in ((tmp_path / "absent", 3), (run, 0)):
        asked = ["process", frames, *FOCUS, "--quiet", "--log", log, "-o", tmp_path / "out"]
        assert run_cli(*asked) == status
    told = capsys.readouterr()
    assert told.out == ""
    lines = [line.split(maxsplit=2) for line in log.read_text("utf-8").splitlines()]
    assert all(len(time) == 25 and time[10] == "T" for time, _, _ in lines)
    texts = [(level, text) for _, level, text in lines]
    assert texts[0][1].startswith(f"napari-lucky process {tmp_path}")
    assert ("info", "tracking and ranking …") in texts
    assert any(text.startswith("Kept 10 of 12 frames") for _, text in texts)
    assert ("info", "exit status 0: done") in texts
    assert any(level == "error" and "no such file" in text for level, text in texts)


@pytest.mark.parametrize("frames", ["run", "run/AF_1.fits"])
@pytest.mark.parametrize("log", ["run/AF_1.fits", "dark.fits", "notes.txt", "."])
def test_nothing_is_added_to_a_file_that_is_no_log(log, frames, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    shutil.copy(run / "dark.fits", tmp_path)
    (tmp_path / "notes.txt").write_text("2026-11-27 a clear night\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    asked = ["process", tmp_path / frames, "--dark", tmp_path / "dark.fits", "-o", tmp_path / "out"]
    assert run_cli(*asked, "--log", tmp_path / log) == 2
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (
            ["--max-lost", "0.2"],
            4,
            "Doubtful: 3 of 13 frames (23.1 %) are damaged or have no star; "
            "at most 20 % may be (--max-lost 0.2)",
        ),
        (["--max-lost", "2"], 4, "at most 2 may be"),
        (["--max-lost", "0"], 4, "at most 0 may be"),
        (["--max-lost", "3"], 0, ""),
        (["--max-lost", "0.25"], 0, ""),
        (["--min-frames", "11"], 3, "The run run has 10 frames with a star; at least 11"),
        (["--min-frames", "13"], 3, "The run run has 12 frames; at least 13"),
        (["--min-frames", "10"], 0, ""),
        (["--max-lost", "1.5"], 2, "max_lost is 1.5"),
        (["--min-frames", "0"], 2, "min_frames is 0"),
    ],
)
def test_a_poor_run_is_doubtful_or_refused(options, status, says, run, tmp_path, capsys):
    out = tmp_path / "out"
    assert run_cli("process", run, *FOCUS, *options, "-o", out) == status
    shown, told = capsys.readouterr()
    assert says in told
    assert ("3 frames left out." in shown) == (status in (0, 4))
    assert ("Doubtful" in told) == (status == 4)
    assert out.exists() == (status in (0, 4))
    if out.exists():
        assert json.loads((out / "summary.json").read_text("utf-8"))["status"] == status


def test_what_is_done_is_skipped(out, run, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert run_cli("process", run, *FOCUS, "--skip-existing", "-o", out) == 5
    assert "holds the results already" in capsys.readouterr().out
    assert run_cli("process", run, *FOCUS, "-o", out) == 2
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    half = tmp_path / "half"  # of a job of another program, or that is not whole
    half.mkdir()
    (half / "focus.fits").touch()
    assert run_cli("process", run, *FOCUS, "--skip-existing", "-o", half) == 2
    assert run_cli("process", run, *FOCUS, "--skip-existing", "-o", tmp_path / "new") == 0
    assert run_cli("figures", out, "--skip-existing", "--bootstrap", "0", "-o", tmp_path / "f") == 0
    assert run_cli("figures", out, "--skip-existing", "--bootstrap", "0", "-o", tmp_path / "f") == 5


def test_flat_and_figures_have_a_summary_too(out, run, tmp_path):
    rng = np.random.default_rng(1)
    fits.PrimaryHDU(rng.normal(900, 9, (3, 40, 50))).writeto(tmp_path / "flat.fits")
    assert run_cli("flat", tmp_path / "flat.fits", "-o", tmp_path / "masters") == 0
    told = json.loads((tmp_path / "masters" / "summary.json").read_text("utf-8"))
    assert told["counts"] == {"flats": 3, "darks": 0}
    assert told["figures"]["median_adu"] == pytest.approx(900, rel=0.01)

    asked = ["figures", out, "--psf", "7,0.3", "--bootstrap", "0", "-o", tmp_path / "figures"]
    assert run_cli(*asked) == 0
    told = json.loads((tmp_path / "figures" / "summary.json").read_text("utf-8"))
    assert list(told["figures"]) == ["focus.fits", "long_exposure.fits"]
    of = told["figures"]["focus.fits"]
    assert of["strehl"] > told["figures"]["long_exposure.fits"]["strehl"] > 0
    assert set(told["files"]) == {"figures.csv", "curves.csv", "figures.toml", "summary.json"}


@pytest.mark.parametrize("command", list(EXAMPLES))
def test_help_ends_with_two_examples_that_work_and_the_statuses(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run_cli(command, "--help") == 0
    told = capsys.readouterr().out
    examples = [line for line in told.splitlines() if line.startswith("  napari-lucky ")]
    assert len(examples) >= 2
    for example in examples[-2:]:
        parser().parse_args(shlex.split(example)[1:])
    assert all(f"  {status}: " in told for status in STATUSES)
    assert run_cli(command, "--no-such-option") == 2
