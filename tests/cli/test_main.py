"""`napari-lucky process` as it is typed: what OUT holds, replays, refusals, interrupts."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy.stats import spearmanr

from made_files import all_bytes, rows_of, run_cli
from napari_lucky import Calibrate, Rank, Select, read_recipe, simulate_run
from napari_lucky.fits.read_back import read_saved
from napari_lucky.ranking.rank import METRICS
from napari_lucky.registration.step import Register
from napari_lucky.steps import Output
from napari_lucky.steps.registry import load_steps
from systems import on_posix
from written_files import contents as replayed

METHODS = tuple(load_steps()["register"])
N = 12
COMMAND = [sys.executable, "-W", "error", "-m", "napari_lucky.cli.main"]
RESULTS = {"focus.fits", "long_exposure.fits", "frames.csv", "recipe.toml", "summary.json"}


def write(path, image, cards=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(image, fits.Header(list(dict(cards).items()))).writeto(path)
    return path


def spec(window):
    return ",".join(map(str, window))


def table(out):
    """Return frames.csv as one list a column, numbers as numbers."""
    rows = rows_of(out / "frames.csv")
    kinds = {"frame": int, "file": str, "dy": float, "dx": float, "quality": float, "selected": int}
    return {name: np.array([kind(row[name]) for row in rows]) for name, kind in kinds.items()}


def same_fits(one, two):
    """Return whether two files differ in nothing but when they were written."""
    return fits.FITSDiff(str(one), str(two), ignore_keywords=["DATE"]).identical


@pytest.fixture(scope="module")
def simulated():
    """Little turbulence, so that every method finds the same point, well known."""
    return simulate_run(N, (200, 400), d_over_r0=2.5, photons=3e5, seed=3)


@pytest.fixture(scope="module")
def data(simulated, tmp_path_factory):
    """run/ (AF_1 … AF_12, dark, flat), cube.fits; nothing in it is changed by a test."""
    folder = tmp_path_factory.mktemp("data")
    for k, frame in enumerate(simulated.frames, start=1):
        write(folder / "run" / f"AF_{k}.fits", frame, simulated.header)
    write(folder / "run" / "dark.fits", simulated.dark)
    write(folder / "run" / "flat.fits", simulated.flat)
    write(folder / "cube.fits", simulated.frames, simulated.header)
    return folder


@pytest.fixture(scope="module")
def masters(data):
    return ["--dark", data / "run" / "dark.fits", "--flat", data / "run" / "flat.fits"]


@pytest.fixture(scope="module")
def full(simulated, data, masters, tmp_path_factory):
    """OUT of a job with everything asked for."""
    out = tmp_path_factory.mktemp("full") / "out"
    windows = ["--focus", spec(simulated.focus), "--defocus", spec(simulated.defocus)]
    assert (
        run_cli("process", data / "run", *masters, *windows, "--keep", "1", "--report", "-o", out)
        == 0
    )
    return out


# --- what OUT holds


def test_out_holds_what_it_should_and_nothing_else(full, simulated):
    assert {p.name for p in full.iterdir()} == RESULTS | {"defocus.fits", "report.png"}
    for name, size, combined in [
        ("focus", simulated.focus[2], 1),
        ("defocus", simulated.defocus[2], 1),
        ("long_exposure", simulated.focus[2], N),
    ]:
        with fits.open(full / f"{name}.fits") as hdus:
            assert [hdu.name for hdu in hdus[1:]] == ["VARIANCE", "COVERAGE"]
            assert hdus[2].data.max() == combined
            assert hdus[0].data.dtype == np.dtype(">f4")
            assert hdus[0].data.shape == (size, size)
            assert hdus[0].header["NCOMBINE"] == combined
            assert hdus[0].header["EXPTIME"] == simulated.header["EXPTIME"]
    lines = (full / "frames.csv").read_text().splitlines()
    assert lines[0] == "frame,file,dy,dx,quality,selected,sigma_dy,sigma_dx,time,exposure"
    assert len(lines) == N + 1
    assert (full / "report.png").read_bytes().startswith(b"\x89PNG")


def test_stack_is_in_calibrated_adu_a_frame(full, simulated):
    """The one frame kept, less dark, over flat: its flux is the star's and the sky's."""
    y, x, size = simulated.focus
    half = size // 2
    response = simulated.flat - simulated.dark
    kept = int(np.argmax(table(full)["quality"]))
    raw = simulated.frames[kept] - simulated.dark
    expected = (raw / (response / np.median(response)))[y - half : y + half, x - half : x + half]
    ours = fits.getdata(full / "focus.fits")
    assert np.nanmedian(ours) == pytest.approx(np.median(expected), rel=0.02)
    assert np.nanmax(ours) == pytest.approx(expected.max(), rel=0.03)


def test_frames_come_in_natural_order(full):
    made = table(full)
    assert made["frame"].tolist() == list(range(N))
    assert made["file"].tolist() == [f"AF_{k}.fits" for k in range(1, N + 1)]


def test_the_shift_brings_a_frame_onto_the_reference(full, simulated):
    """moved[y + dy, x + dx] = frame[y, x], against the simulation's own truth."""
    made, truth = table(full), simulated.truth.shifts
    assert truth.std(axis=0).min() > 3  # there is something to get wrong
    ours = np.stack([made["dy"], made["dx"]], axis=1)
    offset = np.median(ours - truth, axis=0)
    assert offset == pytest.approx(np.rint(offset), abs=0.15)  # the reference is a whole pixel
    assert np.abs(ours - truth - offset).max() < 1

    images = simulated.truth.focus_images
    landed = [
        np.add(np.unravel_index(image.argmax(), image.shape), shift)
        for image, shift in zip(images, ours, strict=True)
    ]
    assert np.ptp(landed, axis=0).max() < 2


