"""A cleaning step, a method to register or to stack, and a metric are one new file each."""

import importlib
import runpy
import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, Rank, Recipe, process, read_recipe, recipe_to_toml
from napari_lucky.cli.main import main, parser
from napari_lucky.ranking.metrics import METRICS
from napari_lucky.steps.option_text import parse_option
from napari_lucky.steps.registry import STEPS, load_steps, make_step

ROOT = Path(__file__).parents[2]
FILES = {
    "cleaning": '''
from dataclasses import dataclass
import numpy as np
from napari_lucky.cleaning.step import Applied, CleaningStep
from napari_lucky.frames.frames import View
from napari_lucky.steps.declaration import param

@dataclass(frozen=True, eq=False)
class Brightened(View):
    factor: float

    def read(self, frames, window=None):
        return np.float32(self.factor) * self.frames.read(frames, window)

class Brighten(CleaningStep, table="brighten", place=55, optional=True):
    """Multiply every pixel with a factor.

    Not before photometry.
    """

    factor: float = param(2.0, "What pixels are multiplied by.", "times", gt=0, le=9)

    def apply(self, frames, scene):
        return Applied(Brightened(frames, self.factor), self, note=lambda: "It is brighter.")
''',
    "registration": '''
import numpy as np
from napari_lucky.registration.step import Register, Tracked
from napari_lucky.steps.declaration import param

class RegisterPart(Register, kind="part"):
    """A part of the way from the middle of the window to the brightest speckle."""

    part: float = param(0.5, "Of that way.", ge=0, le=1)

    def track(self, start):
        middle = np.array([start.focus.height, start.focus.width]) / 2
        points = middle + self.part * (start.found[:, :2] - middle)
        return Tracked(points, self.part * start.found[:, 3:5])
''',
    "stacking": '''
from napari_lucky.stacking.mean import stack_mean
from napari_lucky.stacking.step import StackFrames
from napari_lucky.steps.declaration import param

class StackFew(StackFrames, kind="few"):
    """The mean of a few of the frames."""

    most: int = param(3, "So many frames are stacked.", ge=1, le=99)

    def stack(self, given):
        return stack_mean(given.shifted, given.index[: self.most], given.window, job=given.job)
''',
    "ranking": '''
from napari_lucky.ranking.metrics import metric

@metric("contrast")
def contrast(image):
    """Max I − min I."""
    return image.max((1, 2)) - image.min((1, 2))
''',
}
NAME = "declared_by_a_test"


@contextmanager
def new_files(tmp_path):
    """Put a file into each of four rooms and find them as a start of the program does; undo it."""
    steps, metrics = {table: dict(kinds) for table, kinds in load_steps().items()}, dict(METRICS)
    paths = {}
    for room, text in FILES.items():
        (tmp_path / room).mkdir()
        (tmp_path / room / f"{NAME}.py").write_text(text, encoding="utf-8")
        package = importlib.import_module(f"napari_lucky.{room}")
        paths[package] = package.__path__
        package.__path__ = [*package.__path__, str(tmp_path / room)]
    importlib.invalidate_caches()
    load_steps.cache_clear()
    try:
        yield load_steps()
    finally:
        for package, path in paths.items():
            package.__path__ = path
            sys.modules.pop(f"{package.__name__}.{NAME}", None)
            delattr(package, NAME)
        for known, before in ((STEPS, steps), (METRICS, metrics)):
            known.clear()
            known.update(before)
        load_steps.cache_clear()


@pytest.fixture
def declared(tmp_path):
    (tmp_path / "new").mkdir()
    with new_files(tmp_path / "new") as steps:
        yield steps


@pytest.fixture
def extended(declared):
    """Return a recipe with all four."""
    return Recipe(
        "/run",
        make_step("brighten", {"factor": 3.0}),
        make_step("register", {"method": "part", "part": 0.25, "smooth": 2.0}),
        make_step("stack", {"method": "few", "most": 2, "subpixel": False}),
        Rank(metric="contrast"),
    )


def test_they_stand_in_their_places(declared):
    tables = list(declared)
    assert tables.index("noise-cut") < tables.index("brighten") < tables.index("low-pass")
    assert "part" in declared["register"]
    assert "few" in declared["stack"]
    assert "contrast" in METRICS


