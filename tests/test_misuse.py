"""What one tries at first is taken, or answered in a sentence."""

import re

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

import napari_lucky as lucky
from napari_lucky import LuckyError, Telescope
from napari_lucky.wavefront import WavefrontParameters

OPTICS = {"wavelength_nm": 633, "focal_ratio": 58.6, "pixel_um": 5.3, "defocus_waves": 2.0}


@pytest.fixture(scope="module")
def names():
    run = lucky.simulate_run(12, (200, 400), d_over_r0=2.5, photons=3e5, seed=3)
    window = (*run.focus[:2], 64)
    frames = lucky.calibrate(run, run.dark, run.flat)
    tracked = lucky.register(frames, window)
    quality = lucky.rank(frames, window)
    stack = lucky.stack(frames, tracked, lucky.select(quality, 5), window)
    return {
        "lucky": lucky, "np": np, "u": u, "fits": fits, "run": run, "w": window, "frames": frames,
        "tracked": tracked, "quality": quality, "stack": stack,
        "WavefrontParameters": WavefrontParameters,
        "OPTICS": OPTICS,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("lucky.Recipe('run', outliers=5)", "input has no 'outliers'"),
        ("lucky.Recipe('run', 'calibrate')", "'calibrate' is not a step; give steps such as"),
        ("lucky.Recipe('run', lucky.Calibrate)", "is not a step; give steps such as"),
        ("lucky.Recipe('run', [lucky.Select()])", "is not a step"),
        ("lucky.Recipe('run', dark='d.fits')", r"dark is a parameter of a step.*Calibrate\(dark=…"),
        ("lucky.Recipe('run', keep=5)", r"Select\(keep=…"),
        (
            "lucky.read_recipe('.')",
            "there is no recipe.toml in this folder. If it",
        ),
        ("lucky.keep_curve(frames, tracked, quality, w).describe(99)", "is for 1 to 12 frames"),
        ("lucky.psf_figures(stack, 'no such')", "There is no telescope 'no such'"),
        ("lucky.simulate_run(2, telescope='x')", "The telescope cannot be a str; expected a Tel"),
        ("lucky.optics.save_telescope('x', 3)", "The telescope cannot be a int; expected a Tel"),
        ("lucky.clean(frames, 'outliers')", "'outliers' is not a step"),
        ("lucky.Recipe('run', focus=(1, 2))", "must be a list of whole numbers, 3 in all"),
        ("lucky.Recipe(run.frames)", "it must be a list of paths"),
        ("lucky.Calibrate('dark.fits')", "Calibrate takes its parameters by name: dark, flat"),
        ("lucky.Calibrate(dark=run.dark)", "calibrate: dark is .*must be a path"),
        ("lucky.process('nothing.toml')", "nothing.toml: the recipe cannot be read"),
        ("lucky.register(frames, (140, 392))", "is not a window. Give"),
        ("lucky.register(frames, w, method=5)", "the method is 5; it must be one of"),
        ("lucky.register(frames, w, smooth='a')", "smooth is 'a'; it must be"),
        ("lucky.register(tracked, w)", "The frames cannot be a Registration; expected a path"),
        ("lucky.rank(frames, w, shifts=tracked.shifts[:5])", "There are 5 shifts for 12 frames"),
        ("lucky.rank(frames, w, diffraction=(7, 0.3))", "is not a telescope. Give a Telescope"),
        ("lucky.select(quality, 'best')", "keep is 'best'"),
        ("lucky.select(stack)", "The quality cannot be a Stack like this; expected a list of"),
        ("lucky.select(5)", "The quality cannot be a int"),
        ("lucky.keep_curve(frames, tracked, None, w)", "The quality cannot be a NoneType"),
        ("lucky.stack(frames, tracked, [1], w, quality=7)", "The quality cannot be a int"),
        ("lucky.recipe_to_toml('x')", "The recipe cannot be a str; expected a Recipe"),
        ("lucky.read_recipe(7)", "The recipe cannot be a int; expected a path"),
        ("lucky.process(None)", "The recipe cannot be a NoneType; expected a path"),
        ("lucky.write_results(None, 'out')", "The result cannot be a NoneType; expected what"),
        ("lucky.write_fits(7, stack)", "The file to write cannot be a int; expected a path"),
        ("lucky.simulate_run('a')", "The number of frames cannot be a str; expected a whole"),
        ("lucky.simulate_run(3, 64)", "The shape cannot be a int; expected rows and columns"),
        ("lucky.simulate_run(3, (64, 'a'))", "expected two whole numbers, rows and columns"),
        ("lucky.simulate_run(3, photons='many')", "The number of photons cannot be a str"),
        ("lucky.clean(frames, 5)", "The list of steps cannot be a int; expected steps such as"),
        ("lucky.stack(frames, tracked, 'best', w)", "chosen by whole numbers, by a slice, or"),
        ("lucky.stack(frames, tracked, [1], w, method='x')", "the method is 'x'"),
        (
            "lucky.stack(frames, tracked, [1], w, method='weighted', quality=quality[:3])",
            "There are 3 qualities for 12 frames",
        ),
        ("lucky.find_star(frames, 'big')", "side is 'big'; give a whole number of pixels"),
        ("lucky.find_star(frames, 64.0)", "side is 64.0; give a whole number of pixels"),
        ("lucky.clean(frames, ['outliers'])", "'outliers' is not a step"),
        ("lucky.clean(frames, [lucky.steps.RemoveOutliers])", "is not a step"),
        ("lucky.calibrate(frames, 97.0)", "The dark cannot be a float; expected a path"),
        ("lucky.calibrate(frames, run.dark, saturation='x')", "saturation is 'x'"),
        ("lucky.calibrate(frames, run.dark, saturation=9 * u.adu)", "saturation is <Quantity"),
        ("lucky.psf_figures(stack, 7)", "7 is not a telescope"),
        (
            "lucky.Telescope(0.45 * u.s, 0.3, 633, 58.6, 5.3)",
            "is <Quantity 0.45 s>; give a number in m",
        ),
        ("lucky.Telescope('0.45', 0.3, 633, 58.6, 5.3)", "diameter is '0.45'; give a number in m"),
        ("lucky.Telescope(0.45, None, 633, 58.6, 5.3)", "obstruction is None; give a number"),
        ("lucky.optics.Diffraction('7')", "sampling is '7'; give a number in pix"),
        (
            "lucky.psf.PsfRecipe(aperture='x')",
            "aperture is 'x'; it must be a number of at least 1 px",
        ),
        ("lucky.Window.centred(140.5, 392, 64)", "y0 is 108.5; it must be a whole number"),
        ("lucky.Window('a', 2, 10, 10)", "y0 is 'a'; it must be a whole number of pixels"),
        ("lucky.write_fits('x.fits', 5)", "A int cannot be written; give an ImageResult"),
        ("lucky.open_run('')", "No frames were given"),
        ("lucky.calibrate('')", "No frames were given"),
        ("lucky.open_run(5)", "A run cannot be opened from a int; give a folder"),
        ("lucky.open_run(run.frames)", "A run cannot be opened from a ndarray"),
        ("WavefrontParameters(focus=w, defocus=5, **OPTICS)", "5 is not a window"),
    ],
)
def test_it_is_answered_in_a_sentence(names, call, answer):
    with pytest.raises(LuckyError, match=re.compile(answer, re.S)):
        eval(call, names)


