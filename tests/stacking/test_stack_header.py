"""Stacks keep the star's coordinates on the sky, and have their frames' times."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS

from napari_lucky import Recipe, Select, open_run, process, write_fits
from napari_lucky.fits.read_back import read_saved
from napari_lucky.frames import ArrayFrames
from napari_lucky.frames.history import number_ranges, read_history
from napari_lucky.frames.window import Window
from napari_lucky.pipeline.process import stack_results
from napari_lucky.stacking.methods import stack_method
from napari_lucky.stacking.stack_header import moved_header, timed_header
from napari_lucky.steps import ReadTimes
from napari_lucky.steps.registry import load_steps
from napari_lucky.viewer.to_layers import image_tuple

STACKS = list(load_steps()["stack"])
STEP = 1e-5
RNG = np.random.default_rng(5)
pytestmark = pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")


def folder_of_frames(folder, n=12, drift=0.0, blank=()):
    """Write frames of a star that jumps about, their coordinates all the same; return places."""
    y, x = np.mgrid[:64, :72]
    places = RNG.uniform(-4, 4, (n, 2)) + drift * np.arange(n)[:, None] + [30, 33]
    folder.mkdir()
    for k, (sy, sx) in enumerate(places):
        star = 0 if k in blank else 2000 * np.exp(-((y - sy) ** 2 + (x - sx) ** 2) / 8)
        image = (star + RNG.normal(100, 2, y.shape)).astype(np.float32)
        header = fits.Header()
        header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=83.6, CRVAL2=22.0)
        header.update(CRPIX1=31.25, CRPIX2=18.75, CD1_1=-STEP, CD1_2=0.0, CD2_1=0.0, CD2_2=STEP)
        header["DATE-OBS"] = f"2024-01-01T00:00:{k:02}"
        header["DATE-END"] = f"2024-01-01T00:00:{k:02}.5"
        header["DATE-AVG"] = f"2024-01-01T00:00:{k:02}.25"
        header["DATE"] = "2024-01-02"
        fits.PrimaryHDU(image, header).writeto(folder / f"frame_{k:03}.fits")
    return places


def star_in(image):
    """Return where the star is, (y, x): the centre of its light over a tenth of its peak."""
    light = np.nan_to_num(np.asarray(image, float))
    light -= np.median(light)
    light = np.maximum(light - light.max() / 10, 0)
    return [(light * at).sum() / light.sum() for at in np.indices(light.shape)]


def off(header, image, place, of=None):
    """Return by how many pixels of the source the star's coordinates are off its place."""
    y, x = star_in(image)
    sky = WCS(header).all_pix2world([[x, y]], 0)
    return np.hypot(*(WCS(of).all_world2pix(sky, 0)[0] - np.array(place)[::-1]))


@pytest.mark.parametrize("method", STACKS)
def test_the_star_has_the_coordinates_that_it_has_in_the_first_frame(method, tmp_path):
    places = folder_of_frames(tmp_path / "run", drift=1.0)
    recipe = Recipe(
        (str(tmp_path / "run"),), Select(keep=1.0), stack_method(method), focus=(34, 37, 30)
    )
    result = process(recipe)
    first = fits.getheader(tmp_path / "run" / "frame_000.fits")
    write_fits(tmp_path / "x.fits", [result.images["focus"]])
    written = fits.getheader(tmp_path / "x.fits")
    assert off(written, fits.getdata(tmp_path / "x.fits"), places[0], first) < 0.05
    (back, *_) = read_saved(tmp_path / "x.fits")
    write_fits(tmp_path / "y.fits", [replace(back, variance=None)])
    for axis in (1, 2):
        again = fits.getheader(tmp_path / "y.fits")[f"CRPIX{axis}"]
        assert again == pytest.approx(written[f"CRPIX{axis}"], abs=1e-9)
    # stack, table and LTV agree on where the star is on the sensor
    y, x = star_in(fits.getdata(tmp_path / "x.fits"))
    scale = written.get("LTM1_1", 1)
    on_sensor = [(v + 1 - written[f"LTV{axis}"]) / scale - 1 for axis, v in ((2, y), (1, x))]
    np.testing.assert_allclose(on_sensor, result.table.reference, atol=0.1)


