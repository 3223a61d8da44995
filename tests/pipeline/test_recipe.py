"""Recipes through TOML and back, and what is no recipe."""

import re
import tomllib
from pathlib import Path

import pytest

from napari_lucky import Calibrate, Rank, Select
from napari_lucky._version import __version__
from napari_lucky.errors import LuckyError
from napari_lucky.frames.history import history_cards, read_history
from napari_lucky.frames.window import Window
from napari_lucky.pipeline.recipe import Recipe, read_recipe, recipe_of_history, recipe_to_toml
from napari_lucky.pipeline.step import Accept, Input
from napari_lucky.ranking.rank import METRICS
from napari_lucky.registration.step import Register
from napari_lucky.steps import (
    CutNoise,
    LowPassFilter,
    Output,
    PsfRequest,
    ReadShifts,
    ReadTimes,
    RegisterCorrelation,
    RemoveBackground,
    RemoveDust,
    RemoveFlicker,
    RemoveOutliers,
    Spider,
    StackDrizzle,
    TelescopeRequest,
    WavefrontRequest,
)
from napari_lucky.steps.declaration import params
from napari_lucky.steps.registry import load_steps, make_step, requests

METHODS = tuple(load_steps()["register"])
FULL = Recipe(
    ("/data/run/a1.fits", "/data/run/Größe 2 \"x\" \\ 'y' 星.fits"),
    Calibrate(
        dark="/data/dark.fits",
        flat="/data/flats",
        combine="median",
        clip_sigma=3.5,
        hot_sigma=7.25,
        dead_below=0.3,
        saturation=4095.0,
    ),
    RemoveOutliers(sigma=6.5, action="replace"),
    RemoveFlicker(sigma=7.5, action="replace"),
    RemoveDust(
        count=4,
        radius=12.5,
        action="mask",
        on="/data/flats",
        spots=((10.5, 20.25, 8.0), (1 / 3, 40.0, 8.0)),
    ),
    RemoveBackground(order=4, radius=80.5, centre="speckle"),
    CutNoise(sigma=2.5),
    LowPassFilter(cutoff=0.9, sampling=7.1),
    RegisterCorrelation(smooth=1 / 3, reference_frame="mean"),
    ReadTimes(times_file="/data/times.csv"),
    ReadShifts(table_file="/data/out/frames.csv"),
    Rank(metric="gradient", smooth=0.1 + 0.2, sampling=7.5, obstruction=0.1 + 0.2),
    Select(keep=25, above=0.1 + 0.7, add=(5, 17), drop=(3,)),
    StackDrizzle(scale=1.5, drop=0.5, subpixel=False),
    Accept(min_frames=20, max_lost=30),
    Output(integers="60000,14", plain=True),
    TelescopeRequest(name="mine", wavelength_nm=632.8, obstruction=0.1 + 0.2),
    Spider(vanes=3, width=0.02, angle=-30.5),
    PsfRequest(aperture=40.5, ring=(42.5, 50.0), window=(64, 60, 50), resamples=0),
    WavefrontRequest(defocus_waves=-1.5, fit_defocus=True, choice="all", read_noise_e=6.5),
    start=3,
    stop=190,
    step=2,
    where="EXPTIME=0.01, FILTER=R",
    colour="superpixel",
    focus=(120, 130, 64),
    defocus=(120, 400, 96),
)


def read(folder: Path, text: str) -> Recipe:
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    return read_recipe(folder / "recipe.toml")


def test_a_full_recipe_differs_from_the_default_in_every_parameter():
    assert [step.table for step in FULL.steps] == list(load_steps())
    for step in FULL.steps:
        if step.table in requests():  # some of whose parameters stand for others
            continue
        for name, one in params(type(step)).items():
            assert getattr(step, name) != one.default, (step.table, name)


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(("/run",)), FULL], ids=["", "run", "all"])
def test_a_recipe_comes_back_from_toml(tmp_path, recipe):
    found = read(tmp_path, recipe_to_toml(recipe))
    assert found == recipe
    assert recipe_to_toml(found) == recipe_to_toml(recipe)


def test_the_toml_tells_the_version_and_leaves_out_what_is_to_be_found():
    found = tomllib.loads(recipe_to_toml(Recipe(("/run",))))
    assert found["napari-lucky"]["version"] == __version__
    assert found["input"] == {"frames": ["/run"]}
    assert "focus" not in found["input"] and "outliers" not in found


@pytest.mark.parametrize("keep", [1, 1.0, 25, 0.1, 0.01, 1e-9, 10**6])
def test_keep_stays_a_count_or_a_fraction(tmp_path, keep):
    found = read(tmp_path, recipe_to_toml(Recipe(None, Select(keep=keep))))[Select].keep
    assert found == keep
    assert type(found) is type(keep)


