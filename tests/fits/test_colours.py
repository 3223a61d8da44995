"""Frames of three planes and mosaics: one number a pixel, and results that say what they are."""

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import (
    Calibrate,
    LuckyError,
    Recipe,
    Select,
    Window,
    open_run,
    process,
    write_fits,
)
from napari_lucky.fits.colours import header_colours, shifted_pattern
from napari_lucky.fits.run_files import open_like
from napari_lucky.fits.run_notes import run_notes

WINDOW = Window(3, 5, 11, 17)
HINTS = [{"CTYPE3": "RGB"}, {"COLORTYP": "RGB"}, {"COLORSPC": "sRGB"}, {}]


def write(folder, frames, cards=(), name="frame"):
    for k, frame in enumerate(frames):
        fits.PrimaryHDU(frame, fits.Header(list(dict(cards).items()))).writeto(
            folder / f"{name}_{k:03d}.fits"
        )
    return folder


def star(n=12, side=64, seed=0):
    """A star that wanders over whole pixels, of three colours: (n, 3, y, x)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    at = side / 2 + rng.normal(0, 3, (n, 2)).round()
    light = [np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 18) for cy, cx in at]
    colours = np.array([3000.0, 6000.0, 1500.0])[:, None, None]
    return rng.poisson(colours * np.array(light)[:, None] + 200).astype(np.uint16)


@pytest.mark.parametrize("cards", HINTS)
def test_files_of_three_planes_are_frames_in_colour(tmp_path, cards):
    frames = star(5)
    write(tmp_path, frames, cards)
    run = open_run(tmp_path)
    assert (run.shape, run.dtype) == ((5, 64, 64), np.float32)
    assert np.allclose(run.read(slice(None)), frames.mean(axis=1), atol=1e-3)
    assert np.allclose(run.read(np.array([4, 1]), WINDOW), frames[[4, 1], :, 3:14, 5:22].mean(1))
    for k, colour in enumerate(("red", "green", "blue")):
        one = open_run(tmp_path, colour)
        assert one.dtype == np.uint16
        assert np.array_equal(one.read(slice(1, 5, 2), WINDOW), frames[1:5:2, k, 3:14, 5:22])
    assert open_run(tmp_path, "frames").shape == (15, 64, 64)
    (told,) = run_notes(run)
    assert "5 frames in colour" in told
    assert "red or green or blue" in told
    assert run.inputs["colour"] == "luminance"


def test_a_cube_is_in_colour_if_its_header_says_so(tmp_path):
    frames = star(2)
    path, plain = tmp_path / "rgb.fits", tmp_path / "cube.fits"
    header = fits.Header([("CTYPE3", "RGB")])
    fits.PrimaryHDU(frames.reshape(6, 64, 64), header).writeto(path)
    assert np.allclose(open_run(path).read(slice(None)), frames.mean(axis=1), atol=1e-3)
    fits.PrimaryHDU(frames[0]).writeto(plain)
    run = open_run(plain)
    assert np.array_equal(run.read(slice(None)), frames[0])
    assert "three planes are read as three frames" in run_notes(run)[0]
    assert np.array_equal(open_run(plain, "green")[0], frames[0, 1])
    fits.PrimaryHDU(frames).writeto(plain, overwrite=True)  # frames of three planes: two axes
    run = open_run(plain)
    assert np.allclose(run.read(slice(None)), frames.mean(axis=1), atol=1e-3)
    assert "2 frames in colour" in run_notes(run)[0]
    fits.PrimaryHDU(frames[0, [0, 1, 1, 2]], header).writeto(plain, overwrite=True)
    assert "colours, but there are 4: they are read as frames" in run_notes(open_run(plain))[0]
    packed = tmp_path / "rgb.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(frames[0], header)]).writeto(packed)
    assert np.allclose(open_run(packed)[0], frames[0].mean(axis=0), atol=1e-3)


def test_a_file_in_colour_among_others_is_left_out(tmp_path):
    write(tmp_path, star(3)[:, 0])
    fits.PrimaryHDU(star(1)[0], fits.Header([("CTYPE3", "RGB")])).writeto(tmp_path / "frame_9.fits")
    run = open_run(tmp_path)
    assert run.shape == (3, 64, 64)
    assert run_notes(run) == ["Left out frame_9.fits: it is in colour, the frames are not."]


def test_three_planes_are_one_frame_among_others(tmp_path):
    frames = star(3)
    write(tmp_path, frames[:2, 0])
    write(tmp_path, frames[2:], {"CTYPE3": "RGB"}, "other")
    assert open_run(tmp_path).files == ["frame_000.fits", "frame_001.fits"]


def test_colours_side_by_side_are_planes_too(tmp_path):
    frames = np.moveaxis(star(2)[:, :, :20], 1, -1)  # (n, y, x, 3), as pictures are in numpy
    write(tmp_path, frames)
    run = open_run(tmp_path)
    assert run.shape == (2, 20, 64)
    assert np.allclose(run.read(slice(None), WINDOW), frames[:, 3:14, 5:22].mean(axis=-1))
    assert np.array_equal(open_run(tmp_path / "frame_001.fits", "blue")[0], frames[1, ..., 2])
    assert open_run(tmp_path, "frames").shape == (40, 64, 3)
    assert np.array_equal(open_like(tmp_path / "frame_000.fits", run)[0], run[0])


@pytest.mark.parametrize(
    ("cards", "pattern"),
    [
        ({"BAYERPAT": "RGGB"}, "RGGB"),
        ({"BAYERPAT": "rggb", "XBAYROFF": 1}, "GRBG"),
        ({"BAYERPAT": "RGGB", "YBAYROFF": 1}, "GBRG"),
        ({"BAYERPAT": "RGGB", "ROWORDER": "BOTTOM-UP"}, "GBRG"),
        ({"BAYERPAT": "RGGB", "ROWORDER": "TOP-DOWN"}, "RGGB"),
        ({"COLORTYP": "GBRG"}, "GBRG"),
        ({"BAYERPAT": "NONE"}, ""),
        ({"BAYERPAT": 0}, ""),
    ],
)
def test_mosaics_are_taken_as_they_are_or_cell_by_cell(tmp_path, cards, pattern):
    frames = star(3)[:, 0, :63]
    frames = frames[:, :62] if "ROWORDER" in cards else frames
    write(tmp_path, frames, cards)
    run = open_run(tmp_path)
    assert run.pattern == pattern
    assert np.array_equal(run.read(slice(None)), frames)
    if not pattern:
        assert run_notes(run) == []
        with pytest.raises(LuckyError, match="the frames have no colours"):
            open_run(tmp_path, "superpixel")
        return
    assert f"a mosaic ({pattern}), not debayered" in run_notes(run)[0]
    cells = frames[:, :62].reshape(3, 31, 2, 32, 2)
    for colour in ("superpixel", "luminance"):
        whole = open_run(tmp_path, colour)
        assert np.allclose(whole.read(slice(None)), cells.mean(axis=(2, 4)), atol=1e-3)
        assert np.allclose(whole.read([2], WINDOW), cells.mean(axis=(2, 4))[[2], 3:14, 5:22])
    y, x = divmod(pattern.index("R"), 2)
    assert np.array_equal(open_run(tmp_path, "red").read(slice(None)), cells[:, :, y, :, x])
    greens = [cells[:, :, k // 2, :, k % 2] for k in range(4) if pattern[k] == "G"]
    assert np.allclose(open_run(tmp_path, "green").read(slice(None)), np.mean(greens, axis=0))


def test_superpixels_say_where_on_the_sensor_they_are(tmp_path):
    """The first one's middle is between the first two pixels of each axis, 1 and 2 of FITS."""
    write(tmp_path, star(1)[:, 0], {"BAYERPAT": "RGGB"})
    header = open_run(tmp_path, "superpixel").header
    for axis in (1, 2):
        assert header[f"LTM{axis}_{axis}"] * 1.5 + header[f"LTV{axis}"] == 1
        assert header[f"LTM{axis}_{axis}"] * 3.5 + header[f"LTV{axis}"] == 2
    assert "BAYERPAT" not in header


