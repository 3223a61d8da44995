"""Nothing that is read is written over, by whatever name, link or way in."""

import os

import numpy as np
import pytest
from astropy.io import fits

from made_files import all_bytes
from napari_lucky import LuckyError, Recipe, open_run, process, write_fits, write_results
from napari_lucky.cli.main import main
from napari_lucky.files.temporaries import temporary_folder
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.inputs import check_not_inputs
from napari_lucky.fits.write import write_text
from napari_lucky.pipeline import results_folder
from systems import on_posix


def star_frames(n=12):
    y, x = np.indices((48, 48))
    star = np.exp(-((y - 24) ** 2 + (x - 24) ** 2) / 8)
    rng = np.random.default_rng(0)
    frames = 200 + 800 * np.linspace(0.8, 1, n)[:, None, None] * star
    return (frames + rng.normal(0, 3, frames.shape)).astype(np.float32)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(pixels).writeto(path)
    return path


@pytest.fixture
def night(tmp_path):
    """Return a folder with a run of several files, a cube, a dark and a flat."""
    frames = star_frames()
    for k, frame in enumerate(frames):
        write(tmp_path / "run" / f"AF_{k:03d}.fits", frame)
    write(tmp_path / "cube" / "focus.fits", frames)
    rng = np.random.default_rng(1)
    write(tmp_path / "dark" / "master_dark.fits", np.full((48, 48), 5, np.float32))
    flat = rng.normal(1000, 10, (48, 48)).astype(np.float32)
    write(tmp_path / "flat" / "master_flat.fits", flat)
    return tmp_path


def refused(capsys, night, *arguments):
    capsys.readouterr()
    before = all_bytes(night)
    status = main([str(word) for word in arguments])
    told = capsys.readouterr()
    assert (status, told.out) == (2, ""), told
    assert "is read" in told.err, told.err
    assert all_bytes(night) == before
    return told.err


FOCUS = ("--focus", "24,24,32")


@on_posix
def test_the_command_line_replaces_no_input(night, capsys, monkeypatch):
    cube, run = night / "cube", night / "run"
    process = ("process", cube / "focus.fits", *FOCUS, "--overwrite", "-o")
    told = refused(capsys, night, *process, cube)
    assert "focus.fits: this file is read (frames)" in told
    refused(capsys, night, "process", cube, *FOCUS, "-o", cube, "--overwrite")  # the folder given
    monkeypatch.chdir(cube)
    refused(capsys, night, "process", "focus.fits", *FOCUS, "-o", ".", "--overwrite")
    monkeypatch.chdir(night)
    (night / "link").symlink_to(cube)
    refused(capsys, night, *process, night / "link")
    for name, make in (("hard", os.link), ("soft", os.symlink)):
        (night / name).mkdir()
        make(cube / "focus.fits", night / name / "report.png")
        refused(capsys, night, *process, night / name)
        make(run / "AF_003.fits", night / name / "defocus.fits")
        refused(capsys, night, "process", run, *FOCUS, "-o", night / name, "--overwrite")
    for name in ("dark", "flat"):
        file = night / name / f"master_{name}.fits"
        os.link(file, night / name / "focus.fits")
        given = ("process", run, *FOCUS, f"--{name}", file, "-o", night / name, "--overwrite")
        assert f"({name})" in refused(capsys, night, *given)
    dust = ("--dust", "2,5,mask", "--dust-on", night / "flat" / "master_flat.fits")
    refused(capsys, night, "process", run, *FOCUS, *dust, "-o", night / "flat", "--overwrite")
    for name in ("flat", "dark"):
        masters = ("flat", night / "flat", "--dark", night / "dark" / "master_dark.fits")
        refused(capsys, night, *masters, "-o", night / name, "--overwrite")
    os.link(cube / "focus.fits", night / "curves.csv")
    figures = ("figures", cube / "focus.fits", "--psf", "3", "-o", night, "--overwrite")
    assert "(images)" in refused(capsys, night, *figures)
    os.link(cube / "focus.fits", night / "wavefront.fits")
    wavefront = ("wavefront", cube, "--defocus-pv", "1", "-o", night, "--overwrite")
    refused(capsys, night, *wavefront)
    stacks = ("wavefront", "--stacks", cube / "focus.fits", run / "AF_000.fits")
    refused(capsys, night, *stacks, "--defocus-pv", "1", "-o", night, "--overwrite")