def test_the_best_are_selected(full, simulated):
    made = table(full)
    assert made["selected"].sum() == 1
    assert made["quality"][made["selected"] == 1] == made["quality"].max()
    assert spearmanr(made["quality"], simulated.truth.strehl).statistic > 0.9


# --- FRAMES


def test_a_folder_a_cube_and_a_list_are_the_same_run(full, simulated, data, masters, tmp_path):
    files = sorted((data / "run").glob("AF_*.fits"))  # AF_1, AF_10, …: not the order of the run
    windows = ["--focus", spec(simulated.focus), "--defocus", spec(simulated.defocus)]
    for name, frames in [("cube", [data / "cube.fits"]), ("list", files[::-1])]:
        out = tmp_path / name
        assert run_cli("process", *frames, *masters, *windows, "--keep", "1", "-o", out) == 0
        for image in ("focus", "defocus", "long_exposure"):
            same = fits.getdata(out / f"{image}.fits"), fits.getdata(full / f"{image}.fits")
            np.testing.assert_array_equal(*same)
        ours, folder = table(out), table(full)
        for column in ("frame", "dy", "dx", "quality", "selected"):
            np.testing.assert_array_equal(ours[column], folder[column])
    assert set(table(tmp_path / "cube")["file"]) == {"cube.fits"}


def test_several_darks_make_a_master(simulated, data, tmp_path):
    for k in range(3):
        write(tmp_path / "darks" / f"d_{k}.fits", simulated.dark + np.float32(k - 1))
    where = ["--focus", spec(simulated.focus)]
    one, many = tmp_path / "one", tmp_path / "many"
    assert not run_cli("process", data / "run", *where, "--dark", data / "run/dark.fits", "-o", one)
    assert not run_cli("process", data / "run", *where, "--dark", tmp_path / "darks", "-o", many)
    np.testing.assert_allclose(
        fits.getdata(many / "focus.fits"), fits.getdata(one / "focus.fits"), atol=2e-3
    )


def test_the_star_is_found(simulated, data, masters, tmp_path, capsys):
    assert run_cli("process", data / "run", *masters, "-o", tmp_path / "out") == 0
    y, x, size = read_recipe(tmp_path / "out" / "recipe.toml").input.focus
    assert size == 128
    assert np.hypot(y - simulated.focus[0], x - simulated.focus[1]) < 20
    assert f"--focus {y},{x},{size}" in capsys.readouterr().err
    assert {p.name for p in (tmp_path / "out").iterdir()} == RESULTS


# --- options


@pytest.mark.parametrize("method", METHODS)
def test_register(method, simulated, data, masters, tmp_path):
    arguments = ["--focus", spec(simulated.focus), "--register", method, "-o", tmp_path]
    assert run_cli("process", data / "cube.fits", *masters, *arguments) == 0
    made, truth = table(tmp_path), simulated.truth.shifts
    for axis, name in enumerate(("dy", "dx")):
        slope = np.polyfit(truth[:, axis], made[name], 1)[0]
        assert slope == pytest.approx(1, abs=0.1)
    assert read_recipe(tmp_path / "recipe.toml")[Register].kind == method
    history = " ".join(fits.getheader(tmp_path / "focus.fits")["HISTORY"])
    assert f'"method": "{method}"' in history.replace("\n", "").replace(" lucky+ ", "")


@pytest.mark.parametrize("metric", METRICS)
def test_rank(metric, simulated, data, masters, tmp_path):
    arguments = [
        "--focus",
        spec(simulated.focus),
        "--rank",
        f"{metric},sampling=7,obstruction=0.3",
        "--keep",
        "4",
        "--rank-smooth",
        "1",
    ]
    assert run_cli("process", data / "cube.fits", *masters, *arguments, "-o", tmp_path) == 0
    made = table(tmp_path)
    assert spearmanr(made["quality"], simulated.truth.strehl).statistic > 0.8
    best = np.argsort(-made["quality"])[:4]
    assert set(np.flatnonzero(made["selected"])) == set(best)
    assert read_recipe(tmp_path / "recipe.toml")[Rank].metric == metric


