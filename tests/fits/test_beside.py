"""Darks and flats found beside a run, and what is checked of them."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from napari_lucky.fits.beside import find_calibration
from napari_lucky.fits.run_files import open_run

SHAPE = (20, 30)


def write(folder: Path, name: str, shape=SHAPE, **cards) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    hdu = fits.PrimaryHDU(np.zeros(shape, "u2"))
    hdu.header.update(cards)
    hdu.writeto(folder / name)
    return folder / name


def write_run(folder: Path, **cards) -> None:
    for k in range(4):
        write(folder, f"M15_{k}.fits", EXPTIME=0.01, **cards)


def names(paths) -> list[str]:
    return [path.name for path in paths]


def test_the_dark_of_the_runs_exposure_and_size_is_found(tmp_path):
    write_run(tmp_path)
    for k in range(3):
        write(tmp_path, f"dark_10ms_{k}.fits", EXPTIME=0.01)
        write(tmp_path, f"dark_100ms_{k}.fits", EXPTIME=0.1)
    write(tmp_path, "flat.fits")
    write(tmp_path, "flat_small.fits", (8, 9))
    write(tmp_path, "bias_1.fits")
    found = find_calibration(open_run(tmp_path))
    assert names(found.dark) == [f"dark_10ms_{k}.fits" for k in range(3)]
    assert names(found.flat) == ["flat.fits"]
    told = "\n".join(found.notes)
    assert "a dark of 3 frames with the same size (20 x 30 pixels) and exposure (0.01 s)" in told
    assert "does not fit as a dark: its exposure is 0.1 s, the frames' is 0.01 s" in told
    assert "flat_small.fits beside the run does not fit as a flat: it has 8 x 9 pixels" in told


def test_folders_of_darks_and_flats_near_are_looked_into(tmp_path):
    write_run(tmp_path / "LIGHT", FILTER="Ha")
    for k in range(2):
        write(tmp_path / "DARK", f"capture_{k}.fits", EXPTIME=0.01)
        write(tmp_path / "LIGHT" / "flats", f"{k}.fits", FILTER="Ha")
        write(tmp_path / "FLAT", f"x{k}.fits", FILTER="OIII")
        write(tmp_path / "M31", f"M31_{k}.fits", EXPTIME=0.01, IMAGETYP="Dark Frame")
    for k in range(3):  # its own name says more than the folder's
        write(tmp_path / "DARK", f"flat_{k}.fits", FILTER="OIII")
    found = find_calibration(open_run(tmp_path / "LIGHT"))
    assert [path.relative_to(tmp_path).as_posix() for path in found.dark] == [
        "DARK/capture_0.fits",
        "DARK/capture_1.fits",
    ]
    assert [path.parent.name for path in found.flat] == ["flats", "flats"]


def test_headers_say_before_names_what_a_frame_is_of(tmp_path):
    write_run(tmp_path)
    write(tmp_path, "a_1.fits", EXPTIME=0.01, IMAGETYP="DARK")
    write(tmp_path, "a_2.fits", IMAGETYP="Flat Field")
    write(tmp_path, "dark_1.fits", EXPTIME=0.01, IMAGETYP="DARKFLAT")
    found = find_calibration(open_run(tmp_path))
    assert (names(found.dark), names(found.flat)) == (["a_1.fits"], ["a_2.fits"])


def test_an_exposure_that_is_not_known_is_said(tmp_path):
    write_run(tmp_path)
    write(tmp_path, "masterdark.fits")
    found = find_calibration(open_run(tmp_path))
    assert names(found.dark) == ["masterdark.fits"]
    assert "the exposure could not be compared" in found.notes[0]


def test_where_nothing_is_beside_a_run_nothing_is_found(tmp_path):
    write_run(tmp_path)
    found = find_calibration(open_run(tmp_path))
    assert (found.dark, found.flat, found.notes) == ((), (), ())