def test_a_whole_number_will_do_where_a_number_is_meant(tmp_path):
    assert read(tmp_path, "[register]\nsmooth = 2")[Register].smooth == 2


def test_relative_paths_count_from_the_recipes_folder(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    text = '[input]\nframes = ["run", "../b.fits", "/abs/c.fits"]\n'
    text += '[calibrate]\ndark = "dark.fits"\nflat = "/f"'
    found = read(tmp_path, text)
    assert [Path(p) for p in found.input.frames] == [
        tmp_path / "run", tmp_path / ".." / "b.fits", Path("/abs/c.fits")
    ]  # fmt: skip
    assert (Path(found[Calibrate].dark), Path(found[Calibrate].flat)) == (
        tmp_path / "dark.fits",
        Path("/f"),
    )
    by_name = read_recipe(Path("..") / "recipe.toml")
    assert Path(by_name[Calibrate].dark).resolve() == tmp_path / "dark.fits"


def test_written_paths_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = recipe_to_toml(Recipe(("run", "/abs/a.fits"), Calibrate(dark="dark.fits", flat="flats")))
    (tmp_path / "deep").mkdir()
    found = read(tmp_path / "deep", text)
    assert found.input.frames == (str(tmp_path / "run"), "/abs/a.fits")
    assert (found[Calibrate].dark, found[Calibrate].flat) == (
        str(tmp_path / "dark.fits"),
        str(tmp_path / "flats"),
    )


def test_windows_are_centred_on_their_pixel():
    assert FULL.window("focus") == Window.centred(120, 130, 64)
    assert FULL.window("defocus") == Window.centred(120, 400, 96)
    assert Recipe().window("focus") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[input]\nframes = 7", "input: frames is 7; it must be a list of paths"),
        ("[input]\nframes = [1, 2]", "input: frames is [1, 2]; it must be a list of paths"),
        ("[input]\nstart = 1.5", "input: start is 1.5; it must be a whole number"),
        ("[input]\nstop = true", "input: stop is True; it must be a whole number"),
        ("[calibrate]\ndark = 7", "calibrate: dark is 7; it must be a path"),
        ("[calibrate]\ndark = ['a']", "calibrate: dark is ['a']; it must be a path"),
        ("[calibrate]\nhot_sigma = '5'", "hot_sigma is '5'; it must be a number above 0 σ"),
        (
            "[calibrate]\nclip_sigma = false",
            "clip_sigma is False; it must be a number of at least 0 σ",
        ),
        ("[input]\nfocus = [1, 2]", "focus is [1, 2]; it must be a list of whole numbers"),
        ("[input]\nfocus = [1, 2, 3.5]", "focus is [1, 2, 3.5]; it must be a list of whole"),
        ("[input]\ndefocus = 'here'", "defocus is 'here'; it must be a list of whole numbers"),
        (
            "[select]\nkeep = '10 %'",
            "keep is '10 %'; it must be a number above 0, at most 1 (fraction)",
        ),
        ("[select]\nkeep = true", "keep is True; it must be a number"),
        ("[select]\nabove = 'x'", "above is 'x'; it must be a number"),
        ("[select]\nabove = inf", "above is inf; it must be a number"),
        ("[select]\nadd = 5", "add is 5; it must be a list of whole numbers"),
        ("[select]\ndrop = [1.5]", "drop is [1.5]; it must be a list of whole numbers"),
        ("[select]\nadd = [-1]", "add is [-1]; it must be a list of whole numbers"),
        ("[select]\nadd = [5]\ndrop = [4, 5]", "Frame 5 is both added and dropped"),
        ("[stack]\nsubpixel = 1", "stack mean: subpixel is 1; it must be true or false"),
        ("[stack]\nsubpixl = true", "stack mean has no 'subpixl'; did you mean 'subpixel'?"),
        ("[rank]\nregister = 'centroid'", "rank has no 'register'"),
        ("[wave]\norder = 3", "has no table [wave], only input, calibrate"),
        ("[stack]\nmethod = 'drizle'", "stack: the method is 'drizle'; it must be one of"),
        ("[stack]\nmethod = 'drizzle'\nscale = 5.0", "scale is 5.0; it must be one of 1.5, 2.0"),
        ("keep = 0.1", "keep is not in a table"),
        ("rank = 3", "rank is not in a table"),
        ("[select]\nkeep = 0.1.2", "not a TOML file"),
        ("frame,file,dy,dx\n0,a,1,2\n", "not a TOML file"),
        (f"a = {5000 * chr(91)}{5000 * chr(93)}", "not a TOML file (nested too deeply)"),
        (
            "[select]\nkeep = 1" + 400 * "0",
            "not a TOML file (it holds a whole number of more than 63",
        ),
        ("[select]\nkeep = 2.0", "2.0"),
        ("[select]\nkeep = 0", "0"),
        ("[select]\nkeep = -1", "-1"),
        ("[select]\nkeep = nan", "nan"),
        ("[rank]\nmetric = 'beauty'", "'beauty'"),
        ("[register]\nmethod = 'eye'", "'eye'"),
    ],
)
def test_what_is_no_recipe_is_reported_with_file_and_key(tmp_path, text, told):
    with pytest.raises(LuckyError, match=r"recipe\.toml.*" + re.escape(told)):
        read(tmp_path, text)


