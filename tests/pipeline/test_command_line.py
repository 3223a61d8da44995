"""A recipe's command line, read by the command line, is that recipe."""

import shlex

import pytest

from napari_lucky import Calibrate, LuckyError, Rank, Recipe, Select
from napari_lucky.cli.main import parser
from napari_lucky.cli.recipe_options import recipe_of, with_values
from napari_lucky.pipeline.command_line import LATER, command_of
from napari_lucky.pipeline.step import ReadShifts
from napari_lucky.registration.wide_correlation import RegisterCorrelation
from napari_lucky.steps import (
    LowPassFilter,
    Output,
    RemoveDust,
    RemoveOutliers,
    StackDrizzle,
    TelescopeRequest,
)
from napari_lucky.steps.registry import STEPS, first_of, load_steps


def read(command):
    _, *words = shlex.split(command)
    return recipe_of(parser().parse_args(with_values(words)))


OTHERS = ("input", "shifts", "times", "telescope", *LATER)
"""Steps that need a value, or that process does not do."""
FULL = Recipe(
    "/runs/a night's run",
    Calibrate(dark="/runs/dark.fits", flat="/runs/f,l at.fits", combine="median", clip_sigma=0.0),
    RemoveOutliers(),
    LowPassFilter(cutoff=0.9, sampling=6.5),
    RegisterCorrelation(reference_frame="17", smooth=1.75),
    Rank(metric="psf-correlation", smooth=2.5, sampling=7.0, obstruction=0.3),
    Select(keep=20, add=(3, 4), drop=(8,)),
    StackDrizzle(scale=3.0, drop=0.65, subpixel=False),
    Output(integers="4095,12", plain=True),
    TelescopeRequest(name="the, small=one", wavelength_nm=633.0, obstruction=0.1 + 0.2),
    focus=(60, 80, 40),
    defocus=(60, 20, 30),
    start=10,
    step=2,
    where="EXPTIME=0.01,FILTER=R",
    colour="red",
)


@pytest.mark.parametrize(
    "recipe",
    [
        FULL,
        Recipe(("/r/a.fits", "/r/-b.fits"), Select(keep=1.0), defocus="find", stop=5),
        Recipe("/r", Select(keep=1)),
        Recipe("/r", ReadShifts(table_file="/o/frames.csv"), defocus=(50, 50, 40)),
        *(Recipe("/r", first_of(table)()) for table in load_steps() if table not in OTHERS),
        *(
            Recipe("/r", kind())
            for table, kinds in STEPS.items()
            for kind in kinds.values()
            if table not in OTHERS
        ),
    ],
    ids=lambda recipe: recipe.steps[1].table,
)
def test_it_reads_back(recipe):
    command = command_of(recipe, "my out")
    assert read(command) == recipe
    assert command.count("--where") <= 1


def test_a_quality_takes_the_place_of_a_fraction():
    assert read(command_of(Recipe("/r", Select(keep=5, above=0.25))))[Select].above == 0.25


def test_what_no_option_says_is_reported():
    spots = Recipe("/r", RemoveDust(spots=((30.0, 40.0, 7.5),)))
    with pytest.raises(LuckyError, match="save the recipe, and give it to"):
        command_of(spots)
    with pytest.raises(LuckyError, match="not in a file"):
        command_of(Recipe())
