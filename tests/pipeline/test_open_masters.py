"""Darks and flats beside a run: taken if asked for, and said if they lie there unused."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import Calibrate, Recipe, open_run
from napari_lucky.frames.frames import ArrayFrames, Subset
from napari_lucky.pipeline.build import build_chain
from napari_lucky.pipeline.open_masters import misfit_notes
from napari_lucky.pipeline.step import Input

SHAPE = (48, 48)
RANDOM = np.random.default_rng(0)


def write(folder: Path, name: str, level: float, **cards) -> None:
    folder.mkdir(exist_ok=True)
    y, x = np.indices(SHAPE)
    star = 3000 * np.exp(-((y - 24) ** 2 + (x - 24) ** 2) / 8) if level == 100 else 0
    hdu = fits.PrimaryHDU((level + star + RANDOM.normal(0, 3, SHAPE)).astype("u2"))
    hdu.header.update(cards)
    hdu.writeto(folder / name)


@pytest.fixture
def run(tmp_path) -> Path:
    for k in range(8):
        write(tmp_path / "run", f"M15_{k}.fits", 100, EXPTIME=0.01 if k < 6 else 0.1)
    for k in range(3):
        write(tmp_path / "darks", f"dark_{k}.fits", 50, EXPTIME=0.01)
        write(tmp_path / "darks", f"dark_long_{k}.fits", 900, EXPTIME=0.1)
        write(tmp_path / "flats", f"flat_{k}.fits", 5050)
    return tmp_path / "run"


def chain_of(run: Path, *steps, **given):
    return build_chain(Recipe(str(run), *steps, focus=(24, 24, 24), **given))


def test_auto_takes_what_fits(run):
    chain = chain_of(run, Calibrate(dark="auto", flat="auto"))
    assert np.median(chain.calibrated.dark) == pytest.approx(50, abs=1)
    assert chain.recipe[Calibrate].flat == str(run.parent / "flats")
    assert chain.recipe[Calibrate].dark == str(run.parent / "darks")
    told = "\n".join(chain.notes)
    assert "a dark of 3 frames" in told
    assert "dark_long_2.fits beside the run does not fit as a dark: its exposure is 0.1 s" in told
    again = build_chain(chain.recipe)
    assert np.array_equal(again.frames.read(slice(3)), chain.frames.read(slice(3)), equal_nan=True)


def test_what_lies_beside_a_run_unused_is_said(run):
    notes = [note for note in chain_of(run).notes if "is not used" in note]
    assert len(notes) == 2
    assert "(dark_0.fits … dark_2.fits): give --dark auto to use it." in notes[0]
    assert "--flat auto" in notes[1]
    used = chain_of(run, Calibrate(dark=str(run.parent / "darks" / "dark_0.fits"))).notes
    assert sum("is not used" in note for note in used) == 1
    off = chain_of(run, Calibrate(dark="off", flat="off"))
    assert not any("is not used" in note for note in off.notes)
    assert off.recipe[Calibrate].dark == "off" and off.calibrated.dark is None


def test_a_light_given_as_a_dark_is_said(run):
    for k in range(2):
        write(run.parent / "lights", f"star_{k}.fits", 100, IMAGETYP="Light Frame")
    notes = chain_of(run, Calibrate(dark=str(run.parent / "lights"))).notes
    assert "lights is given as the dark, but its header says that it is a light." in notes


def test_a_dark_of_another_exposure_is_said(run):
    darks = run.parent / "darks"
    notes = chain_of(run, Calibrate(dark=str(darks / "dark_long_0.fits"))).notes
    said = "The dark does not fit the run: its exposure is 0.1 s, the frames' is 0.01 s."
    assert said in notes
    fits_it = chain_of(run, Calibrate(dark=str(darks / "dark_0.fits"))).notes
    assert not any("does not fit" in note for note in fits_it)


def test_where_none_fits_auto_is_said_and_the_job_goes_on(tmp_path):
    for k in range(6):
        write(tmp_path / "alone", f"a_{k}.fits", 100, EXPTIME=0.01)
    chain = chain_of(tmp_path / "alone", Calibrate(dark="auto"))
    assert chain.calibrated.dark is None
    assert "No dark that fits was found beside the run." in chain.notes


def test_frames_are_chosen_by_a_recipe(run):
    chain = chain_of(run, Calibrate(dark="auto"), where="EXPTIME=0.1")
    assert chain.files == ["M15_6.fits", "M15_7.fits"]
    assert np.median(chain.calibrated.dark) == pytest.approx(900, abs=1)
    assert chain.recipe[Input].where == "EXPTIME=0.1"
    assert chain.recipe[Calibrate].dark == "auto"  # the folder alone would be the other dark


def notes_with_dark(run, of_run, of_dark):
    for path in sorted(run.glob("*.fits")):
        with fits.open(path, mode="update") as file:
            file[0].header.update(of_run)
    dark = run.parent / "other.fits"
    with fits.open(run.parent / "darks" / "dark_0.fits") as file:
        file[0].header.update(of_dark)
        file.writeto(dark, overwrite=True)
    notes = chain_of(run, Calibrate(dark=str(dark))).notes
    return [note for note in notes if "may not fit the run" in note]


@pytest.mark.parametrize(
    ("of_run", "of_dark", "said"),
    [
        ({"CCD-TEMP": -10.2}, {"CCD-TEMP": 14.6}, "sensor temperature is 14.6 °C, the frames' is"),
        ({"TEMPERAT": "-10 C"}, {"SET-TEMP": 0}, "is 0.0 °C, the frames' is -10.0 °C"),
        ({"CCD-TEMP": 263.0}, {"CCD-TEMP": 0.0}, "is 0.0 °C, the frames' is -10.1 °C"),
        ({"OFFSET": 30}, {"OFFSET": 10}, "its offset is 10, the frames' is 30"),
        ({"READOUTM": "Fast"}, {"READOUTM": "Low noise"}, "read-out mode is Low noise"),
        ({"XBINNING": 1}, {"XBINNING": 2}, "its binning is 2, the frames' is 1"),
        ({"CCD-TEMP": -10.2, "OFFSET": 30}, {"CCD-TEMP": -8.9, "OFFSET": 30.0}, None),
        ({"CCD-TEMP": -10.2}, {}, None),
        ({"CCD-TEMP": -10.2}, {"CCD-TEMP": -999.0}, None),
        ({"READOUTM": "Fast"}, {"READOUTM": "FAST "}, None),
    ],
)
def test_a_dark_with_the_camera_in_another_state_is_said(run, of_run, of_dark, said):
    told = notes_with_dark(run, of_run, of_dark)
    assert (len(told) == 1 and said in told[0]) if said else not told


def test_masters_that_the_docks_open_are_compared_too(run):
    frames, darks = open_run(run), run.parent / "darks"
    other = {"dark": open_run(darks / "dark_long_0.fits"), "flat": None}
    (note,) = misfit_notes(Subset(frames, np.arange(3)), other)
    assert note == "The dark does not fit the run: its exposure is 0.1 s, the frames' is 0.01 s."
    assert misfit_notes(frames, {"dark": open_run(darks / "dark_0.fits"), "flat": None}) == []
    assert misfit_notes(ArrayFrames(np.ones((3, *SHAPE), np.float32)), other) == []
