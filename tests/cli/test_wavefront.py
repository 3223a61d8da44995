"""`napari-lucky wavefront` as it is typed: files, numbers, choices, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from made_files import rows_of, write_masters
from made_files import run_cli as run_command
from napari_lucky import (
    Calibrate,
    Rank,
    Recipe,
    Select,
    Telescope,
    Window,
    calibrate,
    clean,
    open_run,
    rank,
    recipe_to_toml,
    simulate_run,
    write_fits,
)
from napari_lucky.errors import INPUT, USAGE
from napari_lucky.fits import ImageResult
from napari_lucky.frames import Record
from napari_lucky.optics import Spider, TelescopeRequest, save_telescope
from napari_lucky.optics.simulation import SIMULATED
from napari_lucky.steps import LowPassFilter, RegisterCorrelation, RemoveBackground, StackDrizzle
from napari_lucky.wavefront import WavefrontRequest
from napari_lucky.wavefront.measure import measure_wavefront
from napari_lucky.wavefront.task import WavefrontParameters

N, SATURATED = 7, 3
OPTICS = ["--wavelength", 633, "--focal-ratio", 58.6, "--pixel-size", 12, "--obstruction", 0.3]
NAMES = {"zernike.csv", "wavefront.fits", "per_frame.csv", "summary.json", "report.png"}
WAVES = ["--defocus-pv", 1]
PAIR = {"telescope": replace(SIMULATED, pixel_um=12.0), "defocus_waves": 1.0}
PAIR |= {"focus_size": 32, "defocus_size": 48}


def run_cli(*arguments):
    return run_command("wavefront", *arguments)


def refused(capsys, *arguments):
    """Run a command line that must fail; return the one sentence it says."""
    capsys.readouterr()
    assert run_cli(*arguments) in (USAGE, INPUT)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("napari-lucky")
    return told.err


@pytest.fixture(scope="module")
def simulated():
    return simulate_run(N, (64, 128), d_over_r0=2.0, photons=6e4, seed=3, **PAIR)


@pytest.fixture(scope="module")
def data(simulated, tmp_path_factory):
    """run/ of N frames, of which one is saturated; the files tell nothing of telescope or noise."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "run").mkdir()
    for k, frame in enumerate(simulated.frames):
        pixels = frame.copy()
        if k == SATURATED:
            pixels[simulated.focus[0], simulated.focus[1]] = 4095
        fits.PrimaryHDU(pixels).writeto(folder / "run" / f"AF_{k + 1}.fits")
    write_masters(folder, simulated)
    return folder


@pytest.fixture(scope="module")
def where(simulated, data):
    """Run, masters and windows, as they are typed."""
    windows = [
        part
        for name in ("focus", "defocus")
        for part in (f"--{name}", ",".join(map(str, getattr(simulated, name))))
    ]
    masters = ["--dark", data / "dark.fits", "--flat", data / "flat.fits", "--saturation", 4095]
    return [data / "run", *masters, *windows]


@pytest.fixture(scope="module")
def done(where, tmp_path_factory):
    out = tmp_path_factory.mktemp("done") / "out"
    assert run_cli(*where, *OPTICS, *WAVES, "--modes", 15, "--report", "-o", out) == 0
    return out


def test_the_files_hold_what_python_measures(done, data, simulated):
    assert {path.name for path in done.iterdir()} == NAMES
    masters = [open_run(data / f"{name}.fits") for name in ("dark", "flat")]
    frames = calibrate(open_run(data / "run"), *masters, saturation=4095)
    focus, defocus = Window.centred(*simulated.focus), Window.centred(*simulated.defocus)
    optics = {"wavelength_nm": 633, "focal_ratio": 58.6, "pixel_um": 12, "obstruction": 0.3}
    task = WavefrontParameters(focus=focus, defocus=defocus, defocus_waves=1.0, modes=15, **optics)
    wavefront = measure_wavefront(frames, task)
    found = [float(row["coefficient_nm"]) for row in rows_of(done / "zernike.csv")]
    np.testing.assert_allclose(found, wavefront.coefficients_nm, rtol=1e-6, atol=1e-6)
    told = json.loads((done / "summary.json").read_text("utf-8"))
    assert told["figures"]["rms_nm"] == pytest.approx(wavefront.rms_nm)
    image = fits.getdata(done / "wavefront.fits")
    np.testing.assert_allclose(image, wavefront.image_nm, rtol=1e-5, atol=1e-4)
    assert (done / "report.png").read_bytes().startswith(b"\x89PNG")