@pytest.mark.parametrize("method", ["mean", "clipped", "weighted", "drizzle"])
def test_whole_pixels_and_the_unshifted_long_exposure(method, tmp_path):
    places = folder_of_frames(tmp_path / "run")
    by = stack_method(method, subpixel=False)
    result = process(Recipe((str(tmp_path / "run"),), Select(keep=0.5), by, focus=(30, 33, 30)))
    first = fits.getheader(tmp_path / "run" / "frame_000.fits")
    for name, image in result.images.items():
        write_fits(tmp_path / f"{name}.fits", [image])
    written = fits.getheader(tmp_path / "focus.fits")
    assert off(written, fits.getdata(tmp_path / "focus.fits"), places[0], first) < 0.05
    # the table has the shifts that were measured, not rounded
    np.testing.assert_allclose(
        result.table.shifts + places, [result.table.reference] * 12, atol=0.05
    )
    written = fits.getheader(tmp_path / "long_exposure.fits")
    assert written["CRPIX1"] == first["CRPIX1"] - image.origin[1]


def test_a_first_frame_without_a_shift_and_a_later_start(tmp_path):
    """The coordinates are those of the first frame that is shifted, and of its own header."""
    places = folder_of_frames(tmp_path / "run")
    with fits.open(tmp_path / "run" / "frame_003.fits", mode="update") as hdus:
        hdus[0].header["CRPIX1"] += 10.5  # this frame's own
    of = fits.getheader(tmp_path / "run" / "frame_003.fits")
    result = process(
        Recipe((str(tmp_path / "run"),), Select(keep=1.0), focus=(30, 33, 30), start=2)
    )
    table, run = result.table, open_run((tmp_path / "run",))
    shifts = np.concatenate([np.full((3, 2), np.nan), table.shifts[1:]])
    window = Window(15, 18, 30, 30)
    every = replace(
        table, frame=np.arange(12), file=run.files, shifts=shifts,
        selected=np.isfinite(shifts[:, 0]), quality=np.ones(12),
    )  # fmt: skip
    made = stack_results(run, every, window, None, "mean", run.header)["focus"]
    write_fits(tmp_path / "x.fits", [made])
    written = fits.getheader(tmp_path / "x.fits")
    assert off(written, made.data, places[3], of) < 0.05
    write_fits(tmp_path / "y.fits", [result.images["focus"]])
    second = fits.getheader(tmp_path / "run" / "frame_002.fits")
    written = fits.getheader(tmp_path / "y.fits")
    assert off(written, result.images["focus"].data, places[2], second) < 0.05


@pytest.mark.parametrize(("first", "ra"), [(0, 10.0), (1, 10.0), (2, 20.0), (3, 20.0)])
def test_the_header_is_that_of_the_file_with_the_first_frame_that_has_a_shift(first, ra, tmp_path):
    for name, count, there in (("a", 2, 10.0), ("b", 5, 20.0)):
        header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": there})
        fits.PrimaryHDU(np.ones((count, 8, 8), np.int16), header).writeto(tmp_path / f"{name}.fits")
    run = open_run([tmp_path / "a.fits", tmp_path / "b.fits"])
    shifts = np.zeros((7, 2))
    shifts[:first] = np.nan
    assert moved_header(run.header, run, shifts)["CRVAL1"] == ra


def test_times_are_those_of_the_frames_that_are_stacked(tmp_path):
    folder_of_frames(tmp_path / "run")
    result = process(
        Recipe((str(tmp_path / "run"),), Select(keep=2, add=(4, 9)), focus=(30, 33, 30))
    )
    header = result.images["focus"].header
    kept = np.flatnonzero(result.table.selected)
    assert header["DATE-OBS"] == header["DATE-BEG"] == f"2024-01-01T00:00:{kept[0]:02}"
    assert header["DATE-END"] == f"2024-01-01T00:00:{kept[-1]:02}.5"
    assert "DATE-AVG" not in header  # for lack of exposures
    header = result.images["long_exposure"].header
    assert header["DATE-OBS"] == "2024-01-01T00:00:00"
    assert header["DATE-END"] == "2024-01-01T00:00:11.5"
    write_fits(tmp_path / "x.fits", [result.images["focus"]], overwrite=True)
    assert fits.getheader(tmp_path / "x.fits")["DATE"] > "2026"  # not when a frame was written


