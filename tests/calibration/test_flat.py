"""Flats before and after their normalisation, never normalised twice; the masters as files."""

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import (
    Calibrate,
    LuckyError,
    Recipe,
    Select,
    calibrate,
    open_run,
    process,
    simulate_run,
    write_fits,
)
from napari_lucky.calibration import flat_field
from napari_lucky.calibration.flat import (
    NORMALISED,
    SUBTRACTED,
    FlatField,
    flat_steps,
    kind_notes,
)
from napari_lucky.cli.main import main
from napari_lucky.fits.image_result import ImageResult
from napari_lucky.fits.integers import IntegerFormat
from napari_lucky.fits.read_back import read_saved
from napari_lucky.frames import ArrayFrames, Record
from napari_lucky.pipeline import make_masters
from napari_lucky.plots.flat import FlatDrawing

SHAPE = (40, 60)
DARK, LEVEL = 100.0, 2000.0


def response():
    """Vignetting of median 1 with two dead pixels."""
    y, x = np.mgrid[:40, :60]
    image = 1 - ((y - 19.5) ** 2 + (x - 29.5) ** 2) / 6000
    image /= np.median(image)
    image[5, 6], image[20, 8] = 0, 0.1
    return image


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """flats/ of 5 frames and darks/ of 3, noise-free, whose means are known."""
    folder = tmp_path_factory.mktemp("raw")
    cards = fits.Header([("EXPTIME", 0.5), ("TELESCOP", "T")])
    for name, count, image in (
        ("flats", 5, DARK + LEVEL * response()),
        ("darks", 3, np.full(SHAPE, DARK)),
    ):
        (folder / name).mkdir()
        for k in range(count):
            pixels = (image + 10 * (k - count // 2)).astype(np.float32)
            fits.PrimaryHDU(pixels, cards).writeto(folder / name / f"f_{k}.fits")
    return folder


def known():
    expected = response()
    expected /= np.median(expected)
    expected[expected < 0.2] = np.nan
    return expected


# --- the masters


@pytest.mark.parametrize("combine", ["mean", "median"])
def test_the_masters_are_what_is_known(folders, tmp_path, combine):
    field, files = make_masters(
        folders / "flats", tmp_path, folders / "darks", combine=combine, row=5
    )
    assert [f.name for f in files] == [
        "master_flat.fits",
        "master_dark.fits",
        "flat.png",
        "summary.json",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f.name for f in files)
    np.testing.assert_allclose(field.response, known(), rtol=1e-6)
    np.testing.assert_allclose(field.light, LEVEL * response(), atol=1e-3)
    assert field.level == pytest.approx(LEVEL)
    assert field.rms == pytest.approx(np.sqrt(np.nanmean((known() - 1) ** 2)), rel=1e-5)
    assert field.dead == 2
    flat, header = fits.getdata(tmp_path / "master_flat.fits", header=True)
    np.testing.assert_array_equal(flat, field.response)
    assert (header["EXPTIME"], header["NCOMBINE"], header["BUNIT"]) == (0.5, 5, "")
    (found,) = read_saved(tmp_path / "master_flat.fits")
    steps = {step.name: step for step in found.history}
    assert list(steps) == ["open", "combine flat", SUBTRACTED, NORMALISED]
    assert steps["combine flat"].parameters["method"] == combine
    assert steps[SUBTRACTED].inputs["name"] == "darks"
    assert steps[NORMALISED].parameters["median"] == pytest.approx(LEVEL)
    assert steps[NORMALISED].parameters["dead_pixels"] == 2
    dark, header = fits.getdata(tmp_path / "master_dark.fits", header=True)
    np.testing.assert_allclose(dark, DARK)
    assert (header["NCOMBINE"], header["BUNIT"]) == (3, "adu")
    assert (tmp_path / "flat.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_dark_there_is_no_master_dark_and_none_is_taken_off(folders, tmp_path):
    make_masters(folders / "flats", tmp_path, folders / "darks")
    with pytest.raises(LuckyError, match="already holds results"):
        make_masters(folders / "flats", tmp_path)
    field, files = make_masters(folders / "flats", tmp_path, overwrite=True)
    assert [f.name for f in files] == ["master_flat.fits", "flat.png", "summary.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "flat.png",
        "master_flat.fits",
        "summary.json",
    ]
    assert field.level == pytest.approx(LEVEL + DARK)
    (found,) = read_saved(tmp_path / "master_flat.fits")
    assert [step.name for step in found.history] == ["open", "combine flat", NORMALISED]


def test_the_same_frames_make_the_same_files(folders, tmp_path):
    for name in ("a", "b"):
        make_masters(folders / "flats", tmp_path / name, folders / "darks")
    for path in (tmp_path / "a").iterdir():
        other = tmp_path / "b" / path.name
        if path.suffix == ".fits":  # but for when they were written
            assert fits.FITSDiff(str(path), str(other), ignore_keywords=["DATE"]).identical
        else:
            assert path.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"row": 40}, "no row 40; its rows are 0 to 39"),
        ({"row": -1}, "no row -1"),
        ({"combine": "mode"}, "one of mean, median"),
        ({"flat": "absent"}, "no such file"),
        ({"flat": "darks", "dark": "flats"}, "swapped"),
    ],
)
def test_what_cannot_be_used_leaves_nothing(folders, tmp_path, options, says):
    given = {"flat": "flats", "dark": "darks", **options}
    flat, dark = (folders / given.pop(name) for name in ("flat", "dark"))
    with pytest.raises(LuckyError, match=says):
        make_masters(flat, tmp_path / "out", dark, **given)
    assert not (tmp_path / "out").exists()