@pytest.mark.parametrize(
    "call",
    [
        "lucky.Recipe('run', focus=lucky.Window(76, 328, 128, 128)).input.focus == (140, 392, 128)",
        "lucky.register(run, w).found.all()",
        "(lucky.select(quality.tolist(), 5) == lucky.select(quality, 5)).all()",
        "lucky.clean(frames, lucky.steps.RemoveOutliers()).steps[0].table == 'outliers'",
        "lucky.stack_mean(frames, range(5), w).count == 5",
        "lucky.stack_mean(frames, slice(5), w).count == 5",
        "lucky.stack_mean(frames, {1, 2}, w).count == 2",
        "lucky.stack_mean(frames, 3, w).count == 1",
        "lucky.stack_mean(frames).image.shape == frames.shape[1:]",
        "lucky.stack(frames, tracked, window=w).count == 12",
        "np.array_equal(np.asarray(stack), stack.image)",
        "np.array_equal(np.asarray(lucky.fits.ImageResult(stack.image)), stack.image)",
        "np.array_equal(np.asarray(tracked), tracked.shifts) and len(tracked) == 12",
        "np.array_equal(lucky.clean(frames, [])[3], frames[3], equal_nan=True)",
        "lucky.stack_mean(frames, [1], np.s_[20:84, 8:40]).image.shape == (64, 32)",
        "lucky.register(frames, np.array(w, float)).focus == lucky.Window.centred(*w)",
        "len(lucky.as_frames(fits.ImageHDU(stack.image))) == 1",
        "(lucky.imaging.Shifted(frames, tracked).shifts == tracked.shifts).all()",
        "lucky.keep_curve(frames, tracked, list(quality), w).noise.size == 12",
        "WavefrontParameters(focus=w, defocus=w, **OPTICS).focus == lucky.Window.centred(*w)",
    ],
)
def test_it_is_taken(names, call):
    assert eval(call, names)