def test_metrics_and_methods_are_not_all_one(simulated, data, masters, tmp_path):
    found = {}
    for option, names in (("--register", METHODS), ("--rank", METRICS)):
        for name in names:
            out = tmp_path / name
            how = [option, name + ",sampling=7,obstruction=0.3" * (option == "--rank")]
            where = ["--focus", spec(simulated.focus), *how, "-o", out]
            assert run_cli("process", data / "cube.fits", *masters, *where) == 0
            made = table(out)
            found[name] = made["dy" if option == "--register" else "quality"].tobytes()
    assert len(set(found.values())) == len(METHODS) + len(METRICS)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [("0.25", 10), ("5", 5), ("1", 1), ("1.0", N), ("12", N), ("1e-2", 10), (".92", 11)],
)
def test_keep_is_a_fraction_or_a_count(keep, kept, simulated, data, tmp_path, capsys):
    where = ["--focus", spec(simulated.focus), "--keep", keep]
    assert run_cli("process", data / "cube.fits", *where, "-o", tmp_path) == 0
    assert table(tmp_path)["selected"].sum() == kept
    told = capsys.readouterr()
    assert f"Kept {kept} of 12 frames ({100 * kept / 12:.3g} %)." in told.out
    assert ("with fewer than 10" in told.err) == (kept < 10)
    assert fits.getheader(tmp_path / "focus.fits")["NCOMBINE"] == kept


@pytest.mark.parametrize(
    ("text", "frames"),
    [("3:9", range(3, 9)), (":4", range(4)), ("8:", range(8, N)), ("0:100", range(N)),
     ("-3:", range(9, N))],
)  # fmt: skip
def test_frame_numbers_are_those_of_the_whole_run(text, frames, full, simulated, data, tmp_path):
    masters = ["--dark", data / "run/dark.fits", "--flat", data / "run/flat.fits"]
    where = ["--focus", spec(simulated.focus), f"--frames={text}"]
    assert run_cli("process", data / "run", *masters, *where, "-o", tmp_path) == 0
    made, whole = table(tmp_path), table(full)
    chosen = list(frames)
    assert made["frame"].tolist() == chosen
    assert made["file"].tolist() == whole["file"][chosen].tolist()
    np.testing.assert_array_equal(made["quality"], whole["quality"][chosen])
    assert fits.getheader(tmp_path / "long_exposure.fits")["NCOMBINE"] == len(chosen)


def test_names_in_any_script(simulated, data, tmp_path, capsys):
    run = tmp_path / "séance 1 – 星 $x_^$"
    shutil.copytree(data / "run", run)
    out = tmp_path / "résultats"
    assert run_cli("process", run, "--dark", run / "dark.fits", "--report", "-o", out) == 0
    assert run_cli("process", "--recipe", out / "recipe.toml", "-o", tmp_path / "2") == 0
    assert same_fits(out / "focus.fits", tmp_path / "2" / "focus.fits")


# --- replay


@pytest.mark.parametrize("method", METHODS)
def test_a_recipe_replays_to_the_same_bits(method, simulated, data, tmp_path, monkeypatch):
    """Whatever the number of threads, from any folder, and however often."""
    monkeypatch.chdir(data)
    report = ["--report"] * (method == "brightest")
    arguments = ["run", "--dark", "run/dark.fits", "--flat", "run/flat.fits", *report]
    first = tmp_path / "first"
    windows = ["--defocus", spec(simulated.defocus), "--register", method, "--keep", "0.4"]
    assert run_cli("process", *arguments, *windows, "--frames", "1:", "-o", first) == 0
    monkeypatch.chdir(tmp_path)
    recipe = first / "recipe.toml"
    for threads in (1, 2, 7):
        monkeypatch.setattr("napari_lucky.execution.blocks.cores", lambda n=threads: n)
        out = tmp_path / str(threads)
        assert run_cli("process", "--recipe", recipe, *report, "-o", out) == 0
        assert replayed(out) == replayed(first)
        recipe = out / "recipe.toml"


