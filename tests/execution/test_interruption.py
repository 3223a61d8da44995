"""SIGTERM and SIGHUP leave nothing half done, and what SIGKILL leaves is cleared."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky.cli.main import main
from napari_lucky.execution.interruption import Ended, ended_as_interrupted, signals_left_alone
from napari_lucky.files.temporaries import clear_leftovers, temporary_file, temporary_folder
from napari_lucky.fits.write import write_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SCRIPT = """
import os, signal, sys
from napari_lucky.cli import main as cli, terminal
from napari_lucky.execution import checkpoint
from napari_lucky.pipeline import results_folder as outputs

checkpoint.Checkpoint.__init__.__defaults__ = (0.0,)  # written after each block
when, number = sys.argv[1], int(sys.argv[2])
if number != signal.SIGKILL:
    signal.signal(number, signal.SIG_DFL)  # nohup has it ignored

def end(*_):
    os.kill(0 if number != signal.SIGKILL else os.getpid(), number)  # its copies, too

def while_measuring(self, done, total, what):
    if what == "tracking and ranking" and done >= 64:
        end()

if when == "measuring":
    terminal.Meter.__call__ = while_measuring
else:
    write = outputs.write_text
    outputs.write_text = lambda *given: end(write(*given))
sys.exit(cli.main(sys.argv[3:]))
"""


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    y, x = np.indices((80, 80))
    star = np.exp(-((y - 40) ** 2 + (x - 40) ** 2) / 8)
    frames = np.random.default_rng(0).normal(100, 3, (600, 80, 80)) + 900 * star
    path = tmp_path_factory.mktemp("run") / "cube.fits"
    fits.PrimaryHDU(frames.astype(np.float32)).writeto(path)
    return path


def command(cube, out):
    return ["process", str(cube), "--focus", "40,40,64", "-o", str(out)]


def ended(when, number, cube, out):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, when, str(int(number)), *command(cube, out)],
        capture_output=True,
        text=True,
        timeout=600,
        start_new_session=True,
    )


@pytest.mark.parametrize("when", ["measuring", "writing"])
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (getattr(signal, "SIGHUP", 0), 129)],
)
def test_what_ends_a_job_leaves_only_its_checkpoint(cube, tmp_path, when, number, status):
    out = tmp_path / "out"
    done = ended(when, number, cube, out)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert f"ended by {signal.Signals(number).name}; no result was written" in done.stderr
    assert "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["out.measured.npz"]


def test_what_a_killed_job_leaves_is_cleared_and_nothing_else(cube, tmp_path):
    out = tmp_path / "out"
    assert ended("writing", signal.SIGKILL, cube, out).returncode == -signal.SIGKILL
    left = [p for p in out.iterdir() if p.name.startswith(".napari-lucky-")]
    assert left
    mine = out / ".napari-lucky-notes"
    mine.write_text("mine")
    assert main(command(cube, out)) == 0
    assert not [p for p in left if p.exists()]
    assert mine.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_temporary_files_in_use_are_kept_by_others(tmp_path):
    clear = (
        f"from napari_lucky.files.temporaries import *; clear_leftovers(Path({str(tmp_path)!r}))"
    )
    with temporary_file(tmp_path) as file, temporary_folder(tmp_path) as folder:
        (folder / "a.txt").touch()
        subprocess.run([sys.executable, "-c", clear], check=True, timeout=600)
        clear_leftovers(tmp_path)
        assert file.exists()
        assert (folder / "a.txt").exists()
        names = file.name, folder.name
    assert not list(tmp_path.iterdir())
    for name in names:  # as jobs that were killed would have left them
        (tmp_path / name).symlink_to("/") if name.endswith(".part") else (tmp_path / name).mkdir()
    write_text(tmp_path / "text", "x")
    assert {p.name for p in tmp_path.iterdir()} <= {"text", names[0]}  # no link is followed


def test_signals_are_taken_only_meanwhile_and_only_if_free():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Ended), ended_as_interrupted():
        with signals_left_alone():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    ours = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with ended_as_interrupted():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, ours)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["telescope"], 1), (["--help"], 1), (["--version"], 1), (["telescope", "--none"], 2)],
)
def test_full_streams_are_no_traceback(arguments, status, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    asked = [sys.executable, "-m", "napari_lucky.cli.main", *arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(asked, stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == status
        said = "stdout cannot be written (No space left on device)" in done.stderr
        assert said == (status == 1)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        assert subprocess.run(asked, stdout=full, stderr=full).returncode == status
