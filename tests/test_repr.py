"""What is made shows itself in a line or two, and in a notebook as a table or picture."""

import re

import numpy as np
import pytest
from astropy.io import fits

import napari_lucky as lucky
from napari_lucky.optics.simulation import SIMULATED


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repr")
    run = lucky.simulate_run(20, (200, 400), d_over_r0=2.5, photons=3e5, seed=3)
    fits.PrimaryHDU(run.frames).writeto(folder / "cube.fits")
    fits.PrimaryHDU(run.dark).writeto(folder / "dark.fits")
    recipe = lucky.Recipe(
        folder / "cube.fits",
        lucky.Calibrate(dark=folder / "dark.fits"),
        lucky.Select(keep=10),
        focus=run.focus,
    )
    result = lucky.process(recipe)
    frames = lucky.open_run(folder / "cube.fits")
    tracked = lucky.register(frames, run.focus)
    stack = lucky.stack(frames, tracked, result.table.selected, run.focus)
    quality = lucky.rank(frames, run.focus)
    return {
        "SimulatedRun": run,
        "Truth": run.truth,
        "Result": result,
        "FrameTable": result.table,
        "ImageResult": result.images["focus"],
        "Run": frames,
        "Registration": tracked,
        "Stack": stack,
        "Calibrated": lucky.calibrate(frames),
        "Cleaned": lucky.clean(frames, [lucky.steps.RemoveOutliers()]),
        "Recipe": recipe,
        "PsfFigures": lucky.psf_figures(stack, SIMULATED),
        "KeepCurve": lucky.keep_curve(frames, tracked, quality, run.focus),
    }


EXPECTED = {
    "SimulatedRun": r"<SimulatedRun: 20 frames of 200 x 400 px, uint16, focus \(.*\), defocus .*>",
    "Truth": r"<Truth: strehl 20 float64, .*zernikes.* 20 x 36 float64.*>",
    "Result": r"<Result: focus, long_exposure; 10 of 20 frames \(50 %\) kept; \d+ notes?>",
    "FrameTable": r"<FrameTable: 20 frames, 10 selected, 0 without a shift>",
    "ImageResult": r"<ImageResult 'focus': \d+ x \d+ px of 10 frames>",
    "Run": r"<Run 'cube': 20 frames of 200 x 400 px, uint16, 1 file>",
    "Registration": r"<Registration by brightest: 20 of 20 frames with a star, reference \("
    r"[\d.]+, [\d.]+\), smooth [\d.]+ px(, \d notes?)?>",
    "Stack": r"<Stack of 10 frames, shifted: \d+ x \d+ px, peak [\d.e+]+ ADU>",
    "Calibrated": r"<Calibrated of Run 'cube': 20 frames of 200 x 400 px, float32>",
    "Cleaned": r"<Cleaned: outliers; <OutliersRemoved of Run 'cube': 20 frames.*>>",
    "Recipe": r"Recipe\('.*cube.fits', Calibrate\(dark='.*dark.fits'\), Select\(keep=10\), "
    r"focus=\(\d+, \d+, \d+\)\)",
    "PsfFigures": r"<PsfFigures: Strehl ratio [\d.]+ ± [\d.e-]+, FWHM [\d.]+ x [\d.]+ px, flux "
    r"[\d.e+]+ ± [\d.e+]+ ADU(; \d+ cautions?)?>",
    "KeepCurve": r"<KeepCurve: 1 to 20 frames, best peak/flux [\d.]+>",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_it_is_a_line(made, name):
    text = repr(made[name])
    assert re.fullmatch(EXPECTED[name], text), text


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("Result", ["<img", "long_exposure", "<li>"]),
        ("FrameTable", ["<table>", "<th>quality</th>", "…"]),
        ("Stack", ["<img", "10 frames"]),
        ("PsfFigures", ["<table>", "Strehl ratio"]),
        ("Recipe", ["<table>", "keep = 10", "brightest"]),
    ],
)
def test_a_notebook_shows_a_table_or_a_picture(made, name, holds):
    html = made[name]._repr_html_()
    assert all(part in html for part in holds)
    tags = re.findall(r"<(/?)(table|tr|td|th|p|ul|li|figure|figcaption)\b", html)
    for tag in {tag for _, tag in tags}:
        assert tags.count(("", tag)) == tags.count(("/", tag))


def test_a_recipe_of_many_files_is_short_and_one_of_defaults_shorter():
    recipe = lucky.Recipe([f"a{k}.fits" for k in range(5000)], lucky.steps.StackMedian())
    assert repr(recipe) == "Recipe(('a0.fits', '…', 'a4999.fits'), StackMedian())"
    assert repr(lucky.Recipe("run", start=3)) == "Recipe('run', start=3)"
    assert repr(lucky.steps.RemoveOutliers()) == "RemoveOutliers()"
    assert "&lt;b&gt;" in lucky.Recipe("<b>")._repr_html_()


def test_a_text_of_a_recipe_is_its_python():
    recipe = lucky.Recipe("run", lucky.Select(keep=0.05), lucky.steps.StackDrizzle(scale=3.0))
    again = eval(repr(recipe), vars(lucky.steps) | {n: getattr(lucky, n) for n in dir(lucky)} | {
        "StackDrizzle": lucky.steps.StackDrizzle
    })  # fmt: skip
    assert again == recipe


def test_a_stack_without_light_has_a_text_too():
    empty = lucky.stacking.Stack(np.full((9, 8), np.nan), np.zeros((9, 8)), 1, scale=2.0)
    text = "<Stack of 1 frame, not shifted: 9 x 8 px, drizzled 2x, peak no ADU>"
    assert repr(empty) == text
    assert "<img" in empty._repr_html_()