def test_mosaics_that_differ_are_reported_and_each_read_by_its_own(tmp_path):
    frames = star(4)[:, 0]
    write(tmp_path, frames, {"BAYERPAT": "RGGB"})
    fits.setval(tmp_path / "frame_003.fits", "BAYERPAT", value="BGGR")
    red = open_run(tmp_path, "red")
    assert np.array_equal(red.read([0, 3]), [frames[0, ::2, ::2], frames[3, 1::2, 1::2]])
    for run in (red, open_run(tmp_path)):
        assert "differ in their mosaic: RGGB (3 files), BGGR (1 file)." in run_notes(run)[-1]


def test_planes_that_are_frames_on_request_are_not_said_again(tmp_path):
    write(tmp_path, star(1))
    assert "three planes are read as three frames" in run_notes(open_run(tmp_path))[0]
    run = open_run(tmp_path, "frames")
    assert run_notes(run) == []
    assert run.inputs["colour"] == "frames"


def test_headers_that_say_something_else_are_no_colours():
    shape = (1, 10, 10)
    for card in ("BAYERPAT= 'RRRR'", "BAYERPAT= 'XTRANS'", "COLORTYP= 'MONO'", "CTYPE3  = 'RGB'"):
        assert header_colours(card.ljust(80).encode(), shape) == ""
    assert shifted_pattern("RGGB", 1, 1) == "BGGR"