@on_posix
def test_recipe_shifts_and_checkpoint_are_inputs_too(night, capsys):
    out, run = night / "out", night / "run"
    assert main(["process", str(run), *FOCUS, "-o", str(out)]) == 0
    again = ("process", "--recipe", out / "recipe.toml", "-o", out, "--overwrite")
    assert "(recipe)" in refused(capsys, night, *again)
    shifts = ("process", run, *FOCUS, "--shifts", out / "frames.csv", "-o", out, "--overwrite")
    assert "(shifts)" in refused(capsys, night, *shifts)
    os.symlink(run / "AF_000.fits", night / "new.measured.npz")
    refused(capsys, night, "process", run, *FOCUS, "-o", night / "new")


def test_earlier_results_beside_the_frames_may_be_replaced(night, capsys):
    run = night / "run"
    command = ["process", str(run), *FOCUS, "-o", str(run)]
    assert main(command) == 0
    assert main([*command, "--overwrite"]) == 0
    first = (run / "AF_000.fits").read_bytes()
    (run / "focus.fits").write_bytes(first)  # now the user's own
    capsys.readouterr()
    refused(capsys, night, *command, "--overwrite")


def test_results_are_written_over_no_input_from_python(night):
    recipe = Recipe((str(night / "cube" / "focus.fits"),), focus=(24, 24, 32))
    result = process(recipe)
    before = all_bytes(night)
    with pytest.raises(LuckyError, match=r"is read \(frames\)"):
        write_results(result, night / "cube", overwrite=True)
    run = open_run(night / "run")
    for path in (night / "run" / "AF_007.fits", night / "link.fits"):
        if not path.exists():
            os.link(night / "run" / "AF_001.fits", path)
            before = all_bytes(night)
        with pytest.raises(LuckyError, match="is read"):
            write_fits(path, [ImageResult(run)])
    with pytest.raises(LuckyError, match=r"is read \(dark\)"):
        write_text(night / "link.fits", "x", {"dark": night / "run"})
    assert all_bytes(night) == before


def test_what_appears_while_a_job_runs_is_safe_too(night, monkeypatch):
    """The names are looked at again just before results take their places."""
    frames = night / "cube" / "focus.fits"
    result = process(Recipe((str(frames),), focus=(24, 24, 32)))
    out = night / "out"
    to_csv = results_folder.table_to_csv

    def link_in(table):
        if not (out / "focus.fits").exists():
            os.link(frames, out / "focus.fits")
        return to_csv(table)

    monkeypatch.setattr(results_folder, "table_to_csv", link_in)
    before = frames.read_bytes()
    with pytest.raises(LuckyError, match="is read"):
        write_results(result, out, overwrite=True, inputs={"frames": frames})
    assert frames.read_bytes() == before
    assert [p.name for p in out.iterdir()] == ["focus.fits"]


def test_a_folder_of_a_result_s_name_is_reported_before_anything_is_replaced(night):
    result = process(Recipe((str(night / "run"),), focus=(24, 24, 32)))
    out = night / "out"
    (out / "report.png").mkdir(parents=True)
    with pytest.raises(LuckyError, match="this is a folder"):
        write_results(result, out, overwrite=True)
    assert [p.name for p in out.iterdir()] == ["report.png"]


def test_odd_inputs_are_no_error(tmp_path):
    file = tmp_path / "a.fits"
    file.touch()
    check_not_inputs([file], {"frames": ("nowhere", "with\0null"), "dark": None})
    check_not_inputs([tmp_path / "new.fits"], {"frames": tmp_path})
    with temporary_folder(tmp_path) as folder, pytest.raises(LuckyError):
        check_not_inputs([file], {"folder": tmp_path, "temporary": folder})