@pytest.mark.parametrize("content", [b"\xff\xfe[input]", b"\x00\x01\x02"])
def test_bytes_that_are_no_text_are_reported(tmp_path, content):
    (tmp_path / "recipe.toml").write_bytes(content)
    with pytest.raises(LuckyError, match=r"recipe\.toml: this is not a TOML file"):
        read_recipe(tmp_path / "recipe.toml")


def test_a_recipe_that_is_not_there_or_a_folder_is_reported(tmp_path):
    for name, says in (("nothing.toml", "the recipe cannot be read"), ("", "no recipe.toml in")):
        with pytest.raises(LuckyError, match=says):
            read_recipe(tmp_path / name)


@pytest.mark.parametrize("rank", METRICS)
@pytest.mark.parametrize("register", METHODS)
def test_every_method_and_metric_makes_a_recipe(tmp_path, register, rank):
    recipe = Recipe(
        None,
        make_step("register", {"method": register}),
        Rank(metric=rank, sampling=7.0, obstruction=0.3),
    )
    assert read(tmp_path, recipe_to_toml(recipe)) == recipe


@pytest.mark.parametrize(
    ("step", "values", "told"),
    [
        (Select, {"keep": 0}, "keep is 0"),
        (Select, {"keep": 2.0}, "2.0"),
        (Select, {"keep": -1}, "keep is -1"),
        (Rank, {"metric": "x"}, "'x'"),
        (Rank, {"metric": "psf-correlation"}, "needs the diffraction-limited PSF"),
        (RegisterCorrelation, {"smooth": 1e6}, "0 to 100"),
        (Rank, {"smooth": float("nan")}, "0 to 100"),
        (Calibrate, {"combine": "sum"}, "one of mean, median"),
        (Calibrate, {"clip_sigma": -1.0}, "of at least 0"),
        (Calibrate, {"hot_sigma": 0.0}, "above 0"),
        (Calibrate, {"hot_sigma": float("nan")}, "above 0"),
        (Calibrate, {"dead_below": 5.0}, "below 1"),
        (Calibrate, {"dead_below": float("nan")}, "below 1"),
        (Calibrate, {"saturation": -5.0}, "above 0"),
        (Calibrate, {"dark": ""}, "path of the dark is empty"),
        (Input, {"step": 0}, "of at least 1"),
        (RegisterCorrelation, {"reference_frame": "worst"}, "best, first, mean"),
        (Rank, {"sampling": 0.05}, "sampling is 0.05"),
        (Rank, {"sampling": 7.0, "obstruction": 1.0}, "obstruction is 1"),
    ],
)
def test_values_that_make_no_sense_are_refused_used_or_not(step, values, told):
    with pytest.raises(LuckyError, match=told):
        step(**values)


def test_a_recipe_takes_a_path_steps_in_any_order_and_each_once():
    one = Recipe(Path("/run"), Select(keep=3), Calibrate(dark=Path("/d.fits")))
    assert one == Recipe("/run", Calibrate(dark="/d.fits"), Select(keep=3))
    assert one.input.frames == ("/run",)
    assert one.without("select")[Select].keep == 0.1
    assert FULL.without("outliers").get(RemoveOutliers) is None
    with pytest.raises(LuckyError, match="select is given twice"):
        Recipe("/run", Select(keep=3), Select(keep=4))


def test_a_recipe_comes_back_from_the_history_of_its_steps():
    history = tuple(step.record() for step in FULL.steps)
    given = {name: getattr(FULL.input, name) for name in ("frames", "focus", "defocus")}
    given |= {"start": 3, "stop": 190, "step": 2, "colour": "superpixel", "where": FULL.input.where}
    assert recipe_of_history(read_history(history_cards(history)), **given) == FULL
