"""Steps are strict, say what is wrong in a sentence, and come back from TOML and histories."""

import json
import tomllib
from pathlib import Path

import pytest
import tomli_w

from napari_lucky import Calibrate, LuckyError, Rank, Recipe, Select, read_recipe, recipe_to_toml
from napari_lucky.frames.history import history_cards, read_history
from napari_lucky.pipeline.recipe import recipe_of_history
from napari_lucky.pipeline.step import Input
from napari_lucky.steps import (
    LowPassFilter,
    RegisterCorrelation,
    RemoveBackground,
    RemoveDust,
    RemoveOutliers,
    StackDrizzle,
    StackMean,
)
from napari_lucky.steps.declaration import Step, params
from napari_lucky.steps.option_text import parse_option
from napari_lucky.steps.registry import STEPS, first_of, load_steps, make_step, requests

OTHER = {
    "input": {"frames": ["/run"], "start": 3, "stop": 90, "step": 2, "focus": [50, 60, 32]}
    | {"defocus": [50, 160, 64], "colour": "green", "where": "GAIN=1"},
    "calibrate": {"dark": "/d", "flat": "/a,b", "combine": "median", "clip_sigma": 3.5}
    | {"hot_sigma": 7.25, "dead_below": 0.3, "saturation": 4095.0},
    "dust": {
        "count": 2,
        "radius": 12.5,
        "action": "mask",
        "on": "/f",
        "spots": [[1.5, 1 / 3, 9.0]],
    },
    "background": {"order": 4, "radius": 80.5, "centre": "speckle"},
    "outliers": {"sigma": 0.1 + 6.2, "action": "replace"},
    "flicker": {"sigma": 7.5, "action": "replace"},
    "noise-cut": {"sigma": 2.5},
    "low-pass": {"cutoff": 0.9, "sampling": 7.1},
    "times": {"times_file": "/data/times.csv"},
    "shifts": {"table_file": "/out/frames.csv"},
    "register": {"smooth": 1 / 3, "reference_frame": "mean"},
    "rank": {"metric": "gradient", "smooth": 0.5, "sampling": 7.5, "obstruction": 0.1 + 0.2},
    "select": {"keep": 25, "above": -1e-9, "add": [5, 17], "drop": [3]},
    "stack": {"subpixel": False, "sigma": 2.5, "power": 2.0, "fraction": 0.2, "scale": 1.5}
    | {"drop": 0.5},
    "accept": {"min_frames": 20, "max_lost": 0.1},
    "output": {"integers": "60000,14", "plain": True},
    "telescope": {"name": "the, small=one", "wavelength_nm": 632.8, "focal_ratio": 58.6}
    | {"pixel_um": 5.3, "diameter_m": 0.45, "focal_length_m": 26.37, "obstruction": 0.1 + 0.2},
    "spider": {"vanes": 3, "width": 0.02, "angle": -30.5},
    "psf": {"aperture": 40.5, "ring": [42.5, 50.0], "background": -1.5, "integration": 0.0}
    | {"sampling": 7.1, "obstruction": 0.3, "window": [64, 60, 50], "resamples": 40},
    "wavefront": {"defocus_waves": -1.5, "defocus_mm": 17.4, "fit_defocus": True, "modes": 22}
    | {"choice": "ranked", "count": 3, "seed": 8, "gain": 2.5, "read_noise_e": 6.5},
}
"""Of every parameter a value that is not its default."""
INSTEAD = {"focal_length_m", "background", "defocus_mm"}
"""Parameters that are given instead of others."""
MODELS = [model for kinds in load_steps().values() for model in kinds.values()]


def step_with(model, names):
    """Return a step with these of the values above."""
    values = {name: OTHER[model.table][name] for name in names}
    return make_step(model.table, values | ({"method": model.kind} if model.kind else {}))


def examples(model):
    """Return the step as it is by default, with all other values, and with one of each."""
    needed = [name for name, one in params(model).items() if one.required]
    some = [step_with(model, {*needed, name}) for name in params(model)]
    return [step_with(model, needed), step_with(model, {*params(model)} - INSTEAD), *some]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_step_comes_back(model, tmp_path):
    """From TOML, from a recipe's file, and from the cards of a history, with the same types."""
    for step in examples(model):
        assert type(step) is model
        values = step.values()
        again = make_step(step.table, tomllib.loads(tomli_w.dumps({"step": values}))["step"])
        assert again == step
        assert again.values() == values
        assert [type(v) for _, v in again] == [type(v) for _, v in step]

        recipe = Recipe(None, step)
        (tmp_path / "recipe.toml").write_text(recipe_to_toml(recipe), encoding="utf-8")
        assert read_recipe(tmp_path / "recipe.toml") == recipe

        record = step.record({"found": 3}, {"name": "d.fits"})
        (back,) = read_history(history_cards([record]))
        assert (back.name, back.facts) == (step.table, {"found": 3})
        if step.table != "input":
            assert recipe_of_history([back]).table(step.table) == step
        assert json.loads(json.dumps(values)) == values


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_parameter_says_what_it_is(model):
    for name, one in params(model).items():
        assert one.text.endswith("."), name
        assert one.text[0].isupper() or one.text[0].isdigit(), name
        assert one.allowed, name
    assert (model.__doc__ or "").strip(), model.__name__


