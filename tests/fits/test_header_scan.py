from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from napari_lucky import open_run
from napari_lucky.fits.header_scan import header_template, signature

IMAGE = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)


def write(path: Path, image=IMAGE, **cards) -> Path:
    header = fits.Header({"OBSERVER": "nobody", "EXPTIME": 0.01} | cards)
    fits.PrimaryHDU(image, header).writeto(path, overwrite=True)
    return path


def mould_of(path: Path):
    return header_template(path, signature(path))


def test_files_that_differ_in_values_alone_fit(tmp_path):
    first = mould_of(write(tmp_path / "a.fits", EXPTIME=0.01))
    assert first.match(write(tmp_path / "b.fits", IMAGE[::-1], EXPTIME=12.5))


@pytest.mark.parametrize(
    ("image", "cards"),
    [
        (IMAGE.reshape(60, 40), {}),  # of the same size
        (IMAGE.astype(np.int16), {}),  # without BZERO
        (IMAGE, {"EXTRA": 1}),  # which may stand where another file has a structural card
        (IMAGE[:5, :7], {}),
    ],
)
def test_files_of_another_structure_do_not_fit(image, cards, tmp_path):
    first = mould_of(write(tmp_path / "a.fits"))
    assert not first.match(write(tmp_path / "b.fits", image, **cards))


def test_what_is_no_file_does_not_fit(tmp_path):
    first = mould_of(write(tmp_path / "a.fits"))
    assert not first.match(tmp_path / "missing.fits")
    (tmp_path / "c.fits").write_bytes(b" " * first.size)
    assert not first.match(tmp_path / "c.fits")


def test_extensions_are_compared_too(tmp_path):
    for name, dtype in (("a", np.int16), ("b", np.int16), ("c", np.uint16)):
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(IMAGE.astype(dtype))]
        fits.HDUList(hdus).writeto(tmp_path / f"{name}.fits")
    first = mould_of(tmp_path / "a.fits")
    assert first.match(tmp_path / "b.fits")
    assert not first.match(tmp_path / "c.fits")


def test_headers_behind_an_image_are_compared_where_astropy_finds_them(tmp_path):
    for name, dtype in (("a", np.int16), ("b", np.int16), ("c", np.uint16)):
        hdus = fits.HDUList(
            [fits.PrimaryHDU(IMAGE), fits.ImageHDU(IMAGE.astype(dtype)), fits.ImageHDU(IMAGE)]
        )
        hdus.writeto(tmp_path / f"{name}.fits")
    first = mould_of(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits") as opened:
        known = [hdu.fileinfo()["hdrLoc"] for hdu in opened]
    assert [header.begin for header in first.headers] == known
    assert first.match(tmp_path / "b.fits")
    assert not first.match(tmp_path / "c.fits")


def test_a_gzipped_file_has_no_mould(tmp_path):
    assert mould_of(write(tmp_path / "a.fits.gz")) is None


def test_a_frame_of_another_byte_order_amid_a_run_is_read_as_what_it_is(tmp_path):
    """It has the size of the others: only its header tells."""
    for k in range(5):
        write(tmp_path / f"f_{k}.fits")
    write(tmp_path / "f_2.fits", IMAGE.astype(np.int16), OTHER=1)
    run = open_run(tmp_path)
    assert run.shape[0] == 5
    assert (run.read(slice(None)) == IMAGE).all()
