"""The options of the steps: what they ask for, over a recipe, and what they refuse."""

import re
import subprocess
import sys

import pytest
from astropy.io import fits

from napari_lucky import Calibrate, Rank, Recipe, Select, recipe_to_toml, simulate_run
from napari_lucky.cli.main import main, parser
from napari_lucky.cli.recipe_options import recipe_of, with_values
from napari_lucky.steps import (
    CutNoise,
    LowPassFilter,
    Output,
    ReadShifts,
    ReadTimes,
    RegisterCorrelation,
    RemoveBackground,
    RemoveDust,
    RemoveFlicker,
    RemoveOutliers,
    StackDrizzle,
)
from napari_lucky.steps.declaration import params
from napari_lucky.steps.option_text import parse_option
from napari_lucky.steps.registry import (
    first_of,
    has_option,
    load_steps,
    make_step,
    own_options,
)


def asked(*options):
    """Return the recipe that a command line asks for."""
    words = ["process", *map(str, options), "-o", "out"]
    return recipe_of(parser().parse_args(words))


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ("--outliers", RemoveOutliers()),
        ("--outliers 6", RemoveOutliers(sigma=6.0)),
        ("--outliers 5.5,replace", RemoveOutliers(sigma=5.5, action="replace")),
        ("--outliers replace", RemoveOutliers(action="replace")),
        ("--outliers=action=replace,sigma=7", RemoveOutliers(sigma=7.0, action="replace")),
        ("--flicker 7", RemoveFlicker(sigma=7.0)),
        ("--dust 5,12", RemoveDust(count=5, radius=12.0)),
        (
            "--dust 5,12.5,mask --dust-on flat.fits",
            RemoveDust(count=5, radius=12.5, action="mask", on="flat.fits"),
        ),
        ("--background 4", RemoveBackground(order=4)),
        (
            "--background 2,80,speckle",
            RemoveBackground(order=2, radius=80.0, centre="speckle"),
        ),
        ("--background 2,speckle", RemoveBackground(order=2, centre="speckle")),
        ("--background radius=auto", RemoveBackground()),
        ("--noise-cut 2.5", CutNoise(sigma=2.5)),
        ("--low-pass .15", LowPassFilter(cutoff=0.15)),
        ("--low-pass 1,7", LowPassFilter(cutoff=1.0, sampling=7.0)),
        ("--dark a,b.fits --flat f=1,2", Calibrate(dark="a,b.fits", flat="f=1,2")),
        ("--calibrate median --saturation 4095", Calibrate(combine="median", saturation=4095.0)),
        (
            "--register correlation --reference mean --smooth 0",
            RegisterCorrelation(reference_frame="mean", smooth=0.0),
        ),
        (
            "--register correlation,7,smooth=1.5",
            RegisterCorrelation(reference_frame="7", smooth=1.5),
        ),
        (
            "--rank psf-correlation,7,0.3",
            Rank(metric="psf-correlation", sampling=7.0, obstruction=0.3),
        ),
        ("--rank fwhm --rank-smooth 1", Rank(metric="fwhm", smooth=1.0)),
        ("--select 0.2", Select(keep=0.2)),
        ("--select 1", Select(keep=1)),
        ("--keep 1.0", Select(keep=1.0)),
        ("--keep .5 --add 5,17 --drop 3", Select(keep=0.5, add=(5, 17), drop=(3,))),
        ("--keep-above 1e3", Select(above=1000.0)),
        ("--select add=5/17", Select(add=(5, 17))),
        ("--stack drizzle,1.5,0.5,false", StackDrizzle(scale=1.5, drop=0.5, subpixel=False)),
        ("--stack method=drizzle,1.5", StackDrizzle(scale=1.5)),
        ("--integers 4095,12", Output(integers="4095,12")),
        ("--plain", Output(plain=True)),
        ("--times times.csv", ReadTimes(times_file="times.csv")),
        ("--shifts frames.csv", ReadShifts(table_file="frames.csv")),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_options_make_a_step(options, step, before):
    """Whether the run comes before them or after them."""
    words = options.split()
    recipe = asked("run", *words) if before else asked(*words, "run")
    assert recipe.table(step.table) == step
    assert type(recipe.table(step.table)) is type(step)
    assert recipe == Recipe("run", step)
    if isinstance(step, Select):
        assert type(recipe[Select].keep) is type(step.keep)


def test_a_step_without_a_value_takes_no_run_for_one():
    for run in ("2024-11-26", "6_run", "replace.fits", "./6"):
        recipe = asked("--outliers", run)
        assert recipe.input.frames == (run,)
        assert recipe.get(RemoveOutliers) == RemoveOutliers()
    assert with_values(["--outliers", "--", "--outliers", "6"])[2:] == ["--outliers", "6"]
    assert asked("--outliers", "--flicker", "run").get(RemoveFlicker) == RemoveFlicker()


