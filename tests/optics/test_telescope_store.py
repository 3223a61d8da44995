"""Telescopes: kept by name, told by headers, put together, refused."""

import math
import os
import re
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, Telescope
from napari_lucky.cli.main import main
from napari_lucky.optics import named_telescope, save_telescope, saved_telescopes
from napari_lucky.optics.simulation import SIMULATED
from napari_lucky.optics.telescope_header import header_doubts, header_telescope
from napari_lucky.optics.telescope_store import (
    remove_telescope,
    telescope_notes,
    telescope_of,
    telescopes_file,
)
from systems import on_posix

SMALL = Telescope(0.2, 0.0, 550.0, 15.0, 3.75)


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    path = tmp_path / "new folder" / "telescopes.toml"
    monkeypatch.setattr("napari_lucky.optics.telescope_store.telescopes_file", lambda: path)
    return path


def test_it_is_there_again(file):
    assert saved_telescopes() == {}
    assert save_telescope('Grégory "45" [IRSOL]', SIMULATED) == file
    save_telescope("small", SMALL)
    assert named_telescope("small") == SMALL
    assert list(saved_telescopes()) == ['Grégory "45" [IRSOL]', "small"]
    save_telescope("small", SMALL)  # the same again does no harm
    remove_telescope("small")
    assert saved_telescopes() == {'Grégory "45" [IRSOL]': SIMULATED}
    with pytest.raises(LuckyError, match=r"no telescope 'small'; saved ones are Grégory"):
        named_telescope("small")


def test_nothing_is_overwritten_unasked(file):
    save_telescope("small", SMALL)
    before = file.read_bytes()
    with pytest.raises(LuckyError, match="another telescope 'small' already"):
        save_telescope("small", SIMULATED)
    assert file.read_bytes() == before
    save_telescope("small", SIMULATED, overwrite=True)
    assert named_telescope("small") == SIMULATED


@pytest.mark.parametrize("name", ["", "  ", " small", "a\nb", "a\x00", "x" * 61])
def test_names_that_cannot_be_used(file, name):
    with pytest.raises(LuckyError, match="name"):
        save_telescope(name, SMALL)
    assert not file.exists()


@pytest.mark.parametrize(
    "text", ["[small", f"a = {'[' * 5000}{']' * 5000}", "a = 0x" + "f" * 9000, "a = " + "9" * 400]
)
def test_a_broken_file_is_reported_and_kept(file, text):
    file.parent.mkdir()
    file.write_text(text)
    for action in (saved_telescopes, lambda: save_telescope("other", SMALL)):
        with pytest.raises(LuckyError, match=r"not a TOML file .* Correct it, or move it away"):
            action()
    assert file.read_text() == text


@on_posix
def test_a_pipe_in_its_place_is_reported(file):
    file.parent.mkdir()
    os.mkfifo(file)
    for action in (saved_telescopes, lambda: save_telescope("other", SMALL)):
        with pytest.raises(LuckyError, match=r"cannot be read .*a pipe"):
            action()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("small = 3", r"\[small\] is not a telescope"),
        ("[small]\ndiameter_m = 1.0", r"\[small\] is not a telescope"),
        (
            "[small]\ndiameter_m=0\nobstruction=0\nwavelength_nm=500\nfocal_ratio=9\npixel_um=1",
            r"\[small\]: The telescope's diameter is 0 m",
        ),
    ],
)
def test_a_broken_entry_is_reported_and_blocks_no_other(file, text, says, capsys):
    file.parent.mkdir()
    file.write_text(text)
    save_telescope("other", SMALL)
    assert saved_telescopes() == {"other": SMALL}
    with pytest.raises(LuckyError, match=says):
        named_telescope("small")
    assert tomllib.loads(file.read_text())["small"] == tomllib.loads(text)["small"]
    with pytest.raises(LuckyError, match="another telescope 'small' already"):
        save_telescope("small", SMALL)
    assert main(["telescope"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("other: ")
    assert re.search(says, told.err)
    assert main(["telescope", "small"]) == 3  # what is kept is damaged
    assert main(["telescope", "small", "--remove"]) == 0
    assert set(tomllib.loads(file.read_text())) == {"other"}


@pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")
def test_all_that_are_saved_at_once_are_kept(file):
    names = [f"telescope {k}" for k in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: save_telescope(name, SMALL), names))
    assert set(saved_telescopes()) == set(names)


def test_a_place_that_cannot_be_written(file):
    file.parent.write_text("a file where the folder should be")
    with pytest.raises(LuckyError, match="cannot be"):
        save_telescope("small", SMALL)


@pytest.mark.skipif(sys.platform != "linux", reason="the rules of Linux")
def test_it_is_kept_where_the_system_says(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert telescopes_file() == tmp_path / "napari-lucky" / "telescopes.toml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert telescopes_file() == tmp_path / ".config" / "napari-lucky" / "telescopes.toml"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"diameter_m": 0}, "diameter is 0 m"),
        ({"wavelength_nm": math.nan}, "wavelength is nan nm"),
        ({"focal_ratio": -1}, "focal ratio is -1; it"),
        ({"pixel_um": math.inf}, "pixel is inf µm"),
        ({"obstruction": 1}, "obstruction is 1; give"),
        ({"obstruction": 30}, "If that is in per cent, give 0.3"),
        ({"wavelength_nm": 0.633}, r"wavelength is 0.633 nm; .* in micrometres, give 633 nm"),
        ({"wavelength_nm": 6.33e-7}, "in metres, give 633 nm"),
        ({"diameter_m": 450}, r"diameter is 450 m; .* in mm, give 0.45 m; in cm, 4.5 m."),
        ({"pixel_um": 5.3e-6}, r"pixel is 5.3e-06 µm; .* in metres, give 5.3 µm"),
        ({"pixel_um": 0.0053}, "in mm, give 5.3 µm"),
        ({"pixel_um": 5.3e6}, "pixel is 5.3e[+]06 µm"),
        ({"focal_ratio": 26370}, "not the focal length"),
        ({"focal_ratio": 900, "pixel_um": 1}, "569.7 pixels across λ/D; no camera"),
    ],
)
def test_figures_that_make_no_sense(values, says):
    with pytest.raises(LuckyError, match=says):
        replace(SIMULATED, **values)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, ()),
        ({"diameter_m": 4.2, "focal_ratio": 11, "pixel_um": 2}, ()),
        ({"diameter_m": 39}, ("diameter is 39 m, which is unusual",)),
        ({"diameter_m": 8}, ("If that is in cm, give 0.08 m; in inches, 0.2032 m.",)),
        ({"wavelength_nm": 6330, "pixel_um": 30}, ("If that is in angstrom, give 633 nm",)),
        ({"obstruction": 0.7}, ("not of areas",)),
        ({"focal_ratio": 5}, ("0.597 pixels across λ/D, which is unusual",)),
    ],
)
def test_the_merely_unusual_is_said(values, says):
    """Large telescopes exist."""
    told = telescope_notes(None, vars(replace(SIMULATED, **values)))
    assert len(told) == len(says)
    assert all(part in sentence for part, sentence in zip(says, told, strict=True))


