"""Recipes through TOML and back, and what is no recipe."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from napari_lucky._version import __version__
from napari_lucky.errors import LuckyError
from napari_lucky.frames.window import Window
from napari_lucky.pipeline.recipe import SECTIONS, Recipe, read_recipe, recipe_to_toml
from napari_lucky.ranking.rank import METRICS
from napari_lucky.registration.register import METHODS

FULL = Recipe(
    frames=("/data/run/a1.fits", "/data/run/Größe 2 \"x\" \\ 'y' 星.fits"),
    start=3,
    stop=190,
    step=2,
    dark="/data/dark.fits",
    flat="/data/flats",
    combine="median",
    clip_sigma=3.5,
    hot_sigma=7.25,
    dead_below=0.3,
    saturation=4095.0,
    outliers=6.5,
    flicker=7.5,
    outliers_as="replace",
    dust=5,
    dust_radius=12.5,
    dust_as="mask",
    dust_on="/data/flats",
    dust_spots=((10.5, 20.25, 8.0), (1 / 3, 40.0, 8.0)),
    background=4,
    background_radius=80.5,
    background_centre="speckle",
    noise_cut=2.5,
    low_pass=0.9,
    sampling=7.1,
    focus=(120, 130, 64),
    defocus=(120, 400, 96),
    register="correlation",
    smooth=1 / 3,
    reference_frame="mean",
    shifts="/data/out/frames.csv",
    rank="gradient",
    rank_smooth=0.1 + 0.2,
    psf=(7.5, 0.1 + 0.2),
    keep=25,
    keep_above=0.1 + 0.7,
    add=(5, 17),
    drop=(3,),
    stack="drizzle,1.5,0.5",
    subpixel=False,
    integers="60000,14",
)


def read(folder: Path, text: str) -> Recipe:
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    return read_recipe(folder / "recipe.toml")


def test_every_parameter_has_its_place_in_one_section():
    names = [name for section in SECTIONS.values() for name in section]
    assert sorted(names) == sorted(f.name for f in fields(Recipe))


def test_a_full_recipe_differs_from_the_default_in_every_parameter():
    assert all(getattr(FULL, f.name) != f.default for f in fields(Recipe))


@pytest.mark.parametrize(
    "recipe", [Recipe(), Recipe(frames=("/run",)), FULL], ids=["", "run", "all"]
)
def test_a_recipe_comes_back_from_toml(tmp_path, recipe):
    found = read(tmp_path, recipe_to_toml(recipe))
    assert found == recipe
    assert recipe_to_toml(found) == recipe_to_toml(recipe)


def test_the_toml_tells_the_version_and_leaves_out_what_is_to_be_found():
    found = tomllib.loads(recipe_to_toml(Recipe(frames=("/run",))))
    assert found["napari-lucky"]["version"] == __version__
    assert found["input"] == {"frames": ["/run"]}
    assert "focus" not in found["registration"]


@pytest.mark.parametrize("keep", [1, 1.0, 25, 0.1, 0.01, 1e-9, 10**6])
def test_keep_stays_a_count_or_a_fraction(tmp_path, keep):
    found = read(tmp_path, recipe_to_toml(Recipe(keep=keep))).keep
    assert found == keep
    assert type(found) is type(keep)


def test_a_whole_number_will_do_where_a_number_is_meant(tmp_path):
    assert read(tmp_path, "[registration]\nsmooth = 2").smooth == 2


def test_relative_paths_count_from_the_recipes_folder(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    text = '[input]\nframes = ["run", "../b.fits", "/abs/c.fits"]\ndark = "dark.fits"\nflat = "/f"'
    found = read(tmp_path, text)
    assert [Path(p) for p in found.frames] == [
        tmp_path / "run", tmp_path / ".." / "b.fits", Path("/abs/c.fits")
    ]  # fmt: skip
    assert (Path(found.dark), Path(found.flat)) == (tmp_path / "dark.fits", Path("/f"))
    by_name = read_recipe(Path("..") / "recipe.toml")
    assert Path(by_name.dark).resolve() == tmp_path / "dark.fits"


def test_written_paths_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = recipe_to_toml(Recipe(frames=("run", "/abs/a.fits"), dark="dark.fits", flat="flats"))
    (tmp_path / "deep").mkdir()
    found = read(tmp_path / "deep", text)
    assert found.frames == (str(tmp_path / "run"), "/abs/a.fits")
    assert (found.dark, found.flat) == (str(tmp_path / "dark.fits"), str(tmp_path / "flats"))


def test_windows_are_centred_on_their_pixel():
    assert FULL.window("focus") == Window.centred(120, 130, 64)
    assert FULL.window("defocus") == Window.centred(120, 400, 96)
    assert Recipe().window("focus") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[input]\nframes = 'run'", "frames in [input] must be a list of paths: 'run'"),
        ("[input]\nframes = [1, 2]", "frames in [input] must be a list of paths"),
        ("[input]\nstart = 1.5", "start in [input] must be a whole number: 1.5"),
        ("[input]\nstop = true", "stop in [input] must be a whole number: True"),
        ("[input]\ndark = 7", "dark in [input] must be text: 7"),
        ("[input]\ndark = ['a']", "dark in [input] must be text"),
        ("[calibration]\nhot_sigma = '5'", "hot_sigma in [calibration] must be a number: '5'"),
        ("[calibration]\nclip_sigma = false", "clip_sigma in [calibration] must be a number"),
        ("[registration]\nfocus = [1, 2]", "focus in [registration] must be [y, x, size]"),
        ("[registration]\nfocus = [1, 2, 3.5]", "focus in [registration] must be [y, x, size]"),
        ("[registration]\ndefocus = 'here'", "defocus in [registration] must be [y, x, size]"),
        ("[ranking]\nkeep = '10 %'", "keep in [ranking] must be a number: '10 %'"),
        ("[ranking]\nkeep = true", "keep in [ranking] must be a number: True"),
        ("[ranking]\nkeep_above = 'x'", "keep_above in [ranking] must be a number"),
        ("[ranking]\nkeep_above = inf", "inf; give a number"),
        ("[ranking]\nadd = 5", "add in [ranking] must be a list of frame numbers: 5"),
        ("[ranking]\ndrop = [1.5]", "drop in [ranking] must be a list of frame numbers"),
        ("[ranking]\nadd = [5]\ndrop = [4, 5]", "Frame 5 is both added and dropped"),
        ("[stacking]\nsubpixel = 1", "subpixel in [stacking] must be true or false: 1"),
        ("[stacking]\nsubpixl = true", "[stacking] has no 'subpixl', only stack, subpixel"),
        ("[ranking]\nregister = 'centroid'", "[ranking] has no 'register', only rank"),
        ("[wavefront]\norder = 3", "has no section [wavefront], only input, calibration"),
        ("keep = 0.1", "keep stands alone"),
        ("ranking = 3", "ranking stands alone"),
        ("[ranking]\nkeep = 0.1.2", "not a TOML file"),
        ("frame,file,dy,dx\n0,a,1,2\n", "not a TOML file"),
        (f"a = {5000 * chr(91)}{5000 * chr(93)}", "not a TOML file (nested too deeply)"),
        (
            "[ranking]\nkeep = 1" + 400 * "0",
            "not a TOML file (it holds a whole number of more than 63",
        ),
        ("[ranking]\nkeep = 2.0", "2.0"),
        ("[ranking]\nkeep = 0", "0"),
        ("[ranking]\nkeep = -1", "-1"),
        ("[ranking]\nkeep = nan", "nan"),
        ("[ranking]\nrank = 'beauty'", "'beauty'"),
        ("[registration]\nregister = 'eye'", "'eye'"),
    ],
)
def test_what_is_no_recipe_is_told_with_file_and_key(tmp_path, text, told):
    with pytest.raises(LuckyError, match=r"recipe\.toml.*" + re.escape(told)):
        read(tmp_path, text)


@pytest.mark.parametrize("content", [b"\xff\xfe[input]", b"\x00\x01\x02"])
def test_bytes_that_are_no_text_are_told(tmp_path, content):
    (tmp_path / "recipe.toml").write_bytes(content)
    with pytest.raises(LuckyError, match=r"recipe\.toml: this is not a TOML file"):
        read_recipe(tmp_path / "recipe.toml")


def test_a_recipe_that_is_not_there_or_a_folder_is_told(tmp_path):
    for path in (tmp_path / "nothing.toml", tmp_path):
        with pytest.raises(LuckyError, match=f"{path.name}: the recipe cannot be read"):
            read_recipe(path)


@pytest.mark.parametrize("rank", METRICS)
@pytest.mark.parametrize("register", METHODS)
def test_every_method_and_metric_makes_a_recipe(tmp_path, register, rank):
    recipe = Recipe(register=register, rank=rank, psf=(7.0, 0.3))
    assert read(tmp_path, recipe_to_toml(recipe)) == recipe


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep": 0},
        {"keep": 2.0},
        {"keep": -1},
        {"rank": "x"},
        {"register": "x"},
        {"rank": "psf-correlation"},
    ],
)
def test_a_recipe_with_an_impossible_parameter_cannot_be_made(wrong):
    with pytest.raises(LuckyError):
        Recipe(**wrong)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"smooth": 1e6}, "0 to 100"),
        ({"rank_smooth": float("nan")}, "0 to 100"),
        ({"combine": "sum"}, "mean or a median"),
        ({"clip_sigma": -1.0}, "0 or more"),
        ({"hot_sigma": 0.0}, "over 0"),
        ({"hot_sigma": float("nan")}, "over 0"),
        ({"dead_below": 5.0}, "under 1"),
        ({"dead_below": float("nan")}, "under 1"),
        ({"saturation": -5.0}, "over 0"),
        ({"step": 0}, "1 or more"),
        ({"reference_frame": "worst"}, "best, first, mean"),
        ({"background": 7}, "0 to 6"),
        ({"background_radius": -1.0}, "0 or more"),
        ({"psf": (0.5, 0.0)}, "sampling is 0.5"),
        ({"psf": (7.0, 1.0)}, "obstruction is 1"),
        ({"dark": ""}, "path of the dark is empty"),
    ],
)
def test_values_that_make_no_sense_are_told_used_or_not(values, told):
    with pytest.raises(LuckyError, match=told):
        Recipe(**values)