@pytest.mark.parametrize("integers", ["scaled", "300,10"])
def test_images_as_integers_and_their_replay(
    integers, simulated, data, masters, full, tmp_path, capsys
):
    """Only the files differ: what they hold is the float32 images to half a step."""
    windows = ["--focus", spec(simulated.focus), "--defocus", spec(simulated.defocus)]
    arguments = [*windows, "--keep", "1", "--integers", integers, "-o", tmp_path / "first"]
    assert run_cli("process", data / "run", *masters, *arguments) == 0
    told = capsys.readouterr().err
    for name in ("focus", "defocus", "long_exposure"):
        exact = fits.getdata(full / f"{name}.fits")
        header = fits.getheader(tmp_path / "first" / f"{name}.fits")
        assert header["BITPIX"] == 16
        step = header["BSCALE"] if integers == "scaled" else 300 / 1023
        under, over = int((exact < 0).sum()), int((exact > 300).sum())
        cut = f"{name}: cut {under} pixels under 0 and {over} over the full scale of 300 ADU."
        assert (cut in told) == (integers != "scaled" and under + over > 0)
        if integers != "scaled":
            exact = np.clip(exact, 0, 300)
        found, variance, _ = read_saved(tmp_path / "first" / f"{name}.fits")
        np.testing.assert_allclose(found.data, exact, atol=0.502 * step + 1e-3)
        assert np.array_equal(
            variance.data, fits.getdata(full / f"{name}.fits", "VARIANCE"), equal_nan=True
        )  # never as integers
    assert "focus: cut" in told or integers == "scaled"
    assert (tmp_path / "first" / "frames.csv").read_bytes() == (full / "frames.csv").read_bytes()
    recipe = tmp_path / "first" / "recipe.toml"
    assert read_recipe(recipe)[Output].integers == integers
    assert run_cli("process", "--recipe", recipe, "-o", tmp_path / "again") == 0
    assert replayed(tmp_path / "again") == replayed(tmp_path / "first")


def test_a_recipe_replays_in_another_process_with_one_blas_thread(full, tmp_path):
    recipe = ["process", "--recipe", full / "recipe.toml", "--report", "-o", tmp_path]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    subprocess.run([*COMMAND, *recipe], check=True, env=environment, capture_output=True)
    assert replayed(tmp_path) == replayed(full)


@pytest.mark.parametrize("asked", [None, "some"])
def test_pydantic_looks_for_no_plugins_unless_asked_to(asked):
    ask = "import os, sys; sys.argv[1:] = ['telescope', 'list']; from napari_lucky.cli import main"
    told = f"{ask}; main.main(); print(os.environ['PYDANTIC_DISABLE_PLUGINS'])"
    environment = {k: v for k, v in os.environ.items() if k != "PYDANTIC_DISABLE_PLUGINS"}
    if asked is not None:
        environment["PYDANTIC_DISABLE_PLUGINS"] = asked
    run = subprocess.run(
        [sys.executable, "-c", told], check=True, env=environment, capture_output=True, text=True
    )
    assert run.stdout.split()[-1] == (asked or "__all__")


def test_a_recipe_for_other_frames(full, simulated, data, tmp_path):
    """What is given beside the recipe wins; the rest is the recipe's."""
    write(tmp_path / "other.fits", simulated.frames[::-1], simulated.header)
    recipe = ["--recipe", full / "recipe.toml"]
    out = tmp_path / "out"
    assert run_cli("process", *recipe, tmp_path / "other.fits", "--keep", "3", "-o", out) == 0
    used, before = read_recipe(out / "recipe.toml"), read_recipe(full / "recipe.toml")
    assert used.input.frames == (str(tmp_path / "other.fits"),)
    assert used[Calibrate] == before[Calibrate]
    assert used.input.focus == before.input.focus
    assert used.input.defocus == before.input.defocus
    assert used[Select].keep == 3
    np.testing.assert_array_equal(table(out)["quality"], table(full)["quality"][::-1])


# --- progress


