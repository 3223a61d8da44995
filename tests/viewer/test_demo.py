"""`napari-lucky demo`: the sample on disk, through the whole chain."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage

from napari_lucky import LuckyError, open_run, read_recipe, simulate_run
from napari_lucky.cli.main import main
from napari_lucky.cli.terminal import has_display
from napari_lucky.execution.job import Job
from napari_lucky.fits import table_from_csv
from napari_lucky.pipeline.results_folder import NAMES
from napari_lucky.viewer.demo import make_demo
from written_files import contents


@pytest.fixture(autouse=True)
def no_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "deep" / "out"
    return out, *make_demo(out)


@pytest.fixture(scope="module")
def simulated():
    return simulate_run()


def test_the_run_on_disk_is_the_simulated_one(made, simulated):
    _, run, _ = made
    opened = open_run(run)
    assert opened.shape == simulated.frames.shape
    assert opened.files == [f"AF_{k:03d}.fits" for k in range(1, 61)]
    np.testing.assert_array_equal(opened.read(np.array([0, 59])), simulated.frames[[0, 59]])
    assert opened.header["WAVELEN"] == simulated.header["WAVELEN"]
    for name in ("dark", "flat"):
        np.testing.assert_array_equal(fits.getdata(run / f"{name}.fits"), getattr(simulated, name))


def test_the_results_are_lucky(made, simulated):
    out, run, result = made
    assert {p.name for p in out.iterdir()} == {*NAMES, "run"}
    focus, long_exposure = (
        ndimage.median_filter(np.nan_to_num(fits.getdata(out / f"{name}.fits")), 3)
        for name in ("focus", "long_exposure")
    )
    assert focus.max() > 2.5 * long_exposure.max()
    assert read_recipe(out / "recipe.toml") == result.recipe
    assert Path(result.recipe.input.frames[0]) == run
    truth, kept = simulated.truth.strehl, np.flatnonzero(result.table.selected)
    assert len(kept) == 10
    assert truth[kept].mean() > 1.5 * truth.mean()


def test_without_a_display_it_says_where_the_results_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert not has_display()
    assert main(["demo"]) == 0
    out = tmp_path / "napari-lucky-demo"
    told = capsys.readouterr()
    assert str(out) in told.out
    assert "cannot open a window here; report.png" in told.out
    assert told.err == ""
    assert {p.name for p in out.iterdir()} == {*NAMES, "run"}

    assert main(["demo"]) == 2  # and a second time it keeps them
    assert "already holds results" in capsys.readouterr().err
    before = contents(out)
    (out / "defocus.fits").write_text("older")
    (out / "run" / "AF_001.fits").write_text("older")
    assert main(["demo", "--overwrite"]) == 0
    assert contents(out) == before


@pytest.mark.parametrize("run", ["a folder", "a file"])
def test_frames_of_one_s_own_are_not_written_over(run, tmp_path, capsys):
    mine = tmp_path / "run" / "AF_001.fits" if run == "a folder" else tmp_path / "run"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("a night's work")
    assert main(["demo", "-o", str(tmp_path)]) == 2
    assert "run is already there; it is kept" in capsys.readouterr().err
    assert contents(tmp_path) == {str(mine.relative_to(tmp_path)): b"a night's work"}
    if run == "a file":
        assert main(["demo", "-o", str(tmp_path), "--overwrite"]) == 2


def test_out_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        assert main(["demo", "-o", str(out)]) == 2
        assert capsys.readouterr().err.startswith(f"napari-lucky: {out}: ")


@pytest.mark.parametrize(
    ("stage", "error"), [("dark", KeyboardInterrupt), ("stacking focus", LuckyError)]
)
def test_what_ends_it_midway_leaves_nothing(stage, error, tmp_path):
    def stop(done, total, what):
        if what == stage:
            raise error

    with pytest.raises(error):
        make_demo(tmp_path / "out", job=Job(progress=stop))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_a_display_is_seen(name, monkeypatch):
    pytest.importorskip("napari")
    monkeypatch.setattr(sys, "platform", "linux")
    assert not has_display()
    monkeypatch.setenv(name, ":0")
    assert has_display()


SHOW = """
import sys
import napari
from qtpy.QtWidgets import QApplication
from napari_lucky.cli.main import main

def look():
    viewer = napari.current_viewer()
    dock = viewer.window.dock_widgets["Lucky imaging (Lucky imaging)"]
    while dock.busy:
        QApplication.processEvents()
    print(dock.notes.text().splitlines()[0])
    print(*(layer.name for layer in viewer.layers if layer.visible), sep="|")
    print(*viewer.dims.current_step[:1])
    viewer.close()

napari.run = look  # in place of the wait for a person
sys.exit(main(["demo", "-o", sys.argv[1]]))
"""


@pytest.mark.skipif(not shutil.which("xvfb-run"), reason="needs a display")
def test_with_a_display_the_results_are_shown(tmp_path):
    pytest.importorskip("napari")
    command = ["xvfb-run", "-a", "-s", "-screen 0 1280x1024x24", sys.executable, "-c", SHOW]
    environment = {**os.environ, "NAPARI_CONFIG": str(tmp_path / "settings.yaml")}
    out = tmp_path / "out"
    done = subprocess.run(
        [*command, out], capture_output=True, text=True, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stderr
    said, layers, frame = done.stdout.splitlines()[-3:]
    assert said.startswith("Kept 10 of 60 frames")
    ends = ("", " defocus", " focus", " windows", " shifts")
    assert layers == "|".join(f"run{end}" for end in ends)
    assert int(frame) == np.argmax(table_from_csv(out / "frames.csv").quality)