def test_quantities_are_converted_where_a_unit_is_stated():
    plain = Telescope(0.45, 0.3, 633.0, 58.6, 5.3)
    given = Telescope(45 * u.cm, 30 * u.percent, 0.633 * u.um, 58.6, 5300 * u.nm)
    for name in ("diameter_m", "obstruction", "wavelength_nm", "pixel_um"):
        assert getattr(given, name) == pytest.approx(getattr(plain, name))
        assert type(getattr(given, name)) is float
    assert lucky.optics.Diffraction(7 * u.pix) == lucky.optics.Diffraction(7)


def test_a_stack_an_array_and_frames_are_written(names, tmp_path):
    stack, frames = names["stack"], names["frames"]
    lucky.write_fits(str(tmp_path / "stack.fits"), stack)
    with fits.open(tmp_path / "stack.fits") as read:
        assert [hdu.name for hdu in read][1:] == ["VARIANCE", "COVERAGE"]
        np.testing.assert_array_equal(read[0].data, stack.image)
        assert read[0].header["NCOMBINE"] == 5
    lucky.write_fits(tmp_path / "frames.fits", frames[:3])
    np.testing.assert_array_equal(fits.getdata(tmp_path / "frames.fits"), np.asarray(frames[:3]))
    lucky.write_fits(tmp_path / "array.fits", [stack.image])
    np.testing.assert_array_equal(lucky.as_frames(tmp_path / "array.fits")[0], stack.image)
    with pytest.raises(LuckyError, match=r"array\.fits is already there; it is kept"):
        lucky.write_fits(tmp_path / "array.fits", stack)
    lucky.write_fits(tmp_path / "array.fits", 2 * stack.image, overwrite=True)
    (saved,) = lucky.fits.read_saved(tmp_path / "array.fits")
    np.testing.assert_array_equal(np.asarray(saved), 2 * stack.image)


def test_a_recipe_is_processed_from_its_file(tmp_path):
    run = lucky.simulate_run(12, (200, 400), d_over_r0=2.5, photons=3e5, seed=3)
    fits.PrimaryHDU(run.frames).writeto(tmp_path / "cube.fits")
    recipe = lucky.Recipe(tmp_path / "cube.fits", lucky.Select(keep=4), focus=run.focus)
    (tmp_path / "recipe.toml").write_text(lucky.recipe_to_toml(recipe))
    result = lucky.process(tmp_path)
    assert result.images["focus"].combined == 4
    whole = lucky.psf_figures(result)  # of the focused star
    assert whole.flux == lucky.psf_figures(result.images["focus"]).flux


def test_a_name_that_is_in_a_room_is_pointed_to():
    with pytest.raises(AttributeError, match=r"'Checkpoint'; it is in napari_lucky\.execution"):
        lucky.Checkpoint  # noqa: B018
    with pytest.raises(AttributeError, match=r"it is in napari_lucky\.steps"):
        lucky.RemoveOutliers  # noqa: B018