def on_a_terminal(command):
    """Start a command whose stderr is a terminal; return it and the terminal's other end."""
    pty = pytest.importorskip("pty")
    try:
        ours, theirs = pty.openpty()
    except OSError as error:  # as in a container without /dev/pts
        pytest.skip(f"no pseudo-terminal can be had here: {error}")
    process = subprocess.Popen(
        [*COMMAND, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=theirs,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(theirs)
    return process, ours


def read_terminal(end, until=None):
    """Read until a text comes, or to the end."""
    text = b""
    while until is None or until not in text:
        try:
            piece = os.read(end, 4096)
        except OSError:  # the other side has closed it
            break
        if not piece:
            break
        text += piece
    return text


def test_progress_is_for_terminals_only(simulated, data, tmp_path, capfd):
    arguments = ["process", data / "cube.fits", "--focus", spec(simulated.focus), "-o"]
    process, end = on_a_terminal([*arguments, tmp_path / "terminal"])
    shown = read_terminal(end)
    assert process.wait() == 0
    process.stdout.close()
    os.close(end)
    assert b"tracking and ranking: 12 of 12" in shown
    left = shown.rpartition(b"\x1b[K")[2]  # the meter's line is emptied before the notes come
    assert left.startswith(b"Masked")

    assert run_cli(*arguments, tmp_path / "pipe") == 0
    told = capfd.readouterr()
    masked, smoothing, few = told.err.splitlines()
    assert masked == "Masked 40 hot or dead pixels of the sensor."
    assert smoothing.startswith("Smoothing 2.")
    assert few.startswith("10 % of 12 frames is fewer than 10, so the best 10 are kept")
    assert len(told.out.splitlines()) == 1


@pytest.fixture(scope="module")
def long_run(data, tmp_path_factory):
    """3000 frames, most of them the same file by other names."""
    folder = tmp_path_factory.mktemp("long") / "run"
    folder.mkdir()
    for k in range(3000):
        os.link(data / "run" / f"AF_{k % N + 1}.fits", folder / f"AF_{k}.fits")
    return folder


@pytest.mark.parametrize("again", [False, True])
def test_an_interrupt_leaves_nothing_half_done(again, long_run, full, tmp_path):
    out = tmp_path / "out"
    if again:
        shutil.copytree(full, out)
    before = all_bytes(out)
    arguments = ["process", long_run, "--focus", "95,316,128", "--overwrite", "-o", out]
    process, end = on_a_terminal(arguments)
    read_terminal(end, until=b"tracking and ranking: ")
    process.send_signal(signal.SIGINT)
    shown = read_terminal(end)
    assert process.wait(600) == 130
    process.stdout.close()
    os.close(end)
    assert b"interrupted" in shown
    assert b"Traceback" not in shown
    assert all_bytes(out) == before
    assert out.exists() == again


# --- refusals


def refused(capsys, *arguments, status=2):
    """Run a command line that must fail; return the one sentence it says."""
    capsys.readouterr()
    assert run_cli("process", *arguments) == status
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("napari-lucky")
    assert "Traceback" not in told.err
    return told.err


def truncated(path, by=5000):
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - by)


def bad_frames(kind, folder, simulated, data):
    """Make the bad input of one kind; return it as FRAMES."""
    image = simulated.frames[0]
    folder.mkdir()
    match kind:
        case "nothing there":
            return [folder / "absent"]
        case "an empty folder":
            return [folder]
        case "no FITS":
            (folder / "notes.txt").write_text("no frames today")
            return [folder]
        case "text named .fits":
            (folder / "AF_1.fits").write_text("SIMPLE as that\n" * 500)
            return [folder / "AF_1.fits"]
        case "an empty file":
            (folder / "AF_1.fits").touch()
            return [folder]
        case "NAXIS=0":
            write(folder / "AF_1.fits", None)
            return [folder / "AF_1.fits"]
        case "truncated":
            truncated(write(folder / "AF_1.fits", image))
            return [folder]
        case "truncated in a list":
            truncated(write(folder / "AF_2.fits", image))
            return [write(folder / "AF_1.fits", image), folder / "AF_2.fits"]
        case "truncated cube":
            cube = write(folder / "cube.fits", simulated.frames)
            truncated(cube, cube.stat().st_size - 100_000)
            return [folder / "cube.fits"]
        case "truncated gz":
            whole = write(folder / "cube.fits.gz", simulated.frames)
            truncated(whole, whole.stat().st_size // 2)
            return [whole]
        case "other shapes in a list":
            other = write(folder / "AF_2.fits", image[:150])
            return [write(folder / "AF_1.fits", image), other]
        case "as many of each shape":
            write(folder / "AF_1.fits", image)
            write(folder / "AF_2.fits", image[:150])
            return [folder]
        case "a folder in a list":
            return [data / "run", data / "cube.fits"]
        case "a name too long":
            return [folder / ("x" * 300)]
        case "all NaN":
            return [write(folder / "c.fits", np.full((3, 200, 400), np.nan, np.float32))]
        case "constant":
            return [write(folder / "c.fits", np.full((3, 200, 400), 7, np.uint16))]
        case "too small":
            return [write(folder / "c.fits", np.arange(75, dtype=np.uint16).reshape(3, 5, 5))]
    raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("nothing there", "absent: there is no such file"),
        ("an empty folder", "it is empty"),
        ("no FITS", "no frames in this folder (there are 1 .txt)"),
        ("text named .fits", "AF_1.fits: this is not a FITS file"),
        ("an empty file", "AF_1.fits: this is not a FITS file"),
        ("NAXIS=0", "AF_1.fits: this FITS file holds no image"),
        ("truncated", "AF_1.fits: truncated"),
        ("truncated in a list", "AF_2.fits: truncated"),
        ("truncated cube", "cube.fits: truncated"),
        ("truncated gz", "cube.fits.gz: "),
        ("other shapes in a list", "150 x 400"),
        ("as many of each shape", "150 x 400, 200 x 400"),
        ("a folder in a list", "run is a folder"),
        ("a name too long", "xxx"),
        ("all NaN", "equal or masked"),
        ("constant", "equal or masked"),
        ("too small", "5 x 5 pixels"),
    ],
)
def test_bad_frames(kind, says, simulated, data, tmp_path, capsys):
    frames = bad_frames(kind, tmp_path / "run", simulated, data)
    before = all_bytes(tmp_path)
    out = tmp_path / "new" / "out"
    assert says in refused(capsys, *frames, "-o", out, status=3)
    assert all_bytes(tmp_path) == before
    assert not out.parent.exists()