def test_a_dark_of_another_shape_and_a_master_flat_are_refused(folders, tmp_path):
    fits.PrimaryHDU(np.zeros((4, 6), "f4")).writeto(tmp_path / "small.fits")
    with pytest.raises(LuckyError, match="4 x 6 pixels, the flat has 40 x 60"):
        make_masters(folders / "flats", tmp_path / "out", tmp_path / "small.fits")
    make_masters(folders / "flats", tmp_path)
    with pytest.raises(LuckyError, match="a master flat already"):
        make_masters(tmp_path / "master_flat.fits", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- used as flat and dark


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A simulated run in a cube, with raw dark and flat."""
    run, folder = simulate_run(6, (200, 400), d_over_r0=2.5, seed=3), tmp_path_factory.mktemp("run")
    header = fits.Header(list(run.header.items()))
    for name, image in (("cube", run.frames), ("dark", run.dark), ("flat", run.flat)):
        fits.PrimaryHDU(image, header).writeto(folder / f"{name}.fits")
    return folder, run.focus, run.defocus


@pytest.mark.parametrize("dead_below", [0.2, 0.85])
def test_process_gives_the_same_with_the_masters_as_with_raw_dark_and_flat(
    raw, tmp_path, dead_below
):
    folder, focus, defocus = raw
    make_masters(folder / "flat.fits", tmp_path, folder / "dark.fits")
    raw_masters = Calibrate(
        dark=folder / "dark.fits", flat=folder / "flat.fits", dead_below=dead_below
    )
    cube = folder / "cube.fits"
    recipe = Recipe(cube, raw_masters, Select(keep=2), focus=focus, defocus=defocus)
    one = process(recipe)
    masters = {name: f"{tmp_path}/master_{name}.fits" for name in ("dark", "flat")}
    two = process(recipe.changed(Calibrate, **masters))
    for name, image in one.images.items():
        np.testing.assert_allclose(two.images[name].data, image.data, rtol=1e-6)
    np.testing.assert_allclose(two.table.shifts, one.table.shifts, atol=1e-6)
    for result, given in ((one, None), (two, True)):
        (step,) = (s for s in result.images["focus"].history if s.name == "calibrate")
        assert step.inputs["flat"].get("given_normalised") == given

    # the trap that this test is for: the same flat without its history loses the dark twice
    fits.writeto(tmp_path / "bare.fits", fits.getdata(masters["flat"]))
    with pytest.raises(LuckyError, match="no light in it"):
        process(recipe.changed(Calibrate, dark=masters["dark"], flat=tmp_path / "bare.fits"))


@pytest.mark.parametrize("integers", [IntegerFormat(), IntegerFormat(1.5, 16)])
def test_a_master_flat_saved_as_integers_is_known_again(folders, tmp_path, integers):
    make_masters(folders / "flats", tmp_path, folders / "darks")
    write_fits(tmp_path / "x.fits", read_saved(tmp_path / "master_flat.fits"), integers)
    field = flat_field(open_run(tmp_path / "x.fits"), np.full(SHAPE, DARK))
    assert field.light is None
    np.testing.assert_allclose(field.response, known(), atol=2e-5)


def test_a_flat_freed_of_its_dark_is_normalised_alone(folders, tmp_path):
    light = ImageResult((LEVEL * response()).astype("f4"), history=(Record(SUBTRACTED),))
    write_fits(tmp_path / "light.fits", [light])
    frames, dark = ArrayFrames(np.zeros((3, *SHAPE))), ArrayFrames(np.full(SHAPE, DARK))
    made = calibrate(frames, dark, open_run(tmp_path / "light.fits"))
    np.testing.assert_allclose(made.flat, known(), rtol=1e-6)
    made = calibrate(frames, dark, ArrayFrames(light.data), flat_history=light.history)
    np.testing.assert_allclose(made.flat, known(), rtol=1e-6)
    np.testing.assert_allclose(made.light, light.data, rtol=1e-6)
    assert made.dark[0, 0] == DARK  # which the run does lose


def test_a_master_flat_that_is_all_dead_is_reported():
    with pytest.raises(LuckyError, match=r"no pixel with a response of 0\.9"):
        flat_field(ArrayFrames(np.full(SHAPE, 0.5)), dead_below=0.9, history=(Record(NORMALISED),))


def test_steps_of_a_flat_given_normalised():
    field = FlatField(known().astype("f4"))
    assert [step.name for step in flat_steps(field, {})] == [NORMALISED]
    assert np.isnan(field.level)


# --- the picture


def drawing(field, row, **options):
    from matplotlib.figure import Figure

    return FlatDrawing(Figure(), field, row, **options)


def test_the_profiles_are_the_rows_and_follow():
    field = FlatField(known().astype("f4"), (LEVEL * response()).astype("f4"))
    drawn = drawing(field, 20, page=True)
    for row in (20, 5, 39):
        if row != 20:
            drawn.show_row(row)
        for name, image in (("light", field.light), ("response", field.response)):
            (line,) = drawn.axes[f"{name} row"].lines
            np.testing.assert_array_equal(line.get_ydata(), image[row])
            assert f"row {row} " in drawn.axes[f"{name} row"].get_title()
        assert [mark.get_ydata() for mark in drawn.marks] == [[row, row]] * 2
    assert "2000 ADU" in drawn.axes["light"].get_title()
    rms = 100 * np.sqrt(np.nanmean((known() - 1) ** 2))
    assert f"rms {rms:.3g} %" in drawn.axes["response"].get_title()
    assert "2 dead pixels" in drawn.axes["response"].get_title()
    counts = [bar.get_height() for bar in drawn.axes["histogram"].patches]
    assert sum(counts) == field.response.size - 2


def test_a_flat_given_normalised_has_no_picture_before():
    drawn = drawing(FlatField(known().astype("f4")), 3)
    assert "given normalised" in drawn.axes["light"].get_title()
    assert not drawn.axes["light"].images
    assert len(drawn.axes["response"].images) == 1
    assert not drawn.axes["light row"].lines


# --- the command


def test_the_command_line(folders, tmp_path, capsys):
    given = ["flat", str(folders / "flats"), "--dark", str(folders / "darks"), "--row", "7"]
    given += ["--combine", "median", "-o", str(tmp_path / "out")]
    assert main(given) == 0
    told = capsys.readouterr().out
    assert "median 2000 ADU" in told
    assert "2 dead pixels" in told
    np.testing.assert_allclose(fits.getdata(tmp_path / "out/master_flat.fits"), known(), rtol=1e-6)
    assert main(given) == 2
    assert "give --overwrite" in capsys.readouterr().err
    assert main([*given, "--overwrite"]) == 0
    assert main([*given[:-1], str(tmp_path / "other"), "--row", "99"]) == 2
    assert "no row 99" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


# --- dark and flat swapped


def frames_of_kind(path, level, seed, **cards):
    pixels = np.random.default_rng(seed).normal(level, 5, (3, *SHAPE)).astype(np.float32)
    fits.PrimaryHDU(pixels, fits.Header(list(cards.items()))).writeto(path)
    return path


def test_a_dark_given_as_the_flat_is_noticed(tmp_path):
    """By the header, by the history, by its light, or at least by its name."""
    dark = frames_of_kind(tmp_path / "a.fits", DARK, 0)
    another = frames_of_kind(tmp_path / "b.fits", DARK + 0.3, 1)
    told = frames_of_kind(tmp_path / "c.fits", LEVEL, 2, IMAGETYP="Dark Frame")
    flat = frames_of_kind(tmp_path / "d.fits", LEVEL, 3, IMAGETYP="FLAT")
    both = frames_of_kind(tmp_path / "e.fits", DARK, 4, IMAGETYP="flat dark")
    run = ArrayFrames(np.full((3, *SHAPE), 500.0, np.float32))
    with pytest.raises(LuckyError, match="hardly brighter than the dark"):
        calibrate(run, open_run(dark), open_run(another))
    with pytest.raises(LuckyError, match=r"c: given as the flat, but its header says IMAGETYP"):
        calibrate(run, None, open_run(told))
    with pytest.raises(LuckyError, match=r"d: given as the dark, but its header says"):
        calibrate(run, open_run(flat), None)
    for given in ((flat, told), (told, tmp_path / "c.fits")):
        with pytest.raises(LuckyError, match="dark and flat are not swapped"):
            make_masters(given[1], tmp_path / "out", given[0])
    notes = []
    _, files = make_masters(flat, tmp_path / "out", both, notify=notes.append)
    assert notes == []
    with pytest.raises(LuckyError, match="given as the flat, but it is a master dark"):
        calibrate(run, None, open_run(next(f for f in files if f.name == "master_dark.fits")))
    assert kind_notes("night/dark_1.fits", "flat") == [
        "dark_1.fits is given as the flat: check that dark and flat are not swapped."
    ]
    for path, kind in (("dark.fits", "dark"), ("flat_dark.fits", "flat"), (None, "flat")):
        assert kind_notes(path, kind) == []