def test_it_is_near_the_truth(done, simulated):
    """Of the frames that are used: the mean of their own wavefronts, to lambda/150."""
    used = [k for k in range(N) if k != SATURATED]
    truth = simulated.truth.zernikes[used, 3:11].mean(axis=0) * 633 / (2 * np.pi)
    found = [float(row["coefficient_nm"]) for row in rows_of(done / "zernike.csv")[:8]]
    error = np.array(found) - truth
    assert np.sqrt((error**2).sum()) < 633 / 150
    told = json.loads((done / "summary.json").read_text("utf-8"))
    assert told["counts"] == {"frames": N, "used": N - 1, "saturated": 1, "not_fitted": 0}
    assert any("1 frames with saturated pixels" in notice["text"] for notice in told["notices"])
    rows = rows_of(done / "per_frame.csv")
    assert [int(row["frame"]) for row in rows] == used
    assert rows[-1]["file"] == f"AF_{N}.fits"


def test_the_stacks_are_the_lesser_way(simulated, tmp_path, capsys):
    """A pair without turbulence, in files of this program: what the telescope itself does."""
    pair = simulate_run(1, (64, 128), d_over_r0=0, photons=2e5, seed=1, **PAIR).truth
    images = pair.focus_images[0] + 20, pair.defocus_images[0] + 20
    rng = np.random.default_rng(0)
    images = tuple((image + rng.normal(0, 2, image.shape)).astype(np.float32) for image in images)
    for name, image in zip(("focus", "defocus"), images, strict=True):
        results = [ImageResult(image, name, history=(Record("stack", {"method": "mean"}),))]
        write_fits(tmp_path / f"{name}.fits", results)
    out = tmp_path / "out"
    given = ["--stacks", tmp_path / "focus.fits", tmp_path / "defocus.fits"]
    assert run_cli(*given, *OPTICS, *WAVES, "--modes", 15, "-o", out) == 0
    told = capsys.readouterr()
    assert "less accurate" in told.err
    assert "blur" in told.out
    assert told.out.count("The sign of the defocus") == 1
    assert {path.name for path in out.iterdir()} == NAMES - {"per_frame.csv", "report.png"}
    found = [float(row["coefficient_nm"]) for row in rows_of(out / "zernike.csv")[:8]]
    truth = pair.zernikes[0, 3:11] * 633 / (2 * np.pi)
    assert np.sqrt(((np.array(found) - truth) ** 2).sum()) < 633 / 150

    write_fits(
        tmp_path / "drizzled.fits",
        [ImageResult(images[0], "focus", history=(Record("stack", {"scale": 2}),), scale=2)],
    )
    given = ["--stacks", tmp_path / "drizzled.fits", tmp_path / "defocus.fits"]
    assert "drizzled" in refused(capsys, *given, *OPTICS, *WAVES, "-o", tmp_path / "no")


def fake(monkeypatch):
    """Let what would be measured be told instead, and nothing be measured."""
    seen = {}

    def stop(frames, task, quality=None, **_):
        seen.update(task=task, quality=quality, shape=frames.shape, frames=frames)
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_lucky.wavefront.job.measure_wavefront", stop)
    return seen


def test_options_become_a_task(where, tmp_path, capsys, monkeypatch):
    seen = fake(monkeypatch)
    given = ["--defocus-mm", 17.4, "--fit-defocus", "--modes", 22, "--choose", "ranked"]
    given += ["--count", 3, "--seed", 8, "--spider", "4,0.02,45", "--frames", "1:6:2"]
    assert run_cli(*where, *OPTICS, *given, "-o", tmp_path / "out") == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    task = seen["task"]
    assert task.defocus_waves == pytest.approx(17.4e6 / (8 * 58.6**2 * 633))
    assert (task.fit_defocus, task.modes, task.choice, task.count) == (True, 22, "ranked", 3)
    assert (task.seed, task.spider.vanes, task.spider.angle) == (8, 4, 45)
    assert seen["shape"] == (3, 64, 128)
    assert seen["quality"].shape == (3,)