@pytest.mark.parametrize("kind", ["all NaN", "constant"])
def test_blank_frames_are_seen_through_dark_and_flat(
    kind, simulated, data, masters, tmp_path, capsys
):
    """A constant less the dark is not constant any more, but still holds no star."""
    frames = bad_frames(kind, tmp_path / "run", simulated, data)
    assert "No star" in refused(capsys, *frames, *masters, "-o", tmp_path / "out", status=3)
    where = ["--focus", spec(simulated.focus), "-o", tmp_path / "out"]
    assert "No star" in refused(capsys, *frames, *masters, *where, status=3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--keep", "0"], "keep is 0; it must be"),
        (["--keep", "-1"], "keep is -1; it must be"),
        (["--keep", "2.0"], "keep is 2.0: a fraction"),
        (["--keep", "0.0"], "keep is 0.0; it must be"),
        (["--keep", "-0.5"], "keep is -0.5; it must be"),
        (["--keep", "nan"], "keep is nan; it must be"),
        (
            ["--keep", "some"],
            "keep is 'some'; it must be a number above 0, at most 1 (fraction)",
        ),
        (["--keep", "13"], "13 frames cannot be kept: only 12"),
        (["--keep-above", "good"], "above is 'good'; it must be a number"),
        (["--keep-above", "nan"], "above is nan; it must be a number"),
        (["--keep-above", "1e9"], "of 1e+09 or more; the best has"),
        (["--keep-above", "500", "--keep", "3"], "--keep and --keep-above"),
        (["--add", "12"], "Frame 12 is changed by hand, but is not among the 12 frames used"),
        (["--drop", "3", "--frames", "4:9"], "Frame 3 is changed by hand"),
        (["--add", "3", "--drop", "3"], "Frame 3 is both"),
        (["--add", "three"], "add is ['three']; it must be a list of whole numbers"),
        (["--focus", "95,316,500"], "focus window covers rows -155 to 344"),
        (["--focus", "5,316,64"], "focus window covers rows -27"),
        (["--focus=-95,316,64"], "focus window covers rows -127"),
        (["--focus", "-95,316,64"], "write it with =, as --focus="),
        (["--focus", "2000,2000,64"], "rows 0 to 199 and columns 0 to 399"),
        (["--focus", "95,316,2"], "2 x 2 pixels"),
        (["--focus", "95,316,0"], "0 x 0 pixels"),
        (["--focus", "95,316"], "'95,316' is not Y,X,SIZE"),
        (["--focus", "95.5,316,64"], "is not Y,X,SIZE"),
        (["--defocus", "100,390,64"], "defocus window covers rows 68 to 131 and columns 358"),
        (["--frames", "20:30"], "range 20:30 chooses none of the run's 12 frames"),
        (["--frames", "5:5"], "chooses none"),
        (["--background", "7"], "0 to 6"),
        (["--register", "correlation", "--reference", "worst"], "best, first, mean"),
        (["--reference", "first"], "add --register correlation"),
        (["--dust-on", "mean"], "add --dust"),
        (["--saturation", "0"], "saturation is 0; it must be a number above 0 ADU"),
        (["--saturation", "much"], "saturation is 'much'; it must be a number above 0 ADU"),
        (["--register", "correlation", "--reference", "500"], "frames 0 to 11"),
        (["--background=four"], "order is 'four'; it must be a whole number from 0 to 6"),
        (["--frames", "5"], "'5' is not START:STOP"),
        (["--frames", "a:b"], "'a:b' is not START:STOP"),
        (["--register", "phase"], "'phase'"),
        (["--rank", "luck"], "'luck'"),
        (["--dark", "absent.fits"], "absent.fits: there is no such file"),
        (["--flat", "absent.fits"], "absent.fits: there is no such file"),
        (["--recipe", "absent.toml"], "absent.toml: the recipe cannot be read"),
        (["--integers", "many"], "'many' is neither scaled nor FULL"),
        (["--integers", "4095,99"], "99 bits; it must be 8 to 16"),
        (["--binning", "2"], "--binning"),
    ],
)
def test_bad_options(arguments, says, data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status = 3 if "absent" in says else 2  # a file cannot be used; an option cannot
    assert says in refused(capsys, data / "run", *arguments, "-o", tmp_path / "out", status=status)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["dark", "flat"])