@pytest.fixture
def recipe_file(tmp_path):
    recipe = Recipe(
        "/run",
        RemoveOutliers(sigma=7.0, action="replace"),
        CutNoise(),
        Rank(metric="psf-correlation", sampling=7.0, obstruction=0.3),
        Select(above=5.0, drop=(2,)),
        StackDrizzle(scale=3.0, subpixel=False),
        Output(integers="scaled"),
    )
    (tmp_path / "recipe.toml").write_text(recipe_to_toml(recipe))
    return tmp_path / "recipe.toml", recipe


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ([], []),
        (["--outliers"], []),
        (["--outliers", "5"], [RemoveOutliers(sigma=5.0, action="replace")]),
        (["--keep", "3"], [Select(keep=3, drop=(2,))]),
        (["--select", "keep=3"], [Select(keep=3, drop=(2,))]),
        (["--keep-above", "6"], [Select(above=6.0, drop=(2,))]),
        (["--stack", "drop=0.5"], [StackDrizzle(scale=3.0, drop=0.5, subpixel=False)]),
        (["--stack", "median"], [make_step("stack", {"method": "median", "subpixel": False})]),
        (["--integers", "none"], [Output()]),
        (["--rank", "sampling=8"], [Rank(metric="psf-correlation", sampling=8.0, obstruction=0.3)]),
    ],
)
def test_options_go_over_a_recipe(options, changes, recipe_file):
    """What is not given stays; another method keeps what both have."""
    path, recipe = recipe_file
    assert asked("--recipe", path, *options) == recipe.with_steps(*changes)


def test_no_turns_a_step_of_the_recipe_off(recipe_file):
    path, recipe = recipe_file
    found = asked("--recipe", path, "--no-outliers", "--no-flicker")
    assert found == recipe.without("outliers")
    assert found.get(RemoveOutliers) is None
    assert found.get(CutNoise) == CutNoise()
    found = asked("--recipe", path, "other", "--no-noise-cut")
    assert found.input.frames == ("other",)
    assert found.get(CutNoise) is None


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (["--dark", "off"], {"calibrate": {"dark": "off"}}),
        (["--dark=off", "--no-flat"], {"calibrate": {"dark": "off", "flat": "off"}}),
        (
            ["--no-dark", "--defocus", "off"],
            {"calibrate": {"dark": "off"}, "input": {"defocus": None}},
        ),
        (["--no-defocus"], {"input": {"defocus": None}}),
        (["--no-focus", "--no-integers"], {"input": {"focus": None}, "output": {"integers": None}}),
        (["--outliers", "off", "other"], {"outliers": None, "input": {"frames": ("other",)}}),
        (["--outliers=off", "--smooth", "off"], {"outliers": None, "register": {"smooth": None}}),
        (["--no-keep-above"], {"select": {"above": None}}),
        (["--dark", "./off"], {"calibrate": {"dark": "./off"}}),
        (["--dark", "auto", "--flat=auto"], {"calibrate": {"dark": "auto", "flat": "auto"}}),
        (["--colour", "off"], {"input": {"colour": None}}),
        (["--colour", "green"], {"input": {"colour": "green"}}),
    ],
)
def test_off_undoes_what_a_recipe_says(options, changes, tmp_path):
    recipe = Recipe(
        "/run",
        make_step("calibrate", {"dark": "/d.fits", "flat": "/f.fits"}),
        RemoveOutliers(),
        make_step("register", {"smooth": 2.0}),
        Select(above=5.0),
        Output(integers="scaled"),
        focus=(100, 100, 64),
        defocus=(100, 300, 64),
    )
    (tmp_path / "r.toml").write_text(recipe_to_toml(recipe))
    assert asked("--recipe", tmp_path / "r.toml", *options) == recipe.updated(**changes)