def test_darks_have_the_colour_of_their_run(tmp_path):
    (tmp_path / "run").mkdir()
    frames, dark = star(3), star(1, seed=1)[0]
    run = open_run(write(tmp_path / "run", frames), "blue")
    fits.PrimaryHDU(dark).writeto(tmp_path / "dark.fits")
    fits.PrimaryHDU(dark[2]).writeto(tmp_path / "master.fits")
    for name in ("dark", "master"):
        assert np.array_equal(open_like(tmp_path / f"{name}.fits", run)[0], dark[2]), name
    (tmp_path / "mosaic").mkdir()
    cells = open_run(write(tmp_path / "mosaic", frames[:, 0], {"BAYERPAT": "BGGR"}), "red")
    own = open_like(tmp_path / "master.fits", cells)
    assert np.array_equal(own[0], dark[2, 1::2, 1::2])


def test_stacks_of_mosaics_say_so_and_keep_no_pattern(tmp_path):
    (tmp_path / "run").mkdir()
    frames = star(12)[:, 1]
    write(tmp_path / "run", frames, {"BAYERPAT": "RGGB", "XPIXSZ": 2.9})
    result = process(Recipe(tmp_path / "run", Select(keep=4), focus=(31, 31, 33)))
    for name, image in result.images.items():
        write_fits(tmp_path / f"{name}.fits", image)
    shifted = fits.getheader(tmp_path / "focus.fits")
    assert "BAYERPAT" not in shifted
    assert "mosaic, not debayered" in list(shifted["COMMENT"])
    long = fits.getheader(tmp_path / "long_exposure.fits")  # of columns and rows from 15
    assert long["BAYERPAT"] == "BGGR"
    assert any("not debayered" in note for note in result.notes)
    cells = process(
        Recipe(tmp_path / "run", Select(keep=4), focus=(15, 15, 24), colour="superpixel")
    )
    write_fits(tmp_path / "cells.fits", cells.images["focus"])
    header = fits.getheader(tmp_path / "cells.fits")
    assert "BAYERPAT" not in header
    assert header["XPIXSZ"] == 5.8
    assert np.asarray(cells.images["focus"].data).shape == (24, 24)


def test_a_job_takes_run_and_dark_of_one_colour(tmp_path):
    (tmp_path / "run").mkdir()
    frames = star(12)
    write(tmp_path / "run", frames)
    dark = np.array([10, 20, 30], np.uint16)[:, None, None] * np.ones((1, 64, 64), np.uint16)
    fits.PrimaryHDU(dark).writeto(tmp_path / "dark.fits")
    by = Calibrate(dark=str(tmp_path / "dark.fits"))
    recipe = Recipe(tmp_path / "run", by, Select(keep=12), focus=(32, 32, 32))
    found = {}
    for colour in (None, "green"):
        result = process(recipe.updated(input={"colour": colour}))
        found[colour] = np.asarray(result.images["long_exposure"].data)
    window = np.s_[:, :, 16:48, 16:48]
    assert np.allclose(found[None], (frames - 20.0).mean(axis=1)[:, 16:48, 16:48].mean(0), atol=0.1)
    assert np.allclose(found["green"], frames[window][:, 1].mean(axis=0) - 20, atol=0.1)


def test_wrong_colours_are_reported(tmp_path):
    write(tmp_path, star(2))
    with pytest.raises(LuckyError, match="are not a mosaic"):
        open_run(tmp_path, "superpixel")
    with pytest.raises(LuckyError, match="colour is 'pink'; it must be one of luminance, red"):
        open_run(tmp_path, "pink")