def test_a_master_of_another_sensor(name, simulated, data, tmp_path, capsys):
    other = write(tmp_path / "other.fits", np.ones((100, 120), np.float32))
    says = refused(capsys, data / "run", f"--{name}", other, "-o", tmp_path / "out", status=3)
    assert f"The {name} has 100 x 120 pixels, the run has 200 x 400" in says
    assert not (tmp_path / "out").exists()


def test_a_flat_without_light(data, tmp_path, capsys):
    dark = data / "run" / "dark.fits"
    masters = ["--dark", dark, "--flat", dark]
    says = refused(capsys, data / "run", *masters, "-o", tmp_path / "out", status=3)
    assert "no light" in says


def test_a_bad_recipe(data, tmp_path, capsys):
    for text, says in [
        ("keep = 1", "keep is not in a table"),
        ("[select]\nkeep = 2.0", "keep is 2.0"),
        ("[rank]\nluck = 1", "no 'luck'"),
        ("[input]\nfocus = [1, 2]", "focus is [1, 2]; it must be a list of whole numbers"),
        ("this is no recipe", "not a TOML file"),
    ]:
        (tmp_path / "r.toml").write_text(text)
        recipe = ["--recipe", tmp_path / "r.toml", "-o", tmp_path / "out"]
        assert says in refused(capsys, data / "run", *recipe, status=3 if "TOML" in says else 2)
    assert [p.name for p in tmp_path.iterdir()] == ["r.toml"]