def test_a_recipe_holds_them(extended, tmp_path):
    text = recipe_to_toml(extended)
    tables = tomllib.loads(text)
    assert tables["brighten"] == {"factor": 3.0}
    assert tables["register"] == {"method": "part", "part": 0.25, "smooth": 2.0}
    assert tables["stack"] == {"method": "few", "most": 2, "subpixel": False}
    assert tables["rank"]["metric"] == "contrast"
    (tmp_path / "recipe.toml").write_text(text)
    assert read_recipe(tmp_path / "recipe.toml") == extended
    assert extended.without("brighten").table("brighten") is None


def test_options_make_them_and_their_values_are_checked(extended):
    assert parse_option("brighten", "3") == extended.table("brighten")
    assert parse_option("register", "part,.25,smooth=2") == extended.table("register")
    assert parse_option("stack", "few,2,false") == extended.table("stack")
    assert parse_option("rank", "contrast") == extended.table("rank")
    for table, text, says in [
        ("brighten", "factor=10", "factor is 10; it must be a number above 0, at most 9 times."),
        ("brighten", "factr=2", "did you mean 'factor'?"),
        ("register", "part,2", "register part: part is 2; it must be a number from 0 to 1."),
        ("stack", "few,0", "stack few: most is 0; it must be a whole number from 1 to 99."),
        ("stack", "fewer", "it must be one of mean, clipped, drizzle, few, "),
    ]:
        with pytest.raises(LuckyError) as error:
            parse_option(table, text)
        assert says in str(error.value)


def test_the_help_shows_them(declared, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        parser().parse_args(["process", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "brighten (off unless you ask for it): Multiply every pixel with a factor." in words
    assert "factor=2: What pixels are multiplied by; a number above 0, at most 9 times" in words
    assert "--no-brighten" in words
    assert "part: A part of the way from the middle of the window to the brightest" in words
    assert "part=0.5: Of that way; a number from 0 to 1" in words
    assert "few: The mean of a few of the frames. most=3: So many frames are stacked; a" in words
    assert "psf-correlation, contrast" in words


def test_the_reference_page_shows_them(declared):
    page = runpy.run_path(str(ROOT / "scripts" / "reference.py"))["reference"]()
    assert "## brighten (optional)\n\nMultiply every pixel with a factor.\n\nNot before" in page
    row = (
        "| `factor` | 2 | a number above 0, at most 9 | times | What pixels are multiplied by. |  |"
    )
    assert row in page
    assert "### register: part\n\nA part of the way" in page
    assert "### stack: few\n\nThe mean of a few of the frames." in page
    assert "| `contrast` | Max I − min I |  |" in page


def test_a_job_does_them(declared, tmp_path, capsys):
    """On the command line and in Python, with a record of each in the history."""
    y, x = np.mgrid[:64, :64]
    rng = np.random.default_rng(5)
    stars = [900 * np.exp(-((y - 32 - k % 3) ** 2 + (x - 30) ** 2) / 14) for k in range(12)]
    frames = rng.normal(100, 3, (12, 64, 64)) + stars
    fits.PrimaryHDU(frames.astype(np.float32)).writeto(tmp_path / "run.fits")
    options = ["--focus", "32,30,40", "--keep", "1.0", "--rank", "contrast", "--stack", "few,2"]
    options += ["--register", "part,smooth=2"]
    given = ["process", tmp_path / "run.fits", *options, "--brighten", "3"]
    assert main([*map(str, given), "-o", str(tmp_path / "out")]) == 0
    assert "It is brighter." in capsys.readouterr().err
    recipe = read_recipe(tmp_path / "out" / "recipe.toml")
    result = process(recipe)
    stack = result.images["focus"]
    np.testing.assert_array_equal(stack.data, fits.getdata(tmp_path / "out" / "focus.fits"))
    assert stack.combined == 2
    assert np.ptp(result.table.shifts[:, 0]) == pytest.approx(1, abs=0.1)  # half of 2 px
    assert 2600 < np.nanmax(stack.data) < 3300
    records = {record.name: record.parameters for record in stack.history}
    assert records["brighten"] == {"factor": 3.0}
    assert records["register"] == {"method": "part", "part": 0.5, "smooth": 2.0}
    assert records["stack"] == {"method": "few", "most": 2, "subpixel": True}
    assert records["rank"]["metric"] == "contrast"


def test_nothing_of_them_stays(tmp_path):
    before = {table: list(kinds) for table, kinds in load_steps().items()}, list(METRICS)
    with new_files(tmp_path):
        assert "few" in STEPS["stack"]
    after = {table: list(kinds) for table, kinds in load_steps().items()}, list(METRICS)
    assert after == before
    assert "part" not in STEPS["register"]
    with pytest.raises(LuckyError, match="There is no step 'brighten'"):
        make_step("brighten", {})