def exposed_frames(folder, n=12):
    """Write frames that were taken in another order than their names', each with its exposure."""
    folder_of_frames(folder, n)
    began = np.datetime64("2024-01-01T00:00:00", "us") + np.arange(n)[::-1] * 2_000_000
    exposed = np.where(np.arange(n) == 3, 0.5, 0.25)
    for k in range(n):
        with fits.open(folder / f"frame_{k:03}.fits", mode="update") as hdus:
            header = hdus[0].header
            del header["DATE-END"], header["DATE-AVG"]
            header["DATE-OBS"], header["EXPTIME"] = str(began[k]), exposed[k]
            header["MJD-OBS"], header["TELAPSE"] = 60310.0, 0.3
            header["TIME-OBS"] = header["UTSTART"] = str(began[k])[11:]
            header["FRAME_NO"] = k
    return began, exposed


def test_the_first_the_last_and_the_mean_of_the_kept_frames(tmp_path):
    """By their times, not by their names; astropy adds them up."""
    began, exposed = exposed_frames(tmp_path / "run")
    keep = (1, 3, 4, 9)
    recipe = Recipe((str(tmp_path / "run"),), Select(keep=1, add=keep), focus=(30, 33, 30))
    result = process(recipe)
    for name in ("focus", "long_exposure"):
        kept = np.flatnonzero(result.table.selected) if name == "focus" else np.arange(12)
        write_fits(tmp_path / "x.fits", result.images[name], overwrite=True)
        header = fits.getheader(tmp_path / "x.fits")
        start = Time(began[kept], scale="utc")
        length = exposed[kept] * units.s
        for keyword, time in {
            "DATE-OBS": start.min(), "DATE-BEG": start.min(), "DATE-END": (start + length).max(),
            "DATE-AVG": (start + length / 2).mean(),
        }.items():  # fmt: skip
            assert abs((Time(header[keyword], scale="utc") - time).to_value("s")) < 1e-5
        assert header["MJD-OBS"] == pytest.approx(start.min().mjd, abs=1e-9)
        assert header["TIME-OBS"] == header["UTSTART"] == str(began[kept].min())[11:]
        assert "FRAME_NO" not in header
        assert header["EXPTIME"] == pytest.approx(exposed[kept].mean())
        assert header["XPOSURE"] == header["TOTALEXP"] == pytest.approx(exposed[kept].sum())
        assert (header["NCOMBINE"], "TELAPSE" in header) == (len(kept), False)
        (step,) = (s for s in read_history(header["HISTORY"]) if s.name == "stack")
        assert step.facts["numbers"] == number_ranges(kept)
    np.testing.assert_array_equal(result.table.time, began)
    np.testing.assert_array_equal(result.table.exposure, exposed)


def test_times_from_a_table_are_those_of_the_frames_of_a_cube(tmp_path):
    """Without it the cube's own beginning stays: it is known of no other frame."""
    frames = np.random.default_rng(2).normal(100, 2, (12, 40, 40)).astype(np.float32)
    frames[:, 19:22, 18:21] += 900
    header = fits.Header([("DATE-OBS", "2024-01-01T00:00:00"), ("DATE-AVG", "2024-01-01T00:01:00")])
    fits.PrimaryHDU(frames, header).writeto(tmp_path / "cube.fits")
    times = np.datetime64("2024-01-01T00:00:03", "us") + np.arange(12) * 50_000
    lines = [f"{time},0.04" for time in times]
    (tmp_path / "t.csv").write_text("\n".join(["time,exposure", *lines]))
    recipe = Recipe((str(tmp_path / "cube.fits"),), Select(keep=2), focus=(20, 19, 24), start=1)
    without = process(recipe).images
    assert without["focus"].header["DATE-OBS"] == "2024-01-01T00:00:00"
    assert "DATE-AVG" not in without["focus"].header
    given = ReadTimes(times_file=str(tmp_path / "t.csv"))
    result = process(recipe.with_steps(given))
    np.testing.assert_array_equal(result.table.time, times[1:])
    header = result.images["long_exposure"].header
    assert (header["DATE-OBS"], header["DATE-END"]) == (
        "2024-01-01T00:00:03.05", "2024-01-01T00:00:03.59",
    )  # fmt: skip
    assert (header["EXPTIME"], header["XPOSURE"]) == (0.04, 0.44)
    assert [s.inputs["name"] for s in result.table.history if s.name == "read times"] == ["t.csv"]