@pytest.mark.parametrize("arguments", [[], ["process"], ["process", "run"], ["sing"]])
def test_an_unfinished_command_line(arguments, capsys):
    assert run_cli(*arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_frames_at_all(tmp_path, capsys):
    assert "No frames were given" in refused(capsys, "-o", tmp_path / "out")


# --- OUT


def test_results_are_kept_unless_overwrite(full, data, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(full, out)
    (out / "notes.txt").write_text("mine")
    before = all_bytes(out)
    says = refused(capsys, data / "run", "-o", out)
    assert "already holds results (focus.fits, defocus.fits" in says
    assert all_bytes(out) == before
    # bad input does not cost the older results either
    refused(capsys, data / "run", "--frames", "99:", "--overwrite", "-o", out)
    assert all_bytes(out) == before

    assert run_cli("process", data / "run", "--keep", "5", "--overwrite", "-o", out) == 0
    after = {p.name for p in out.iterdir()}
    assert after == RESULTS | {"notes.txt"}  # no defocus.fits or report.png of the older job
    assert table(out)["selected"].sum() == 5
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("one", ["frames.csv", "report.png", "recipe.toml"])
def test_any_one_result_is_enough_to_stop(one, data, tmp_path, capsys):
    (tmp_path / one).write_text("precious")
    assert one in refused(capsys, data / "run", "-o", tmp_path)
    assert all_bytes(tmp_path) == {one: b"precious"}


def test_out_that_cannot_be_written(data, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    long = "x" * 300
    for out, says in [
        (tmp_path / "file", "OUT must be a folder"),
        (tmp_path / "file" / "out", "cannot be written"),
        (tmp_path / long, "cannot be written"),
        (tmp_path / "a" / "b" / long, "cannot be written"),
    ]:
        assert says in refused(capsys, data / "run", "-o", out)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system of its own")
@pytest.mark.parametrize("out", ["/proc", "/proc/out"])
def test_out_on_a_file_system_that_takes_no_files(out, data, capsys):
    assert "cannot be written" in refused(capsys, data / "run", "-o", out)


@on_posix
@pytest.mark.parametrize(
    ("limit", "again"),
    [(1_000, False), (300_000, True)],  # bytes a file: enough for focus.fits?
)
def test_a_full_disk(limit, again, full, simulated, data, tmp_path):
    resource = pytest.importorskip("resource")
    out = tmp_path / "out"
    if again:
        shutil.copytree(full, out)
    before = all_bytes(out)
    windows = ["--focus", spec(simulated.focus), "--defocus", spec(simulated.defocus)]
    done = subprocess.run(
        [*COMMAND, "process", data / "cube.fits", *windows, "--overwrite", "-o", out],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    name = "focus" if limit == 1_000 else "defocus"
    assert f"{out}/{name}.fits: cannot be written (File too large)" in done.stderr
    assert "Traceback" not in done.stderr
    assert all_bytes(out) == before
    assert out.exists() == again


# --- neighbours


def test_neighbours_in_the_folder_are_left_out_and_reported(simulated, data, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(data / "run", run)
    write(run / "AF_13.fits", simulated.frames[0, :150])
    write(run / "other_1.fits", simulated.frames[0])
    truncated(write(run / "AF_14.fits", simulated.frames[0]))
    (run / "AF_15.fits").write_text("not a frame" * 300)
    (run / "notes.txt").write_text("clear, 0.9 arcsec")
    assert run_cli("process", run, "-o", tmp_path / "out") == 0
    assert table(tmp_path / "out")["file"].tolist() == [f"AF_{k}.fits" for k in range(1, N + 1)]
    told = capsys.readouterr().err
    for line in (
        "Not part of the run: dark.fits, flat.fits (named like a dark, flat or bias). Use them",
        "Left out other_1.fits: not named like the frames",
        "Left out AF_13.fits: its image has 150 x 400 pixels, the frames are 200 x 400",
        "Left out AF_14.fits: truncated",
        "Left out AF_15.fits: this is not a FITS file",
    ):
        assert line in told


def test_version(capsys):
    assert run_cli("--version") == 0
    assert capsys.readouterr().out.startswith("napari-lucky ")


def test_an_empty_out_is_not_the_folder_one_is_in(data, capsys):
    assert "give a folder" in refused(capsys, data / "run", "-o", "")


def test_shifts_from_an_earlier_job(data, tmp_path, capsys):
    whole, later = tmp_path / "whole", tmp_path / "later"
    windows = ["--focus", "95,316,64", "--defocus", "100,100,96"]
    assert run_cli("process", data / "run", *windows, "--keep", "3", "-o", whole) == 0
    shifts = ["--shifts", whole / "frames.csv", *windows[2:]]
    assert run_cli("process", data / "run", *shifts, "--report", "-o", later) == 0
    names = {"defocus.fits", "frames.csv", "recipe.toml", "report.png", "summary.json"}
    assert {path.name for path in later.iterdir()} == names
    assert (later / "frames.csv").read_bytes() == (whole / "frames.csv").read_bytes()
    pixels = [fits.getdata(out / "defocus.fits") for out in (whole, later)]
    np.testing.assert_array_equal(*pixels)
    again = tmp_path / "again"
    assert run_cli("process", "--recipe", later / "recipe.toml", "-o", again) == 0
    assert same_fits(again / "defocus.fits", later / "defocus.fits")
    capsys.readouterr()
    choices = [["--keep", "2"], ["--keep-above", "5"], ["--add", "2"], ["--drop", "2"]]
    for choice in choices:
        told = refused(capsys, data / "run", *shifts, *choice, "-o", tmp_path / "x")
        assert f"{choice[0]}: --shifts has this already" in told
    replay = ["--recipe", later / "recipe.toml", "--drop", "2", "-o", tmp_path / "x"]
    assert run_cli("process", *replay) == 2
    assert "--drop" in capsys.readouterr().err


def test_the_choice_by_quality_and_by_hand_replays_to_the_same_bits(full, data, tmp_path):
    quality = table(full)["quality"]
    order = np.argsort(-quality).tolist()
    above = repr(float(quality[order[3]]))
    hand = ["--add", f"{order[9]},{order[10]}", "--drop", str(order[1])]
    where = ["--recipe", full / "recipe.toml", "--report"]
    assert run_cli("process", *where, "--keep-above", above, *hand, "-o", tmp_path / "a") == 0
    kept = {order[0], order[2], order[3], order[9], order[10]}
    assert set(np.flatnonzero(table(tmp_path / "a")["selected"])) == kept
    recipe = read_recipe(tmp_path / "a" / "recipe.toml")
    assert recipe[Select].above == float(above)
    assert (recipe[Select].add, recipe[Select].drop) == ((order[9], order[10]), (order[1],))
    history = str(fits.getheader(tmp_path / "a" / "focus.fits")["HISTORY"]).replace("\nlucky+ ", "")
    assert f'"above": {above}' in history
    assert f'"drop": [{order[1]}]' in history
    again = ["--recipe", tmp_path / "a" / "recipe.toml", "--report"]
    assert run_cli("process", *again, "-o", tmp_path / "b") == 0
    assert replayed(tmp_path / "a") == replayed(tmp_path / "b")
    count = ["--keep", "2", "--overwrite", "-o", tmp_path / "b"]  # wins over the recipe's quality
    assert run_cli("process", *again, *count) == 0
    kept = {order[0], order[9], order[10]}
    assert set(np.flatnonzero(table(tmp_path / "b")["selected"])) == kept


def test_nobody_need_listen(tmp_path):
    """The end of a pipe may be closed before all is told; so may what a terminal shows."""
    out = tmp_path / "out"
    command = f"{sys.executable} -m napari_lucky.cli.main demo -o {out}"
    no_screen = {k: v for k, v in os.environ.items() if "DISPLAY" not in k}
    command = f"set -o pipefail; {command} 2>&- | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=no_screen)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(out.rglob("focus.fits"))
