"""Layouts told by the cards alone: those that astropy finds, or none."""

import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import LuckyError, open_run
from napari_lucky.fits.header_scan import signature
from napari_lucky.fits.layout import layouts
from napari_lucky.fits.plain_header import plain_layout

ODD = {
    "scaled": {"BSCALE": 2.0},
    "offset": {"BZERO": 100.0},
    "blanked": {"BLANK": -32768},
    "levels": {"FULLADU": 4095.0, "TOPLEVEL": 4095},
    "named": {"EXTNAME": "FRAME_1"},
    "like compressed": {"ZTENSION": "IMAGE"},
}


def plain(path):
    return plain_layout(path, signature(path))


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7), (1, 5, 7)])
def test_plain_images_of_all_types_have_the_layout_that_astropy_finds(tmp_path, dtype, shape):
    path = tmp_path / "a.fits"
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    fits.PrimaryHDU(pixels).writeto(path)
    (found,) = layouts(path)
    assert plain(path) == found
    read = open_run(path).read(slice(None))
    assert read.dtype == pixels.dtype
    assert np.array_equal(read, pixels.reshape(-1, 5, 7))


@pytest.mark.parametrize("cards", ODD.values(), ids=ODD)
def test_anything_out_of_the_ordinary_is_left_to_astropy(tmp_path, cards):
    path = tmp_path / "a.fits"
    hdu = fits.PrimaryHDU(np.zeros((5, 7), "i2"))
    hdu.writeto(path)
    assert plain(path) is not None
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header.update(cards)
    assert plain(path) is None


@pytest.mark.parametrize(
    "value", ["                   F", "                1E+1", "            '16    '"]
)
def test_cards_that_are_no_plain_numbers_are_left_to_astropy(tmp_path, value):
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(np.zeros((5, 7), "i2")).writeto(path)
    keyword = b"SIMPLE  = " if "F" in value else b"BZERO   = "
    raw = path.read_bytes()
    begin = raw.index(b"NAXIS1  ") if keyword[:1] == b"B" else 0
    path.write_bytes(raw[:begin] + keyword + value.encode().rjust(20) + raw[begin + 30 :])
    try:
        kind = signature(path)
    except ValueError:
        return  # not opened at all
    assert plain_layout(path, kind) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"SIMPLE  =                    T", b"SIMPLE  =                    1"),
        (b"BZERO   =                32768", b"BZERO   =               3_2768"),
        (b"BZERO   =                32768", b"bzero   =                32768"),
    ],
)
def test_what_fits_does_not_allow_is_left_to_astropy(tmp_path, old, new):
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(np.zeros((5, 7), "u2")).writeto(path)
    assert plain(path) is not None
    raw = path.read_bytes()
    assert raw.count(old) == 1
    path.write_bytes(raw.replace(old, new))
    assert plain(path) is None


def test_a_run_whose_file_is_gone_is_reported(tmp_path):
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(np.zeros((5, 7), "u2")).writeto(path)
    run = open_run(path)
    path.unlink()
    with pytest.raises(LuckyError, match=r"a\.fits: the header cannot be read"):
        run.header_with(b"SATURATE")


def test_files_with_extensions_are_left_to_astropy(tmp_path):
    path = tmp_path / "a.fits"
    image = np.zeros((5, 7), "i2")
    fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(image)]).writeto(path)
    assert plain(path) is None
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image)]).writeto(path, overwrite=True)
    assert plain(path) is None


def test_a_plain_run_is_opened_without_astropy(tmp_path):
    fits.PrimaryHDU(np.zeros((5, 7), "u2")).writeto(tmp_path / "a.fits")
    program = (
        "import sys, napari_lucky; run = napari_lucky.open_run(sys.argv[1]);"
        "assert run.read(slice(1)).shape == (1, 5, 7); assert run.header_with(b'SATURATE') is None;"
        "assert 'astropy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.fits")], check=True)


def test_a_header_is_parsed_if_it_holds_the_text(tmp_path):
    hdu = fits.PrimaryHDU(np.zeros((5, 7), "u2"))
    hdu.header["SATURATE"] = 4095
    hdu.writeto(tmp_path / "a.fits")
    run = open_run(tmp_path / "a.fits")
    assert run.header_with(b"SATURATE")["SATURATE"] == 4095
    assert run.header_with(b"EXPTIME ") is None