def test_without_exposures_beginnings_are_all_that_is_known(tmp_path):
    began, _ = exposed_frames(tmp_path / "run")
    for path in (tmp_path / "run").iterdir():
        with fits.open(path, mode="update") as hdus:
            del hdus[0].header["EXPTIME"]
            hdus[0].header["TIMESYS"] = "TAI"  # 37 s before
    began = began - np.timedelta64(37, "s")
    result = process(Recipe((str(tmp_path / "run"),), focus=(30, 33, 30)))
    header = result.images["long_exposure"].header
    assert header["DATE-END"] == str(began.max())[:19]
    assert header["DATE-AVG"] == str(began.min() + (began - began.min()).mean())[:19]
    assert "no exposure" in header.comments["DATE-AVG"]
    assert (header["TIMESYS"], header["DATE-OBS"]) == ("UTC", str(began.min())[:19])
    assert not {"EXPTIME", "TIME-OBS"} & set(header)


def test_frames_without_a_time_are_counted(tmp_path):
    began, _ = exposed_frames(tmp_path / "run")
    with fits.open(tmp_path / "run" / "frame_011.fits", mode="update") as hdus:
        del hdus[0].header["DATE-OBS"], hdus[0].header["MJD-OBS"]
    result = process(Recipe((str(tmp_path / "run"),), focus=(30, 33, 30)))
    header = result.images["long_exposure"].header
    assert header["DATE-OBS"] == str(began[10])[:19]
    assert header.comments["DATE-BEG"].endswith("(11 of 12 known)")


@pytest.mark.parametrize("header", [None, {"CRPIX1": 3.0}, "text"])
def test_what_is_no_header_is_given_back(header):
    frames = ArrayFrames(np.zeros((2, 9, 9)))
    assert moved_header(header, frames, np.ones((2, 2))) is header
    own = fits.Header([("CRPIX1", 3.0)])
    assert moved_header(own, frames, np.full((2, 2), np.nan)) is own
    assert moved_header(own, frames, np.array([[np.nan, 1], [2.0, 0.5]]))["CRPIX1"] == 3.5


def test_what_is_made_of_a_layer_from_a_saved_window_keeps_its_place():
    """Header and origin of a layer that was read back hold for what is made of it."""
    header = fits.Header([("CRPIX1", 100.0), ("CTYPE1", "RA---TAN")])
    image = np.ones((20, 20), np.float32)
    _, meta, _ = image_tuple(image, "saved", header=header, origin=(32, 48))
    like = SimpleNamespace(
        ndim=2, units=("pixel",) * 2, axis_labels=("y", "x"), metadata=meta["metadata"],
        scale=np.array(meta["scale"]), translate=np.array(meta["translate"]),
    )  # fmt: skip
    _, meta, _ = image_tuple(image[2:, 3:], "part", header=header, origin=(2, 3), like=like)
    assert meta["metadata"]["origin"] == (34, 51)
    np.testing.assert_array_equal(meta["translate"], (34, 51))


def test_an_exposure_that_is_not_known_of_one_frame_gives_no_total():
    header = fits.Header([("EXPTIME", 9.0), ("EXPOSURE", 9.0), ("XPOSURE", 9.0)])
    frames, every = ArrayFrames(np.zeros((3, 16, 16), np.float32)), np.arange(3)

    def made(*seconds):
        return timed_header(header, header, frames, every, exposures=np.array(seconds))

    known = made(0.1, 0.1, 0.1)
    assert (known["EXPTIME"], known["EXPOSURE"], known["XPOSURE"]) == (0.1, 0.1, 0.3)
    assert "average" not in known.comments["EXPTIME"]
    mixed = made(0.1, 0.2, 0.3)
    assert (mixed["EXPTIME"], mixed["EXPOSURE"], mixed["TOTALEXP"]) == (0.2, 0.2, 0.6)
    assert "average" in mixed.comments["EXPTIME"]
    doubtful = made(0.1, np.nan, 0.1)
    assert "XPOSURE" not in doubtful and "TOTALEXP" not in doubtful
    assert doubtful["EXPTIME"] == 9.0