def test_telescope_from_header_name_and_option(simulated, where, tmp_path, monkeypatch):
    seen = fake(monkeypatch)
    header = fits.Header(list(simulated.header.items()))
    (tmp_path / "run").mkdir()
    for k in range(2):
        fits.PrimaryHDU(simulated.frames[k], header).writeto(tmp_path / "run" / f"A{k}.fits")
    given = [tmp_path / "run", *where[1:], *WAVES, "-o", tmp_path / "out"]
    assert run_cli(*given) == 130
    task = seen["task"]
    assert (task.wavelength_nm, task.focal_ratio, task.pixel_um) == (633, 58.6, 12)
    assert task.gain == 2  # EGAIN
    assert seen["quality"] is None
    save_telescope("mine", Telescope(0.5, 0.2, 500, 60, 10))
    assert run_cli(*given, "--telescope", "mine", "--pixel-size", 8) == 130
    task = seen["task"]
    assert (task.wavelength_nm, task.focal_ratio, task.pixel_um) == (500, 60, 8)
    assert task.obstruction == 0.2
    assert run_cli(*given, "--telescope", "mine", "--focal-length", 25) == 130
    assert seen["task"].focal_ratio == 50


def test_a_recipe_gives_run_masters_windows_and_cleaning(
    simulated, data, tmp_path, capsys, monkeypatch
):
    """What is given beside it wins; smoothing is left out, and nothing is tracked or chosen."""
    seen = fake(monkeypatch)
    masters = {name: data / f"{name}.fits" for name in ("dark", "flat")}
    recipe = Recipe(
        data / "run",
        Calibrate(**masters, saturation=4095.0),
        RemoveBackground(order=1),
        LowPassFilter(),
        RegisterCorrelation(),
        Rank(metric="gradient", smooth=1.5),
        Select(keep=3),
        StackDrizzle(),
        start=1,
        focus=simulated.focus,
        defocus=simulated.defocus,
    )
    (tmp_path / "recipe.toml").write_text(recipe_to_toml(recipe))
    given = ["--recipe", tmp_path / "recipe.toml", *OPTICS, *WAVES, "-o", tmp_path / "out"]
    assert run_cli(*given) == 130
    assert "The recipe's low-pass is not used" in capsys.readouterr().err
    task = seen["task"]
    assert task.focus == Window.centred(*simulated.focus)
    assert task.defocus == Window.centred(*simulated.defocus)
    assert seen["shape"] == (N - 1, 64, 128)
    assert seen["quality"] is None
    opened = [open_run(data / f"{name}.fits") for name in ("dark", "flat")]
    calibrated = calibrate(open_run(data / "run"), *opened, saturation=4095)
    expected = clean(
        calibrated, [RemoveBackground(order=1)], windows=[task.focus, task.defocus]
    ).frames
    np.testing.assert_array_equal(seen["frames"].read(slice(0, 2)), expected.read(slice(1, 3)))

    more = ["--no-background", "--frames", "0:4", "--choose", "ranked", "--defocus", "32,96,44"]
    assert run_cli(*given, *more) == 130
    assert seen["task"].defocus == Window.centred(32, 96, 44)
    assert seen["shape"] == (4, 64, 128)
    np.testing.assert_array_equal(seen["frames"].read(slice(0, 2)), calibrated.read(slice(0, 2)))
    quality = rank(calibrated, task.focus, metric="gradient", smooth=1.5)[:4]
    np.testing.assert_allclose(seen["quality"], quality)


