"""Images and runs as TIFF; tifffile reads them back."""

import re

import numpy as np
import pytest
import tifffile

from napari_lucky import open_run
from napari_lucky.errors import LuckyError
from napari_lucky.fits.tiff import write_tiff
from napari_lucky.frames import ArrayFrames

RNG = np.random.default_rng(4)
IMAGE = RNG.normal(-50, 300, (20, 31)).astype(np.float32)
IMAGE[3, 4] = np.nan
RUN = RNG.normal(1e4, 300, (5, 20, 31)).astype(np.float32)


@pytest.mark.parametrize("data", [IMAGE, ArrayFrames(RUN), RUN, np.zeros((4, 5), np.uint16)])
def test_pixels_come_back(data, tmp_path):
    pixels = data.array if isinstance(data, ArrayFrames) else data
    write_tiff(tmp_path / "a.tif", data, 32, "Fokus µ")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert len(file.pages) == (5 if pixels.ndim == 3 else 1)
        assert file.pages[0].dtype == np.float32
        assert file.pages[0].description == "Fokus ?"
        np.testing.assert_array_equal(file.asarray(), pixels)
    write_tiff(tmp_path / "b.tif", data, 16)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        levels, told = file.asarray(), file.pages[0].description
    zero, step = map(float, re.match(r"ADU = (\S+) \+ (\S+) \* \(level", told).groups())
    assert levels.dtype == np.uint16
    masked = np.isnan(pixels)
    np.testing.assert_array_equal(levels == 0, masked)
    adu = zero + step * (levels.astype(float) - 32768)
    np.testing.assert_allclose(adu[~masked], pixels[~masked], rtol=0, atol=0.501 * step)
    assert np.ptp(levels[~masked]) in (0, 65533)


def test_a_place_that_cannot_be_written_and_an_input_are_reported(tmp_path):
    with pytest.raises(LuckyError, match="cannot be written"):
        write_tiff(tmp_path / "no" / "a.tif", IMAGE)
    (tmp_path / "a.tif").write_bytes(b"mine")
    with pytest.raises(LuckyError, match="is read"):
        write_tiff(tmp_path / "a.tif", IMAGE, inputs={"frames": tmp_path / "a.tif"})
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_a_run_of_tiff_files_has_a_header_too(tmp_path):
    write_tiff(tmp_path / "a.tif", RUN)
    run = open_run(tmp_path / "a.tif")
    assert run.header_with(b"SATURATE") is run.header
    assert run.header_of(4) is run.header