SIGMA = "outliers: sigma is {}; it must be a number from 2 to 1000 σ."


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--outliers=many", SIGMA.format("'many'")),
        ("--outliers 1.0", SIGMA.format("1.0")),
        ("--outliers nan", SIGMA.format("nan")),
        ("--outliers 6,cut", "outliers: action is 'cut'; it must be one of mask, replace."),
        ("--outliers 6,mask,9", "'9' is one value too many; there are sigma, action."),
        ("--outliers sigmma=6", "outliers has no 'sigmma'; did you mean 'sigma'?"),
        ("--outliers 6,sigma=7", "outliers: sigma is given twice."),
        ("--outliers --no-outliers", "--outliers and --no-outliers: give one."),
        ("--flicker 6,7", "flicker: action is '7'; it must be one of mask, replace."),
        ("--dust 5.5,3", "dust: count is 5.5; it must be a whole number of at least 1."),
        ("--dust-on mean", "--dust-on changes a step that is off: add --dust."),
        (
            "--background=four",
            "background: order is 'four'; it must be a whole number from 0 to 6.",
        ),
        ("--background 4,80,star", "it must be one of window, speckle."),
        ("--noise-cut=x", "noise-cut: sigma is 'x'; it must be a number above 0, at most 10 σ."),
        ("--low-pass 1,7,9", "'9' is one value too many; there are cutoff, sampling."),
        (
            "--keep some",
            "select: keep is 'some'; it must be a number above 0, at most 1 (fraction), or a",
        ),
        ("--keep 2.0", "write a whole number to keep that many frames."),
        ("--keep 0.1 --select keep=3", "--keep and --select keep=…: give one."),
        ("--keep 0.1 --keep-above 3", "--keep and --keep-above both set the cut"),
        ("--add three", "select: add is ['three']; it must be a list of whole numbers."),
        ("--register phase", "the method is 'phase'; it must be one of brightest, centroid, "),
        ("--reference first", "--reference belongs to the method correlation: add --register corr"),
        ("--register template --reference first", "--reference belongs to the method correlation"),
        ("--rank luck", "rank: metric is 'luck'; it must be one of peak, peak-over-flux"),
        (
            "--rank fwhm,obstruction=1",
            "rank: obstruction is 1; it must be a number from 0 to below 1",
        ),
        ("--stack drizzle,scale=4", "scale is 4.0; it must be one of 1.5, 2.0, 3.0."),
        ("--stack mean,subpixel=no", "stack mean: subpixel is 'no'; it must be true or false."),
        ("--shifts f.csv --rank peak", "--rank: --shifts has this already"),
        ("--shifts f.csv --register template --add 3", "--register and --add: --shifts has"),
        ("--dark=", "calibrate: The path of the dark is empty; leave it out."),
        ("--psf 7", "unrecognized arguments: --psf"),
        ("--outl 6", "unrecognized arguments: --outl 6; did you mean --outliers?"),
        ("--no-outlier", "unrecognized arguments: --no-outlier; did you mean --no-outliers?"),
        ("--stack mean,method=median", "stack: method is given twice."),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(options, says, capsys):
    try:
        status = main(["process", "run", "-o", "out", *options.split()])
    except SystemExit as stop:
        status = stop.code
    said = capsys.readouterr().err
    assert status == 2
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "tables", "done"),
    [
        (
            "process",
            [t for t in load_steps() if t not in ("input", "spider", "psf", "wavefront")],
            (),
        ),
        ("figures", ["telescope", "psf"], ("telescope", "psf")),
        (
            "wavefront",
            [
                *("calibrate", "dust", "background", "outliers", "flicker", "times", "rank"),
                *("telescope", "spider", "wavefront"),
            ],
            ("telescope", "wavefront"),
        ),
    ],
)
def test_the_help_names_every_step_with_its_parameters(command, tables, done, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        parser().parse_args([command, "--help"])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    for table, kinds in load_steps().items():
        if table not in tables:
            assert f"  --{table} " not in text
            continue
        own = table in ("shifts", "times", "telescope")
        assert (f"  --{table} " in text) == (has_option(table) or own)
        assert (f"--no-{table} " in text) == (first_of(table).optional and table not in done)
        for kind, model in kinds.items():
            assert kind in words
            for name, one in params(model).items():
                if one.option:
                    assert re.search(rf"  {one.option}[ ,]", text)
                elif not one.many:
                    assert re.search(rf"(?<![\w]){name}[=:]", words)
                    assert one.text.rstrip(".") in words
                    assert one.allowed in words
    if command == "process":
        sigma = (
            "sigma=6: Threshold, in units of the noise around the pixel; a number from 2 to 1000 σ"
        )
        assert sigma in words
    own = {option for option, (table, _) in own_options().items() if table in tables}
    assert own <= set(text.replace(",", " ").split())


def test_help_takes_no_heavy_imports():
    code = (
        "import sys\nfrom napari_lucky.cli.main import main\n"
        "try: main(['process', '--help'])\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    heavy = {"scipy", "astropy", "matplotlib", "dask", "napari", "qtpy"}
    assert not heavy & set(done.stderr.split())
    assert "--outliers" in done.stdout


def test_a_job_as_by_default_takes_no_scipy(tmp_path):
    """Importing it takes a fifth of a short job's time, and 28 MB."""
    simulated = simulate_run(4, (200, 400))
    fits.PrimaryHDU(simulated.frames).writeto(tmp_path / "cube.fits")
    fits.PrimaryHDU(simulated.dark).writeto(tmp_path / "dark.fits")
    code = (
        "import sys\nimport napari_lucky as lucky\nframes, dark, *focus = sys.argv[1:]\n"
        "focus = tuple(map(int, focus))\n"
        "made = lucky.process(lucky.Recipe(frames, lucky.Calibrate(dark=dark), focus=focus))\n"
        "from napari_lucky.psf.nights import result_figures\n"
        "assert result_figures(made, {})['focus']['fwhm_px'] > 0\n"
        "assert not {'scipy.fft', 'scipy.ndimage', 'scipy.special'} & set(sys.modules)"
    )
    words = tmp_path / "cube.fits", tmp_path / "dark.fits", *map(str, simulated.focus)
    subprocess.run([sys.executable, "-c", code, *words], check=True)


@pytest.mark.parametrize("table", [table for table in load_steps() if has_option(table)])
def test_the_defaults_that_the_help_shows_are_those_of_the_step(table):
    """Every NAME=DEFAULT of the help, typed, is the step as it is by default."""
    from napari_lucky.steps.sentences import default_text

    for kind, model in load_steps()[table].items():
        shown = [
            f"{name}={text}" for name, one in params(model).items() if (text := default_text(one))
        ]
        assert parse_option(table, ",".join([kind, *shown])) == model()