def test_a_recipe_gives_telescope_spider_and_what_is_asked_for(
    simulated, data, tmp_path, monkeypatch
):
    """Options go over it: the defocus in mm takes the place of that in waves."""
    seen = fake(monkeypatch)
    recipe = Recipe(
        data / "run",
        TelescopeRequest(wavelength_nm=633, focal_ratio=58.6, pixel_um=12, obstruction=0.3),
        Spider(vanes=3, width=0.02),
        WavefrontRequest(defocus_waves=1, modes=22, choice="all", fit_defocus=True, gain=2.5),
        focus=simulated.focus,
        defocus=simulated.defocus,
    )
    (tmp_path / "night.toml").write_text(recipe_to_toml(recipe))
    given = ["--recipe", tmp_path / "night.toml", "-o", tmp_path / "out"]
    assert run_cli(*given) == 130
    task = seen["task"]
    assert (task.wavelength_nm, task.sampling, task.obstruction) == (633, 633e-3 * 58.6 / 12, 0.3)
    assert task.spider == Spider(vanes=3, width=0.02)
    assert (task.defocus_waves, task.modes, task.choice, task.gain) == (1, 22, "all", 2.5)
    assert task.fit_defocus
    more = ["--defocus-mm", 17.4, "--no-fit-defocus", "--wavefront", "modes=15,gain=auto"]
    more += ["--focal-length", 29.3, "--diameter", 0.5, "--spider", "4", "--choose", "random"]
    assert run_cli(*given, *more) == 130
    task = seen["task"]
    assert task.focal_ratio == pytest.approx(58.6)
    assert task.defocus_waves == pytest.approx(17.4e6 / (8 * 58.6**2 * 633))
    assert (task.modes, task.gain, task.fit_defocus, task.count) == (15, None, False, 200)
    assert task.spider == Spider(vanes=4, width=0.02)
    assert run_cli(*given, "--no-spider") == 130
    assert seen["task"].spider is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([*OPTICS], "The defocus between the two images is not given"),
        ([*WAVES], "the wavelength (nm), the focal ratio, the pixel size (µm)"),
        ([*OPTICS, "--defocus-pv", 0.1], "the sign of the even modes"),
        ([*OPTICS, "--defocus-pv", 3], "make a donut of 74 pixels"),
        ([*OPTICS, "--defocus-pv", "nan"], "defocus_waves is nan; it must be a number in waves"),
        ([*OPTICS, *WAVES, "--defocus-mm", 3], "given in waves and in mm; give one"),
        ([*OPTICS[:-4], "--pixel-size", 30, *WAVES], "Nyquist"),
        ([*OPTICS, "--focal-ratio", 0, "--defocus-mm", 3], "focal ratio is 0; it must"),
        ([*OPTICS, *WAVES, "--obstruction", 1.5], "central obstruction is 1.5; give"),
        (
            [*OPTICS, *WAVES, "--modes", 2],
            "modes is 2; it must be a whole number from 4 to 136",
        ),
        ([*OPTICS, *WAVES, "--count", 0], "count is 0; it must be a whole number of at least 1"),
        ([*OPTICS, *WAVES, "--seed", -1], "seed is -1; it must be a whole number of at least 0"),
        ([*OPTICS, *WAVES, "--choose", "all", "--count", 9], "all frames are used"),
        (
            [*OPTICS, *WAVES, "--spider", "4,0.02,45,9"],
            "one value too many",
        ),
        (
            [*OPTICS, *WAVES, "--spider", "4,2"],
            "spider: width is 2; it must be a number above 0",
        ),
        ([*OPTICS, *WAVES, "--frames", "90:"], "frames"),
        ([*OPTICS, *WAVES, "--telescope", "other"], "no telescope 'other'"),
        ([*OPTICS, *WAVES, "--focal-length", 3], "give one"),
        ([*OPTICS, *WAVES, "--stacks", "a.fits", "b.fits"], "not a run"),
        ([*OPTICS, *WAVES, "--outliers", "1.5"], "sigma is 1.5; it must be a number from 2"),
        ([*OPTICS, *WAVES, "--low-pass", "1.5"], "unrecognized arguments: --low-pass"),
        ([*OPTICS, *WAVES, "--focus", "5,5,32"], "The focus window covers rows"),
        ([*OPTICS, *WAVES, "--focus", "5,5"], "is not Y,X,SIZE"),
        ([*OPTICS, *WAVES, "--scheduler", "nowhere"], "not the address of a scheduler"),
    ],
)
def test_refusals(given, says, where, tmp_path, capsys):
    assert says in refused(capsys, *where, *given, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_asked_for(where, tmp_path, capsys):
    out = ["-o", tmp_path / "out"]
    assert "both windows" in refused(capsys, where[0], *OPTICS, *WAVES, *out)
    assert "No frames were given" in refused(capsys, *OPTICS, *WAVES, *out)
    absent = ["--stacks", tmp_path / "a.fits", tmp_path / "b.fits"]
    assert "a.fits" in refused(capsys, *absent, *OPTICS, *WAVES, *out)
    for option in (["--dark", "d.fits"], ["--outliers", "6"], ["--rank=fwhm"], ["--recipe", "r"]):
        says = refused(capsys, *absent, *option, *OPTICS, *WAVES, *out)
        assert f"{option[0].partition('=')[0]}: --stacks measures one pair" in says
    run = ["--stacks", where[0], where[0]]
    assert "a run of 7 frames, not a stack" in refused(capsys, *run, *OPTICS, *WAVES, *out)


def test_frames_that_are_all_saturated(where, tmp_path, capsys):
    low = [*where, "--saturation", 500]
    says = refused(capsys, *low, *OPTICS, *WAVES, "-o", tmp_path / "out")
    assert "Each of the 7 frames has saturated pixels" in says


def test_a_wavefront_is_kept_unless_overwritten(done, where, capsys):
    before = {path.name: path.read_bytes() for path in done.iterdir()}
    says = refused(capsys, *where, *OPTICS, *WAVES, "-o", done)
    assert "already holds results" in says
    assert {path.name: path.read_bytes() for path in done.iterdir()} == before