def test_nothing_is_invented():
    with pytest.raises(TypeError):
        Telescope()
    with pytest.raises(LuckyError, match="the focal ratio, the pixel size"):
        telescope_of({})
    optics = {**vars(SIMULATED), "obstruction": None}
    assert "obstruction is not known and was taken as 0" in telescope_notes({}, optics)[0]
    with pytest.raises(LuckyError, match=r"in mm, give 0\.45 m; "):
        telescope_of({**vars(SIMULATED), "diameter_m": 450.0})


def test_what_follows_from_it():
    assert SMALL.focal_length_m == 3.0
    assert SMALL.diffraction.sampling == pytest.approx(0.55 * 15 / 3.75)
    assert SMALL.arcsec_per_px == pytest.approx(206264.8 * 3.75e-6 / 3)


def test_what_a_header_tells():
    header = fits.Header()
    assert header_telescope(header) == header_telescope(None) == {}
    header["APTDIA"], header["FOCALLEN"], header["XPIXSZ"] = 200, 3000.0, 3.75
    header["WAVELNTH"], header["WAVEUNIT"] = 5500, -10  # angstrom
    told = header_telescope(header)
    assert told == pytest.approx(
        {"diameter_m": 0.2, "focal_ratio": 15, "pixel_um": 3.75, "wavelength_nm": 550}
    )
    assert telescope_of(told) == SMALL
    header["WAVELEN"], header["APTDIA"], header["XPIXSZ"] = 633.0, "large", -1
    assert header_telescope(header) == {"wavelength_nm": 633.0}


def test_units_and_binning_of_a_header():
    header = fits.Header()
    header["APTDIA"], header["FOCALLEN"] = (0.2, "[m] aperture"), (300.0, "[cm]")
    header["WAVELEN"] = (0.55, "[um]")
    header["PIXSIZE1"], header["XBINNING"] = 3.75, 2
    header["APTAREA"] = np.pi / 4 * 200**2 * (1 - 0.3**2)  # mm²
    assert header_telescope(header) == pytest.approx(
        {
            "diameter_m": 0.2,
            "focal_ratio": 15,
            "pixel_um": 7.5,
            "wavelength_nm": 550,
            "obstruction": 0.3,
        }
    )
    assert header_doubts(header) == ()
    header["XPIXSZ"] = 7.5  # binned already
    assert header_telescope(header)["pixel_um"] == 7.5
    header["YPIXSZ"] = 15.0
    assert "pixel_um" not in header_telescope(header)
    assert "must be square" in header_doubts(header)[0]
    header["YPIXSZ"] = header["XPIXSZ"] = 3.75
    assert "binning of 2" in header_doubts(header)[0]


def test_cards_that_make_no_sense_are_reported():
    header = {"APTDIA": 0.45, "FOCALLEN": 26.37, "WAVELEN": 0.633, "FOCRATIO": 58.6}
    assert header_telescope(header) == {"focal_ratio": 58.6}
    diameter, wavelength = header_doubts(header)
    assert "APTDIA is ignored: the telescope's diameter is 0.00045 m" in diameter
    assert "WAVELEN is ignored" in wavelength
    assert "in micrometres, give 633 nm" in wavelength


def test_what_is_given_wins_and_what_lacks_is_reported():
    header = {"wavelength_nm": 500.0, "pixel_um": 3.75, "focal_ratio": 8.0}
    given = {"wavelength_nm": 550.0, "diameter_m": 0.2, "focal_length_m": 3.0, "pixel_um": None}
    assert telescope_of(header, given) == SMALL
    with pytest.raises(
        LuckyError,
        match=r"Missing telescope figures, also not in the FITS header: the diameter \(m\)\.",
    ):
        telescope_of(header)
    with pytest.raises(LuckyError, match=r"the wavelength \(nm\), the focal ratio\."):
        telescope_of({"diameter_m": 0.2, "pixel_um": 3})
    with pytest.raises(LuckyError, match="needs the telescope's diameter"):
        telescope_of({"focal_length_m": 3.0})