def test_steps_stand_in_the_order_of_the_chain():
    places = [first_of(table).place for table in load_steps()]
    assert places == sorted(places)
    assert next(iter(STEPS)) == "input"
    assert list(STEPS)[-5:] == ["output", *requests()]
    assert requests() == ("telescope", "spider", "psf", "wavefront")
    assert set(OTHER) == set(STEPS)


def test_a_text_is_one_path_not_a_list_of_letters():
    for frames in ("run", Path("run"), ["run"], (Path("run"),)):
        assert Recipe(frames).input.frames == ("run",)
        assert Recipe(frames=frames).input.frames == ("run",)
    assert Recipe(["a.fits", Path("b.fits")]).input.frames == ("a.fits", "b.fits")
    assert Calibrate(dark=Path("d.fits")).dark == "d.fits"


@pytest.mark.parametrize(
    ("table", "values", "says"),
    [
        ("stack", {"subpixel": "no"}, "stack mean: subpixel is 'no'; it must be true or false."),
        ("stack", {"subpixel": 1}, "subpixel is 1; it must be true or false."),
        ("stack", {"method": "sum"}, "stack: the method is 'sum'; it must be one of "),
        ("stack", {"scale": 2.0}, "stack mean has no 'scale'; only subpixel."),
        ("stack", {"method": "drizzle", "scale": 2.5}, "it must be one of 1.5, 2.0, 3.0."),
        ("stack", {"method": "drizzle", "scal": 2}, "did you mean 'scale'?"),
        ("outliers", {"sigmas": 6.0}, "outliers has no 'sigmas'; did you mean 'sigma'?"),
        ("outliers", {"sigma": "6"}, "sigma is '6'; it must be a number from 2 to 1000 σ."),
        ("outliers", {"sigma": True}, "sigma is True; it must be a number"),
        ("outliers", {"sigma": 1.9}, "sigma is 1.9; it must be a number from 2 to 1000 σ."),
        ("outliers", {"sigma": float("nan")}, "sigma is nan; it must be"),
        ("outliers", {"sigma": float("inf")}, "sigma is inf; it must be"),
        ("outliers", {"sigma": None}, "sigma is None; it must be"),
        ("outliers", {"sigma": [6.0]}, "sigma is [6.0]; it must be"),
        ("outliers", {"action": "cut"}, "action is 'cut'; it must be one of mask, replace."),
        ("dust", {"count": 5.0}, "count is 5.0; it must be a whole number of at least 1."),
        ("dust", {"spots": [[1.0, 2.0]]}, "dust: spots is [[1.0, 2.0]]; it must be a list"),
        ("select", {"keep": 0}, "keep is 0; it must be"),
        ("select", {"keep": 0.0}, "keep is 0.0; it must be"),
        ("select", {"keep": 2.0}, "keep is 2.0: a fraction is over 0 and at most 1"),
        ("select", {"keep": True}, "keep is True; it must be"),
        ("select", {"keep": float("nan")}, "keep is nan; it must be"),
        (
            "select",
            {"keep": "0.1"},
            "keep is '0.1'; it must be a number above 0, at most 1 (fraction), ",
        ),
        ("select", {"add": [1.5]}, "add is [1.5]; it must be a list of whole numbers."),
        ("select", {"add": 5}, "add is 5; it must be a list of whole numbers."),
        ("select", {"add": [-1]}, "add is [-1]; it must be a list of whole numbers"),
        ("select", {"add": [3], "drop": [3]}, "Frame 3 is both added and dropped"),
        ("rank", {"metric": "luck"}, "metric is 'luck'; it must be one of peak, "),
        ("calibrate", {"dark": ""}, "The path of the dark is empty; leave it out."),
        ("calibrate", {"dark": 7}, "dark is 7; it must be a path."),
        ("calibrate", {"saturation": 0}, "saturation is 0; it must be a number above 0 ADU."),
        ("input", {"frames": 7}, "frames is 7; it must be a list of paths."),
        ("input", {"frames": [1, 2]}, "frames is [1, 2]; it must be a list of paths."),
        (
            "input",
            {"focus": [1, 2]},
            "focus is [1, 2]; it must be a list of whole numbers, 3 in all.",
        ),
        ("input", {"focus": [1, 2, 3.5]}, "it must be a list of whole numbers, 3 in all"),
        ("input", {"step": 0}, "step is 0; it must be a whole number of at least 1."),
        ("shifts", {}, "table_file is missing; it must be a path."),
        ("xyz", {}, "There is no step 'xyz', only input, calibrate, dust"),
        ("outlier", {}, "There is no step 'outlier'; did you mean 'outliers'?"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(table, values, says):
    with pytest.raises(LuckyError) as error:
        make_step(table, values)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_each_wrong_value_has_a_sentence():
    with pytest.raises(LuckyError, match=r"sigma is 1\.0; .* action is 'cut'; "):
        RemoveOutliers(sigma=1.0, action="cut")


def test_a_long_value_is_cut_in_the_sentence():
    with pytest.raises(LuckyError) as error:
        RemoveOutliers(sigma="9" * 5000)
    assert len(str(error.value)) < 200


def test_a_whole_number_will_do_where_a_number_is_meant():
    assert RemoveOutliers(sigma=6) == RemoveOutliers(sigma=6.0)
    assert type(RemoveOutliers(sigma=6).sigma) is float
    assert StackDrizzle(scale=2).scale == 2


@pytest.mark.parametrize(("keep", "kind"), [(1, int), (1.0, float), (25, int), (0.1, float)])
def test_one_is_a_count_and_one_point_nothing_a_fraction(keep, kind, tmp_path):
    step = Select(keep=keep)
    assert type(step.keep) is kind
    (tmp_path / "recipe.toml").write_text(recipe_to_toml(Recipe("/run", step)))
    assert type(read_recipe(tmp_path / "recipe.toml")[Select].keep) is kind
    assert type(parse_option("select", str(keep)).keep) is kind
    assert type(step.changed(add=(3,)).keep) is kind


def test_steps_are_frozen_and_changed_ones_are_checked():
    step = RemoveOutliers()
    with pytest.raises((LuckyError, ValueError)):
        step.sigma = 1.0
    assert step.changed(sigma=5.0) == RemoveOutliers(sigma=5.0)
    for wrong in ({"sigma": 1.0}, {"sigmas": 5.0}):
        with pytest.raises(LuckyError):
            step.changed(**wrong)
    assert hash(step) == hash(RemoveOutliers())


def test_a_recipe_finds_its_steps_by_kind_and_by_family():
    recipe = Recipe("/run", RegisterCorrelation(), RemoveOutliers(sigma=5.0), StackDrizzle())
    assert recipe.get(RemoveBackground) is None
    with pytest.raises(KeyError):
        recipe[LowPassFilter]
    assert recipe[StackDrizzle].scale == 2
    assert recipe.get(StackMean) is None
    assert recipe[Rank] == Rank()
    assert recipe.without("outliers").get(RemoveOutliers) is None
    assert recipe.changed(RemoveDust, count=3)[RemoveDust].count == 3
    assert recipe.with_steps(StackMean()).get(StackDrizzle) is None
    with pytest.raises(LuckyError, match="The step outliers is given twice"):
        Recipe("/run", RemoveOutliers(), RemoveOutliers(sigma=7.0))


def test_limits_are_checked_at_their_ends():
    """What is allowed by the words is allowed, and what is next to it is not."""
    for model in MODELS:
        for name, one in params(model).items():
            if one.either or one.many or one.type not in (int, float):
                continue
            least = 1 if one.type is int else 1e-6
            for limit, value in one.limits.items():
                out = value - least if limit in ("gt", "ge") else value + least
                wrong = value if limit in ("gt", "lt") else out
                needed = {"metric": "fwhm"} if model is Rank else {}
                with pytest.raises(LuckyError, match=r"must be|there is none|to under 0"):
                    model(**{name: one.type(wrong)} | needed)


def test_the_input_is_a_step_like_others():
    assert Recipe("run", focus=(50, 60, 32)).input == Input(frames="run", focus=(50, 60, 32))
    assert isinstance(Recipe().input, Step)
    with pytest.raises(LuckyError, match="input has no 'focuss'; did you mean 'focus'"):
        Recipe("run", focuss=(50, 60, 32))


@pytest.mark.parametrize("table", load_steps())
def test_an_arrow_of_a_box_changes_a_number_by_1_2_or_5_of_a_digit(table):
    for kind in load_steps()[table].values():
        for name, given in params(kind).items():
            digits = f"{given.step:.6e}".partition("e")[0].rstrip("0.")
            assert digits in ("1", "2", "5"), (kind, name)
